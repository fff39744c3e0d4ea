//! The embedded registry: Confluent's REST API over a [`Journal`].
//!
//! All state is a fold over facts ([`facts`]), held in memory to be read and written through the
//! journal before it is answered for. Reads take a lock for as long as it takes to copy pointers;
//! writes happen one after another.

mod access;
mod api_error;
mod check;
mod facts;
mod lookup;
mod names;
mod query;
mod register;
mod routes;
mod schemas;
mod serve;
mod settings;
mod state;
mod subjects;
mod tls;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Body;
use hyper::{Request, Response};
use metrics::counter;
use tokio::sync::Mutex;

pub use self::access::User;
use self::api_error::ApiError;
pub use self::facts::Compatibility;
use self::facts::Fact;
use self::register::Allocator;
pub use self::serve::{serve, serve_tls};
use self::state::State;
pub use self::tls::ServerTls;
use crate::journal::{Journal, JournalError};
use crate::schema::Schema;

/// Limits and defaults of an embedded registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedConfig {
    /// The compatibility level of subjects as long as nobody sets another.
    pub compatibility: Compatibility,
    /// Who may use the registry, by HTTP basic authentication; everybody, if nobody is named.
    pub users: Vec<User>,
    /// The Kafka cluster's id, for clients that ask which cluster the registry belongs to.
    pub cluster_id: Option<String>,
    /// Longest request body.
    pub request_bytes_max: usize,
    /// Time for a request's head, and again for its body, to arrive.
    pub request_timeout: Duration,
    /// Bytes of facts held in all; a write that would go beyond is refused.
    pub state_bytes_max: usize,
    /// Versions one subject may have, deleted ones included.
    pub versions_max: usize,
    /// Connections served at once; more wait to be accepted.
    pub connections_max: usize,
    /// Time that open requests are given when the registry shuts down.
    pub shutdown_timeout: Duration,
}

impl Default for EmbeddedConfig {
    fn default() -> EmbeddedConfig {
        EmbeddedConfig {
            compatibility: Compatibility::Backward,
            users: Vec::new(),
            cluster_id: None,
            request_bytes_max: 4 << 20,
            request_timeout: Duration::from_secs(30),
            state_bytes_max: 256 << 20,
            versions_max: 10_000,
            connections_max: 1_024,
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

/// Why an embedded registry couldn't be opened or served.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A certificate or key can't be used.
    #[error("the registry can't be served over TLS: {0}")]
    Tls(String),
    /// The journal failed to load.
    #[error("the registry's journal can't be loaded: {0}")]
    Journal(#[source] JournalError),
    /// The journal holds something that is no fact of a registry, or of one of a later version.
    #[error("the registry's journal holds a fact that can't be read, {key:?}: {why}")]
    Fact {
        /// The fact's key.
        key: String,
        /// What is wrong with it.
        why: String,
    },
}

/// A schema registry in this process. Clones are the same registry.
#[derive(Clone)]
pub struct Embedded {
    inner: Arc<Inner>,
}

struct Inner {
    config: EmbeddedConfig,
    journal: Arc<dyn Journal>,
    state: RwLock<State>,
    /// Whoever holds it writes.
    writer: Mutex<Allocator>,
}

impl Embedded {
    /// Opens the registry whose facts are in `journal`, with default limits.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(journal: Arc<dyn Journal>) -> Result<Embedded, OpenError> {
        Embedded::open_with(journal, EmbeddedConfig::default()).await
    }

    /// Opens the registry whose facts are in `journal`.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open_with(
        journal: Arc<dyn Journal>,
        config: EmbeddedConfig,
    ) -> Result<Embedded, OpenError> {
        let mut state = State::new(config.compatibility);
        for (key, value) in journal.load().await.map_err(OpenError::Journal)? {
            match Fact::decode(&key, &value) {
                Ok(fact) => state.apply(fact),
                Err(why) => return Err(OpenError::Fact { key, why }),
            }
        }
        let writer = Mutex::new(Allocator::new(&state));
        let inner = Inner {
            config,
            journal,
            state: RwLock::new(state),
            writer,
        };
        Ok(Embedded {
            inner: Arc::new(inner),
        })
    }

    /// The schema with this id, with all it refers to.
    ///
    /// Unlike the REST API, this knows permanently deleted schemas too: records written with one may
    /// still be waiting to be read.
    pub fn schema(&self, id: u32) -> Option<Arc<Schema>> {
        let found = self.state().schema(id).map(Arc::new);
        // All of it is in memory; what isn't there is the miss.
        match found {
            Some(_) => counter!("kafka_schema_cache_hits").increment(1),
            None => counter!("kafka_schema_cache_misses").increment(1),
        }
        found
    }

    /// Answers one HTTP request.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        routes::handle(self, request).await
    }

    fn config(&self) -> &EmbeddedConfig {
        &self.inner.config
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.inner
            .state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a fact if there is room for it. The caller holds the writer.
    async fn write(&self, fact: Fact) -> Result<(), ApiError> {
        let (key, value) = fact.encode()?;
        let new = key.len() + value.as_ref().map_or(0, Bytes::len);
        let (held, old) = {
            let state = self.state();
            (state.bytes(), state.length(&key))
        };
        let most = self.config().state_bytes_max;
        if new > old && held.saturating_add(new - old) > most {
            return Err(ApiError::too_large(format!(
                "the registry is full: {held} of {most} bytes are in use, {} more are needed",
                new - old
            )));
        }
        self.put(fact, key, value).await
    }

    /// Writes a fact that takes something away, and so is let through where there is no room.
    async fn write_removal(&self, fact: Fact) -> Result<(), ApiError> {
        let (key, value) = fact.encode()?;
        self.put(fact, key, value).await
    }

    /// Writes a fact, durably, and only then lets it be seen.
    async fn put(&self, fact: Fact, key: String, value: Option<Bytes>) -> Result<(), ApiError> {
        if let Err(error) = self.inner.journal.put(key, value).await {
            tracing::error!(%error, "a fact couldn't be written to the registry's journal");
            return Err(ApiError::store(&*error));
        }
        self.inner
            .state
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .apply(fact);
        Ok(())
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}
