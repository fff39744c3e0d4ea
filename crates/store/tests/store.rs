//! The store as its users see it.

mod common;

use bytes::Bytes;
use common::{Produce, batch};
use fletch_store::{AppendError, NewTopic, ReadError, Store, StoreConfig, StoreError, Watermarks};

fn config(directory: &tempfile::TempDir) -> StoreConfig {
    let mut config = StoreConfig::new(directory.path());
    config.segment_bytes = 1 << 20;
    config
}

#[tokio::test]
async fn what_is_appended_is_read_back_now_and_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(config(&directory)).unwrap();
    let topic = store.create_topic(NewTopic::new("t", 2)).await.unwrap();
    let mut tickets = Vec::new();
    for index in 0..100 {
        let batch = batch(Produce {
            records: 3,
            value_bytes: index,
            ..Produce::default()
        });
        tickets.push(store.append(topic.id, 1, batch).await.unwrap());
    }
    for (index, ticket) in tickets.into_iter().enumerate() {
        assert_eq!(ticket.await.unwrap().base_offset, 3 * index as i64);
    }
    let expected = Watermarks {
        log_start: 0,
        high: 300,
        stable: 300,
    };
    assert_eq!(store.watermarks(topic.id, 1), Some(expected));
    store
        .put_note("room", "key", Some(Bytes::from_static(b"v")))
        .await
        .unwrap();
    store.shutdown().await.unwrap();
    let cluster_id = store.cluster_id().to_owned();
    drop(store);

    let store = Store::open(config(&directory)).unwrap();
    assert_eq!(store.cluster_id(), cluster_id);
    assert_eq!(store.topic("t"), Some(topic.clone()));
    assert_eq!(store.watermarks(topic.id, 1), Some(expected));
    assert_eq!(
        store.notes("room"),
        [("key".to_owned(), Bytes::from_static(b"v"))]
    );
    let mut next = 0;
    while next < 300 {
        let batches = store.read(topic.id, 1, next, 1000).await.unwrap();
        assert!(!batches.is_empty());
        for read in batches {
            assert_eq!(read.base_offset(), next);
            let bytes = read.to_bytes();
            assert_eq!(bytes[..8], next.to_be_bytes());
            assert_eq!(bytes[12..16], [0; 4]);
            let sent = batch(Produce {
                records: 3,
                value_bytes: next as usize / 3,
                ..Produce::default()
            });
            assert_eq!(bytes[16..], sent[16..]);
            next = read.last_offset() + 1;
        }
    }
    assert!(store.read(topic.id, 1, 300, 1000).await.unwrap().is_empty());
    assert!(matches!(
        store.read(topic.id, 1, 301, 1000).await,
        Err(ReadError::OffsetOutOfRange { high: 300, .. })
    ));
    assert!(matches!(
        store.read(topic.id, 2, 0, 1000).await,
        Err(ReadError::UnknownPartition { .. })
    ));
}

#[tokio::test]
async fn segments_roll_and_all_of_them_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(&directory);
    config.segment_bytes = 16 * 1024;
    config.tail_bytes_max = 4096;
    let store = Store::open(config.clone()).unwrap();
    let topic = store.create_topic(NewTopic::new("t", 3)).await.unwrap();
    for index in 0..600 {
        let batch = batch(Produce {
            value_bytes: index % 300,
            ..Produce::default()
        });
        let partition = (index % 3) as i32;
        store
            .append(topic.id, partition, batch)
            .await
            .unwrap()
            .await
            .unwrap();
    }
    let mut bad = batch(Produce::default()).to_vec();
    *bad.last_mut().unwrap() ^= 1;
    assert!(matches!(
        store.append(topic.id, 0, bad.into()).await,
        Err(AppendError::CorruptBatch { .. })
    ));
    read_all(&store, topic.id).await;
    assert!(matches!(
        Store::open(config.clone()),
        Err(StoreError::Locked { .. })
    ));
    store.shutdown().await.unwrap();
    read_all(&store, topic.id).await;
    drop(store);
    let store = Store::open(config).unwrap();
    read_all(&store, topic.id).await;
}

async fn read_all(store: &Store, topic_id: uuid::Uuid) {
    for partition in 0..3 {
        let mut next = 0;
        while next < 200 {
            for read in store.read(topic_id, partition, next, 5000).await.unwrap() {
                assert_eq!(read.base_offset(), next);
                next += 1;
            }
        }
    }
}

#[tokio::test]
async fn partitions_are_added_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(config(&directory)).unwrap();
    let topic = store.create_topic(NewTopic::new("t", 2)).await.unwrap();
    let add = async |store: &Store, partitions| store.add_partitions("t", partitions).await;
    store
        .append(topic.id, 1, batch(Produce::default()))
        .await
        .unwrap()
        .await
        .unwrap();
    for wrong in [-1, 0, 2, 100_001] {
        let refused = add(&store, wrong).await.unwrap_err();
        assert!(
            matches!(refused, StoreError::InvalidPartitions { partitions, .. } if partitions == wrong)
        );
    }
    assert_eq!(store.watermarks(topic.id, 4), None);
    add(&store, 5).await.unwrap();
    let appended = store
        .append(topic.id, 4, batch(Produce::default()))
        .await
        .unwrap();
    assert_eq!(appended.await.unwrap().base_offset, 0);
    store.shutdown().await.unwrap();
    drop(store);

    let store = Store::open(config(&directory)).unwrap();
    assert_eq!(store.topic("t").unwrap().partitions, 5);
    for (partition, high) in [(0, 0), (1, 1), (2, 0), (4, 1)] {
        assert_eq!(store.watermarks(topic.id, partition).unwrap().high, high);
    }
}

#[tokio::test]
async fn deleted_records_stay_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(config(&directory)).unwrap();
    let topic = store.create_topic(NewTopic::new("t", 1)).await.unwrap();
    for _ in 0..4 {
        let batch = batch(Produce {
            records: 5,
            ..Produce::default()
        });
        store
            .append(topic.id, 0, batch)
            .await
            .unwrap()
            .await
            .unwrap();
    }
    let whole = store.partition_bytes().await.unwrap()[&(topic.id, 0)];
    assert_eq!(store.delete_records(topic.id, 0, 12).await.unwrap(), 12);
    // What is gone already can be deleted again.
    assert_eq!(store.delete_records(topic.id, 0, 3).await.unwrap(), 12);
    for wrong in [-1, 21] {
        let refused = store.delete_records(topic.id, 0, wrong).await.unwrap_err();
        assert!(matches!(refused, ReadError::OffsetOutOfRange { .. }));
    }
    let unknown = store.delete_records(topic.id, 1, 0).await.unwrap_err();
    assert!(matches!(unknown, ReadError::UnknownPartition { .. }));
    // The third batch, of offsets 10 to 14, is still there as a whole.
    assert_eq!(
        store.partition_bytes().await.unwrap()[&(topic.id, 0)],
        whole / 2
    );
    store.shutdown().await.unwrap();
    drop(store);

    let store = Store::open(config(&directory)).unwrap();
    let marks = store.watermarks(topic.id, 0).unwrap();
    assert_eq!((marks.log_start, marks.high), (12, 20));
    assert!(store.read(topic.id, 0, 11, 1000).await.is_err());
}
