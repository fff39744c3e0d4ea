//! Transactions: their markers, and what readers must know of them.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{Store, settle};
use crate::batch::{self, StoredBatch};
use crate::error::{AppendError, ReadError};
use crate::log::entry::{Entry, PartitionKey, ProducedBatch};
use crate::log::queue::Rejection;
use crate::state::{Aborted, OpenTransaction, Outcome, ProducerState};

/// A transaction whose records in a partition nobody may see who asks for committed ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Whose transaction it was.
    pub producer_id: i64,
    /// The offset of its first record. Its records go on to the producer's next marker.
    pub first_offset: i64,
}

impl Store {
    /// Ends a producer's transaction in a partition by a marker (a control batch), which takes an
    /// offset like any record. Answers with that offset when the marker is durable; with none if the
    /// producer has no transaction open there, which changes nothing.
    ///
    /// That a transaction ends in one way in all its partitions is the caller's business, and that no
    /// batch of it is appended later.
    ///
    /// # Errors
    /// When there is no such partition, when the transaction is of a newer epoch, or when the store
    /// is not writable.
    pub async fn end_transaction(
        &self,
        topic_id: Uuid,
        partition: i32,
        producer: (i64, i16),
        committed: bool,
    ) -> Result<Option<i64>, AppendError> {
        let now_ms = self.shared().config.clock.now_ms();
        let marker = batch::new_marker(producer, committed, now_ms).map_err(|error| {
            AppendError::InvalidBatch {
                reason: error.to_string(),
            }
        })?;
        let key = PartitionKey {
            topic_id,
            partition,
        };
        let entry = Entry::Produced(ProducedBatch {
            key,
            header: *marker,
            bytes: marker.into_bytes(),
        });
        let answer = self.enqueue(entry, 0).await?;
        match answer.await {
            Ok(Ok(Outcome::Appended(appended))) => Ok(Some(appended.base_offset)),
            Ok(Err(Rejection::Refused(refusal))) => Err(refusal.into()),
            other => Ok(settle(other).map(|_| None)?),
        }
    }

    /// The aborted transactions with something from offset `from` on and below `until`, by the order
    /// of their markers: what a consumer of committed records must leave out of what it was sent.
    ///
    /// # Errors
    /// When the partition is unknown, or `from` is no longer kept.
    pub fn aborted_transactions(
        &self,
        topic_id: Uuid,
        partition: i32,
        from: i64,
        until: i64,
    ) -> Result<Vec<AbortedTransaction>, ReadError> {
        let key = PartitionKey {
            topic_id,
            partition,
        };
        let aborted = self.aborted(key, from, until)?;
        let transaction = |aborted: Aborted| AbortedTransaction {
            producer_id: aborted.producer_id,
            first_offset: aborted.first_offset,
        };
        Ok(aborted.into_iter().map(transaction).collect())
    }

    fn aborted(&self, key: PartitionKey, from: i64, until: i64) -> Result<Vec<Aborted>, ReadError> {
        let state = self.shared().state();
        let bounds = state.bounds(key).ok_or(ReadError::UnknownPartition {
            topic_id: key.topic_id,
            partition: key.partition,
        })?;
        // What is trimmed is forgotten: of records read before, nobody could tell any more.
        if from < bounds.log_start {
            return Err(ReadError::OffsetOutOfRange {
                offset: from,
                log_start: bounds.log_start,
                high: bounds.next_offset,
            });
        }
        Ok(state.aborted(key, from, until))
    }

    /// As [`read`](Self::read), but only what is decided: nothing from the last stable offset on, and
    /// batches of aborted transactions say that they are ([`StoredBatch::is_aborted`]).
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn read_committed(
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
        // First: what is stable now is decided for good, whatever is appended meanwhile.
        let stable = self.shared().watermarks(key).map(|marks| marks.stable);
        if let Some(stable) = stable
            && stable <= offset
        {
            return self.shared().check(key, offset).map(|_| Vec::new());
        }
        let mut batches = self.read(topic_id, partition, offset, bytes_max).await?;
        let stable = stable.unwrap_or(offset);
        batches.truncate(batches.partition_point(|batch| batch.base_offset() < stable));
        let Some(last) = batches.last() else {
            return Ok(batches);
        };
        let aborted = self.aborted(key, offset, last.last_offset().saturating_add(1))?;
        if aborted.is_empty() {
            return Ok(batches);
        }
        // Where a producer's aborted transactions begin, by where they end.
        let aborted: BTreeMap<(i64, i64), i64> = aborted
            .into_iter()
            .map(|one| ((one.producer_id, one.last_offset), one.first_offset))
            .collect();
        for batch in &mut batches {
            if let Some(producer_id) = batch.transaction_of() {
                let base_offset = batch.base_offset();
                let next = aborted
                    .range((producer_id, base_offset)..=(producer_id, i64::MAX))
                    .next();
                batch.set_aborted(next.is_some_and(|(_, first)| *first <= base_offset));
            }
        }
        Ok(batches)
    }

    /// The producers that a partition remembers; none if there is no such partition.
    pub fn producers(&self, topic_id: Uuid, partition: i32) -> Option<Vec<ProducerState>> {
        let key = PartitionKey {
            topic_id,
            partition,
        };
        self.shared().state().producers(key)
    }

    /// Every transaction that has a record in a partition, and no marker yet.
    pub fn open_transactions(&self) -> Vec<OpenTransaction> {
        self.shared().state().open_transactions()
    }
}
