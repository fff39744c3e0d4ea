//! A parsed Avro schema: an arena of types, so that recursive ones are plain indices.

use std::fmt;
use std::sync::Arc;

/// A parsed Avro schema. Cheap to clone.
///
/// Made by [`Schema::parse`] or by [`grow`](super::grow).
#[derive(Clone)]
pub struct Schema {
    inner: Arc<Inner>,
}

struct Inner {
    types: Vec<Type>,
    root: TypeId,
}

/// What a schema is at its top, for a caller that has to tell records from the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaKind {
    /// A record: its fields become the columns.
    Record,
    /// Anything else: it becomes the single column `value`.
    Value,
}

/// The attribute of a field that holds [`Field::number`].
pub(crate) const NUMBER: &str = "fletch.number";

/// An index into a schema's arena.
pub(crate) type TypeId = usize;

#[derive(Clone, Debug)]
pub(crate) struct Type {
    pub(crate) kind: Kind,
    pub(crate) logical: Option<Logical>,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Fixed { name: Name, size: usize },
    Enum(EnumType),
    Record(RecordType),
    Array(TypeId),
    Map(TypeId),
    Union(Vec<TypeId>),
}

/// A full name and the full names it is also known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) full: String,
    pub(crate) aliases: Vec<String>,
}

impl Name {
    /// The name without its namespace.
    pub(crate) fn short(&self) -> &str {
        self.full.rsplit('.').next().unwrap_or(&self.full)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct EnumType {
    pub(crate) name: Name,
    pub(crate) symbols: Vec<String>,
    pub(crate) default: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct RecordType {
    pub(crate) name: Name,
    pub(crate) fields: Vec<Field>,
}

#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) ty: TypeId,
    pub(crate) default: Option<serde_json::Value>,
    /// The field's number in Protobuf, by which it is known whatever it is called.
    pub(crate) number: Option<u32>,
}

/// A logical type that is valid for the type it annotates; invalid ones are dropped at parsing,
/// as the specification asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logical {
    Decimal { precision: u8, scale: u8 },
    Uuid,
    Date,
    TimeMillis,
    TimeMicros,
    TimestampMillis,
    TimestampMicros,
    TimestampNanos,
    LocalTimestampMillis,
    LocalTimestampMicros,
    LocalTimestampNanos,
    Duration,
}

impl Logical {
    /// Nanoseconds in one unit, for the types that count time.
    pub(crate) fn unit_ns(self) -> Option<i64> {
        Some(match self {
            Self::TimeMillis | Self::TimestampMillis | Self::LocalTimestampMillis => 1_000_000,
            Self::TimeMicros | Self::TimestampMicros | Self::LocalTimestampMicros => 1_000,
            Self::TimestampNanos | Self::LocalTimestampNanos => 1,
            Self::Decimal { .. } | Self::Uuid | Self::Date | Self::Duration => return None,
        })
    }
}

impl Schema {
    pub(crate) fn new(types: Vec<Type>, root: TypeId) -> Self {
        debug_assert!(root < types.len());
        Self {
            inner: Arc::new(Inner { types, root }),
        }
    }

    /// A record without fields.
    pub(crate) fn empty_record(name: &str) -> Self {
        let name = Name {
            full: name.to_owned(),
            aliases: Vec::new(),
        };
        let fields = Vec::new();
        let kind = Kind::Record(RecordType { name, fields });
        Self::new(
            vec![Type {
                kind,
                logical: None,
            }],
            0,
        )
    }

    /// Whether walking it, each type once, leads deeper than this.
    pub(super) fn is_deeper_than(&self, depth_max: usize) -> bool {
        let mut seen = vec![false; self.inner.types.len()];
        // Where the walk is: the types on its way, and which of the types within each comes next.
        let mut way = vec![(self.root(), 0)];
        while let Some((id, next)) = way.last_mut() {
            let within = match self.kind_of(*id) {
                Kind::Array(inner) | Kind::Map(inner) => (*next == 0).then_some(*inner),
                Kind::Union(members) => members.get(*next).copied(),
                Kind::Record(record) => record.fields.get(*next).map(|field| field.ty),
                _ => None,
            };
            *next += 1;
            let Some(within) = within else {
                way.pop();
                continue;
            };
            let Some(seen) = seen.get_mut(within).filter(|seen| !**seen) else {
                continue;
            };
            *seen = true;
            way.push((within, 0));
            if way.len() > depth_max {
                return true;
            }
        }
        false
    }

    pub(crate) fn root(&self) -> TypeId {
        self.inner.root
    }

    /// One of its types, as a schema of its own.
    #[cfg(feature = "protobuf")]
    pub(crate) fn at(&self, root: TypeId) -> Self {
        Self::new(self.inner.types.clone(), root)
    }

    pub(crate) fn ty(&self, id: TypeId) -> &Type {
        &self.inner.types[id]
    }

    pub(crate) fn kind_of(&self, id: TypeId) -> &Kind {
        &self.ty(id).kind
    }

    /// Whether the schema is a record (its fields are columns) or a single value.
    pub fn kind(&self) -> SchemaKind {
        match self.kind_of(self.root()) {
            Kind::Record(_) => SchemaKind::Record,
            _ => SchemaKind::Value,
        }
    }

    /// The full name of the top-level type, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.name_of(self.root()).map(|n| n.full.as_str())
    }

    pub(crate) fn name_of(&self, id: TypeId) -> Option<&Name> {
        match self.kind_of(id) {
            Kind::Fixed { name, .. } => Some(name),
            Kind::Enum(e) => Some(&e.name),
            Kind::Record(r) => Some(&r.name),
            _ => None,
        }
    }

    /// `["null", X]` or `[X, "null"]`: the member that isn't null.
    pub(crate) fn optional(&self, id: TypeId) -> Option<TypeId> {
        match self.kind_of(id) {
            Kind::Union(m) => match *m.as_slice() {
                [a, b] if matches!(self.kind_of(a), Kind::Null) => Some(b),
                [a, b] if matches!(self.kind_of(b), Kind::Null) => Some(a),
                _ => None,
            },
            _ => None,
        }
    }

    /// A word for error messages: the type, and its name or logical type.
    pub(crate) fn describe(&self, id: TypeId) -> String {
        let ty = self.ty(id);
        let base = match &ty.kind {
            Kind::Null => "null".into(),
            Kind::Boolean => "boolean".into(),
            Kind::Int => "int".into(),
            Kind::Long => "long".into(),
            Kind::Float => "float".into(),
            Kind::Double => "double".into(),
            Kind::Bytes => "bytes".into(),
            Kind::String => "string".into(),
            Kind::Fixed { name, size } => format!("fixed {} of {size} bytes", name.full),
            Kind::Enum(e) => format!("enum {}", e.name.full),
            Kind::Record(r) => format!("record {}", r.name.full),
            Kind::Array(_) => "array".into(),
            Kind::Map(_) => "map".into(),
            Kind::Union(m) => {
                let names: Vec<_> = m.iter().map(|&t| self.describe(t)).collect();
                format!("union of {}", names.join(", "))
            }
        };
        match ty.logical {
            Some(Logical::Decimal { precision, scale }) => {
                format!("decimal({precision}, {scale}) on {base}")
            }
            Some(l) => format!("{} on {base}", super::render::logical_name(l)),
            None => base,
        }
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schema").field(&self.json()).finish()
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.json())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn optional_is_seen_in_both_orders() {
        for text in [r#"["null","int"]"#, r#"["int","null"]"#] {
            let s = Schema::parse(text, &[]).unwrap();
            let member = s.optional(s.root()).unwrap();
            assert!(matches!(s.kind_of(member), Kind::Int));
        }
        let s = Schema::parse(r#"["null","int","string"]"#, &[]).unwrap();
        assert!(s.optional(s.root()).is_none());
    }
}
