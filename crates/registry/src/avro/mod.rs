//! Avro schemas as the registry needs them: parsed, told apart, compared; never decoded with.
//!
//! A parsed schema is a flat list of nodes that refer to each other by position, so that a recursive
//! type is an ordinary one, and a logical type is an annotation that changes nothing about how bytes
//! are resolved. [`parse`] checks what the specification demands, [`render`] writes the one spelling
//! that equal schemas share, and [`compatibility`] applies the rules of schema resolution.

pub(crate) mod compatibility;
mod default;
mod name;
mod parse;
mod render;

use std::collections::BTreeMap;

use serde_json::Value;

pub(crate) use self::parse::parse;
pub(crate) use self::render::{render, render_resolved};

/// Attributes that have no meaning of their own here: logical types, and whatever users add.
pub(crate) type Attributes = BTreeMap<String, Value>;

/// Position of a node in its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct NodeId(u32);

/// A parsed schema, with the schemas it refers to.
#[derive(Debug, Clone)]
pub(crate) struct AvroSchema {
    nodes: Vec<Node>,
    root: NodeId,
    /// The nodes before this one are those of the schemas referred to.
    first_own: NodeId,
}

impl AvroSchema {
    #[expect(
        clippy::indexing_slicing,
        reason = "only a schema's own parser makes ids, of nodes that are there"
    )]
    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// The full name of the type, if it is one that has a name.
    pub(crate) fn name(&self) -> Option<String> {
        let named = self.node(self.root).kind.named()?;
        Some(named.name.to_string())
    }

    /// Whether a schema referred to has defined the type.
    fn is_foreign(&self, id: NodeId) -> bool {
        id.0 < self.first_own.0
    }
}

/// A type at its definition.
#[derive(Debug, Clone)]
struct Node {
    kind: Kind,
    attributes: Attributes,
}

#[derive(Debug, Clone)]
enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Array(NodeId),
    Map(NodeId),
    Union(Vec<NodeId>),
    Fixed {
        named: Named,
        size: u64,
    },
    Enum {
        named: Named,
        symbols: Vec<String>,
        default: Option<String>,
    },
    Record {
        named: Named,
        error: bool,
        fields: Vec<Field>,
    },
}

/// What the named types (fixed, enum, record) have in common.
#[derive(Debug, Clone)]
struct Named {
    name: name::FullName,
    /// Full names.
    aliases: Vec<name::FullName>,
    doc: Option<String>,
}

#[derive(Debug, Clone)]
struct Field {
    name: String,
    schema: NodeId,
    doc: Option<String>,
    default: Option<Value>,
    order: Order,
    aliases: Vec<String>,
    attributes: Attributes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Ascending,
    Descending,
    Ignore,
}

impl Kind {
    /// The type's name in JSON.
    fn name(&self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Boolean => "boolean",
            Kind::Int => "int",
            Kind::Long => "long",
            Kind::Float => "float",
            Kind::Double => "double",
            Kind::Bytes => "bytes",
            Kind::String => "string",
            Kind::Array(_) => "array",
            Kind::Map(_) => "map",
            Kind::Union(_) => "union",
            Kind::Fixed { .. } => "fixed",
            Kind::Enum { .. } => "enum",
            Kind::Record { error: false, .. } => "record",
            Kind::Record { error: true, .. } => "error",
        }
    }

    fn primitive(name: &str) -> Option<Kind> {
        Some(match name {
            "null" => Kind::Null,
            "boolean" => Kind::Boolean,
            "int" => Kind::Int,
            "long" => Kind::Long,
            "float" => Kind::Float,
            "double" => Kind::Double,
            "bytes" => Kind::Bytes,
            "string" => Kind::String,
            _ => return None,
        })
    }

    fn named(&self) -> Option<&Named> {
        match self {
            Kind::Fixed { named, .. } | Kind::Enum { named, .. } | Kind::Record { named, .. } => {
                Some(named)
            }
            _ => None,
        }
    }
}

/// Why a text isn't an Avro schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AvroError {
    #[error("not JSON: {0}")]
    Json(String),
    #[error("{at}: {why}")]
    Schema {
        /// Where, as `/fields/2/type`; empty at the top.
        at: Location,
        why: String,
    },
    #[error("referenced schema {name}: {why}")]
    Reference { name: String, why: Box<AvroError> },
}

/// A path into a schema, shown as JSON pointers are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Location(String);

impl Location {
    fn child(&self, step: impl std::fmt::Display) -> Location {
        Location(format!("{}/{step}", self.0))
    }

    fn fail<T>(&self, why: impl Into<String>) -> Result<T, AvroError> {
        Err(AvroError::Schema {
            at: self.clone(),
            why: why.into(),
        })
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_empty() { "/" } else { &self.0 })
    }
}

#[cfg(test)]
mod reading_tests;
#[cfg(test)]
mod tests;
