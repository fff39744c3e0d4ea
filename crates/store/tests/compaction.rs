//! Compaction: of each key the latest record stays, at its offset; tombstones for as long as they are
//! asked for; and whatever fails while a segment is written anew, nothing else changes.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use common::memory::{Fault, Kind, MemoryStorage, Operation};
use fletch_store::{Compacted, NewTopic, Store, StoreConfig, Topic};
use fletch_wire::Limits;
use fletch_wire::records::{Batch, BatchBuilder, Compression};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A record that was read: key and value.
type Pair = (Option<Vec<u8>>, Option<Vec<u8>>);

type Found = BTreeMap<i64, Pair>;

/// A record: key and value.
type Sent<'a> = (Option<&'a str>, Option<&'a str>);

fn batch_of(builder: BatchBuilder, records: &[Sent<'_>], timestamp: i64) -> Bytes {
    let mut builder = builder;
    for (key, value) in records {
        let key = key.map(str::as_bytes);
        let headers: &[(&[u8], Option<&[u8]>)] = &[(b"h", Some(b"1"))];
        builder
            .append(timestamp, key, value.map(str::as_bytes), headers)
            .unwrap();
    }
    builder.finish().unwrap().into_bytes()
}

fn config() -> StoreConfig {
    let mut config = StoreConfig::new("");
    config.segment_bytes = 4096;
    // Everything is read from segments.
    config.tail_bytes_max = 0;
    config
}

fn open(storage: &MemoryStorage) -> Store {
    Store::open_on(Arc::new(storage.clone()), config()).unwrap()
}

async fn topic(store: &Store, name: &str, configs: &[(&str, &str)]) -> Arc<Topic> {
    let mut new = NewTopic::new(name, 1);
    let configs = configs
        .iter()
        .map(|(key, value)| ((*key).into(), (*value).into()));
    new.configs = configs.collect();
    store.create_topic(new).await.unwrap()
}

const COMPACT: (&str, &str) = ("cleanup.policy", "compact");
const ALWAYS: (&str, &str) = ("min.cleanable.dirty.ratio", "0");

async fn append(store: &Store, topic: &Topic, batch: Bytes) -> i64 {
    let ticket = store.append(topic.id, 0, batch).await.unwrap();
    ticket.await.unwrap().base_offset
}

async fn send(store: &Store, topic: &Topic, records: &[Sent<'_>], timestamp: i64) -> i64 {
    let builder = BatchBuilder::new(Compression::None);
    append(store, topic, batch_of(builder, records, timestamp)).await
}

/// Fills segments with records of another topic, until what is before them is out of replay.
async fn push_out(store: &Store, filler: &Topic) {
    let value = "x".repeat(1500);
    for _ in 0..9 {
        send(store, filler, &[(None, Some(&value))], 1).await;
    }
    // Indexes and checkpoints are written behind the writer's back.
    std::thread::sleep(std::time::Duration::from_millis(30));
}

async fn read(store: &Store, topic: &Topic) -> Found {
    read_from(
        store,
        topic,
        store.watermarks(topic.id, 0).unwrap().log_start,
    )
    .await
}

/// What consumers are sent, from an offset on.
async fn read_from(store: &Store, topic: &Topic, from: i64) -> Found {
    let high = store.watermarks(topic.id, 0).unwrap().high;
    let (mut found, mut next) = (Found::new(), from);
    while next < high {
        let batches = store.read(topic.id, 0, next, 2000).await.unwrap();
        assert!(!batches.is_empty(), "nothing at {next} of {high}");
        for stored in batches {
            assert!(stored.last_offset() >= next);
            next = stored.last_offset() + 1;
            let batch = Batch::try_from(stored.to_bytes()).unwrap();
            batch.verify_crc().unwrap();
            if batch.attributes.is_control() {
                continue;
            }
            for record in &batch.records(&Limits::default()).unwrap() {
                let record = record.unwrap();
                assert_eq!(record.headers.len(), 1);
                let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
                if record.offset >= from {
                    let value = (owned(record.key), owned(record.value));
                    found.insert(record.offset, value);
                }
            }
        }
    }
    found
}

fn texts(found: &Found) -> Vec<(i64, String)> {
    let text = |bytes: &Option<Vec<u8>>| match bytes {
        Some(bytes) => String::from_utf8(bytes.clone()).unwrap(),
        None => "-".to_owned(),
    };
    let entry = |(offset, (key, value)): (&i64, &(_, _))| {
        (*offset, format!("{}={}", text(key), text(value)))
    };
    found.iter().map(entry).collect()
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(future)
}

#[test]
fn the_latest_record_of_each_key_stays_where_it_was() {
    block_on(async {
        let storage = MemoryStorage::new(1);
        let store = open(&storage);
        let filler = topic(&store, "filler", &[]).await;
        let delay = ("delete.retention.ms", "1000");
        let table = topic(&store, "table", &[COMPACT, ALWAYS, delay]).await;
        send(
            &store,
            &table,
            &[(Some("a"), Some("1")), (Some("b"), Some("1"))],
            10,
        )
        .await;
        send(
            &store,
            &table,
            &[(None, Some("lost")), (Some("a"), Some("2"))],
            20,
        )
        .await;
        let lz4 = BatchBuilder::new(Compression::Lz4);
        let batch = batch_of(lz4, &[(Some("b"), None), (Some("c"), Some("1"))], 30);
        append(&store, &table, batch).await;
        send(
            &store,
            &table,
            &[(Some("d"), Some("1")), (Some("c"), Some("2"))],
            40,
        )
        .await;
        assert_eq!(store.compact(100).await.unwrap(), Compacted::default());
        push_out(&store, &filler).await;
        let bytes_before = store.partition_bytes().await.unwrap()[&(table.id, 0)];
        let filler_before = read(&store, &filler).await;
        let done = store.compact(100).await.unwrap();
        // What is in the last batch isn't known to make anything old; and the last batch stays.
        assert_eq!(
            (done.partitions, done.records_removed, done.segments_written),
            (1, 3, 1)
        );
        let kept = ["a=2", "b=-", "c=1", "d=1", "c=2"];
        let expected = |offsets: &[i64], kept: &[&str]| -> Vec<(i64, String)> {
            offsets
                .iter()
                .copied()
                .zip(kept.iter().map(|text| (*text).to_owned()))
                .collect()
        };
        assert_eq!(
            texts(&read(&store, &table).await),
            expected(&[3, 4, 5, 6, 7], &kept)
        );
        assert!(store.partition_bytes().await.unwrap()[&(table.id, 0)] < bytes_before);
        // From within what is gone, the next is found.
        assert_eq!(read_from(&store, &table, 1).await.len(), 5);
        assert_eq!(read(&store, &filler).await, filler_before);
        // Nothing new: nothing is done.
        assert_eq!(store.compact(200).await.unwrap(), Compacted::default());
        // A tombstone stays for delete.retention.ms after it was compacted, and goes with a later pass.
        send(&store, &table, &[(Some("e"), Some("1"))], 50).await;
        send(&store, &table, &[(Some("e"), Some("2"))], 60).await;
        push_out(&store, &filler).await;
        store.compact(1099).await.unwrap();
        let kept = ["a=2", "b=-", "d=1", "c=2", "e=1", "e=2"];
        assert_eq!(
            texts(&read(&store, &table).await),
            expected(&[3, 4, 6, 7, 8, 9], &kept)
        );
        send(&store, &table, &[(Some("f"), Some("1"))], 70).await;
        push_out(&store, &filler).await;
        store.compact(1100).await.unwrap();
        let kept = ["a=2", "d=1", "c=2", "e=2", "f=1"];
        let offsets = [3, 6, 7, 9, 10];
        assert_eq!(
            texts(&read(&store, &table).await),
            expected(&offsets, &kept)
        );
        // Where things are and when they were is found as before.
        let found = store.offset_for_timestamp(table.id, 0, 21).await.unwrap();
        assert_eq!(found, Some((6, 40)));
        store.shutdown().await.unwrap();
        let store = open(&storage);
        assert_eq!(
            texts(&read(&store, &table).await),
            expected(&offsets, &kept)
        );
        assert_eq!(read(&store, &filler).await.len(), 27);
    });
}

#[test]
fn what_may_not_be_compacted_yet() {
    block_on(async {
        let storage = MemoryStorage::new(2);
        let store = open(&storage);
        let filler = topic(&store, "filler", &[]).await;
        let plain = topic(&store, "plain", &[]).await;
        let lag = ("min.compaction.lag.ms", "50");
        let young = topic(&store, "young", &[COMPACT, ALWAYS, lag]).await;
        let clean = [COMPACT, ("max.compaction.lag.ms", "1000")];
        let clean = topic(&store, "clean", &clean).await;
        for topic in [&plain, &young, &clean] {
            for time in [10, 60, 61] {
                send(&store, topic, &[(Some("a"), Some("1"))], time).await;
            }
        }
        let deleted = topic(&store, "deleted", &[COMPACT, ALWAYS]).await;
        send(&store, &deleted, &[(Some("a"), Some("1"))], 10).await;
        store.delete_topic("deleted").await.unwrap();
        push_out(&store, &filler).await;
        let offsets =
            async |topic: &Topic| -> Vec<i64> { read(&store, topic).await.into_keys().collect() };
        // All of `clean` is new, which is enough of it.
        store.compact(100).await.unwrap();
        assert_eq!(offsets(&plain).await, [0, 1, 2]);
        assert_eq!(offsets(&young).await, [0, 1, 2]);
        assert_eq!(offsets(&clean).await, [1, 2]);
        store.compact(111).await.unwrap();
        assert_eq!(offsets(&young).await, [1, 2]);
        // Of much that is clean little is new, until that is too old.
        for key in 0..40 {
            let key = format!("key {key}");
            send(&store, &clean, &[(Some(&key), Some("1"))], 200).await;
        }
        push_out(&store, &filler).await;
        store.compact(300).await.unwrap();
        for _ in 0..3 {
            send(&store, &clean, &[(Some("a"), Some("2"))], 500).await;
        }
        push_out(&store, &filler).await;
        let before = offsets(&clean).await;
        store.compact(1000).await.unwrap();
        assert_eq!(offsets(&clean).await, before);
        store.compact(1500).await.unwrap();
        // The last isn't known to make the one before it old.
        assert_eq!(offsets(&clean).await.len(), before.len() - 2);
        // It is compacted, and nothing else.
        let retained = store.apply_retention(i64::MAX).await.unwrap();
        assert!(retained.partitions_trimmed > 0);
        assert!(!offsets(&clean).await.is_empty() && offsets(&plain).await.is_empty());
    });
}

#[test]
fn transactions_leave_their_committed_records() {
    block_on(async {
        let storage = MemoryStorage::new(3);
        let store = open(&storage);
        let filler = topic(&store, "filler", &[]).await;
        let table = topic(&store, "table", &[COMPACT, ALWAYS]).await;
        let (id, epoch) = store.allocate_producer_id().await.unwrap();
        let mut sequence = 0;
        let mut part = |value: &str| {
            let builder = BatchBuilder::new(Compression::None)
                .producer(id, epoch, sequence)
                .transactional();
            sequence += 1;
            batch_of(builder, &[(Some("a"), Some(value))], 10)
        };
        // a=1 committed, a=2 aborted, a=3 committed, a=4 aborted, and a=5 open.
        for (value, committed) in [("1", true), ("2", false), ("3", true), ("4", false)] {
            append(&store, &table, part(value)).await;
            let end = store.end_transaction(table.id, 0, (id, epoch), committed);
            end.await.unwrap().unwrap();
        }
        append(&store, &table, part("5")).await;
        send(&store, &table, &[(Some("b"), Some("1"))], 10).await;
        push_out(&store, &filler).await;
        store.compact(1).await.unwrap();
        let kept = [(4, "a=3"), (8, "a=5"), (9, "b=1")];
        let kept = kept.map(|(offset, text)| (offset, text.to_owned()));
        assert_eq!(texts(&read(&store, &table).await), kept);
        // A reader of committed records is told of what was aborted, and where that ends.
        let batches = store.read_committed(table.id, 0, 0, 10_000).await.unwrap();
        let offsets: Vec<i64> = batches.iter().map(|batch| batch.base_offset()).collect();
        assert_eq!(offsets, [1, 3, 4, 5, 7]);
        assert!(
            batches
                .iter()
                .all(|batch| !batch.is_aborted() || batch.base_offset() != 4)
        );
        let aborted = store.aborted_transactions(table.id, 0, 0, 8).unwrap();
        assert_eq!(aborted.len(), 2);
        // The markers of commits go after delete.retention.ms.
        store
            .end_transaction(table.id, 0, (id, epoch), true)
            .await
            .unwrap()
            .unwrap();
        send(&store, &table, &[(Some("b"), Some("2"))], 10).await;
        push_out(&store, &filler).await;
        store.compact(i64::MAX).await.unwrap();
        let batches = store.read_committed(table.id, 0, 0, 10_000).await.unwrap();
        let offsets: Vec<i64> = batches.iter().map(|batch| batch.base_offset()).collect();
        assert_eq!(offsets, [3, 7, 8, 9, 11]);
    });
}

/// What is left of several segments becomes one, over and over, and is found by a start.
#[test]
fn segments_are_merged() {
    block_on(async {
        let storage = MemoryStorage::new(4);
        let store = open(&storage);
        let table = topic(&store, "table", &[COMPACT, ALWAYS]).await;
        let value = "v".repeat(500);
        for round in 0..200 {
            let key = format!("{}", round % 5);
            send(&store, &table, &[(Some(&key), Some(&value))], round).await;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
        let before = storage.segment_numbers().len();
        store.compact(1000).await.unwrap();
        store.shutdown().await.unwrap();
        let store = open(&storage);
        for round in 0..30 {
            send(&store, &table, &[(Some("0"), Some(&value))], 2000 + round).await;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
        store.compact(3000).await.unwrap();
        let found = read(&store, &table).await;
        for key in 0..5 {
            assert!(
                found
                    .values()
                    .any(|(found, _)| found.as_deref() == Some(format!("{key}").as_bytes()))
            );
        }
        assert!(
            storage.segment_numbers().len() < before / 2,
            "{} of {before}",
            storage.segment_numbers().len()
        );
        store.shutdown().await.unwrap();
        let store = open(&storage);
        assert_eq!(read(&store, &table).await, found);
    });
}

/// Records that were acknowledged: of each key what was sent, in order.
#[derive(Default)]
struct Expected {
    records: Found,
    /// Sent and not answered: there or not.
    doubtful: Vec<Pair>,
}

fn simulate(seed: u64) -> u64 {
    let mut random = StdRng::seed_from_u64(seed);
    let storage = MemoryStorage::new(seed);
    let mut expected: [Expected; 2] = Default::default();
    let mut removed = 0;
    let mut clock_ms = 1000;
    for _ in 0..8 {
        let operation = match random.random_range(0..10) {
            0 => None,
            1..=3 => Some(Operation::Append),
            4 => Some(Operation::Create),
            5 => Some(Operation::Seal),
            6 | 7 => Some(Operation::Trim),
            8 => Some(Operation::Delete),
            _ => Some(Operation::Put),
        };
        let fault = operation.map(|operation| Fault {
            operation,
            countdown: match operation {
                Operation::Append => random.random_range(0..90),
                _ => random.random_range(0..14),
            },
            kind: match random.random_range(0..3) {
                0 => Kind::CrashDuring,
                1 => Kind::CrashAfter,
                _ => Kind::Error,
            },
        });
        storage.restart(fault);
        let opened = Store::open_on(Arc::new(storage.clone()), config());
        let store = opened.unwrap_or_else(|error| {
            assert!(fault.is_some(), "seed {seed}: {error}");
            storage.restart(None);
            open(&storage)
        });
        block_on(async {
            check(&store, &mut expected).await;
            removed += live(&store, &mut random, &mut expected, &mut clock_ms).await;
            if store.failure().is_none() && !storage.is_off() {
                check(&store, &mut expected).await;
            }
            if random.random_range(0..2) == 0 {
                storage.power_off();
            }
            drop(store.shutdown().await);
        });
    }
    storage.restart(None);
    block_on(check(&open(&storage), &mut expected));
    removed
}

async fn live(
    store: &Store,
    random: &mut StdRng,
    expected: &mut [Expected; 2],
    clock_ms: &mut i64,
) -> u64 {
    let mut removed = 0;
    for name in ["0", "1"] {
        if store.topic(name).is_none() {
            let mut new = NewTopic::new(name, 1);
            if name == "0" {
                let configs = [COMPACT, ALWAYS, ("delete.retention.ms", "20")];
                let configs = configs.map(|(key, value)| (key.to_owned(), value.to_owned()));
                new.configs = BTreeMap::from(configs);
            }
            if store.create_topic(new).await.is_err() {
                return 0;
            }
        }
    }
    for _ in 0..random.random_range(20..90) {
        *clock_ms += 1;
        if random.random_range(0..12) == 0 {
            removed += store
                .compact(*clock_ms)
                .await
                .map_or(0, |done| done.records_removed);
            continue;
        }
        let which = random.random_range(0..2);
        let topic = store.topic(&which.to_string()).unwrap();
        let codec = Compression::ALL[random.random_range(0..5)];
        let mut builder = BatchBuilder::new(codec);
        let mut records = Vec::new();
        for _ in 0..random.random_range(1..4) {
            let key = format!("key {}", random.random_range(0..6));
            let value = match random.random_range(0..5) {
                0 => None,
                _ => Some(vec![random.random(); random.random_range(1..300)]),
            };
            let headers: &[(&[u8], Option<&[u8]>)] = &[(b"h", None)];
            builder
                .append(*clock_ms, Some(key.as_bytes()), value.as_deref(), headers)
                .unwrap();
            records.push((Some(key.into_bytes()), value));
        }
        let batch = builder.finish().unwrap().into_bytes();
        let Ok(ticket) = store.append(topic.id, 0, batch).await else {
            break;
        };
        match ticket.await {
            Ok(appended) => expected[which]
                .records
                .extend((appended.base_offset..).zip(records)),
            Err(_) => {
                expected[which].doubtful.extend(records);
                break;
            }
        }
    }
    removed
}

async fn check(store: &Store, expected: &mut [Expected; 2]) {
    for (which, expected) in expected.iter_mut().enumerate() {
        let Some(topic) = store.topic(&which.to_string()) else {
            assert!(expected.records.is_empty());
            continue;
        };
        let found = read(store, &topic).await;
        for (offset, record) in &found {
            if expected.records.contains_key(offset) {
                assert_eq!(expected.records.get(offset), Some(record), "{offset}");
                continue;
            }
            // What was never answered, and is there.
            let known = expected.doubtful.iter().position(|one| one == record);
            let known = known.unwrap_or_else(|| panic!("{offset} of {which} was not sent"));
            expected.doubtful.swap_remove(known);
            expected.records.insert(*offset, record.clone());
        }
        let high = store.watermarks(topic.id, 0).unwrap().high;
        let mut latest: BTreeMap<&[u8], i64> = BTreeMap::new();
        for (offset, (key, _)) in &expected.records {
            latest.insert(key.as_deref().unwrap(), *offset);
        }
        for (offset, (key, value)) in &expected.records {
            let is_latest = latest[key.as_deref().unwrap()] == *offset;
            let is_last = *offset + 1 == high;
            if which == 1 || (is_latest && value.is_some()) || is_last {
                assert!(found.contains_key(offset), "{offset} of {which} is gone");
            }
        }
        // Wherever a reader begins, also where nothing is left.
        for from in [0, high / 3, high / 2] {
            let part = read_from(store, &topic, from).await;
            assert!(part.iter().eq(found.range(from..)), "from {from}");
        }
    }
}

#[test]
fn whatever_fails_only_what_is_old_is_gone() {
    let seeds = std::env::var("SIMULATION_SEEDS").map_or(0..60, |seeds| {
        let (from, to) = seeds
            .split_once("..")
            .expect("SIMULATION_SEEDS=<from>..<to>");
        from.parse().unwrap()..to.parse().unwrap()
    });
    let mut removed = 0;
    for seed in seeds {
        let result = std::panic::catch_unwind(|| simulate(seed));
        match result {
            Ok(some) => removed += some,
            Err(panic) => {
                eprintln!("seed {seed} fails: SIMULATION_SEEDS={seed}..{}", seed + 1);
                std::panic::resume_unwind(panic);
            }
        }
    }
    assert!(removed > 500, "only {removed} records were compacted away");
}
