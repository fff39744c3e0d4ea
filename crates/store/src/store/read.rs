//! Reading batches, from memory when they are new and from the storage when they are not.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;
use uuid::Uuid;

use super::Store;
use crate::batch::StoredBatch;
use crate::error::{ReadError, StoreError};
use crate::log::entry::{Entry, PartitionKey};
use crate::log::frame::{FRAME_HEADER_BYTES, FrameHeader};
use crate::log::index::{IndexEntry, Row};
use crate::log::segment::segment_name;
use crate::log::segments::SealedSegment;
use crate::shared::Shared;

/// Index entries looked at for one read.
const ENTRIES_MAX: usize = 1024;
/// Batches this near to each other in a segment are read by one call.
const GAP_BYTES_MAX: u64 = 16 * 1024;
/// Segments removed or sealed under way that one read bears with.
const RETRIES_MAX: usize = 16;

/// What of a partition can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    /// The first offset that is kept.
    pub log_start: i64,
    /// The offset that the next record will get.
    pub high: i64,
    /// Below this offset no transaction is open any more: what Kafka calls the last stable offset.
    pub stable: i64,
}

impl Store {
    /// What of a partition can be read.
    pub fn watermarks(&self, topic_id: Uuid, partition: i32) -> Option<Watermarks> {
        let key = PartitionKey {
            topic_id,
            partition,
        };
        self.shared().watermarks(key)
    }

    /// The high watermark as it moves. The channel ends when the topic is deleted.
    pub fn watch(&self, topic_id: Uuid, partition: i32) -> Option<watch::Receiver<i64>> {
        let key = PartitionKey {
            topic_id,
            partition,
        };
        let shared = self.shared();
        shared.watchers.subscribe(key, || {
            shared.watermarks(key).map(|watermarks| watermarks.high)
        })
    }

    /// The last stable offset as it moves. The channel ends when the topic is deleted.
    pub fn watch_stable(&self, topic_id: Uuid, partition: i32) -> Option<watch::Receiver<i64>> {
        let key = PartitionKey {
            topic_id,
            partition,
        };
        let shared = self.shared();
        shared.stable_watchers.subscribe(key, || {
            shared.watermarks(key).map(|watermarks| watermarks.stable)
        })
    }

    /// Reads batches from the one that holds `offset` on, as many as fit `bytes_max` and at least
    /// one; none when `offset` is the high watermark. The first batch may begin below `offset`.
    ///
    /// # Errors
    /// When the partition is unknown, the offset outside the log, or the storage fails.
    pub async fn read(
        &self,
        topic_id: Uuid,
        partition: i32,
        offset: i64,
        bytes_max: usize,
    ) -> Result<Vec<StoredBatch>, ReadError> {
        let key = PartitionKey {
            topic_id,
            partition,
        };
        let shared = self.shared();
        let high = shared.check(key, offset)?;
        if offset == high {
            return Ok(Vec::new());
        }
        if let Some(batches) = shared.tail().read(key, offset, bytes_max) {
            return Ok(batches);
        }
        let shared = Arc::clone(shared);
        tokio::task::spawn_blocking(move || shared.read_stored(key, offset, bytes_max))
            .await
            .unwrap_or(Err(ReadError::Storage(StoreError::Closed)))
    }
}

impl Shared {
    pub(crate) fn watermarks(&self, key: PartitionKey) -> Option<Watermarks> {
        let bounds = self.state().bounds(key)?;
        Some(Watermarks {
            log_start: bounds.log_start,
            high: bounds.next_offset,
            stable: bounds.stable,
        })
    }

    /// The high watermark, if `offset` is not outside the log.
    pub(crate) fn check(&self, key: PartitionKey, offset: i64) -> Result<i64, ReadError> {
        let Watermarks {
            log_start, high, ..
        } = self.watermarks(key).ok_or(ReadError::UnknownPartition {
            topic_id: key.topic_id,
            partition: key.partition,
        })?;
        if offset < log_start || offset > high {
            return Err(ReadError::OffsetOutOfRange {
                offset,
                log_start,
                high,
            });
        }
        Ok(high)
    }

    /// Reads from the storage. Blocks.
    fn read_stored(
        &self,
        key: PartitionKey,
        offset: i64,
        bytes_max: usize,
    ) -> Result<Vec<StoredBatch>, ReadError> {
        let mut batches = Vec::new();
        let mut next = offset;
        let mut left = bytes_max;
        let mut retries = RETRIES_MAX;
        loop {
            // A segment may be taken away or sealed between being found and being read.
            let high = match self.check(key, next) {
                Ok(high) => high,
                Err(_) if !batches.is_empty() => break,
                Err(error) => return Err(error),
            };
            if next == high {
                break;
            }
            let found = match self.locate(key, next) {
                Ok(Some(found)) => found,
                Ok(None) if retries > 0 => {
                    retries -= 1;
                    continue;
                }
                Ok(None) => return Err(lost(key, next).into()),
                Err(error) if was_removed(&error, &mut retries) => continue,
                Err(error) => return Err(error.into()),
            };
            if found.entries.is_empty() {
                // Compaction has left nothing from here to the end of the segment.
                next = next.max(found.end_offset);
                continue;
            }
            let entries = fitting(&found.entries, left, batches.is_empty());
            if entries.is_empty() {
                break;
            }
            match self.read_batches(&found, entries, key) {
                Ok(read) => batches.extend(read),
                Err(error) if was_removed(&error, &mut retries) => continue,
                Err(error) => return Err(error.into()),
            }
            left = entries.iter().fold(left, |left, entry| {
                left.saturating_sub(entry.bytes as usize)
            });
            if let Some(last) = entries.last() {
                next = last.last_offset() + 1;
            }
            if left == 0 {
                break;
            }
        }
        Ok(batches)
    }

    /// The segment that holds `offset`, and the partition's batches in it from there on. `None`
    /// when segments changed while they were looked at.
    pub(crate) fn locate(
        &self,
        key: PartitionKey,
        offset: i64,
    ) -> Result<Option<Located>, StoreError> {
        let sealed = self.segments.sealed();
        // Partitions' ends grow from segment to segment: the first that ends beyond has it.
        let (mut low, mut high) = (0, sealed.len());
        let mut found = None;
        while low < high {
            let middle = low + (high - low) / 2;
            let Some(segment) = sealed.get(middle) else {
                break;
            };
            let row = segment.index.row(&*self.storage, key)?;
            match row {
                Some(row) if row.end_offset > offset => {
                    high = middle;
                    found = Some((Arc::clone(segment), row));
                }
                _ => low = middle + 1,
            }
        }
        if let Some((segment, row)) = found {
            let entries = segment
                .index
                .entries_from(&*self.storage, &row, offset, ENTRIES_MAX)?;
            return Ok(Some(Located::of(&segment, &row, entries)));
        }
        Ok(self
            .segments
            .active_entries(key, offset, ENTRIES_MAX)
            .filter(|active| !active.entries.is_empty())
            .map(|active| Located {
                number: active.number,
                salt: active.salt,
                end_offset: offset,
                entries: active.entries,
            }))
    }

    /// Reads batches of one segment, those that lie close together by one call.
    pub(crate) fn read_batches(
        &self,
        located: &Located,
        entries: &[IndexEntry],
        key: PartitionKey,
    ) -> Result<Vec<StoredBatch>, StoreError> {
        let mut batches = Vec::with_capacity(entries.len());
        let mut rest = entries;
        while let Some(first) = rest.first() {
            let start = u64::from(first.position);
            let mut end = first.frame_end();
            let mut run = 1;
            for entry in rest.iter().skip(1) {
                if u64::from(entry.position).saturating_sub(end) > GAP_BYTES_MAX {
                    break;
                }
                end = entry.frame_end();
                run += 1;
            }
            let (run, others) = rest.split_at(run);
            rest = others;
            let mut buffer = vec![0; usize::try_from(end - start).unwrap_or(0)];
            let read = self
                .storage
                .read(located.number, start, &mut buffer)
                .map_err(|error| {
                    let name = segment_name(located.number);
                    StoreError::io(format!("read {name} at byte {start}"), error)
                })?;
            buffer.truncate(read);
            let buffer = Bytes::from(buffer);
            for entry in run {
                let at = usize::try_from(u64::from(entry.position) - start).unwrap_or(usize::MAX);
                let batch = batch_at(&buffer, at, entry, key, located.salt).map_err(|reason| {
                    StoreError::corrupt(segment_name(located.number), entry.position, reason)
                })?;
                batches.push(StoredBatch::new(
                    entry.base_offset,
                    entry.last_offset_delta,
                    batch,
                ));
            }
        }
        Ok(batches)
    }
}

/// Whether a segment was removed while it was read, and it is worth looking again.
fn was_removed(error: &StoreError, retries: &mut usize) -> bool {
    let StoreError::Io { source, .. } = error else {
        return false;
    };
    if source.kind() != std::io::ErrorKind::NotFound || *retries == 0 {
        return false;
    }
    *retries -= 1;
    true
}

/// No segment holds an offset that the state says there is.
fn lost(key: PartitionKey, offset: i64) -> StoreError {
    StoreError::Missing {
        file: "a segment".to_owned(),
        reason: format!(
            "partition {} of topic {} has offset {offset}",
            key.partition, key.topic_id
        ),
    }
}

/// Batches found in a segment.
#[derive(Debug)]
pub(crate) struct Located {
    pub(crate) number: u64,
    pub(crate) salt: u32,
    /// Of a sealed segment: where the partition ended when that was written.
    pub(crate) end_offset: i64,
    pub(crate) entries: Vec<IndexEntry>,
}

impl Located {
    pub(crate) fn of(segment: &SealedSegment, row: &Row, entries: Vec<IndexEntry>) -> Self {
        Self {
            number: segment.number,
            salt: segment.salt,
            end_offset: row.end_offset,
            entries,
        }
    }
}

/// The first entries whose batches fit `bytes_max`; one at least if `one`.
pub(crate) fn fitting(entries: &[IndexEntry], bytes_max: usize, one: bool) -> &[IndexEntry] {
    let mut left = bytes_max;
    let mut count = 0;
    for entry in entries {
        let bytes = entry.bytes as usize;
        if bytes > left && !(one && count == 0) {
            break;
        }
        left = left.saturating_sub(bytes);
        count += 1;
    }
    entries.get(..count).unwrap_or(entries)
}

/// The batch of the frame at `at` of `buffer`, if all of it is what was written.
fn batch_at(
    buffer: &Bytes,
    at: usize,
    entry: &IndexEntry,
    key: PartitionKey,
    salt: u32,
) -> Result<Bytes, String> {
    let frame = buffer.get(at..).unwrap_or_default();
    let header = FrameHeader::decode_slice(frame, salt).ok_or("no frame begins here")?;
    let from = at + FRAME_HEADER_BYTES;
    let to = from + header.payload_bytes as usize;
    if to > buffer.len() {
        return Err("the frame is cut short".to_owned());
    }
    let payload = buffer.slice(from..to);
    if !header.payload_fits(&payload) {
        return Err("the frame's checksum does not fit".to_owned());
    }
    match Entry::read(header.kind, &payload) {
        Ok(Entry::Produced(batch))
            if batch.key == key && batch.header.bytes == entry.bytes as usize =>
        {
            Ok(batch.bytes)
        }
        Ok(_) => Err("this is not the entry that the index says it is".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
