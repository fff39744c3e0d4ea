//! What the command line asks of a server that runs.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fletch_registry::{Auth, Client, ClientConfig};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use crate::config::Secret;
use crate::tls;

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

/// An admin listener, and who asks.
#[derive(Debug, Clone)]
pub struct AdminAddress {
    /// `host:port`.
    pub address: String,
    /// Whether it is spoken to over TLS.
    pub tls: bool,
    /// A file of authorities to trust for that, besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Who asks, where that is asked for.
    pub user: Option<(String, Secret)>,
}

/// What is asked of the admin listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask<'a> {
    /// To be told something.
    Get,
    /// To do something.
    Post,
    /// To keep this.
    Put(&'a Value),
    /// To forget something.
    Delete,
}

/// Sends a request to the admin listener and reads the JSON it answers with.
///
/// # Errors
/// [`OperatorError::Refused`] with the server's words for any status but 200.
pub async fn ask(
    admin: &AdminAddress,
    what: Ask<'_>,
    target: &str,
) -> Result<Value, OperatorError> {
    let address = &admin.address;
    let unreachable = |why: String| OperatorError::Unreachable {
        address: address.clone(),
        why,
    };
    let asking = async {
        let request = request(admin, what, target)?;
        let socket = TcpStream::connect(address)
            .await
            .map_err(|error| error.to_string())?;
        if !admin.tls {
            return send(socket, request).await;
        }
        let host = address
            .rsplit_once(':')
            .map_or(address.as_str(), |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        let connector = TlsConnector::from(tls::client("--ca-file", admin.ca_file.as_deref())?);
        let stream = connector.connect(name, socket).await;
        send(stream.map_err(|error| error.to_string())?, request).await
    };
    let answered = timeout(ANSWER_TIMEOUT, asking).await;
    let answered = answered.map_err(|_| unreachable(format!("nothing in {ANSWER_TIMEOUT:?}")))?;
    let (status, body) = answered.map_err(unreachable)?;
    match status {
        StatusCode::OK => Ok(body),
        _ => Err(OperatorError::Refused(
            body.get("error")
                .and_then(|error| error.as_str())
                .unwrap_or("it refuses")
                .to_owned(),
        )),
    }
}

fn request(
    admin: &AdminAddress,
    what: Ask<'_>,
    target: &str,
) -> Result<Request<Full<Bytes>>, String> {
    let (method, body) = match what {
        Ask::Get => (Method::GET, Bytes::new()),
        Ask::Post => (Method::POST, Bytes::new()),
        Ask::Put(body) => (Method::PUT, body.to_string().into()),
        Ask::Delete => (Method::DELETE, Bytes::new()),
    };
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .header(HOST, &admin.address);
    if let Some((user, password)) = &admin.user {
        let credentials = Zeroizing::new(format!("{user}:{}", password.reveal()));
        let value = format!("Basic {}", STANDARD.encode(credentials.as_bytes()));
        let mut value = HeaderValue::from_str(&value).map_err(|error| error.to_string())?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    request
        .body(Full::new(body))
        .map_err(|error| error.to_string())
}

async fn send<S>(stream: S, request: Request<Full<Bytes>>) -> Result<(StatusCode, Value), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let connection = tokio::spawn(connection);
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
