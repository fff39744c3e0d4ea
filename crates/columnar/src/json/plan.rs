//! A schema, compiled for JSON: what each value must look like, and which column a member's is.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};

use crate::avro::{Kind, Logical, RecordType, Schema, TypeId, encode_default};

use super::names::Role;

/// An index into [`Plan::nodes`].
pub(crate) type NodeId = usize;

/// What is to be written for a value.
#[derive(Debug)]
pub(crate) enum Node {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Text(Text),
    /// Base64.
    Bytes,
    /// Base64 of so many bytes.
    Fixed(usize),
    Symbols(Vec<Box<str>>),
    /// One of these strings, as text.
    OneOf(Box<[Box<str>]>),
    /// A number with so many digits behind the point, as two's complement. `size`: of a fixed.
    Decimal {
        precision: u8,
        scale: u8,
        size: Option<usize>,
    },
    Uuid {
        size: Option<usize>,
    },
    /// Days.
    Date,
    /// A time of day, in units of so many nanoseconds.
    Time {
        unit_ns: i64,
    },
    /// A point in time in units of so many nanoseconds; `local`: without an offset from UTC;
    /// `cut`: whether digits that the unit can't show are left out, or refused.
    Timestamp {
        unit_ns: i64,
        local: bool,
        cut: bool,
    },
    /// A type that has several spellings, of which one is taken: a string or a number.
    Spelled {
        as_text: bool,
        inner: Box<Node>,
    },
    /// An index into [`Plan::records`].
    Record(usize),
    Array(NodeId),
    Map(NodeId),
    /// The member that isn't null, and the indices of the two as they are written.
    Optional {
        value: NodeId,
        index: u8,
        null: u8,
        /// Whether null is only for members that aren't there.
        never_null: bool,
    },
    Union(Vec<NodeId>),
    /// What JSON has no spelling for that we take: nothing fits.
    Nothing,
}

/// Which values a text column takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Text {
    /// Any: strings as they are, other values as JSON text.
    #[default]
    Any,
    /// Any, all of them as JSON text.
    Json,
    /// Strings.
    Strings,
}

/// What an Avro schema doesn't say about its JSON. By default, nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes {
    pub(crate) texts: HashMap<TypeId, Text>,
    /// What strings there are of a type.
    pub(crate) symbols: HashMap<TypeId, Box<[Box<str>]>>,
    /// Types that are only taken as strings (true) or only as numbers, where both would do.
    pub(crate) as_text: HashMap<TypeId, bool>,
    /// Unions whose null is only for members that aren't there.
    pub(crate) never_null: HashSet<TypeId>,
    /// Fields of records whose members must be there.
    pub(crate) required: HashSet<(TypeId, usize)>,
    /// Records that have no other members.
    pub(crate) closed: HashSet<TypeId>,
    /// Whether timestamps lose the digits that their unit can't show.
    pub(crate) cut_fractions: bool,
}

#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) ty: TypeId,
    pub(crate) fields: Vec<Field>,
    /// Which field has a member's value, by the member's key.
    by_key: HashMap<Box<[u8]>, usize>,
    /// Which field came behind which one the last time; the last entry is for the first field.
    follows: Vec<Cell<usize>>,
    /// The field that takes what has no field of its own.
    pub(crate) rest: Option<usize>,
    /// The field that takes what isn't an object at all.
    pub(crate) bare: Option<usize>,
    /// Whether there must be no other members.
    pub(crate) closed: bool,
}

#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: Box<str>,
    pub(crate) node: NodeId,
    /// The key and the quote behind it, unless the key must be escaped.
    quick: Option<Box<[u8]>>,
    /// What is written if there is no such member.
    pub(crate) absent: Option<Box<[u8]>>,
    /// What is written for null.
    pub(crate) null: Option<u8>,
    /// The field that takes, as text, what this one can't hold.
    pub(crate) text: Option<usize>,
}

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) nodes: Vec<Node>,
    pub(crate) records: Vec<Record>,
    pub(crate) root: NodeId,
}

impl Plan {
    pub(crate) fn new(schema: &Schema, notes: &Notes) -> Self {
        let mut compiler = Compiler {
            schema,
            notes,
            nodes: Vec::new(),
            records: Vec::new(),
            done: HashMap::new(),
        };
        let root = compiler.node(schema.root());
        Self {
            nodes: compiler.nodes,
            records: compiler.records,
            root,
        }
    }
}

impl Record {
    /// The field that is likely to follow `field` in a text; of the fields' count, the first.
    #[inline]
    pub(crate) fn likely_after(&self, field: usize) -> usize {
        self.follows[field].get()
    }

    /// The field of a member, which followed `before`.
    pub(crate) fn field_of(&self, key: &[u8], before: usize) -> Option<usize> {
        let field = *self.by_key.get(key)?;
        self.follows[before].set(field);
        Some(field)
    }
}

impl Field {
    /// The key with the quote behind it, if it stands so in every text.
    #[inline]
    pub(crate) fn quick(&self) -> Option<&[u8]> {
        self.quick.as_deref()
    }
}

struct Compiler<'a> {
    schema: &'a Schema,
    notes: &'a Notes,
    nodes: Vec<Node>,
    records: Vec<Record>,
    done: HashMap<TypeId, NodeId>,
}

impl Compiler<'_> {
    fn node(&mut self, ty: TypeId) -> NodeId {
        if let Some(&done) = self.done.get(&ty) {
            return done;
        }
        let id = self.nodes.len();
        self.nodes.push(Node::Nothing);
        self.done.insert(ty, id);
        self.nodes[id] = self.compile(ty);
        id
    }

    fn compile(&mut self, ty: TypeId) -> Node {
        let schema = self.schema;
        let logical = schema.ty(ty).logical;
        if let Some(node) = logical.and_then(|l| self.logical(schema.kind_of(ty), l)) {
            return match self.notes.as_text.get(&ty) {
                None => node,
                Some(&as_text) => Node::Spelled {
                    as_text,
                    inner: Box::new(node),
                },
            };
        }
        match schema.kind_of(ty) {
            Kind::Null => Node::Null,
            Kind::Boolean => Node::Boolean,
            Kind::Int => Node::Int,
            Kind::Long => Node::Long,
            Kind::Float => Node::Float,
            Kind::Double => Node::Double,
            Kind::Bytes => Node::Bytes,
            Kind::String => match self.notes.symbols.get(&ty) {
                Some(symbols) => Node::OneOf(symbols.clone()),
                None => Node::Text(self.notes.texts.get(&ty).copied().unwrap_or_default()),
            },
            Kind::Fixed { size, .. } => Node::Fixed(*size),
            Kind::Enum(e) => Node::Symbols(e.symbols.iter().map(|s| s.as_str().into()).collect()),
            Kind::Record(record) => {
                let index = self.records.len();
                self.records.push(Record {
                    ty,
                    fields: Vec::new(),
                    by_key: HashMap::new(),
                    follows: Vec::new(),
                    rest: None,
                    bare: None,
                    closed: self.notes.closed.contains(&ty),
                });
                self.record(index, record);
                Node::Record(index)
            }
            Kind::Array(items) => Node::Array(self.node(*items)),
            Kind::Map(values) => Node::Map(self.node(*values)),
            Kind::Union(members) => match schema.optional(ty) {
                Some(value) => {
                    let null = u8::from(members.first() == Some(&value));
                    Node::Optional {
                        value: self.node(value),
                        index: (1 - null) * 2,
                        null: null * 2,
                        never_null: self.notes.never_null.contains(&ty),
                    }
                }
                None => Node::Union(members.iter().map(|&m| self.node(m)).collect()),
            },
        }
    }

    fn logical(&self, kind: &Kind, logical: Logical) -> Option<Node> {
        let size = match kind {
            Kind::Fixed { size, .. } => Some(*size),
            _ => None,
        };
        Some(match logical {
            Logical::Decimal { precision, scale } => Node::Decimal {
                precision,
                scale,
                size,
            },
            Logical::Uuid => Node::Uuid { size },
            Logical::Date => Node::Date,
            Logical::TimeMillis | Logical::TimeMicros => Node::Time {
                unit_ns: logical.unit_ns()?,
            },
            Logical::TimestampMillis | Logical::TimestampMicros | Logical::TimestampNanos => {
                Node::Timestamp {
                    unit_ns: logical.unit_ns()?,
                    local: false,
                    cut: self.notes.cut_fractions,
                }
            }
            Logical::LocalTimestampMillis
            | Logical::LocalTimestampMicros
            | Logical::LocalTimestampNanos => Node::Timestamp {
                unit_ns: logical.unit_ns()?,
                local: true,
                cut: self.notes.cut_fractions,
            },
            Logical::Duration => Node::Nothing,
        })
    }

    fn record(&mut self, index: usize, record: &RecordType) {
        let roles: Vec<Role<'_>> = record.fields.iter().map(Role::of).collect();
        let mut by_key = HashMap::new();
        let mut fields: Vec<Field> = Vec::with_capacity(roles.len());
        let (mut rest, mut bare) = (None, None);
        for (i, (field, role)) in record.fields.iter().zip(&roles).enumerate() {
            let key = match role {
                Role::Member(key) => Some(key.as_bytes()),
                Role::Rest => {
                    rest = Some(i);
                    None
                }
                Role::Bare => {
                    bare = Some(i);
                    None
                }
                Role::TextOf(_) => None,
            };
            let node = self.node(field.ty);
            let null = self.null_of(node);
            let mut default = Vec::new();
            let absent = match &field.default {
                Some(value) => encode_default(self.schema, field.ty, value, &mut default).is_ok(),
                None => false,
            };
            let required = self.notes.required.contains(&(self.records[index].ty, i));
            let absent = absent.then(|| default.into()).or(null.map(|n| match n {
                NO_BYTES => [].into(),
                n => [n].into(),
            }));
            if let Some(key) = key {
                by_key.insert(key.into(), i);
            }
            fields.push(Field {
                name: field.name.as_str().into(),
                node,
                quick: key.and_then(quick_form),
                absent: absent.filter(|_| !required),
                null,
                text: None,
            });
        }
        for (i, role) in roles.iter().enumerate() {
            if let Role::TextOf(key) = role
                && let Some(&of) = by_key.get(key.as_bytes())
            {
                fields[of].text = Some(i);
            }
        }
        let count = fields.len();
        let record = &mut self.records[index];
        // At first, each is thought to be followed by the next.
        record.follows = (0..count).map(|i| Cell::new(i + 1)).collect();
        record.follows.push(Cell::new(0));
        record.fields = fields;
        record.by_key = by_key;
        (record.rest, record.bare) = (rest, bare);
    }

    fn null_of(&self, node: NodeId) -> Option<u8> {
        match &self.nodes[node] {
            Node::Null => Some(NO_BYTES),
            Node::Optional { null, .. } => Some(*null),
            Node::Union(members) => {
                let null = members
                    .iter()
                    .position(|&m| matches!(self.nodes[m], Node::Null))?;
                u8::try_from(null * 2).ok().filter(|&n| n < 0x80)
            }
            _ => None,
        }
    }
}

/// Where null takes no bytes at all.
pub(crate) const NO_BYTES: u8 = 0xff;

/// A key as it stands in a text, with the quote behind it, if it needs no escapes.
fn quick_form(key: &[u8]) -> Option<Box<[u8]>> {
    let plain = key.iter().all(|b| !matches!(b, b'"' | b'\\' | 0..0x20));
    plain.then(|| key.iter().copied().chain([b'"']).collect())
}
