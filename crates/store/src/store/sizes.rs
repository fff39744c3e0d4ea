//! How many bytes of the log each partition has.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use uuid::Uuid;

use super::Store;
use super::retention::blocking;
use crate::error::StoreError;
use crate::log::entry::PartitionKey;
use crate::log::index::IndexEntry;
use crate::log::segments::SealedSegment;
use crate::shared::Shared;

impl Store {
    /// Bytes of the batches that each partition keeps, by topic id and partition.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn partition_bytes(&self) -> Result<HashMap<(Uuid, i32), u64>, StoreError> {
        let shared = Arc::clone(self.shared());
        blocking(move || {
            let starts = shared
                .state()
                .partitions()
                .map(|(key, bounds)| (key, bounds.log_start))
                .collect();
            let sizes = shared.sizes(&shared.segments.sealed(), &starts)?;
            Ok(sizes
                .into_iter()
                .map(|(key, bytes)| ((key.topic_id, key.partition), bytes))
                .collect())
        })
        .await
    }
}

impl Shared {
    /// Sums up the batches of each of these partitions from an offset on.
    pub(super) fn sizes(
        &self,
        sealed: &[Arc<SealedSegment>],
        starts: &HashMap<PartitionKey, i64>,
    ) -> Result<HashMap<PartitionKey, u64>, StoreError> {
        let mut sizes = self.sealed_sizes(sealed, starts)?;
        for (key, size) in &mut sizes {
            let start = starts.get(key).copied().unwrap_or(0);
            let active = self.segments.active_entries(*key, start, usize::MAX);
            *size += active.map_or(0, |active| sum(&active.entries));
        }
        Ok(sizes)
    }

    /// As [`sizes`](Self::sizes), without the segment that is being written.
    pub(super) fn sealed_sizes(
        &self,
        sealed: &[Arc<SealedSegment>],
        starts: &HashMap<PartitionKey, i64>,
    ) -> Result<HashMap<PartitionKey, u64>, StoreError> {
        let mut sizes: HashMap<PartitionKey, u64> = starts.keys().map(|key| (*key, 0)).collect();
        let mut ended: HashMap<PartitionKey, i64> = HashMap::new();
        for segment in sealed {
            segment.index.visit_rows(&*self.storage, |row| {
                if let (Some(size), Some(&start)) = (sizes.get_mut(&row.key), starts.get(&row.key))
                {
                    let begins = ended.insert(row.key, row.end_offset).unwrap_or(0);
                    if row.count > 0 && row.end_offset > start {
                        *size += match begins >= start {
                            true => row.bytes,
                            false => sum(&segment.index.entries_from(
                                &*self.storage,
                                row,
                                start,
                                usize::MAX,
                            )?),
                        };
                    }
                }
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(sizes)
    }
}

fn sum(entries: &[IndexEntry]) -> u64 {
    entries.iter().map(|entry| u64::from(entry.bytes)).sum()
}
