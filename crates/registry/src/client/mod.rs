//! The client: schemas by id from a registry over HTTP, cached, each fetched once.

mod config;
mod endpoint;
mod fetch;
mod lookup;
mod tls;
mod transport;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Method;
use metrics::counter;
use moka::Expiry;
use moka::future::Cache;
use serde_json::Value;

pub use self::config::{Auth, CacheConfig, ClientConfig, Retry, Tls};
use self::transport::Transport;
use crate::error::RegistryError;
use crate::schema::{NewSchema, Reference, Schema, SubjectVersion};

/// What an entry costs besides its text: key, counters, pointers.
const ENTRY_OVERHEAD_BYTES: usize = 256;

/// A registry client. Clones share one cache and one pool of connections.
///
/// However many callers ask for a schema at once, one request is sent. Schemas are held as
/// [`CacheConfig`] says; failures to reach a registry are not held at all.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    transport: Transport,
    config: ClientConfig,
    schemas: Cache<u32, Entry>,
    /// Texts of subject versions, for references: like ids, they never change.
    versions: Cache<Reference, Arc<fetch::Fetched>>,
}

#[derive(Clone)]
enum Entry {
    Found(Arc<Schema>),
    Missing(RegistryError),
}

/// Found schemas stay until there is no room; missing ones expire.
struct MissingExpires(Duration);

impl Expiry<u32, Entry> for MissingExpires {
    fn expire_after_create(&self, _: &u32, entry: &Entry, _: Instant) -> Option<Duration> {
        match entry {
            Entry::Found(_) => None,
            Entry::Missing(_) => Some(self.0),
        }
    }
}

impl Client {
    /// A client for the registries in `config`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`RegistryError::Configuration`] where a URL, a credential or a certificate can't be used.
    pub fn new(config: ClientConfig) -> Result<Client, RegistryError> {
        let transport = Transport::new(config.clone())?;
        let weight = |bytes: usize| u32::try_from(bytes + ENTRY_OVERHEAD_BYTES).unwrap_or(u32::MAX);
        let schemas = Cache::builder()
            .max_capacity(config.cache.bytes_max)
            .weigher(move |_: &u32, entry: &Entry| match entry {
                Entry::Found(schema) => weight(schema.text_bytes()),
                Entry::Missing(_) => weight(0),
            })
            .expire_after(MissingExpires(config.cache.missing_ttl))
            .build();
        let versions = Cache::builder()
            .max_capacity(config.cache.bytes_max)
            .weigher(move |_: &Reference, fetched: &Arc<fetch::Fetched>| weight(fetched.text.len()))
            .build();
        Ok(Client {
            inner: Arc::new(Inner {
                transport,
                config,
                schemas,
                versions,
            }),
        })
    }

    /// The schema with this id, and all it refers to.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] where the registry has none (and for
    /// [`CacheConfig::missing_ttl`] after that); any other error is told to those who waited and then
    /// forgotten, so that the next call asks again.
    pub async fn schema(&self, id: u32) -> Result<Arc<Schema>, RegistryError> {
        if let Some(entry) = self.inner.schemas.get(&id).await {
            counter!("kafka_schema_cache_hits").increment(1);
            return entry.into_result();
        }
        counter!("kafka_schema_cache_misses").increment(1);
        let inner = &self.inner;
        let entry = inner
            .schemas
            .try_get_with(id, async { inner.entry(id).await })
            .await;
        // What has to make room goes now, not some time later: what it gives back may be megabytes.
        inner.schemas.run_pending_tasks().await;
        match entry {
            Ok(entry) => entry.into_result(),
            Err(error) => Err(RegistryError::clone(&error)),
        }
    }

    /// The schema with this id if it is at hand; sends nothing.
    pub async fn cached(&self, id: u32) -> Option<Arc<Schema>> {
        match self.inner.schemas.get(&id).await {
            Some(Entry::Found(schema)) => Some(schema),
            Some(Entry::Missing(_)) | None => None,
        }
    }

    /// One version of a subject, deleted ones too; `None` is the latest, which is never cached.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] where there is no such subject or version.
    pub async fn version(
        &self,
        subject: &str,
        version: Option<i32>,
    ) -> Result<SubjectVersion, RegistryError> {
        self.inner.subject_version(subject, version).await
    }

    /// Registers a schema under a subject and gives its id; the id it has, if it is there already.
    ///
    /// # Errors
    /// [`RegistryError::Refused`] where the schema is invalid or not compatible.
    pub async fn register(&self, subject: &str, schema: &NewSchema) -> Result<u32, RegistryError> {
        self.inner.register(subject, schema).await
    }

    /// The version under which a subject has this schema.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] where the subject has no such schema.
    pub async fn look_up(
        &self,
        subject: &str,
        schema: &NewSchema,
    ) -> Result<SubjectVersion, RegistryError> {
        self.inner.look_up(subject, schema).await
    }

    /// Sends what has no method of its own here, and gives the answer's JSON.
    pub(crate) async fn ask(
        &self,
        (method, what): (Method, &str),
        segments: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, RegistryError> {
        self.inner.ask(method, what, segments, query, body).await
    }

    /// All subjects that aren't deleted.
    pub async fn subjects(&self) -> Result<Vec<String>, RegistryError> {
        self.inner.subjects().await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("urls", &self.inner.transport.endpoints())
            .finish()
    }
}

impl Inner {
    async fn entry(&self, id: u32) -> Result<Entry, RegistryError> {
        match self.schema(id).await {
            Ok(schema) => Ok(Entry::Found(Arc::new(schema))),
            Err(error @ RegistryError::NotFound { .. }) => Ok(Entry::Missing(error)),
            Err(error) => Err(error),
        }
    }
}

impl Entry {
    fn into_result(self) -> Result<Arc<Schema>, RegistryError> {
        match self {
            Entry::Found(schema) => Ok(schema),
            Entry::Missing(error) => Err(error),
        }
    }
}
