//! The end of a strip: refused rows are left out, items are put in the order of their rows, text
//! is gathered and checked, and what remains is committed.

use crate::columns::{Columns, PAD, Raw, grow};
use crate::exec::{DEAD, DEAD_FULL};
use crate::kernels::{self, InstructionSet};
use crate::layout::{SpaceId, Store};

/// Which of a space's strip rows are kept, in which order.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// All are, as they are; `rows` says nothing.
    all: bool,
    rows: Vec<u32>,
    /// How many are kept.
    len: usize,
}

impl Selection {
    #[inline]
    fn at(&self, i: usize) -> usize {
        if self.all { i } else { self.rows[i] as usize }
    }

    /// Those that aren't dead.
    fn select_alive(&mut self, dead: &[u8]) {
        self.all = dead.iter().all(|&d| d == 0);
        self.len = dead.len();
        if !self.all {
            self.rows.clear();
            let rows = dead.iter().enumerate().filter(|(_, d)| **d == 0);
            self.rows.extend(rows.map(|(i, _)| i as u32));
            self.len = self.rows.len();
        }
    }
}

/// Why text couldn't be committed.
enum Bad {
    /// These rows (after selection) are not UTF-8.
    Rows(Vec<usize>),
    /// The column's offsets have no room for the strip.
    Full,
}

impl Columns {
    /// Commits the strip's rows that are not `dead`, finding those whose text isn't UTF-8 or no
    /// longer fits on the way.
    ///
    /// # Safety
    ///
    /// The messages (and texts) that the strip's slots point into are borrowed, and every row that
    /// is not dead was decoded to its end.
    #[expect(unsafe_code)]
    pub(crate) unsafe fn finish_strip(&mut self, dead: &mut [u8]) {
        let mut selections = std::mem::take(&mut self.selections);
        self.raws
            .iter_mut()
            .for_each(|raw| raw.filled_before = raw.filled);
        loop {
            self.select(dead, &mut selections);
            // SAFETY: as the caller's.
            if unsafe { self.gather(&selections, dead) } {
                break;
            }
            self.raws
                .iter_mut()
                .for_each(|raw| raw.filled = raw.filled_before);
        }
        for raw in &mut self.raws {
            let selection = &selections[raw.space];
            let committed = self.spaces[raw.space].committed;
            match raw.store {
                Store::Fixed(width) if !selection.all => {
                    let data = &mut raw.data.as_slice_mut()[committed * width..];
                    pick(data, width, &selection.rows);
                }
                Store::List { .. } => raw.put_list_offsets(selection, committed),
                _ => {}
            }
        }
        for (space, selection) in self.spaces.iter_mut().zip(&selections) {
            space.committed += selection.len;
            space.local = 0;
        }
        self.selections = selections;
    }

    /// What every space keeps when `dead` rows go. Parents come before children.
    fn select(&self, dead: &[u8], selections: &mut Vec<Selection>) {
        selections.resize_with(self.spaces.len(), Selection::default);
        for (i, space) in self.spaces.iter().enumerate() {
            let (parents, this) = selections.split_at_mut(i);
            match space.list {
                None => this[0].select_alive(dead),
                Some(list) => {
                    let raw = &self.raws[list];
                    raw.select_items(&parents[raw.space], space.local, &mut this[0]);
                }
            }
        }
    }

    /// Gathers the text of all columns. Says whether that is final: if not, more rows are dead.
    ///
    /// # Safety
    ///
    /// As [`Self::finish_strip`].
    #[expect(unsafe_code)]
    unsafe fn gather(&mut self, selections: &[Selection], dead: &mut [u8]) -> bool {
        let set = self.set;
        let mut good = true;
        for col in 0..self.raws.len() {
            let Store::Slots { utf8 } = self.raws[col].store else {
                continue;
            };
            let space = self.raws[col].space;
            let (selection, committed) = (&selections[space], self.spaces[space].committed);
            // SAFETY: as the caller's; dead rows aren't selected.
            let gathered = unsafe { self.raws[col].gather(set, selection, committed, utf8) };
            let Err(bad) = gathered else { continue };
            good = false;
            match bad {
                Bad::Full => {
                    let alive = dead.iter_mut().filter(|d| **d == 0);
                    alive.for_each(|d| *d = DEAD_FULL);
                }
                Bad::Rows(rows) => {
                    for row in rows {
                        dead[self.root_of(selections, space, row)] = DEAD;
                    }
                }
            }
        }
        good
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

impl Raw {
    /// Items of a row of the strip, over all its blocks.
    fn count(&self, row: usize) -> usize {
        let more = self.pieces.iter().filter(|p| p.row as usize == row);
        self.counts[row] as usize + more.map(|p| p.count as usize).sum::<usize>()
    }

    /// The order in which a list's items follow their rows.
    fn select_items(&self, parents: &Selection, local: usize, to: &mut Selection) {
        let mut next = 0;
        let in_order = self.pieces.is_empty()
            && (0..parents.len).all(|i| {
                let row = parents.at(i);
                let (start, count) = (self.starts[row] as usize, self.counts[row] as usize);
                let follows = count == 0 || start == next;
                next += count;
                follows
            });
        to.all = in_order && next == local;
        to.len = local;
        if to.all {
            return;
        }
        let mut pieces = self.pieces.clone();
        // Stable: a row's blocks stay in the order they were read.
        pieces.sort_by_key(|p| p.row);
        to.rows.clear();
        for i in 0..parents.len {
            let row = parents.at(i);
            let (start, count) = (self.starts[row], self.counts[row]);
            to.rows.extend(start..start + count);
            if pieces.is_empty() {
                continue;
            }
            let first = pieces.partition_point(|p| (p.row as usize) < row);
            for piece in pieces[first..].iter().take_while(|p| p.row as usize == row) {
                to.rows.extend(piece.start..piece.start + piece.count);
            }
        }
        to.len = to.rows.len();
    }

    /// Commits the selected rows' item counts.
    fn put_list_offsets(&mut self, selection: &Selection, committed: usize) {
        // A row's further blocks count as its first one's from here on.
        for piece in std::mem::take(&mut self.pieces) {
            self.counts[piece.row as usize] += piece.count;
        }
        let offsets = &mut self.offsets.typed_data_mut::<i32>()[committed..];
        let mut offset = offsets[0];
        let mut put = |(to, count): (&mut i32, u32)| {
            offset += count as i32;
            *to = offset;
        };
        let to = offsets[1..=selection.len].iter_mut();
        if selection.all {
            to.zip(self.counts.iter().copied()).for_each(&mut put);
        } else {
            let counts = selection.rows.iter().map(|&row| self.counts[row as usize]);
            to.zip(counts).for_each(&mut put);
        }
    }

    /// Copies the selected slots' bytes behind the committed ones and checks them.
    ///
    /// # Safety
    ///
    /// The selected slots point at borrowed bytes; the machine has the instruction set.
    #[expect(unsafe_code)]
    unsafe fn gather(
        &mut self,
        set: InstructionSet,
        selection: &Selection,
        committed: usize,
        utf8: bool,
    ) -> Result<(), Bad> {
        let (ptrs, lens) = if selection.all {
            (&self.ptrs[..selection.len], &self.lens[..selection.len])
        } else {
            let rows = selection.rows.iter().map(|&r| r as usize);
            self.picked_ptrs.clear();
            self.picked_ptrs.extend(rows.clone().map(|r| self.ptrs[r]));
            self.picked_lens.clear();
            self.picked_lens.extend(rows.map(|r| self.lens[r]));
            (self.picked_ptrs.as_slice(), self.picked_lens.as_slice())
        };
        let total: u64 = lens.iter().map(|&l| u64::from(l)).sum();
        let total = match usize::try_from(total) {
            Ok(total) if self.filled + total <= i32::MAX as usize => total,
            _ => return Err(Bad::Full),
        };
        let (before, after) = (self.filled, self.filled + total);
        grow(&mut self.data, after + PAD);
        let offsets =
            &mut self.offsets.typed_data_mut::<i32>()[committed..=committed + selection.len];
        offsets[0] = before as i32;
        let data = self.data.as_slice_mut();
        assert!(data.len() >= after + PAD, "there was room made");
        // SAFETY: the slots are borrowed, as the caller promised; the room is asserted.
        let ascii = unsafe {
            let to = data.as_mut_ptr().add(before);
            kernels::copy_slots(set, ptrs, lens, to, before as i32, &mut offsets[1..])
        };
        self.filled = after;
        if !utf8 || ascii {
            return Ok(());
        }
        // The last offset is a boundary whatever follows.
        data[after] = 0;
        let within = |&o: &i32| data[o as usize] & 0xc0 == 0x80;
        let split = offsets.iter().fold(false, |split, o| split | within(o));
        if !split && simdutf8::basic::from_utf8(&data[before..after]).is_ok() {
            return Ok(());
        }
        let bad = |&i: &usize| {
            let slot = &data[offsets[i] as usize..offsets[i + 1] as usize];
            simdutf8::basic::from_utf8(slot).is_err()
        };
        // A slot that begins within a character can't be UTF-8 itself, so there is one at least.
        Err(Bad::Rows((0..selection.len).filter(bad).collect()))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_picked_in_any_order() {
        let data: Vec<u8> = (0..40).collect();
        for (width, rows) in [
            (1, vec![0, 1, 3, 4]),
            (4, vec![2, 3, 5]),
            (2, vec![9, 0, 1, 5, 5]),
        ] {
            let mut picked = data.clone();
            pick(&mut picked, width, &rows);
            for (i, &row) in rows.iter().enumerate() {
                let row = row as usize;
                assert_eq!(picked[i * width..][..width], data[row * width..][..width]);
            }
        }
    }
}
