//! The walk over a message whose fields come in the order of their numbers, each once, as
//! serializers write them: every value goes from the wire to the row as it is met.
//!
//! Anything else is legal too, and is left to [`gather`](super::gather): the walk stops, and the row
//! is begun anew.

use super::fault::{Stop, fault};
use prost_reflect::MessageDescriptor;

use super::entries::Entry;
use super::json;
use super::plan::{Field, Plan, Shape, Value};
use super::value::{PRESENT, put_key, put_known, put_scalar, put_symbol};
use super::wire::{GROUP_END, Wire};
use crate::transcode::{put_bytes, put_long};

/// What is needed while a row is made, and memory that is kept from row to row.
#[derive(Debug)]
pub(super) struct Walk<'p, 's> {
    pub(super) plan: &'p Plan,
    pub(super) scratch: &'s mut Scratch,
    /// Array items and map entries that the row may still have.
    pub(super) items_left: usize,
    /// How many occurrences of fields may be remembered at a time.
    pub(super) spans_max: usize,
    /// How long `row` may become.
    pub(super) row_end_max: usize,
    /// Whether what is written will be thrown away: then it need only be well-formed.
    pub(super) lenient: bool,
}

#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) entries: Vec<Entry>,
    pub(super) spans: Vec<super::gather::Span>,
    pub(super) parts: Vec<(usize, usize)>,
    pub(super) oneofs: Vec<(usize, usize)>,
    pub(super) order: Vec<usize>,
}

/// A list under construction: Avro has the count before the items, and it is known behind them.
pub(super) struct List {
    count_at: usize,
    pub(super) count: usize,
}

impl List {
    pub(super) fn begin(row: &mut Vec<u8>) -> Self {
        row.push(0);
        Self {
            count_at: row.len() - 1,
            count: 0,
        }
    }

    /// Writes the count where one byte was left for it, and the end behind the items. An empty
    /// list is that one byte.
    pub(super) fn end(self, row: &mut Vec<u8>) {
        if self.count == 0 {
            return;
        }
        if self.count < 64 {
            row[self.count_at] = (self.count as u8) << 1;
        } else {
            let items_end = row.len();
            put_long(row, self.count as i64);
            let room = row.len() - items_end - 1;
            let mut count = [0; 10];
            count[..=room].copy_from_slice(&row[items_end..]);
            row.truncate(items_end + room);
            let items = self.count_at + 1..items_end;
            row.copy_within(items, self.count_at + 1 + room);
            row[self.count_at..=self.count_at + room].copy_from_slice(&count[..=room]);
        }
        row.push(0);
    }
}

impl Scratch {
    /// Forgets what a row that was refused has left.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.spans.clear();
        self.parts.clear();
        self.oneofs.clear();
    }
}

impl Walk<'_, '_> {
    /// Writes a message: the rest of `wire`, or, of a group, up to its end.
    pub(super) fn message(
        &mut self,
        id: usize,
        group: Option<u32>,
        wire: &mut Wire<'_>,
        row: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let message = &self.plan.messages[id];
        let mut next = 0;
        let mut oneofs = 0_u64;
        let mut at;
        loop {
            at = wire.at;
            if wire.done() {
                if group.is_some() {
                    return Err(fault(at, "the message ends inside a group"));
                }
                break;
            }
            let tag = wire.tag()?;
            let index = match message.fields.get(next) {
                Some(field) if field.tag == tag => next,
                _ if group.is_some_and(|number| tag == number << 3 | GROUP_END) => break,
                _ => match message.find(tag >> 3) {
                    Some(index) => index,
                    None => {
                        wire.skip(tag, self.plan.limits.depth_max)?;
                        continue;
                    }
                },
            };
            if index < next {
                return Err(Stop::Unordered);
            }
            let field = &message.fields[index];
            if index > next {
                message.put_absent(next..index, !self.lenient, at, row)?;
                next = index;
            }
            let written = self
                .field(field, tag, at, wire, row)
                .map_err(|stop| stop.in_field(&field.name))?;
            if written {
                next = index + 1;
                if let Some(oneof) = field.oneof {
                    // Beyond 64 of them, some share a bit, and are read the slower way at times.
                    let bit = 1 << (oneof % 64);
                    if oneofs & bit != 0 {
                        return Err(Stop::Unordered);
                    }
                    oneofs |= bit;
                }
            }
        }
        if next < message.fields.len() {
            message.put_absent(next..message.fields.len(), !self.lenient, at, row)?;
        }
        self.check_size(at, row)
    }

    /// Small messages can stand for long rows: fields that aren't sent are columns all the same.
    #[inline]
    pub(super) fn check_size(&self, position: usize, row: &[u8]) -> Result<(), Stop> {
        if row.len() > self.row_end_max {
            let max = self.plan.limits.row_bytes_max;
            return Err(fault(position, format!("a row of more than {max} bytes")));
        }
        Ok(())
    }

    /// Writes a message as JSON text.
    pub(super) fn text(
        &self,
        message: &MessageDescriptor,
        parts: &[Wire<'_>],
        row: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let bounds = json::Bounds {
            depth: self.plan.limits.depth_max,
            bytes_max: self.row_end_max.saturating_sub(row.len()),
            items_max: self.spans_max,
            lenient: self.lenient,
        };
        let text = json::text(message, parts, bounds)?;
        put_bytes(row, text.as_bytes());
        Ok(())
    }

    /// Takes list items off the row's account.
    #[inline]
    pub(super) fn count_items(&mut self, items: usize, position: usize) -> Result<(), Stop> {
        match self.items_left.checked_sub(items) {
            Some(left) => {
                self.items_left = left;
                Ok(())
            }
            None => {
                let max = self.plan.limits.row_items_max;
                let why = format!("more than {max} array items and map entries in a row");
                Err(fault(position, why))
            }
        }
    }

    /// Writes a field's values, all that stand together. Whether there were any: a closed enum's
    /// unknown numbers are none.
    #[inline]
    fn field(
        &mut self,
        field: &Field,
        tag: u32,
        at: usize,
        wire: &mut Wire<'_>,
        row: &mut Vec<u8>,
    ) -> Result<bool, Stop> {
        let optional = match field.shape {
            Shape::Plain => false,
            Shape::Optional => true,
            Shape::Array => {
                self.array(field, tag, at, wire, row)?;
                return Ok(true);
            }
            Shape::Map => {
                self.map(field, tag, at, wire, row)?;
                return Ok(true);
            }
        };
        if tag != field.tag {
            return Err(field.mistyped(tag, at));
        }
        if let Value::Enum(id) = field.value {
            return put_symbol(&self.plan.enums[id], optional, wire, row);
        }
        if optional {
            row.push(PRESENT);
        }
        self.value(field, wire, row)?;
        Ok(true)
    }

    /// Writes one value of any kind. Whether there was one.
    #[inline(always)]
    fn value(
        &mut self,
        field: &Field,
        wire: &mut Wire<'_>,
        row: &mut Vec<u8>,
    ) -> Result<bool, Stop> {
        match field.value {
            Value::Scalar(scalar) => put_scalar(scalar, wire, row)?,
            Value::Enum(id) => return put_symbol(&self.plan.enums[id], false, wire, row),
            Value::Key(scalar) => put_key(scalar, wire, row)?,
            Value::Message { id, group: false } => self.message(id, None, &mut wire.sub()?, row)?,
            Value::Message { id, group: true } => {
                self.message(id, Some(field.number), wire, row)?;
            }
            Value::Known(known) => {
                let depth = self.plan.limits.depth_max;
                put_known(
                    known,
                    std::iter::once(wire.sub()?),
                    depth,
                    self.lenient,
                    row,
                )?;
            }
            Value::Text { ref message, .. } => {
                let part = wire.value(field.tag, false, self.plan.limits.depth_max)?;
                self.text(message, &[part], row)?;
            }
        }
        Ok(true)
    }

    fn array(
        &mut self,
        field: &Field,
        mut tag: u32,
        mut at: usize,
        wire: &mut Wire<'_>,
        row: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let mut list = List::begin(row);
        loop {
            if tag == field.packed {
                let mut items = wire.sub()?;
                self.packed(field, &mut list, &mut items, row)?;
            } else if tag == field.tag {
                let written = self
                    .value(field, wire, row)
                    .map_err(|stop| stop.in_item(list.count))?;
                list.count += usize::from(written);
                self.count_items(1, at)?;
            } else {
                return Err(field.mistyped(tag, at));
            }
            // Whatever comes next: if it is this field's too, it belongs to the list.
            at = wire.at;
            if wire.done() {
                break;
            }
            let mut ahead = *wire;
            tag = ahead.tag()?;
            if tag >> 3 != field.number || tag & 7 == GROUP_END {
                break;
            }
            *wire = ahead;
        }
        list.end(row);
        Ok(())
    }

    /// Items without tags between them.
    pub(super) fn packed(
        &mut self,
        field: &Field,
        list: &mut List,
        items: &mut Wire<'_>,
        row: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let before = list.count;
        let start = items.at;
        while !items.done() {
            let written = match field.value {
                Value::Scalar(scalar) => put_scalar(scalar, items, row).map(|()| true),
                Value::Enum(id) => put_symbol(&self.plan.enums[id], false, items, row),
                _ => Err(field.mistyped(field.packed, items.at)),
            };
            list.count += usize::from(written.map_err(|stop| stop.in_item(list.count))?);
        }
        self.count_items(list.count - before, start)
    }

    fn map(
        &mut self,
        field: &Field,
        mut tag: u32,
        mut at: usize,
        wire: &mut Wire<'_>,
        row: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let Value::Message { id, .. } = field.value else {
            return Err(field.mistyped(tag, at));
        };
        let mut list = List::begin(row);
        let first = self.scratch.entries.len();
        loop {
            if tag != field.tag {
                return Err(field.mistyped(tag, at));
            }
            let start = row.len();
            let mut entry = wire.sub()?;
            let known = self.knows_entry(id, entry)?;
            self.message(id, None, &mut entry, row)
                .map_err(|stop| stop.in_entry(row.get(start..).unwrap_or_default()))?;
            self.end_entry(start, known, &mut list, row);
            self.count_items(1, at)?;
            at = wire.at;
            if wire.done() {
                break;
            }
            let mut ahead = *wire;
            tag = ahead.tag()?;
            if tag >> 3 != field.number || tag & 7 == GROUP_END {
                break;
            }
            *wire = ahead;
        }
        self.end_map(first, list, row);
        Ok(())
    }
}
