//! Arrays and maps of a strip: the first items of all its rows, then the second items, and so on.

use crate::columns::{Columns, Piece};
use crate::error::Reason;
use crate::exec::{DEAD_FULL, Strip};
use crate::kernels::read::{self, Swar};
use crate::kernels::{self, Lanes, Out};
use crate::layout::{ColId, SpaceId, Store};
use crate::options::EMPTY_ITEM_WEIGHT;
use crate::plan::{BlockId, Op};
use crate::walk::charge;

/// Rounds of items between two sortings of a list's lanes.
const ROUNDS_MAX: u32 = 64;
/// With fewer rows than this left, an array of single values is read row after row.
const ROWS_FEW: usize = 6;

/// What a list's decoding needs, kept from list to list.
#[derive(Debug, Default)]
pub(crate) struct ListScratch {
    /// Of each lane's block: items still to come, and where the next of them goes.
    left: Vec<u32>,
    start: Vec<u32>,
    /// Lanes with a block open.
    open: Vec<u32>,
    /// The open lanes, those with most items left first.
    sorted: Lanes,
    parent: Vec<u32>,
    sorted_left: Vec<u32>,
}

impl ListScratch {
    /// Sorts the lanes that have items left; beyond [`ROUNDS_MAX`] items, in any order. Returns
    /// for how many rounds that order holds.
    fn sort(&mut self, lanes: &Lanes) -> u32 {
        let count = lanes.len();
        let key = |left: u32| left.min(ROUNDS_MAX) as usize;
        let left = &self.left[..count];
        let mut next = [0usize; ROUNDS_MAX as usize + 1];
        left.iter().for_each(|&left| next[key(left)] += 1);
        let open = count - next[0];
        if open == 0 {
            self.sorted.resize(0);
            self.parent.clear();
            return 0;
        }
        let (mut placed, mut rounds) = (0, 0);
        for (left, next) in next.iter_mut().enumerate().rev() {
            let these = std::mem::replace(next, placed);
            placed += these;
            if these > 0 && rounds == 0 {
                rounds = left as u32;
            }
        }
        self.parent.resize(count, 0);
        let parent = &mut self.parent[..count];
        for (k, &left) in left.iter().enumerate() {
            // Lanes without items too, to behind all others: that is cheaper than to ask.
            let to = &mut next[key(left)];
            parent[*to] = k as u32;
            *to += 1;
        }
        self.parent.truncate(open);
        self.sorted.resize(open);
        self.sorted_left.resize(open, 0);
        // Slices of one length, so that a lane is checked against it once.
        let (cur, end) = (&lanes.cur[..count], &lanes.end[..count]);
        let (root, start) = (&lanes.root[..count], &self.start[..count]);
        let sorted = &mut self.sorted;
        let rows = sorted.cur.iter_mut().zip(&mut sorted.end);
        let rows = rows.zip(sorted.dst.iter_mut().zip(&mut sorted.root));
        let rows = rows.zip(&mut self.sorted_left).zip(&self.parent);
        for ((((to_cur, to_end), (to_dst, to_root)), to_left), &k) in rows {
            let k = k as usize;
            *to_cur = cur[k];
            *to_end = end[k];
            *to_dst = start[k];
            *to_root = root[k];
            *to_left = left[k];
        }
        rounds
    }

    /// Leaves open the lanes whose lists go on: those where no block of zero items follows.
    fn close(&mut self, lanes: &mut Lanes) {
        let mut open = 0;
        for i in 0..self.open.len() {
            let k = self.open[i] as usize;
            // SAFETY: the rows are borrowed while their lists are decoded.
            #[expect(unsafe_code)]
            let closed = unsafe { lanes.rest(k) }.first() == Some(&0);
            lanes.advance(k, usize::from(closed));
            self.open[open] = k as u32;
            open += usize::from(!closed);
        }
        self.open.truncate(open);
    }

    /// Takes what `rounds` rounds did to the sorted lanes back to where they came from.
    fn unsort(&mut self, rounds: u32, lanes: &mut Lanes) {
        let count = lanes.len();
        let (cur, end) = (&mut lanes.cur[..count], &mut lanes.end[..count]);
        let (start, left) = (&mut self.start[..count], &mut self.left[..count]);
        let rows = self.sorted.cur.iter().zip(&self.sorted.end);
        for (&k, (&c, &e)) in self.parent.iter().zip(rows) {
            let k = k as usize;
            cur[k] = c;
            end[k] = e;
            let done = rounds.min(left[k]);
            start[k] += done;
            left[k] = match Lanes::is_dead_end(e) {
                true => 0,
                false => left[k] - done,
            };
        }
    }
}

impl Strip<'_> {
    /// The items of all lanes' arrays.
    ///
    /// # Safety
    ///
    /// As [`Self::run`].
    #[expect(unsafe_code)]
    pub(crate) unsafe fn list(
        &mut self,
        list: ColId,
        child: SpaceId,
        bytes_min: usize,
        item: BlockId,
        lanes: &mut Lanes,
    ) {
        let mut s = self.scratch.lists.pop().unwrap_or_default();
        s.open.resize(lanes.len(), 0);
        s.left.resize(lanes.len(), 0);
        s.start.resize(lanes.len(), 0);
        let rows = self.columns.spaces[self.columns.raws[list].space].local;
        self.columns.raws[list].in_order =
            lanes.dense && lanes.len() == rows && self.columns.spaces[child].local == 0;
        let (mut k, mut open) = (0, 0);
        while k < lanes.len() {
            // SAFETY: as the caller's.
            let (start, count) = unsafe {
                k = self.open_short_blocks(lanes, k, (list, child), bytes_min, &mut s, &mut open);
                if k == lanes.len() {
                    break;
                }
                self.open_block(lanes, k, child, bytes_min)
            };
            let d = lanes.place(k);
            let raw = &mut self.columns.raws[list];
            raw.starts[d] = start;
            raw.counts[d] = count;
            s.start[k] = start;
            s.left[k] = count;
            s.open[open] = k as u32;
            open += usize::from(count > 0);
            k += 1;
        }
        s.open.truncate(open);
        while !s.open.is_empty() {
            self.make_room(child);
            std::mem::swap(&mut s.sorted.ahead, &mut lanes.ahead);
            // SAFETY: there is room for what the block headers announced.
            unsafe { self.items(item, &mut s, lanes) };
            std::mem::swap(&mut s.sorted.ahead, &mut lanes.ahead);
            s.close(lanes);
            let mut still = 0;
            for i in 0..s.open.len() {
                let k = s.open[i] as usize;
                // SAFETY: as the caller's.
                let (start, count) = unsafe { self.open_block(lanes, k, child, bytes_min) };
                if count > 0 {
                    let row = lanes.place(k) as u32;
                    let raw = &mut self.columns.raws[list];
                    raw.pieces.push(Piece { row, start, count });
                    s.start[k] = start;
                    s.left[k] = count;
                    s.open[still] = k as u32;
                    still += 1;
                }
            }
            s.open.truncate(still);
        }
        self.scratch.lists.push(s);
    }

    /// Reads block headers from lane `k` on: of up to 63 items or none, by far the commonest, and
    /// within all limits. Returns the first lane that has another one.
    ///
    /// # Safety
    ///
    /// As [`Self::run`].
    #[expect(unsafe_code)]
    unsafe fn open_short_blocks(
        &mut self,
        lanes: &mut Lanes,
        k: usize,
        (list, child): (ColId, SpaceId),
        bytes_min: usize,
        s: &mut ListScratch,
        open: &mut usize,
    ) -> usize {
        if self.in_default || bytes_min == 0 {
            return k;
        }
        let Columns { raws, spaces, .. } = &mut *self.columns;
        let (raw, space) = (&mut raws[list], &mut spaces[child]);
        let items_left = self.scratch.items_left.as_mut_slice();
        let room = i32::MAX as usize - space.committed;
        // Slices of one length, so that an index is checked against it once.
        let count = lanes.len();
        let (cur, end) = (&mut lanes.cur[..count], &lanes.end[..count]);
        let (dst, root) = (&lanes.dst[..count], &lanes.root[..count]);
        let (start, left) = (&mut s.start[..count], &mut s.left[..count]);
        let opened = &mut s.open[..count];
        let places = raw.starts.len();
        let (starts, counts) = (raw.starts.as_mut_slice(), &mut raw.counts[..places]);
        for k in k..count {
            // SAFETY: the rows are borrowed.
            let rest = unsafe { Lanes::between(cur[k], end[k]) };
            let Some(&byte) = rest.first() else { return k };
            let items = usize::from(byte / 2);
            let items_left = &mut items_left[root[k] as usize];
            let fits = items * bytes_min < rest.len() && items <= *items_left;
            if byte & 0x81 != 0 || !fits || space.local + items > room {
                return k;
            }
            *items_left -= items;
            let d = if lanes.dense {
                k
            } else {
                (dst[k] + lanes.shift) as usize
            };
            let first = space.local as u32;
            starts[d] = first;
            counts[d] = items as u32;
            start[k] = first;
            left[k] = items as u32;
            // Without a branch: whether a row has items is anyone's guess.
            opened[*open] = k as u32;
            *open += usize::from(items > 0);
            space.local += items;
            cur[k] = cur[k].wrapping_add(1);
        }
        count
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
        let space = &mut self.columns.spaces[child];
        let start = space.local;
        let mut free = usize::MAX / EMPTY_ITEM_WEIGHT;
        let items_left = match self.in_default {
            true => &mut free,
            false => &mut self.scratch.items_left[root],
        };
        let opened = read::block::<Swar>(rest).and_then(|(count, n)| {
            charge(count, bytes_min, rest.len() - n, items_left, self.limits).map(|c| (c, n))
        });
        let count = match opened {
            Ok((count, n)) if space.committed + start + count <= i32::MAX as usize => {
                lanes.advance(k, n);
                count
            }
            refused => {
                lanes.kill(k, &mut self.scratch.dead);
                if refused.is_ok() {
                    self.scratch.dead[root] = DEAD_FULL;
                }
                0
            }
        };
        space.local += count;
        (start as u32, count as u32)
    }

    /// Makes room for the strip's rows in every store of `space`.
    fn make_room(&mut self, space: SpaceId) {
        let rows = self.columns.spaces[space].local;
        self.columns.make_room(space, rows);
        let Columns { raws, spaces, .. } = self.columns;
        for &col in &spaces[space].cols {
            raws[col].make_strip_room(rows);
        }
    }

    /// Decodes the items of the open blocks.
    ///
    /// # Safety
    ///
    /// As [`Self::run`]; there is room for the items.
    #[expect(unsafe_code)]
    unsafe fn items(&mut self, item: BlockId, s: &mut ListScratch, lanes: &mut Lanes) {
        let plan = self.plan;
        let block = &plan.blocks[item];
        if let [Op::Leaf(leaf)] = block.as_slice() {
            let out = self.columns.out(leaf.col, leaf.valid);
            let width = leaf.col.and_then(|col| match self.columns.raws[col].store {
                Store::Fixed(width) => leaf.copied().filter(|&size| size == width),
                _ => None,
            });
            // SAFETY: as the caller's.
            unsafe {
                if let Some(width) = width {
                    copy_items(width, s, lanes, out, &mut self.scratch.dead);
                    return;
                }
                if s.open.len() < ROWS_FEW {
                    s.sort(lanes);
                    let dead = &mut self.scratch.dead;
                    kernels::leaf_runs(self.set, leaf, &mut s.sorted, &s.sorted_left, out, dead);
                    s.unsort(u32::MAX, lanes);
                    return;
                }
            }
        }
        let leaves: Option<Vec<_>> = block
            .iter()
            .map(|op| match op {
                Op::Leaf(leaf) => Some((leaf, self.columns.out(leaf.col, leaf.valid))),
                _ => None,
            })
            .collect();
        loop {
            let rounds = s.sort(lanes);
            if rounds == 0 {
                break;
            }
            let mut count = s.sorted.len();
            for round in 0..rounds {
                while s.sorted_left[count - 1] <= round {
                    count -= 1;
                }
                s.sorted.limit(count);
                s.sorted.shift = round;
                // SAFETY: the lanes' rows are the caller's, their places within the room made.
                unsafe {
                    match &leaves {
                        // What is no list leaves the stores where they are.
                        Some(leaves) => leaves.iter().for_each(|&(leaf, out)| {
                            let dead = &mut self.scratch.dead;
                            kernels::leaf(self.set, leaf, &mut s.sorted, out, dead);
                        }),
                        None => self.run(item, &mut s.sorted),
                    }
                }
            }
            s.unsort(rounds, lanes);
            if rounds < ROUNDS_MAX {
                break;
            }
        }
    }
}

/// Copies items that are kept as they are sent, `width` bytes each.
///
/// # Safety
///
/// As [`Strip::run`]; `out` is a store of `width` bytes a row with room for the items.
#[expect(unsafe_code)]
unsafe fn copy_items(
    width: usize,
    s: &mut ListScratch,
    lanes: &mut Lanes,
    out: Out,
    dead: &mut [u8],
) {
    for &k in &s.open {
        let k = k as usize;
        let (start, count) = (s.start[k] as usize, s.left[k] as usize);
        // SAFETY: the rows are borrowed; the store has room for `count` rows from `start`.
        unsafe {
            match read::fixed(lanes.rest(k), count * width) {
                Ok((bytes, n)) => {
                    let to = out.data.add(start * width);
                    to.copy_from_nonoverlapping(bytes.as_ptr(), n);
                    lanes.advance(k, n);
                }
                Err(Reason::UnexpectedEnd { .. }) | Err(_) => lanes.kill(k, dead),
            }
        }
        s.left[k] = 0;
    }
}
