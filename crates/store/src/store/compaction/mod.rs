//! Compaction: of each key the latest record stays (`docs/adr/0012-compaction.md`).
//!
//! A pass reads what of a partition is new since the last one, remembers where each key was last, and
//! writes the segments of the log anew without the records that this makes old. Segments are never
//! changed: a new one is written beside those whose place it takes, and takes it when its index is
//! there.

mod keys;
mod rewrite;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use fletch_wire::Limits;
use fletch_wire::records::{Batch, BatchHeader, Record, Records};
use uuid::Uuid;

use self::keys::Keys;
use super::Store;
use super::read::{Located, fitting};
use super::retention::blocking;
use crate::batch::{self, StoredBatch};
use crate::error::StoreError;
use crate::log::checkpoint;
use crate::log::entry::PartitionKey;
use crate::log::index::SealedIndex;
use crate::log::segments::SealedSegment;
use crate::shared::Shared;
use crate::state::Aborted;
use crate::topic::Compaction;

/// The notes that say how far partitions are compacted.
const ROOM: &str = "compaction";
/// The note that is put to begin a new segment.
const ROLLED: &str = "rolled";
/// Index entries looked at at a time.
const ENTRIES_AT_ONCE: usize = 512;
/// Bytes of batches read at a time.
const READ_BYTES: usize = 4 << 20;

/// What compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Compacted {
    /// Partitions whose new records were compacted.
    pub partitions: usize,
    /// Records and markers that are gone.
    pub records_removed: u64,
    /// Segments that were written.
    pub segments_written: usize,
    /// By how many bytes the log is smaller.
    pub bytes_removed: u64,
}

impl Store {
    /// Compacts the partitions of topics with `cleanup.policy=compact` that have enough of new records,
    /// given the time now in milliseconds since the Unix epoch.
    ///
    /// Nothing is compacted that isn't decided yet (from the last stable offset on), that a table hasn't
    /// taken ([`retain_from`](Self::retain_from)), that lies in segments which a restart may have to apply
    /// again, or that is a partition's last batch. Where what is old enough to be compacted lies in such a
    /// segment, the log is made to go on in a new one.
    ///
    /// # Errors
    /// When the storage fails. Whatever was compacted before that stays so.
    pub async fn compact(&self, now_ms: i64) -> Result<Compacted, StoreError> {
        let _alone = self.inner.retention.lock().await;
        let mut done_before = HashMap::new();
        for (name, value) in self.notes(ROOM) {
            let Some(key) = partition_of(&name) else {
                continue;
            };
            match <[u8; 8]>::try_from(value.as_ref()) {
                Ok(offset) if self.shared().watermarks(key).is_some() => {
                    done_before.insert(key, i64::from_le_bytes(offset));
                }
                // Of a topic that is deleted.
                _ => self.put_note(ROOM, &name, None).await?,
            }
        }
        let shared = Arc::clone(self.shared());
        let pass = blocking(move || shared.compact(&done_before, now_ms)).await?;
        for (key, offset) in pass.done {
            let value = Bytes::copy_from_slice(&offset.to_le_bytes());
            self.put_note(ROOM, &note_of(key), Some(value)).await?;
        }
        if pass.wants_new_segment {
            self.shared().queue.roll();
            // The log goes on in a new segment when something is written.
            let now = Bytes::copy_from_slice(&now_ms.to_le_bytes());
            self.put_note(ROOM, ROLLED, Some(now)).await?;
        }
        Ok(pass.compacted)
    }
}

fn note_of(key: PartitionKey) -> String {
    format!("{}/{}", key.topic_id, key.partition)
}

fn partition_of(note: &str) -> Option<PartitionKey> {
    let (topic_id, partition) = note.split_once('/')?;
    Some(PartitionKey {
        topic_id: Uuid::parse_str(topic_id).ok()?,
        partition: partition.parse().ok()?,
    })
}

/// One pass.
#[derive(Default)]
struct Pass {
    compacted: Compacted,
    /// How far partitions are compacted now.
    done: Vec<(PartitionKey, i64)>,
    wants_new_segment: bool,
}

/// A partition that is compacted in a pass.
#[derive(Debug)]
struct Chosen {
    /// Its number among the keys.
    number: u32,
    /// Batches that reach this offset are left as they are.
    end: i64,
    delete_retention_ms: i64,
    aborted: AbortedTransactions,
}

/// A partition that may be.
struct Candidate {
    key: PartitionKey,
    topic: Compaction,
    log_start: i64,
    /// Where the last pass ended.
    dirty_from: i64,
    /// Nothing at or above this is compacted.
    cap: i64,
}

/// A partition's aborted transactions.
#[derive(Debug, Default)]
struct AbortedTransactions {
    /// Where they begin, by producer and where they end.
    firsts: BTreeMap<(i64, i64), i64>,
}

impl AbortedTransactions {
    fn new(aborted: Vec<Aborted>) -> Self {
        let firsts = aborted.into_iter();
        let firsts = firsts.map(|one| ((one.producer_id, one.last_offset), one.first_offset));
        Self {
            firsts: firsts.collect(),
        }
    }

    fn has(&self, header: &BatchHeader, base_offset: i64) -> bool {
        let id = header.producer_id;
        let mut later = self.firsts.range((id, base_offset)..=(id, i64::MAX));
        header.attributes.is_transactional()
            && later.next().is_some_and(|(_, first)| *first <= base_offset)
    }
}

/// What becomes of a batch.
#[derive(Debug)]
enum Fate {
    Stays,
    Goes,
    Becomes(Batch),
}

fn parse(stored: &StoredBatch) -> fletch_wire::Result<(Batch, Records)> {
    let batch = Batch::try_from(stored.as_sent().clone())?;
    let records = batch.records(&Limits::admitted())?.at(stored.base_offset());
    Ok((batch, records))
}

impl Shared {
    fn compact(
        &self,
        done_before: &HashMap<PartitionKey, i64>,
        now_ms: i64,
    ) -> Result<Pass, StoreError> {
        let mut pass = Pass::default();
        let mut candidates = self.compactable(done_before);
        if candidates.is_empty() {
            return Ok(pass);
        }
        let sealed = self.segments.sealed();
        let cleanable = self.out_of_replay(&sealed)?;
        pass.wants_new_segment = self.is_overdue(&sealed, cleanable.len(), &candidates, now_ms)?;
        candidates = self.dirty_enough(&cleanable, candidates, now_ms)?;
        let mut keys = Keys::new(self.config.compaction_memory_bytes_max);
        let mut chosen: HashMap<PartitionKey, Chosen> = HashMap::new();
        for (number, candidate) in (0..).zip(&candidates) {
            let one = self.gather(&cleanable, candidate, number, &mut keys, now_ms)?;
            if one.end <= candidate.dirty_from {
                // Nothing of it may be compacted yet, or there is no memory left for it in this pass.
                continue;
            }
            chosen.insert(candidate.key, one);
        }
        if chosen.is_empty() {
            return Ok(pass);
        }
        for group in self.groups(&cleanable)? {
            self.rewrite(&group, &chosen, &keys, now_ms, &mut pass.compacted)?;
        }
        pass.compacted.partitions = chosen.len();
        pass.done = chosen.iter().map(|(key, one)| (*key, one.end)).collect();
        metrics::counter!("kafka_log_compacted_records").increment(pass.compacted.records_removed);
        Ok(pass)
    }

    /// The partitions of compacted topics, as far as they may be compacted at all.
    fn compactable(&self, done_before: &HashMap<PartitionKey, i64>) -> Vec<Candidate> {
        let state = self.state();
        let topics: HashMap<Uuid, Compaction> = state
            .topics()
            .iter()
            .filter_map(|topic| Some((topic.id, topic.compaction()?)))
            .collect();
        if topics.is_empty() {
            return Vec::new();
        }
        let retained = self.retained();
        let partitions = state.partitions().filter_map(|(key, bounds)| {
            let topic = *topics.get(&key.topic_id)?;
            let cap = match self.config.tables {
                true => bounds.stable.min(*retained.get(&key)?),
                false => bounds.stable,
            };
            let done = done_before.get(&key).copied().unwrap_or(0);
            let dirty_from = done.max(bounds.log_start);
            (dirty_from < cap).then_some(Candidate {
                key,
                topic,
                log_start: bounds.log_start,
                dirty_from,
                cap,
            })
        });
        partitions.collect()
    }

    /// The segments that no restart applies again: those before the older checkpoint.
    fn out_of_replay(
        &self,
        sealed: &[Arc<SealedSegment>],
    ) -> Result<Vec<Arc<SealedSegment>>, StoreError> {
        let checkpoints = checkpoint::list(&*self.storage)?;
        let [.., older, _newest] = checkpoints.as_slice() else {
            return Ok(Vec::new());
        };
        let is_out = |segment: &&Arc<SealedSegment>| {
            segment.covers.last < *older && matches!(segment.index, SealedIndex::File(_))
        };
        Ok(sealed.iter().take_while(is_out).cloned().collect())
    }

    /// Whether something that should be compacted by now lies where it can't be.
    fn is_overdue(
        &self,
        sealed: &[Arc<SealedSegment>],
        cleanable: usize,
        candidates: &[Candidate],
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        for candidate in candidates {
            let due = now_ms.saturating_sub(candidate.topic.segment_ms);
            let (key, from) = (candidate.key, candidate.dirty_from);
            for segment in sealed.iter().skip(cleanable) {
                let row = segment.index.row(&*self.storage, key)?;
                if row.is_some_and(|row| row.count > 0 && row.max_timestamp <= due) {
                    return Ok(true);
                }
            }
            let active = self.segments.active_entries(key, from, 1);
            let first = active.and_then(|active| active.entries.first().copied());
            if first.is_some_and(|first| first.max_timestamp <= due) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Those of which enough is new, or what is new is old.
    fn dirty_enough(
        &self,
        cleanable: &[Arc<SealedSegment>],
        candidates: Vec<Candidate>,
        now_ms: i64,
    ) -> Result<Vec<Candidate>, StoreError> {
        let starts = |start: fn(&Candidate) -> i64| {
            let starts = candidates.iter().map(|one| (one.key, start(one)));
            starts.collect()
        };
        let all = self.sealed_sizes(cleanable, &starts(|one| one.log_start))?;
        let dirty = self.sealed_sizes(cleanable, &starts(|one| one.dirty_from))?;
        let mut chosen = Vec::new();
        for candidate in candidates {
            let bytes = |sizes: &HashMap<PartitionKey, u64>| {
                sizes.get(&candidate.key).copied().unwrap_or(0)
            };
            let (all, dirty) = (bytes(&all), bytes(&dirty));
            if dirty == 0 {
                continue;
            }
            let is_dirty = dirty as f64 >= candidate.topic.dirty_ratio_min * all as f64;
            let cutoff = now_ms.saturating_sub(candidate.topic.lag_ms_max);
            if is_dirty || self.first_dirty(cleanable, &candidate)? <= cutoff {
                chosen.push(candidate);
            }
        }
        Ok(chosen)
    }

    /// The time of the first batch that is new.
    fn first_dirty(
        &self,
        cleanable: &[Arc<SealedSegment>],
        candidate: &Candidate,
    ) -> Result<i64, StoreError> {
        for segment in cleanable {
            let row = segment.index.row(&*self.storage, candidate.key)?;
            let Some(row) = row.filter(|row| row.end_offset > candidate.dirty_from) else {
                continue;
            };
            let from = candidate.dirty_from;
            let first = segment
                .index
                .entries_from(&*self.storage, &row, from, 1)?
                .first()
                .copied();
            if let Some(first) = first {
                return Ok(first.max_timestamp);
            }
        }
        Ok(i64::MAX)
    }

    /// Reads what is new of a partition, as far as it may be compacted and its keys can be remembered.
    fn gather(
        &self,
        cleanable: &[Arc<SealedSegment>],
        candidate: &Candidate,
        number: u32,
        keys: &mut Keys,
        now_ms: i64,
    ) -> Result<Chosen, StoreError> {
        let Candidate { key, topic, .. } = candidate;
        let (aborted, high) = {
            let state = self.state();
            let bounds = state.bounds(*key);
            let aborted = state.aborted(*key, candidate.log_start, candidate.cap);
            (aborted, bounds.map_or(0, |bounds| bounds.next_offset))
        };
        let aborted = AbortedTransactions::new(aborted);
        let mut end = candidate.dirty_from;
        let young = match topic.lag_ms_min {
            0 => i64::MAX,
            lag_ms_min => now_ms.saturating_sub(lag_ms_min),
        };
        'all: for segment in cleanable {
            let Some(row) = segment.index.row(&*self.storage, *key)? else {
                continue;
            };
            while end < row.end_offset && row.count > 0 {
                let entries =
                    segment
                        .index
                        .entries_from(&*self.storage, &row, end, ENTRIES_AT_ONCE)?;
                let located = Located::of(segment, &row, entries);
                let some = fitting(&located.entries, READ_BYTES, true);
                if some.is_empty() {
                    break;
                }
                for (entry, stored) in some.iter().zip(self.read_batches(&located, some, *key)?) {
                    let next = entry.last_offset().saturating_add(1);
                    // The last batch stays: where a partition ends, its consumers find something.
                    let is_open = next > candidate.cap || next >= high;
                    if is_open || entry.max_timestamp > young {
                        break 'all;
                    }
                    if !remember(&stored, number, &aborted, keys) {
                        break 'all;
                    }
                    end = next;
                }
            }
            self.check_open()?;
        }
        Ok(Chosen {
            number,
            end,
            delete_retention_ms: topic.delete_retention_ms,
            aborted,
        })
    }

    /// Nobody waits for a pass that a shutdown waits for.
    fn check_open(&self) -> Result<(), StoreError> {
        match self.queue.closed() {
            Some(reason) => Err(reason),
            None => Ok(()),
        }
    }
}

/// Remembers the keys of a batch, if there is room for them.
fn remember(
    stored: &StoredBatch,
    number: u32,
    aborted: &AbortedTransactions,
    keys: &mut Keys,
) -> bool {
    let Ok((batch, records)) = parse(stored) else {
        // What can't be read makes nothing old.
        return true;
    };
    if batch.attributes.is_control() || aborted.has(&batch, stored.base_offset()) {
        return true;
    }
    if !keys.has_room(records.len()) {
        return false;
    }
    for record in records.iter().map_while(Result::ok) {
        if let Some(key) = record.key {
            keys.put(number, key, record.offset);
        }
    }
    true
}

impl Chosen {
    /// What becomes of a batch of the partition, and how many of its records go.
    fn fate(&self, stored: &StoredBatch, keys: &Keys, now_ms: i64) -> (Fate, u64) {
        if stored.last_offset() >= self.end {
            return (Fate::Stays, 0);
        }
        self.judge(stored, keys, now_ms).unwrap_or_else(|error| {
            tracing::warn!(%error, offset = stored.base_offset(), "a batch can't be compacted");
            (Fate::Stays, 0)
        })
    }

    fn judge(
        &self,
        stored: &StoredBatch,
        keys: &Keys,
        now_ms: i64,
    ) -> fletch_wire::Result<(Fate, u64)> {
        let (batch, records) = parse(stored)?;
        let all = records.len() as u64;
        if batch.attributes.is_control() {
            // Where an aborted transaction ends, its consumers must be told for as long as they are told
            // that it was; of one that is committed nobody needs to know.
            let is_old = batch.max_timestamp.saturating_add(self.delete_retention_ms) <= now_ms;
            return Ok(match batch::marker(stored.as_sent()) {
                Some(true) if is_old => (Fate::Goes, all),
                _ => (Fate::Stays, 0),
            });
        }
        if self.aborted.has(&batch, stored.base_offset()) {
            return Ok((Fate::Goes, all));
        }
        let horizon = batch
            .attributes
            .has_delete_horizon()
            .then_some(batch.base_timestamp);
        let tombstones_go = horizon.is_some_and(|horizon| horizon <= now_ms);
        let is_kept = |record: &Record<'_>| {
            let Some(key) = record.key else {
                return false;
            };
            let is_latest = keys
                .latest(self.number, key)
                .is_none_or(|latest| latest <= record.offset);
            is_latest && (record.value.is_some() || !tombstones_go)
        };
        let (mut kept, mut tombstones) = (0, false);
        for record in &records {
            let record = record?;
            if is_kept(&record) {
                kept += 1;
                tombstones |= record.value.is_none();
            }
        }
        let begins = (tombstones && horizon.is_none())
            .then(|| now_ms.saturating_add(self.delete_retention_ms));
        if kept == all && begins.is_none() {
            return Ok((Fate::Stays, 0));
        }
        let left = batch.retain(&records, begins.or(horizon), is_kept)?;
        Ok((left.map_or(Fate::Goes, Fate::Becomes), all - kept))
    }
}
