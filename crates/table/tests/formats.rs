//! Records in every format, and what is found out about those that don't say.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use common::*;
use fletch_table::dead_letter as dl;
use fletch_table::{SchemaKind, SchemaText};
use fletch_wire::records::{BatchBuilder, Compression};

/// Texts of a column by offset; of an old file that lacks it, none.
fn texts(rows: &[RecordBatch], column: &str) -> BTreeMap<i64, Option<String>> {
    let mut texts = BTreeMap::new();
    for batch in rows {
        let values = batch.column_by_name(column);
        for (row, (_, offset)) in unsorted_places(batch).into_iter().enumerate() {
            let text = values.and_then(|values| {
                let values = values.as_string::<i32>();
                values.is_valid(row).then(|| values.value(row).to_owned())
            });
            texts.insert(offset, text);
        }
    }
    texts
}

fn present(texts: BTreeMap<i64, Option<String>>) -> Vec<(i64, String)> {
    let present = texts.into_iter();
    present.filter_map(|(at, text)| Some((at, text?))).collect()
}

fn bytes(rows: &[RecordBatch], column: &str) -> Vec<(i64, Vec<u8>)> {
    let mut found = vec![];
    for batch in rows {
        let Some(values) = batch.column_by_name(column) else {
            continue;
        };
        let values = values.as_binary::<i32>();
        for (row, (_, offset)) in unsorted_places(batch).into_iter().enumerate() {
            if values.is_valid(row) {
                found.push((offset, values.value(row).to_vec()));
            }
        }
    }
    found.sort_unstable();
    found
}

fn columns(rows: &[RecordBatch]) -> Vec<String> {
    let fields = rows.last().unwrap().schema();
    fields.fields().iter().map(|f| f.name().clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_record_does_not_say_is_found_out_and_told() {
    let server = Server::start().await;
    let topic = server.topic("mixed", 1).await;
    let values = [
        Some(b"a line".to_vec()),
        Some(event(1, 7)),
        None,
        Some(b"\xff\x00\x01".to_vec()),
        Some("é".into()),
        Some(vec![]),
        Some(event(1, 8)),
        Some(vec![0, 0, 0, 0]),
    ];
    server.produce(&topic, 0, batch(&values)).await;
    server.tables.flush("mixed").await.unwrap();
    let rows = server.rows("mixed").await;
    assert_eq!(places(&rows), all(0, 0..8));
    let formats: Vec<_> = texts(&rows, "kafka_format").into_values().collect();
    let expected = [
        Some("text"),
        Some("avro"),
        None,
        Some("binary"),
        Some("text"),
        Some("text"),
        Some("avro"),
        // Four zero bytes are text, too, strange as it is.
        Some("text"),
    ];
    assert_eq!(formats, expected.map(|word| word.map(str::to_owned)));
    let present = present(texts(&rows, "value"));
    let expected = [(0, "a line"), (4, "é"), (5, ""), (7, "\0\0\0\0")];
    assert_eq!(present, expected.map(|(at, text)| (at, text.to_owned())));
    assert_eq!(bytes(&rows, "value_bytes"), [(3, b"\xff\x00\x01".to_vec())]);
    let users = ints(&rows[1..], "user_id");
    let users: Vec<_> = users
        .into_iter()
        .filter_map(|((_, at), id)| Some((at, id?)))
        .collect();
    assert_eq!(users, [(1, 7), (6, 8)]);
    assert!(server.records("mixed.dead-letters").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn text_and_bytes_have_a_column_whatever_the_table_has() {
    let server = Server::start().await;
    server.registry.add(
        2,
        r#"{"type":"record","name":"R","fields":[{"name":"value","type":"int"},{"name":"value_text","type":"int"}]}"#,
    );
    let topic = server.topic("taken", 1).await;
    let mut framed = frame(2);
    long(&mut framed, 70);
    long(&mut framed, 71);
    let values = [Some(framed), Some(b"words".to_vec()), Some(vec![0xff])];
    server.produce(&topic, 0, batch(&values)).await;
    server.tables.flush("taken").await.unwrap();
    let rows = server.rows("taken").await;
    assert_eq!(
        present(texts(&rows[1..], "value_text_")),
        [(1, "words".to_owned())]
    );
    assert_eq!(bytes(&rows, "value_bytes"), [(2, vec![0xff])]);
    assert!(server.records("taken.dead-letters").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_format_takes_nothing_else() {
    let server = Server::start().await;
    for (format, good, bad) in [
        ("text", &b"{\"a\":1}"[..], &b"ab\xff"[..]),
        ("binary", b"\0\0\0\0\x01", b""),
        ("avro", &event(1, 3), b"{}"),
    ] {
        let config = [("fletch.format", format)];
        let topic = server.topic_with(format, 1, &config).await;
        let values = [Some(good.to_vec()), Some(bad.to_vec())];
        server.produce(&topic, 0, batch(&values)).await;
        server.tables.flush(format).await.unwrap();
        let rows = server.rows(format).await;
        let dead = server.records(&format!("{format}.dead-letters")).await;
        let formats = present(texts(&rows, "kafka_format"));
        if format == "binary" {
            assert_eq!(bytes(&rows, "value"), [(0, good.to_vec()), (1, vec![])]);
            assert!(dead.is_empty());
            continue;
        }
        assert_eq!(formats, [(0, format.to_owned())]);
        assert_eq!((dead.len(), dead[0].value.as_deref()), (1, Some(bad)));
        let (reason, words) = match format {
            "text" => ("invalid_value", "at byte 2"),
            _ => ("not_framed", "the topic's format is avro"),
        };
        assert_eq!(dead[0].header(dl::HEADER_REASON).as_deref(), Some(reason));
        let decoder = dead[0].header(dl::HEADER_DECODER).unwrap();
        assert_eq!(decoder, format!("value.{format}"));
        let message = dead[0].header(dl::HEADER_MESSAGE).unwrap();
        assert!(message.contains(words), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_frame_the_topic_says_the_subject_and_headers_say_the_schema() {
    let server = Server::start().await;
    let text = SchemaText {
        id: Some(77),
        kind: SchemaKind::Avro,
        text: EVENT.into(),
        references: vec![],
    };
    let guid = uuid::Uuid::from_u128(0x8979_1762_2336_4186_9674_299b_90a8_02e2);
    server.registry.add_latest("events-value", text.clone());
    server.registry.add_guid(guid, text);
    let configs = [
        ("fletch.format", "avro"),
        ("fletch.format.subject", "events-value"),
    ];
    let topic = server.topic_with("bare", 1, &configs).await;
    let body = event(1, 5)[5..].to_vec();
    let cut = body[..4].to_vec();
    server
        .produce(&topic, 0, batch(&[Some(body.clone()), Some(cut)]))
        .await;
    server.tables.flush("bare").await.unwrap();
    let rows = server.rows("bare").await;
    assert_eq!(ints(&rows, "user_id"), [((0, 0), Some(5))]);
    assert_eq!(ints(&rows, "kafka_schema_id"), [((0, 0), Some(77))]);
    let dead = server.records("bare.dead-letters").await;
    let message = dead[0].header(dl::HEADER_MESSAGE).unwrap();
    assert!(message.ends_with("at byte 0"), "{message}");

    let topic = server.topic("carried", 1).await;
    let mut builder = BatchBuilder::new(Compression::None);
    let mut by_guid = vec![1];
    by_guid.extend_from_slice(guid.as_bytes());
    for named in [&by_guid[..], &[0, 0, 0, 0, 1]] {
        let headers = [(&b"__value_schema_id"[..], Some(named))];
        builder.append(0, None, Some(&body), &headers).unwrap();
    }
    server.produce(&topic, 0, builder.finish().unwrap()).await;
    server.tables.flush("carried").await.unwrap();
    let rows = server.rows("carried").await;
    let ids = [((0, 0), Some(77)), ((0, 1), Some(1))];
    assert_eq!(ints(&rows, "kafka_schema_id"), ids);
    assert_eq!(
        ints(&rows, "user_id"),
        [((0, 0), Some(5)), ((0, 1), Some(5))]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_typed_when_asked_for() {
    let server = Server::start().await;
    server.registry.add(5, r#""long""#);
    let topic = server
        .topic_with("keyed", 1, &[("fletch.key.format", "auto")])
        .await;
    let mut number = frame(5);
    long(&mut number, 12);
    let mut cut = frame(5);
    cut.push(0x80);
    let keys: [Option<&[u8]>; 5] = [
        Some(&number),
        Some(b"plain"),
        None,
        Some(&cut),
        Some(&number),
    ];
    let mut builder = BatchBuilder::new(Compression::None);
    for (at, key) in keys.iter().enumerate() {
        let value = event(1, at as i32);
        builder.append(0, *key, Some(&value), &[]).unwrap();
    }
    server.produce(&topic, 0, builder.finish().unwrap()).await;
    server.tables.flush("keyed").await.unwrap();
    let rows = server.rows("keyed").await;
    assert_eq!(places(&rows), [(0, 0), (0, 1), (0, 2), (0, 4)]);
    let mut typed = vec![];
    for batch in &rows {
        let values = batch.column_by_name("kafka_key_value").unwrap();
        let values = values.as_primitive::<arrow_array::types::Int64Type>();
        for (row, (_, at)) in unsorted_places(batch).into_iter().enumerate() {
            typed.push((at, values.is_valid(row).then(|| values.value(row))));
        }
    }
    assert_eq!(typed, [(0, Some(12)), (1, None), (2, None), (4, Some(12))]);
    assert_eq!(
        present(texts(&rows[1..], "kafka_key_value_text")),
        [(1, "plain".to_owned())]
    );
    let raw: Vec<_> = bytes(&rows, "kafka_key")
        .into_iter()
        .map(|(_, key)| key)
        .collect();
    assert_eq!(raw, [number.clone(), b"plain".to_vec(), number]);
    let dead = server.records("keyed.dead-letters").await;
    assert_eq!(dead[0].key.as_deref(), Some(&cut[..]));
    assert_eq!(
        dead[0].header(dl::HEADER_PATH).as_deref(),
        Some("kafka_key_value")
    );
    assert_eq!(
        dead[0].header(dl::HEADER_DECODER).as_deref(),
        Some("key.avro")
    );
    let message = dead[0].header(dl::HEADER_MESSAGE).unwrap();
    assert!(message.ends_with("at byte 5"), "{message}");

    // Where keys aren't asked for, they are bytes.
    let topic = server.topic("unkeyed", 1).await;
    let mut builder = BatchBuilder::new(Compression::None);
    builder
        .append(0, Some(b"\x00"), Some(&event(1, 0)), &[])
        .unwrap();
    server.produce(&topic, 0, builder.finish().unwrap()).await;
    server.tables.flush("unkeyed").await.unwrap();
    let rows = server.rows("unkeyed").await;
    assert!(!columns(&rows).contains(&"kafka_key_value".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_may_have_no_table() {
    let server = Server::start().await;
    let topic = server
        .topic_with("log-only", 1, &[("fletch.table", "false")])
        .await;
    server.events(&topic, 0, 0..3).await;
    server.tables.flush("log-only").await.unwrap_err();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(server.metadata("log-only").await.is_none());
    assert!(server.tables.status().is_empty());
}

/// A table from before a lineage column was thought of gets it, and its old rows stay.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_table_gains_the_columns_it_lacks() {
    let server = Server::start().await;
    let topic = server.topic("events", 1).await;
    server.events(&topic, 0, 0..2).await;
    server.tables.flush("events").await.unwrap();
    server.tables.shutdown().await;
    let table = load(&server.config, "events").await.unwrap();
    let location = table
        .metadata_location()
        .unwrap()
        .trim_start_matches("file://")
        .to_owned();
    let text = std::fs::read_to_string(&location).unwrap();
    let mut metadata: serde_json::Value = serde_json::from_str(&text).unwrap();
    for schema in metadata["schemas"].as_array_mut().unwrap() {
        let fields = schema["fields"].as_array_mut().unwrap();
        let before = fields.len();
        fields.retain(|field| field["name"] != "kafka_format");
        assert_eq!(fields.len(), before - 1);
    }
    std::fs::write(&location, metadata.to_string()).unwrap();
    let server = server.crash_and_restart().await;
    let topic = server
        .store
        .topic("events")
        .map(|topic| Arc::clone(&topic))
        .unwrap();
    server.events(&topic, 0, 2..4).await;
    server.tables.flush("events").await.unwrap();
    let metadata = server.metadata("events").await.unwrap();
    let added = metadata
        .current_schema()
        .field_by_name("kafka_format")
        .unwrap();
    assert!(!added.required);
    let rows = server.rows("events").await;
    assert_eq!(places(&rows), all(0, 0..4));
    assert!(server.tables.status()[0].error.is_none());
}
