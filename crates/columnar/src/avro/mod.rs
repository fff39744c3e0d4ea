//! Avro schemas: what they say, how they grow, and how a writer's becomes a reader's.

mod default;
mod grow;
mod parse;
mod render;
pub(crate) mod resolve;
mod schema;

pub use grow::{Grown, Incompatible, grow};
pub use parse::SchemaError;
pub use schema::{Schema, SchemaKind};

pub(crate) use default::encode_default;
pub(crate) use schema::{Field, Kind, Logical, Name, RecordType, Type, TypeId};
