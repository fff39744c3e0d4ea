//! What the command line asks of a server that runs.

use std::time::Duration;

use bytes::Bytes;
use fletch_registry::{Auth, Client, ClientConfig};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

pub use fletch_registry::ImportReport;

/// How long an answer is waited for: replaying thousands of records is one request.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(300);
/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Longest answer of a registry that is copied.
const SCHEMA_BYTES_MAX: usize = 32 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// Nobody is there, or the connection broke.
    #[error("no server answers at {address}: {why}")]
    Unreachable {
        /// Host and port asked.
        address: String,
        /// What came of it.
        why: String,
    },
    /// The server refuses.
    #[error("{0}")]
    Refused(String),
    /// A registry can't be used.
    #[error(transparent)]
    Registry(#[from] fletch_registry::RegistryError),
}

/// Sends a request to the admin listener at `host:port` and reads the JSON it answers with.
///
/// # Errors
/// [`OperatorError::Refused`] with the server's words for any status but 200.
pub async fn ask(address: &str, post: bool, target: &str) -> Result<Value, OperatorError> {
    let unreachable = |why: String| OperatorError::Unreachable {
        address: address.to_owned(),
        why,
    };
    let asking = async {
        let socket = TcpStream::connect(address)
            .await
            .map_err(|error| error.to_string())?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket))
            .await
            .map_err(|error| error.to_string())?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(if post { Method::POST } else { Method::GET })
            .uri(target)
            .header(HOST, address)
            .body(Empty::<Bytes>::new())
            .map_err(|error| error.to_string())?;
        let answer = sender
            .send_request(request)
            .await
            .map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await;
        connection.abort();
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        let body: Value = serde_json::from_slice(&body)
            .map_err(|error| format!("it answered {status}, and no JSON: {error}"))?;
        Ok((status, body))
    };
    let answered = timeout(ANSWER_TIMEOUT, asking).await;
    let answered = answered.map_err(|_| unreachable(format!("nothing in {ANSWER_TIMEOUT:?}")))?;
    let (status, body) = answered.map_err(unreachable)?;
    match status {
        StatusCode::OK => Ok(body),
        _ => Err(OperatorError::Refused(
            body["error"].as_str().unwrap_or("it refuses").to_owned(),
        )),
    }
}

/// A registry to copy from or to.
#[derive(Debug, Clone)]
pub struct RegistryAddress {
    /// Its URL.
    pub url: String,
    /// User and password, if it wants them.
    pub user: Option<(String, String)>,
    /// A file of authorities to trust for `https`, besides the system's.
    pub ca_file: Option<std::path::PathBuf>,
}

impl RegistryAddress {
    fn client(self) -> Result<Client, OperatorError> {
        let mut config = ClientConfig::new(&self.url);
        config.tls.ca_file = self.ca_file;
        config.response_bytes_max = SCHEMA_BYTES_MAX;
        if let Some((user, password)) = self.user {
            config.auth = Auth::Basic {
                user,
                password: password.into(),
            };
        }
        Ok(Client::new(config)?)
    }
}

/// Copies all of one registry into another; see [`fletch_registry::import`].
///
/// # Errors
/// If either can't be spoken to.
pub async fn import_registry(
    from: RegistryAddress,
    to: RegistryAddress,
) -> Result<ImportReport, OperatorError> {
    Ok(fletch_registry::import(&from.client()?, &to.client()?).await?)
}
