//! Offsets by timestamp.
//!
//! Indexes know the newest timestamp of each batch, so that at most a few batches are looked into.
//! Timestamps are the producers' and come in any order.

use std::ops::ControlFlow;
use std::sync::Arc;

use fletch_wire::Limits;
use fletch_wire::records::Batch;
use uuid::Uuid;

use super::Store;
use crate::error::{ReadError, StoreError};
use crate::log::entry::PartitionKey;
use crate::log::index::{IndexEntry, Row};
use crate::log::segment::segment_name;
use crate::log::segments::{ActiveEntries, SealedSegment};
use crate::shared::Shared;
use crate::store::read::Located;

/// Index entries looked at at a time.
const ENTRIES_AT_ONCE: usize = 512;

impl Store {
    /// The first record with a timestamp of at least `timestamp` milliseconds since the Unix
    /// epoch: its offset and its timestamp. None when there is no such record.
    ///
    /// # Errors
    /// When the partition is unknown or the storage fails.
    pub async fn offset_for_timestamp(
        &self,
        topic_id: Uuid,
        partition: i32,
        timestamp: i64,
    ) -> Result<Option<(i64, i64)>, ReadError> {
        self.search(topic_id, partition, Wanted::AtLeast(timestamp))
            .await
    }

    /// The newest timestamp in a partition, and the first record that has it: its offset and its
    /// timestamp. None when the partition is empty.
    ///
    /// # Errors
    /// When the partition is unknown or the storage fails.
    pub async fn max_timestamp(
        &self,
        topic_id: Uuid,
        partition: i32,
    ) -> Result<Option<(i64, i64)>, ReadError> {
        self.search(topic_id, partition, Wanted::Greatest).await
    }

    async fn search(
        &self,
        topic_id: Uuid,
        partition: i32,
        wanted: Wanted,
    ) -> Result<Option<(i64, i64)>, ReadError> {
        let key = PartitionKey {
            topic_id,
            partition,
        };
        let shared = Arc::clone(self.shared());
        tokio::task::spawn_blocking(move || shared.search(key, wanted))
            .await
            .unwrap_or(Err(ReadError::Storage(StoreError::Closed)))
    }
}

#[derive(Debug, Clone, Copy)]
enum Wanted {
    AtLeast(i64),
    Greatest,
}

/// Where a batch is.
#[derive(Debug, Clone, Copy)]
struct Place {
    number: u64,
    salt: u32,
    entry: IndexEntry,
}

impl Shared {
    fn search(&self, key: PartitionKey, wanted: Wanted) -> Result<Option<(i64, i64)>, ReadError> {
        let Some(watermarks) = self.watermarks(key) else {
            return Err(ReadError::UnknownPartition {
                topic_id: key.topic_id,
                partition: key.partition,
            });
        };
        let log_start = watermarks.log_start;
        let found = match wanted {
            Wanted::AtLeast(timestamp) => self.first_record(key, log_start, timestamp)?,
            Wanted::Greatest => match self.newest_batch(key, log_start)? {
                Some(place) => {
                    let records = self.timestamps(key, &place, log_start)?;
                    let first_greatest = |best: Option<(i64, i64)>, record: (i64, i64)| match best {
                        Some(best) if best.1 >= record.1 => Some(best),
                        _ => Some(record),
                    };
                    let newest = records.into_iter().fold(None, first_greatest);
                    newest.filter(|(_, timestamp)| *timestamp >= 0)
                }
                None => None,
            },
        };
        Ok(found)
    }

    /// Looks into batches whose newest timestamp is late enough, oldest batch first.
    fn first_record(
        &self,
        key: PartitionKey,
        log_start: i64,
        timestamp: i64,
    ) -> Result<Option<(i64, i64)>, StoreError> {
        let mut found = None;
        let mut look = |place: Place| {
            if place.entry.max_timestamp >= timestamp {
                let records = self.timestamps(key, &place, log_start)?;
                found = records.into_iter().find(|record| record.1 >= timestamp);
            }
            Ok(match found {
                Some(_) => ControlFlow::Break(()),
                None => ControlFlow::Continue(()),
            })
        };
        // The active segment is looked at as it was first, so that nothing is missed when it is
        // sealed while the sealed ones are looked at.
        let active = self.segments.active_entries(key, log_start, usize::MAX);
        for segment in self.segments.sealed().iter() {
            let row = segment.index.row(&*self.storage, key)?;
            let Some(row) = row.filter(|row| row.max_timestamp >= timestamp) else {
                continue;
            };
            if self.visit(segment, &row, log_start, &mut look)?.is_break() {
                return Ok(found);
            }
        }
        for place in active.iter().flat_map(places) {
            if look(place)?.is_break() {
                break;
            }
        }
        Ok(found)
    }

    /// The first of the batches with the newest timestamp, by the indexes alone.
    fn newest_batch(&self, key: PartitionKey, log_start: i64) -> Result<Option<Place>, StoreError> {
        let mut newest: Option<Place> = None;
        let mut look = |place: Place| {
            let newer = newest.is_none_or(|newest| {
                let of = |place: Place| (place.entry.max_timestamp, -place.entry.base_offset);
                of(place) > of(newest)
            });
            if newer {
                newest = Some(place);
            }
            Ok(ControlFlow::Continue(()))
        };
        let active = self.segments.active_entries(key, log_start, usize::MAX);
        let mut best = i64::MIN;
        for place in active.iter().flat_map(places) {
            best = best.max(place.entry.max_timestamp);
            let _ = look(place)?;
        }
        // Newest first: as a rule, only one segment has to be gone through.
        for segment in self.segments.sealed().iter().rev() {
            let row = segment.index.row(&*self.storage, key)?;
            let Some(row) = row.filter(|row| row.max_timestamp >= best) else {
                continue;
            };
            best = row.max_timestamp;
            let _ = self.visit(segment, &row, log_start, &mut look)?;
        }
        Ok(newest)
    }

    /// Calls `look` with a partition's batches in a segment that end at or after `from`.
    fn visit(
        &self,
        segment: &SealedSegment,
        row: &Row,
        from: i64,
        look: &mut impl FnMut(Place) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<ControlFlow<()>, StoreError> {
        let mut next = from;
        while row.count > 0 && next < row.end_offset {
            let entries = segment
                .index
                .entries_from(&*self.storage, row, next, ENTRIES_AT_ONCE)?;
            let Some(last) = entries.last() else {
                break;
            };
            next = last.last_offset() + 1;
            for entry in entries {
                let place = Place {
                    number: segment.number,
                    salt: segment.salt,
                    entry,
                };
                if look(place)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Offsets and timestamps of a batch's records from `log_start` on.
    fn timestamps(
        &self,
        key: PartitionKey,
        place: &Place,
        log_start: i64,
    ) -> Result<Vec<(i64, i64)>, StoreError> {
        let located = Located {
            number: place.number,
            salt: place.salt,
            end_offset: place.entry.last_offset() + 1,
            entries: vec![place.entry],
        };
        let mut timestamps = Vec::new();
        for stored in self.read_batches(&located, &located.entries, key)? {
            let unreadable = |error: fletch_wire::Error| {
                StoreError::corrupt(segment_name(place.number), place.entry.position, error)
            };
            let batch = Batch::try_from(stored.as_sent().clone()).map_err(unreadable)?;
            let records = batch.records(&Limits::admitted()).map_err(unreadable)?;
            for record in &records.at(stored.base_offset()) {
                let record = record.map_err(unreadable)?;
                if record.offset >= log_start {
                    timestamps.push((record.offset, record.timestamp));
                }
            }
        }
        Ok(timestamps)
    }
}

fn places(active: &ActiveEntries) -> impl Iterator<Item = Place> {
    active.entries.iter().map(|entry| Place {
        number: active.number,
        salt: active.salt,
        entry: *entry,
    })
}
