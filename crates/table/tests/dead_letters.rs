//! Records that can't become rows, and schemas that aren't there.

mod common;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use common::*;
use fletch_table::dead_letter as dl;
use fletch_table::faults::{Faults, Step};
use fletch_table::{SchemaKind, SchemaText};
use fletch_wire::records::{BatchBuilder, Compression};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A topic of nothing but framed Avro: whatever else is sent is a mistake.
const AVRO: &[(&str, &str)] = &[("fletch.format", "avro")];

#[tokio::test(flavor = "multi_thread")]
async fn each_is_kept_byte_for_byte_with_the_reason() {
    let server = Server::start().await;
    let protobuf = SchemaText {
        id: None,
        kind: SchemaKind::Protobuf,
        text: "x".into(),
        references: vec![],
    };
    server.registry.add_text(2, protobuf);
    server.registry.add(3, "{not json");
    server.registry.add(
        4,
        r#"{"type":"record","name":"Event","fields":[{"name":"event","type":"int"}]}"#,
    );
    let topic = server.topic_with("events", 1, AVRO).await;
    let mut builder = BatchBuilder::new(Compression::Gzip);
    let mut trailing = event(1, 5);
    trailing.push(0);
    let values: Vec<(Vec<u8>, &str)> = vec![
        (event(1, 0), ""),
        (b"plain text".to_vec(), "not_framed"),
        (vec![], "not_framed"),
        (event(1, 3), ""),
        (event(99, 4), "unknown_schema"),
        (trailing, "invalid_value"),
        (event(1, 6)[..8].to_vec(), "invalid_value"),
        (event(2, 7), "unsupported_schema"),
        (event(3, 8), "invalid_schema"),
        (event(4, 9), "incompatible_schema"),
        (event(1, 10), ""),
    ];
    for (at, (value, _)) in values.iter().enumerate() {
        let headers: [(&[u8], Option<&[u8]>); 2] = [(b"mine", Some(b"\xff")), (b"mine", None)];
        builder
            .append(at as i64, Some(b"key"), Some(value), &headers)
            .unwrap();
    }
    server.produce(&topic, 0, builder.finish().unwrap()).await;
    server.tables.flush("events").await.unwrap();
    assert_eq!(
        places(&server.rows("events").await),
        [(0, 0), (0, 3), (0, 10)]
    );
    let dead = server.records("events.dead-letters").await;
    let expected: Vec<_> = values
        .iter()
        .enumerate()
        .filter(|(_, (_, why))| !why.is_empty())
        .collect();
    assert_eq!(dead.len(), expected.len());
    let mut dead = dead;
    dead.sort_by_key(|letter| {
        letter
            .header(dl::HEADER_OFFSET)
            .unwrap()
            .parse::<i64>()
            .unwrap()
    });
    for (letter, (offset, (value, why))) in dead.iter().zip(expected) {
        assert_eq!(letter.value.as_ref(), Some(value));
        assert_eq!(letter.key.as_deref(), Some(&b"key"[..]));
        assert_eq!(letter.headers[0], ("mine".into(), Some(b"\xff".to_vec())));
        assert_eq!(letter.headers[1], ("mine".into(), None));
        assert_eq!(letter.header(dl::HEADER_REASON).as_deref(), Some(*why));
        assert_eq!(letter.header(dl::HEADER_OFFSET), Some(offset.to_string()));
        assert_eq!(letter.header(dl::HEADER_PARTITION).as_deref(), Some("0"));
        assert_eq!(letter.header(dl::HEADER_TOPIC).as_deref(), Some("events"));
        let framed = *why != "not_framed";
        assert_eq!(letter.header(dl::HEADER_SCHEMA_ID).is_some(), framed);
        let decoder = letter.header(dl::HEADER_DECODER);
        let format = match *why {
            "unsupported_schema" => "value.protobuf",
            _ => "value.avro",
        };
        assert_eq!(decoder.as_deref(), Some(format));
        assert!(!letter.header(dl::HEADER_MESSAGE).unwrap().is_empty());
    }
    assert_eq!(server.tables.status()[0].dead_letters, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn they_have_a_table_that_says_why_and_no_dead_letters_of_their_own() {
    let server = Server::start().await;
    let topic = server.topic_with("events", 1, AVRO).await;
    let mut builder = BatchBuilder::new(Compression::Gzip);
    let values = [event(1, 0), b"plain".to_vec(), event(99, 2), event(1, 3)];
    for (at, value) in values.iter().enumerate() {
        // The last record has a header whose key isn't text.
        let key: &[u8] = if at == 3 { b"\xff" } else { b"mine" };
        let headers: [(&[u8], Option<&[u8]>); 1] = [(key, Some(b"h"))];
        builder
            .append(at as i64, Some(b"key"), Some(value), &headers)
            .unwrap();
    }
    server.produce(&topic, 0, builder.finish().unwrap()).await;
    server.tables.flush("events").await.unwrap();
    // Whatever somebody else writes there, and whatever its configs say.
    let letters = server.store.topic("events.dead-letters").unwrap();
    let configs = [("fletch.format", "avro"), ("fletch.on_invalid", "reject")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let configured = server.store.configure_topic(&letters.name, configs.into());
    configured.await.unwrap();
    server
        .produce(&letters, 0, batch(&[Some(b"stranger".to_vec()), None]))
        .await;
    server.tables.flush("events.dead-letters").await.unwrap();

    let rows = server.rows("events.dead-letters").await;
    assert_eq!(places(&rows), all(0, 0..5));
    let text = |name: &str| {
        let mut found = vec![];
        for batch in &rows {
            let texts = batch.column_by_name(name).unwrap().as_string::<i32>();
            for (row, (_, offset)) in unsorted_places(batch).into_iter().enumerate() {
                found.push((
                    offset,
                    texts.is_valid(row).then(|| texts.value(row).to_owned()),
                ));
            }
        }
        found.sort_unstable();
        found.into_iter().map(|(_, text)| text).collect::<Vec<_>>()
    };
    let mut reasons = text("reason");
    assert_eq!(reasons.split_off(3), [None, None]);
    reasons.sort_unstable();
    let expected = ["invalid_header", "not_framed", "unknown_schema"];
    assert_eq!(reasons, expected.map(|reason| Some(reason.to_owned())));
    let mut decoders = text("decoder");
    decoders.sort_unstable();
    let avro = || Some("value.avro".to_owned());
    assert_eq!(decoders, [None, None, None, avro(), avro()]);
    assert_eq!(text("source_topic")[0].as_deref(), Some("events"));
    assert_eq!(text("source_topic_id")[0], Some(topic.id.to_string()));
    assert!(text("message")[..3].iter().all(Option::is_some));
    let mut letters = vec![];
    for batch in &rows {
        let longs = batch.column_by_name("source_offset").unwrap();
        let longs = longs.as_primitive::<Int64Type>();
        let ids = batch.column_by_name("source_schema_id").unwrap();
        let ids = ids.as_primitive::<Int32Type>();
        let values = batch.column_by_name("value").unwrap().as_binary::<i32>();
        let keys = batch
            .column_by_name("kafka_key")
            .unwrap()
            .as_binary::<i32>();
        for row in (0..batch.num_rows()).filter(|row| longs.is_valid(*row)) {
            let id = ids.is_valid(row).then(|| ids.value(row));
            assert_eq!(keys.value(row), b"key");
            letters.push((longs.value(row), id, values.value(row).to_vec()));
        }
    }
    letters.sort_unstable();
    let expected = [
        (1, None, values[1].clone()),
        (2, Some(99), values[2].clone()),
        (3, None, values[3].clone()),
    ];
    assert_eq!(letters, expected);
    assert!(
        server
            .store
            .topic("events.dead-letters.dead-letters")
            .is_none()
    );
    let metadata = server.metadata("events.dead-letters").await.unwrap();
    assert!(
        metadata
            .current_schema()
            .field_by_name("source_partition")
            .is_some()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_waits_for_their_table_too() {
    let held = Arc::new(AtomicBool::new(true));
    let hook = held.clone();
    let server = Server::start_with(|config| {
        config.commit_interval = Duration::from_millis(50);
        config.faults = Faults::new(Arc::new(move |topic, at| {
            topic == "events.dead-letters"
                && at == Step::DataFileWritten
                && hook.load(Ordering::SeqCst)
        }));
    })
    .await;
    let letters = server
        .topic_with("events.dead-letters", 1, &[("retention.ms", "1000")])
        .await;
    let topic = server.topic_with("events", 1, AVRO).await;
    let log_start = |letters: uuid::Uuid| server.store.watermarks(letters, 0).unwrap().log_start;
    for _ in 0..2 {
        server
            .produce(&topic, 0, batch(&[Some(vec![9]), Some(vec![9])]))
            .await;
        server.tables.flush("events").await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    // The source has no more use for them; their table has none of them yet.
    let far = i64::MAX / 2;
    server.store.apply_retention(far).await.unwrap();
    assert_eq!(log_start(letters.id), 0);
    held.store(false, Ordering::SeqCst);
    server.tables.flush("events.dead-letters").await.unwrap();
    server.store.apply_retention(far).await.unwrap();
    assert_eq!(log_start(letters.id), 4);
    assert_eq!(
        places(&server.rows("events.dead-letters").await),
        all(0, 0..4)
    );

    // Without a table nobody waits for that.
    let configs = [("retention.ms", "1000"), ("fletch.table", "false")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let configured = server.store.configure_topic(&letters.name, configs.into());
    configured.await.unwrap();
    server.produce(&topic, 0, batch(&[Some(vec![9])])).await;
    server.tables.flush("events").await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    server.store.apply_retention(far).await.unwrap();
    assert_eq!(log_start(letters.id), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn none_is_written_twice_when_a_crash_comes_between() {
    for step in [
        Step::DeadLetters,
        Step::DeadLettersWritten,
        Step::MetadataWritten,
        Step::Swapped,
    ] {
        let broken = Arc::new(AtomicBool::new(false));
        let hook = broken.clone();
        let server = Server::start_with(|config| {
            config.commit_interval = Duration::from_millis(50);
            config.faults = Faults::new(Arc::new(move |_, at| {
                at == step && hook.load(Ordering::SeqCst)
            }));
        })
        .await;
        let topic = server.topic_with("events", 1, AVRO).await;
        let values: Vec<_> = (0..50)
            .map(|n| {
                Some(if n % 5 == 0 {
                    vec![9, n as u8]
                } else {
                    event(1, n)
                })
            })
            .collect();
        server.produce(&topic, 0, batch(&values)).await;
        server.tables.flush("events").await.unwrap();
        broken.store(true, Ordering::SeqCst);
        server.produce(&topic, 0, batch(&values)).await;
        let deadline = Instant::now() + Duration::from_secs(10);
        while server.tables.status()[0].error.is_none() {
            assert!(Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let server = server
            .crash_and_restart_with(|config| config.faults = Faults::default())
            .await;
        server.produce(&topic, 0, batch(&values)).await;
        server.tables.flush("events").await.unwrap();
        let good: Vec<_> = (0..150).filter(|n| n % 5 != 0).map(|n| (0, n)).collect();
        assert_eq!(places(&server.rows("events").await), good, "{step:?}");
        let dead = server.records("events.dead-letters").await;
        let offsets: Vec<i64> = dead
            .iter()
            .map(|d| d.header(dl::HEADER_OFFSET).unwrap().parse().unwrap())
            .collect();
        assert_eq!(
            offsets,
            (0..30).map(|n| n * 5).collect::<Vec<_>>(),
            "{step:?}"
        );
    }
}

/// Dead letters are compressed here, and better than anybody may send them.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_compressed_very_well_is_one_like_any_other() {
    let broken = Arc::new(AtomicBool::new(true));
    let hook = broken.clone();
    let server = Server::start_with(|config| {
        config.commit_interval = Duration::from_millis(50);
        config.faults = Faults::new(Arc::new(move |topic, at| {
            topic == "events" && at == Step::MetadataWritten && hook.load(Ordering::SeqCst)
        }));
    })
    .await;
    let topic = server.topic_with("events", 1, AVRO).await;
    server
        .produce(&topic, 0, batch(&[Some(vec![9; 4 << 20])]))
        .await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while server
        .tables
        .status()
        .iter()
        .all(|status| status.error.is_none())
    {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let server = server
        .crash_and_restart_with(|config| config.faults = Faults::default())
        .await;
    server.tables.flush("events").await.unwrap();
    assert_eq!(server.records("events.dead-letters").await.len(), 1);
    server.tables.flush("events.dead-letters").await.unwrap();
    let rows = server.rows("events.dead-letters").await;
    assert_eq!(places(&rows), all(0, 0..1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_out_of_reach_holds_records_back_but_loses_none() {
    let server = Server::start().await;
    let topic = server.topic("events", 2).await;
    server.events(&topic, 0, 0..10).await;
    server.tables.flush("events").await.unwrap();
    server.registry.away.store(true, Ordering::SeqCst);
    server.registry.add(7, EVENT);
    // Partition 0 meets an id that isn't known yet; partition 1 goes on with the known one.
    server
        .produce(
            &topic,
            0,
            batch(&[Some(event(1, 10)), Some(event(7, 11)), Some(event(1, 12))]),
        )
        .await;
    server.events(&topic, 1, 0..10).await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    let mut expected = all(0, 0..11);
    expected.extend(all(1, 0..10));
    assert_eq!(places(&server.rows("events").await), expected);
    let status = &server.tables.status()[0];
    assert_eq!(status.lag_records, 2);
    assert_eq!(status.registry.as_deref(), Some("it is away"));
    assert!(status.lag_ms >= 500, "{status:?}");
    server.registry.away.store(false, Ordering::SeqCst);
    server.tables.flush("events").await.unwrap();
    let mut expected = all(0, 0..13);
    expected.extend(all(1, 0..10));
    assert_eq!(places(&server.rows("events").await), expected);
    assert_eq!(server.tables.status()[0].registry, None);
    assert!(server.records("events.dead-letters").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_registered_a_moment_late_is_waited_for_and_made_up_ids_are_not() {
    let server = Server::start().await;
    let topic = server.topic("events", 1).await;
    server.produce(&topic, 0, batch(&[Some(event(5, 0))])).await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    server.registry.add(5, EVENT);
    server.tables.flush("events").await.unwrap();
    assert_eq!(places(&server.rows("events").await), all(0, 0..1));
    // Hundreds of ids that never come cost one wait, not hundreds.
    let values: Vec<_> = (0..300)
        .map(|n| Some(event(1000 + n, 1)))
        .chain([Some(event(5, 301))])
        .collect();
    server.produce(&topic, 0, batch(&values)).await;
    let started = Instant::now();
    server.tables.flush("events").await.unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(server.records("events.dead-letters").await.len(), 300);
    assert_eq!(places(&server.rows("events").await), [(0, 0), (0, 301)]);
}
