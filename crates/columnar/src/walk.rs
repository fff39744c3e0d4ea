//! One row, walked value by value in safe code: to say exactly what is wrong with a row that the
//! kernels refused, to write values without columns as text, and to step over what is dropped.

use crate::avro::resolve::{Graph, Items, Node, NodeId, Scalar, Step, bytes_min};
use crate::avro::{Kind, TypeId};
use crate::error::Reason;
use crate::kernels::read::{self, Read, Swar};
use crate::kernels::scalar::{decimal_bytes, number};
use crate::layout::{Body, Column, Layout, NumberOut, Store};
use crate::options::{EMPTY_ITEM_WEIGHT, Limits};

/// Where a walk stopped, and why.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stop {
    pub(crate) path: String,
    pub(crate) position: usize,
    pub(crate) reason: Reason,
}

enum Segment<'a> {
    Field(&'a str),
    Index(usize),
    Key(&'a [u8]),
}

pub(crate) struct Walker<'a> {
    graph: &'a Graph,
    layout: &'a Layout,
    limits: &'a Limits,
    body: &'a [u8],
    position: usize,
    /// The way down to where the walk stopped.
    path: String,
    depth: usize,
    /// What is left of [`Limits::row_items_max`].
    pub(crate) items_left: usize,
}

type Walk = Result<(), Reason>;

impl<'a> Walker<'a> {
    pub(crate) fn new(
        graph: &'a Graph,
        layout: &'a Layout,
        limits: &'a Limits,
        body: &'a [u8],
    ) -> Self {
        Self {
            graph,
            layout,
            limits,
            body,
            position: 0,
            path: String::new(),
            depth: 0,
            items_left: limits.row_items_max,
        }
    }

    /// Bytes walked over so far.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// Checks a whole row as the kernels check it.
    pub(crate) fn check_row(&mut self) -> Result<(), Stop> {
        let result = self
            .root(self.graph.root)
            .and_then(|()| match self.rest().len() {
                0 => Ok(()),
                n => Err(Reason::TrailingBytes(n)),
            });
        result.map_err(|reason| Stop {
            path: std::mem::take(&mut self.path),
            position: self.position,
            reason,
        })
    }

    /// Puts a step before those that the path has already: a failed walk is left from below.
    #[cold]
    fn prepend(&mut self, segment: &Segment<'_>) {
        // No name begins with a bracket or a brace.
        if !self.path.is_empty() && !self.path.starts_with(['[', '{']) {
            self.path.insert(0, '.');
        }
        match segment {
            Segment::Field(name) => self.path.insert_str(0, name),
            Segment::Index(index) => self.path.insert_str(0, &format!("[{index}]")),
            Segment::Key(key) => {
                let key = String::from_utf8_lossy(key);
                self.path.insert_str(0, &format!("{{{key:?}}}"));
            }
        }
    }

    fn rest(&self) -> &'a [u8] {
        &self.body[self.position..]
    }

    /// Takes a value that starts here; a refused one leaves the position at its start.
    fn take<T>(&mut self, read: impl FnOnce(&'a [u8]) -> Read<T>) -> Result<T, Reason> {
        let (value, n) = read(self.rest())?;
        self.position += n;
        Ok(value)
    }

    /// Goes one segment down. After a failure it is part of the report's path.
    fn at(&mut self, segment: Segment<'a>, f: impl FnOnce(&mut Self) -> Walk) -> Walk {
        f(self).inspect_err(|_| self.prepend(&segment))
    }

    fn deeper(&mut self, f: impl FnOnce(&mut Self) -> Walk) -> Walk {
        if self.depth == self.limits.depth_max {
            return Err(Reason::TooDeep(self.limits.depth_max));
        }
        self.depth += 1;
        f(self)?;
        self.depth -= 1;
        Ok(())
    }

    fn root(&mut self, id: NodeId) -> Walk {
        let graph = self.graph;
        let layout = self.layout;
        match &graph.nodes[id] {
            Node::Union(members) if layout.record => {
                let member = self.member(members)?;
                self.root(member)
            }
            Node::Record(steps) if layout.record => self.record(steps, &layout.columns),
            _ => match layout.columns.first() {
                Some((_, column)) => self.at(Segment::Field("value"), |s| s.value(id, column)),
                None => self.skip(graph.writer.root()),
            },
        }
    }

    fn member(&mut self, members: &[Option<NodeId>]) -> Result<NodeId, Reason> {
        let start = self.position;
        let index = self.take(|b| read::member::<Swar>(b, members.len()))?;
        members[index].ok_or_else(|| {
            self.position = start;
            Reason::UnknownMember(index)
        })
    }

    fn record(&mut self, steps: &'a [Step], children: &'a [(usize, Column)]) -> Walk {
        for step in steps {
            match step {
                Step::Read {
                    field,
                    name,
                    ty,
                    node,
                } => {
                    let column = children.iter().find(|(i, _)| i == field).map(|(_, c)| c);
                    self.at(Segment::Field(name), |s| match column {
                        Some(column) => s.value(*node, column),
                        None => s.skip(*ty),
                    })?;
                }
                Step::Skip { name, ty } => self.at(Segment::Field(name), |s| s.skip(*ty))?,
                Step::Default { .. } => {}
            }
        }
        Ok(())
    }

    fn value(&mut self, id: NodeId, column: &'a Column) -> Walk {
        let graph = self.graph;
        match &graph.nodes[id] {
            Node::Union(members) => {
                let member = self.member(members)?;
                self.value(member, column)
            }
            Node::Member { index, node } => {
                let Body::Union { members, .. } = &column.body else {
                    return self.value(*node, column);
                };
                match members.iter().find(|(i, _)| i == index) {
                    Some((_, member)) => self.value(*node, member),
                    None => Ok(()),
                }
            }
            Node::Null => Ok(()),
            node => match (node, &column.body) {
                (_, Body::Text(_)) => self.text(id, &mut Vec::new()),
                (Node::Record(steps), Body::Struct(children)) => self.record(steps, children),
                (Node::Record(steps), _) => self.record(steps, &[]),
                (Node::Array(items), Body::List { item, .. }) => self
                    .blocks(items.bytes_min, |s, index| {
                        s.at(Segment::Index(index), |s| s.value(items.node, item))
                    }),
                (Node::Map(items), Body::Map { value, .. }) => {
                    self.blocks(items.bytes_min, |s, _| {
                        let key = s.string()?;
                        s.at(Segment::Key(key), |s| s.value(items.node, value))
                    })
                }
                (Node::Enum(e), _) => {
                    let start = self.position;
                    let index = self.take(|b| read::symbol::<Swar>(b, e.count))?;
                    match e.reader(index) {
                        Some(_) => Ok(()),
                        None => {
                            self.position = start;
                            Err(Reason::UnknownSymbol(index))
                        }
                    }
                }
                (Node::Scalar(scalar), Body::Duration(_)) => {
                    let Scalar::Duration = scalar else {
                        unreachable!("durations alone have three stores")
                    };
                    self.take(read::array::<12>).map(drop)
                }
                (Node::Scalar(scalar), body) => {
                    let utf8 = match body {
                        Body::Slots(col) => {
                            self.layout.stores[*col].store == Store::Slots { utf8: true }
                        }
                        _ => false,
                    };
                    self.scalar(*scalar, utf8)
                }
                (node, body) => unreachable!("{node:?} resolved into {body:?}"),
            },
        }
    }

    fn scalar(&mut self, scalar: Scalar, utf8: bool) -> Walk {
        match scalar {
            Scalar::Boolean => self.take(read::boolean).map(drop),
            Scalar::Number { .. } => self.take(|b| number::<Swar>(b, scalar)).map(drop),
            Scalar::Float | Scalar::FloatAsDouble => self.take(read::array::<4>).map(drop),
            Scalar::Double => self.take(read::array::<8>).map(drop),
            Scalar::Bytes { .. } if utf8 => self.string().map(drop),
            Scalar::Bytes { .. } => self.take(|b| read::bytes::<Swar>(b)).map(drop),
            Scalar::Fixed(size) => self.take(|b| read::fixed(b, size)).map(drop),
            Scalar::Decimal { precision, .. } => self.take(|b| {
                let (bytes, n) = decimal_bytes::<Swar>(b, scalar)?;
                if precision <= 38 {
                    read::decimal128(bytes, precision)?;
                } else {
                    read::decimal256(bytes, precision)?;
                }
                Ok(((), n))
            }),
            Scalar::UuidText => self
                .take(|b| {
                    let (text, n) = read::bytes::<Swar>(b)?;
                    Ok((read::uuid(text)?, n))
                })
                .map(drop),
            Scalar::Duration => self
                .take(|b| {
                    let (bytes, n) = read::array::<12>(b)?;
                    Ok((read::duration(bytes)?, n))
                })
                .map(drop),
        }
    }

    fn string(&mut self) -> Result<&'a [u8], Reason> {
        self.take(|b| {
            let (text, n) = read::bytes::<Swar>(b)?;
            match simdutf8::basic::from_utf8(text) {
                Ok(_) => Ok((text, n)),
                Err(_) => Err(Reason::InvalidUtf8),
            }
        })
    }

    /// All blocks of an array or map.
    fn blocks(&mut self, bytes_min: usize, mut item: impl FnMut(&mut Self, usize) -> Walk) -> Walk {
        let mut index = 0;
        loop {
            let start = self.position;
            let count = self.take(read::block::<Swar>)?;
            let left = self.rest().len();
            let count = match charge(count, bytes_min, left, &mut self.items_left, self.limits) {
                Ok(count) => count,
                Err(reason) => {
                    self.position = start;
                    return Err(reason);
                }
            };
            if count == 0 {
                return Ok(());
            }
            for _ in 0..count {
                item(self, index)?;
                index += 1;
            }
        }
    }

    /// Steps over a value of the writer's type. Text isn't checked to be UTF-8.
    pub(crate) fn skip(&mut self, ty: TypeId) -> Walk {
        let writer = &self.graph.writer;
        match writer.kind_of(ty) {
            Kind::Null => Ok(()),
            Kind::Boolean => self.take(read::boolean).map(drop),
            Kind::Int => self.take(read::int::<Swar>).map(drop),
            Kind::Long => self.take(read::varint::<Swar>).map(drop),
            Kind::Float => self.take(read::array::<4>).map(drop),
            Kind::Double => self.take(read::array::<8>).map(drop),
            Kind::Bytes | Kind::String => self.take(|b| read::bytes::<Swar>(b)).map(drop),
            Kind::Fixed { size, .. } => self.take(|b| read::fixed(b, *size)).map(drop),
            Kind::Enum(e) => {
                let count = e.symbols.len();
                self.take(|b| read::symbol::<Swar>(b, count)).map(drop)
            }
            Kind::Union(members) => {
                let index = self.take(|b| read::member::<Swar>(b, members.len()))?;
                self.skip(members[index])
            }
            Kind::Record(record) => self.deeper(|s| {
                record
                    .fields
                    .iter()
                    .try_for_each(|f| s.at(Segment::Field(&f.name), |s| s.skip(f.ty)))
            }),
            &Kind::Array(items) => {
                let least = bytes_min(writer, items, 0);
                self.deeper(|s| s.blocks(least, |s, i| s.at(Segment::Index(i), |s| s.skip(items))))
            }
            &Kind::Map(values) => {
                let least = 1 + bytes_min(writer, values, 0);
                self.deeper(|s| {
                    s.blocks(least, |s, _| {
                        let key = s.take(|b| read::bytes::<Swar>(b))?;
                        s.at(Segment::Key(key), |s| s.skip(values))
                    })
                })
            }
        }
    }

    /// Writes a value as text: a decimal as such, everything else as JSON.
    pub(crate) fn text(&mut self, id: NodeId, out: &mut Vec<u8>) -> Walk {
        match self.graph.nodes[id] {
            Node::Scalar(scalar @ Scalar::Decimal { .. }) => {
                let text = self.decimal(scalar)?;
                out.extend_from_slice(text.as_bytes());
                Ok(())
            }
            _ => self.json(id, out),
        }
    }

    fn json(&mut self, id: NodeId, out: &mut Vec<u8>) -> Walk {
        let graph = self.graph;
        match &graph.nodes[id] {
            Node::Null | Node::Open => {
                out.extend_from_slice(b"null");
                Ok(())
            }
            Node::Union(members) => {
                let member = self.member(members)?;
                self.json(member, out)
            }
            Node::Member { node, .. } => self.json(*node, out),
            Node::Enum(e) => {
                let start = self.position;
                let index = self.take(|b| read::symbol::<Swar>(b, e.count))?;
                let Some(symbol) = e.reader(index) else {
                    self.position = start;
                    return Err(Reason::UnknownSymbol(index));
                };
                quote(&e.symbols[symbol], out);
                Ok(())
            }
            Node::Scalar(scalar) => self.json_scalar(*scalar, out),
            Node::Record(steps) => self.deeper(|s| s.json_record(steps, out)),
            Node::Array(items) => self.deeper(|s| s.json_array(*items, out)),
            Node::Map(items) => self.deeper(|s| s.json_map(*items, out)),
        }
    }

    fn json_record(&mut self, steps: &'a [Step], out: &mut Vec<u8>) -> Walk {
        out.push(b'{');
        let mut first = true;
        for step in steps {
            let (name, node, default) = match step {
                Step::Skip { name, ty } => {
                    self.at(Segment::Field(name), |s| s.skip(*ty))?;
                    continue;
                }
                Step::Read { name, node, .. } => (name, *node, None),
                Step::Default {
                    name, node, bytes, ..
                } => (name, *node, Some(bytes)),
            };
            comma(&mut first, out);
            quote(name, out);
            out.push(b':');
            match default {
                None => self.at(Segment::Field(name), |s| s.json(node, out))?,
                Some(bytes) => {
                    let mut inner = Walker::new(self.graph, self.layout, self.limits, bytes);
                    inner.depth = self.depth;
                    inner.json(node, out)?;
                }
            }
        }
        out.push(b'}');
        Ok(())
    }

    fn json_array(&mut self, items: Items, out: &mut Vec<u8>) -> Walk {
        out.push(b'[');
        let mut first = true;
        self.blocks(items.bytes_min, |s, index| {
            comma(&mut first, out);
            s.at(Segment::Index(index), |s| s.json(items.node, out))
        })?;
        out.push(b']');
        Ok(())
    }

    fn json_map(&mut self, items: Items, out: &mut Vec<u8>) -> Walk {
        out.push(b'{');
        let mut first = true;
        self.blocks(items.bytes_min, |s, _| {
            comma(&mut first, out);
            let key = s.string()?;
            quote(&String::from_utf8_lossy(key), out);
            out.push(b':');
            s.at(Segment::Key(key), |s| s.json(items.node, out))
        })?;
        out.push(b'}');
        Ok(())
    }

    fn json_scalar(&mut self, scalar: Scalar, out: &mut Vec<u8>) -> Walk {
        match scalar {
            Scalar::Boolean => {
                let text: &[u8] = if self.take(read::boolean)? {
                    b"true"
                } else {
                    b"false"
                };
                out.extend_from_slice(text);
            }
            Scalar::Number { out: to, .. } => {
                let value = self.take(|b| number::<Swar>(b, scalar))?;
                match to {
                    NumberOut::F32 => float(value as f32, out),
                    NumberOut::F64 => float(value as f64, out),
                    NumberOut::I32 | NumberOut::I64 => {
                        out.extend_from_slice(value.to_string().as_bytes());
                    }
                }
            }
            Scalar::Float | Scalar::FloatAsDouble => {
                float(f32::from_le_bytes(self.take(read::array)?), out);
            }
            Scalar::Double => float(f64::from_le_bytes(self.take(read::array)?), out),
            Scalar::Bytes { utf8: true } => quote(&String::from_utf8_lossy(self.string()?), out),
            Scalar::Bytes { utf8: false } => {
                let bytes = self.take(|b| read::bytes::<Swar>(b))?;
                code_points(bytes, out);
            }
            Scalar::Fixed(size) => {
                let bytes = self.take(|b| read::fixed(b, size))?;
                code_points(bytes, out);
            }
            Scalar::Decimal { .. } => {
                let text = self.decimal(scalar)?;
                quote(&text, out);
            }
            Scalar::UuidText => {
                let (start, text) = (self.position, self.string()?);
                if let Err(reason) = read::uuid(text) {
                    self.position = start;
                    return Err(reason);
                }
                quote(&String::from_utf8_lossy(text), out);
            }
            Scalar::Duration => {
                let bytes = self.take(read::array::<12>)?;
                let part = |i: usize| u32::from_le_bytes([0, 1, 2, 3].map(|j| bytes[4 * i + j]));
                let text = format!(
                    r#"{{"months":{},"days":{},"millis":{}}}"#,
                    part(0),
                    part(1),
                    part(2)
                );
                out.extend_from_slice(text.as_bytes());
            }
        }
        Ok(())
    }

    fn decimal(&mut self, scalar: Scalar) -> Result<String, Reason> {
        let Scalar::Decimal {
            precision, scale, ..
        } = scalar
        else {
            unreachable!("the kind says it is a decimal")
        };
        let value = self.take(|b| {
            let (bytes, n) = decimal_bytes::<Swar>(b, scalar)?;
            Ok((read::decimal256(bytes, precision)?, n))
        })?;
        let digits = value.to_string();
        let (sign, digits) = match digits.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", digits.as_str()),
        };
        let scale = usize::from(scale);
        let digits = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let point = if scale == 0 { "" } else { "." };
        Ok(format!("{sign}{whole}{point}{fraction}"))
    }
}

/// Checks a block's count against what the row has left and may still ask for.
pub(crate) fn charge(
    count: u64,
    bytes_min: usize,
    left: usize,
    items_left: &mut usize,
    limits: &Limits,
) -> Result<usize, Reason> {
    let error = Reason::LengthPastEnd {
        length: i64::try_from(count).unwrap_or(i64::MAX),
        left,
    };
    let weight = if bytes_min == 0 { EMPTY_ITEM_WEIGHT } else { 1 };
    let count = usize::try_from(count).map_err(|_| error)?;
    if bytes_min > 0
        && count
            .checked_mul(bytes_min)
            .is_none_or(|bytes| bytes > left)
    {
        return Err(error);
    }
    *items_left = count
        .checked_mul(weight)
        .and_then(|cost| items_left.checked_sub(cost))
        .ok_or(Reason::TooManyItems(limits.row_items_max))?;
    Ok(count)
}

fn comma(first: &mut bool, out: &mut Vec<u8>) {
    if !std::mem::take(first) {
        out.push(b',');
    }
}

fn quote(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
}

/// Bytes as the Avro JSON encoding has them: each byte a code point.
fn code_points(bytes: &[u8], out: &mut Vec<u8>) {
    let text: String = bytes.iter().map(|&b| char::from(b)).collect();
    quote(&text, out);
}

/// JSON has no words for what isn't finite; Avro's defaults spell them so.
fn float<T: Into<f64> + serde::Serialize + Copy>(value: T, out: &mut Vec<u8>) {
    let wide: f64 = value.into();
    if wide.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else if wide.is_infinite() {
        let text: &[u8] = if wide > 0.0 {
            b"\"Infinity\""
        } else {
            b"\"-Infinity\""
        };
        out.extend_from_slice(text);
    } else if let Ok(text) = serde_json::to_vec(&value) {
        out.extend_from_slice(&text);
    }
}
