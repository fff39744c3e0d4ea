//! Where schemas come from.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use uuid::Uuid;

/// A future that is boxed, so that [`SchemaSource`] can be a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Answers what a schema id stands for: a schema registry, as seen from here.
///
/// Called once for each id a topic's records carry, and again while the answer is an error;
/// caching and sharing of requests are the implementation's. One that knows schemas by their ids
/// only leaves the other questions as they are: it has none.
pub trait SchemaSource: Send + Sync {
    /// The schema with this id.
    fn schema(&self, id: u32) -> BoxFuture<'_, Result<Arc<SchemaText>, SchemaSourceError>>;

    /// The schema with this GUID, by which serializers name it that put it into a header.
    fn by_guid(&self, guid: Uuid) -> BoxFuture<'_, Result<Arc<SchemaText>, SchemaSourceError>> {
        let _ = guid;
        Box::pin(std::future::ready(Err(SchemaSourceError::NotFound)))
    }

    /// The latest schema of a subject.
    fn latest<'a>(
        &'a self,
        subject: &'a str,
    ) -> BoxFuture<'a, Result<Arc<SchemaText>, SchemaSourceError>> {
        let _ = subject;
        Box::pin(std::future::ready(Err(SchemaSourceError::NotFound)))
    }
}

/// A schema as registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaText {
    /// The id it is registered under, where it isn't what was asked by.
    pub id: Option<u32>,
    /// The language it is written in.
    pub kind: SchemaKind,
    /// The schema itself.
    pub text: String,
    /// The schemas it refers to, each after those it refers to itself: what it calls them (an Avro
    /// full name, a Protobuf import, a JSON Schema URI), and their texts.
    pub references: Vec<(String, String)>,
}

/// The language of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaKind {
    /// Apache Avro.
    Avro,
    /// JSON Schema.
    Json,
    /// Protocol Buffers.
    Protobuf,
}

/// Why there is no schema.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaSourceError {
    /// The registry answered: it has no such schema.
    #[error("there is no such schema")]
    NotFound,
    /// The registry gave no answer; it may give one later.
    #[error("the schema registry is not available: {0}")]
    Unavailable(String),
}
