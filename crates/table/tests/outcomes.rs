//! What becomes of records that can't be read, where a topic says so, and of those that break the
//! decoder.

mod common;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use common::*;
use fletch_table::dead_letter as dl;
use fletch_table::faults::Faults;
use fletch_wire::records::{BatchBuilder, Compression};

fn raw(rows: &[RecordBatch]) -> Vec<(i64, Vec<u8>)> {
    let mut found = vec![];
    for batch in rows {
        let values = batch
            .column_by_name("kafka_raw")
            .unwrap()
            .as_binary::<i32>();
        for (row, (_, offset)) in unsorted_places(batch).into_iter().enumerate() {
            if values.is_valid(row) {
                found.push((offset, values.value(row).to_vec()));
            }
        }
    }
    found.sort_unstable();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_kept_raw_where_the_topic_says_so() {
    let server = Server::start().await;
    let configs = [
        ("fletch.format", "avro"),
        ("fletch.key.format", "avro"),
        ("fletch.on_invalid", "raw"),
    ];
    server.registry.add(5, r#""long""#);
    let topic = server.topic_with("events", 1, &configs).await;
    let mut trailing = event(1, 3);
    trailing.push(0);
    let mut key = frame(5);
    long(&mut key, 7);
    let values = [
        (Some(event(1, 0)), Some(key.clone())),
        (Some(b"no frame".to_vec()), Some(key.clone())),
        (None, None),
        (Some(trailing.clone()), Some(key.clone())),
        (Some(event(1, 4)), Some(b"no frame".to_vec())),
        (Some(event(99, 5)), Some(frame(5))),
    ];
    let mut builder = BatchBuilder::new(Compression::None);
    for (value, key) in &values {
        builder
            .append(0, key.as_deref(), value.as_deref(), &[])
            .unwrap();
    }
    server.produce(&topic, 0, builder.finish().unwrap()).await;
    server.tables.flush("events").await.unwrap();
    let rows = server.rows("events").await;
    assert_eq!(places(&rows), all(0, 0..6));
    let expected = [(1, b"no frame".to_vec()), (3, trailing), (5, event(99, 5))];
    assert_eq!(raw(&rows), expected);
    let users: Vec<_> = ints(&rows, "user_id")
        .into_iter()
        .map(|(_, id)| id)
        .collect();
    assert_eq!(users, [Some(0), None, None, None, Some(4), None]);
    let mut keys = vec![];
    for batch in &rows {
        let values = batch.column_by_name("kafka_key_value").unwrap();
        let values = values.as_primitive::<arrow_array::types::Int64Type>();
        keys.extend(
            (0..batch.num_rows()).map(|row| values.is_valid(row).then(|| values.value(row))),
        );
    }
    assert_eq!(keys, [Some(7), Some(7), None, Some(7), None, None]);
    assert!(server.records("events.dead-letters").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_breaks_the_decoder_costs_no_other() {
    let poison = |value: &[u8]| {
        assert!(
            !value.starts_with(b"poison"),
            "poisoned, as the test wants it"
        )
    };
    let server = Server::start_with(|config| {
        config.commit_interval = std::time::Duration::from_millis(100);
        config.faults = Faults::looking(Arc::new(poison));
    })
    .await;
    let topic = server.topic("events", 2).await;
    let bad = [7, 100, 101, 299];
    let values: Vec<_> = (0..300)
        .map(|n| {
            Some(if bad.contains(&n) {
                b"poison".to_vec()
            } else {
                event(1, n)
            })
        })
        .collect();
    for chunk in values.chunks(60) {
        server.produce(&topic, 0, batch(chunk)).await;
    }
    server.events(&topic, 1, 0..50).await;
    server.tables.flush("events").await.unwrap();
    let mut expected: Vec<_> = all(0, 0..300);
    expected.retain(|(_, offset)| !bad.contains(&(*offset as i32)));
    expected.extend(all(1, 0..50));
    assert_eq!(places(&server.rows("events").await), expected);
    let dead = server.records("events.dead-letters").await;
    let offsets: Vec<_> = dead
        .iter()
        .map(|d| d.header(dl::HEADER_OFFSET).unwrap())
        .collect();
    assert_eq!(offsets, ["7", "100", "101", "299"]);
    for letter in &dead {
        assert_eq!(letter.value.as_deref(), Some(&b"poison"[..]));
        assert_eq!(
            letter.header(dl::HEADER_REASON).as_deref(),
            Some("internal")
        );
        assert_eq!(letter.header(dl::HEADER_DECODER), None);
    }
    assert!(server.tables.status()[0].error.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_refused_before_it_is_stored_where_the_topic_says_so() {
    let server = Server::start().await;
    let configs = [("fletch.on_invalid", "reject")];
    let topic = server.topic_with("events", 1, &configs).await;
    let check = |values: &[Option<Vec<u8>>]| {
        let records = batch(values)
            .records(&fletch_wire::Limits::default())
            .unwrap();
        let (tables, topic) = (server.tables.clone(), topic.clone());
        async move {
            let found = tables.check(&topic, records).await.unwrap();
            found
                .into_iter()
                .map(|invalid| (invalid.record, invalid.message))
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(check(&[Some(event(1, 0)), None]).await, []);
    let mut trailing = event(1, 1);
    trailing.push(0);
    // What comes later needs a column that the table gets by it, and is checked with that.
    let json = br#"{"extra":1}"#.to_vec();
    let found = check(&[
        Some(trailing),
        Some(json),
        Some(event(99, 2)),
        Some(event(1, 3)),
        Some(event(1, 4)[..6].to_vec()),
    ])
    .await;
    let records: Vec<_> = found.iter().map(|(record, _)| *record).collect();
    assert_eq!(records, [0, 2, 4]);
    for ((_, message), words) in
        found
            .iter()
            .zip(["1 bytes too many", "has no schema 99", "timestamp"])
    {
        assert!(message.contains(words), "{message}");
    }
    // Columns that were asked for are kept in mind: another type of them is refused.
    server.registry.add(
        2,
        r#"{"type":"record","name":"E","fields":[{"name":"extra","type":"boolean"}]}"#,
    );
    let mut other = frame(2);
    other.push(1);
    let found = check(&[Some(other)]).await;
    assert!(
        found[0].1.starts_with("incompatible_schema at extra"),
        "{found:?}"
    );
    // Others aren't looked at.
    let topic = server.topic("others", 1).await;
    let records = batch(&[Some(event(99, 0))])
        .records(&fletch_wire::Limits::default())
        .unwrap();
    assert_eq!(server.tables.check(&topic, records).await.unwrap(), []);
    server
        .registry
        .away
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let topic = server.topic_with("away", 1, &configs).await;
    let records = batch(&[Some(event(1, 0))])
        .records(&fletch_wire::Limits::default())
        .unwrap();
    let error = server.tables.check(&topic, records).await.unwrap_err();
    assert!(
        matches!(error, fletch_table::TableError::NoRegistry),
        "{error}"
    );
}
