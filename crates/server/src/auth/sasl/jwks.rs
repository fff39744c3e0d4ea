//! The keys that tokens are checked with: a JSON Web Key Set (RFC 7517) in a file or at a URL, read
//! again now and then, and when a token names a key that isn't in it.
//!
//! Whoever has a token of a key that is known never waits for who publishes them, however slow that is.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, HOST};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use jsonwebtoken::jwk::JwkSet;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use crate::config::SaslConfig;
use crate::tls;

/// A larger set is none.
const BYTES_MAX: usize = 1 << 20;
/// How long a set may take to come.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// Tokens that name keys nobody knows make for one look in this time.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// Where the keys are published.
enum Source {
    /// Nowhere: they are what they are.
    Fixed,
    File(PathBuf),
    Url {
        url: Uri,
        tls: TlsConnector,
    },
}

/// The keys, as of the last look.
pub(super) struct Keys {
    shared: Arc<Shared>,
    /// Looks again now and then, until dropped.
    _refreshing: Option<AbortOnDropHandle<()>>,
}

struct Shared {
    source: Source,
    /// Tokens that name keys nobody knows make for one look in this time.
    look_interval: Duration,
    current: RwLock<Arc<JwkSet>>,
    /// When it was looked last. Whoever holds it looks.
    looked: Mutex<Instant>,
}

impl Keys {
    /// Those that the configuration names, read once.
    pub(super) async fn configured(config: &SaslConfig) -> Result<Option<Self>, String> {
        let source = match (&config.oauthbearer_jwks_path, &config.oauthbearer_jwks_url) {
            (Some(path), _) => Source::File(path.clone()),
            (None, Some(url)) => Source::Url {
                url: url
                    .parse()
                    .map_err(|error| format!("sasl.oauthbearer_jwks_url: {error}"))?,
                tls: TlsConnector::from(tls::client(
                    "sasl.oauthbearer_ca_path",
                    config.oauthbearer_ca_path.as_deref(),
                )?),
            },
            (None, None) => return Ok(None),
        };
        let first = match source.read().await {
            Ok(first) => first,
            // A file is ours to be right; who publishes keys may be down just now.
            Err(why) if matches!(source, Source::File(_)) => {
                return Err(format!("sasl.oauthbearer_jwks_path: {why}"));
            }
            Err(why) => {
                warn!(%why, "the keys of tokens can't be fetched yet (sasl.oauthbearer_jwks_url)");
                JwkSet { keys: Vec::new() }
            }
        };
        let refresh = Duration::from_millis(config.oauthbearer_jwks_refresh_ms);
        let shared = Arc::new(Shared {
            source,
            look_interval: LOOK_INTERVAL.min(refresh),
            current: RwLock::new(Arc::new(first)),
            looked: Mutex::new(Instant::now()),
        });
        let refreshing = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                loop {
                    sleep(refresh).await;
                    let mut looked = shared.looked.lock().await;
                    shared.look().await;
                    *looked = Instant::now();
                }
            }
        });
        Ok(Some(Self {
            shared,
            _refreshing: Some(AbortOnDropHandle::new(refreshing)),
        }))
    }

    /// These, and no others.
    pub(super) fn fixed(keys: JwkSet) -> Self {
        Self {
            shared: Arc::new(Shared {
                source: Source::Fixed,
                look_interval: LOOK_INTERVAL,
                current: RwLock::new(Arc::new(keys)),
                looked: Mutex::new(Instant::now()),
            }),
            _refreshing: None,
        }
    }

    /// The keys; after another look, if this one isn't among them.
    pub(super) async fn with(&self, key_id: Option<&str>) -> Arc<JwkSet> {
        let shared = &self.shared;
        let has_it = |keys: &JwkSet| match key_id {
            Some(id) => keys.find(id).is_some(),
            None => !keys.keys.is_empty(),
        };
        let current = shared.current();
        if has_it(&current) {
            return current;
        }
        let mut looked = shared.looked.lock().await;
        // Somebody else may have looked meanwhile.
        if looked.elapsed() >= shared.look_interval && !has_it(&shared.current()) {
            shared.look().await;
            *looked = Instant::now();
        }
        shared.current()
    }
}

impl Shared {
    fn current(&self) -> Arc<JwkSet> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }

    async fn look(&self) {
        match self.source.read().await {
            Ok(keys) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
            }
            Err(why) => {
                warn!(%why, "the keys of tokens can't be read again; those of before serve on")
            }
        }
    }
}

impl Source {
    async fn read(&self) -> Result<JwkSet, String> {
        let bytes = match self {
            Self::Fixed => return Err("there is nowhere to look".to_owned()),
            Self::File(path) => {
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || {
                    let bytes = std::fs::metadata(&path)
                        .map_err(|error| error.to_string())?
                        .len();
                    match bytes > BYTES_MAX as u64 {
                        true => Err(format!("{bytes} bytes are more than {BYTES_MAX}")),
                        false => std::fs::read(&path).map_err(|error| error.to_string()),
                    }
                });
                read.await.map_err(|error| error.to_string())??.into()
            }
            Self::Url { url, tls } => timeout(FETCH_TIMEOUT, fetch(url, tls))
                .await
                .map_err(|_| format!("nothing in {FETCH_TIMEOUT:?}"))??,
        };
        serde_json::from_slice(&bytes)
            .map_err(|error| format!("it is no JSON Web Key Set: {error}"))
    }
}

/// Gets what is at a URL.
async fn fetch(url: &Uri, tls: &TlsConnector) -> Result<Bytes, String> {
    let words = |error: &dyn std::error::Error| error.to_string();
    let host = url.host().ok_or("the URL has no host")?;
    let is_https = url.scheme_str() == Some("https");
    let port = url.port_u16().unwrap_or(if is_https { 443 } else { 80 });
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let socket = TcpStream::connect((bare, port))
        .await
        .map_err(|error| words(&error))?;
    if !is_https {
        return get(socket, url).await;
    }
    let name = ServerName::try_from(bare.to_owned()).map_err(|error| words(&error))?;
    let stream = tls
        .connect(name, socket)
        .await
        .map_err(|error| words(&error))?;
    get(stream, url).await
}

async fn get<S>(stream: S, url: &Uri) -> Result<Bytes, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let words = |error: &dyn std::error::Error| error.to_string();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| words(&error))?;
    // It ends with this, also if nothing comes.
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let target = url.path_and_query().map_or("/", |target| target.as_str());
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let request = Request::get(target)
        .header(HOST, authority)
        .header(ACCEPT, "application/json")
        .body(Empty::<Bytes>::new())
        .map_err(|error| words(&error))?;
    let answer = sender
        .send_request(request)
        .await
        .map_err(|error| words(&error))?;
    if answer.status() != StatusCode::OK {
        return Err(format!("it answers {}", answer.status()));
    }
    let body = Limited::new(answer.into_body(), BYTES_MAX).collect().await;
    body.map(|body| body.to_bytes())
        .map_err(|error| error.to_string())
}
