//! Kafka's wire protocol, sans-I/O: bytes to typed messages and back.
//!
//! Nothing here opens a socket. Bytes go in, typed messages come out ([`decode_request`],
//! [`decode_response`]); messages go in, a [`Frame`] comes out ([`encode_request`],
//! [`encode_response`]). What is decoded borrows from the frame: every string, byte array and
//! records payload is a reference-counted slice of the `Bytes` it arrived in.
//!
//! * [`messages`]: one file per API, each the only place that says the message's fields, in which
//!   versions they exist, and what they default to. Struct, codec, [`shape`] and documentation
//!   come from it (`docs/adr/0001-wire-message-declarations.md`).
//! * [`FrameDecoder`], [`RequestHeader`], [`ResponseHeader`]: what surrounds a message.
//! * [`records`]: batches, read and written, in all formats and codecs.
//! * [`Limits`]: every count and length is checked against the bytes that are left and against a
//!   configured bound before anything is allocated for it.
//!
//! # What is deliberately absent
//! No I/O, no clock, no `unsafe`, no state (but a Zstandard context that each thread keeps), and no
//! knowledge of what a broker serves: that is the server's to say.

#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod api_key;
#[macro_use]
mod declare;
mod error;
mod error_code;
mod field;
mod frame;
mod header;
mod limits;
pub mod messages;
mod payload;
mod primitives;
mod reader;
pub mod records;
pub mod shape;
mod tagged;
mod version;
mod writer;

pub use api_key::ApiKey;
pub use error::{BatchFault, Error, Fault, Result};
pub use error_code::ErrorCode;
pub use field::Field;
pub use frame::{Frame, FrameDecoder};
pub use header::{RequestHeader, ResponseHeader};
pub use limits::Limits;
pub use messages::{
    Message, Request, RequestBody, ResponseBody, decode_request, decode_response, encode_request,
    encode_response,
};
pub use payload::Payload;
pub use reader::Reader;
pub use tagged::TaggedFields;
pub use version::{Version, Versions};
pub use writer::Writer;

/// A string of a message: UTF-8 checked, a slice of the frame it came in, cheap to clone, and a
/// `str` when dereferenced.
///
/// It keeps its whole frame alive. What outlives the request is better copied:
/// `Str::from(&*name)`.
pub use bytestring::ByteString as Str;

pub use uuid::Uuid;
