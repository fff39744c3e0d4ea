//! Where schemas come from.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// A future that is boxed, so that [`SchemaSource`] can be a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Answers what a schema id stands for: a schema registry, as seen from here.
///
/// Called once for each id a topic's records carry, and again while the answer is an error;
/// caching and sharing of requests are the implementation's.
pub trait SchemaSource: Send + Sync {
    /// The schema with this id.
    fn schema(&self, id: u32) -> BoxFuture<'_, Result<Arc<SchemaText>, SchemaSourceError>>;
}

/// A schema as registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaText {
    /// The language it is written in.
    pub kind: SchemaKind,
    /// The schema itself.
    pub text: String,
    /// Texts of the schemas it refers to, each after those it refers to itself.
    pub references: Vec<String>,
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
    #[error("there is no schema with this id")]
    NotFound,
    /// The registry gave no answer; it may give one later.
    #[error("the schema registry is not available: {0}")]
    Unavailable(String),
}
