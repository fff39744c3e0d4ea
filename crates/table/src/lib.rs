//! Topics as Iceberg tables: columns to Parquet, committed exactly once.
//!
//! [`Tables`] keeps one Iceberg table (format version 2) for each topic of a
//! [`Store`](fletch_store::Store): it reads the topic's log, decodes its records, whatever format
//! they are found to be in, with [`fletch_columnar`], writes zstd-compressed Parquet, and commits about once a second
//! to a local warehouse with a SQLite catalog that PyIceberg, DuckDB, Polars, Spark and others read.
//!
//! * The log is the truth, the table is derived from it. What the table has taken (the next offset of
//!   every partition) is recorded in each of its snapshots, and nowhere else.
//! * A commit is fenced by those offsets: a crash at any moment, a lost race or an unknown outcome
//!   neither loses a record nor repeats one. `docs/adr/0005-tables-and-commits.md` says how.
//! * Every row tells where it came from, by the columns in [`lineage`].
//! * A record that can't become a row goes to the topic's dead letters ([`dead_letter`]), byte for
//!   byte, with the reason, once. No record ever stops a topic.
//!
//! # What is deliberately absent
//!
//! No connection to a client, no registry (a [`SchemaSource`] is asked), no state of its own on disk
//! besides the tables, and no queue: a topic that falls behind is read from the log.
//!
//! # Metrics
//!
//! `kafka_conversion_duration_seconds`, `kafka_batch_size`, `kafka_table_commits`,
//! `kafka_table_records`, `kafka_table_commit_duration_seconds`, `kafka_table_files`,
//! `kafka_table_files_merged`, `kafka_table_lag_records`, `kafka_table_lag_seconds`,
//! `kafka_table_waits_for_registry`, by `topic` where
//! that makes sense, `kafka_dead_letters` and `kafka_raw_records` by `topic` and `reason`.

#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod adapter;
mod catalog;
mod check;
mod commit;
mod compaction;
mod config;
mod convert;
mod data_file;
pub mod dead_letter;
mod dead_letters;
mod encodings;
mod error;
#[doc(hidden)]
pub mod faults;
mod files;
mod format;
mod garbage;
mod hint;
mod holds;
mod home;
mod incoming;
mod letters;
pub mod lineage;
mod manifests;
mod merge;
mod nesting;
mod offsets;
mod schema;
mod schema_files;
mod schemas;
pub mod settings;
mod source;
mod stats;
mod status;
mod tables;
mod worker;

pub use check::Invalid;
pub use config::TableConfig;
pub use convert::detect::{Frame, Role, SchemaName};
pub use error::TableError;
pub use format::Format;
pub use settings::TopicSettings;
pub use source::{BoxFuture, SchemaKind, SchemaSource, SchemaSourceError, SchemaText};
pub use status::TopicStatus;
pub use tables::Tables;

/// The README's example is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
