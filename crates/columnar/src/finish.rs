//! The end of a strip: refused rows are left out, items are put in the order of their rows, text
//! is gathered and checked, and what remains is committed.

use std::ops::Range;

use crate::columns::{Columns, PAD, Raw, grow};
use crate::exec::{DEAD, DEAD_FULL, dead_rows};
use crate::kernels::{self, InstructionSet};
use crate::layout::{SpaceId, Store};

/// Which of a space's strip rows are kept, in which order.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// Rows that follow one another, none of the runs empty. Few, nearly always one.
    runs: Vec<Range<usize>>,
    /// How many rows are kept.
    len: usize,
}

impl Selection {
    /// The rows that are kept.
    fn rows(&self) -> impl Iterator<Item = usize> {
        self.runs.iter().cloned().flatten()
    }

    /// Whether the strip's `rows` rows are kept, all of them and in their order.
    fn is_all(&self, rows: usize) -> bool {
        self.len == rows && self.in_place()
    }

    /// Whether the rows are where they belong already.
    fn in_place(&self) -> bool {
        match self.runs.as_slice() {
            [] => true,
            [run] => run.start == 0,
            _ => false,
        }
    }

    fn clear(&mut self) {
        self.runs.clear();
        self.len = 0;
    }

    fn push(&mut self, run: Range<usize>) {
        if run.is_empty() {
            return;
        }
        self.len += run.len();
        match self.runs.last_mut() {
            Some(last) if last.end == run.start => last.end = run.end,
            _ => self.runs.push(run),
        }
    }

    /// Those that aren't dead.
    fn select_alive(&mut self, dead: &[u8]) {
        self.clear();
        let mut start = 0;
        for row in dead_rows(dead) {
            self.push(start..row);
            start = row + 1;
        }
        self.push(start..dead.len());
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
                Store::Fixed(width) if !selection.in_place() => {
                    let data = &mut raw.data.as_slice_mut()[committed * width..];
                    pick(data, width, &selection.runs);
                }
                Store::List { .. } => {
                    raw.put_list_offsets(selection, committed);
                    raw.in_order = false;
                }
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
                    let all = parents[raw.space].is_all(self.spaces[raw.space].local);
                    if all && raw.in_order && raw.pieces.is_empty() {
                        this[0].clear();
                        this[0].push(0..space.local);
                    } else {
                        raw.select_items(&parents[raw.space], &mut this[0]);
                    }
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
    #[expect(
        clippy::expect_used,
        reason = "the row is one of the selection's; another would blame a row that is good"
    )]
    fn root_of(&self, selections: &[Selection], space: SpaceId, row: usize) -> usize {
        let Some(list) = self.spaces[space].list else {
            let mut rows = selections[space].rows();
            return rows.nth(row).expect("a row that was selected");
        };
        let raw = &self.raws[list];
        let parents = &selections[raw.space];
        let mut seen = 0;
        for (parent, row_of) in parents.rows().enumerate() {
            seen += raw.count(row_of);
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
    fn select_items(&self, parents: &Selection, to: &mut Selection) {
        to.clear();
        let first = |row: usize| {
            let start = self.starts[row] as usize;
            start..start + self.counts[row] as usize
        };
        if self.pieces.is_empty() {
            parents.rows().for_each(|row| to.push(first(row)));
            return;
        }
        let mut pieces = self.pieces.clone();
        // Stable: a row's blocks stay in the order they were read.
        pieces.sort_by_key(|p| p.row);
        for row in parents.rows() {
            to.push(first(row));
            let from = pieces.partition_point(|p| (p.row as usize) < row);
            for piece in pieces[from..].iter().take_while(|p| p.row as usize == row) {
                let start = piece.start as usize;
                to.push(start..start + piece.count as usize);
            }
        }
    }

    /// Commits the selected rows' item counts.
    fn put_list_offsets(&mut self, selection: &Selection, committed: usize) {
        // A row's further blocks count as its first one's from here on.
        for piece in std::mem::take(&mut self.pieces) {
            self.counts[piece.row as usize] += piece.count;
        }
        let offsets = &mut self.offsets.typed_data_mut::<i32>()[committed..];
        let mut offset = offsets[0];
        let mut to = offsets[1..=selection.len].iter_mut();
        for run in &selection.runs {
            // In this order: a zip takes from its first side before it knows of the second's end.
            for (&count, to) in self.counts[run.clone()].iter().zip(to.by_ref()) {
                offset += count as i32;
                *to = offset;
            }
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
        let mut total = 0u64;
        for run in &selection.runs {
            let lens = self.lens[run.clone()].iter();
            total += lens.map(|&l| u64::from(l)).sum::<u64>();
        }
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
        let (mut done, mut ascii, mut split) = (0, true, false);
        for run in &selection.runs {
            let (ptrs, lens) = (&self.ptrs[run.clone()], &self.lens[run.clone()]);
            let (offset, offsets) = (offsets[done], &mut offsets[done + 1..][..run.len()]);
            // SAFETY: the slots are borrowed, as the caller promised; the room is asserted.
            unsafe {
                let to = data.as_mut_ptr().add(offset as usize);
                let text = kernels::copy_slots(set, ptrs, lens, to, offset, offsets);
                ascii &= text.ascii;
                split |= text.split;
            }
            done += run.len();
        }
        self.filled = after;
        if !utf8 || ascii {
            return Ok(());
        }
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

/// Moves the rows of `runs` to a store's front, in their order.
fn pick(data: &mut [u8], width: usize, runs: &[Range<usize>]) {
    let copy;
    let from = if runs.windows(2).all(|w| w[0].end <= w[1].start) {
        None
    } else {
        let last = runs.iter().map(|run| run.end).max().unwrap_or(0);
        copy = data[..last * width].to_vec();
        Some(&copy)
    };
    let mut to = 0;
    for run in runs {
        let source = run.start * width..run.end * width;
        let bytes = source.len();
        match from {
            // What is overwritten lies before everything still to be moved.
            None => data.copy_within(source, to),
            Some(copy) => data[to..to + bytes].copy_from_slice(&copy[source]),
        }
        to += bytes;
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
            let mut selection = Selection::default();
            rows.iter().for_each(|&row| selection.push(row..row + 1));
            assert!(selection.rows().eq(rows.iter().copied()));
            let mut picked = data.clone();
            pick(&mut picked, width, &selection.runs);
            for (i, &row) in rows.iter().enumerate() {
                assert_eq!(picked[i * width..][..width], data[row * width..][..width]);
            }
        }
    }
}
