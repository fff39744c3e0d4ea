//! Payloads without a frame, by the schema that their topic names: a file's or a subject's, as it is now.

mod common;

use std::fs;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch};
use common::*;
use fletch_table::dead_letter as dl;
use fletch_table::{SchemaKind, SchemaText, TopicSettings};
use fletch_wire::records::{BatchBuilder, Compression};

/// What a column of text has, by offset.
fn texts(rows: &[RecordBatch], column: &str) -> Vec<(i64, String)> {
    let mut found = vec![];
    for batch in rows {
        let Some(texts) = batch.column_by_name(column) else {
            continue;
        };
        let texts = texts.as_string::<i32>();
        for (row, (_, offset)) in unsorted_places(batch).into_iter().enumerate() {
            if texts.is_valid(row) {
                found.push((offset, texts.value(row).to_owned()));
            }
        }
    }
    found.sort_unstable();
    found
}

fn longs(rows: &[RecordBatch], column: &str) -> Vec<(i64, i64)> {
    let mut found = vec![];
    for batch in rows {
        let Some(longs) = batch.column_by_name(column) else {
            continue;
        };
        let longs = longs.as_primitive::<Int64Type>();
        for (row, (_, offset)) in unsorted_places(batch).into_iter().enumerate() {
            if longs.is_valid(row) {
                found.push((offset, longs.value(row)));
            }
        }
    }
    found.sort_unstable();
    found
}

fn owned(rows: &[(i64, &str)]) -> Vec<(i64, String)> {
    rows.iter()
        .map(|(at, text)| (*at, (*text).to_owned()))
        .collect()
}

async fn with_files(files: &[(&str, &str)]) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let path = folder.path().to_owned();
    let server = Server::start_with(|config| {
        config.commit_interval = Duration::from_millis(100);
        config.given_schema_for = Duration::from_millis(50);
        config.schemas = Some(path);
    });
    (server.await, folder)
}

const PAGE: &str = r#"{"type":"record","name":"Click","fields":[{"name":"page","type":"string"}]}"#;
const PAGE_AND_COUNT: &str = r#"{"type":"record","name":"Click","fields":[
    {"name":"count","type":"long"},{"name":"page","type":"string"}]}"#;

fn avro(count: Option<i64>, page: &str) -> Option<Vec<u8>> {
    let mut value = vec![];
    count.inspect(|count| long(&mut value, *count));
    text(&mut value, page);
    Some(value)
}

#[tokio::test(flavor = "multi_thread")]
async fn avro_by_a_file_that_changes() {
    let (server, folder) = with_files(&[("web/click.avsc", PAGE)]).await;
    let configs = [
        ("fletch.format", "avro"),
        ("fletch.format.file", "web/click.avsc"),
    ];
    let topic = server.topic_with("clicks", 1, &configs).await;
    let values = [avro(None, "/a"), avro(None, "/b"), Some(vec![9, b'x'])];
    server.produce(&topic, 0, batch(&values)).await;
    server.tables.flush("clicks").await.unwrap();
    let rows = server.rows("clicks").await;
    assert_eq!(texts(&rows, "page"), owned(&[(0, "/a"), (1, "/b")]));
    assert_eq!(
        texts(&rows, "kafka_format"),
        owned(&[(0, "avro"), (1, "avro")])
    );
    let letters = server.records("clicks.dead-letters").await;
    assert_eq!(letters.len(), 1);
    let reason = letters[0].header(dl::HEADER_REASON);
    assert_eq!(reason.as_deref(), Some("invalid_value"));

    // Producers and the file change together; what is in the table stays.
    fs::write(folder.path().join("web/click.avsc"), PAGE_AND_COUNT).unwrap();
    // Once it is noticed that it is time to look, and once that was done.
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.produce(&topic, 0, batch(&[None])).await;
        server.tables.flush("clicks").await.unwrap();
    }
    server
        .produce(&topic, 0, batch(&[avro(Some(7), "/c")]))
        .await;
    server.tables.flush("clicks").await.unwrap();
    let rows = server.rows("clicks").await;
    assert_eq!(
        texts(&rows, "page"),
        owned(&[(0, "/a"), (1, "/b"), (5, "/c")])
    );
    assert_eq!(longs(&rows, "count"), [(5, 7)]);

    // A file that can't be read any more is still what it was.
    fs::write(folder.path().join("web/click.avsc"), "{").unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.produce(&topic, 0, batch(&[None])).await;
    server.tables.flush("clicks").await.unwrap();
    fs::remove_file(folder.path().join("web/click.avsc")).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    server
        .produce(&topic, 0, batch(&[avro(Some(8), "/d")]))
        .await;
    server.tables.flush("clicks").await.unwrap();
    assert_eq!(
        longs(&server.rows("clicks").await, "count"),
        [(5, 7), (7, 8)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn protobuf_and_json_by_files_values_and_keys() {
    let order = r#"syntax = "proto3"; package shop; import "shop/money.proto";
        message Unused { int32 n = 1; }
        message Order { int64 id = 1; Money price = 2; }"#;
    let money = r#"syntax = "proto3"; package shop; message Money { int64 units = 1; }"#;
    let key =
        r#"{"type":"object","properties":{"region":{"type":"string"}},"required":["region"]}"#;
    let files = [
        ("shop/order.proto", order),
        ("shop/money.proto", money),
        ("key.json", key),
    ];
    let (server, _folder) = with_files(&files).await;
    let configs = [
        ("fletch.format", "protobuf"),
        ("fletch.format.file", "shop/order.proto"),
        ("fletch.format.message", "shop.Order"),
        ("fletch.key.format", "json_schema"),
        ("fletch.key.format.file", "key.json"),
    ];
    let topic = server.topic_with("orders", 1, &configs).await;
    let mut builder = BatchBuilder::new(Compression::None);
    let message = [0x08, 7, 0x12, 2, 0x08, 9];
    let mut send = |key: &[u8]| builder.append(1, Some(key), Some(&message), &[]).unwrap();
    send(br#"{"region":"north"}"#);
    send(br#"{"region":5}"#);
    server.produce(&topic, 0, builder.finish().unwrap()).await;
    server.tables.flush("orders").await.unwrap();
    let rows = server.rows("orders").await;
    assert_eq!(longs(&rows, "id"), [(0, 7)]);
    let price = rows[0].column_by_name("price").unwrap().as_struct();
    let units = price.column_by_name("units").unwrap();
    assert_eq!(units.as_primitive::<Int64Type>().value(0), 9);
    let keys = rows[0]
        .column_by_name("kafka_key_value")
        .unwrap()
        .as_struct();
    let region = keys.column_by_name("region").unwrap();
    assert_eq!(region.as_string::<i32>().value(0), "north");
    assert_eq!(server.records("orders.dead-letters").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subjects_latest_schema_is_looked_at_again() {
    let (server, _folder) = with_files(&[]).await;
    let text = |id, text: &str| SchemaText {
        id: Some(id),
        kind: SchemaKind::Avro,
        text: text.into(),
        references: vec![],
    };
    server.registry.add_latest("clicks-value", text(11, PAGE));
    let configs = [
        ("fletch.format", "avro"),
        ("fletch.format.subject", "clicks-value"),
    ];
    let topic = server.topic_with("clicks", 1, &configs).await;
    server.produce(&topic, 0, batch(&[avro(None, "/a")])).await;
    server.tables.flush("clicks").await.unwrap();
    server
        .registry
        .add_latest("clicks-value", text(12, PAGE_AND_COUNT));
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.produce(&topic, 0, batch(&[None])).await;
        server.tables.flush("clicks").await.unwrap();
    }
    server
        .produce(&topic, 0, batch(&[avro(Some(3), "/b")]))
        .await;
    server.tables.flush("clicks").await.unwrap();
    let rows = server.rows("clicks").await;
    assert_eq!(texts(&rows, "page"), owned(&[(0, "/a"), (3, "/b")]));
    assert_eq!(longs(&rows, "count"), [(3, 3)]);
}

#[test]
fn files_are_looked_at_before_a_topic_may_name_them() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("good.avsc", PAGE);
    write("bad.avsc", "{");
    write(
        "order.proto",
        r#"syntax = "proto3"; message Order { int64 id = 1; }"#,
    );
    let check = |configs: &[(&str, &str)]| {
        let configs = configs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let settings = TopicSettings::parse(&configs.collect()).unwrap();
        settings.check_files(Some(folder.path()))
    };
    let avro = |file: &str| check(&[("fletch.format", "avro"), ("fletch.format.file", file)]);
    assert_eq!(avro("good.avsc"), Ok(()));
    for bad in ["bad.avsc", "none.avsc", "../good.avsc", "order.proto"] {
        let why = avro(bad).unwrap_err();
        assert!(why.contains(bad), "{why}");
    }
    let order = |message: &str| {
        check(&[
            ("fletch.format", "protobuf"),
            ("fletch.format.file", "order.proto"),
            ("fletch.format.message", message),
        ])
    };
    assert_eq!(order("Order"), Ok(()));
    assert!(order("Refund").unwrap_err().contains("no message Refund"));
    let key = [
        ("fletch.key.format", "avro"),
        ("fletch.key.format.file", "bad.avsc"),
    ];
    assert!(check(&key).unwrap_err().contains("bad.avsc"));
}
