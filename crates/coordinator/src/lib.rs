//! Kafka's consumer groups as pure state machines.
//!
//! No clock, no socket, no task: requests and the time go in, answers and facts come out.
//!
//! * [`Groups`]: consumer groups and their offsets. A request of Kafka's goes into the method of its
//!   name; [`Groups::tick`] does what is due at [`Groups::next_deadline_ms`].
//! * [`Output`]: what is to be done. Answers to those that waited, by their [`Ticket`]s, and
//!   [`Fact`]s to be made durable first.
//! * [`Fact`]: a key and its value, the last of which counts. [`Groups::apply`] takes them back after
//!   a restart.
//!
//! # What is deliberately absent
//! No I/O, no clock, no randomness, no `unsafe`, and no knowledge of topics but by what a caller says
//! of them.

#![forbid(unsafe_code)]

mod codec;
mod config;
mod error;
mod fact;
mod groups;
mod output;
mod timers;

pub use config::GroupConfig;
pub use error::{DecodeError, Error};
pub use fact::Fact;
pub use groups::{Groups, Known};
pub use output::{Answer, Caller, Output, Ticket};
