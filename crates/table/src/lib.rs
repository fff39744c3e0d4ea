//! Topics as Iceberg tables: columns to Parquet, committed exactly once.

mod adapter;
mod catalog;
mod commit;
mod compaction;
mod config;
mod convert;
mod data_file;
pub mod dead_letter;
mod dead_letters;
mod error;
#[doc(hidden)]
pub mod faults;
mod files;
mod garbage;
mod hint;
mod home;
mod incoming;
pub mod lineage;
mod manifests;
mod merge;
mod offsets;
mod schema;
mod schemas;
mod source;
mod stats;
mod status;
mod tables;
mod worker;

pub use config::TableConfig;
pub use error::TableError;
pub use source::{BoxFuture, SchemaKind, SchemaSource, SchemaSourceError, SchemaText};
pub use status::TopicStatus;
pub use tables::Tables;
