//! Protobuf messages: each becomes an Avro row, and the columns are made from those.
//!
//! ```
//! use fletch_columnar::protobuf::{MessagePath, Schema};
//! use fletch_columnar::{Decoder, Limits, Options, Transcoder};
//!
//! let schema = Schema::parse(
//!     r#"syntax = "proto3"; message Click { string page = 1; sint32 shift = 2; }"#,
//!     &[],
//! )?;
//! let mut writer = schema.writer(MessagePath::FIRST, Limits::default())?;
//! let mut decoder = Decoder::new(writer.schema(), Options::default())?;
//! decoder.add_writer(7, writer.schema())?;
//!
//! let mut row = Vec::new();
//! writer.transcode(&[0x0a, 2, b'h', b'i', 0x10, 3], &mut row)?;
//! let decoded = decoder.decode(&[&row]);
//! assert_eq!(decoded.batch.num_rows(), 1);
//!
//! let misfit = writer.transcode(&[0x0a, 9, b'h'], &mut row).unwrap_err();
//! assert_eq!(misfit.to_string(), "page, byte 2: a length of 9 with 1 bytes left");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What becomes of which type
//!
//! | Protobuf | column |
//! |---|---|
//! | `int32`, `sint32`, `sfixed32` | int |
//! | `uint32`, `fixed32`, `int64`, `sint64`, `sfixed64` | long |
//! | `uint64`, `fixed64` | decimal(20, 0) |
//! | `float`, `double`, `bool`, `bytes` | the same |
//! | `string` | text; must be UTF-8, whatever the version of the language |
//! | an enum | text: the value's name, or the digits of a number that has none |
//! | a message, a group | a struct |
//! | `repeated`, packed or not | a list |
//! | `map` | a map whose keys are text; a key sent twice has its last value |
//! | `google.protobuf.Timestamp` | a timestamp of microseconds in UTC; smaller parts are cut off |
//! | `google.protobuf.Duration` | decimal(21, 9): seconds |
//! | `Int32Value` and the other wrappers | what they wrap, or null |
//! | `Struct`, `Value`, `ListValue`, `Any`, `FieldMask` | Protobuf's canonical JSON, as text |
//! | a message in itself, however deep | JSON text, from where it comes round again |
//! | `confluent.type.Decimal`, `google.type.Date` and other messages of such files | the struct they are |
//! | a message without fields | a struct without fields (in Iceberg: a boolean, true where it is there) |
//!
//! Columns are in the order of the field numbers. What Protobuf can tell to be absent can be null:
//! `optional` fields, members of a `oneof` (each is a column), messages. What it can't is the
//! type's zero where it isn't sent. The default of an `optional` field isn't put in the place of
//! null. A message without one of its `required` fields is refused.
//!
//! Numbers that a closed enum (one of the language's second version) doesn't have count as unknown
//! fields, as the specification asks: the field is absent, the list has no such item, the map no
//! such entry. Unknown fields, extensions among them, are skipped; but they must be well-formed.
//!
//! # What is refused
//!
//! What isn't well-formed: numbers of more than 64 bits, lengths beyond the end, groups that don't
//! match, text that isn't UTF-8, timestamps and durations that their types don't allow. And a value
//! of another wire type than its field's: the specification would have it be an unknown field, but
//! then the writer's field isn't the schema's, and that should not pass in silence.

mod align;
mod compile;
mod entries;
mod fault;
mod files;
mod gather;
mod imports;
mod json;
mod options;
mod path;
mod plan;
mod schema;
mod stream;
mod value;
mod wire;
mod writer;

pub use files::{Texts, descriptor_set, imports};
pub use path::{MessagePath, may_lack_path, message_path};
pub use schema::{Schema, SchemaError};
pub use writer::Writer;
