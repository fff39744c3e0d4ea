//! Idempotent producers: what each has written last, by partition.
//!
//! The rules are Kafka's (KIP-98, KIP-360, and the broker's behaviour since 2.5):
//!
//! * The last five batches are remembered. A batch with the same epoch and the same sequence
//!   range as one of them is a duplicate, and is answered as the first was.
//! * Otherwise a batch must follow the last one. After 2^31 - 1 comes 0.
//! * A newer epoch starts at sequence 0; an older one is refused.
//! * Of a producer that is not remembered any sequence is taken: it may have been forgotten.
//! * A batch repeated after more than five others is out of order, not a duplicate: what it held
//!   can no longer be told from a producer that lost its count.
//!
//! Memory is bounded by time and number ([`ProducerLimits`]), both counted in log entries and
//! their times, so that a replay forgets exactly the same producers at the same entries.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::Refusal;
use fletch_wire::records::BatchHeader;

use crate::batch::{add_sequence, last_sequence};
use crate::log::entry::{PartitionKey, ProducerLimits};

/// Batches remembered of each producer and partition.
pub(super) const WINDOW: usize = 5;

/// A batch that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) base_sequence: i32,
    pub(super) last_sequence: i32,
    pub(super) base_offset: i64,
    pub(super) log_append_time_ms: i64,
}

/// What is known of one producer in one partition.
#[derive(Debug)]
pub(super) struct Producer {
    pub(super) epoch: i16,
    /// The log's clock at its last batch.
    pub(super) seen_ms: i64,
    /// Its place in the order of being forgotten.
    pub(super) stamp: u64,
    /// Oldest first; never empty.
    pub(super) window: VecDeque<Accepted>,
}

/// What to do with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    Accept,
    Duplicate(Accepted),
}

/// All producers of all partitions.
#[derive(Debug)]
pub(crate) struct Producers {
    limits: ProducerLimits,
    partitions: HashMap<PartitionKey, HashMap<i64, Producer>>,
    /// Who has been silent for longest comes first.
    order: BTreeMap<u64, (PartitionKey, i64)>,
    next_stamp: u64,
}

impl Default for Producers {
    fn default() -> Self {
        Self {
            limits: ProducerLimits {
                expiration_ms: i64::MAX,
                producers_max: u32::MAX,
            },
            partitions: HashMap::new(),
            order: BTreeMap::new(),
            next_stamp: 0,
        }
    }
}

impl Producers {
    pub(super) fn limits(&self) -> ProducerLimits {
        self.limits
    }

    pub(super) fn set_limits(&mut self, limits: ProducerLimits, clock_ms: i64) {
        self.limits = limits;
        self.expire(clock_ms);
        while self.order.len() > limits.producers_max as usize && self.forget_first() {}
    }

    /// Forgets those who have been silent for too long. The order of their last batches is the
    /// order of their times too, because the log's clock does not go back.
    pub(super) fn expire(&mut self, clock_ms: i64) {
        while let Some((key, producer_id)) = self.order.values().next().copied() {
            let seen_ms = self
                .get(key, producer_id)
                .map_or(i64::MIN, |producer| producer.seen_ms);
            if clock_ms.saturating_sub(seen_ms) < self.limits.expiration_ms {
                break;
            }
            self.forget_first();
        }
    }

    /// The producers of a partition, in no order.
    pub(super) fn of(&self, key: PartitionKey) -> impl Iterator<Item = (i64, &Producer)> {
        let producers = self.partitions.get(&key).into_iter().flatten();
        producers.map(|(producer_id, producer)| (*producer_id, producer))
    }

    fn get(&self, key: PartitionKey, producer_id: i64) -> Option<&Producer> {
        self.partitions.get(&key)?.get(&producer_id)
    }

    /// Judges the next batch of a producer.
    pub(super) fn judge(
        &self,
        key: PartitionKey,
        header: &BatchHeader,
    ) -> Result<Judgement, Refusal> {
        let Some(producer) = self.get(key, header.producer_id) else {
            return Ok(Judgement::Accept);
        };
        if header.producer_epoch < producer.epoch {
            return Err(Refusal::InvalidProducerEpoch {
                producer_id: header.producer_id,
                current: producer.epoch,
                epoch: header.producer_epoch,
            });
        }
        let mut expected = 0;
        if header.producer_epoch == producer.epoch {
            let last = last_sequence(header);
            let same = |known: &&Accepted| {
                known.base_sequence == header.base_sequence && known.last_sequence == last
            };
            if let Some(known) = producer.window.iter().find(same) {
                return Ok(Judgement::Duplicate(*known));
            }
            if let Some(last) = producer.window.back() {
                expected = add_sequence(last.last_sequence, 1);
            }
        }
        if header.base_sequence != expected {
            return Err(Refusal::OutOfOrderSequence {
                key,
                producer_id: header.producer_id,
                expected,
                sequence: header.base_sequence,
            });
        }
        Ok(Judgement::Accept)
    }

    /// Remembers a batch that was taken.
    pub(super) fn accept(
        &mut self,
        key: PartitionKey,
        header: &BatchHeader,
        accepted: Accepted,
        clock_ms: i64,
    ) {
        let stamp = self.next_stamp;
        self.next_stamp += 1;
        let producer = self
            .partitions
            .entry(key)
            .or_default()
            .entry(header.producer_id)
            .or_insert_with(|| Producer {
                epoch: header.producer_epoch,
                seen_ms: clock_ms,
                stamp,
                window: VecDeque::with_capacity(1),
            });
        self.order.remove(&producer.stamp);
        self.order.insert(stamp, (key, header.producer_id));
        if producer.epoch != header.producer_epoch {
            producer.epoch = header.producer_epoch;
            producer.window.clear();
        }
        producer.stamp = stamp;
        producer.seen_ms = clock_ms;
        if producer.window.len() == WINDOW {
            producer.window.pop_front();
        }
        producer.window.push_back(accepted);
        if self.order.len() > self.limits.producers_max as usize {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) -> bool {
        let Some((_, (key, producer_id))) = self.order.pop_first() else {
            return false;
        };
        if let Some(producers) = self.partitions.get_mut(&key) {
            producers.remove(&producer_id);
            if producers.is_empty() {
                self.partitions.remove(&key);
            }
        }
        true
    }

    pub(super) fn forget_partition(&mut self, key: PartitionKey) {
        for producer in self.partitions.remove(&key).into_iter().flatten() {
            self.order.remove(&producer.1.stamp);
        }
    }

    /// Every producer in the order of being forgotten.
    pub(super) fn iter(&self) -> impl Iterator<Item = (PartitionKey, i64, &Producer)> {
        self.order.values().filter_map(|(key, producer_id)| {
            let producer = self.get(*key, *producer_id)?;
            Some((*key, *producer_id, producer))
        })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Puts back a producer that [`iter`](Self::iter) gave, in that order.
    pub(super) fn restore(&mut self, key: PartitionKey, producer_id: i64, mut producer: Producer) {
        producer.stamp = self.next_stamp;
        self.next_stamp += 1;
        self.order.insert(producer.stamp, (key, producer_id));
        self.partitions
            .entry(key)
            .or_default()
            .insert(producer_id, producer);
    }
}
