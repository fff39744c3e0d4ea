//! Retention by time and by bytes, what holds it back, and what it frees.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::memory::MemoryStorage;
use common::{Produce, batch};
use fletch_store::{NewTopic, ReadError, Retained, Store, StoreConfig};
use uuid::Uuid;

/// A minute, in milliseconds.
const MINUTE: i64 = 60_000;

fn config() -> StoreConfig {
    let mut config = StoreConfig::new("");
    config.segment_bytes = 16 * 1024;
    config
}

fn open(storage: &MemoryStorage, config: StoreConfig) -> Store {
    Store::open_on(Arc::new(storage.clone()), config).unwrap()
}

async fn topic(store: &Store, name: &str, configs: &[(&str, &str)]) -> Uuid {
    let mut new = NewTopic::new(name, 2);
    new.configs = configs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect::<BTreeMap<_, _>>();
    store.create_topic(new).await.unwrap().id
}

/// One batch a minute from minute `from` on, each of about a kilobyte.
async fn fill(store: &Store, topic: Uuid, partition: i32, minutes: std::ops::Range<i64>) {
    for minute in minutes {
        let batch = batch(Produce {
            value_bytes: 1000,
            timestamp: minute * MINUTE,
            ..Produce::default()
        });
        store
            .append(topic, partition, batch)
            .await
            .unwrap()
            .await
            .unwrap();
    }
}

fn log_start(store: &Store, topic: Uuid, partition: i32) -> i64 {
    store.watermarks(topic, partition).unwrap().log_start
}

#[tokio::test]
async fn by_time_batches_go_when_their_newest_record_is_too_old() {
    let storage = MemoryStorage::new(0);
    let store = open(&storage, config());
    let hour = topic(&store, "hour", &[("retention.ms", "3600000")]).await;
    let ever = topic(&store, "ever", &[("retention.ms", "-1")]).await;
    let week = topic(&store, "week", &[]).await;
    for topic in [hour, ever, week] {
        fill(&store, topic, 0, 0..100).await;
    }
    // Minute 39 is exactly an hour old: that is not older than an hour.
    let retained = store.apply_retention(99 * MINUTE).await.unwrap();
    assert_eq!(retained.partitions_trimmed, 1);
    assert_eq!(log_start(&store, hour, 0), 39);
    assert_eq!(log_start(&store, ever, 0), 0);
    assert_eq!(log_start(&store, week, 0), 0);
    assert!(matches!(
        store.read(hour, 0, 38, 1).await,
        Err(ReadError::OffsetOutOfRange { log_start: 39, .. })
    ));
    assert_eq!(
        store.read(hour, 0, 39, 1).await.unwrap()[0].base_offset(),
        39
    );
    // All of it may go, the newest and what is in the segment that is being written included.
    store.apply_retention(1000 * MINUTE).await.unwrap();
    assert_eq!(log_start(&store, hour, 0), 100);
    let week_later = (7 * 24 * 60 + 50) * MINUTE;
    store.apply_retention(week_later).await.unwrap();
    assert_eq!(log_start(&store, week, 0), 50);
    assert_eq!(log_start(&store, ever, 0), 0);
    store.shutdown().await.unwrap();
    drop(store);

    let store = open(&storage, config());
    assert_eq!(log_start(&store, hour, 0), 100);
    assert_eq!(log_start(&store, week, 0), 50);
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn by_bytes_at_least_that_much_is_kept_of_each_partition() {
    let storage = MemoryStorage::new(0);
    let store = open(&storage, config());
    let limits = [("retention.bytes", "10000"), ("retention.ms", "-1")];
    let topic = topic(&store, "t", &limits).await;
    fill(&store, topic, 0, 0..50).await;
    fill(&store, topic, 1, 0..5).await;
    store.apply_retention(0).await.unwrap();
    // A batch of one record of 1,000 bytes has 1,071; ten of them are more than enough.
    assert_eq!(log_start(&store, topic, 0), 40);
    assert_eq!(log_start(&store, topic, 1), 0);
    // Partly trimmed segments are counted by what is left of them.
    fill(&store, topic, 0, 50..53).await;
    store.apply_retention(0).await.unwrap();
    assert_eq!(log_start(&store, topic, 0), 43);
    let nothing = store.apply_retention(0).await.unwrap();
    assert_eq!(nothing.partitions_trimmed, 0);
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn nothing_goes_that_a_table_has_not_taken() {
    let storage = MemoryStorage::new(0);
    let mut config = config();
    config.tables = true;
    let store = open(&storage, config.clone());
    let topic = topic(&store, "t", &[("retention.ms", "0")]).await;
    fill(&store, topic, 0, 0..60).await;
    fill(&store, topic, 1, 0..60).await;
    let now = 1000 * MINUTE;
    assert_eq!(
        store.apply_retention(now).await.unwrap().partitions_trimmed,
        0
    );
    store.retain_from(topic, 0, 25);
    store.apply_retention(now).await.unwrap();
    assert_eq!(log_start(&store, topic, 0), 25);
    assert_eq!(log_start(&store, topic, 1), 0);
    store.shutdown().await.unwrap();
    drop(store);

    // What was said is not remembered: a table says again what it has.
    let store = open(&storage, config);
    store.apply_retention(now).await.unwrap();
    assert_eq!(log_start(&store, topic, 0), 25);
    store.retain_from(topic, 0, 60);
    store.apply_retention(now).await.unwrap();
    assert_eq!(log_start(&store, topic, 0), 60);
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn segments_go_when_nothing_lives_in_them_any_more() {
    let storage = MemoryStorage::new(0);
    let store = open(&storage, config());
    let dying = topic(&store, "dying", &[("retention.ms", "0")]).await;
    fill(&store, dying, 0, 0..60).await;
    let keeping = topic(&store, "keeping", &[("retention.ms", "-1")]).await;
    fill(&store, keeping, 0, 0..5).await;
    fill(&store, dying, 0, 60..120).await;
    let before = storage.segment_numbers().len();
    let retained = store.apply_retention(1000 * MINUTE).await.unwrap();
    assert!(retained.segments_removed >= 4, "{retained:?}");
    assert!(retained.bytes_removed > 50_000);
    assert_eq!(
        storage.segment_numbers().len(),
        before - retained.segments_removed
    );
    let indexes = storage.object_names();
    let indexes = indexes.iter().filter(|name| name.ends_with(".index"));
    assert!(indexes.count() <= storage.segment_numbers().len());
    assert_eq!(
        store.read(keeping, 0, 0, 1).await.unwrap()[0].base_offset(),
        0
    );
    assert_eq!(log_start(&store, dying, 0), 120);
    store.shutdown().await.unwrap();
    drop(store);

    // The gap in the numbers is no loss.
    let store = open(&storage, config());
    for offset in 0..5 {
        let read = store.read(keeping, 0, offset, 1).await.unwrap();
        assert_eq!(read[0].base_offset(), offset);
    }
    fill(&store, dying, 0, 120..125).await;
    assert_eq!(store.watermarks(dying, 0).unwrap().high, 125);
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_deleted_topic_frees_what_it_had() {
    let storage = MemoryStorage::new(0);
    let store = open(&storage, config());
    let topic = topic(&store, "t", &[("retention.ms", "-1")]).await;
    fill(&store, topic, 0, 0..200).await;
    assert_eq!(store.apply_retention(0).await.unwrap(), Retained::default());
    store.delete_topic("t").await.unwrap();
    let retained = store.apply_retention(0).await.unwrap();
    assert!(retained.segments_removed >= 8, "{retained:?}");
    assert_eq!(retained.partitions_trimmed, 0);
    assert!(store.watermarks(topic, 0).is_none());
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn readers_meet_the_new_start_and_never_an_error_of_the_storage() {
    let storage = MemoryStorage::new(0);
    let mut config = config();
    config.tail_bytes_max = 0;
    let store = open(&storage, config);
    let topic = topic(&store, "t", &[("retention.ms", "0")]).await;
    fill(&store, topic, 0, 0..50).await;
    let reader = tokio::spawn({
        let store = store.clone();
        async move {
            let mut next = 0;
            while next < 400 {
                match store.read(topic, 0, next, 3000).await {
                    Ok(batches) => match batches.last() {
                        Some(last) => next = last.last_offset() + 1,
                        None => tokio::task::yield_now().await,
                    },
                    Err(ReadError::OffsetOutOfRange { log_start, .. }) => next = log_start,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    });
    for round in 1..8 {
        store.apply_retention(1000 * MINUTE).await.unwrap();
        fill(&store, topic, 0, round * 50..(round + 1) * 50).await;
    }
    reader.await.unwrap();
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_changed_config_changes_what_is_kept() {
    let storage = MemoryStorage::new(0);
    let store = open(&storage, config());
    let topic = topic(&store, "t", &[("retention.ms", "-1")]).await;
    fill(&store, topic, 0, 0..20).await;
    store.apply_retention(1000 * MINUTE).await.unwrap();
    assert_eq!(log_start(&store, topic, 0), 0);
    let configs = BTreeMap::from([("retention.ms".to_owned(), "600000".to_owned())]);
    store.configure_topic("t", configs.clone()).await.unwrap();
    store.apply_retention(20 * MINUTE).await.unwrap();
    assert_eq!(log_start(&store, topic, 0), 10);
    let bad = BTreeMap::from([("retention.ms".to_owned(), "-2".to_owned())]);
    assert!(store.configure_topic("t", bad).await.is_err());
    assert_eq!(store.topic("t").unwrap().configs, configs);
    store.shutdown().await.unwrap();
}
