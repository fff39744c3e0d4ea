//! What a registry holds: a schema, its kind, and the schemas it refers to.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The language a schema is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SchemaKind {
    /// Apache Avro. The kind meant when a request or an answer names none.
    #[serde(rename = "AVRO")]
    Avro,
    /// JSON Schema.
    #[serde(rename = "JSON")]
    Json,
    /// Protocol Buffers: the text of a `.proto` file, or a base64 `FileDescriptorProto`.
    #[serde(rename = "PROTOBUF")]
    Protobuf,
}

impl SchemaKind {
    /// The name used on the wire: `AVRO`, `JSON` or `PROTOBUF`.
    pub fn as_str(self) -> &'static str {
        match self {
            SchemaKind::Avro => "AVRO",
            SchemaKind::Json => "JSON",
            SchemaKind::Protobuf => "PROTOBUF",
        }
    }

    /// Reads a wire name; `None` is Avro, as it has been since registries knew nothing else.
    pub(crate) fn from_wire(name: Option<&str>) -> Option<SchemaKind> {
        match name {
            None => Some(SchemaKind::Avro),
            Some(name) if name.eq_ignore_ascii_case("AVRO") => Some(SchemaKind::Avro),
            Some(name) if name.eq_ignore_ascii_case("JSON") => Some(SchemaKind::Json),
            Some(name) if name.eq_ignore_ascii_case("PROTOBUF") => Some(SchemaKind::Protobuf),
            Some(_) => None,
        }
    }
}

impl fmt::Display for SchemaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A schema's pointer to another schema: the name it is used by, and where it is registered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reference {
    /// What the referring schema calls it: an Avro full name, a Protobuf import path, a JSON `$ref`.
    pub name: String,
    /// The subject it is registered under.
    pub subject: String,
    /// The version in that subject; `-1` means the latest.
    pub version: i32,
}

/// A schema another schema refers to, with its text at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferencedSchema {
    /// What the referring schema calls it (see [`Reference::name`]).
    pub name: String,
    /// The referenced schema's text.
    pub text: String,
}

/// A registered schema with everything needed to use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// The id that frames carry.
    pub id: u32,
    /// The language of [`text`](Schema::text) and of every reference.
    pub kind: SchemaKind,
    /// The schema itself.
    pub text: String,
    /// Every schema this one needs, directly or not, each once, dependencies first.
    pub references: Vec<ReferencedSchema>,
}

impl Schema {
    /// Bytes of text held, for bounds on memory.
    pub(crate) fn text_bytes(&self) -> usize {
        self.references
            .iter()
            .map(|reference| reference.name.len() + reference.text.len())
            .sum::<usize>()
            + self.text.len()
    }
}

/// A schema as one version of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectVersion {
    /// The subject, as the registry spells it.
    pub subject: String,
    /// The version within the subject, from 1.
    pub version: i32,
    /// The schema.
    pub schema: Schema,
}

/// A schema to be registered or looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSchema {
    /// The language of the text.
    pub kind: SchemaKind,
    /// The schema itself.
    pub text: String,
    /// What it refers to.
    pub references: Vec<Reference>,
}

impl NewSchema {
    /// An Avro schema without references.
    pub fn avro(text: impl Into<String>) -> NewSchema {
        NewSchema {
            kind: SchemaKind::Avro,
            text: text.into(),
            references: Vec::new(),
        }
    }
}
