//! Schema ids to schemas: a caching client, and an embedded Confluent-compatible registry.
//!
//! Either stands alone. A [`Client`] asks registries over HTTP for the schema behind an id, once, and
//! keeps it. An [`Embedded`] registry holds schemas itself, in whatever [`Journal`] it is given, and
//! answers Confluent's REST API, so that serializers need no other.
//!
//! ```
//! use std::sync::Arc;
//! use fletch_registry::{Client, ClientConfig, Embedded, MemoryJournal, NewSchema, serve};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = Embedded::open(Arc::new(MemoryJournal::new())).await?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let url = format!("http://{}", listener.local_addr()?);
//! tokio::spawn(serve(listener, registry, std::future::pending()));
//!
//! let client = Client::new(ClientConfig::new(&url))?;
//! let id = client.register("clicks-value", &NewSchema::avro(r#""string""#)).await?;
//! assert_eq!(client.schema(id).await?.text, r#""string""#);
//! # Ok(())
//! # }
//! ```
//!
//! # Metrics
//!
//! Told through the [`metrics`] facade:
//!
//! | name | kind | labels |
//! |---|---|---|
//! | `kafka_schema_cache_hits` | counter | |
//! | `kafka_schema_cache_misses` | counter | |
//! | `kafka_registry_client_request_duration_seconds` | histogram | `operation`; `outcome`: `answered`, `refused`, `unavailable` or `invalid` |
//! | `kafka_registry_request_duration_seconds` | histogram | `route`, `status` |

#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod avro;
mod client;
mod difference;
mod embedded;
mod error;
mod import;
mod journal;
mod json;
mod pem;
mod protobuf;
mod record_name;
mod rest;
mod schema;
mod secret;

/// The README's examples, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use client::{Auth, CacheConfig, Client, ClientConfig, Retry, Tls};
pub use embedded::{
    Compatibility, Embedded, EmbeddedConfig, OpenError, ServerTls, User, serve, serve_tls,
};
pub use error::{Answer, RegistryError};
pub use import::{ImportReport, import};
pub use journal::{Journal, JournalError, MemoryJournal};
pub use schema::{NewSchema, Reference, ReferencedSchema, Schema, SchemaKind, SubjectVersion};
pub use secret::Secret;
