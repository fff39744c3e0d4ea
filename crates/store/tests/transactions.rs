//! Transactions on a disk that fails: after every restart the markers of what was decided are written
//! again, and readers of committed records see each committed batch once and no other.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use common::memory::{Fault, Kind, MemoryStorage, Operation};
use common::{Produce, batch};
use fletch_store::{AppendError, NewTopic, ReadError, Store, StoreConfig};
use fletch_wire::records::{Batch, BatchBuilder, Compression};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

const PARTITIONS: i32 = 3;
const PRODUCERS: i64 = 3;
const LIVES: usize = 8;

fn config() -> StoreConfig {
    let mut config = StoreConfig::new("");
    config.segment_bytes = 8192;
    config.segment_batches_max = 20;
    // Some is read from the disk, some from memory.
    config.tail_bytes_max = 2048;
    config
}

/// A batch of a transaction, whose one record says which.
fn transactional(producer: (i64, i16, i32), text: &str) -> bytes::Bytes {
    let (id, epoch, sequence) = producer;
    let mut builder = BatchBuilder::new(Compression::None)
        .producer(id, epoch, sequence)
        .transactional();
    let value = Some(text.as_bytes());
    builder.append(1000, None, value, &[]).unwrap();
    builder.finish().unwrap().into_bytes()
}

/// What one with a producer's id is doing.
#[derive(Debug, Default)]
struct Producer {
    sequences: BTreeMap<i32, i32>,
    /// The batches of its transaction, by partition: those that were acknowledged.
    open: Vec<(i32, String)>,
    /// Sent and not answered.
    doubtful: Vec<(i32, String)>,
    /// Decided, and not yet told to all partitions.
    decided: Option<bool>,
    epoch: i16,
}

#[derive(Debug, Default)]
struct Expected {
    committed: BTreeSet<(i32, String)>,
    /// Never answered, in a transaction that was committed: there or not.
    perhaps: BTreeSet<(i32, String)>,
}

struct Simulation {
    random: StdRng,
    storage: MemoryStorage,
    producers: BTreeMap<i64, Producer>,
    expected: Expected,
    batches: usize,
}

impl Simulation {
    fn fault(&mut self) -> Option<Fault> {
        let kind = match self.random.random_range(0..4) {
            0 => return None,
            1 => Kind::CrashDuring,
            2 => Kind::CrashAfter,
            _ => Kind::Error,
        };
        Some(Fault {
            operation: Operation::Append,
            countdown: self.random.random_range(1..50),
            kind,
        })
    }

    async fn life(&mut self) {
        let fault = self.fault();
        self.storage.restart(fault);
        let store = match Store::open_on(Arc::new(self.storage.clone()), config()) {
            Ok(store) => store,
            Err(error) => {
                assert!(fault.is_some(), "{error}");
                self.storage.restart(None);
                Store::open_on(Arc::new(self.storage.clone()), config()).unwrap()
            }
        };
        let topic = match store.topic("t") {
            Some(topic) => Some(topic.id),
            None => {
                let created = store.create_topic(NewTopic::new("t", PARTITIONS)).await;
                created.ok().map(|topic| topic.id)
            }
        };
        if let Some(topic) = topic {
            self.live(&store, topic).await;
        }
        self.storage.power_off();
        drop(store.shutdown().await);
        // A producer that heard nothing is fenced: its transaction is aborted, under a new epoch.
        for producer in self.producers.values_mut() {
            if producer.decided.is_none() && !producer.doubtful.is_empty() {
                producer.decided = Some(false);
                producer.epoch += 1;
            }
        }
    }

    async fn live(&mut self, store: &Store, topic: Uuid) {
        for id in 0..PRODUCERS {
            self.end(store, topic, id).await;
        }
        if store.failure().is_some() {
            return;
        }
        self.check(store, topic).await;
        for _ in 0..self.random.random_range(5..60) {
            let id = self.random.random_range(0..PRODUCERS);
            match self.random.random_range(0..5) {
                0 => {
                    let committed = self.random.random();
                    let producer = self.producers.entry(id).or_default();
                    if producer.doubtful.is_empty() {
                        producer.decided = Some(committed);
                        self.end(store, topic, id).await;
                    }
                }
                _ => self.produce(store, topic, id).await,
            }
            if store.failure().is_some() {
                return;
            }
        }
        self.check(store, topic).await;
    }

    async fn produce(&mut self, store: &Store, topic: Uuid, id: i64) {
        let partition = self.random.random_range(0..PARTITIONS);
        let text = format!("{id}-{}", self.batches);
        self.batches += 1;
        let producer = self.producers.entry(id).or_default();
        let sequence = producer.sequences.entry(partition).or_default();
        let bytes = transactional((id, producer.epoch, *sequence), &text);
        let appended = match store.append(topic, partition, bytes).await {
            Ok(ticket) => ticket.await,
            Err(error) => Err(error),
        };
        match appended {
            Ok(_) => {
                *sequence += 1;
                producer.open.push((partition, text));
            }
            Err(AppendError::Storage(_)) => producer.doubtful.push((partition, text)),
            Err(error) => panic!("{error}"),
        }
    }

    /// Writes the markers of what is decided, everywhere; if that succeeds, it is over.
    async fn end(&mut self, store: &Store, topic: Uuid, id: i64) {
        let producer = self.producers.entry(id).or_default();
        let Some(committed) = producer.decided else {
            return;
        };
        let stable = store.watermarks(topic, 0).unwrap().stable;
        let mut watch = store.watch_stable(topic, 0).unwrap();
        assert_eq!(*watch.borrow_and_update(), stable);
        for partition in 0..PARTITIONS {
            let who = (id, producer.epoch);
            let ended = store.end_transaction(topic, partition, who, committed);
            match ended.await {
                Ok(_) => {}
                Err(AppendError::Storage(_)) => return,
                Err(error) => panic!("{error}"),
            }
            // A second marker ends nothing.
            let again = store.end_transaction(topic, partition, who, committed);
            match again.await {
                Ok(again) => assert_eq!(again, None),
                Err(AppendError::Storage(_)) => return,
                Err(error) => panic!("{error}"),
            }
        }
        let now = store.watermarks(topic, 0).unwrap().stable;
        if now != stable {
            let told = tokio::time::timeout(Duration::from_secs(10), watch.changed());
            told.await.expect("nobody was told").unwrap();
            assert_eq!(*watch.borrow(), now);
        }
        producer.decided = None;
        if producer.epoch > 0 {
            // The next batch is the first of its epoch, wherever it goes.
            producer.epoch += 1;
            producer.sequences.clear();
        }
        let open = std::mem::take(&mut producer.open);
        let doubtful = std::mem::take(&mut producer.doubtful);
        if committed {
            self.expected.committed.extend(open);
            self.expected.perhaps.extend(doubtful);
        }
    }

    async fn check(&self, store: &Store, topic: Uuid) {
        let mut seen = BTreeSet::new();
        for partition in 0..PARTITIONS {
            let marks = store.watermarks(topic, partition).unwrap();
            let mut next = 0;
            loop {
                let read = store.read_committed(topic, partition, next, 700);
                let batches = read.await.unwrap();
                let Some(last) = batches.last() else { break };
                let until = last.last_offset() + 1;
                assert!(until <= marks.stable);
                let aborted = store.aborted_transactions(topic, partition, next, until);
                let aborted = aborted.unwrap();
                for stored in &batches {
                    let batch = Batch::try_from(stored.as_sent().clone()).unwrap();
                    if batch.attributes.is_control() {
                        continue;
                    }
                    // As a consumer decides it, which only has the list.
                    let listed = aborted.iter().any(|aborted| {
                        aborted.producer_id == batch.producer_id
                            && aborted.first_offset <= stored.base_offset()
                    });
                    assert!(listed || !stored.is_aborted());
                    if stored.is_aborted() {
                        continue;
                    }
                    let records = batch.records(&Default::default()).unwrap();
                    let value = records.iter().next().unwrap().unwrap().value.unwrap();
                    let text = String::from_utf8(value.to_vec()).unwrap();
                    assert!(seen.insert((partition, text)), "twice");
                }
                next = until;
            }
            assert_eq!(next, marks.stable);
            let range = store
                .read_committed(topic, partition, marks.high + 1, 1)
                .await;
            assert!(matches!(range, Err(ReadError::OffsetOutOfRange { .. })));
        }
        // Of what isn't decided, the part below the oldest open transaction isn't seen either.
        let Expected { committed, perhaps } = &self.expected;
        let unknown: Vec<_> = seen.difference(committed).collect();
        assert!(
            unknown.iter().all(|one| perhaps.contains(*one)),
            "{unknown:?}"
        );
        if store.open_transactions().is_empty() {
            assert!(committed.is_subset(&seen), "lost");
        }
    }
}

#[tokio::test]
async fn what_is_committed_is_seen_once_and_nothing_else_whenever_the_power_goes() {
    for seed in 0..60 {
        let mut simulation = Simulation {
            random: StdRng::seed_from_u64(seed),
            storage: MemoryStorage::new(seed),
            producers: BTreeMap::new(),
            expected: Expected::default(),
            batches: 0,
        };
        for _ in 0..LIVES {
            simulation.life().await;
        }
        // At last everything is decided.
        simulation.storage.restart(None);
        let store = Store::open_on(Arc::new(simulation.storage.clone()), config()).unwrap();
        if let Some(topic) = store.topic("t") {
            for id in 0..PRODUCERS {
                let producer = simulation.producers.entry(id).or_default();
                producer.decided.get_or_insert(true);
                simulation.end(&store, topic.id, id).await;
            }
            assert!(store.open_transactions().is_empty(), "seed {seed}");
            simulation.check(&store, topic.id).await;
        }
        store.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_marker_is_refused_of_an_old_epoch_and_where_there_is_no_partition() {
    let store = Store::open_on(Arc::new(MemoryStorage::new(1)), config()).unwrap();
    let topic = store.create_topic(NewTopic::new("t", 1)).await.unwrap().id;
    let open = transactional((9, 3, 0), "x");
    store.append(topic, 0, open).await.unwrap().await.unwrap();
    let outside = batch(Produce {
        producer: Some((9, 3, 1)),
        ..Produce::default()
    });
    let refused = store.append(topic, 0, outside).await.unwrap().await;
    assert!(matches!(
        refused,
        Err(AppendError::OutsideTransaction { .. })
    ));
    let old = store.end_transaction(topic, 0, (9, 2), true).await;
    assert!(matches!(
        old,
        Err(AppendError::InvalidProducerEpoch {
            current: 3,
            epoch: 2,
            ..
        })
    ));
    let nowhere = store.end_transaction(topic, 1, (9, 3), true).await;
    assert!(matches!(nowhere, Err(AppendError::UnknownPartition { .. })));
    let producers = store.producers(topic, 0).unwrap();
    assert_eq!(producers[0].transaction_first_offset, Some(0));
    assert_eq!(producers[0].last_sequence, 0);
    // Retention leaves what isn't decided.
    let ended = store
        .end_transaction(topic, 0, (9, 4), false)
        .await
        .unwrap();
    assert_eq!(ended, Some(1));
    let aborted = store.aborted_transactions(topic, 0, 0, 2).unwrap();
    assert_eq!((aborted.len(), aborted[0].first_offset), (1, 0));
    store.shutdown().await.unwrap();
}

/// Whoever waits for something to be decided is told when what was open is trimmed away.
#[tokio::test]
async fn what_is_deleted_of_an_open_transaction_is_decided() {
    let storage = MemoryStorage::new(0);
    let store = Store::open_on(Arc::new(storage), config()).unwrap();
    let topic = store.create_topic(NewTopic::new("t", 1)).await.unwrap().id;
    let (id, epoch) = store.allocate_producer_id().await.unwrap();
    let open = transactional((id, epoch, 0), "open");
    store.append(topic, 0, open).await.unwrap().await.unwrap();
    for _ in 0..2 {
        let other = batch(Produce::default());
        store.append(topic, 0, other).await.unwrap().await.unwrap();
    }
    let mut watch = store.watch_stable(topic, 0).unwrap();
    assert_eq!(*watch.borrow_and_update(), 0);
    store.delete_records(topic, 0, 2).await.unwrap();
    let told = tokio::time::timeout(Duration::from_secs(10), watch.changed());
    told.await.expect("nobody was told").unwrap();
    assert_eq!(*watch.borrow(), 2);
    store.shutdown().await.unwrap();
}
