//! The commit log: topics, partitions, offsets and producers as a fold over one ordered, durable
//! log.
//!
//! Every fact is an entry: a batch was produced, a topic created, a note put, a partition
//! trimmed. Entries of all partitions share one log, and one flush to disk makes durable whatever
//! has gathered since the last (group commit). What the store knows is computed by applying the
//! entries in order and by nothing else; a restart loads a checkpoint and applies the rest.
//!
//! [`Store`] is the way in. [`Storage`] is what the log stands on: a local directory, or
//! something of one's own.

#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

/// Compiles the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod batch;
mod codec;
mod config;
mod error;
mod log;
mod shared;
mod state;
mod store;
mod topic;
mod watch;

pub use batch::{PATCHED_BYTES, StoredBatch};
pub use config::{Clock, StoreConfig};
pub use error::{AppendError, ReadError, StoreError};
pub use log::storage::{Appender, ListedSegment, Storage};
pub use state::{Appended, OpenTransaction, ProducerState};
pub use store::{AbortedTransaction, Compacted, Retained, Store, Ticket, Watermarks};
pub use topic::{
    NewTopic, PARTITIONS_MAX, RETENTION_MS_DEFAULT, TOPIC_NAME_BYTES_MAX, Topic,
    validate_topic_name,
};
