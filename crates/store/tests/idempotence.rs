//! Idempotent producers, through the store and over restarts.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use common::{Produce, batch};
use fletch_store::{AppendError, Appended, Clock, NewTopic, Store, StoreConfig};
use uuid::Uuid;

struct Fixture {
    directory: tempfile::TempDir,
    now_ms: Arc<AtomicI64>,
    store: Store,
    topic: Uuid,
}

impl Fixture {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let now_ms = Arc::new(AtomicI64::new(1_000_000));
        let store = Store::open(config(&directory, &now_ms)).unwrap();
        let topic = store.create_topic(NewTopic::new("t", 2)).await.unwrap().id;
        Self {
            directory,
            now_ms,
            store,
            topic,
        }
    }

    async fn restart(self) -> Self {
        self.store.shutdown().await.unwrap();
        let Self {
            directory,
            now_ms,
            store,
            topic,
        } = self;
        // The lock goes with the last handle.
        drop(store);
        let store = Store::open(config(&directory, &now_ms)).unwrap();
        Self {
            directory,
            now_ms,
            store,
            topic,
        }
    }

    async fn send(
        &self,
        producer: (i64, i16, i32),
        records: usize,
    ) -> Result<Appended, AppendError> {
        let batch = batch(Produce {
            records,
            producer: Some(producer),
            ..Produce::default()
        });
        self.store.append(self.topic, 0, batch).await?.await
    }

    async fn offset(&self, producer: (i64, i16, i32), records: usize) -> i64 {
        self.send(producer, records).await.unwrap().base_offset
    }

    async fn refused(&self, producer: (i64, i16, i32)) -> AppendError {
        let high = self.store.watermarks(self.topic, 0).unwrap().high;
        let error = self.send(producer, 1).await.unwrap_err();
        assert_eq!(self.store.watermarks(self.topic, 0).unwrap().high, high);
        error
    }
}

fn config(directory: &tempfile::TempDir, now_ms: &Arc<AtomicI64>) -> StoreConfig {
    let mut config = StoreConfig::new(directory.path());
    config.segment_bytes = 1 << 20;
    config.producer_id_expiration_ms = 60_000;
    let now_ms = Arc::clone(now_ms);
    config.clock = Clock::new(move || now_ms.load(Ordering::Relaxed));
    config
}

#[tokio::test]
async fn the_last_five_batches_are_known_and_answered_as_they_were() {
    let mut fixture = Fixture::new().await;
    for index in 0..7 {
        let producer = (9, 0, index * 2);
        assert_eq!(fixture.offset(producer, 2).await, i64::from(index) * 2);
    }
    for restarted in [false, true] {
        for index in 2..7 {
            let producer = (9, 0, index * 2);
            assert_eq!(fixture.offset(producer, 2).await, i64::from(index) * 2);
        }
        for index in 0..2 {
            assert!(matches!(
                fixture.refused((9, 0, index * 2)).await,
                AppendError::OutOfOrderSequence { expected: 14, .. }
            ));
        }
        // The same start with another length is not the same batch.
        assert!(matches!(
            fixture.refused((9, 0, 12)).await,
            AppendError::OutOfOrderSequence { sequence: 12, .. }
        ));
        if !restarted {
            fixture = fixture.restart().await;
        }
    }
    assert_eq!(fixture.store.watermarks(fixture.topic, 0).unwrap().high, 14);
    assert_eq!(fixture.offset((9, 0, 14), 1).await, 14);
}

#[tokio::test]
async fn a_gap_is_refused_and_the_right_batch_is_taken_after_it() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.offset((1, 0, 0), 3).await, 0);
    assert!(matches!(
        fixture.refused((1, 0, 4)).await,
        AppendError::OutOfOrderSequence {
            expected: 3,
            sequence: 4,
            producer_id: 1,
            partition: 0,
            ..
        }
    ));
    assert_eq!(fixture.offset((1, 0, 3), 1).await, 3);
}

#[tokio::test]
async fn sequences_wrap_to_zero_within_a_batch_and_between_batches() {
    let mut fixture = Fixture::new().await;
    // Unknown producers may begin anywhere.
    assert_eq!(fixture.offset((1, 0, i32::MAX - 3), 2).await, 0);
    assert_eq!(fixture.offset((1, 0, i32::MAX - 1), 4).await, 2);
    fixture = fixture.restart().await;
    assert_eq!(fixture.offset((1, 0, i32::MAX - 1), 4).await, 2);
    assert_eq!(fixture.offset((1, 0, 2), 1).await, 6);
    assert_eq!(fixture.offset((2, 0, i32::MAX), 1).await, 7);
    assert_eq!(fixture.offset((2, 0, 0), 1).await, 8);
}

#[tokio::test]
async fn a_newer_epoch_begins_at_zero_and_ends_the_older() {
    let mut fixture = Fixture::new().await;
    assert_eq!(fixture.offset((1, 3, 0), 2).await, 0);
    assert!(matches!(
        fixture.refused((1, 4, 2)).await,
        AppendError::OutOfOrderSequence { expected: 0, .. }
    ));
    assert_eq!(fixture.offset((1, 4, 0), 2).await, 2);
    fixture = fixture.restart().await;
    assert!(matches!(
        fixture.refused((1, 3, 2)).await,
        AppendError::InvalidProducerEpoch {
            producer_id: 1,
            current: 4,
            epoch: 3,
        }
    ));
    assert_eq!(fixture.offset((1, 4, 2), 1).await, 4);
}

#[tokio::test]
async fn producers_are_apart_by_partition_and_by_topic() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.offset((1, 0, 0), 1).await, 0);
    let same = batch(Produce {
        producer: Some((1, 0, 0)),
        ..Produce::default()
    });
    let (store, topic) = (&fixture.store, fixture.topic);
    let other = store.append(topic, 1, same.clone()).await.unwrap().await;
    assert_eq!(other.unwrap().base_offset, 0);
    store.delete_topic("t").await.unwrap();
    let topic = store.create_topic(NewTopic::new("t", 1)).await.unwrap().id;
    let again = store.append(topic, 0, same).await.unwrap().await.unwrap();
    assert_eq!(again.base_offset, 0);
    assert_eq!(store.watermarks(topic, 0).unwrap().high, 1);
}

#[tokio::test]
async fn a_silent_producer_is_forgotten_by_the_logs_own_clock() {
    let mut fixture = Fixture::new().await;
    assert_eq!(fixture.offset((1, 0, 0), 1).await, 0);
    fixture.now_ms.fetch_add(59_999, Ordering::Relaxed);
    assert!(matches!(
        fixture.refused((1, 0, 5)).await,
        AppendError::OutOfOrderSequence { .. }
    ));
    // A refused batch is no sign of life.
    fixture.now_ms.fetch_add(1, Ordering::Relaxed);
    fixture = fixture.restart().await;
    assert_eq!(fixture.offset((1, 0, 5), 1).await, 1);
}

#[tokio::test]
async fn the_number_of_remembered_producers_is_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(&directory, &Arc::new(AtomicI64::new(0)));
    config.producers_max = 10;
    let store = Store::open(config).unwrap();
    let topic = store.create_topic(NewTopic::new("t", 1)).await.unwrap().id;
    let send = async |id: i64, sequence: i32| {
        let batch = batch(Produce {
            producer: Some((id, 0, sequence)),
            ..Produce::default()
        });
        store.append(topic, 0, batch).await.unwrap().await
    };
    for id in 0..11 {
        send(id, 0).await.unwrap();
    }
    assert!(send(1, 7).await.is_err());
    assert!(send(0, 7).await.is_ok(), "the longest silent one made room");
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn batches_that_contradict_themselves_never_reach_the_log() {
    let fixture = Fixture::new().await;
    for producer in [(1, 0, -1), (1, -1, 0)] {
        assert!(matches!(
            fixture.refused(producer).await,
            AppendError::InvalidBatch { .. }
        ));
    }
    let whole = batch(Produce::default());
    let mut longer = whole.to_vec();
    longer.push(0);
    for broken in [
        whole.slice(..whole.len() - 1),
        longer.into(),
        whole.slice(..30),
    ] {
        assert!(matches!(
            fixture.store.append(fixture.topic, 0, broken).await,
            Err(AppendError::CorruptBatch { .. })
        ));
    }
}
