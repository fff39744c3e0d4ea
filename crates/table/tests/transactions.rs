//! A table has the records of committed transactions, and only those.

mod common;

use std::time::Duration;

use common::*;
use fletch_store::Topic;
use fletch_wire::records::{BatchBuilder, Compression};

/// A transactional producer, of the first partition.
struct Producer {
    id: i64,
    sequence: i32,
}

impl Producer {
    fn new(id: i64) -> Self {
        Self { id, sequence: 0 }
    }

    /// Appends events in the producer's transaction.
    async fn events(&mut self, server: &Server, topic: &Topic, count: i32) {
        let mut builder = BatchBuilder::new(Compression::Zstd)
            .producer(self.id, 0, self.sequence)
            .transactional();
        for user in 0..count {
            builder.append(1, None, Some(&event(1, user)), &[]).unwrap();
        }
        self.sequence += count;
        server.produce(topic, 0, builder.finish().unwrap()).await;
    }

    async fn end(&self, server: &Server, topic: &Topic, committed: bool) {
        let ended = server
            .store
            .end_transaction(topic.id, 0, (self.id, 0), committed);
        assert!(ended.await.unwrap().is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn aborted_records_and_markers_are_passed_over() {
    let server = Server::start().await;
    let topic = server.topic("events", 1).await;
    let (mut one, mut other) = (Producer::new(1), Producer::new(2));
    server.events(&topic, 0, 0..2).await; // 0, 1
    one.events(&server, &topic, 2).await; // 2, 3
    other.events(&server, &topic, 2).await; // 4, 5
    one.end(&server, &topic, false).await; // 6
    server.events(&topic, 0, 0..1).await; // 7
    other.end(&server, &topic, true).await; // 8
    one.events(&server, &topic, 1).await; // 9
    one.end(&server, &topic, true).await; // 10
    server.tables.flush("events").await.unwrap();
    let expected = [(0, 0), (0, 1), (0, 4), (0, 5), (0, 7), (0, 9)];
    assert_eq!(places(&server.rows("events").await), expected);
    // A flush of nothing but what is passed over gets further too.
    one.events(&server, &topic, 3).await; // 11 to 13
    one.end(&server, &topic, false).await; // 14
    server.tables.flush("events").await.unwrap();
    assert_eq!(server.tables.status()[0].lag_records, 0);
    let server = server.crash_and_restart().await;
    server.events(&topic, 0, 0..1).await; // 15
    server.tables.flush("events").await.unwrap();
    let expected = [&expected[..], &[(0, 15)]].concat();
    assert_eq!(places(&server.rows("events").await), expected);
    assert!(server.records("events.dead-letters").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_waits_for_what_is_not_decided() {
    let server = Server::start().await;
    let topic = server.topic("events", 1).await;
    let mut producer = Producer::new(1);
    server.events(&topic, 0, 0..2).await; // 0, 1
    producer.events(&server, &topic, 2).await; // 2, 3
    server.events(&topic, 0, 0..1).await; // 4
    // What comes after the open transaction waits with it, and a flush doesn't wait for either.
    let flushed = server.tables.flush("events");
    let flushed = tokio::time::timeout(Duration::from_secs(20), flushed).await;
    flushed.expect("a flush that ends").unwrap();
    assert_eq!(places(&server.rows("events").await), all(0, 0..2));
    let server = server.crash_and_restart().await;
    server.tables.flush("events").await.unwrap();
    assert_eq!(places(&server.rows("events").await), all(0, 0..2));
    // The marker alone moves the table on.
    producer.end(&server, &topic, true).await; // 5
    server.tables.flush("events").await.unwrap();
    assert_eq!(places(&server.rows("events").await), all(0, 0..5));
}
