//! The raw stores behind a batch's columns. Rows of the current strip are written behind those
//! that are committed; only what a strip commits becomes part of the batch.

use arrow_buffer::{Buffer, MutableBuffer};

use crate::finish::Selection;
use crate::kernels::{InstructionSet, Lanes, Out};
use crate::layout::{ColId, Layout, SpaceId, Store};

/// Rows (or bytes of text) that every store has room for beyond what it was asked for, so that
/// kernels may write whole vectors.
pub(crate) const PAD: usize = 64;

/// A second block of a list's items, which doesn't follow the first in the store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece {
    /// The row the block belongs to.
    pub(crate) row: u32,
    pub(crate) start: u32,
    pub(crate) count: u32,
}

#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) store: Store,
    pub(crate) space: SpaceId,
    /// Fixed: the values. Slots: the committed bytes. All of it is initialised.
    pub(crate) data: MutableBuffer,
    /// Slots: committed bytes.
    pub(crate) filled: usize,
    /// What `filled` was before the strip.
    pub(crate) filled_before: usize,
    /// Slots and lists: committed `i32` offsets.
    pub(crate) offsets: MutableBuffer,
    /// Slots of the strip.
    pub(crate) ptrs: Vec<*const u8>,
    pub(crate) lens: Vec<u32>,
    /// Lists of the strip: each row's first block of items, by index into the child's strip.
    pub(crate) starts: Vec<u32>,
    pub(crate) counts: Vec<u32>,
    /// Further blocks, in the order they were met.
    pub(crate) pieces: Vec<Piece>,
    /// The first blocks of all the strip's rows follow one another as the rows do.
    pub(crate) in_order: bool,
    /// What the last batch was built of, taken back if its consumer has dropped it.
    kept: Vec<Buffer>,
}

// SAFETY: the slots' pointers are only followed while the strip's messages are borrowed.
#[expect(unsafe_code)]
unsafe impl Send for Raw {}

#[derive(Debug, Default, Clone)]
pub(crate) struct Space {
    /// Rows that are part of the batch.
    pub(crate) committed: usize,
    /// Rows of the strip.
    pub(crate) local: usize,
    pub(crate) cols: Vec<ColId>,
    /// The list whose items these are.
    pub(crate) list: Option<ColId>,
}

#[derive(Debug)]
pub(crate) struct Columns {
    pub(crate) raws: Vec<Raw>,
    pub(crate) spaces: Vec<Space>,
    /// What each space keeps of the strip: memory for `finish_strip`.
    pub(crate) selections: Vec<Selection>,
    pub(crate) set: InstructionSet,
}

impl Columns {
    pub(crate) fn new(layout: &Layout) -> Self {
        let mut spaces = vec![Space::default(); layout.spaces];
        for (col, spec) in layout.stores.iter().enumerate() {
            spaces[spec.space].cols.push(col);
            if let Store::List { child } = spec.store {
                spaces[child].list = Some(col);
            }
        }
        let raws = layout
            .stores
            .iter()
            .map(|spec| Raw {
                store: spec.store,
                space: spec.space,
                data: MutableBuffer::new(0),
                filled: 0,
                filled_before: 0,
                offsets: MutableBuffer::new(0),
                ptrs: Vec::new(),
                lens: Vec::new(),
                starts: Vec::new(),
                counts: Vec::new(),
                pieces: Vec::new(),
                in_order: false,
                kept: Vec::new(),
            })
            .collect();
        Self {
            raws,
            spaces,
            selections: Vec::new(),
            set: InstructionSet::best(),
        }
    }

    /// Starts a batch of `rows` rows.
    pub(crate) fn begin(&mut self, rows: usize) {
        for space in &mut self.spaces {
            space.committed = 0;
            space.local = 0;
        }
        for raw in &mut self.raws {
            raw.filled = 0;
            raw.take_back();
        }
        for col in 0..self.raws.len() {
            if self.raws[col].space == 0 {
                self.raws[col].make_room(0, rows);
            }
            // Offsets start with a zero, whatever follows.
            if !matches!(self.raws[col].store, Store::Fixed(_)) {
                grow(&mut self.raws[col].offsets, 4 * (1 + PAD));
                self.raws[col].offsets.as_slice_mut()[..4].fill(0);
            }
        }
    }

    /// Makes room for `rows` rows of the strip in every store of `space`.
    pub(crate) fn make_room(&mut self, space: SpaceId, rows: usize) {
        let Self { raws, spaces, .. } = self;
        let space = &spaces[space];
        for &col in &space.cols {
            raws[col].make_room(space.committed, rows);
        }
    }

    /// Where a leaf of this strip writes.
    pub(crate) fn out(&mut self, col: Option<ColId>, valid: Option<ColId>) -> Out {
        let mut out = Out {
            data: std::ptr::null_mut(),
            lens: std::ptr::null_mut(),
            valid: std::ptr::null_mut(),
        };
        if let Some(col) = col {
            match self.raws[col].store {
                Store::Fixed(_) => out.data = self.strip_bytes(col).as_mut_ptr(),
                _ => {
                    out.data = self.raws[col].ptrs.as_mut_ptr().cast();
                    out.lens = self.raws[col].lens.as_mut_ptr();
                }
            }
        }
        if let Some(col) = valid {
            out.valid = self.strip_bytes(col).as_mut_ptr();
        }
        out
    }

    /// The bytes of a fixed store from the strip's first row on.
    pub(crate) fn strip_bytes(&mut self, col: ColId) -> &mut [u8] {
        let raw = &mut self.raws[col];
        let Store::Fixed(width) = raw.store else {
            unreachable!("only fixed stores have bytes a row")
        };
        let start = self.spaces[raw.space].committed * width;
        &mut raw.data.as_slice_mut()[start..]
    }

    /// Leaves a null (or a harmless zero) in one row of the strip.
    pub(crate) fn clear_row(&mut self, col: ColId, row: usize) {
        match self.raws[col].store {
            Store::Fixed(width) => self.strip_bytes(col)[row * width..][..width].fill(0),
            Store::Slots { .. } => {
                self.raws[col].ptrs[row] = std::ptr::NonNull::dangling().as_ptr();
                self.raws[col].lens[row] = 0;
            }
            Store::List { .. } => {
                self.raws[col].starts[row] = 0;
                self.raws[col].counts[row] = 0;
            }
        }
    }

    /// Leaves nulls in the rows of `lanes`.
    pub(crate) fn clear(&mut self, col: ColId, lanes: &Lanes) {
        if lanes.dense {
            self.clear_rows(col, lanes.len());
        } else {
            lanes
                .all()
                .for_each(|k| self.clear_row(col, lanes.place(k)));
        }
    }

    /// Leaves nulls in the first `rows` rows of the strip.
    fn clear_rows(&mut self, col: ColId, rows: usize) {
        match self.raws[col].store {
            Store::Fixed(width) => self.strip_bytes(col)[..rows * width].fill(0),
            Store::Slots { .. } => {
                self.raws[col].ptrs[..rows].fill(std::ptr::NonNull::dangling().as_ptr());
                self.raws[col].lens[..rows].fill(0);
            }
            Store::List { .. } => {
                self.raws[col].starts[..rows].fill(0);
                self.raws[col].counts[..rows].fill(0);
            }
        }
    }

    /// Gives all of `lanes` the value of the first. Not for lists.
    pub(crate) fn repeat(&mut self, col: ColId, lanes: &Lanes) {
        let Some(first) = lanes.all().next().map(|k| lanes.place(k)) else {
            return;
        };
        let rest = lanes.all().skip(1).map(|k| lanes.place(k));
        match self.raws[col].store {
            Store::Fixed(width) => {
                let bytes = self.strip_bytes(col);
                match width {
                    1 => rest.for_each(|d| bytes[d] = bytes[first]),
                    8 => rest.for_each(|d| bytes.copy_within(first * 8..first * 8 + 8, d * 8)),
                    _ => rest.for_each(|d| {
                        bytes.copy_within(first * width..(first + 1) * width, d * width);
                    }),
                }
            }
            Store::Slots { .. } => {
                let raw = &mut self.raws[col];
                let (ptr, len) = (raw.ptrs[first], raw.lens[first]);
                rest.for_each(|d| {
                    raw.ptrs[d] = ptr;
                    raw.lens[d] = len;
                });
            }
            Store::List { .. } => unreachable!("lists aren't repeated"),
        }
    }

    /// Gives up what is kept for reuse.
    pub(crate) fn release(&mut self) {
        for raw in &mut self.raws {
            raw.kept.clear();
            raw.data = MutableBuffer::new(0);
            raw.offsets = MutableBuffer::new(0);
            raw.ptrs = Vec::new();
            raw.lens = Vec::new();
            raw.starts = Vec::new();
            raw.counts = Vec::new();
        }
    }
}

impl Raw {
    fn make_room(&mut self, committed: usize, rows: usize) {
        match self.store {
            Store::Fixed(width) => grow(&mut self.data, (committed + rows + PAD) * width),
            Store::Slots { .. } => {
                grow(&mut self.offsets, (committed + rows + 1 + PAD) * 4);
            }
            Store::List { .. } => {
                grow(&mut self.offsets, (committed + rows + 1 + PAD) * 4);
            }
        }
    }

    /// Makes room in what only a strip needs.
    pub(crate) fn make_strip_room(&mut self, rows: usize) {
        let rows = rows + PAD;
        match self.store {
            Store::Fixed(_) => {}
            Store::Slots { .. } if self.lens.len() < rows => {
                let rows = rows.next_power_of_two();
                self.ptrs.resize(rows, std::ptr::null());
                self.lens.resize(rows, 0);
            }
            Store::List { .. } if self.counts.len() < rows => {
                let rows = rows.next_power_of_two();
                self.starts.resize(rows, 0);
                self.counts.resize(rows, 0);
            }
            _ => {}
        }
    }

    /// Hands out the values (or text) of the batch: the first `bytes` of them.
    pub(crate) fn share_data(&mut self, bytes: usize) -> Buffer {
        share(&mut self.data, bytes, &mut self.kept)
    }

    /// Hands out the offsets of the batch's `rows` rows.
    pub(crate) fn share_offsets(&mut self, rows: usize) -> Buffer {
        share(&mut self.offsets, (rows + 1) * 4, &mut self.kept)
    }

    /// Hands out a store of slots: the offsets of the batch's `rows` rows, and the text.
    pub(crate) fn share_offsets_after_data(&mut self, rows: usize) -> (Buffer, Buffer) {
        let text = self.share_data(self.filled);
        (self.share_offsets(rows), text)
    }

    /// Reuses the memory of the last batch where nobody holds it any more.
    fn take_back(&mut self) {
        // A store has values, offsets, or both, shared in this order.
        let values = !matches!(self.store, Store::List { .. });
        for (i, buffer) in std::mem::take(&mut self.kept).into_iter().enumerate() {
            if let Ok(buffer) = buffer.into_mutable() {
                match i == 0 && values {
                    true => self.data = buffer,
                    false => self.offsets = buffer,
                }
            }
        }
    }
}

/// The first `bytes` bytes of `from`, which is given up; `kept` remembers it whole.
fn share(from: &mut MutableBuffer, bytes: usize, kept: &mut Vec<Buffer>) -> Buffer {
    let whole: Buffer = std::mem::replace(from, MutableBuffer::new(0)).into();
    let part = whole.slice_with_length(0, bytes);
    kept.push(whole);
    part
}

/// Grows a buffer whose length is all initialised: at least to `bytes`.
pub(crate) fn grow(buffer: &mut MutableBuffer, bytes: usize) {
    if buffer.len() >= bytes {
        return;
    }
    if buffer.is_empty() {
        // Fresh pages are zero already: this writes nothing.
        *buffer = MutableBuffer::from_len_zeroed(bytes.next_multiple_of(64));
    } else {
        buffer.resize(bytes.max(2 * buffer.len()).next_multiple_of(64), 0);
    }
}
