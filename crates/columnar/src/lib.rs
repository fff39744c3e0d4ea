//! Payload bytes to Arrow columns: one compiled plan per schema.
//!
//! A [`Decoder`] takes Avro rows of any number of writer schemas and makes Arrow record batches of
//! one reader schema. Each operation of a writer's plan runs over a strip of rows before the next
//! one, straight into row-indexed column stores: no value tree, no allocation per record, and a
//! bad row is left out of the batch and reported instead of taking the batch with it.
//!
//! ```
//! use fletch_columnar::{Decoder, Options, avro::Schema};
//!
//! let schema = Schema::parse(
//!     r#"{"type":"record","name":"Click","fields":[
//!         {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
//!         {"name":"page","type":"string"}]}"#,
//!     &[],
//! )?;
//! let mut decoder = Decoder::new(&schema, Options::default())?;
//! decoder.add_writer(7, &schema)?;
//! let good = [0, 0, 0, 0, 7, 2, 4, b'h', b'i'];
//! let bad = [0, 0, 0, 0, 7, 2, 9];
//! let decoded = decoder.decode_framed(&[&good, &bad]);
//! assert_eq!(decoded.batch.num_rows(), 1);
//! assert_eq!(
//!     decoded.errors[0].to_string(),
//!     "row 1, page, byte 6: a length of -5",
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(unsafe_code)]
#![warn(clippy::unwrap_used, clippy::expect_used)]

mod arrays;
pub mod avro;
mod columns;
mod decoder;
mod error;
mod exec;
mod finish;
pub mod json;
mod kernels;
mod layout;
mod lists;
mod options;
mod plan;
#[cfg(feature = "protobuf")]
pub mod protobuf;
mod rows;
mod transcode;
mod walk;

pub use decoder::{Decoded, Decoder, Row};
pub use error::{DecoderError, Reason, ResolveError, RowError};
pub use kernels::InstructionSet;
pub use options::{Limits, Options, Recursion, Types};
pub use transcode::{Misfit, Transcoder};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
