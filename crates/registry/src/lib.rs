//! Schema ids to schemas: a caching client, and an embedded Confluent-compatible registry.

#![forbid(unsafe_code)]

mod avro;
mod client;
mod embedded;
mod error;
mod journal;
mod rest;
mod schema;

pub use client::{Auth, CacheConfig, Client, ClientConfig, Retry, Secret, Tls};
pub use embedded::{Compatibility, Embedded, EmbeddedConfig, OpenError, serve};
pub use error::{Answer, RegistryError};
pub use journal::{Journal, JournalError, MemoryJournal};
pub use schema::{NewSchema, Reference, ReferencedSchema, Schema, SchemaKind, SubjectVersion};
