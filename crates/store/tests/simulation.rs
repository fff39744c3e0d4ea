//! Lives and deaths of a store: seeded workloads on a disk that fails at a chosen operation, and
//! after each restart, everything that was ever acknowledged is there once, at its offset.
//!
//! A seed fixes the workload and the fault. How entries gather into flushes still depends on the
//! threads, so a seed that fails is likely, not certain, to fail again.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use common::memory::{Fault, Kind, MemoryStorage, Operation};
use common::{Produce, batch};
use fletch_store::{AppendError, NewTopic, ReadError, Store, StoreConfig, Topic};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const PARTITIONS: i32 = 3;
const PRODUCERS: usize = 3;
const LIVES: usize = 6;

/// What must be true of one partition.
#[derive(Debug, Default)]
struct Expected {
    /// Acknowledged batches, by base offset: the bytes from the CRC on.
    acknowledged: BTreeMap<i64, Bytes>,
    /// Sent, never answered, and not to be sent again: there once, or not at all.
    doubtful: Vec<Bytes>,
    /// The greatest log start a finished trim can have made.
    log_start_max: i64,
}

/// An idempotent producer. It sends what was not answered again, as it was.
#[derive(Debug)]
struct Producer {
    id: i64,
    partition: i32,
    sequence: i32,
    /// Sent and not answered, oldest first.
    flying: Vec<Bytes>,
}

struct Simulation {
    random: StdRng,
    storage: MemoryStorage,
    topic: Option<Arc<Topic>>,
    partitions: Vec<Expected>,
    producers: Vec<Producer>,
    notes: BTreeMap<String, Option<Bytes>>,
    /// Keys whose last put was not answered: the old value or the new.
    doubtful_notes: BTreeMap<String, Vec<Option<Bytes>>>,
    clock_ms: i64,
}

fn content(batch: &Bytes) -> Bytes {
    batch.slice(17..)
}

impl Simulation {
    fn new(seed: u64) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            storage: MemoryStorage::new(seed),
            topic: None,
            partitions: (0..PARTITIONS).map(|_| Expected::default()).collect(),
            producers: Vec::new(),
            notes: BTreeMap::new(),
            doubtful_notes: BTreeMap::new(),
            clock_ms: 1_000_000,
        }
    }

    fn fault(&mut self) -> Option<Fault> {
        let operation = match self.random.random_range(0..12) {
            0 => return None,
            1..=6 => Operation::Append,
            7 => Operation::Create,
            8 => Operation::Seal,
            9 => Operation::Trim,
            10 => Operation::Delete,
            _ => Operation::Put,
        };
        let countdown = match operation {
            Operation::Append => self.random.random_range(0..40),
            _ => self.random.random_range(0..8),
        };
        let kind = match self.random.random_range(0..3) {
            0 => Kind::CrashDuring,
            1 => Kind::CrashAfter,
            _ => Kind::Error,
        };
        Some(Fault {
            operation,
            countdown,
            kind,
        })
    }

    fn config(&mut self) -> StoreConfig {
        let mut config = StoreConfig::new("");
        config.segment_bytes = 8192;
        config.segment_batches_max = 20;
        config.tail_bytes_max = self.random.random_range(0..2) * 4096;
        config.flush_bytes_max = 2048;
        config
    }

    async fn life(&mut self) {
        let fault = self.fault();
        self.storage.restart(fault);
        let config = self.config();
        // A fault may hit the recovery itself; then the machine is started once more.
        let store = match Store::open_on(Arc::new(self.storage.clone()), config.clone()) {
            Ok(store) => store,
            Err(error) => {
                assert!(
                    fault.is_some(),
                    "a store that does not open on a good disk: {error}"
                );
                self.storage.restart(None);
                Store::open_on(Arc::new(self.storage.clone()), config).unwrap()
            }
        };
        self.check(&store).await;
        self.work(&store).await;
        if !self.storage.is_off() && store.failure().is_none() {
            self.check(&store).await;
        }
        match self.random.random_range(0..3) {
            0 => drop(store.shutdown().await),
            1 => self.storage.power_off(),
            _ => {}
        }
        self.end(store).await;
    }

    /// Waits until the store's threads are gone, as they are when the process is.
    async fn end(&self, store: Store) {
        if self.storage.is_off() || store.failure().is_some() {
            drop(store.shutdown().await);
            return;
        }
        self.storage.power_off();
        drop(store.shutdown().await);
    }

    /// Does things until the disk fails or it is enough.
    async fn work(&mut self, store: &Store) {
        if self.prepare(store).await.is_none() {
            return;
        }
        let steps = self.random.random_range(5..60);
        for _ in 0..steps {
            match self.random.random_range(0..20) {
                0..=9 => self.produce_idempotently(store).await,
                10..=15 => self.produce(store).await,
                16..=17 => self.put_note(store).await,
                _ => self.trim(store).await,
            }
            if store.failure().is_some() {
                // Nothing is taken in any more, of any kind.
                let topic = self.topic.clone().unwrap();
                let refused = store.append(topic.id, 0, batch(Produce::default())).await;
                assert!(matches!(refused, Err(AppendError::Storage(_))));
                break;
            }
        }
    }

    async fn prepare(&mut self, store: &Store) -> Option<()> {
        if self.topic.is_none() {
            let mut new = NewTopic::new("t", PARTITIONS);
            new.configs
                .insert("retention.bytes".to_owned(), "3000".to_owned());
            self.topic = match store.topic("t") {
                Some(topic) => Some(topic),
                None => store.create_topic(new).await.ok(),
            };
        }
        while self.producers.len() < PRODUCERS {
            let (id, epoch) = store.allocate_producer_id().await.ok()?;
            assert_eq!(epoch, 0);
            assert!(self.producers.iter().all(|producer| producer.id != id));
            let partition = self.random.random_range(0..PARTITIONS);
            self.producers.push(Producer {
                id,
                partition,
                sequence: 0,
                flying: Vec::new(),
            });
        }
        self.topic.is_some().then_some(())
    }

    fn values(&mut self) -> Produce {
        self.clock_ms += 1;
        Produce {
            records: self.random.random_range(1..4),
            value_bytes: self.random.random_range(0..300),
            timestamp: self.clock_ms,
            producer: None,
        }
    }

    /// Up to five batches in flight, after those that were not answered in an earlier life.
    async fn produce_idempotently(&mut self, store: &Store) {
        let which = self.random.random_range(0..self.producers.len());
        let more = self.random.random_range(1..=5);
        while self.producers[which].flying.len() < more {
            let mut produce = self.values();
            let producer = &mut self.producers[which];
            produce.producer = Some((producer.id, 0, producer.sequence));
            producer.sequence += produce.records as i32;
            producer.flying.push(batch(produce));
        }
        let topic_id = self.topic.as_ref().unwrap().id;
        let producer = &mut self.producers[which];
        let mut tickets = Vec::new();
        for batch in &producer.flying {
            let appended = store
                .append(topic_id, producer.partition, batch.clone())
                .await;
            match appended {
                Ok(ticket) => tickets.push(ticket),
                Err(AppendError::Storage(_)) => break,
                Err(error) => panic!("{error}"),
            }
        }
        for ticket in tickets {
            match ticket.await {
                Ok(appended) => {
                    let batch = producer.flying.remove(0);
                    let expected = &mut self.partitions[producer.partition as usize];
                    expected.acknowledge(appended.base_offset, content(&batch));
                }
                Err(AppendError::Storage(_)) => break,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Without an idempotent producer, several at once, to several partitions.
    async fn produce(&mut self, store: &Store) {
        let topic_id = self.topic.as_ref().unwrap().id;
        let mut tickets = Vec::new();
        for _ in 0..self.random.random_range(1..6) {
            let partition = self.random.random_range(0..PARTITIONS);
            let batch = batch(self.values());
            match store.append(topic_id, partition, batch.clone()).await {
                Ok(ticket) => tickets.push((partition, batch, ticket)),
                Err(AppendError::Storage(_)) => break,
                Err(error) => panic!("{error}"),
            }
        }
        for (partition, batch, ticket) in tickets {
            let expected = &mut self.partitions[partition as usize];
            match ticket.await {
                Ok(appended) => expected.acknowledge(appended.base_offset, content(&batch)),
                Err(AppendError::Storage(_)) => expected.doubtful.push(content(&batch)),
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn put_note(&mut self, store: &Store) {
        let key = format!("key-{}", self.random.random_range(0..4));
        let value = match self.random.random_range(0..4) {
            0 => None,
            _ => Some(Bytes::from(vec![self.random.random(); 20])),
        };
        match store.put_note("room", &key, value.clone()).await {
            Ok(()) => {
                self.doubtful_notes.remove(&key);
                self.notes.insert(key, value);
            }
            Err(_) => self.doubtful_notes.entry(key).or_default().push(value),
        }
    }

    async fn trim(&mut self, store: &Store) {
        for (partition, expected) in self.partitions.iter_mut().enumerate() {
            let topic_id = self.topic.as_ref().unwrap().id;
            if let Some(marks) = store.watermarks(topic_id, partition as i32) {
                expected.log_start_max = expected.log_start_max.max(marks.high);
            }
        }
        drop(store.apply_retention(self.clock_ms).await);
    }

    /// Everything that was promised.
    async fn check(&mut self, store: &Store) {
        self.check_notes(store);
        let Some(topic) = &self.topic else {
            return;
        };
        assert_eq!(store.topic("t").as_ref(), Some(topic));
        for (partition, expected) in self.partitions.iter_mut().enumerate() {
            let partition = partition as i32;
            let marks = store.watermarks(topic.id, partition).unwrap();
            assert!(marks.log_start <= expected.log_start_max);
            let read = read_all(store, topic, partition, marks.log_start, marks.high).await;
            for (offset, content) in &expected.acknowledged {
                if *offset >= marks.log_start {
                    assert_eq!(read.get(offset), Some(content), "{partition} at {offset}");
                }
            }
            let flying = self.producers.iter().filter(|p| p.partition == partition);
            let mut unanswered: Vec<Bytes> =
                flying.flat_map(|p| p.flying.iter().map(content)).collect();
            unanswered.append(&mut expected.doubtful);
            for (offset, content) in read {
                if expected.acknowledged.contains_key(&offset) {
                    continue;
                }
                let known = unanswered.iter().position(|other| *other == content);
                let known = known.unwrap_or_else(|| panic!("{partition} at {offset} was not sent"));
                unanswered.swap_remove(known);
                // It has been seen: from now on it has to stay.
                expected.acknowledged.insert(offset, content);
            }
        }
    }

    fn check_notes(&mut self, store: &Store) {
        let found: BTreeMap<String, Bytes> = store.notes("room").into_iter().collect();
        for (key, mut values) in std::mem::take(&mut self.doubtful_notes) {
            values.push(self.notes.get(&key).cloned().flatten());
            let value = found.get(&key).cloned();
            assert!(values.contains(&value), "{key}: {value:?} of {values:?}");
            self.notes.insert(key, value);
        }
        for (key, value) in &self.notes {
            assert_eq!(found.get(key), value.as_ref());
        }
    }
}

impl Expected {
    fn acknowledge(&mut self, offset: i64, content: Bytes) {
        // A duplicate is answered with the offset of the first, and with nothing else.
        let before = self.acknowledged.insert(offset, content.clone());
        assert!(before.is_none_or(|before| before == content));
    }
}

/// All batches of a partition, whose offsets must leave no gap.
async fn read_all(
    store: &Store,
    topic: &Topic,
    partition: i32,
    log_start: i64,
    high: i64,
) -> BTreeMap<i64, Bytes> {
    let mut batches = BTreeMap::new();
    let mut next = log_start;
    while next < high {
        let read = match store.read(topic.id, partition, next, 1000).await {
            Ok(read) => read,
            Err(ReadError::OffsetOutOfRange { .. }) => panic!("{next} is gone"),
            Err(error) => panic!("{error}"),
        };
        assert!(!read.is_empty());
        for stored in read {
            assert!(stored.base_offset() == next || next == log_start);
            assert_eq!(stored.to_bytes()[..8], stored.base_offset().to_be_bytes());
            next = stored.last_offset() + 1;
            batches.insert(stored.base_offset(), content(stored.as_sent()));
        }
    }
    batches
}

fn simulate(seed: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut simulation = Simulation::new(seed);
        for _ in 0..LIVES {
            simulation.life().await;
        }
        simulation.storage.restart(None);
        let config = simulation.config();
        let store = Store::open_on(Arc::new(simulation.storage.clone()), config).unwrap();
        simulation.check(&store).await;
        store.shutdown().await.unwrap();
    });
}

#[test]
fn whatever_fails_what_was_acknowledged_is_there_once() {
    let seeds = std::env::var("SIMULATION_SEEDS").map_or(0..150, |seeds| {
        let (from, to) = seeds
            .split_once("..")
            .expect("SIMULATION_SEEDS=<from>..<to>");
        from.parse().unwrap()..to.parse().unwrap()
    });
    for seed in seeds {
        let result = std::panic::catch_unwind(|| simulate(seed));
        if let Err(panic) = result {
            eprintln!("seed {seed} fails: SIMULATION_SEEDS={seed}..{}", seed + 1);
            std::panic::resume_unwind(panic);
        }
    }
}
