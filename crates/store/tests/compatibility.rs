//! Logs as earlier releases left them: each is kept in `tests/logs`, and every release must read
//! all of them and go on.
//!
//! `FLETCH_STORE_WRITE_LOG=<name> cargo test -p fletch-store --test compatibility` adds one.

mod common;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use common::{Produce, batch};
use fletch_store::{AppendError, Clock, NewTopic, Store, StoreConfig, Watermarks};

fn logs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logs")
}

fn config(path: &Path, now_ms: i64) -> StoreConfig {
    let mut config = StoreConfig::new(path);
    config.segment_bytes = 4096;
    // Time passes by itself, a second with each look.
    let now_ms = AtomicI64::new(now_ms);
    config.clock = Clock::new(move || now_ms.fetch_add(1000, Ordering::Relaxed));
    config
}

/// One of each entry; sealed segments, and one that was being written when the power went, which
/// is when `image` is taken.
async fn write(path: &Path, image: &Path) {
    let store = Store::open(config(path, 1_000_000)).unwrap();
    let mut topic = NewTopic::new("kept", 2);
    topic
        .configs
        .insert("retention.bytes".to_owned(), "3000".to_owned());
    let topic = store.create_topic(topic).await.unwrap().id;
    store.create_topic(NewTopic::new("gone", 1)).await.unwrap();
    assert_eq!(store.allocate_producer_id().await.unwrap(), (0, 0));
    for sequence in 0..8 {
        let batch = batch(Produce {
            value_bytes: 800,
            timestamp: 5000 + i64::from(sequence),
            producer: Some((0, 0, sequence)),
            ..Produce::default()
        });
        store.append(topic, 1, batch).await.unwrap().await.unwrap();
    }
    let value = Some(b"value".to_vec().into());
    store.put_note("room", "key", value).await.unwrap();
    store.put_note("room", "none", None).await.unwrap();
    store.delete_topic("gone").await.unwrap();
    let configs = [("retention.ms".to_owned(), "-1".to_owned())];
    store.configure_topic("kept", configs.into()).await.unwrap();
    let configs = [("retention.bytes".to_owned(), "3000".to_owned())];
    store.configure_topic("kept", configs.into()).await.unwrap();
    store.apply_retention(0).await.unwrap();
    let last = batch(Produce {
        timestamp: 6000,
        producer: Some((0, 0, 8)),
        ..Produce::default()
    });
    store.append(topic, 1, last).await.unwrap().await.unwrap();
    while !is_settled(path) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    copy(path, image);
    store.shutdown().await.unwrap();
}

/// Every segment but the one being written and the one made ahead of it has its index.
fn is_settled(path: &Path) -> bool {
    let count = |suffix: &str| {
        let files = std::fs::read_dir(path).unwrap();
        files
            .filter(|file| {
                let name = file.as_ref().unwrap().file_name();
                name.to_string_lossy().ends_with(suffix)
            })
            .count()
    };
    count(".log") == count(".index") + 2 && count(".tmp") == 0
}

async fn check(path: &Path) {
    let store = Store::open(config(path, 2_000_000)).unwrap();
    assert_eq!(store.cluster_id().len(), 22);
    let topic = store.topic("kept").unwrap();
    assert!(store.topic("gone").is_none());
    assert_eq!((topic.partitions, topic.retention_bytes()), (2, Some(3000)));
    assert_eq!(store.notes("room"), [("key".to_owned(), "value".into())]);
    assert_eq!(
        store.watermarks(topic.id, 1),
        Some(Watermarks {
            log_start: 4,
            high: 9,
            stable: 9,
        })
    );
    let mut next = 4;
    while next < 9 {
        for stored in store.read(topic.id, 1, next, 4096).await.unwrap() {
            assert_eq!(stored.base_offset(), next);
            next += 1;
        }
    }
    let found = store.offset_for_timestamp(topic.id, 1, 5006).await.unwrap();
    assert_eq!(found, Some((6, 5006)));
    // The producer goes on: a duplicate is known, a gap is refused, the next is taken.
    let send = async |sequence: i32| {
        let batch = batch(Produce {
            producer: Some((0, 0, sequence)),
            ..Produce::default()
        });
        let ticket = store.append(topic.id, 1, batch).await.unwrap();
        ticket.await.map(|appended| appended.base_offset)
    };
    assert_eq!(send(8).await.unwrap(), 8);
    assert!(matches!(
        send(10).await,
        Err(AppendError::OutOfOrderSequence { expected: 9, .. })
    ));
    assert_eq!(send(9).await.unwrap(), 9);
    assert_eq!(store.allocate_producer_id().await.unwrap(), (1, 0));
    store.shutdown().await.unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[tokio::test]
async fn every_log_that_was_ever_written_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let now = directory.path().join("now");
    write(&directory.path().join("live"), &now).await;
    if let Some(name) = std::env::var_os("FLETCH_STORE_WRITE_LOG") {
        copy(&now, &logs().join(name));
    }
    let kept = std::fs::read_dir(logs()).unwrap();
    let kept: Vec<PathBuf> = kept.map(|log| log.unwrap().path()).collect();
    assert!(!kept.is_empty());
    for log in kept {
        let copied = directory.path().join(log.file_name().unwrap());
        copy(&log, &copied);
        check(&copied).await;
    }
    check(&now).await;
}
