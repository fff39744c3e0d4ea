//! Segments written anew, without what is old.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use fletch_wire::records::Batch;

use super::{Chosen, Compacted, Fate, Keys};
use crate::error::StoreError;
use crate::log::entry::{Entry, PartitionKey, ProducedBatch};
use crate::log::frame::FlushBuffer;
use crate::log::index::{
    Covers, FileIndex, FrozenIndex, IndexEntry, MemoryIndex, SealedIndex, index_name,
};
use crate::log::segment::{SEGMENT_HEADER_BYTES, SegmentHeader, segment_name};
use crate::log::segments::SealedSegment;
use crate::log::storage::Appender;
use crate::shared::Shared;
use crate::store::read::Located;

/// Written at a time.
const WRITE_BYTES: usize = 1 << 20;

/// Segments that follow each other, and together are no larger than one may be.
pub(super) type Group = Vec<Arc<SealedSegment>>;

impl Shared {
    /// The segments in groups of which each may become one.
    pub(super) fn groups(
        &self,
        cleanable: &[Arc<SealedSegment>],
    ) -> Result<Vec<Group>, StoreError> {
        let mut groups: Vec<Group> = Vec::new();
        let (mut bytes, mut batches) = (0, 0);
        for segment in cleanable {
            let mut count = 0;
            segment.index.visit_rows(&*self.storage, |row| {
                count += row.count as usize;
                Ok(ControlFlow::Continue(()))
            })?;
            let fits = bytes + segment.bytes <= u64::from(self.config.segment_bytes)
                && batches + count <= self.config.segment_batches_max;
            match groups.last_mut() {
                Some(group) if fits => {
                    group.push(Arc::clone(segment));
                    (bytes, batches) = (bytes + segment.bytes, batches + count);
                }
                _ => {
                    groups.push(vec![Arc::clone(segment)]);
                    (bytes, batches) = (segment.bytes, count);
                }
            }
        }
        Ok(groups)
    }

    /// Writes a group anew as one segment, if there is something in it to be left out, or it is of
    /// several that are small.
    pub(super) fn rewrite(
        &self,
        group: &[Arc<SealedSegment>],
        chosen: &HashMap<PartitionKey, Chosen>,
        keys: &Keys,
        now_ms: i64,
        compacted: &mut Compacted,
    ) -> Result<(), StoreError> {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            return Ok(());
        };
        let bytes_before: u64 = group.iter().map(|segment| segment.bytes).sum();
        let largest = group.iter().map(|segment| segment.bytes).max();
        // Small ones are worth being put together; a large one isn't worth being copied for a small.
        let are_small = largest.is_some_and(|largest| largest * 2 <= bytes_before);
        if !are_small && !self.has_old(group, chosen, keys, now_ms)? {
            return Ok(());
        }
        let covers = Covers {
            first: first.covers.first,
            last: last.covers.last,
        };
        let bytes_before: u64 = group.iter().map(|segment| segment.bytes).sum();
        let number = self.segments.next_compacted();
        let mut writing = Writing::begin(self, number, bytes_before)?;
        let written = writing
            .copy(group, chosen, keys, now_ms)
            .and_then(|()| writing.finish(last, covers));
        let (segment, removed) = match written {
            Ok(written) => written,
            Err(error) => {
                // If it can't be removed now, the next start does it. The index first, which makes it a
                // part of the log.
                let _ = self.storage.delete(&index_name(number));
                let _ = self.storage.trim(number);
                return Err(error);
            }
        };
        let bytes = segment.bytes;
        // From here on the new one is found, by readers and by a start.
        for old in self.segments.compacted(&Arc::new(segment)) {
            let name = index_name(old.number);
            let removed = self.storage.trim(old.number);
            removed
                .and_then(|()| self.storage.delete(&name))
                .map_err(|error| {
                    StoreError::io(format!("remove {}", segment_name(old.number)), error)
                })?;
        }
        metrics::gauge!("kafka_log_segments").set(self.segments.count() as f64);
        compacted.records_removed += removed;
        compacted.segments_written += 1;
        compacted.bytes_removed += bytes_before.saturating_sub(bytes);
        Ok(())
    }

    /// Whether a batch of the group would change.
    fn has_old(
        &self,
        group: &[Arc<SealedSegment>],
        chosen: &HashMap<PartitionKey, Chosen>,
        keys: &Keys,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        for segment in group {
            for (key, entry) in self.alive(segment)? {
                let Some(one) = chosen.get(&key).filter(|one| entry.last_offset() < one.end) else {
                    continue;
                };
                self.check_open()?;
                for stored in self.read_batches(&located(segment, entry), &[entry], key)? {
                    if !matches!(one.fate(&stored, keys, now_ms).0, Fate::Stays) {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    /// The batches of a segment that their partitions still have, in the order in which they lie there.
    fn alive(
        &self,
        segment: &SealedSegment,
    ) -> Result<Vec<(PartitionKey, IndexEntry)>, StoreError> {
        let mut alive = Vec::new();
        segment.index.visit_rows(&*self.storage, |row| {
            let bounds = self.state().bounds(row.key);
            if let Some(bounds) = bounds.filter(|_| row.count > 0) {
                let from = bounds.log_start;
                let entries = segment
                    .index
                    .entries_from(&*self.storage, row, from, usize::MAX)?;
                alive.extend(entries.into_iter().map(|entry| (row.key, entry)));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        alive.sort_unstable_by_key(|(_, entry)| entry.position);
        Ok(alive)
    }
}

fn located(segment: &SealedSegment, entry: IndexEntry) -> Located {
    Located {
        number: segment.number,
        salt: segment.salt,
        end_offset: entry.last_offset().saturating_add(1),
        entries: vec![entry],
    }
}

/// A batch with the index entry that it had.
struct Kept {
    entry: Entry,
    key: PartitionKey,
    was: IndexEntry,
}

/// A segment that is being written.
struct Writing<'a> {
    shared: &'a Shared,
    header: SegmentHeader,
    appender: Box<dyn Appender>,
    at: u64,
    gathered: Vec<Kept>,
    gathered_bytes: usize,
    buffer: FlushBuffer,
    index: MemoryIndex,
    removed: u64,
}

impl<'a> Writing<'a> {
    fn begin(shared: &'a Shared, number: u64, bytes_max: u64) -> Result<Self, StoreError> {
        let now_ms = shared.config.clock.now_ms();
        let header = SegmentHeader::new(number, shared.cluster_id, now_ms);
        let appender = shared
            .storage
            .create(number, &header.encode(), bytes_max)
            .map_err(|error| StoreError::io(format!("make {}", segment_name(number)), error))?;
        Ok(Self {
            shared,
            header,
            appender,
            at: SEGMENT_HEADER_BYTES as u64,
            gathered: Vec::new(),
            gathered_bytes: 0,
            buffer: FlushBuffer::default(),
            index: MemoryIndex::default(),
            removed: 0,
        })
    }

    fn copy(
        &mut self,
        group: &[Arc<SealedSegment>],
        chosen: &HashMap<PartitionKey, Chosen>,
        keys: &Keys,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        for segment in group {
            for (key, was) in self.shared.alive(segment)? {
                self.shared.check_open()?;
                let read = self
                    .shared
                    .read_batches(&located(segment, was), &[was], key)?;
                for stored in read {
                    let (fate, removed) = match chosen.get(&key) {
                        Some(one) => one.fate(&stored, keys, now_ms),
                        None => (Fate::Stays, 0),
                    };
                    self.removed += removed;
                    let batch = match fate {
                        Fate::Goes => continue,
                        Fate::Becomes(batch) => batch,
                        Fate::Stays => {
                            Batch::try_from(stored.as_sent().clone()).map_err(|error| {
                                let name = segment_name(segment.number);
                                StoreError::corrupt(name, was.position, error)
                            })?
                        }
                    };
                    self.keep(key, was, batch)?;
                }
            }
        }
        self.write()
    }

    fn keep(&mut self, key: PartitionKey, was: IndexEntry, batch: Batch) -> Result<(), StoreError> {
        self.gathered_bytes += batch.bytes().len();
        let entry = Entry::Produced(ProducedBatch {
            key,
            header: *batch,
            bytes: batch.into_bytes(),
        });
        self.gathered.push(Kept { entry, key, was });
        match self.gathered_bytes >= WRITE_BYTES {
            true => self.write(),
            false => Ok(()),
        }
    }

    fn write(&mut self) -> Result<(), StoreError> {
        let number = self.header.number;
        let start = u32::try_from(self.at).map_err(|_| StoreError::TooLarge {
            bytes: usize::try_from(self.at).unwrap_or(usize::MAX),
            bytes_max: u32::MAX as usize,
        })?;
        self.buffer.clear();
        for kept in &self.gathered {
            // Nobody applies these again, so that the time of the entry is nobody's.
            let time_ms = self.header.created_ms;
            self.buffer
                .push(&kept.entry, time_ms, start, self.header.salt);
        }
        let entries = self.gathered.iter().map(|kept| &kept.entry);
        let mut slices = self.buffer.slices(entries);
        self.appender
            .append(self.at, &mut slices)
            .map_err(|error| {
                let name = segment_name(number);
                StoreError::io(format!("append to {name} at byte {}", self.at), error)
            })?;
        drop(slices);
        for (kept, position) in self.gathered.iter().zip(self.buffer.positions()) {
            let Entry::Produced(batch) = &kept.entry else {
                continue;
            };
            let max_timestamp = kept.was.max_timestamp;
            let base_offset = kept.was.base_offset;
            let entry = IndexEntry::of(&batch.header, base_offset, position, max_timestamp);
            self.index.push(kept.key, entry);
        }
        self.at += self.buffer.bytes();
        self.gathered.clear();
        self.gathered_bytes = 0;
        Ok(())
    }

    /// Seals it, and writes its index: from then on it is a part of the log.
    fn finish(
        &mut self,
        last: &SealedSegment,
        covers: Covers,
    ) -> Result<(SealedSegment, u64), StoreError> {
        let (storage, number) = (&*self.shared.storage, self.header.number);
        let mut ends = Vec::new();
        last.index.visit_rows(storage, |row| {
            ends.push((row.key, row.end_offset));
            Ok(ControlFlow::Continue(()))
        })?;
        storage
            .seal(number, self.at)
            .map_err(|error| StoreError::io(format!("seal {}", segment_name(number)), error))?;
        let frozen = FrozenIndex::new(std::mem::take(&mut self.index), ends);
        let name = index_name(number);
        storage
            .put(&name, &frozen.encode(number, self.at, covers))
            .map_err(|error| StoreError::io(format!("write {name}"), error))?;
        let segment = SealedSegment {
            number,
            covers,
            salt: self.header.salt,
            bytes: self.at,
            index: SealedIndex::File(FileIndex::open(storage, number)?),
        };
        Ok((segment, self.removed))
    }
}
