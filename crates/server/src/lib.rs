//! The rooms composed: listeners, one handler per API, metrics and admin HTTP.
//!
//! [`Server::start`] takes a [`Config`] and gives a [`Running`] server; everything else is within.
//! The rules of the house are in `docs/ARCHITECTURE.md`; how a connection is served is in
//! [`docs/adr/0006-connections.md`](https://github.com/fletch-rs/fletch/blob/main/docs/adr/0006-connections.md).
#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod addresses;
mod admin;
mod admission;
mod alter_config;
mod auth;
mod authorize;
mod broker;
pub mod config;
mod connection;
mod dead_letters;
mod dispatch;
mod error;
mod fetch_sessions;
#[doc(hidden)]
pub mod fuzzing;
mod groups;
mod handlers;
mod kafka;
mod keeper;
mod lines;
mod listener;
mod message_sets;
mod open_files;
pub mod operator;
mod quotas;
mod registry;
mod server;
mod telemetry;
mod threads;
mod tls;
mod topic_config;
mod transactions;
mod turns;
mod validation;
mod web;

pub use addresses::{Addresses, ListenerAddress};
pub use config::Config;
pub use error::ServerError;
pub use server::{Running, Server};
pub use telemetry::{METRICS, Metric, MetricKind, Scale};
