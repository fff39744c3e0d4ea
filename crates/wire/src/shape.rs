//! What a declaration says, as data: for tests, fuzzing and documentation.

use crate::Versions;

/// A message: its name, its versions, its fields.
#[derive(Debug, Clone, Copy)]
pub struct MessageShape {
    /// Kafka's name of the message.
    pub name: &'static str,
    /// The versions that are declared.
    pub versions: Versions,
    /// The versions with compact lengths and tagged fields.
    pub flexible: Versions,
    /// The outermost structure.
    pub root: &'static StructShape,
}

/// A structure: its name and its fields in the order they are written.
#[derive(Debug)]
pub struct StructShape {
    /// Kafka's name of the structure.
    pub name: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// The fields.
    pub fields: &'static [FieldShape],
}

/// A field of a structure.
#[derive(Debug, Clone, Copy)]
pub struct FieldShape {
    /// Its name, in snake case.
    pub name: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// Its type.
    pub kind: Kind,
    /// The versions it exists in.
    pub versions: Versions,
    /// The versions in which it may be null.
    pub nullable: Versions,
    /// Its tag, if it is a tagged field.
    pub tag: Option<u32>,
    /// Whether it is dropped without an error when set in a version that lacks it.
    pub ignorable: bool,
    /// The default, as it is written in the declaration; none if it is the type's.
    pub default: Option<&'static str>,
}

/// The type of a field.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Kind {
    /// One byte, 0 or 1.
    Bool,
    /// Signed, one byte.
    Int8,
    /// Signed, two bytes, big endian.
    Int16,
    /// Unsigned, two bytes, big endian.
    Uint16,
    /// Signed, four bytes, big endian.
    Int32,
    /// Unsigned, four bytes, big endian.
    Uint32,
    /// Signed, eight bytes, big endian.
    Int64,
    /// IEEE 754, eight bytes, big endian.
    Float64,
    /// Sixteen bytes.
    Uuid,
    /// UTF-8 after its length.
    String,
    /// Bytes after their length.
    Bytes,
    /// Record batches after their length.
    Records,
    /// Elements after their count.
    Array(&'static Kind),
    /// A structure.
    Struct(&'static StructShape),
}

impl FieldShape {
    /// A field that can't be null, isn't tagged, isn't ignorable and has its type's default.
    pub(crate) const fn new(
        name: &'static str,
        doc: &'static str,
        kind: Kind,
        versions: &str,
    ) -> Self {
        Self {
            name,
            doc,
            kind,
            versions: Versions::parse(versions),
            nullable: Versions::NONE,
            tag: None,
            ignorable: false,
            default: None,
        }
    }

    pub(crate) const fn nullable(self, versions: &str) -> Self {
        Self {
            nullable: Versions::parse(versions),
            ..self
        }
    }

    pub(crate) const fn tag(self, tag: u32) -> Self {
        Self {
            tag: Some(tag),
            ..self
        }
    }

    pub(crate) const fn ignorable(self) -> Self {
        Self {
            ignorable: true,
            ..self
        }
    }

    pub(crate) const fn default_text(self, text: &'static str) -> Self {
        Self {
            default: Some(text),
            ..self
        }
    }

    /// Whether the field is written among the others, not in the tagged section, in a version.
    #[inline]
    pub const fn in_body(&self, version: i16) -> bool {
        self.tag.is_none() && self.versions.contains(version)
    }

    /// Whether the field has this tag in a version.
    #[inline]
    pub const fn has_tag(&self, tag: u32, version: i16) -> bool {
        matches!(self.tag, Some(own) if own == tag) && self.versions.contains(version)
    }
}
