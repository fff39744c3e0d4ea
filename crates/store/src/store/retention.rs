//! Retention: which records are too old or too many, and which segments nothing lives in.
//!
//! Trimming is a fact in the log like any other; the clock that decides it is the caller's.
//! Partitions share segments, so a segment goes when the last partition in it has let go.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use uuid::Uuid;

use super::Store;
use crate::error::StoreError;
use crate::log::checkpoint;
use crate::log::entry::{Entry, PartitionKey};
use crate::log::index::{IndexEntry, Row, index_name};
use crate::log::segment::segment_name;
use crate::log::segments::SealedSegment;
use crate::shared::Shared;

/// Index entries looked at at a time.
const ENTRIES_AT_ONCE: usize = 512;

/// What retention did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Retained {
    /// Partitions whose log start moved.
    pub partitions_trimmed: usize,
    /// Segments removed.
    pub segments_removed: usize,
    /// Their bytes.
    pub bytes_removed: u64,
}

impl Store {
    /// Says that a table has taken everything of a partition below `offset`: from here on
    /// retention may trim below it, and never at or above it. The store does not remember this
    /// over a restart; until it is said, and if there are tables
    /// ([`StoreConfig::tables`](crate::StoreConfig::tables)), nothing of the partition is trimmed.
    pub fn retain_from(&self, topic_id: Uuid, partition: i32, offset: i64) {
        let key = PartitionKey {
            topic_id,
            partition,
        };
        self.shared().retained().insert(key, offset);
    }

    /// Trims what `retention.ms` and `retention.bytes` of each topic no longer keep, given the
    /// time now in milliseconds since the Unix epoch, and removes segments that hold nothing any
    /// more: of trimmed partitions and of deleted topics.
    ///
    /// A batch goes when its newest timestamp is older than `retention.ms`, or when the partition
    /// has `retention.bytes` without it; batches go from the oldest on, as whole batches. Segments
    /// since the older of the two checkpoints stay.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn apply_retention(&self, now_ms: i64) -> Result<Retained, StoreError> {
        let _alone = self.inner.retention.lock().await;
        let shared = Arc::clone(self.shared());
        let trims = blocking(move || shared.plan_trims(now_ms)).await?;
        let mut retained = Retained {
            partitions_trimmed: trims.len(),
            ..Retained::default()
        };
        let mut answers = Vec::with_capacity(trims.len());
        for (key, log_start) in trims {
            let entry = Entry::PartitionTrimmed { key, log_start };
            answers.push(self.enqueue(entry, 0).await?);
        }
        for answer in answers {
            match super::settle(answer.await) {
                // The topic was deleted meanwhile, which trims it for good.
                Ok(_) | Err(StoreError::UnknownTopic { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let shared = Arc::clone(self.shared());
        let (segments, bytes) = blocking(move || shared.remove_dead()).await?;
        retained.segments_removed = segments;
        retained.bytes_removed = bytes;
        Ok(retained)
    }
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(StoreError::Closed))
}

/// A partition that retention applies to.
struct Candidate {
    /// Nothing at or above this goes.
    cap: i64,
    /// Batches with a newest timestamp below this are too old.
    cutoff_ms: Option<i64>,
    bytes_max: Option<u64>,
    /// Bytes of the partition from `log_start` on.
    bytes: u64,
    /// Where it starts, and where it will.
    log_start: i64,
    planned: i64,
    /// A batch that stays was met.
    settled: bool,
}

impl Candidate {
    fn goes(&self, bytes: u64, max_timestamp: i64, end_offset: i64) -> bool {
        let too_old = self.cutoff_ms.is_some_and(|cutoff| max_timestamp < cutoff);
        let too_many = self
            .bytes_max
            .is_some_and(|bytes_max| self.bytes.saturating_sub(bytes) >= bytes_max);
        end_offset <= self.cap && (too_old || too_many)
    }

    fn let_go(&mut self, bytes: u64, end_offset: i64) {
        self.bytes = self.bytes.saturating_sub(bytes);
        self.planned = end_offset;
    }

    /// Lets go of entries until one stays.
    fn consider(&mut self, entries: &[IndexEntry]) {
        for entry in entries {
            let bytes = u64::from(entry.bytes);
            let end_offset = entry.last_offset() + 1;
            if !self.goes(bytes, entry.max_timestamp, end_offset) {
                self.settled = true;
                break;
            }
            self.let_go(bytes, end_offset);
        }
    }
}

impl Shared {
    /// New log starts, for the partitions where they move.
    fn plan_trims(&self, now_ms: i64) -> Result<Vec<(PartitionKey, i64)>, StoreError> {
        let mut candidates = self.candidates(now_ms);
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let sealed = self.segments.sealed();
        if candidates
            .values()
            .any(|candidate| candidate.bytes_max.is_some())
        {
            let starts = candidates
                .iter()
                .map(|(key, candidate)| (*key, candidate.log_start))
                .collect();
            for (key, bytes) in self.sizes(&sealed, &starts)? {
                if let Some(candidate) = candidates.get_mut(&key) {
                    candidate.bytes = bytes;
                }
            }
        }
        let mut unsettled = candidates.len();
        for segment in sealed.iter() {
            segment.index.visit_rows(&*self.storage, |row| {
                let Some(candidate) = candidates.get_mut(&row.key) else {
                    return Ok(ControlFlow::Continue(()));
                };
                if !candidate.settled {
                    self.consider(segment, row, candidate)?;
                    unsettled -= usize::from(candidate.settled);
                }
                Ok(match unsettled {
                    0 => ControlFlow::Break(()),
                    _ => ControlFlow::Continue(()),
                })
            })?;
            if unsettled == 0 {
                break;
            }
        }
        for (key, candidate) in &mut candidates {
            while !candidate.settled {
                let from = candidate.planned;
                let active = self.segments.active_entries(*key, from, ENTRIES_AT_ONCE);
                let entries = active.map_or_else(Vec::new, |active| active.entries);
                if entries.is_empty() {
                    break;
                }
                candidate.consider(&entries);
            }
        }
        Ok(candidates
            .into_iter()
            .filter(|(_, candidate)| candidate.planned > candidate.log_start)
            .map(|(key, candidate)| (key, candidate.planned))
            .collect())
    }

    fn candidates(&self, now_ms: i64) -> HashMap<PartitionKey, Candidate> {
        let state = self.state();
        let topics: HashMap<Uuid, (Option<i64>, Option<u64>)> = state
            .topics()
            .iter()
            .map(|topic| {
                let cutoff_ms = topic.retention_ms().map(|ms| now_ms.saturating_sub(ms));
                let bytes_max = topic.retention_bytes().map(i64::unsigned_abs);
                (topic.id, (cutoff_ms, bytes_max))
            })
            .filter(|(_, limits)| *limits != (None, None))
            .collect();
        let mut retained = self.retained();
        // Of topics that are deleted nothing is needed any more.
        retained.retain(|key, _| state.bounds(*key).is_some());
        state
            .partitions()
            .filter_map(|(key, bounds)| {
                let (cutoff_ms, bytes_max) = *topics.get(&key.topic_id)?;
                // What a transaction has written stays until it is decided.
                let (log_start, stable) = (bounds.log_start, bounds.stable);
                let cap = match self.config.tables {
                    true => stable.min(*retained.get(&key)?),
                    false => stable,
                };
                (log_start < cap).then_some((
                    key,
                    Candidate {
                        cap,
                        cutoff_ms,
                        bytes_max,
                        bytes: 0,
                        log_start,
                        planned: log_start,
                        settled: false,
                    },
                ))
            })
            .collect()
    }

    /// Lets go of a partition's batches in a sealed segment until one stays.
    fn consider(
        &self,
        segment: &SealedSegment,
        row: &Row,
        candidate: &mut Candidate,
    ) -> Result<(), StoreError> {
        if row.count == 0 || row.end_offset <= candidate.planned {
            return Ok(());
        }
        if candidate.goes(row.bytes, row.max_timestamp, row.end_offset) {
            candidate.let_go(row.bytes, row.end_offset);
            return Ok(());
        }
        while !candidate.settled && candidate.planned < row.end_offset {
            let entries = segment.index.entries_from(
                &*self.storage,
                row,
                candidate.planned,
                ENTRIES_AT_ONCE,
            )?;
            if entries.is_empty() {
                break;
            }
            candidate.consider(&entries);
        }
        Ok(())
    }

    /// Removes sealed segments that nothing lives in.
    fn remove_dead(&self) -> Result<(usize, u64), StoreError> {
        let checkpoints = checkpoint::list(&*self.storage)?;
        let [.., older, _newest] = checkpoints.as_slice() else {
            return Ok((0, 0));
        };
        let (mut segments, mut bytes) = (0, 0);
        for segment in self.segments.sealed().iter() {
            if segment.covers.last >= *older || self.is_alive(segment)? {
                continue;
            }
            // Readers look again when what they found is gone, so it must not be found any more.
            self.segments.remove(segment.number);
            let name = index_name(segment.number);
            self.storage
                .trim(segment.number)
                .and_then(|()| self.storage.delete(&name))
                .map_err(|error| {
                    StoreError::io(format!("remove {}", segment_name(segment.number)), error)
                })?;
            segments += 1;
            bytes += segment.bytes;
        }
        metrics::gauge!("kafka_log_segments").set(self.segments.count() as f64);
        Ok((segments, bytes))
    }

    fn is_alive(&self, segment: &SealedSegment) -> Result<bool, StoreError> {
        let mut alive = false;
        segment.index.visit_rows(&*self.storage, |row| {
            let bounds = self.state().bounds(row.key);
            alive = row.count > 0 && bounds.is_some_and(|bounds| bounds.log_start < row.end_offset);
            Ok(match alive {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })
        })?;
        Ok(alive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StoreConfig;
    use crate::topic::NewTopic;

    #[tokio::test]
    async fn what_is_needed_of_topics_is_forgotten_with_them() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(StoreConfig::new(directory.path())).unwrap();
        for name in ["stays", "goes"] {
            let topic = store.create_topic(NewTopic::new(name, 1)).await.unwrap();
            store.retain_from(topic.id, 0, 5);
        }
        store.delete_topic("goes").await.unwrap();
        store.apply_retention(0).await.unwrap();
        let kept: Vec<Uuid> = store
            .shared()
            .retained()
            .keys()
            .map(|key| key.topic_id)
            .collect();
        assert_eq!(kept, [store.topic("stays").unwrap().id]);
        // What is said late, too.
        store.retain_from(Uuid::new_v4(), 0, 5);
        store.apply_retention(0).await.unwrap();
        assert_eq!(store.shared().retained().len(), 1);
    }
}
