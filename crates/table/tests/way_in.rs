//! From a topic's log into its table.

mod common;

use std::time::Duration;

use common::*;
use fletch_wire::records::{BatchBuilder, Compression};

#[tokio::test(flavor = "multi_thread")]
async fn records_become_rows_at_their_offsets() {
    let server = Server::start().await;
    let topic = server.topic("events", 3).await;
    for partition in 0..3 {
        for round in 0..10 {
            server
                .events(&topic, partition, round * 100..(round + 1) * 100)
                .await;
        }
    }
    server.tables.flush("events").await.unwrap();
    let rows = server.rows("events").await;
    let expected: Vec<_> = (0..3)
        .flat_map(|partition| all(partition, 0..1000))
        .collect();
    assert_eq!(places(&rows), expected);
    for ((_, offset), user) in ints(&rows, "user_id") {
        assert_eq!(user, Some(offset as i32));
    }
    assert!(
        ints(&rows, "kafka_schema_id")
            .iter()
            .all(|(_, id)| *id == Some(1))
    );
    let status = server.tables.status();
    assert_eq!(
        (status.len(), status[0].lag_records, status[0].lag_ms),
        (1, 0, 0),
        "{status:?}"
    );
    server.tables.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_being_asked_records_are_committed_within_the_interval() {
    let server = Server::start().await;
    let topic = server.topic("events", 1).await;
    server.events(&topic, 0, 0..10).await;
    let started = std::time::Instant::now();
    while server.rows("events").await.is_empty() {
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "nothing committed"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(places(&server.rows("events").await), all(0, 0..10));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_headers_timestamps_and_tombstones() {
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::TimestampMicrosecondType;
    let server = Server::start().await;
    let topic = server.topic("events", 1).await;
    let mut builder = BatchBuilder::new(Compression::Zstd);
    builder
        .append(5, Some(b"k\xff"), Some(&event(1, 7)), &[])
        .unwrap();
    builder
        .append(
            6,
            None,
            None,
            &[
                ("a".as_ref(), Some(b"1")),
                ("b".as_ref(), None),
                ("a".as_ref(), Some(b"")),
            ],
        )
        .unwrap();
    builder
        .append(-1, Some(b""), Some(&event(1, 9)), &[])
        .unwrap();
    server.produce(&topic, 0, builder.finish().unwrap()).await;
    server.tables.flush("events").await.unwrap();
    let rows = server.rows("events").await;
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    let keys = row.column_by_name("kafka_key").unwrap().as_binary::<i32>();
    assert_eq!(
        (keys.value(0), keys.is_null(1), keys.value(2)),
        (&b"k\xff"[..], true, &b""[..])
    );
    assert!(keys.is_valid(2));
    let times = row.column_by_name("kafka_timestamp").unwrap();
    let times = times.as_primitive::<TimestampMicrosecondType>();
    assert_eq!(
        (times.value(0), times.value(1), times.is_null(2)),
        (5000, 6000, true)
    );
    let headers = row
        .column_by_name("kafka_headers")
        .unwrap()
        .as_list::<i32>();
    assert_eq!(
        (
            headers.value_length(0),
            headers.value_length(1),
            headers.value_length(2)
        ),
        (0, 3, 0)
    );
    assert!(headers.is_valid(0));
    let second = headers.value(1);
    let names = second.as_struct().column(0).as_string::<i32>();
    let values = second.as_struct().column(1).as_binary::<i32>();
    assert_eq!(
        (names.value(0), names.value(1), names.value(2)),
        ("a", "b", "a")
    );
    assert_eq!(
        (values.value(0), values.is_null(1), values.value(2)),
        (&b"1"[..], true, &b""[..])
    );
    assert!(values.is_valid(2));
    let users: Vec<_> = ints(&rows, "user_id")
        .into_iter()
        .map(|(_, user)| user)
        .collect();
    assert_eq!(users, [Some(7), None, Some(9)]);
    let ids: Vec<_> = ints(&rows, "kafka_schema_id")
        .into_iter()
        .map(|(_, id)| id)
        .collect();
    assert_eq!(ids, [Some(1), None, Some(1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_where_the_table_ends() {
    let mut server = Server::start().await;
    let topic = server.topic("events", 2).await;
    for round in 0..5 {
        server.events(&topic, 0, 0..500).await;
        server.events(&topic, 1, 0..300).await;
        if round % 2 == 0 {
            server.tables.flush("events").await.unwrap();
        }
        server = server.crash_and_restart().await;
    }
    server.tables.flush("events").await.unwrap();
    let mut expected = all(0, 0..2500);
    expected.extend(all(1, 0..1500));
    assert_eq!(places(&server.rows("events").await), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_commits_what_was_acknowledged() {
    let server =
        Server::start_with(|config| config.commit_interval = Duration::from_secs(600)).await;
    let topic = server.topic("events", 1).await;
    server.events(&topic, 0, 0..100).await;
    // Seen by a worker, which will wait ten minutes for more.
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.tables.shutdown().await;
    assert_eq!(places(&server.rows("events").await), all(0, 0..100));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_partitions_share_files_in_order() {
    let server = Server::start().await;
    let topic = server.topic("wide", 1000).await;
    let mut tickets = vec![];
    for _ in 0..2 {
        for partition in 0..1000 {
            let batch = batch(&[Some(event(1, partition)), Some(event(1, partition))]);
            let appended = server
                .store
                .append(topic.id, partition, batch.into_bytes())
                .await;
            tickets.push(appended.unwrap());
        }
    }
    for ticket in tickets {
        ticket.await.unwrap();
    }
    server.tables.flush("wide").await.unwrap();
    let rows = server.rows("wide").await;
    let expected: Vec<_> = (0..1000)
        .flat_map(|partition| all(partition, 0..4))
        .collect();
    assert_eq!(places(&rows), expected);
    let files = files(&server.config, "wide").await.len();
    assert!(files < 30, "{files} files for {} rows", expected.len());
    let server = server.crash_and_restart().await;
    server.events(&topic, 999, 0..1).await;
    server.tables.flush("wide").await.unwrap();
    assert_eq!(places(&server.rows("wide").await).len(), 4001);
}
