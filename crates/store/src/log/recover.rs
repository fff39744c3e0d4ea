//! From what the storage holds to where the log goes on.
//!
//! Load the newest checkpoint that can be read; apply every segment since. Those segments get
//! their indexes, a torn tail is cut off, and a new checkpoint is written, so that the log goes on
//! in a fresh segment and no segment is ever written by two runs.

use std::sync::Arc;

use uuid::Uuid;

use super::checkpoint;
use super::entry::Entry;
use super::index::{
    Covers, FileIndex, FrozenIndex, IndexEntry, MemoryIndex, SealedIndex, index_name, index_number,
};
use super::segment::{SegmentHeader, scan, segment_name};
use super::segments::{COMPACTED_FROM, SealedSegment};
use super::storage::{ListedSegment, Storage};
use crate::error::StoreError;
use crate::state::{Outcome, State};

/// Where the log goes on.
pub(crate) struct Recovered {
    pub(crate) state: State,
    pub(crate) sealed: Vec<Arc<SealedSegment>>,
    /// The number of the segment to write next.
    pub(crate) next: u64,
    /// Bytes of a flush that nobody was told about, cut off.
    pub(crate) torn_bytes: u64,
    /// Entries applied since the checkpoint.
    pub(crate) replayed: u64,
}

/// Recovers the log that `storage` holds, or finds that there is none yet.
pub(crate) fn recover(storage: &dyn Storage) -> Result<Recovered, StoreError> {
    let listed = storage
        .segments()
        .map_err(|error| StoreError::io("list segments", error))?;
    let made = listed.partition_point(|segment| segment.number < COMPACTED_FROM);
    let (listed, compacted) = listed.split_at(made);
    let (first, state) = newest_checkpoint(storage, listed)?;
    let mut recovery = Recovery {
        storage,
        first,
        expected: first,
        ended: None,
        empty: Vec::new(),
        recovered: Recovered {
            state,
            sealed: Vec::with_capacity(listed.len() + 1),
            next: first,
            torn_bytes: 0,
            replayed: 0,
        },
    };
    let since = listed.partition_point(|segment| segment.number < first);
    let (before, since) = listed.split_at(since);
    let compacted = recovery.compacted(compacted)?;
    for segment in before {
        recovery.keep(segment.number, &compacted)?;
    }
    recovery.place(compacted);
    for segment in since {
        recovery.replay(*segment)?;
    }
    recovery.finish()
}

/// The newest readable checkpoint and the segment to apply first; a damaged one is passed over
/// when there is an older one.
fn newest_checkpoint(
    storage: &dyn Storage,
    listed: &[ListedSegment],
) -> Result<(u64, State), StoreError> {
    let mut damaged = None;
    for next in checkpoint::list(storage)?.into_iter().rev() {
        match checkpoint::load(storage, next) {
            Ok(state) => return Ok((next, state)),
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(%error, "passing over a damaged checkpoint");
                damaged.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    // Without a checkpoint the whole log must be there.
    match (listed.first(), damaged) {
        (None, None) => Ok((1, State::default())),
        (Some(first), _) if first.number == 1 => Ok((1, State::default())),
        (_, Some(damaged)) => Err(damaged),
        (Some(first), None) => Err(StoreError::Missing {
            file: "every checkpoint".to_owned(),
            reason: format!("the log begins with {}", segment_name(first.number)),
        }),
    }
}

/// The end of the log: a torn flush, or a segment not written yet.
#[derive(Debug, Clone, Copy)]
struct Ended {
    number: u64,
    at: u64,
}

struct Recovery<'a> {
    storage: &'a dyn Storage,
    /// The segment that the checkpoint is followed by.
    first: u64,
    /// The segment to be replayed next.
    expected: u64,
    /// Where the log's end was found, if it was.
    ended: Option<Ended>,
    /// Segments without entries, which are removed.
    empty: Vec<u64>,
    recovered: Recovered,
}

impl Recovery<'_> {
    /// What compaction has made and nothing newer of it has replaced. Of what it had not finished, or
    /// had replaced and not removed yet, nothing is left behind.
    fn compacted(&self, listed: &[ListedSegment]) -> Result<Vec<Arc<SealedSegment>>, StoreError> {
        let objects = self
            .storage
            .objects()
            .map_err(|error| StoreError::io("list indexes", error))?;
        let mut kept: Vec<Arc<SealedSegment>> = Vec::new();
        // The newest first: it may hold what older ones held.
        for ListedSegment { number, .. } in listed.iter().rev() {
            // An index is written when its segment is whole.
            let index = match objects.contains(&index_name(*number)) {
                true => Some(FileIndex::open(self.storage, *number)?),
                false => None,
            };
            let is_new = |index: &FileIndex| kept.iter().all(|one| !one.covers.holds(index.covers));
            match index.filter(is_new) {
                Some(index) if index.covers.last >= self.first => {
                    // To apply its entries again all of them would have to be there.
                    return Err(StoreError::Missing {
                        file: "every checkpoint".to_owned(),
                        reason: format!("{} is compacted", segment_name(index.covers.last)),
                    });
                }
                Some(index) => kept.push(Arc::new(SealedSegment {
                    number: *number,
                    covers: index.covers,
                    salt: self.header(*number)?.salt,
                    bytes: index.segment_bytes,
                    index: SealedIndex::File(index),
                })),
                None => self.remove(*number)?,
            }
        }
        Ok(kept)
    }

    fn remove(&self, number: u64) -> Result<(), StoreError> {
        self.storage
            .trim(number)
            .map_err(|error| StoreError::io(format!("remove {}", segment_name(number)), error))
    }

    /// Puts what compaction has made among the others, in the order of the log.
    fn place(&mut self, compacted: Vec<Arc<SealedSegment>>) {
        self.recovered.sealed.extend(compacted);
        let sealed = &mut self.recovered.sealed;
        sealed.sort_unstable_by_key(|segment| segment.covers.last);
    }

    /// A segment from before the checkpoint: its index is all that is needed of it. What compaction has
    /// taken the place of goes.
    fn keep(&mut self, number: u64, compacted: &[Arc<SealedSegment>]) -> Result<(), StoreError> {
        let covers = Covers::one(number);
        if compacted.iter().any(|one| one.covers.holds(covers)) {
            return self.remove(number);
        }
        let header = self.header(number)?;
        let objects = index_name(number);
        let index = FileIndex::open(self.storage, number).map_err(|error| match error {
            StoreError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                StoreError::Missing {
                    file: objects,
                    reason: format!("{} is sealed", segment_name(number)),
                }
            }
            error => error,
        })?;
        self.recovered.sealed.push(Arc::new(SealedSegment {
            number,
            covers,
            salt: header.salt,
            bytes: index.segment_bytes,
            index: SealedIndex::File(index),
        }));
        Ok(())
    }

    /// The header of a segment, which must belong to this log.
    fn header(&self, number: u64) -> Result<SegmentHeader, StoreError> {
        let header = SegmentHeader::read(self.storage, number)?;
        let cluster_id = self.recovered.state.cluster_id();
        if cluster_id != Uuid::nil() && cluster_id != header.cluster_id {
            return Err(StoreError::corrupt(
                segment_name(number),
                0u64,
                format!(
                    "it belongs to cluster {}, this store to {cluster_id}",
                    header.cluster_id
                ),
            ));
        }
        Ok(header)
    }

    /// A segment since the checkpoint: applied, indexed, cut where it ends.
    fn replay(&mut self, listed: ListedSegment) -> Result<(), StoreError> {
        let number = listed.number;
        if number != self.expected {
            return Err(StoreError::Missing {
                file: segment_name(self.expected),
                reason: format!("{} follows it", segment_name(number)),
            });
        }
        self.expected = number + 1;
        let header = self.header(number)?;
        let mut index = MemoryIndex::default();
        let state = &mut self.recovered.state;
        let end = scan(self.storage, &header, listed.bytes, |frame| {
            let outcome = state.apply(&frame.entry, frame.time_ms);
            if let (Entry::Produced(batch), Ok(Outcome::Appended(appended))) =
                (&frame.entry, outcome)
            {
                let header = &batch.header;
                let entry =
                    IndexEntry::of(header, appended.base_offset, frame.position, frame.time_ms);
                index.push(batch.key, entry);
            }
            Ok(())
        })?;
        if let Some(ended) = self.ended.filter(|_| end.frames > 0) {
            // A segment is begun only when all of the one before it is durable.
            return Err(StoreError::corrupt(
                segment_name(ended.number),
                ended.at,
                format!(
                    "no frame can be read here, yet {} follows",
                    segment_name(number)
                ),
            ));
        }
        if end.torn_bytes > 0 || end.frames == 0 {
            self.ended.get_or_insert(Ended {
                number,
                at: end.end,
            });
        }
        self.recovered.torn_bytes += end.torn_bytes;
        self.recovered.replayed += end.frames;
        if end.frames == 0 {
            // Made ahead of need and never written, or nothing but a torn flush.
            self.empty.push(number);
            return Ok(());
        }
        self.seal(&header, end.end, index)
    }

    fn seal(
        &mut self,
        header: &SegmentHeader,
        bytes: u64,
        index: MemoryIndex,
    ) -> Result<(), StoreError> {
        let number = header.number;
        let covers = Covers::one(number);
        let ends = ends(&self.recovered.state);
        let frozen = FrozenIndex::new(index, ends);
        let name = index_name(number);
        self.storage
            .seal(number, bytes)
            .map_err(|error| StoreError::io(format!("seal {}", segment_name(number)), error))?;
        self.storage
            .put(&name, &frozen.encode(number, bytes, covers))
            .map_err(|error| StoreError::io(format!("write {name}"), error))?;
        self.recovered.sealed.push(Arc::new(SealedSegment {
            number,
            covers,
            salt: header.salt,
            bytes,
            index: SealedIndex::File(FileIndex::open(self.storage, number)?),
        }));
        self.recovered.next = number + 1;
        Ok(())
    }

    fn finish(self) -> Result<Recovered, StoreError> {
        // The last first: when this is cut short, no gap must be left.
        for number in self.empty.iter().rev() {
            self.storage.trim(*number).map_err(|error| {
                StoreError::io(format!("remove {}", segment_name(*number)), error)
            })?;
        }
        remove_orphans(self.storage, &self.recovered.sealed)?;
        let recovered = self.recovered;
        if recovered.next > self.first {
            let name = checkpoint::checkpoint_name(recovered.next);
            self.storage
                .put(&name, &checkpoint::encode(recovered.next, &recovered.state))
                .map_err(|error| StoreError::io(format!("write {name}"), error))?;
            checkpoint::prune(self.storage)?;
        }
        Ok(recovered)
    }
}

/// Removes indexes whose segments were removed before a crash.
fn remove_orphans(storage: &dyn Storage, sealed: &[Arc<SealedSegment>]) -> Result<(), StoreError> {
    let objects = storage
        .objects()
        .map_err(|error| StoreError::io("list indexes", error))?;
    for name in objects {
        let orphan = index_number(&name)
            .is_some_and(|number| sealed.iter().all(|segment| segment.number != number));
        if orphan {
            storage
                .delete(&name)
                .map_err(|error| StoreError::io(format!("remove {name}"), error))?;
        }
    }
    Ok(())
}

/// Every partition with the offset after its last record.
pub(crate) fn ends(state: &State) -> Vec<(super::entry::PartitionKey, i64)> {
    state
        .partitions()
        .map(|(key, bounds)| (key, bounds.next_offset))
        .collect()
}
