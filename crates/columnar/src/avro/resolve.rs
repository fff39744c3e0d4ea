//! Writer schema to reader schema, by the specification's resolution rules. The result is a graph
//! (recursive types are cycles in it) that says how each value is read and where it goes; plans
//! are compiled from it, and the row-wise check walks it.
//!
//! Beyond the specification: records, enums and fixeds meet whatever their names are (a union's
//! members still choose by name first), an enum may be read as a string, times of different units
//! are converted, and a decimal or UUID may change between bytes, fixed and text.

use std::collections::HashMap;
use std::sync::Arc;

use super::parse::NAMED_DEPTH_MAX;
use super::{Kind, Logical, RecordType, Schema, TypeId, encode_default};
use crate::error::ResolveError;
use crate::layout::{NumberOut, number_out};
use crate::options::Types;

pub(crate) type NodeId = usize;

#[derive(Debug)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
    pub(crate) root: NodeId,
    /// For what is skipped.
    pub(crate) writer: Schema,
}

#[derive(Debug, Clone)]
pub(crate) enum Node {
    /// Takes no bytes.
    Null,
    Scalar(Scalar),
    Enum(EnumNode),
    Record(Vec<Step>),
    Array(Items),
    Map(Items),
    /// The writer sends a member index; `None` where the reader has no place for that member.
    Union(Vec<Option<NodeId>>),
    /// The value becomes this member of the reader's general union.
    Member {
        index: usize,
        node: NodeId,
    },
    /// Being resolved; never left in a finished graph.
    Open,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Items {
    pub(crate) node: NodeId,
    /// The fewest bytes an item (of a map: an entry) takes.
    pub(crate) bytes_min: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct EnumNode {
    /// How many symbols the writer has.
    pub(crate) count: usize,
    /// The reader's symbol for each of the writer's, -1 for none. `None`: the same.
    pub(crate) map: Option<Arc<[i32]>>,
    /// The reader's symbols (the writer's, where the reader has a string).
    pub(crate) symbols: Arc<[String]>,
}

impl EnumNode {
    /// The reader's symbol for the writer's.
    pub(crate) fn reader(&self, index: usize) -> Option<usize> {
        match &self.map {
            None => Some(index),
            Some(map) => usize::try_from(map[index]).ok(),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// The writer's next value is the reader's field `field`, called `name`. `ty` is the writer's, for when that
    /// field isn't kept.
    Read {
        field: usize,
        name: String,
        ty: TypeId,
        node: NodeId,
    },
    /// The writer's next value has no field.
    Skip { name: String, ty: TypeId },
    /// The reader's field is not sent: it is read from these bytes.
    Default {
        field: usize,
        name: String,
        bytes: Arc<[u8]>,
        node: NodeId,
    },
}

/// What is read from the bytes, and as what it is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scalar {
    Boolean,
    /// An int (`wide`: a long), times `multiply`, divided by `divide` towards minus infinity.
    Number {
        wide: bool,
        multiply: i64,
        divide: i64,
        out: NumberOut,
    },
    Float,
    Double,
    FloatAsDouble,
    /// Bytes or text; whether it must be UTF-8 is the column's to say.
    Bytes {
        utf8: bool,
    },
    /// Big-endian two's complement, of `fixed` bytes or with a length of its own.
    Decimal {
        fixed: Option<usize>,
        precision: u8,
        scale: u8,
    },
    UuidText,
    Fixed(usize),
    Duration,
}

pub(crate) fn resolve(
    writer: &Schema,
    reader: &Schema,
    profile: Types,
) -> Result<Graph, ResolveError> {
    let mut resolver = Resolver {
        writer,
        reader,
        profile,
        nodes: Vec::new(),
        known: HashMap::new(),
        log: Vec::new(),
        path: Vec::new(),
    };
    let root = resolver.resolve(Pair {
        identity: false,
        w: writer.root(),
        r: reader.root(),
    })?;
    Ok(Graph {
        nodes: resolver.nodes,
        root,
        writer: writer.clone(),
    })
}

/// A writer's type and a reader's; with `identity`, the writer is the reader (for defaults).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Pair {
    identity: bool,
    w: TypeId,
    r: TypeId,
}

struct Resolver<'a> {
    writer: &'a Schema,
    reader: &'a Schema,
    profile: Types,
    nodes: Vec<Node>,
    known: HashMap<Pair, NodeId>,
    /// The order in which `known` grew, so that a failed attempt can be taken back.
    log: Vec<Pair>,
    path: Vec<String>,
}

impl<'a> Resolver<'a> {
    fn writer(&self, p: Pair) -> &'a Schema {
        if p.identity { self.reader } else { self.writer }
    }

    fn refuse(&self, p: Pair, why: &str) -> ResolveError {
        ResolveError {
            path: if self.path.is_empty() {
                "the top".into()
            } else {
                self.path.join(".")
            },
            why: format!(
                "{} can't be read as {}{why}",
                self.writer(p).describe(p.w),
                self.reader.describe(p.r)
            ),
        }
    }

    fn push(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn resolve(&mut self, p: Pair) -> Result<NodeId, ResolveError> {
        if let Some(&node) = self.known.get(&p) {
            return Ok(node);
        }
        let depth = self.path.len();
        if depth > NAMED_DEPTH_MAX {
            return Err(self.refuse(p, ": types lie too deep within each other"));
        }
        if let (false, Kind::Union(members)) = (
            matches!(self.writer(p).kind_of(p.w), Kind::Union(_)),
            self.reader.kind_of(p.r),
        ) && !self.is_general(members)
        {
            // That the value is optional is the column's to know.
            return self.choose(p, members).map(|(_, node)| node);
        }
        let mark = self.log.len();
        let id = self.push(Node::Open);
        self.known.insert(p, id);
        self.log.push(p);
        match self.node(p) {
            Ok(node) => {
                self.nodes[id] = node;
                Ok(id)
            }
            Err(error) => {
                self.path.truncate(depth);
                // Whatever was resolved meanwhile may lead here.
                for pair in self.log.drain(mark..) {
                    self.known.remove(&pair);
                }
                Err(error)
            }
        }
    }

    fn node(&mut self, p: Pair) -> Result<Node, ResolveError> {
        let writer = self.writer(p);
        if let Kind::Union(members) = writer.kind_of(p.w) {
            let mut nodes = Vec::with_capacity(members.len());
            let mut first = None;
            for (index, &w) in members.iter().enumerate() {
                let attempt = if p.identity && matches!(self.reader.kind_of(p.r), Kind::Union(_)) {
                    self.resolve_member(Pair { w, ..p }, index).map(Some)
                } else {
                    self.resolve(Pair { w, ..p }).map(Some)
                };
                nodes.push(attempt.unwrap_or_else(|error| {
                    first.get_or_insert(error);
                    None
                }));
            }
            return match first {
                Some(error) if nodes.iter().all(Option::is_none) => Err(error),
                _ => Ok(Node::Union(nodes)),
            };
        }
        if let Kind::Union(members) = self.reader.kind_of(p.r) {
            let (index, node) = self.choose(p, members)?;
            return Ok(Node::Member { index, node });
        }
        self.value(p)
    }

    /// Member `index` of the reader's union, for a value known to be of it.
    fn resolve_member(&mut self, p: Pair, index: usize) -> Result<NodeId, ResolveError> {
        let Kind::Union(members) = self.reader.kind_of(p.r) else {
            return self.resolve(p);
        };
        let node = self.resolve(Pair {
            r: members[index],
            ..p
        })?;
        Ok(if self.is_general(members) {
            self.push(Node::Member { index, node })
        } else {
            node
        })
    }

    fn is_general(&self, members: &[TypeId]) -> bool {
        let is_null = |&&m: &&TypeId| matches!(self.reader.kind_of(m), Kind::Null);
        members.iter().filter(|m| !is_null(m)).count() > 1
    }

    /// The first member of the reader's union that fits: of the same type and name if there is
    /// one, else by promotion.
    fn choose(&mut self, p: Pair, members: &[TypeId]) -> Result<(usize, NodeId), ResolveError> {
        let (writer, reader) = (self.writer(p), self.reader);
        let same_kind = |r: TypeId| {
            std::mem::discriminant(writer.kind_of(p.w)) == std::mem::discriminant(reader.kind_of(r))
        };
        let closeness = |r: TypeId| match (writer.name_of(p.w), reader.name_of(r)) {
            _ if !same_kind(r) => 4,
            (Some(a), Some(b)) if a.full == b.full => 0,
            (Some(a), Some(b)) if b.aliases.contains(&a.full) => 1,
            (Some(a), Some(b)) if a.short() == b.short() => 2,
            (Some(_), Some(_)) => 3,
            _ if writer.ty(p.w).logical == reader.ty(r).logical => 0,
            _ => 1,
        };
        let mut order: Vec<usize> = (0..members.len()).collect();
        order.sort_by_key(|&i| closeness(members[i]));
        for index in order {
            if let Ok(node) = self.resolve(Pair {
                r: members[index],
                ..p
            }) {
                return Ok((index, node));
            }
        }
        Err(self.refuse(p, ": no member fits"))
    }

    fn value(&mut self, p: Pair) -> Result<Node, ResolveError> {
        let (writer, reader) = (self.writer(p), self.reader);
        let (wt, rt) = (writer.ty(p.w), reader.ty(p.r));
        Ok(match (&wt.kind, &rt.kind) {
            (Kind::Null, Kind::Null) => Node::Null,
            (Kind::Boolean, Kind::Boolean) => Node::Scalar(Scalar::Boolean),
            (Kind::Int, Kind::Int | Kind::Long | Kind::Float | Kind::Double) => {
                Node::Scalar(self.number(p, false)?)
            }
            (Kind::Long, Kind::Long | Kind::Float | Kind::Double) => {
                Node::Scalar(self.number(p, true)?)
            }
            (Kind::Float, Kind::Float) => Node::Scalar(Scalar::Float),
            (Kind::Float, Kind::Double) => Node::Scalar(Scalar::FloatAsDouble),
            (Kind::Double, Kind::Double) => Node::Scalar(Scalar::Double),
            (
                Kind::Bytes | Kind::String | Kind::Fixed { .. },
                Kind::Bytes | Kind::String | Kind::Fixed { .. },
            ) => Node::Scalar(self.bytes(p)?),
            (Kind::Enum(a), Kind::Enum(b)) => {
                let default = b.default.as_ref();
                let index = |symbol: &String| b.symbols.iter().position(|s| s == symbol);
                let map: Vec<i32> = a
                    .symbols
                    .iter()
                    .map(|s| index(s).or_else(|| default.and_then(index)))
                    .map(|i| i.map_or(-1, |i| i as i32))
                    .collect();
                if !map.is_empty() && map.iter().all(|&i| i < 0) {
                    return Err(self.refuse(p, ": no symbol in common and no default"));
                }
                let same = map.iter().enumerate().all(|(i, &m)| m == i as i32);
                Node::Enum(EnumNode {
                    count: a.symbols.len(),
                    map: (!same).then(|| map.into()),
                    symbols: b.symbols.as_slice().into(),
                })
            }
            (Kind::Enum(a), Kind::String) if rt.logical.is_none() => Node::Enum(EnumNode {
                count: a.symbols.len(),
                map: None,
                symbols: a.symbols.as_slice().into(),
            }),
            (&Kind::Array(w), &Kind::Array(r)) => {
                Node::Array(self.items(Pair { w, r, ..p }, "[]", 0)?)
            }
            (&Kind::Map(w), &Kind::Map(r)) => Node::Map(self.items(Pair { w, r, ..p }, "{}", 1)?),
            (Kind::Record(a), Kind::Record(b)) => Node::Record(self.record(p, a, b)?),
            _ => return Err(self.refuse(p, "")),
        })
    }

    fn items(&mut self, p: Pair, step: &str, key_bytes: usize) -> Result<Items, ResolveError> {
        self.path.push(step.to_owned());
        let node = self.resolve(p)?;
        self.path.pop();
        Ok(Items {
            node,
            bytes_min: key_bytes + bytes_min(self.writer(p), p.w, 0),
        })
    }

    fn number(&self, p: Pair, wide: bool) -> Result<Scalar, ResolveError> {
        let (wt, rt) = (self.writer(p).ty(p.w), self.reader.ty(p.r));
        let (out, to) = number_out(&rt.kind, rt.logical, self.profile);
        // A bare number read as a time counts in that time's unit.
        let own = rt.logical.and_then(Logical::unit_ns);
        let from = wt
            .logical
            .and_then(Logical::unit_ns)
            .filter(|_| to.is_some())
            .or(own);
        let (multiply, divide) = match (from, to) {
            (Some(from), Some(to)) if from > to => (from / to, 1),
            (Some(from), Some(to)) => (1, to / from),
            _ => (1, 1),
        };
        let is_date = |l| l == Some(Logical::Date);
        if is_date(wt.logical) && to.is_some() || is_date(rt.logical) && from.is_some() {
            return Err(self.refuse(p, ": days are no time of day"));
        }
        Ok(Scalar::Number {
            wide,
            multiply,
            divide,
            out,
        })
    }

    fn bytes(&self, p: Pair) -> Result<Scalar, ResolveError> {
        let (wt, rt) = (self.writer(p).ty(p.w), self.reader.ty(p.r));
        let fixed = match wt.kind {
            Kind::Fixed { size, .. } => Some(size),
            _ => None,
        };
        if let Some(Logical::Decimal { precision, scale }) = rt.logical {
            return match wt.logical {
                Some(Logical::Decimal { scale: s, .. }) if s != scale => {
                    Err(self.refuse(p, ": the scales differ"))
                }
                Some(Logical::Decimal { .. }) => Ok(Scalar::Decimal {
                    fixed,
                    precision,
                    scale,
                }),
                _ if matches!(wt.kind, Kind::String) => Err(self.refuse(p, "")),
                _ => Ok(Scalar::Decimal {
                    fixed,
                    precision,
                    scale,
                }),
            };
        }
        match (&wt.kind, &rt.kind) {
            (Kind::Bytes | Kind::String, Kind::String) if rt.logical == Some(Logical::Uuid) => {
                Ok(Scalar::UuidText)
            }
            (Kind::String, Kind::Fixed { .. })
                if rt.logical == Some(Logical::Uuid) && wt.logical == rt.logical =>
            {
                Ok(Scalar::UuidText)
            }
            (Kind::Fixed { size: 16, .. }, Kind::String) if rt.logical == Some(Logical::Uuid) => {
                Ok(Scalar::Fixed(16))
            }
            (Kind::Bytes | Kind::String, Kind::String) => Ok(Scalar::Bytes { utf8: true }),
            (Kind::Bytes | Kind::String, Kind::Bytes) => Ok(Scalar::Bytes { utf8: false }),
            (Kind::Fixed { size: a, .. }, Kind::Fixed { size: b, .. }) if a == b => {
                Ok(match rt.logical {
                    Some(Logical::Duration) => Scalar::Duration,
                    _ => Scalar::Fixed(*a),
                })
            }
            (Kind::Fixed { .. }, Kind::Fixed { .. }) => Err(self.refuse(p, ": the sizes differ")),
            _ => Err(self.refuse(p, "")),
        }
    }

    fn record(
        &mut self,
        p: Pair,
        a: &RecordType,
        b: &RecordType,
    ) -> Result<Vec<Step>, ResolveError> {
        let mut taken = vec![false; b.fields.len()];
        let mut steps = Vec::with_capacity(b.fields.len());
        let mut by_name: HashMap<&str, usize> = HashMap::with_capacity(b.fields.len());
        for (i, f) in b.fields.iter().enumerate() {
            for alias in &f.aliases {
                by_name.entry(alias.as_str()).or_insert(i);
            }
        }
        for (i, f) in b.fields.iter().enumerate() {
            by_name.insert(&f.name, i);
        }
        for field in &a.fields {
            let name = field.name.clone();
            // An alias counts only where the writer doesn't send the field under its own name.
            let sent = |name: &str| a.fields.iter().any(|f| f.name == name);
            let found = by_name
                .get(field.name.as_str())
                .copied()
                .filter(|&i| b.fields[i].name == field.name || !sent(&b.fields[i].name));
            match found.filter(|&i| !taken[i]) {
                Some(index) => {
                    taken[index] = true;
                    self.path.push(name.clone());
                    let node = self.resolve(Pair {
                        w: field.ty,
                        r: b.fields[index].ty,
                        ..p
                    })?;
                    self.path.pop();
                    let name = b.fields[index].name.clone();
                    steps.push(Step::Read {
                        field: index,
                        name,
                        ty: field.ty,
                        node,
                    });
                }
                None => steps.push(Step::Skip { name, ty: field.ty }),
            }
        }
        for (index, field) in b.fields.iter().enumerate().filter(|&(i, _)| !taken[i]) {
            self.path.push(field.name.clone());
            let missing = Pair {
                identity: true,
                w: field.ty,
                r: field.ty,
            };
            let error = |s: &Self, why: String| ResolveError {
                path: s.path.join("."),
                why,
            };
            let default = field.default.as_ref().ok_or_else(|| {
                error(
                    self,
                    "the writer lacks the field and the reader has no default for it".into(),
                )
            })?;
            let mut bytes = Vec::new();
            encode_default(self.reader, field.ty, default, &mut bytes)
                .map_err(|e| error(self, e.to_string()))?;
            let node = self.resolve(missing)?;
            self.path.pop();
            steps.push(Step::Default {
                field: index,
                name: field.name.clone(),
                bytes: bytes.into(),
                node,
            });
        }
        Ok(steps)
    }
}

/// The fewest bytes a value of `ty` takes.
pub(crate) fn bytes_min(schema: &Schema, ty: TypeId, depth: usize) -> usize {
    // Deeper (a recursive type, most likely) only makes it more.
    if depth > 8 {
        return 0;
    }
    match schema.kind_of(ty) {
        Kind::Null => 0,
        Kind::Float => 4,
        Kind::Double => 8,
        Kind::Fixed { size, .. } => *size,
        Kind::Record(r) => r.fields.iter().fold(0, |sum: usize, f| {
            sum.saturating_add(bytes_min(schema, f.ty, depth + 1))
        }),
        Kind::Union(members) => members
            .iter()
            .map(|&m| bytes_min(schema, m, depth + 1))
            .min()
            .unwrap_or(0)
            .saturating_add(1),
        _ => 1,
    }
}
