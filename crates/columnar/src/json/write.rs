//! One text to one Avro row, in one pass.
//!
//! Members are written as they come. As long as they come in the schema's order, that is all;
//! otherwise the object's bytes, whose members' places were noted, are put in order at its end.

use crate::transcode::{put_bytes, put_long};

use super::fault::{Fault, Stop};
use super::lexer::Lexer;
use super::overlay::Overlay;
use super::plan::{Field, NO_BYTES, Node, NodeId, Plan, Record, Text};
use super::strings::Quoted;
use super::{Unknown, scalars};

/// What is kept from row to row, so that none allocates.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// Where the members of the open objects have been written.
    segments: Vec<Segment>,
    /// Where the entries of the open maps have been written.
    entries: Vec<Entry>,
    /// Members without a column, of the open objects, as they stand in the text.
    rest: Vec<u8>,
    /// An object's bytes while they are put in order.
    ordered: Vec<u8>,
    slots: Vec<Option<(usize, usize)>>,
    /// A string without its escapes.
    pub(crate) text: Vec<u8>,
    /// The way to where the reading stopped, from there upwards.
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, Clone, Copy)]
struct Segment {
    field: usize,
    /// From and to, in the row. None: as if the member weren't there.
    bytes: Option<(usize, usize)>,
}

/// A map's key and value.
#[derive(Debug, Clone, Copy)]
struct Entry {
    start: usize,
    key: usize,
    value: usize,
    end: usize,
}

/// A step of a path.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A record and its field.
    Field(usize, usize),
    Item(usize),
    /// A member of a map, or one without a column.
    Key(Box<str>),
}

/// One row in the making.
pub(crate) struct Run<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) unknown: Unknown,
    /// If given, what has no place is noted here, and the row is good for nothing.
    pub(crate) overlay: Option<&'a mut Overlay>,
}

impl Run<'_> {
    /// A whole text.
    pub(crate) fn row(&mut self, lexer: &mut Lexer<'_>, row: &mut Vec<u8>) -> Result<(), Stop> {
        let byte = lexer.peek();
        match self.plan.nodes[self.plan.root] {
            Node::Record(index) if byte != b'{' => self.bare(lexer, index, row)?,
            _ => self.value(lexer, self.plan.root, row)?,
        }
        lexer.end()
    }

    /// What isn't an object, for a record.
    fn bare(&mut self, lexer: &mut Lexer<'_>, index: usize, row: &mut Vec<u8>) -> Result<(), Stop> {
        let at = lexer.at;
        let record = &self.plan.records[index];
        // For a topic without a schema, a row of nulls says as much.
        let null = lexer.peek() == b'n' && self.unknown == Unknown::Grow;
        if record.bare.is_none() && self.unknown != Unknown::Grow {
            return Err(Stop::new(at, Fault::Unfit("an object")));
        }
        let mut taken = false;
        for (i, field) in record.fields.iter().enumerate() {
            if record.bare == Some(i) && !null {
                self.value(lexer, field.node, row)?;
                taken = true;
            } else {
                self.absent(index, i, at, row)?;
            }
        }
        if !taken {
            lexer.skip()?;
        }
        if taken || null {
            return Ok(());
        }
        match &mut self.overlay {
            Some(overlay) => overlay.bare(index),
            None => return Err(Stop::new(at, Fault::Unknown)),
        }
        Ok(())
    }

    #[inline]
    fn value(
        &mut self,
        lexer: &mut Lexer<'_>,
        node: NodeId,
        row: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let byte = lexer.peek();
        match self.plan.nodes[node] {
            Node::Optional {
                value,
                index,
                null,
                never_null,
            } => {
                if byte == b'n' {
                    if never_null {
                        return Err(Stop::new(lexer.at, Fault::Unfit("no null")));
                    }
                    lexer.literal(b"null")?;
                    row.push(null);
                    Ok(())
                } else {
                    row.push(index);
                    self.present(lexer, value, byte, row)
                }
            }
            _ => self.present(lexer, node, byte, row),
        }
    }

    #[inline]
    fn present(
        &mut self,
        lexer: &mut Lexer<'_>,
        node: NodeId,
        byte: u8,
        row: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let at = lexer.at;
        let unfit = |what| Err(Stop::new(at, Fault::Unfit(what)));
        match &self.plan.nodes[node] {
            Node::Long => {
                if let Some(value) = lexer.short_integer() {
                    put_long(row, value);
                    return Ok(());
                }
                if let b'-' | b'0'..=b'9' = byte
                    && let Some(value) = lexer.number()?.exact_long()
                {
                    put_long(row, value);
                    return Ok(());
                }
                unfit("an integer of 64 bits")
            }
            Node::Text(mode) => {
                if byte == b'"' && *mode != Text::Json {
                    return lexer.put_string(row);
                }
                if *mode == Text::Strings {
                    return unfit("a string");
                }
                lexer.skip()?;
                put_bytes(row, lexer.between(at, lexer.at));
                Ok(())
            }
            Node::Double => {
                if let b'-' | b'0'..=b'9' = byte
                    && let Some(value) = lexer.number()?.faithful_double()
                {
                    row.extend_from_slice(&value.to_le_bytes());
                    return Ok(());
                }
                unfit("a number that a double holds")
            }
            Node::Boolean => {
                let value = byte == b't';
                match byte {
                    b't' => lexer.literal(b"true")?,
                    b'f' => lexer.literal(b"false")?,
                    _ => return unfit("a boolean"),
                }
                row.push(u8::from(value));
                Ok(())
            }
            &Node::Record(index) => {
                if byte != b'{' {
                    return unfit("an object");
                }
                self.record(lexer, index, row)
            }
            &Node::Array(items) => {
                if byte != b'[' {
                    return unfit("an array");
                }
                self.array(lexer, items, row)
            }
            &Node::Map(values) => {
                if byte != b'{' {
                    return unfit("an object");
                }
                self.map(lexer, values, row)
            }
            Node::Null => {
                if byte != b'n' {
                    return unfit("null");
                }
                lexer.literal(b"null")
            }
            Node::Union(members) => self.union(lexer, members, byte, row),
            Node::Optional { .. } => self.value(lexer, node, row),
            Node::Spelled { as_text, .. } if *as_text != (byte == b'"') => {
                unfit(if *as_text { "a string" } else { "a number" })
            }
            Node::Spelled { inner, .. } => {
                scalars::put(inner, lexer, byte, &mut self.scratch.text, row)
            }
            scalar => scalars::put(scalar, lexer, byte, &mut self.scratch.text, row),
        }
    }

    /// The first member that holds the value; a text holds strings, and what no other member does.
    fn union(
        &mut self,
        lexer: &mut Lexer<'_>,
        members: &[NodeId],
        byte: u8,
        row: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let (place, length) = (lexer.place(), row.len());
        let mut stopped = Stop::new(lexer.at, Fault::Unfit("a member of the union"));
        // Texts take anything, so that those of other values come last.
        let plan = self.plan;
        let put_off = |&(_, &member): &(usize, &NodeId)| {
            byte != b'"' && matches!(plan.nodes[member], Node::Text(_))
        };
        let all = || members.iter().enumerate();
        let order = all().filter(|m| !put_off(m)).chain(all().filter(put_off));
        for (i, &member) in order {
            let compound = match plan.nodes[member] {
                Node::Record(_) | Node::Map(_) => Some(b'{'),
                Node::Array(_) => Some(b'['),
                _ => None,
            };
            if compound.is_some_and(|c| c != byte) {
                continue;
            }
            put_long(row, i as i64);
            match self.value(lexer, member, row) {
                Ok(()) => return Ok(()),
                Err(stop) if stop.is_syntax() || compound.is_some() => return Err(stop),
                Err(stop) => stopped = stop,
            }
            row.truncate(length);
            lexer.back_to(place);
        }
        Err(stopped)
    }

    fn array(
        &mut self,
        lexer: &mut Lexer<'_>,
        items: NodeId,
        row: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let start = row.len();
        let mut count = 0;
        if lexer.open(b']')? {
            row.push(0);
            loop {
                if let Err(stop) = self.value(lexer, items, row) {
                    self.scratch.steps.push(Step::Item(count));
                    return Err(stop);
                }
                count += 1;
                if !lexer.more(b']')? {
                    break;
                }
            }
        }
        close_block(row, start, count);
        Ok(())
    }

    fn map(
        &mut self,
        lexer: &mut Lexer<'_>,
        values: NodeId,
        row: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let base = self.scratch.entries.len();
        let result = self.entries(lexer, values, row, base);
        self.scratch.entries.truncate(base);
        result
    }

    fn entries(
        &mut self,
        lexer: &mut Lexer<'_>,
        values: NodeId,
        row: &mut Vec<u8>,
        base: usize,
    ) -> Result<(), Stop> {
        let start = row.len();
        if lexer.open(b'}')? {
            row.push(0);
            loop {
                let key = lexer.key()?;
                lexer.colon()?;
                let from = row.len();
                put_long(row, key.bytes as i64);
                let key_from = row.len();
                key.put(row);
                let value_from = row.len();
                if let Err(stop) = self.value(lexer, values, row) {
                    self.scratch.steps.push(Step::Key(text_of(key)));
                    return Err(stop);
                }
                self.scratch.entries.push(Entry {
                    start: from,
                    key: key_from,
                    value: value_from,
                    end: row.len(),
                });
                if !lexer.more(b'}')? {
                    break;
                }
            }
        }
        self.last_of_each_key(row, base);
        close_block(row, start, self.scratch.entries.len() - base);
        Ok(())
    }

    /// Where a key comes twice, its last value counts.
    fn last_of_each_key(&mut self, row: &mut Vec<u8>, base: usize) {
        let entries = &mut self.scratch.entries;
        let [first, _, ..] = &entries[base..] else {
            return;
        };
        let start = first.start;
        // Equal keys come to stand together, the last in the text before the others.
        let key = |e: &Entry| &row[e.key..e.value];
        entries[base..].sort_unstable_by(|a, b| key(a).cmp(key(b)).then(b.start.cmp(&a.start)));
        let all = entries.len();
        let mut kept = base + 1;
        for i in base + 1..all {
            if key(&entries[i]) != key(&entries[kept - 1]) {
                entries[kept] = entries[i];
                kept += 1;
            }
        }
        if kept == all {
            return;
        }
        entries.truncate(kept);
        entries[base..].sort_unstable_by_key(|e| e.start);
        let ordered = &mut self.scratch.ordered;
        ordered.clear();
        for entry in &entries[base..] {
            ordered.extend_from_slice(&row[entry.start..entry.end]);
        }
        row.truncate(start);
        row.extend_from_slice(ordered);
    }

    fn record(
        &mut self,
        lexer: &mut Lexer<'_>,
        index: usize,
        row: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let bases = (self.scratch.segments.len(), self.scratch.rest.len());
        let result = self.members(lexer, index, row, bases);
        self.scratch.segments.truncate(bases.0);
        self.scratch.rest.truncate(bases.1);
        result
    }

    fn members(
        &mut self,
        lexer: &mut Lexer<'_>,
        index: usize,
        row: &mut Vec<u8>,
        (segments, rest): (usize, usize),
    ) -> Result<(), Stop> {
        let plan = self.plan;
        let record = &plan.records[index];
        let fields = record.fields.as_slice();
        let (start, at) = (row.len(), lexer.at);
        // All fields before `next` are written, as long as the order is the schema's.
        let (mut next, mut in_order) = (0, true);
        let mut before = fields.len();
        let mut open = lexer.open(b'}')?;
        while open {
            let likely = record.likely_after(before);
            let quick = fields.get(likely).and_then(Field::quick);
            let found = if quick.is_some_and(|quick| lexer.expected_key(quick)) {
                lexer.colon()?;
                Ok(likely)
            } else {
                let key = lexer.key()?;
                lexer.colon()?;
                self.field_of(record, key, before).ok_or(key)
            };
            match found {
                Ok(i) => {
                    if in_order {
                        in_order = i >= next && fill(&fields[next..i], row);
                        next = i + 1;
                    }
                    in_order &= self.member(lexer, index, i, row)?;
                    before = i;
                }
                Err(key) => self.stranger(lexer, index, key, rest)?,
            }
            open = lexer.more(b'}')?;
        }
        if self.scratch.rest.len() > rest
            && let Some(i) = record.rest
        {
            self.scratch.rest.push(b'}');
            let from = row.len();
            if let Node::Optional { index, .. } = plan.nodes[fields[i].node] {
                row.push(index);
            }
            put_bytes(row, &self.scratch.rest[rest..]);
            let bytes = Some((from, row.len()));
            self.scratch.segments.push(Segment { field: i, bytes });
            in_order = false;
        }
        if in_order && fill(&fields[next..], row) {
            return Ok(());
        }
        self.put_in_order(index, segments, start, at, row)
    }

    fn field_of(&mut self, record: &Record, key: Quoted<'_>, before: usize) -> Option<usize> {
        if key.is_plain() {
            return record.field_of(key.raw, before);
        }
        let text = &mut self.scratch.text;
        text.clear();
        key.put(text);
        record.field_of(text, before)
    }

    /// A member's value, for the field it is of. Whether the row still is in order.
    #[inline]
    fn member(
        &mut self,
        lexer: &mut Lexer<'_>,
        index: usize,
        i: usize,
        row: &mut Vec<u8>,
    ) -> Result<bool, Stop> {
        let plan = self.plan;
        let field = &plan.records[index].fields[i];
        let (place, from) = (lexer.place(), row.len());
        let segment = |row: &Vec<u8>| Segment {
            field: i,
            bytes: Some((from, row.len())),
        };
        match self.value(lexer, field.node, row) {
            Ok(()) => {
                self.scratch.segments.push(segment(row));
                if let Some(text) = field.text {
                    // An earlier member of this name may have left something there.
                    self.scratch.segments.push(Segment {
                        field: text,
                        bytes: None,
                    });
                }
                Ok(true)
            }
            Err(mut stop) => {
                if stop.is_syntax() || stop.settled {
                    self.scratch.steps.push(Step::Field(index, i));
                    return Err(stop);
                }
                row.truncate(from);
                if let (Some(text), Some(null)) = (field.text, field.null) {
                    self.scratch.steps.clear();
                    lexer.back_to(place);
                    put_null(null, row);
                    self.scratch.segments.push(segment(row));
                    let from = row.len();
                    self.value(lexer, plan.records[index].fields[text].node, row)?;
                    let bytes = Some((from, row.len()));
                    let field = text;
                    self.scratch.segments.push(Segment { field, bytes });
                    return Ok(false);
                }
                if let Some(overlay) = &mut self.overlay {
                    self.scratch.steps.clear();
                    lexer.back_to(place);
                    lexer.skip()?;
                    overlay.text(index, i);
                    return Ok(true);
                }
                stop.settled = true;
                self.scratch.steps.push(Step::Field(index, i));
                Err(stop)
            }
        }
    }

    /// A member without a column of its own.
    fn stranger(
        &mut self,
        lexer: &mut Lexer<'_>,
        index: usize,
        key: Quoted<'_>,
        rest: usize,
    ) -> Result<(), Stop> {
        lexer.peek();
        let (place, at) = (lexer.place(), lexer.at);
        let says_something = lexer.skip()?;
        if self.plan.records[index].rest.is_some() {
            let buffer = &mut self.scratch.rest;
            buffer.push(if buffer.len() == rest { b'{' } else { b',' });
            buffer.push(b'"');
            buffer.extend_from_slice(key.raw);
            buffer.extend_from_slice(b"\":");
            buffer.extend_from_slice(lexer.between(at, lexer.at));
            return Ok(());
        }
        let unknown = if self.plan.records[index].closed {
            Unknown::Refuse
        } else {
            self.unknown
        };
        match (&mut self.overlay, unknown) {
            (Some(overlay), _) => {
                lexer.back_to(place);
                overlay.member(index, &text_of(key), lexer)
            }
            (None, Unknown::Ignore) => Ok(()),
            (None, Unknown::Grow) if !says_something => Ok(()),
            (None, Unknown::Grow | Unknown::Refuse) => {
                self.scratch.steps.push(Step::Key(text_of(key)));
                let mut stop = Stop::new(at, Fault::Unknown);
                stop.settled = true;
                Err(stop)
            }
        }
    }

    /// What stands for a member that isn't there.
    fn absent(&mut self, index: usize, i: usize, at: usize, row: &mut Vec<u8>) -> Result<(), Stop> {
        match (
            &self.plan.records[index].fields[i].absent,
            &mut self.overlay,
        ) {
            (Some(bytes), _) => row.extend_from_slice(bytes),
            (None, Some(overlay)) => overlay.optional(index, i),
            (None, None) => {
                self.scratch.steps.push(Step::Field(index, i));
                let mut stop = Stop::new(at, Fault::Missing);
                stop.settled = true;
                return Err(stop);
            }
        }
        Ok(())
    }

    /// Puts an object's bytes into the schema's order.
    fn put_in_order(
        &mut self,
        index: usize,
        segments: usize,
        start: usize,
        at: usize,
        row: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let count = self.plan.records[index].fields.len();
        let mut slots = std::mem::take(&mut self.scratch.slots);
        let mut ordered = std::mem::take(&mut self.scratch.ordered);
        slots.clear();
        slots.resize(count, None);
        // Where a member comes twice, the last one counts.
        for segment in &self.scratch.segments[segments..] {
            slots[segment.field] = segment.bytes;
        }
        ordered.clear();
        let mut result = Ok(());
        for (i, slot) in slots.iter().enumerate() {
            match *slot {
                Some((from, to)) => ordered.extend_from_slice(&row[from..to]),
                None => {
                    result = self.absent(index, i, at, &mut ordered);
                    if result.is_err() {
                        break;
                    }
                }
            }
        }
        row.truncate(start);
        row.extend_from_slice(&ordered);
        (self.scratch.slots, self.scratch.ordered) = (slots, ordered);
        result
    }
}

/// Writes what stands for members that aren't there, unless one of them must be.
#[inline]
fn fill(fields: &[Field], row: &mut Vec<u8>) -> bool {
    for field in fields {
        match &field.absent {
            Some(bytes) => row.extend_from_slice(bytes),
            None => return false,
        }
    }
    true
}

fn put_null(null: u8, row: &mut Vec<u8>) {
    if null != NO_BYTES {
        row.push(null);
    }
}

/// Gives a block of items its count, for which a byte was left at `start`, and its end.
fn close_block(row: &mut Vec<u8>, start: usize, count: usize) {
    row.push(0);
    match count {
        0 => {}
        1..64 => row[start] = count as u8 * 2,
        _ => {
            let mut bytes = Vec::with_capacity(10);
            put_long(&mut bytes, count as i64);
            row.splice(start..=start, bytes);
        }
    }
}

/// For messages and for new columns.
fn text_of(key: Quoted<'_>) -> Box<str> {
    let mut text = Vec::new();
    key.put(&mut text);
    String::from_utf8_lossy(&text).into()
}
