//! The end of a strip: refused rows are left out, items are put in the order of their rows, text
//! is gathered and checked, and what remains is committed.

use crate::columns::{Columns, PAD, Raw};
use crate::exec::{DEAD, DEAD_FULL};
use crate::kernels::{self, InstructionSet};
use crate::layout::{SpaceId, Store};

/// Which of a space's strip rows are kept, in which order. `None`: all as they are.
#[derive(Debug, Default)]
struct Selection {
    rows: Option<Vec<u32>>,
    /// How many are kept.
    len: usize,
}

impl Selection {
    #[inline]
    fn at(&self, i: usize) -> usize {
        match &self.rows {
            None => i,
            Some(rows) => rows[i] as usize,
        }
    }
}

impl Columns {
    /// Commits the strip's rows that are not `dead`, finding those whose text isn't UTF-8 or no
    /// longer fits on the way.
    ///
    /// # Safety
    ///
    /// The messages (and texts) that the strip's slots point into are borrowed, and every row that
    /// is not dead was decoded to its end. The machine has the instruction set.
    #[expect(unsafe_code)]
    pub(crate) unsafe fn finish_strip(&mut self, set: InstructionSet, dead: &mut [u8]) {
        let mut selections = self.select(dead);
        let starts: Vec<usize> = self.raws.iter().map(|raw| raw.filled).collect();
        loop {
            let mut refused = false;
            for col in 0..self.raws.len() {
                let Store::Slots { utf8 } = self.raws[col].store else {
                    continue;
                };
                let space = self.raws[col].space;
                let selection = &selections[space];
                let committed = self.spaces[space].committed;
                // SAFETY: as the caller's; dead rows aren't selected.
                let gathered = unsafe { self.raws[col].gather(set, selection, committed, utf8) };
                if let Err(bad) = gathered {
                    refused = true;
                    match bad {
                        Bad::Full => dead
                            .iter_mut()
                            .filter(|d| **d == 0)
                            .for_each(|d| *d = DEAD_FULL),
                        Bad::Rows(rows) => {
                            for row in rows {
                                dead[self.root_of(&selections, space, row)] = DEAD;
                            }
                        }
                    }
                }
            }
            if !refused {
                break;
            }
            selections = self.select(dead);
            for (raw, start) in self.raws.iter_mut().zip(&starts) {
                raw.filled = *start;
            }
        }
        for raw in &mut self.raws {
            let selection = &selections[raw.space];
            let committed = self.spaces[raw.space].committed;
            match raw.store {
                Store::Fixed(width) => {
                    if let Some(rows) = &selection.rows {
                        pick(
                            &mut raw.data.as_slice_mut()[committed * width..],
                            width,
                            rows,
                        );
                    }
                }
                Store::List { .. } => raw.put_list_offsets(selection, committed),
                Store::Slots { .. } => {}
            }
        }
        for raw in &mut self.raws {
            raw.pieces.clear();
        }
        for (space, selection) in self.spaces.iter_mut().zip(&selections) {
            space.committed += selection.len;
            space.local = 0;
        }
    }

    /// What every space keeps when `dead` rows go. Parents come before children.
    fn select(&self, dead: &[u8]) -> Vec<Selection> {
        let mut selections: Vec<Selection> = Vec::with_capacity(self.spaces.len());
        for space in &self.spaces {
            let selection = match space.list {
                None => {
                    let len = space.local;
                    if dead.iter().all(|&d| d == 0) {
                        Selection { rows: None, len }
                    } else {
                        let alive = (0..len).filter(|&i| dead[i] == 0);
                        let rows: Vec<u32> = alive.map(|i| i as u32).collect();
                        Selection {
                            len: rows.len(),
                            rows: Some(rows),
                        }
                    }
                }
                Some(list) => {
                    let raw = &self.raws[list];
                    raw.select_items(&selections[raw.space], space.local)
                }
            };
            selections.push(selection);
        }
        selections
    }

    /// The strip's row that owns row `row` (after selection) of `space`. Slow: for refusals.
    fn root_of(&self, selections: &[Selection], space: SpaceId, row: usize) -> usize {
        let Some(list) = self.spaces[space].list else {
            return selections[space].at(row);
        };
        let raw = &self.raws[list];
        let parents = &selections[raw.space];
        let mut seen = 0;
        for parent in 0..parents.len {
            seen += raw.count(parents.at(parent));
            if row < seen {
                return self.root_of(selections, raw.space, parent);
            }
        }
        unreachable!("every item has a row")
    }
}

/// Why text couldn't be committed.
enum Bad {
    /// These rows (after selection) are not UTF-8.
    Rows(Vec<usize>),
    /// The column's offsets have no room for the strip.
    Full,
}

impl Raw {
    /// Items of a row of the strip, over all its blocks.
    fn count(&self, row: usize) -> usize {
        let more = self.pieces.iter().filter(|p| p.row as usize == row);
        self.counts[row] as usize + more.map(|p| p.count as usize).sum::<usize>()
    }

    /// The order in which a list's items follow their rows.
    fn select_items(&self, parents: &Selection, local: usize) -> Selection {
        let mut next = 0;
        let in_order = self.pieces.is_empty()
            && (0..parents.len).all(|i| {
                let row = parents.at(i);
                let (start, count) = (self.starts[row] as usize, self.counts[row] as usize);
                let follows = count == 0 || start == next;
                next += count;
                follows
            });
        if in_order && next == local {
            return Selection {
                rows: None,
                len: local,
            };
        }
        let mut pieces = self.pieces.clone();
        // Stable: a row's blocks stay in the order they were read.
        pieces.sort_by_key(|p| p.row);
        let mut rows = Vec::with_capacity(local);
        for i in 0..parents.len {
            let row = parents.at(i);
            let (start, count) = (self.starts[row], self.counts[row]);
            rows.extend(start..start + count);
            let first = pieces.partition_point(|p| (p.row as usize) < row);
            for piece in pieces[first..].iter().take_while(|p| p.row as usize == row) {
                rows.extend(piece.start..piece.start + piece.count);
            }
        }
        Selection {
            len: rows.len(),
            rows: Some(rows),
        }
    }

    fn put_list_offsets(&mut self, selection: &Selection, committed: usize) {
        let mut extra = vec![];
        if !self.pieces.is_empty() {
            extra.resize(self.counts.len(), 0);
            self.pieces
                .iter()
                .for_each(|p| extra[p.row as usize] += p.count);
        }
        let offsets = self.offsets.typed_data_mut::<i32>();
        let mut offset = offsets[committed];
        for i in 0..selection.len {
            let row = selection.at(i);
            let more = extra.get(row).copied().unwrap_or(0);
            offset += (self.counts[row] + more) as i32;
            offsets[committed + i + 1] = offset;
        }
    }

    /// Copies the selected slots' bytes behind the committed ones and checks them.
    ///
    /// # Safety
    ///
    /// The selected slots point at borrowed bytes.
    #[expect(unsafe_code)]
    unsafe fn gather(
        &mut self,
        set: InstructionSet,
        selection: &Selection,
        committed: usize,
        utf8: bool,
    ) -> Result<(), Bad> {
        let total: u64 = match &selection.rows {
            None => self.lens[..selection.len]
                .iter()
                .map(|&l| u64::from(l))
                .sum(),
            Some(rows) => rows.iter().map(|&r| u64::from(self.lens[r as usize])).sum(),
        };
        let total = match usize::try_from(total) {
            Ok(total) if self.filled + total <= i32::MAX as usize => total,
            _ => return Err(Bad::Full),
        };
        self.make_text_room(total);
        let before = self.filled;
        let offsets = &mut self.offsets.typed_data_mut::<i32>()[committed..];
        offsets[0] = before as i32;
        let picked: (Vec<*const u8>, Vec<u32>);
        let (ptrs, lens) = match &selection.rows {
            None => (&self.ptrs[..selection.len], &self.lens[..selection.len]),
            Some(rows) => {
                let rows = rows.iter().map(|&r| r as usize);
                picked = rows.map(|r| (self.ptrs[r], self.lens[r])).unzip();
                (picked.0.as_slice(), picked.1.as_slice())
            }
        };
        let data = self.data.as_slice_mut();
        let (to, ends) = (&mut data[before..], &mut offsets[1..=selection.len]);
        assert!(to.len() >= total + PAD, "there was room made");
        // SAFETY: the slots are borrowed, as the caller promised; the room is asserted.
        let ascii =
            unsafe { kernels::copy_slots(set, ptrs, lens, to.as_mut_ptr(), before as i32, ends) };
        let at = before + total;
        self.filled = at;
        if !utf8 || ascii {
            return Ok(());
        }
        let text = &data[before..at];
        let is_boundary = |&o: &i32| data.get(o as usize).is_none_or(|&b| b & 0xc0 != 0x80);
        let whole = simdutf8::basic::from_utf8(text).is_ok();
        // The byte at the last offset isn't this strip's.
        if whole
            && offsets[..selection.len]
                .iter()
                .all(is_boundary_before(is_boundary, at))
        {
            return Ok(());
        }
        let bad = |&i: &usize| {
            let slot = &data[offsets[i] as usize..offsets[i + 1] as usize];
            simdutf8::basic::from_utf8(slot).is_err()
        };
        match (0..selection.len).filter(bad).collect::<Vec<_>>() {
            rows if rows.is_empty() => Ok(()),
            rows => Err(Bad::Rows(rows)),
        }
    }
}

/// Offsets at `end` are boundaries whatever stale byte follows.
fn is_boundary_before(check: impl Fn(&i32) -> bool, end: usize) -> impl Fn(&i32) -> bool {
    move |o| *o as usize >= end || check(o)
}

/// Moves the `rows` of a store to its front, in their order.
fn pick(data: &mut [u8], width: usize, rows: &[u32]) {
    let increasing = rows.windows(2).all(|w| w[0] < w[1]);
    let copy;
    let from = if increasing {
        None
    } else {
        let last = rows.iter().max().map_or(0, |&r| r as usize + 1);
        copy = data[..last * width].to_vec();
        Some(&copy)
    };
    let mut i = 0;
    while i < rows.len() {
        let start = rows[i] as usize;
        let mut run = 1;
        while i + run < rows.len() && rows[i + run] as usize == start + run {
            run += 1;
        }
        let (source, target) = (start * width..(start + run) * width, i * width);
        match from {
            // What is overwritten lies before everything still to be moved.
            None => data.copy_within(source, target),
            Some(copy) => data[target..target + run * width].copy_from_slice(&copy[source]),
        }
        i += run;
    }
}
