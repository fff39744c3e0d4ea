//! Schema ids to schemas: a caching client, and an embedded Confluent-compatible registry.

#![forbid(unsafe_code)]

mod avro;
mod client;
mod embedded;
mod error;
mod journal;
mod pem;
mod rest;
mod schema;
mod secret;

pub use client::{Auth, CacheConfig, Client, ClientConfig, Retry, Tls};
pub use embedded::{
    Compatibility, Embedded, EmbeddedConfig, OpenError, ServerTls, User, serve, serve_tls,
};
pub use error::{Answer, RegistryError};
pub use journal::{Journal, JournalError, MemoryJournal};
pub use schema::{NewSchema, Reference, ReferencedSchema, Schema, SchemaKind, SubjectVersion};
pub use secret::Secret;
