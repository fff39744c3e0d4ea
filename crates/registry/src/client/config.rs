//! How to reach a registry.

use std::path::PathBuf;
use std::time::Duration;

use crate::secret::Secret;

/// Credentials for the registry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Auth {
    /// None, but for user information a URL may carry (`https://user:password@host`).
    #[default]
    None,
    /// HTTP basic. User information in a URL goes before it, for that URL.
    Basic {
        /// The user, or the API key.
        user: String,
        /// The password, or the API secret.
        password: Secret,
    },
    /// A bearer token, sent as it is.
    Bearer(Secret),
}

/// TLS, for `https` URLs. The server is always verified, against the system's roots and `ca_file`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// A PEM file of certificate authorities trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// A PEM file with the client's certificate chain; needs `key_file`.
    pub certificate_file: Option<PathBuf>,
    /// A PEM file with the client's private key, not encrypted.
    pub key_file: Option<PathBuf>,
}

/// How often and how patiently to ask again after a passing failure (no connection, a timeout,
/// statuses 408, 429, 500, 502, 503 and 504).
///
/// A round asks each URL once, beginning with the one that answered last. Between rounds the client
/// waits a random time between nothing and `backoff_min` doubled at every round, at most
/// `backoff_max`; a `Retry-After` is waited for, up to `backoff_max`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Rounds over all URLs, at least 1.
    pub rounds_max: u32,
    /// Upper bound of the first wait.
    pub backoff_min: Duration,
    /// Upper bound of every wait.
    pub backoff_max: Duration,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry {
            rounds_max: 4,
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(2),
        }
    }
}

/// What to hold in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheConfig {
    /// Bytes of schema text held; the least recently used go first. A schema never changes under its
    /// id, so it is held until then.
    pub bytes_max: u64,
    /// How long "there is no such schema" is held. Short, since the schema may be registered next.
    pub missing_ttl: Duration,
}

impl Default for CacheConfig {
    fn default() -> CacheConfig {
        CacheConfig {
            bytes_max: 64 << 20,
            missing_ttl: Duration::from_secs(1),
        }
    }
}

/// Configuration of a [`Client`](crate::Client).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// Base URLs, `http` or `https`, of registries that hold the same schemas; at least one. A path
    /// is kept as a prefix. User information is taken as basic credentials and shown nowhere.
    pub urls: Vec<Secret>,
    /// Credentials.
    pub auth: Auth,
    /// TLS.
    pub tls: Tls,
    /// Time for a TCP connection to be made.
    pub connect_timeout: Duration,
    /// Time for one request, from connecting to the last byte of the answer.
    pub request_timeout: Duration,
    /// Longest body of an answer; also the most text a schema may have with all its references.
    pub response_bytes_max: usize,
    /// Redirects followed for one request; 0 refuses them. Only within one scheme, host and port:
    /// credentials go nowhere else.
    pub redirects_max: u32,
    /// Retries.
    pub retry: Retry,
    /// Cache.
    pub cache: CacheConfig,
    /// Most schemas one schema may refer to, directly or not.
    pub references_max: usize,
    /// Longest chain of references.
    pub references_depth_max: usize,
}

impl ClientConfig {
    /// The defaults, for one URL or several separated by commas.
    pub fn new(urls: &str) -> ClientConfig {
        let urls = urls
            .split(',')
            .map(str::trim)
            .filter(|url| !url.is_empty())
            .map(Secret::from);
        ClientConfig {
            urls: urls.collect(),
            ..ClientConfig::default()
        }
    }
}

impl Default for ClientConfig {
    fn default() -> ClientConfig {
        ClientConfig {
            urls: Vec::new(),
            auth: Auth::None,
            tls: Tls::default(),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            response_bytes_max: 8 << 20,
            redirects_max: 3,
            retry: Retry::default(),
            cache: CacheConfig::default(),
            references_max: 256,
            references_depth_max: 32,
        }
    }
}
