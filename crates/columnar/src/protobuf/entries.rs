//! A map's entries. A key may be sent more than once; its last value is the one that counts, and
//! columns of maps have each key once.

use std::ops::Range;

use super::fault::Stop;
use super::plan::Value;
use super::stream::{List, Walk};
use super::wire::{VARINT, Wire};

/// Where in the row an entry is: its key's text, which comes first, and its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    start: usize,
    key: (usize, usize),
    end: usize,
}

impl Entry {
    fn key(self, row: &[u8]) -> &[u8] {
        &row[self.key.0..self.key.1]
    }
}

/// Up to so many keys are compared each with each, which takes no memory and no sorting.
const FEW: usize = 8;

/// Where the key's text is in an entry as written.
pub(super) fn key(entry: &[u8]) -> Option<Range<usize>> {
    let mut wire = Wire {
        bytes: entry,
        at: 0,
    };
    // Never negative: half the zigzag number is the length.
    let length = usize::try_from(wire.varint().ok()? >> 1).ok()?;
    let range = wire.at..wire.at.checked_add(length)?;
    (range.end <= entry.len()).then_some(range)
}

impl Walk<'_, '_> {
    /// Whether an entry's value is one that its enum knows, or isn't of a closed enum. Others
    /// count as unknown fields with all of their entry.
    pub(super) fn knows_entry(&self, entry: usize, mut wire: Wire<'_>) -> Result<bool, Stop> {
        let mut known = true;
        if let [_, field] = &*self.plan.messages[entry].fields
            && let Value::Enum(id) = field.value
            && self.plan.enums[id].closed
        {
            while !wire.done() {
                let tag = wire.tag()?;
                if tag == field.number << 3 | VARINT {
                    known = self.plan.enums[id].name(wire.varint()? as i32).is_some();
                } else {
                    wire.skip(tag, self.plan.limits.depth_max)?;
                }
            }
        }
        Ok(known)
    }

    /// Notes an entry that has been written to `row` from `start` on, or takes it back.
    pub(super) fn end_entry(
        &mut self,
        start: usize,
        known: bool,
        list: &mut List,
        row: &mut Vec<u8>,
    ) {
        match key(&row[start..]) {
            Some(key) if known => {
                list.count += 1;
                self.scratch.entries.push(Entry {
                    start,
                    key: (start + key.start, start + key.end),
                    end: row.len(),
                });
            }
            _ => row.truncate(start),
        }
    }

    /// Ends a map whose entries are those from `first` on.
    pub(super) fn end_map(&mut self, first: usize, mut list: List, row: &mut Vec<u8>) {
        let entries = &self.scratch.entries[first..];
        let twice = match entries {
            [] | [_] => false,
            _ if entries.windows(2).all(|w| w[0].key(row) < w[1].key(row)) => false,
            few if few.len() <= FEW => {
                (1..few.len()).any(|i| few[..i].iter().any(|e| e.key(row) == few[i].key(row)))
            }
            // Sorting finds out which, too.
            _ => true,
        };
        if twice {
            list.count = self.keep_last(first, row);
        }
        self.scratch.entries.truncate(first);
        list.end(row);
    }

    /// Takes out each entry whose key comes again; how many are left.
    fn keep_last(&mut self, first: usize, row: &mut Vec<u8>) -> usize {
        let entries = &mut self.scratch.entries[first..];
        let order = &mut self.scratch.order;
        order.clear();
        order.extend(0..entries.len());
        order.sort_unstable_by(|&a, &b| {
            let keys = entries[a].key(row).cmp(entries[b].key(row));
            keys.then(a.cmp(&b))
        });
        for pair in order.windows(2) {
            if entries[pair[0]].key(row) == entries[pair[1]].key(row) {
                entries[pair[0]].end = entries[pair[0]].start;
            }
        }
        let mut to = entries.first().map_or(row.len(), |entry| entry.start);
        let mut left = 0;
        for entry in entries.iter().filter(|entry| entry.end > entry.start) {
            row.copy_within(entry.start..entry.end, to);
            to += entry.end - entry.start;
            left += 1;
        }
        row.truncate(to);
        left
    }
}
