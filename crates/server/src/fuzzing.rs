//! What the fuzz targets reach the inside by. No part of the interface: it changes as the inside does.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::auth::distinguished_name;
use crate::auth::mapping::MappingRules;
use crate::auth::sasl::oauthbearer::Bearer;
use crate::config::{BindAddress, Config, SecurityProtocol};
use crate::connection;
use crate::error::ServerError;
use crate::kafka::ListenerInfo;
use crate::server::{Running, Server};

/// Longer than anything may take that a client has stopped waiting for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A whole server whose Kafka clients speak from memory.
#[derive(Debug)]
pub struct Stack {
    runtime: Runtime,
    running: Running,
    open: ListenerInfo,
    login: ListenerInfo,
}

impl Stack {
    /// Starts one in a folder. Its Kafka listeners, its registry and its tables are off.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn start(folder: &Path, mut config: Config) -> Result<Self, ServerError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(ServerError::Threads)?;
        config.kafka.enabled = false;
        config.registry.enabled = false;
        config.table.enabled = false;
        config.http.port = 0;
        config.store.path = folder.to_path_buf();
        let running = runtime.block_on(Server::start(config))?;
        let listener = |protocol: SecurityProtocol| ListenerInfo {
            name: protocol.name().to_owned(),
            protocol,
            bind_address: BindAddress::Localhost,
            port: 9092,
            advertised: None,
            tls: None,
        };
        Ok(Self {
            runtime,
            running,
            open: listener(SecurityProtocol::Plaintext),
            login: listener(SecurityProtocol::SaslPlaintext),
        })
    }

    /// What the server answers to who sends these bytes and then nothing more, and in which word it says why
    /// the connection has ended. `with_login`: on a listener that asks for one.
    ///
    /// # Panics
    /// If the connection doesn't end.
    pub fn exchange(&self, with_login: bool, sent: &[u8]) -> (Vec<u8>, &'static str) {
        let listener = match with_login {
            true => &self.login,
            false => &self.open,
        };
        let (mut client, server) = duplex(64 << 10);
        let peer = SocketAddr::from(([127, 0, 0, 1], 9));
        let serving = connection::serve_stream(server, peer, listener, self.running.broker());
        let talking = async {
            let mut answers = Vec::new();
            let (mut reader, mut writer) = tokio::io::split(&mut client);
            let send = async {
                // A server that has closed reads no more.
                let _ = writer.write_all(sent).await;
                let _ = writer.shutdown().await;
            };
            let (_, read) = tokio::join!(send, reader.read_to_end(&mut answers));
            read.map(|_| answers)
        };
        let both = async { tokio::join!(talking, serving) };
        match self
            .runtime
            .block_on(async { timeout(PATIENCE, both).await })
        {
            Ok((answers, reason)) => (answers.unwrap_or_default(), reason),
            Err(_) => panic!("the connection doesn't end"),
        }
    }
}

/// Who a token says it is of, if it is signed by one of the keys of a JSON Web Key Set; without keys, if nobody
/// has signed it.
pub async fn token_user(keys: Option<&[u8]>, token: &str) -> Option<String> {
    let keys: Option<JwkSet> = match keys {
        Some(keys) => Some(serde_json::from_slice(keys).ok()?),
        None => None,
    };
    Bearer::fixed(keys).user(token).await
}

/// The subject of a certificate in DER.
pub fn certificate_subject(der: &[u8]) -> Option<String> {
    distinguished_name::subject(der)
}

/// The user that mapping rules make of a subject; an error if they are no rules.
///
/// # Errors
/// What is wrong with them.
pub fn mapped_name(rules: &str, subject: &str) -> Result<Option<String>, String> {
    let rules: MappingRules = rules.parse().map_err(|error| format!("{error}"))?;
    Ok(rules.name(subject))
}
