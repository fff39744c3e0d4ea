//! Runs a plan over a strip of rows: each operation over all of them before the next.

use std::sync::Arc;

use crate::columns::Columns;
use crate::kernels::read::{self, Swar};
use crate::kernels::{self, InstructionSet, Lanes, Nulls, TAIL};
use crate::layout::{ColId, Layout};
use crate::lists::ListScratch;
use crate::options::Limits;
use crate::plan::{BlockId, Op, Plan};
use crate::walk::Walker;

/// What a strip needs besides columns, kept from strip to strip.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// One byte for each of the strip's rows: 0, or why it is refused.
    pub(crate) dead: Vec<u8>,
    /// What is left of [`Limits::row_items_max`] for each of the strip's rows.
    pub(crate) items_left: Vec<usize>,
    /// Text that values without columns became; slots point into it until the strip's end.
    pub(crate) texts: Vec<Vec<u8>>,
    subsets: Vec<Subset>,
    pub(crate) lists: Vec<ListScratch>,
}

/// Refused: the walk over the row says why.
pub(crate) const DEAD: u8 = 1;
/// Refused: a column has no room for it.
pub(crate) const DEAD_FULL: u8 = 2;

/// The rows that are marked as dead, eight of the others at a step.
pub(crate) fn dead_rows(dead: &[u8]) -> impl Iterator<Item = usize> {
    let (steps, rest) = dead.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let steps = steps.iter().copied().chain(std::iter::once(last));
    let steps = steps.map(u64::from_le_bytes).enumerate();
    steps.flat_map(|(i, mut marks)| {
        std::iter::from_fn(move || {
            if marks == 0 {
                return None;
            }
            let k = marks.trailing_zeros() as usize / 8;
            marks &= !(0xff << (8 * k));
            Some(i * 8 + k)
        })
    })
}

/// Some lanes of another set, on their own.
#[derive(Debug, Default)]
struct Subset {
    lanes: Lanes,
    /// Which lane of the other set each is.
    parent: Vec<u32>,
    /// Scratch: each lane's union member.
    marks: Vec<u32>,
}

impl Subset {
    fn clear(&mut self) {
        self.lanes.clear();
        self.parent.clear();
    }

    fn push(&mut self, from: &Lanes, k: usize, dst: u32) {
        self.lanes.push(from.cur[k], from.end[k], dst, from.root[k]);
        self.parent.push(k as u32);
    }

    fn write_back(&self, i: usize, to: &mut Lanes) {
        let k = self.parent[i] as usize;
        to.cur[k] = self.lanes.cur[i];
        to.end[k] = self.lanes.end[i];
    }

    fn write_back_all(&self, to: &mut Lanes) {
        (0..self.lanes.len()).for_each(|i| self.write_back(i, to));
    }
}

pub(crate) struct Strip<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) layout: &'a Layout,
    pub(crate) limits: &'a Limits,
    pub(crate) columns: &'a mut Columns,
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) set: InstructionSet,
    /// Defaults aren't the row's to pay for.
    pub(crate) in_default: bool,
}

impl Strip<'_> {
    /// Runs a block over `lanes`.
    ///
    /// # Safety
    ///
    /// The machine has the instruction set. The rows behind `lanes` are borrowed, each with
    /// [`TAIL`] bytes before its end in the same allocation; their places are within their space's room.
    #[expect(unsafe_code)]
    pub(crate) unsafe fn run(&mut self, block: BlockId, lanes: &mut Lanes) {
        let plan = self.plan;
        // SAFETY: the caller's promises are the callee's conditions.
        unsafe { self.run_ops(&plan.blocks[block], lanes) }
    }

    /// Runs some of this plan's operations over `lanes`.
    ///
    /// # Safety
    ///
    /// As [`Self::run`].
    #[expect(unsafe_code)]
    pub(crate) unsafe fn run_ops(&mut self, ops: &[Op], lanes: &mut Lanes) {
        for op in ops {
            // SAFETY: every subset's rows are rows of these lanes, and lists make room for their
            // items before they run them.
            unsafe {
                match op {
                    Op::Leaf(leaf) => {
                        let out = self.columns.out(leaf.col, leaf.valid);
                        kernels::leaf(self.set, leaf, lanes, out, &mut self.scratch.dead);
                    }
                    Op::Skips(leaves) => {
                        kernels::skips(self.set, leaves, lanes, &mut self.scratch.dead);
                    }
                    Op::Fill { col, byte } => self.fill(*col, *byte, lanes),
                    Op::Null(cols) => cols.iter().for_each(|&col| self.columns.clear(col, lanes)),
                    Op::Optional { nulls, cols, inner } => {
                        self.optional(*nulls, cols, *inner, lanes);
                    }
                    Op::Switch(members) => self.switch(members, lanes),
                    Op::List {
                        list,
                        child,
                        bytes_min,
                        item,
                    } => {
                        self.list(*list, *child, *bytes_min, *item, lanes);
                    }
                    Op::Default { bytes, inner, same } => {
                        self.default(bytes, *inner, same.as_deref(), lanes);
                    }
                    Op::Text { node, col } => self.walk(lanes, |walker, text| {
                        walker.text(*node, text).map(|()| Some(*col))
                    }),
                    Op::Skip(ty) => self.walk(lanes, |walker, _| walker.skip(*ty).map(|()| None)),
                }
            }
        }
    }

    fn fill(&mut self, col: ColId, byte: u8, lanes: &Lanes) {
        let bytes = self.columns.strip_bytes(col);
        if lanes.dense {
            bytes[..lanes.len()].fill(byte);
        } else {
            lanes.all().for_each(|k| bytes[lanes.place(k)] = byte);
        }
    }

    fn subset(&mut self) -> Subset {
        let mut subset = self.scratch.subsets.pop().unwrap_or_default();
        subset.clear();
        subset
    }

    /// # Safety
    ///
    /// As [`Self::run`].
    #[expect(unsafe_code)]
    unsafe fn optional(&mut self, nulls: Nulls, cols: &[ColId], inner: BlockId, lanes: &mut Lanes) {
        let mut subset = self.subset();
        for k in lanes.all() {
            // SAFETY: the rows are borrowed.
            let rest = unsafe { lanes.rest(k) };
            let (tag, n) = match read::member::<Swar>(rest, 2) {
                Ok((index, n)) => (2 * index as u8, n),
                Err(_) => {
                    lanes.kill(k, &mut self.scratch.dead);
                    (nulls.null, 0)
                }
            };
            lanes.advance(k, n);
            if tag == nulls.value {
                subset.push(lanes, k, lanes.place(k) as u32);
            } else {
                if !nulls.allowed {
                    lanes.kill(k, &mut self.scratch.dead);
                }
                for &col in cols {
                    self.columns.clear_row(col, lanes.place(k));
                }
            }
        }
        // SAFETY: the subset's rows are these lanes'.
        unsafe { self.run_subset(inner, &mut subset, lanes) };
        self.scratch.subsets.push(subset);
    }

    /// # Safety
    ///
    /// As [`Self::run`].
    #[expect(unsafe_code)]
    unsafe fn run_subset(&mut self, block: BlockId, subset: &mut Subset, lanes: &mut Lanes) {
        if subset.lanes.len() == lanes.len() {
            // SAFETY: as the caller's.
            unsafe { self.run(block, lanes) };
        } else if subset.lanes.len() > 0 {
            // SAFETY: the subset's rows are these lanes'.
            unsafe { self.run(block, &mut subset.lanes) };
            subset.write_back_all(lanes);
        }
    }

    /// # Safety
    ///
    /// As [`Self::run`].
    #[expect(unsafe_code)]
    unsafe fn switch(&mut self, members: &[Option<BlockId>], lanes: &mut Lanes) {
        let mut subset = self.subset();
        let mut marks = std::mem::take(&mut subset.marks);
        marks.clear();
        for k in lanes.all() {
            // SAFETY: the rows are borrowed.
            let rest = unsafe { lanes.rest(k) };
            marks.push(match read::member::<Swar>(rest, members.len()) {
                Ok((index, n)) if members[index].is_some() => {
                    lanes.advance(k, n);
                    index as u32
                }
                _ => {
                    lanes.kill(k, &mut self.scratch.dead);
                    u32::MAX
                }
            });
        }
        for (index, block) in members.iter().enumerate() {
            let Some(block) = block else { continue };
            subset.clear();
            for k in lanes.all() {
                if marks[k] == index as u32 {
                    subset.push(lanes, k, lanes.place(k) as u32);
                }
            }
            // SAFETY: the subset's rows are these lanes'.
            unsafe { self.run_subset(*block, &mut subset, lanes) };
        }
        subset.marks = marks;
        self.scratch.subsets.push(subset);
    }

    /// # Safety
    ///
    /// As [`Self::run`].
    #[expect(unsafe_code)]
    unsafe fn default(
        &mut self,
        bytes: &Arc<[u8]>,
        inner: BlockId,
        same: Option<&[ColId]>,
        lanes: &mut Lanes,
    ) {
        let mut subset = self.subset();
        let std::ops::Range { start, end } = bytes.as_ptr_range();
        let start = start.wrapping_add(TAIL);
        let count = if same.is_some() {
            lanes.len().min(1)
        } else {
            lanes.len()
        };
        for k in 0..count {
            let dst = lanes.place(k) as u32;
            subset.lanes.push(start, end, dst, lanes.root[k]);
        }
        let before = std::mem::replace(&mut self.in_default, true);
        // SAFETY: the plan, which is borrowed, owns the bytes; TAIL of them lie before.
        unsafe { self.run(inner, &mut subset.lanes) };
        self.in_default = before;
        self.scratch.subsets.push(subset);
        for &col in same.unwrap_or_default() {
            self.columns.repeat(col, lanes);
        }
    }

    /// Walks over a value of each lane; `step` may leave text for a store of slots.
    ///
    /// # Safety
    ///
    /// As [`Self::run`].
    #[expect(unsafe_code)]
    unsafe fn walk(
        &mut self,
        lanes: &mut Lanes,
        step: impl Fn(&mut Walker<'_>, &mut Vec<u8>) -> Result<Option<ColId>, crate::Reason>,
    ) {
        for k in lanes.all() {
            // SAFETY: the rows are borrowed.
            let rest = unsafe { lanes.rest(k) };
            let root = lanes.root[k] as usize;
            let mut walker = Walker::new(&self.plan.graph, self.layout, self.limits, rest);
            if !self.in_default {
                walker.items_left = self.scratch.items_left[root];
            }
            let mut text = Vec::new();
            match step(&mut walker, &mut text) {
                Ok(col) => {
                    if !self.in_default {
                        self.scratch.items_left[root] = walker.items_left;
                    }
                    lanes.advance(k, walker.position());
                    if let Some(col) = col {
                        let d = lanes.place(k);
                        self.columns.raws[col].ptrs[d] = text.as_ptr();
                        self.columns.raws[col].lens[d] = text.len() as u32;
                        self.scratch.texts.push(text);
                    }
                }
                Err(_) => lanes.kill(k, &mut self.scratch.dead),
            }
        }
    }
}
