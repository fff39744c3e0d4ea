//! Offsets by timestamp, over sealed segments and the one being written.

mod common;

use std::sync::Arc;

use common::memory::MemoryStorage;
use fletch_store::{NewTopic, ReadError, Store, StoreConfig};
use fletch_wire::records::{BatchBuilder, Compression};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

fn config() -> StoreConfig {
    let mut config = StoreConfig::new("");
    config.segment_bytes = 8192;
    config
}

#[tokio::test]
async fn timestamps_in_any_order_are_found_as_by_looking_at_every_record() {
    let mut random = StdRng::seed_from_u64(7);
    for codec in [Compression::None, Compression::Zstd] {
        let storage = MemoryStorage::new(0);
        let store = Store::open_on(Arc::new(storage.clone()), config()).unwrap();
        let topic = store.create_topic(NewTopic::new("t", 2)).await.unwrap().id;
        let mut records: Vec<i64> = Vec::new();
        for _ in 0..200 {
            let mut builder = BatchBuilder::new(codec);
            for _ in 0..random.random_range(1..4) {
                // Rising on the whole, and out of order at close range.
                let timestamp = records.len() as i64 * 10 + random.random_range(0..500);
                let value = [0; 100];
                builder.append(timestamp, None, Some(&value), &[]).unwrap();
                records.push(timestamp);
            }
            let batch = builder.finish().unwrap().into_bytes();
            store.append(topic, 0, batch).await.unwrap().await.unwrap();
        }
        check(&store, topic, &records, 0).await;
        store.shutdown().await.unwrap();
        drop(store);
        let store = Store::open_on(Arc::new(storage), config()).unwrap();
        check(&store, topic, &records, 0).await;

        // Trimmed records are not found again.
        let configs = [("retention.ms".to_owned(), "0".to_owned())];
        store.configure_topic("t", configs.into()).await.unwrap();
        store.apply_retention(1500).await.unwrap();
        let log_start = store.watermarks(topic, 0).unwrap().log_start;
        assert!(log_start > 20);
        check(&store, topic, &records, log_start).await;
        store.shutdown().await.unwrap();
    }
}

/// A limit is for who sends: what is in the log was admitted.
#[tokio::test]
async fn timestamps_are_found_in_what_is_compressed_very_well() {
    let store = Store::open_on(Arc::new(MemoryStorage::new(0)), config()).unwrap();
    let topic = store.create_topic(NewTopic::new("t", 1)).await.unwrap().id;
    let mut builder = BatchBuilder::new(Compression::Zstd);
    for timestamp in [5, 7] {
        let value = vec![0; 2 << 20];
        builder.append(timestamp, None, Some(&value), &[]).unwrap();
    }
    let batch = builder.finish().unwrap().into_bytes();
    store.append(topic, 0, batch).await.unwrap().await.unwrap();
    let found = store.offset_for_timestamp(topic, 0, 6).await.unwrap();
    assert_eq!(found, Some((1, 7)));
}

async fn check(store: &Store, topic: uuid::Uuid, records: &[i64], log_start: i64) {
    let kept = || (0..).zip(records).skip(log_start as usize);
    for timestamp in (-10..*records.iter().max().unwrap() + 20).step_by(37) {
        let expected = kept().find(|(_, other)| **other >= timestamp);
        let found = store.offset_for_timestamp(topic, 0, timestamp).await;
        assert_eq!(found.unwrap(), expected.map(|(offset, t)| (offset, *t)));
    }
    let mut newest: Option<(i64, i64)> = None;
    for (offset, timestamp) in kept() {
        if newest.is_none_or(|newest| *timestamp > newest.1) {
            newest = Some((offset, *timestamp));
        }
    }
    assert_eq!(store.max_timestamp(topic, 0).await.unwrap(), newest);
    assert_eq!(store.max_timestamp(topic, 1).await.unwrap(), None);
    assert_eq!(store.offset_for_timestamp(topic, 1, 0).await.unwrap(), None);
    assert!(matches!(
        store.offset_for_timestamp(topic, 2, 0).await,
        Err(ReadError::UnknownPartition { .. })
    ));
}

#[tokio::test]
async fn a_stamping_topics_time_is_that_of_the_batch() {
    let store = Store::open_on(Arc::new(MemoryStorage::new(0)), config()).unwrap();
    let topic = store.create_topic(NewTopic::new("t", 1)).await.unwrap().id;
    for stamp in [5_000, 6_000] {
        let mut builder = BatchBuilder::new(Compression::None).log_append_time(stamp);
        builder.append(1, None, Some(b"a"), &[]).unwrap();
        builder.append(9_999, None, Some(b"b"), &[]).unwrap();
        let batch = builder.finish().unwrap().into_bytes();
        let appended = store.append(topic, 0, batch).await.unwrap().await.unwrap();
        assert_eq!(appended.log_append_time_ms, stamp);
    }
    let found = store.offset_for_timestamp(topic, 0, 5_001).await.unwrap();
    assert_eq!(found, Some((2, 6_000)));
    assert_eq!(
        store.max_timestamp(topic, 0).await.unwrap(),
        Some((2, 6_000))
    );
    store.shutdown().await.unwrap();
}
