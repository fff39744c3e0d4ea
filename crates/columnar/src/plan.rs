//! A resolved writer schema, compiled: blocks of operations, each of which is run over many rows
//! before the next.

use std::sync::Arc;

use crate::avro::resolve::{EnumNode, Graph, Items, Node, NodeId, Scalar, Step};
use crate::avro::{Kind, Schema, TypeId};
use crate::kernels::{Leaf, LeafKind, Nulls, Symbol, TAIL};
use crate::layout::{Body, ColId, Column, Layout, SpaceId, Store};

pub(crate) type BlockId = usize;

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) graph: Graph,
    pub(crate) blocks: Vec<Vec<Op>>,
    pub(crate) main: BlockId,
}

impl Plan {
    /// The operations that a whole row is decoded with.
    pub(crate) fn main_ops(&self) -> &[Op] {
        &self.blocks[self.main]
    }

    /// How many operations this plan and another one of the same layout begin with in common, of
    /// those that are complete in themselves.
    pub(crate) fn shared_ops(&self, other: &Self) -> usize {
        let pairs = self.main_ops().iter().zip(other.main_ops());
        pairs.take_while(|(a, b)| a.is_same(b)).count()
    }
}

#[derive(Debug)]
pub(crate) enum Op {
    Leaf(Leaf),
    /// One byte for every row.
    Fill {
        col: ColId,
        byte: u8,
    },
    /// Nulls in all of these stores.
    Null(Vec<ColId>),
    /// A union of two: one is read by `inner`, the other leaves nulls in `cols`.
    Optional {
        nulls: Nulls,
        cols: Vec<ColId>,
        inner: BlockId,
    },
    /// Any other union; `None` where the reader has no place for the member.
    Switch(Vec<Option<BlockId>>),
    /// An array or map.
    List {
        list: ColId,
        child: SpaceId,
        bytes_min: usize,
        item: BlockId,
    },
    /// A field that isn't sent: `inner` reads these bytes (from [`TAIL`] on) for every row, or for
    /// one of them whose values in the stores `same` are then the others' as well.
    Default {
        bytes: Arc<[u8]>,
        inner: BlockId,
        same: Option<Vec<ColId>>,
    },
    /// A value without columns of its own, written as text.
    Text {
        node: NodeId,
        col: ColId,
    },
    /// Values that are dropped, one after the other.
    Skips(Vec<Leaf>),
    /// Anything else that is dropped.
    Skip(TypeId),
}

impl Op {
    /// Whether the two do the same, and neither refers to anything else of its plan.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Op::Leaf(a), Op::Leaf(b)) => a == b,
            (Op::Skips(a), Op::Skips(b)) => a == b,
            (Op::Null(a), Op::Null(b)) => a == b,
            (Op::Fill { col, byte }, Op::Fill { col: c, byte: b }) => (col, byte) == (c, b),
            _ => false,
        }
    }
}

pub(crate) fn compile(graph: Graph, layout: &Layout) -> Plan {
    let mut compiler = Compiler {
        graph: &graph,
        writer: &graph.writer,
        layout,
        blocks: Vec::new(),
        skipping: Vec::new(),
    };
    let mut main = Vec::new();
    compiler.root(graph.root, &mut main);
    let main = compiler.block(main);
    let blocks = compiler.blocks;
    Plan {
        graph,
        blocks,
        main,
    }
}

/// The stores that a null row leaves nulls in; `None` if a column can't be null.
pub(crate) fn null_row(layout: &Layout) -> Option<Vec<ColId>> {
    let columns = layout.columns.iter();
    let cols: Option<Vec<_>> = columns.map(|(_, column)| null_cols(column)).collect();
    cols.map(|cols| cols.concat())
}

/// The stores that hold a null of this column, if it can be null.
pub(crate) fn null_cols(column: &Column) -> Option<Vec<ColId>> {
    let holds = column.valid.is_some()
        || matches!(column.body, Body::Null | Body::Union { tags: Some(_), .. });
    holds.then(|| {
        let mut cols = Vec::new();
        collect(column, &mut cols);
        cols
    })
}

/// Every store of a column that shares its rows.
fn collect(column: &Column, cols: &mut Vec<ColId>) {
    cols.extend(column.valid);
    match &column.body {
        Body::Null => {}
        &Body::Bool(col)
        | &Body::Fixed(col)
        | &Body::Keys { col, .. }
        | &Body::Slots(col)
        | &Body::Text(col) => cols.push(col),
        Body::Duration(parts) => cols.extend(parts),
        &Body::List { list, .. } | &Body::Map { list, .. } => cols.push(list),
        Body::Struct(children) => children.iter().for_each(|(_, c)| collect(c, cols)),
        Body::Union { tags, members, .. } => {
            cols.extend(tags);
            members.iter().for_each(|(_, c)| collect(c, cols));
        }
    }
}

struct Compiler<'a> {
    graph: &'a Graph,
    writer: &'a Schema,
    layout: &'a Layout,
    blocks: Vec<Vec<Op>>,
    /// Records being skipped field by field: one that contains itself is skipped by walking.
    skipping: Vec<TypeId>,
}

impl<'a> Compiler<'a> {
    fn block(&mut self, ops: Vec<Op>) -> BlockId {
        self.blocks.push(ops);
        self.blocks.len() - 1
    }

    fn node(&self, id: NodeId) -> &'a Node {
        &self.graph.nodes[id]
    }

    fn root(&mut self, id: NodeId, ops: &mut Vec<Op>) {
        match self.node(id) {
            Node::Union(members) if self.layout_is_record() => {
                let blocks = members
                    .iter()
                    .map(|member| {
                        member.map(|id| {
                            let mut ops = Vec::new();
                            self.root(id, &mut ops);
                            self.block(ops)
                        })
                    })
                    .collect();
                ops.push(Op::Switch(blocks));
            }
            Node::Record(steps) if self.layout_is_record() => {
                self.record(steps, &self.layout.columns, ops);
            }
            _ => match self.layout.columns.first() {
                Some((_, column)) => self.value(id, column, ops),
                None => ops.push(Op::Skip(self.writer.root())),
            },
        }
    }

    /// A reader's record is spread over the columns; anything else is the one column `value`.
    fn layout_is_record(&self) -> bool {
        self.layout.record
    }

    fn record(&mut self, steps: &'a [Step], children: &'a [(usize, Column)], ops: &mut Vec<Op>) {
        let child = |field: usize| children.iter().find(|(i, _)| *i == field).map(|(_, c)| c);
        // A linear search for every step would be quadratic in wide records.
        let mut by_field: Vec<Option<&'a Column>> = Vec::new();
        if children.len() > 8 {
            let most = children.iter().map(|(i, _)| *i).max().unwrap_or(0);
            by_field.resize(most + 1, None);
            children.iter().for_each(|(i, c)| by_field[*i] = Some(c));
        }
        for step in steps {
            let column = |field: usize| match by_field.is_empty() {
                true => child(field),
                false => by_field.get(field).copied().flatten(),
            };
            match step {
                Step::Read {
                    field, ty, node, ..
                } => match column(*field) {
                    Some(column) => self.value(*node, column, ops),
                    None => self.skip(*ty, ops),
                },
                Step::Skip { ty, .. } => self.skip(*ty, ops),
                Step::Default {
                    field, bytes, node, ..
                } => {
                    if let Some(column) = column(*field) {
                        self.default(*node, bytes, column, ops);
                    }
                }
            }
        }
    }

    fn default(&mut self, id: NodeId, bytes: &[u8], column: &'a Column, ops: &mut Vec<Op>) {
        // The commonest default needs no reading.
        if let (Node::Union(members), &[tag, ..]) = (self.node(id), bytes)
            && let Some(&Some(member)) = members.get(usize::from(tag / 2))
            && matches!(self.node(member), Node::Null)
        {
            ops.extend(null_cols(column).map(Op::Null));
            return;
        }
        let mut inner = Vec::new();
        self.value(id, column, &mut inner);
        let mut padded = vec![0; TAIL];
        padded.extend_from_slice(bytes);
        let inner = self.block(inner);
        let mut cols = Vec::new();
        collect(column, &mut cols);
        let is_list = |&col: &ColId| matches!(self.layout.stores[col].store, Store::List { .. });
        // Lists have items of their own in every row.
        let same = (!cols.iter().any(is_list)).then_some(cols);
        let bytes = padded.into();
        ops.push(Op::Default { bytes, inner, same });
    }

    fn value(&mut self, id: NodeId, column: &'a Column, ops: &mut Vec<Op>) {
        match self.node(id) {
            Node::Union(members) => self.union(members, column, ops),
            Node::Null => ops.extend(null_cols(column).map(Op::Null)),
            Node::Member { index, node } => self.member(*index, *node, column, ops),
            node => {
                if let Some(col) = column.valid {
                    ops.push(Op::Fill { col, byte: 1 });
                }
                if let Some((kind, col)) = self.leaf(node, &column.body) {
                    ops.push(Op::Leaf(Leaf {
                        kind,
                        nulls: None,
                        col: Some(col),
                        valid: None,
                    }));
                    return;
                }
                self.body(id, &column.body, ops);
            }
        }
    }

    fn member(&mut self, index: usize, id: NodeId, column: &'a Column, ops: &mut Vec<Op>) {
        let Body::Union { tags, members, .. } = &column.body else {
            return self.value(id, column, ops);
        };
        let chosen = members.iter().find(|(i, _)| *i == index);
        let mut others = Vec::new();
        for (_, member) in members.iter().filter(|(i, _)| *i != index) {
            collect(member, &mut others);
        }
        if let Some(col) = column.valid {
            ops.push(Op::Fill {
                col,
                byte: u8::from(chosen.is_some()),
            });
        }
        if let Some(col) = *tags {
            ops.push(Op::Fill {
                col,
                byte: index as u8,
            });
        }
        if !others.is_empty() {
            ops.push(Op::Null(others));
        }
        if let Some((_, member)) = chosen {
            self.value(id, member, ops);
        }
    }

    fn union(&mut self, members: &[Option<NodeId>], column: &'a Column, ops: &mut Vec<Op>) {
        let is_null = |m: Option<NodeId>| m.is_some_and(|m| matches!(self.node(m), Node::Null));
        let other = match *members {
            [a, Some(b)] if a.is_none() || is_null(a) => Some((0, a, b)),
            [Some(a), b] if b.is_none() || is_null(b) => Some((1, b, a)),
            _ => None,
        };
        let Some((null, null_node, value)) = other else {
            let blocks = members
                .iter()
                .map(|member| {
                    member.map(|id| {
                        let mut ops = Vec::new();
                        self.value(id, column, &mut ops);
                        self.block(ops)
                    })
                })
                .collect();
            ops.push(Op::Switch(blocks));
            return;
        };
        let nulls = Nulls {
            value: 2 * (1 - null),
            null: 2 * null,
            allowed: null_node.is_some(),
        };
        let node = self.node(value);
        if let Some((kind, col)) = self.leaf(node, &column.body) {
            ops.push(Op::Leaf(Leaf {
                kind,
                nulls: Some(nulls),
                col: Some(col),
                valid: column.valid,
            }));
            return;
        }
        let mut inner = Vec::new();
        self.value(value, column, &mut inner);
        let inner = self.block(inner);
        let mut cols = Vec::new();
        collect(column, &mut cols);
        ops.push(Op::Optional { nulls, cols, inner });
    }

    /// The kernel that reads `node` straight into the column's one store, if there is one.
    fn leaf(&self, node: &Node, body: &Body) -> Option<(LeafKind, ColId)> {
        Some(match (node, body) {
            (Node::Scalar(scalar), &Body::Bool(col) | &Body::Fixed(col) | &Body::Slots(col)) => {
                (LeafKind::Scalar(*scalar), col)
            }
            (Node::Enum(node), &Body::Keys { col, .. }) => (
                LeafKind::Keys {
                    count: node.count,
                    map: node.map.clone(),
                },
                col,
            ),
            (Node::Enum(node), &Body::Slots(col)) => (LeafKind::Symbols(symbols(node)), col),
            _ => return None,
        })
    }

    fn body(&mut self, id: NodeId, body: &'a Body, ops: &mut Vec<Op>) {
        match (self.node(id), body) {
            (_, &Body::Text(col)) => ops.push(Op::Text { node: id, col }),
            (Node::Scalar(_), Body::Duration(cols)) => {
                for &col in cols {
                    ops.push(Op::Leaf(Leaf {
                        kind: LeafKind::DurationPart,
                        nulls: None,
                        col: Some(col),
                        valid: None,
                    }));
                }
            }
            (Node::Record(steps), Body::Struct(children)) => self.record(steps, children, ops),
            (Node::Record(steps), &Body::Bool(col)) => {
                self.record(steps, &[], ops);
                ops.push(Op::Fill { col, byte: 1 });
            }
            (Node::Array(items), Body::List { list, item }) => {
                let mut inner = Vec::new();
                self.value(items.node, item, &mut inner);
                self.list(*items, *list, inner, ops);
            }
            (Node::Map(items), Body::Map { list, key, value }) => {
                let mut inner = vec![Op::Leaf(Leaf {
                    kind: LeafKind::Scalar(Scalar::Bytes { utf8: true }),
                    nulls: None,
                    col: Some(*key),
                    valid: None,
                })];
                self.value(items.node, value, &mut inner);
                self.list(*items, *list, inner, ops);
            }
            (node, body) => unreachable!("{node:?} resolved into {body:?}"),
        }
    }

    fn list(&mut self, items: Items, list: ColId, inner: Vec<Op>, ops: &mut Vec<Op>) {
        let Store::List { child } = self.layout.stores[list].store else {
            unreachable!("lists have list stores")
        };
        let item = self.block(inner);
        ops.push(Op::List {
            list,
            child,
            bytes_min: items.bytes_min,
            item,
        });
    }

    /// Drops a value of the writer's type.
    fn skip(&mut self, ty: TypeId, ops: &mut Vec<Op>) {
        let leaf = |kind, nulls| Leaf {
            kind,
            nulls,
            col: None,
            valid: None,
        };
        let mut push = |leaf| match ops.last_mut() {
            Some(Op::Skips(leaves)) => leaves.push(leaf),
            _ => ops.push(Op::Skips(vec![leaf])),
        };
        if let Some(kind) = self.skip_leaf(ty) {
            push(leaf(kind, None));
            return;
        }
        match self.writer.kind_of(ty) {
            Kind::Null => {}
            Kind::Record(record) if !self.skipping.contains(&ty) => {
                self.skipping.push(ty);
                for field in &record.fields {
                    self.skip(field.ty, ops);
                }
                self.skipping.pop();
            }
            Kind::Union(members) => {
                let is_null = |t: TypeId| matches!(self.writer.kind_of(t), Kind::Null);
                let (null, value) = match *members.as_slice() {
                    [a, b] if is_null(a) => (0, b),
                    [a, b] if is_null(b) => (1, a),
                    _ => return ops.push(Op::Skip(ty)),
                };
                match self.skip_leaf(value) {
                    Some(kind) => {
                        let nulls = Nulls {
                            value: 2 * (1 - null),
                            null: 2 * null,
                            allowed: true,
                        };
                        push(leaf(kind, Some(nulls)));
                    }
                    None => ops.push(Op::Skip(ty)),
                }
            }
            _ => ops.push(Op::Skip(ty)),
        }
    }

    fn skip_leaf(&self, ty: TypeId) -> Option<LeafKind> {
        Some(match self.writer.kind_of(ty) {
            Kind::Boolean => LeafKind::SkipBoolean,
            Kind::Int => LeafKind::SkipInt,
            Kind::Long => LeafKind::SkipLong,
            Kind::Float => LeafKind::SkipFixed(4),
            Kind::Double => LeafKind::SkipFixed(8),
            Kind::Bytes | Kind::String => LeafKind::SkipBytes,
            Kind::Fixed { size, .. } => LeafKind::SkipFixed(*size),
            Kind::Enum(e) => LeafKind::SkipEnum(e.symbols.len()),
            _ => return None,
        })
    }
}

fn symbols(node: &EnumNode) -> Vec<Option<Symbol>> {
    (0..node.count)
        .map(|index| {
            node.reader(index).map(|index| Symbol {
                symbols: node.symbols.clone(),
                index,
            })
        })
        .collect()
}
