//! The rows that a strip of the batch is decoded with, all at the same field at a time.

use std::ops::Range;

use super::ahead::Ahead;

/// Where the cursors of refused rows point: zeros decode to harmless values of nearly every type,
/// so the loops over the rows need no case for them.
static ZEROS: [u8; 4096] = [0; 4096];

/// The fewest bytes that lie before every lane's end, in the same allocation: what lets a kernel
/// load eight bytes that end where the row ends.
pub(crate) const TAIL: usize = 8;

/// Lanes that there is room for beyond those that are filled in, so that a kernel may write whole
/// vectors.
const LANES_PAD: usize = 8;

/// A set of rows and how far each is decoded.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    /// The next byte of each row.
    pub(crate) cur: Vec<*const u8>,
    /// One past each row's last byte.
    pub(crate) end: Vec<*const u8>,
    /// Where each row's values go: an index into the space, from the strip's start.
    pub(crate) dst: Vec<u32>,
    /// Which of the strip's rows each lane belongs to.
    pub(crate) root: Vec<u32>,
    /// `dst[k] == k` for all.
    pub(crate) dense: bool,
    /// What is added to all of `dst`: which of their items a list's rows are at.
    pub(crate) shift: u32,
    /// What is brought near while these are decoded.
    pub(crate) ahead: Ahead,
    /// How many of the lanes take part: the first so many.
    len: usize,
}

// SAFETY: the pointers are only followed during a call that also borrows what they point at;
// between calls they are stale numbers.
#[expect(unsafe_code)]
unsafe impl Send for Lanes {}

impl Lanes {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Lets only the first `len` lanes take part.
    pub(crate) fn limit(&mut self, len: usize) {
        debug_assert!(len <= self.cur.len());
        self.len = len;
    }

    pub(crate) fn clear(&mut self) {
        self.cur.clear();
        self.end.clear();
        self.dst.clear();
        self.root.clear();
        self.dense = false;
        self.shift = 0;
        self.len = 0;
    }

    /// Makes `len` lanes that [`Self::set`] is to fill.
    pub(crate) fn resize(&mut self, len: usize) {
        self.make_long(len);
        self.dense = false;
        self.shift = 0;
        self.len = len;
    }

    /// Makes lane `k` a copy of lane `from_k` of another set, but for its place.
    #[inline]
    pub(crate) fn set(&mut self, k: usize, from: &Self, from_k: usize, dst: u32) {
        self.cur[k] = from.cur[from_k];
        self.end[k] = from.end[from_k];
        self.dst[k] = dst;
        self.root[k] = from.root[from_k];
    }

    /// Makes these the rows of `from` whose entry in `parts` is `part`, of which `from` has as many;
    /// with `unended`, only those that go on. Each row's place is its index.
    pub(crate) fn fill_part(&mut self, from: &Self, parts: &[u32], part: u32, unended: bool) {
        self.start_filling(from.len);
        let mut len = 0;
        for (row, &of) in parts.iter().enumerate().take(from.len) {
            self.set(len, from, row, row as u32);
            // Without a branch: whose row comes next is anyone's guess.
            len += usize::from(of == part && !(unended && from.is_ended(row)));
        }
        self.len = len;
    }

    /// Adds a lane: row `row` of `from`, whose place is the row.
    #[inline]
    pub(crate) fn fill_next(&mut self, from: &Self, row: usize) {
        let k = self.len;
        self.set(k, from, row, row as u32);
        self.len = k + 1;
    }

    /// Makes room for up to `most` lanes, and one vector of them more; none take part yet.
    pub(crate) fn start_filling(&mut self, most: usize) {
        self.make_long(most + LANES_PAD);
        self.dense = false;
        self.shift = 0;
        self.len = 0;
    }

    /// Makes the vectors at least `len` long; what is in them is left.
    fn make_long(&mut self, len: usize) {
        if self.cur.len() < len {
            self.cur.resize(len, std::ptr::null());
            self.end.resize(len, std::ptr::null());
            self.dst.resize(len, 0);
            self.root.resize(len, 0);
        }
    }

    /// Makes `count` lanes, one for each row, whose cursors are the caller's to set.
    pub(crate) fn fill_dense(&mut self, count: usize) {
        if self.cur.len() != count || !self.dense {
            let rows = 0..count as u32;
            self.dst = rows.clone().collect();
            self.root = rows.collect();
            self.cur.resize(count, std::ptr::null());
            self.end.resize(count, std::ptr::null());
            self.dense = true;
            self.len = count;
        }
    }

    pub(crate) fn push(&mut self, cur: *const u8, end: *const u8, dst: u32, root: u32) {
        self.cur.push(cur);
        self.end.push(end);
        self.dst.push(dst);
        self.root.push(root);
        self.len += 1;
    }

    pub(crate) fn all(&self) -> Range<usize> {
        0..self.len()
    }

    /// Where lane `k`'s values go.
    #[inline(always)]
    pub(crate) fn place(&self, k: usize) -> usize {
        if self.dense {
            k
        } else {
            (self.dst[k] + self.shift) as usize
        }
    }

    /// What is left of lane `k`'s row.
    ///
    /// # Safety
    ///
    /// The row the lane was made from must still be borrowed.
    #[inline(always)]
    #[expect(unsafe_code)]
    pub(crate) unsafe fn rest<'a>(&self, k: usize) -> &'a [u8] {
        // SAFETY: the caller's promise.
        unsafe { Self::between(self.cur[k], self.end[k]) }
    }

    /// What is left of a row, given a lane's cursor and end.
    ///
    /// # Safety
    ///
    /// Both are one lane's, and the row the lane was made from must still be borrowed.
    #[inline(always)]
    #[expect(unsafe_code)]
    pub(crate) unsafe fn between<'a>(cur: *const u8, end: *const u8) -> &'a [u8] {
        // SAFETY: `cur` and `end` were made from one slice (or from ZEROS), and `advance` keeps
        // `cur` at or before `end`.
        unsafe { std::slice::from_raw_parts(cur, end.offset_from_unsigned(cur)) }
    }

    /// Moves lane `k` on by `bytes`, which the caller has read within the lane's `rest`.
    #[inline(always)]
    pub(crate) fn advance(&mut self, k: usize, bytes: usize) {
        self.cur[k] = self.cur[k].wrapping_add(bytes);
    }

    /// Takes lane `k` out: its row is refused.
    #[cold]
    pub(crate) fn kill(&mut self, k: usize, dead: &mut [u8]) {
        let dead = &mut dead[self.root[k] as usize];
        *dead = (*dead).max(1);
        self.cur[k] = ZEROS.as_ptr();
        self.end[k] = dead_end();
    }

    /// Whether nothing is left of lane `k`'s row, or it is refused.
    #[inline]
    pub(crate) fn is_ended(&self, k: usize) -> bool {
        self.cur[k] == self.end[k] || self.is_dead(k)
    }

    /// Takes out the lanes whose rows go on behind what was read.
    pub(crate) fn kill_unended(&mut self, dead: &mut [u8]) {
        const STEP: usize = 64;
        for first in (0..self.len).step_by(STEP) {
            let step = first..(first + STEP).min(self.len);
            let rows = self.cur[step.clone()].iter().zip(&self.end[step.clone()]);
            // Refused lanes don't end either: where there are any, each lane is asked.
            let differ = rows.fold(0, |any, (cur, end)| any | (cur.addr() ^ end.addr()));
            if differ != 0 {
                for k in step {
                    if !self.is_ended(k) {
                        self.kill(k, dead);
                    }
                }
            }
        }
    }

    /// The cursor and end of a row that is refused from the start.
    pub(crate) fn dead_row() -> (*const u8, *const u8) {
        (ZEROS.as_ptr(), dead_end())
    }

    pub(crate) fn is_dead(&self, k: usize) -> bool {
        Self::is_dead_end(self.end[k])
    }

    /// Whether this is where the lanes of refused rows end.
    pub(crate) fn is_dead_end(end: *const u8) -> bool {
        end == dead_end()
    }
}

fn dead_end() -> *const u8 {
    ZEROS.as_ptr_range().end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{self, InstructionSet};

    #[test]
    #[expect(unsafe_code)]
    fn parts_are_picked_out_on_every_instruction_set() {
        let bytes = [1u8; 16];
        for count in [0, 1, 7, 8, 9, 64, 100] {
            let mut all = Lanes::default();
            for row in 0..count as u32 {
                let (cur, end) = match row % 5 {
                    0 => Lanes::dead_row(),
                    // Ended already.
                    1 | 2 => (bytes.as_ptr_range().end, bytes.as_ptr_range().end),
                    _ => (bytes.as_ptr(), bytes.as_ptr_range().end),
                };
                all.push(cur, end, row, row + 1);
            }
            let parts: Vec<u32> = (0..count as u32).map(|row| row * row % 7 % 3).collect();
            for (part, unended) in [(0, false), (1, false), (0, true), (1, true), (9, false)] {
                let mine = |&row: &usize| parts[row] == part && !(unended && all.is_ended(row));
                let rows: Vec<usize> = (0..count).filter(mine).collect();
                for set in InstructionSet::available() {
                    let mut picked = Lanes::default();
                    // SAFETY: the machine has the set.
                    unsafe {
                        kernels::fill_part(set, &mut picked, &all, &parts, part, unended);
                    }
                    assert_eq!(picked.len(), rows.len(), "{set:?}, {count} lanes");
                    for (k, &row) in rows.iter().enumerate() {
                        assert_eq!(picked.place(k), row);
                        assert_eq!(picked.root[k], row as u32 + 1);
                        assert_eq!(picked.cur[k], all.cur[row]);
                        assert_eq!(picked.end[k], all.end[row]);
                    }
                }
            }
        }
    }
}
