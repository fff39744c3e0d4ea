//! The state of the store: a fold over the log's entries, and nothing else.
//!
//! [`State::apply`] is a pure function of the state and the entry: no clock, no randomness, no
//! configuration, no I/O. Applying the same entries gives the same offsets, the same producers
//! and the same refusals, today and after a restart. Whatever a decision depends on is therefore
//! in the log: the broker's clock as each entry's time, the bounds on producers as an entry.

mod producers;
mod snapshot;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod transaction_tests;
mod transactions;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use self::producers::{Accepted, Judgement, Producers};
pub(crate) use self::snapshot::{VERSION, decode};
pub(crate) use self::transactions::Aborted;
use self::transactions::Transactions;
use crate::batch;
use crate::log::entry::{Entry, PartitionKey, ProducedBatch, ProducerLimits};
use crate::topic::{PARTITIONS_MAX, Topic, collision_key};

/// What an entry did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The batch has its place.
    Appended(Appended),
    /// The batch had been appended before; this is what was answered then.
    Duplicate(Appended),
    TopicCreated(Arc<Topic>),
    TopicDeleted(Arc<Topic>),
    ProducerId(i64),
    Done,
}

/// Where a batch went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The offset of the batch's first record.
    pub base_offset: i64,
    /// The batch's timestamp if its topic stamps batches on append (`LogAppendTime`), else -1;
    /// milliseconds since the Unix epoch.
    pub log_append_time_ms: i64,
    /// The first offset that the partition still holds.
    pub log_start_offset: i64,
}

/// Why an entry did nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    UnknownPartition(PartitionKey),
    OutOfOrderSequence {
        key: PartitionKey,
        producer_id: i64,
        expected: i32,
        sequence: i32,
    },
    InvalidProducerEpoch {
        producer_id: i64,
        current: i16,
        epoch: i16,
    },
    /// The producer has a transaction open in the partition, and the batch isn't of it.
    OutsideTransaction {
        key: PartitionKey,
        producer_id: i64,
    },
    /// A control batch that says neither commit nor abort.
    NoMarker,
    TopicExists(String),
    TopicNameCollides {
        name: String,
        existing: String,
    },
    UnknownTopic(Uuid),
    InvalidPartitions(i32),
}

/// One partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Partition {
    log_start: i64,
    next_offset: i64,
    /// None, but for partitions with open or aborted transactions.
    transactions: Option<Box<Transactions>>,
}

impl Partition {
    fn new(log_start: i64, next_offset: i64, transactions: Transactions) -> Self {
        let transactions = (!transactions.is_empty()).then(|| Box::new(transactions));
        Self {
            log_start,
            next_offset,
            transactions,
        }
    }

    /// Below it, everything is decided.
    fn stable(&self) -> i64 {
        let open = self.transactions.as_ref().and_then(|all| all.first_open());
        open.map_or(self.next_offset, |first| first.max(self.log_start))
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            log_start: self.log_start,
            next_offset: self.next_offset,
            stable: self.stable(),
        }
    }

    fn trim(&mut self, log_start: i64) {
        self.log_start = self.log_start.max(log_start.min(self.next_offset));
        if let Some(transactions) = &mut self.transactions {
            transactions.trimmed(self.log_start);
        }
        self.tidy();
    }

    fn tidy(&mut self) {
        self.transactions.take_if(|all| all.is_empty());
    }
}

/// What of a partition can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) log_start: i64,
    pub(crate) next_offset: i64,
    pub(crate) stable: i64,
}

/// A producer of a partition, as far as it is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerState {
    /// The producer's id.
    pub producer_id: i64,
    /// The epoch of its newest batch.
    pub epoch: i16,
    /// The sequence number of its newest record.
    pub last_sequence: i32,
    /// When its newest batch was appended, in milliseconds since the Unix epoch.
    pub seen_ms: i64,
    /// Where its open transaction begins, if it has one.
    pub transaction_first_offset: Option<i64>,
}

/// A transaction that has no marker in a partition yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenTransaction {
    /// The topic's id.
    pub topic_id: Uuid,
    /// The partition's number.
    pub partition: i32,
    /// Whose transaction it is.
    pub producer_id: i64,
    /// The epoch of its newest batch.
    pub epoch: i16,
    /// The offset of its first record.
    pub first_offset: i64,
}

#[derive(Debug)]
struct TopicState {
    topic: Arc<Topic>,
    partitions: Vec<Partition>,
}

/// Everything that the log says, up to some entry.
#[derive(Debug, Default)]
pub(crate) struct State {
    cluster_id: Uuid,
    /// The greatest time of any entry: time in the log does not go back when the clock does.
    clock_ms: i64,
    /// Entries applied.
    applied: u64,
    next_producer_id: i64,
    topics: HashMap<Uuid, TopicState>,
    names: BTreeMap<String, Uuid>,
    /// How often topics came, grew or went since this was made; no part of what the log says.
    topics_version: u64,
    /// Names with `.` and `_` made equal.
    collisions: HashMap<String, Uuid>,
    producers: Producers,
    notes: BTreeMap<String, BTreeMap<String, Bytes>>,
}

impl State {
    /// Applies the next entry.
    pub(crate) fn apply(&mut self, entry: &Entry, time_ms: i64) -> Result<Outcome, Refusal> {
        self.applied += 1;
        self.clock_ms = self.clock_ms.max(time_ms);
        match entry {
            Entry::Produced(batch) => self.append(batch),
            Entry::ClusterFormed { cluster_id } => {
                // Every segment names the cluster it belongs to: it cannot change.
                if self.cluster_id.is_nil() {
                    self.cluster_id = *cluster_id;
                }
                Ok(Outcome::Done)
            }
            Entry::ProducerLimitsSet(limits) => {
                self.producers.set_limits(*limits, self.clock_ms);
                Ok(Outcome::Done)
            }
            Entry::TopicCreated {
                id,
                name,
                partitions,
                configs,
            } => self.create_topic(*id, name, *partitions, configs),
            Entry::TopicDeleted { id } => self.delete_topic(*id),
            Entry::TopicConfigured { id, configs } => {
                let state = self.topics.get_mut(id).ok_or(Refusal::UnknownTopic(*id))?;
                let mut topic = Topic::clone(&state.topic);
                topic.configs = configs.clone();
                state.topic = Arc::new(topic);
                Ok(Outcome::Done)
            }
            Entry::PartitionsAdded { id, partitions } => self.add_partitions(*id, *partitions),
            Entry::ProducerIdAllocated => {
                let id = self.next_producer_id;
                self.next_producer_id = id.saturating_add(1);
                Ok(Outcome::ProducerId(id))
            }
            Entry::NotePut { room, key, value } => {
                self.put_note(room, key, value.as_deref());
                Ok(Outcome::Done)
            }
            Entry::PartitionTrimmed { key, log_start } => {
                let partition = self
                    .partition_mut(*key)
                    .ok_or(Refusal::UnknownPartition(*key))?;
                partition.trim(*log_start);
                Ok(Outcome::Done)
            }
        }
    }

    fn append(&mut self, produced: &ProducedBatch) -> Result<Outcome, Refusal> {
        let ProducedBatch { key, header, .. } = produced;
        if header.attributes.is_control() {
            return self.end_transaction(produced);
        }
        let partition = self
            .topics
            .get_mut(&key.topic_id)
            .and_then(|topic| {
                topic
                    .partitions
                    .get_mut(usize::try_from(key.partition).ok()?)
            })
            .ok_or(Refusal::UnknownPartition(*key))?;
        self.producers.expire(self.clock_ms);
        let base_offset = partition.next_offset;
        if header.producer_id >= 0 {
            let judgement = self.producers.judge(*key, header)?;
            if let Judgement::Duplicate(first) = judgement {
                return Ok(Outcome::Duplicate(Appended {
                    base_offset: first.base_offset,
                    log_append_time_ms: first.log_append_time_ms,
                    log_start_offset: partition.log_start,
                }));
            }
        }
        let log_append_time_ms = batch::log_append_time_ms(header);
        let (producer_id, epoch) = (header.producer_id, header.producer_epoch);
        if header.attributes.is_transactional() {
            let transactions = partition.transactions.get_or_insert_default();
            transactions.appended(producer_id, epoch, base_offset);
        } else if let Some(transactions) = &partition.transactions
            && transactions.open_of(producer_id).is_some()
        {
            return Err(Refusal::OutsideTransaction {
                key: *key,
                producer_id,
            });
        }
        if header.producer_id >= 0 {
            let accepted = Accepted {
                base_sequence: header.base_sequence,
                last_sequence: batch::last_sequence(header),
                base_offset,
                log_append_time_ms,
            };
            self.producers.accept(*key, header, accepted, self.clock_ms);
        }
        partition.next_offset = base_offset
            .saturating_add(i64::from(header.last_offset_delta))
            .saturating_add(1);
        Ok(Outcome::Appended(Appended {
            base_offset,
            log_append_time_ms,
            log_start_offset: partition.log_start,
        }))
    }

    /// A marker. Where its producer has no open transaction there is nothing to end, and it takes no
    /// offset: so one that is written again, because nobody knows whether it was, ends nothing twice.
    fn end_transaction(&mut self, produced: &ProducedBatch) -> Result<Outcome, Refusal> {
        let ProducedBatch { key, header, bytes } = produced;
        let committed = batch::marker(bytes).ok_or(Refusal::NoMarker)?;
        let partition = self
            .partition_mut(*key)
            .ok_or(Refusal::UnknownPartition(*key))?;
        let producer_id = header.producer_id;
        let Some(transactions) = &mut partition.transactions else {
            return Ok(Outcome::Done);
        };
        let Some(open) = transactions.open_of(producer_id) else {
            return Ok(Outcome::Done);
        };
        if header.producer_epoch < open.epoch {
            return Err(Refusal::InvalidProducerEpoch {
                producer_id,
                current: open.epoch,
                epoch: header.producer_epoch,
            });
        }
        let base_offset = partition.next_offset;
        transactions.ended(producer_id, committed, base_offset);
        partition.next_offset = base_offset
            .saturating_add(i64::from(header.last_offset_delta))
            .saturating_add(1);
        partition.tidy();
        Ok(Outcome::Appended(Appended {
            base_offset,
            log_append_time_ms: -1,
            log_start_offset: partition.log_start,
        }))
    }

    fn create_topic(
        &mut self,
        id: Uuid,
        name: &str,
        partitions: i32,
        configs: &BTreeMap<String, String>,
    ) -> Result<Outcome, Refusal> {
        // What comes from the log is believed no more than what comes from a client.
        if !(1..=PARTITIONS_MAX).contains(&partitions) {
            return Err(Refusal::InvalidPartitions(partitions));
        }
        if self.names.contains_key(name) || self.topics.contains_key(&id) {
            return Err(Refusal::TopicExists(name.to_owned()));
        }
        let collision = collision_key(name);
        if let Some(existing) = self
            .collisions
            .get(&collision)
            .and_then(|id| self.topics.get(id))
        {
            return Err(Refusal::TopicNameCollides {
                name: name.to_owned(),
                existing: existing.topic.name.clone(),
            });
        }
        let topic = Arc::new(Topic {
            id,
            name: name.to_owned(),
            partitions,
            configs: configs.clone(),
            created_ms: self.clock_ms,
        });
        self.insert_topic(TopicState {
            topic: Arc::clone(&topic),
            partitions: vec![Partition::default(); usize::try_from(partitions).unwrap_or(0)],
        });
        Ok(Outcome::TopicCreated(topic))
    }

    fn add_partitions(&mut self, id: Uuid, partitions: i32) -> Result<Outcome, Refusal> {
        let state = self.topics.get_mut(&id).ok_or(Refusal::UnknownTopic(id))?;
        if partitions <= state.topic.partitions || partitions > PARTITIONS_MAX {
            return Err(Refusal::InvalidPartitions(partitions));
        }
        let mut topic = Topic::clone(&state.topic);
        topic.partitions = partitions;
        state.topic = Arc::new(topic);
        let count = usize::try_from(partitions).unwrap_or(0);
        state.partitions.resize_with(count, Partition::default);
        self.topics_version += 1;
        Ok(Outcome::Done)
    }

    fn insert_topic(&mut self, state: TopicState) {
        self.topics_version += 1;
        let (id, name) = (state.topic.id, state.topic.name.clone());
        self.collisions.insert(collision_key(&name), id);
        self.names.insert(name, id);
        self.topics.insert(id, state);
    }

    fn delete_topic(&mut self, id: Uuid) -> Result<Outcome, Refusal> {
        let state = self.topics.remove(&id).ok_or(Refusal::UnknownTopic(id))?;
        self.topics_version += 1;
        self.names.remove(&state.topic.name);
        self.collisions.remove(&collision_key(&state.topic.name));
        for partition in 0..state.topic.partitions {
            self.producers.forget_partition(PartitionKey {
                topic_id: id,
                partition,
            });
        }
        Ok(Outcome::TopicDeleted(state.topic))
    }

    fn put_note(&mut self, room: &str, key: &str, value: Option<&[u8]>) {
        match value {
            Some(value) => {
                self.notes
                    .entry(room.to_owned())
                    .or_default()
                    .insert(key.to_owned(), Bytes::copy_from_slice(value));
            }
            None => {
                if let Some(notes) = self.notes.get_mut(room) {
                    notes.remove(key);
                    if notes.is_empty() {
                        self.notes.remove(room);
                    }
                }
            }
        }
    }

    fn partition_mut(&mut self, key: PartitionKey) -> Option<&mut Partition> {
        let topic = self.topics.get_mut(&key.topic_id)?;
        topic
            .partitions
            .get_mut(usize::try_from(key.partition).ok()?)
    }

    fn partition(&self, key: PartitionKey) -> Option<&Partition> {
        let topic = self.topics.get(&key.topic_id)?;
        topic.partitions.get(usize::try_from(key.partition).ok()?)
    }

    /// What of a partition can be read.
    pub(crate) fn bounds(&self, key: PartitionKey) -> Option<Bounds> {
        self.partition(key).map(Partition::bounds)
    }

    /// The aborted transactions with something from `from` on and below `until`.
    pub(crate) fn aborted(&self, key: PartitionKey, from: i64, until: i64) -> Vec<Aborted> {
        let partition = self.partition(key);
        let transactions = partition.and_then(|partition| partition.transactions.as_ref());
        transactions.map_or_else(Vec::new, |transactions| transactions.aborted(from, until))
    }

    /// Every transaction that has no marker, in no order.
    pub(crate) fn open_transactions(&self) -> Vec<OpenTransaction> {
        let mut all = Vec::new();
        for (topic_id, topic) in &self.topics {
            for (partition, state) in (0..).zip(&topic.partitions) {
                let open = state.transactions.iter().flat_map(|all| all.open());
                all.extend(open.map(|(producer_id, open)| OpenTransaction {
                    topic_id: *topic_id,
                    partition,
                    producer_id,
                    epoch: open.epoch,
                    first_offset: open.first_offset,
                }));
            }
        }
        all
    }

    /// The producers of a partition that are remembered, in no order.
    pub(crate) fn producers(&self, key: PartitionKey) -> Option<Vec<ProducerState>> {
        let partition = self.partition(key)?;
        let transactions = partition.transactions.as_ref();
        let producers = self.producers.of(key);
        let state = producers.map(|(producer_id, producer)| ProducerState {
            producer_id,
            epoch: producer.epoch,
            last_sequence: producer.window.back().map_or(-1, |last| last.last_sequence),
            seen_ms: producer.seen_ms,
            transaction_first_offset: transactions
                .and_then(|all| all.open_of(producer_id))
                .map(|open| open.first_offset),
        });
        Some(state.collect())
    }

    pub(crate) fn cluster_id(&self) -> Uuid {
        self.cluster_id
    }

    pub(crate) fn producer_limits(&self) -> ProducerLimits {
        self.producers.limits()
    }

    pub(crate) fn topic_named(&self, name: &str) -> Option<Arc<Topic>> {
        self.topic(*self.names.get(name)?)
    }

    pub(crate) fn topic(&self, id: Uuid) -> Option<Arc<Topic>> {
        self.topics.get(&id).map(|state| Arc::clone(&state.topic))
    }

    pub(crate) fn topics_version(&self) -> u64 {
        self.topics_version
    }

    /// All topics, by name.
    pub(crate) fn topics(&self) -> Vec<Arc<Topic>> {
        let topics = self.names.values().filter_map(|id| self.topics.get(id));
        topics.map(|state| Arc::clone(&state.topic)).collect()
    }

    /// Every partition with its bounds, in no order.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = (PartitionKey, Bounds)> {
        self.topics.iter().flat_map(|(id, state)| {
            (0..).zip(&state.partitions).map(|(partition, state)| {
                let key = PartitionKey {
                    topic_id: *id,
                    partition,
                };
                (key, state.bounds())
            })
        })
    }

    /// A room's notes, by key.
    pub(crate) fn notes(&self, room: &str) -> Vec<(String, Bytes)> {
        let notes = self.notes.get(room).into_iter().flatten();
        notes
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }
}
