//! The rows of a strip before they are decoded: how many there are, where each begins and ends, and
//! which of its writers each is of.

use std::ops::Range;

use crate::exec::DEAD;
use crate::kernels::{self, InstructionSet, Lanes, TAIL};

/// Rows that are decoded together, and the bytes they should not be more than, so that what they
/// touch stays in the first caches.
const STRIP_ROWS_MAX: usize = 512;
const STRIP_ROWS_MIN: usize = 64;
const STRIP_BYTES: usize = 32 << 10;
/// A zero byte and a schema id.
const FRAME_BYTES: usize = 5;

/// One strip's rows before they are decoded.
#[derive(Debug, Default)]
pub(crate) struct StripRows {
    /// All rows, whatever their writer.
    pub(crate) lanes: Lanes,
    /// Of several writers, the rows of each of `parted`. As many as a strip ever had writers.
    pub(crate) parts: Vec<Lanes>,
    /// Which of the writers have no rows in `parts`, for nothing is left to be done with them.
    pub(crate) done: Vec<bool>,
    /// The strip's writers: ids, or [`NULL_ROW`].
    pub(crate) parted: Vec<u64>,
    /// Each row's writer: its index in `parted`, or [`NO_ROW`].
    writers: Vec<u32>,
    /// Rows too short for a kernel's loads, copied to where there is room before their end.
    short: Vec<[u8; 2 * TAIL]>,
}

/// In place of a writer's id: a row of nulls.
pub(crate) const NULL_ROW: u64 = 1 << 32;
/// In place of a writer's index: a row that is refused already.
const NO_ROW: u32 = u32::MAX;
/// Writers whose indices are found at once, whatever the order they come in: those whose ids differ
/// in their last bits.
const SEEN: usize = 8;
/// Of so many writers at most, each one's rows are picked out of the strip by a pass of its own.
const PASSES_MAX: usize = 4;

/// A row as given. Making one must not look at the row's bytes: it is also done to prefetch them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Given<'a> {
    Body { writer: u32, bytes: &'a [u8] },
    Framed(&'a [u8]),
    Null,
}

impl<'a> Given<'a> {
    /// The row's bytes, frame and all.
    pub(crate) fn bytes(self) -> &'a [u8] {
        match self {
            Given::Body { bytes, .. } | Given::Framed(bytes) => bytes,
            Given::Null => &[],
        }
    }

    /// Its writer and where its body starts; `None` if it should be framed and isn't.
    #[inline]
    pub(crate) fn open(self) -> Option<(u64, usize)> {
        match self {
            Given::Body { writer, .. } => Some((u64::from(writer), 0)),
            Given::Null => Some((NULL_ROW, 0)),
            Given::Framed(&[0, a, b, c, d, ..]) => {
                Some((u64::from(u32::from_be_bytes([a, b, c, d])), FRAME_BYTES))
            }
            Given::Framed(_) => None,
        }
    }
}

/// How many rows to take into the strip that starts at `first`.
pub(crate) fn strip_rows<'a>(
    first: usize,
    rows: usize,
    given: &impl Fn(usize) -> Given<'a>,
) -> usize {
    let left = rows - first;
    if left <= STRIP_ROWS_MIN {
        return left;
    }
    (STRIP_BYTES / mean_bytes(first..rows, given).max(1))
        .next_multiple_of(8)
        .clamp(STRIP_ROWS_MIN, STRIP_ROWS_MAX)
        .min(left)
}

/// How long some rows are, judged by eight of them.
pub(crate) fn mean_bytes<'a>(rows: Range<usize>, given: &impl Fn(usize) -> Given<'a>) -> usize {
    if rows.is_empty() {
        return 0;
    }
    let sample = (0..8).map(|i| given(rows.start + i * rows.len() / 8).bytes().len());
    sample.sum::<usize>() / 8
}

impl StripRows {
    /// Puts each writer's rows into lanes of their own; of writers that are `done`, only those that
    /// should have come to their ends and haven't.
    ///
    /// # Safety
    ///
    /// The machine has `set`.
    #[expect(unsafe_code)]
    pub(crate) unsafe fn part(&mut self, set: InstructionSet) {
        if self.parts.len() < self.parted.len() {
            self.parts.resize_with(self.parted.len(), Lanes::default);
        }
        if self.parted.len() > PASSES_MAX {
            for part in &mut self.parts {
                part.start_filling(self.lanes.len());
            }
            for (row, &part) in self.writers.iter().enumerate() {
                if part != NO_ROW && !(self.done[part as usize] && self.lanes.is_ended(row)) {
                    self.parts[part as usize].fill_next(&self.lanes, row);
                }
            }
            return;
        }
        for (part, (lanes, &done)) in self.parts.iter_mut().zip(&self.done).enumerate() {
            // SAFETY: the caller's promise.
            unsafe {
                kernels::fill_part(set, lanes, &self.lanes, &self.writers, part as u32, done);
            }
        }
    }

    /// Sets up a strip. If all its rows are of one writer (or refused already), says which.
    pub(crate) fn prepare<'a>(
        &mut self,
        first: usize,
        count: usize,
        given: &impl Fn(usize) -> Given<'a>,
        row_bytes_max: usize,
        dead: &mut [u8],
    ) -> Option<u32> {
        self.short.clear();
        // Pointers into `short` must stay: it may not grow.
        self.short.reserve(count);
        self.lanes.fill_dense(count);
        self.writers.resize(count, NO_ROW);
        let rows = self.lanes.cur.iter_mut().zip(&mut self.lanes.end);
        let parted = &mut self.parted;
        parted.clear();
        let mut seen = [(u64::MAX, NO_ROW); SEEN];
        for (i, ((cur, end), to)) in rows.zip(&mut self.writers).enumerate() {
            let given = given(first + i);
            let bytes = given.bytes();
            let (writer, skip) = match given.open() {
                Some(opened) if bytes.len() <= row_bytes_max => opened,
                _ => {
                    dead[i] = DEAD;
                    (*cur, *end) = Lanes::dead_row();
                    *to = NO_ROW;
                    continue;
                }
            };
            let range = match bytes.len() {
                0..TAIL => {
                    let mut copy = [0; 2 * TAIL];
                    let from = 2 * TAIL - bytes.len();
                    copy[from..].copy_from_slice(bytes);
                    self.short.push(copy);
                    let last = self.short.len() - 1;
                    self.short[last][from..].as_ptr_range()
                }
                _ => bytes.as_ptr_range(),
            };
            *cur = range.start.wrapping_add(skip);
            *end = range.end;
            let seen = &mut seen[writer as usize % SEEN];
            if seen.0 != writer {
                let known = parted.iter().position(|&w| w == writer);
                let part = known.unwrap_or_else(|| {
                    parted.push(writer);
                    parted.len() - 1
                });
                *seen = (writer, part as u32);
            }
            *to = seen.1;
        }
        match self.parted.as_slice() {
            &[writer] => u32::try_from(writer).ok(),
            _ => None,
        }
    }
}
