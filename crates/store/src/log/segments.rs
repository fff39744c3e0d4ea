//! The segments there are, as readers see them.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::entry::PartitionKey;
use super::index::{Covers, FrozenIndex, IndexEntry, MemoryIndex, SealedIndex, entries_from};

/// What compaction makes is numbered from here on: its segments are no place where the log goes on.
pub(crate) const COMPACTED_FROM: u64 = 1 << 62;

/// A segment that nothing is appended to any more.
#[derive(Debug)]
pub(crate) struct SealedSegment {
    pub(crate) number: u64,
    pub(crate) covers: Covers,
    pub(crate) salt: u32,
    pub(crate) bytes: u64,
    pub(crate) index: SealedIndex,
}

/// The segment that is being written.
#[derive(Debug)]
struct ActiveSegment {
    number: u64,
    salt: u32,
    index: MemoryIndex,
}

#[derive(Debug, Default)]
struct Inner {
    /// In the order of the log. Readers take a copy of the pointer and look at their leisure.
    sealed: Arc<Vec<Arc<SealedSegment>>>,
    active: Option<ActiveSegment>,
    /// The number of what compaction makes next.
    compacted_next: u64,
}

/// All segments.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    inner: RwLock<Inner>,
}

/// Batches of the active segment.
#[derive(Debug)]
pub(crate) struct ActiveEntries {
    pub(crate) number: u64,
    pub(crate) salt: u32,
    pub(crate) entries: Vec<IndexEntry>,
}

impl Segments {
    pub(crate) fn new(sealed: Vec<Arc<SealedSegment>>) -> Self {
        let numbers = sealed.iter().map(|segment| segment.number + 1);
        let compacted_next = numbers.max().unwrap_or(0).max(COMPACTED_FROM);
        Self {
            inner: RwLock::new(Inner {
                sealed: Arc::new(sealed),
                active: None,
                compacted_next,
            }),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes `number` the segment that is written.
    pub(crate) fn activate(&self, number: u64, salt: u32) {
        self.write().active = Some(ActiveSegment {
            number,
            salt,
            index: MemoryIndex::default(),
        });
    }

    /// Adds batches that the active segment now holds.
    pub(crate) fn extend(&self, batches: impl Iterator<Item = (PartitionKey, IndexEntry)>) {
        if let Some(active) = &mut self.write().active {
            for (key, entry) in batches {
                active.index.push(key, entry);
            }
        }
    }

    /// Batches in the active segment, all partitions together.
    pub(crate) fn active_batches(&self) -> usize {
        self.read()
            .active
            .as_ref()
            .map_or(0, |active| active.index.batches())
    }

    /// Ends the active segment at `bytes`, with the offsets at which all partitions end.
    pub(crate) fn seal(
        &self,
        bytes: u64,
        ends: Vec<(PartitionKey, i64)>,
    ) -> Option<Arc<SealedSegment>> {
        let mut inner = self.write();
        let active = inner.active.take()?;
        let sealed = Arc::new(SealedSegment {
            number: active.number,
            covers: Covers::one(active.number),
            salt: active.salt,
            bytes,
            index: SealedIndex::Frozen(FrozenIndex::new(active.index, ends)),
        });
        Arc::make_mut(&mut inner.sealed).push(Arc::clone(&sealed));
        Some(sealed)
    }

    /// Replaces a sealed segment by one with the same number.
    pub(crate) fn replace(&self, segment: Arc<SealedSegment>) {
        let mut inner = self.write();
        for slot in Arc::make_mut(&mut inner.sealed) {
            if slot.number == segment.number {
                *slot = Arc::clone(&segment);
            }
        }
    }

    /// Puts what compaction has made in the place of what it was made of, which is given back.
    pub(crate) fn compacted(&self, segment: &Arc<SealedSegment>) -> Vec<Arc<SealedSegment>> {
        let mut inner = self.write();
        let sealed = Arc::make_mut(&mut inner.sealed);
        let is_old = |old: &Arc<SealedSegment>| segment.covers.holds(old.covers);
        let old: Vec<_> = sealed.iter().filter(|one| is_old(one)).cloned().collect();
        sealed.retain(|one| !is_old(one));
        let place = sealed.partition_point(|one| one.covers.last < segment.covers.first);
        sealed.insert(place, Arc::clone(segment));
        old
    }

    /// A number for a segment that compaction makes: greater than any before, so that nothing that is
    /// left of one that failed is taken for a part of it.
    pub(crate) fn next_compacted(&self) -> u64 {
        let mut inner = self.write();
        let number = inner.compacted_next;
        inner.compacted_next += 1;
        number
    }

    /// Takes a sealed segment out.
    pub(crate) fn remove(&self, number: u64) {
        let mut inner = self.write();
        Arc::make_mut(&mut inner.sealed).retain(|segment| segment.number != number);
    }

    pub(crate) fn sealed(&self) -> Arc<Vec<Arc<SealedSegment>>> {
        Arc::clone(&self.read().sealed)
    }

    /// A partition's batches in the active segment that end at or after `offset`.
    pub(crate) fn active_entries(
        &self,
        key: PartitionKey,
        offset: i64,
        limit: usize,
    ) -> Option<ActiveEntries> {
        let inner = self.read();
        let active = inner.active.as_ref()?;
        Some(ActiveEntries {
            number: active.number,
            salt: active.salt,
            entries: entries_from(active.index.entries(key), offset, limit).to_vec(),
        })
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        let inner = self.read();
        inner.sealed.len() + usize::from(inner.active.is_some())
    }
}
