//! Runs a plan over a strip of rows: each operation over all of them before the next.

use std::sync::Arc;

use crate::columns::{Columns, Piece};
use crate::kernels::read::{self, Swar};
use crate::kernels::{self, InstructionSet, Lanes, Nulls, TAIL};
use crate::layout::{ColId, Layout, SpaceId, Store};
use crate::options::Limits;
use crate::plan::{BlockId, Op, Plan};
use crate::walk::{Walker, charge};

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
}

/// Refused: the walk over the row says why.
pub(crate) const DEAD: u8 = 1;
/// Refused: a column has no room for it.
pub(crate) const DEAD_FULL: u8 = 2;

/// Rounds of items between two sortings of a list's lanes.
const ROUNDS_MAX: u32 = 64;

/// Some lanes of another set, on their own.
#[derive(Debug, Default)]
struct Subset {
    lanes: Lanes,
    /// Which lane of the other set each is.
    parent: Vec<u32>,
    /// Items of the current block still to come.
    left: Vec<u32>,
    /// Scratch: lanes with a block open, or each lane's union member.
    marks: Vec<u32>,
}

impl Subset {
    fn clear(&mut self) {
        self.lanes.clear();
        self.parent.clear();
        self.left.clear();
    }

    fn push(&mut self, from: &Lanes, k: usize, dst: u32) {
        self.lanes.push(from.cur[k], from.end[k], dst, from.root[k]);
        self.parent.push(k as u32);
    }

    /// Becomes another set with the lanes that have most items left first; beyond
    /// [`ROUNDS_MAX`], in any order. Returns for how many rounds that order holds.
    fn sort_from(&mut self, other: &Self) -> u32 {
        let key = |left: u32| left.min(ROUNDS_MAX) as usize;
        let mut next = [0usize; ROUNDS_MAX as usize + 1];
        for &left in &other.left {
            next[key(left)] += 1;
        }
        let mut before = 0;
        let mut rounds = 0;
        for left in (1..next.len()).rev() {
            let count = std::mem::replace(&mut next[left], before);
            before += count;
            if count > 0 && rounds == 0 {
                rounds = left as u32;
            }
        }
        let count = other.left.len();
        self.lanes.resize(count);
        self.parent.resize(count, 0);
        self.left.resize(count, 0);
        for (i, &left) in other.left.iter().enumerate() {
            let to = &mut next[key(left)];
            self.lanes.set(*to, &other.lanes, i);
            self.parent[*to] = other.parent[i];
            self.left[*to] = left;
            *to += 1;
        }
        rounds
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
        for op in &plan.blocks[block] {
            // SAFETY: every subset's rows are rows of these lanes, and lists make room for their
            // items before they run them.
            unsafe {
                match op {
                    Op::Leaf(leaf) => {
                        let out = self.columns.out(leaf.col, leaf.valid);
                        kernels::leaf(self.set, leaf, lanes, out, &mut self.scratch.dead);
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
                    Op::Default { bytes, inner } => self.default(bytes, *inner, lanes),
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
    unsafe fn default(&mut self, bytes: &Arc<[u8]>, inner: BlockId, lanes: &mut Lanes) {
        let mut subset = self.subset();
        let std::ops::Range { start, end } = bytes.as_ptr_range();
        let start = start.wrapping_add(TAIL);
        for k in lanes.all() {
            subset
                .lanes
                .push(start, end, lanes.place(k) as u32, lanes.root[k]);
        }
        subset.lanes.dense = lanes.dense;
        let before = std::mem::replace(&mut self.in_default, true);
        // SAFETY: the plan, which is borrowed, owns the bytes; TAIL of them lie before.
        unsafe { self.run(inner, &mut subset.lanes) };
        self.in_default = before;
        self.scratch.subsets.push(subset);
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

    /// Reads a block's header of lane `k`: where its items go and how many there are.
    ///
    /// # Safety
    ///
    /// As [`Self::run`].
    #[inline]
    #[expect(unsafe_code)]
    unsafe fn open_block(
        &mut self,
        lanes: &mut Lanes,
        k: usize,
        child: SpaceId,
        bytes_min: usize,
    ) -> (u32, u32) {
        // SAFETY: the rows are borrowed.
        let rest = unsafe { lanes.rest(k) };
        let root = lanes.root[k] as usize;
        let mut free = usize::MAX;
        let items_left = match self.in_default {
            true => &mut free,
            false => &mut self.scratch.items_left[root],
        };
        let space = &mut self.columns.spaces[child];
        let start = space.local;
        let opened = read::block::<Swar>(rest).and_then(|(count, n)| {
            charge(count, bytes_min, rest.len() - n, items_left, self.limits).map(|c| (c, n))
        });
        let count = match opened {
            Ok((count, n)) if space.committed + start + count <= i32::MAX as usize => {
                lanes.advance(k, n);
                count
            }
            Ok(_) => {
                lanes.kill(k, &mut self.scratch.dead);
                self.scratch.dead[root] = DEAD_FULL;
                0
            }
            Err(_) => {
                lanes.kill(k, &mut self.scratch.dead);
                0
            }
        };
        space.local += count;
        (start as u32, count as u32)
    }

    /// The items of all lanes' arrays, one round of items after the other.
    ///
    /// # Safety
    ///
    /// As [`Self::run`].
    #[expect(unsafe_code)]
    unsafe fn list(
        &mut self,
        list: ColId,
        child: SpaceId,
        bytes_min: usize,
        item: BlockId,
        lanes: &mut Lanes,
    ) {
        let mut subset = self.subset();
        let mut open = std::mem::take(&mut subset.marks);
        open.clear();
        for k in lanes.all() {
            // SAFETY: as the caller's.
            let (start, count) = unsafe { self.open_block(lanes, k, child, bytes_min) };
            let d = lanes.place(k);
            self.columns.raws[list].starts[d] = start;
            self.columns.raws[list].counts[d] = count;
            if count > 0 {
                subset.push(lanes, k, start);
                subset.left.push(count);
                open.push(k as u32);
            }
        }
        while !open.is_empty() {
            self.make_room(child);
            // SAFETY: there is room for what the block headers announced.
            unsafe { self.rounds(item, &mut subset, lanes) };
            subset.clear();
            let mut still = 0;
            for i in 0..open.len() {
                let k = open[i] as usize;
                // SAFETY: as the caller's.
                let (start, count) = unsafe { self.open_block(lanes, k, child, bytes_min) };
                if count > 0 {
                    let row = lanes.place(k) as u32;
                    self.columns.raws[list]
                        .pieces
                        .push(Piece { row, start, count });
                    subset.push(lanes, k, start);
                    subset.left.push(count);
                    open[still] = k as u32;
                    still += 1;
                }
            }
            open.truncate(still);
        }
        subset.marks = open;
        self.scratch.subsets.push(subset);
    }

    pub(crate) fn make_room(&mut self, space: SpaceId) {
        let rows = self.columns.spaces[space].local;
        self.columns.make_room(space, rows);
        let Columns { raws, spaces, .. } = self.columns;
        for &col in &spaces[space].cols {
            if !matches!(raws[col].store, Store::Fixed(_)) {
                raws[col].make_strip_room(rows);
            }
        }
    }

    /// Decodes the items of `subset`'s lanes: the first of each, the second of each, and so on.
    /// The lanes with most items come first, so that each round's are the first so many.
    ///
    /// # Safety
    ///
    /// As [`Self::run`]; there is room for the items.
    #[expect(unsafe_code)]
    unsafe fn rounds(&mut self, item: BlockId, subset: &mut Subset, lanes: &mut Lanes) {
        let mut sorted = self.subset();
        while subset.lanes.len() > 0 {
            let rounds = sorted.sort_from(subset);
            let mut count = sorted.lanes.len();
            for round in 0..rounds {
                while sorted.left[count - 1] <= round {
                    count -= 1;
                }
                sorted.lanes.limit(count);
                sorted.lanes.shift = round;
                // SAFETY: the lanes' rows are the caller's, their places within the room made.
                unsafe { self.run(item, &mut sorted.lanes) };
            }
            subset.clear();
            for i in 0..sorted.left.len() {
                let k = sorted.parent[i] as usize;
                if sorted.left[i] > rounds && !sorted.lanes.is_dead(i) {
                    let dst = sorted.lanes.dst[i] + rounds;
                    let (cur, end) = (sorted.lanes.cur[i], sorted.lanes.end[i]);
                    subset.lanes.push(cur, end, dst, sorted.lanes.root[i]);
                    subset.parent.push(k as u32);
                    subset.left.push(sorted.left[i] - rounds);
                } else {
                    sorted.write_back(i, lanes);
                }
            }
        }
        self.scratch.subsets.push(sorted);
    }
}
