//! Damage on disk: every byte of a log's tail changed or cut off in turn, and every kind of file
//! damaged or gone. What was torn is cut off, what was lost is said, and nothing panics.

mod common;

use std::sync::Arc;

use common::memory::MemoryStorage;
use common::{Produce, batch};
use fletch_store::{NewTopic, Store, StoreConfig, StoreError};

fn config() -> StoreConfig {
    let mut config = StoreConfig::new("");
    config.segment_bytes = 16 * 1024;
    config
}

fn open(storage: &MemoryStorage) -> Result<Store, StoreError> {
    Store::open_on(Arc::new(storage.clone()), config())
}

/// A log of single-entry flushes that was not shut down, and where in its one segment each of its
/// last flushes begins.
async fn unclean_log(batches: usize) -> (MemoryStorage, Vec<usize>) {
    let storage = MemoryStorage::new(0);
    let store = open(&storage).unwrap();
    let topic = store.create_topic(NewTopic::new("t", 1)).await.unwrap();
    let mut begins = Vec::new();
    for index in 0..batches {
        begins.push(storage.end(1));
        let batch = batch(Produce {
            value_bytes: 5 + index,
            ..Produce::default()
        });
        store
            .append(topic.id, 0, batch)
            .await
            .unwrap()
            .await
            .unwrap();
    }
    begins.push(storage.end(1));
    let image = storage.image();
    store.shutdown().await.unwrap();
    (image, begins)
}

async fn high(store: Store) -> i64 {
    let topic = store.topic("t").unwrap();
    let high = store.watermarks(topic.id, 0).unwrap().high;
    let mut next = 0;
    while next < high {
        for batch in store.read(topic.id, 0, next, 1 << 20).await.unwrap() {
            assert_eq!(batch.base_offset(), next);
            next += 1;
        }
    }
    store.shutdown().await.unwrap();
    high
}

#[tokio::test]
async fn a_tail_cut_at_any_byte_loses_only_what_was_cut() {
    let (storage, begins) = unclean_log(4).await;
    let end = *begins.last().unwrap();
    for cut in begins[0]..end {
        let torn = storage.image();
        torn.damage_segment(1, |bytes| bytes.truncate(cut));
        let until = |cut: usize| begins.iter().filter(|begin| **begin <= cut).count() as i64 - 1;
        let whole = until(cut);
        // The last seven bytes may be padding.
        let found = high(open(&torn).unwrap()).await;
        assert!((whole..=until(cut + 7)).contains(&found), "cut at {cut}");

        // The same as a disk shows it that never got the rest: zeros.
        let torn = storage.image();
        torn.damage_segment(1, |bytes| bytes[cut..].fill(0));
        let store = open(&torn).unwrap();
        assert!(high(store).await >= whole, "zeros from {cut}");
    }
}

#[tokio::test]
async fn a_changed_byte_is_a_torn_tail_in_the_last_flush_and_damage_before_it() {
    let (storage, begins) = unclean_log(3).await;
    let end = *begins.last().unwrap();
    let last = begins[begins.len() - 2];
    for at in 0..end {
        let damaged = storage.image();
        damaged.damage_segment(1, |bytes| bytes[at] ^= 0x40);
        match open(&damaged) {
            // Padding carries nothing, so a change in it changes nothing.
            Ok(store) => {
                let expected = if at < last { 3..=3 } else { 2..=3 };
                assert!(expected.contains(&high(store).await), "byte {at}");
            }
            Err(StoreError::Corrupt { file, position, .. }) => {
                assert!(at < last, "byte {at} was never acknowledged");
                assert_eq!(file, "segment 00000000000000000001");
                assert!(position as usize <= at, "byte {at}, reported at {position}");
            }
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
}

#[tokio::test]
async fn a_flush_torn_in_its_middle_is_cut_off_whole_behind_the_tear() {
    // One flush of several frames: wait for the first, so that the others gather behind it.
    let storage = MemoryStorage::new(0);
    let store = open(&storage).unwrap();
    let topic = store.create_topic(NewTopic::new("t", 1)).await.unwrap();
    let begin = storage.end(1);
    let mut tickets = Vec::new();
    for _ in 0..20 {
        let batch = batch(Produce::default());
        tickets.push(store.append(topic.id, 0, batch).await.unwrap());
    }
    for ticket in tickets {
        ticket.await.unwrap();
    }
    let image = storage.image();
    store.shutdown().await.unwrap();
    let end = storage.end(1);
    for at in begin..end {
        let torn = image.image();
        torn.damage_segment(1, |bytes| bytes[at] ^= 1);
        match open(&torn) {
            Ok(store) => drop(high(store).await),
            Err(StoreError::Corrupt { .. }) => {}
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
}

/// A log with several sealed segments and two checkpoints.
async fn long_log() -> MemoryStorage {
    let storage = MemoryStorage::new(0);
    let store = open(&storage).unwrap();
    let topic = store.create_topic(NewTopic::new("t", 1)).await.unwrap();
    for _ in 0..100 {
        let batch = batch(Produce {
            value_bytes: 600,
            ..Produce::default()
        });
        store
            .append(topic.id, 0, batch)
            .await
            .unwrap()
            .await
            .unwrap();
    }
    store.shutdown().await.unwrap();
    storage
}

#[tokio::test]
async fn one_damaged_checkpoint_loses_nothing_and_two_are_said() {
    let storage = long_log().await;
    let checkpoints: Vec<String> = storage
        .object_names()
        .into_iter()
        .filter(|name| name.starts_with("checkpoint-"))
        .collect();
    let [older, newest] = checkpoints.as_slice() else {
        panic!("{checkpoints:?}");
    };
    let mut bytes = 0;
    storage.damage_object(newest, |object| bytes = object.len());
    for at in 0..bytes {
        let damaged = storage.image();
        damaged.damage_object(newest, |object| object[at] ^= 1);
        match open(&damaged) {
            Ok(store) => assert_eq!(high(store).await, 100, "byte {at}"),
            // A version from the future is not passed over: nor would its log be understood.
            Err(StoreError::NewerFormat { found, .. }) => assert!(found > 1, "byte {at}"),
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
    let damaged = storage.image();
    damaged.damage_object(newest, |object| object.truncate(40));
    damaged.damage_object(older, |object| object.truncate(40));
    // All segments are still there, from the first on: the whole log is applied.
    assert_eq!(high(open(&damaged).unwrap()).await, 100);
    damaged.damage_object(newest, |object| object.truncate(40));
    let gone = storage.image();
    gone.remove_object(newest);
    gone.remove_object(older);
    gone.remove_segment(1);
    assert!(matches!(open(&gone), Err(StoreError::Missing { .. })));
}

#[tokio::test]
async fn a_newer_checkpoint_is_refused_by_its_version() {
    let storage = long_log().await;
    let names = storage.object_names();
    let newest = names
        .iter()
        .rfind(|name| name.starts_with("checkpoint-"))
        .unwrap();
    storage.damage_object(newest, |object| {
        object[8..12].copy_from_slice(&7u32.to_le_bytes())
    });
    let error = open(&storage).err().unwrap();
    assert!(
        matches!(
            error,
            StoreError::NewerFormat {
                found: 7,
                supported: 2,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_damaged_or_missing_index_is_named() {
    let storage = long_log().await;
    let index = "00000000000000000001.index";
    let gone = storage.image();
    gone.remove_object(index);
    let error = open(&gone).err().unwrap();
    assert!(
        matches!(&error, StoreError::Missing { file, .. } if file == index),
        "{error}"
    );

    let mut bytes = 0;
    storage.damage_object(index, |object| bytes = object.len());
    for at in 0..bytes {
        let damaged = storage.image();
        damaged.damage_object(index, |object| object[at] ^= 4);
        let store = match open(&damaged) {
            Ok(store) => store,
            Err(StoreError::Corrupt { file, .. }) => {
                assert_eq!(file, index);
                continue;
            }
            Err(error) => panic!("byte {at}: {error}"),
        };
        // The header is good; a row or an entry is not, and whoever needs it is told.
        let topic = store.topic("t").unwrap();
        for offset in [0, 10, 22] {
            match store.read(topic.id, 0, offset, 4096).await {
                Ok(batches) => assert_eq!(batches[0].base_offset(), offset),
                Err(error) => assert!(error.to_string().contains(index), "{error}"),
            }
        }
        store.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_missing_segment_is_named() {
    let storage = long_log().await;
    let numbers = storage.segment_numbers();
    // Of the sealed ones it shows when they are read.
    let gone = storage.image();
    gone.remove_segment(numbers[1]);
    let store = open(&gone).unwrap();
    let topic = store.topic("t").unwrap();
    assert!(store.read(topic.id, 0, 0, 10).await.is_ok());
    store.shutdown().await.unwrap();

    let damaged = storage.image();
    damaged.damage_segment(numbers[0], |bytes| bytes.truncate(10));
    assert!(matches!(open(&damaged), Err(StoreError::Corrupt { .. })));
}

#[tokio::test]
async fn a_damaged_batch_in_a_sealed_segment_is_an_error_to_its_reader_only() {
    let storage = long_log().await;
    storage.damage_segment(1, |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
    let store = open(&storage).unwrap();
    let topic = store.topic("t").unwrap();
    let mut errors = 0;
    for offset in 0..100 {
        match store.read(topic.id, 0, offset, 1).await {
            Ok(batches) => assert_eq!(batches[0].base_offset(), offset),
            Err(error) => {
                assert!(error.to_string().contains("segment 00000000000000000001"));
                errors += 1;
            }
        }
    }
    assert_eq!(errors, 1);
    store.shutdown().await.unwrap();
}
