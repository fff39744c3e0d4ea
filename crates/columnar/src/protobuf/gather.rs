//! The walk over a message whatever the order of its fields, and however often they come.
//!
//! A message's fields are found first and written then, in their order. What is sent in parts is
//! merged, by the specification's rules: the parts of a message are read as if they stood one
//! behind the other, a list takes the items of all its parts, and of anything else, and of the
//! members of a oneof, the last counts. What doesn't count must still be well-formed.

use std::ops::Range;

use super::fault::{Stop, fault};
use super::plan::{Field, Message, Shape, Value};
use super::stream::{List, Walk};
use super::value::{PRESENT, put_key, put_known, put_scalar, put_symbol};
use super::wire::Wire;

/// One occurrence of a field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    /// Its index in the message.
    field: usize,
    tag: u32,
    /// Its value, as [`Wire::value`] cuts it out.
    start: usize,
    end: usize,
}

impl Span {
    fn wire(self, bytes: &[u8]) -> Wire<'_> {
        Wire {
            bytes: &bytes[..self.end],
            at: self.start,
        }
    }
}

/// No field: a oneof of which nothing was sent.
const NONE: usize = usize::MAX;

impl Walk<'_, '_> {
    /// Writes a message from its parts: `parts` of the scratch memory's, ranges of `bytes`.
    pub(super) fn gather(
        &mut self,
        id: usize,
        parts: Range<usize>,
        bytes: &[u8],
        row: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let message = &self.plan.messages[id];
        let (first, oneofs) = (self.scratch.spans.len(), self.scratch.oneofs.len());
        self.scratch
            .oneofs
            .resize(oneofs + message.oneofs, (NONE, 0));
        let mut end = 0;
        for part in parts {
            let (at, part_end) = self.scratch.parts[part];
            end = part_end;
            self.find(
                message,
                oneofs,
                Wire {
                    bytes: &bytes[..end],
                    at,
                },
            )?;
        }
        let spans = &mut self.scratch.spans[first..];
        spans.sort_unstable_by_key(|span| (span.field, span.start));
        let last = self.scratch.spans.len();
        let (mut at, mut next) = (first, 0);
        while at < last {
            let index = self.scratch.spans[at].field;
            let field = &message.fields[index];
            let same = |span: &&Span| span.field == index;
            let count = self.scratch.spans[at..last].iter().take_while(same).count();
            let behind = at + count;
            let mut live = at;
            if let Some(oneof) = field.oneof {
                let (winner, since) = self.scratch.oneofs[oneofs + oneof];
                live = if winner == index {
                    let old = |span: &&Span| span.start < since;
                    at + self.scratch.spans[at..behind]
                        .iter()
                        .take_while(old)
                        .count()
                } else {
                    behind
                };
            }
            let inside = |stop: Stop| stop.in_field(&field.name);
            if live > at {
                self.discard(field, at..live, bytes, row).map_err(inside)?;
            }
            if live < behind {
                message.put_absent(next..index, !self.lenient, end, row)?;
                self.occurrences(field, live..behind, bytes, row)
                    .map_err(inside)?;
                next = index + 1;
            }
            at = behind;
        }
        message.put_absent(next..message.fields.len(), !self.lenient, end, row)?;
        self.scratch.spans.truncate(first);
        self.scratch.oneofs.truncate(oneofs);
        self.check_size(end, row)
    }

    /// Finds a part's fields, and which member of each oneof comes last.
    fn find(&mut self, message: &Message, oneofs: usize, mut wire: Wire<'_>) -> Result<(), Stop> {
        let depth = self.plan.limits.depth_max;
        while !wire.done() {
            let at = wire.at;
            let tag = wire.tag()?;
            let Some(index) = message.find(tag >> 3) else {
                wire.skip(tag, depth)?;
                continue;
            };
            let field = &message.fields[index];
            if tag != field.tag && tag != field.packed {
                return Err(field.mistyped(tag, at).in_field(&field.name));
            }
            let whole = matches!(field.value, Value::Scalar(_) | Value::Key(_));
            let value = wire
                .value(tag, whole && tag != field.packed, depth)
                .map_err(|stop| stop.in_field(&field.name))?;
            if let (Value::Enum(id), Shape::Plain | Shape::Optional) = (&field.value, field.shape) {
                let symbols = &self.plan.enums[*id];
                let number = { value }.varint()? as i32;
                if symbols.closed && symbols.name(number).is_none() {
                    continue;
                }
            }
            if let Some(oneof) = field.oneof {
                let state = &mut self.scratch.oneofs[oneofs + oneof];
                if state.0 != index {
                    *state = (index, value.at);
                }
            }
            if self.scratch.spans.len() >= self.spans_max {
                let why = format!("more than {} fields, however often", self.spans_max);
                return Err(fault(at, why));
            }
            self.scratch.spans.push(Span {
                field: index,
                tag,
                start: value.at,
                end: value.bytes.len(),
            });
        }
        Ok(())
    }

    /// Sees that occurrences that don't count are well-formed.
    fn discard(
        &mut self,
        field: &Field,
        spans: Range<usize>,
        bytes: &[u8],
        row: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let mark = row.len();
        let before = std::mem::replace(&mut self.lenient, true);
        let result = self.occurrences(field, spans, bytes, row);
        self.lenient = before;
        row.truncate(mark);
        result
    }

    /// Writes a field from its occurrences, of which there is at least one.
    fn occurrences(
        &mut self,
        field: &Field,
        spans: Range<usize>,
        bytes: &[u8],
        row: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        match field.shape {
            Shape::Plain => {}
            Shape::Optional => row.push(PRESENT),
            Shape::Array => return self.items(field, spans, bytes, row),
            Shape::Map => return self.entries(field, spans, bytes, row),
        }
        if matches!(
            field.value,
            Value::Scalar(_) | Value::Key(_) | Value::Enum(_)
        ) {
            let mark = row.len();
            for at in spans {
                row.truncate(mark);
                let span = self.scratch.spans[at];
                self.single(field, span, bytes, row)?;
            }
            return Ok(());
        }
        let first = self.scratch.parts.len();
        for at in spans {
            let span = self.scratch.spans[at];
            self.scratch.parts.push((span.start, span.end));
        }
        self.merged(field, first, bytes, row)
    }

    /// Writes a message from the parts from `first` on, and forgets them.
    fn merged(
        &mut self,
        field: &Field,
        first: usize,
        bytes: &[u8],
        row: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let parts = first..self.scratch.parts.len();
        let wire = |&(at, end): &(usize, usize)| Wire {
            bytes: &bytes[..end],
            at,
        };
        match field.value {
            Value::Message { id, .. } => self.gather(id, parts, bytes, row)?,
            Value::Known(known) => {
                let parts = self.scratch.parts[parts].iter().map(wire);
                put_known(known, parts, self.plan.limits.depth_max, self.lenient, row)?;
            }
            Value::Text { ref message, .. } => {
                let parts: Vec<_> = self.scratch.parts[parts].iter().map(wire).collect();
                self.text(message, &parts, row)?;
            }
            // Of these, none is merged.
            Value::Scalar(_) | Value::Key(_) | Value::Enum(_) => {}
        }
        self.scratch.parts.truncate(first);
        Ok(())
    }

    /// Writes what one occurrence says. Whether that is anything.
    fn single(
        &mut self,
        field: &Field,
        span: Span,
        bytes: &[u8],
        row: &mut Vec<u8>,
    ) -> Result<bool, Stop> {
        let mut wire = span.wire(bytes);
        match field.value {
            Value::Scalar(scalar) => put_scalar(scalar, &mut wire, row)?,
            Value::Key(scalar) => put_key(scalar, &mut wire, row)?,
            Value::Enum(id) => {
                return put_symbol(&self.plan.enums[id], false, &mut wire, row);
            }
            _ => {
                let first = self.scratch.parts.len();
                self.scratch.parts.push((span.start, span.end));
                self.merged(field, first, bytes, row)?;
            }
        }
        Ok(true)
    }

    fn items(
        &mut self,
        field: &Field,
        spans: Range<usize>,
        bytes: &[u8],
        row: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let mut list = List::begin(row);
        for at in spans {
            let span = self.scratch.spans[at];
            if span.tag == field.packed {
                self.packed(field, &mut list, &mut span.wire(bytes), row)?;
                continue;
            }
            let written = self
                .single(field, span, bytes, row)
                .map_err(|stop| stop.in_item(list.count))?;
            list.count += usize::from(written);
            self.count_items(1, span.start)?;
        }
        list.end(row);
        Ok(())
    }

    fn entries(
        &mut self,
        field: &Field,
        spans: Range<usize>,
        bytes: &[u8],
        row: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let Value::Message { id, .. } = field.value else {
            return Err(fault(0, "a map without entries"));
        };
        let mut list = List::begin(row);
        let first = self.scratch.entries.len();
        for at in spans {
            let span = self.scratch.spans[at];
            let start = row.len();
            let known = self.knows_entry(id, span.wire(bytes))?;
            self.single(field, span, bytes, row)
                .map_err(|stop| stop.in_entry(row.get(start..).unwrap_or_default()))?;
            self.end_entry(start, known, &mut list, row);
            self.count_items(1, span.start)?;
        }
        self.end_map(first, list, row);
        Ok(())
    }
}
