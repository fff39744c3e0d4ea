//! Kafka's consumer groups and transactions as pure state machines.
//!
//! No clock, no socket, no task: requests and the time go in, answers and facts come out.
//!
//! * [`Groups`]: consumer groups and their offsets. A request of Kafka's goes into the method of its
//!   name; [`Groups::tick`] does what is due at [`Groups::next_deadline_ms`].
//! * [`Output`]: what is to be done. Answers to those that waited, by their [`Ticket`]s, and
//!   [`Fact`]s to be made durable first.
//! * [`Transactions`]: transactional ids and their transactions, in the same way; a
//!   [`TransactionOutput`] has the [`Marker`]s to write.
//! * [`Fact`]: a key and its value, the last of which counts. [`Groups::apply`] and
//!   [`Transactions::apply`] take them back after a restart.
//!
//! # What is deliberately absent
//! No I/O, no clock, no randomness, no `unsafe`, and no knowledge of topics but by what a caller says
//! of them.

#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

/// Compiles the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod codec;
mod config;
mod error;
mod fact;
mod groups;
mod output;
mod timers;
mod transactions;

pub use config::{GroupConfig, MigrationPolicy, TransactionConfig};
pub use error::{DecodeError, Error};
pub use fact::Fact;
pub use groups::{Groups, Known};
pub use output::{Answer, Caller, Output, Ticket};
pub use transactions::{Marker, TransactionOutput, Transactions};
