//! The registry, embedded or outside, as the other rooms see it.

use std::sync::Arc;

use bytes::Bytes;
use fletch_registry::{
    Auth, Client, ClientConfig, Embedded, Journal, JournalError, RegistryError, Schema, SchemaKind,
};
use fletch_store::Store;
use fletch_table::{SchemaSource, SchemaSourceError, SchemaText};
use fletch_wire::Uuid;
use futures_util::future::BoxFuture;
use metrics::{Counter, counter};

use crate::config::RegistryConfig;

/// The room of the log's notes that the embedded registry's facts are in.
const ROOM: &str = "registry";

/// The embedded registry's facts, as notes in the log.
pub(crate) struct LogJournal {
    store: Store,
}

impl LogJournal {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }
}

impl Journal for LogJournal {
    fn put(&self, key: String, value: Option<Bytes>) -> BoxFuture<'_, Result<(), JournalError>> {
        Box::pin(async move { Ok(self.store.put_note(ROOM, &key, value).await?) })
    }

    fn load(&self) -> BoxFuture<'_, Result<Vec<(String, Bytes)>, JournalError>> {
        Box::pin(async move { Ok(self.store.notes(ROOM)) })
    }
}

/// Where tables get the schemas of their records from.
pub(crate) enum Schemas {
    /// The registry in this process; looking up there counts as a cache's work.
    Embedded {
        registry: Embedded,
        hits: Counter,
        misses: Counter,
    },
    /// A registry elsewhere, behind a cache.
    Outside(Client),
    /// None: the embedded one is off, and no other is named.
    Nowhere,
}

impl Schemas {
    /// Those of the embedded registry.
    pub(crate) fn embedded(registry: Embedded) -> Self {
        let (hits, misses) = (
            counter!("kafka_schema_cache_hits"),
            counter!("kafka_schema_cache_misses"),
        );
        Self::Embedded {
            registry,
            hits,
            misses,
        }
    }

    /// Those of the registry that the configuration names, if it names one.
    ///
    /// # Errors
    /// Where a URL, a credential or a certificate can't be used.
    pub(crate) fn configured(config: &RegistryConfig) -> Result<Self, RegistryError> {
        let Some(url) = &config.url else {
            return Ok(Self::Nowhere);
        };
        let mut client = ClientConfig::new(url);
        client.tls.ca_file.clone_from(&config.ca_path);
        client.auth = match (&config.username, &config.password, &config.token) {
            (Some(user), Some(password), _) => Auth::Basic {
                user: user.clone(),
                password: password.reveal().into(),
            },
            (_, _, Some(token)) => Auth::Bearer(token.reveal().into()),
            _ => Auth::None,
        };
        Client::new(client).map(Self::Outside)
    }
}

impl Schemas {
    /// The schema with this id, with all that it refers to.
    pub(crate) async fn by_id(&self, id: u32) -> Result<Arc<Schema>, SchemaSourceError> {
        match self {
            Self::Embedded {
                registry,
                hits,
                misses,
            } => {
                let found = registry.schema(id);
                if found.is_some() { hits } else { misses }.increment(1);
                found.ok_or(SchemaSourceError::NotFound)
            }
            Self::Outside(client) => answer(client.schema(id).await),
            Self::Nowhere => Err(SchemaSourceError::NotFound),
        }
    }

    /// The schema with this GUID.
    pub(crate) async fn by_guid(&self, guid: Uuid) -> Result<Arc<Schema>, SchemaSourceError> {
        match self {
            Self::Embedded { registry, .. } => {
                registry.with_guid(guid).ok_or(SchemaSourceError::NotFound)
            }
            Self::Outside(client) => answer(client.schema_by_guid(guid).await),
            Self::Nowhere => Err(SchemaSourceError::NotFound),
        }
    }

    /// The subjects that have the schema with this id in a version that isn't deleted.
    pub(crate) async fn subjects(&self, id: u32) -> Result<Vec<String>, SchemaSourceError> {
        match self {
            Self::Embedded { registry, .. } => {
                let subjects = registry.users_of(id);
                match subjects.is_empty() && registry.schema(id).is_none() {
                    true => Err(SchemaSourceError::NotFound),
                    false => Ok(subjects),
                }
            }
            Self::Outside(client) => answer(client.subjects_of(id).await),
            Self::Nowhere => Err(SchemaSourceError::NotFound),
        }
    }

    async fn latest_of(&self, subject: &str) -> Result<Arc<Schema>, SchemaSourceError> {
        match self {
            Self::Embedded { registry, .. } => {
                registry.latest(subject).ok_or(SchemaSourceError::NotFound)
            }
            Self::Outside(client) => {
                let version = client.version(subject, None).await;
                answer(version.map(|version| Arc::new(version.schema)))
            }
            Self::Nowhere => Err(SchemaSourceError::NotFound),
        }
    }
}

impl SchemaSource for Schemas {
    fn schema(&self, id: u32) -> BoxFuture<'_, Result<Arc<SchemaText>, SchemaSourceError>> {
        Box::pin(async move {
            let schema = self.by_id(id).await?;
            Ok(text(&schema))
        })
    }

    fn by_guid(&self, guid: Uuid) -> BoxFuture<'_, Result<Arc<SchemaText>, SchemaSourceError>> {
        Box::pin(async move {
            let schema = Schemas::by_guid(self, guid).await?;
            Ok(text(&schema))
        })
    }

    fn latest<'a>(
        &'a self,
        subject: &'a str,
    ) -> BoxFuture<'a, Result<Arc<SchemaText>, SchemaSourceError>> {
        Box::pin(async move {
            let schema = self.latest_of(subject).await?;
            Ok(text(&schema))
        })
    }
}

/// What a registry elsewhere said.
fn answer<T>(answer: Result<T, RegistryError>) -> Result<T, SchemaSourceError> {
    answer.map_err(|error| match error {
        RegistryError::NotFound { .. } => SchemaSourceError::NotFound,
        other => SchemaSourceError::Unavailable(other.to_string()),
    })
}

fn text(schema: &Schema) -> Arc<SchemaText> {
    Arc::new(SchemaText {
        id: Some(schema.id),
        kind: match schema.kind {
            SchemaKind::Avro => fletch_table::SchemaKind::Avro,
            SchemaKind::Json => fletch_table::SchemaKind::Json,
            SchemaKind::Protobuf => fletch_table::SchemaKind::Protobuf,
        },
        text: schema.text.clone(),
        references: schema
            .references
            .iter()
            .map(|reference| (reference.name.clone(), reference.text.clone()))
            .collect(),
    })
}
