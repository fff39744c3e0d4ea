//! Protobuf messages as rows.

mod common;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch};
use common::*;
use fletch_table::dead_letter as dl;
use fletch_table::{SchemaKind, SchemaText};
use fletch_wire::records::{BatchBuilder, Compression};

fn schema(id: Option<u32>, text: &str) -> SchemaText {
    SchemaText {
        id,
        kind: SchemaKind::Protobuf,
        text: text.into(),
        references: vec![],
    }
}

const ORDER: &str = r#"syntax = "proto3"; package shop;
    message Order { int64 id = 1; string customer = 2; message Line { string sku = 1; } }
    message Refund { int64 refunded = 1; }"#;
/// Field 2 is called otherwise, and there is a new one.
const RENAMED: &str = r#"syntax = "proto3"; package shop;
    message Order { int64 id = 1; string buyer = 2; string note = 3; }"#;

/// The fields of a message: a number, and texts.
fn message(id: u8, texts: &[(u8, &str)]) -> Vec<u8> {
    let mut bytes = vec![0x08, id];
    for (field, text) in texts {
        bytes.extend([field << 3 | 2, text.len() as u8]);
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

fn framed(id: u32, path: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    let mut value = frame(id);
    value.extend_from_slice(path);
    value.extend_from_slice(message);
    Some(value)
}

fn text(rows: &[RecordBatch], column: &str) -> Vec<(i64, String)> {
    let mut found = vec![];
    for batch in rows {
        let Some(texts) = batch.column_by_name(column) else {
            continue;
        };
        let texts = texts.as_string::<i32>();
        for (row, (_, offset)) in unsorted_places(batch).into_iter().enumerate() {
            if texts.is_valid(row) && !texts.value(row).is_empty() {
                found.push((offset, texts.value(row).to_owned()));
            }
        }
    }
    found.sort_unstable();
    found
}

fn numbers(rows: &[RecordBatch], column: &str) -> Vec<(i64, i64)> {
    let mut found = vec![];
    for batch in rows {
        let Some(numbers) = batch.column_by_name(column) else {
            continue;
        };
        let numbers = numbers.as_primitive::<Int64Type>();
        for (row, (_, offset)) in unsorted_places(batch).into_iter().enumerate() {
            if numbers.is_valid(row) {
                found.push((offset, numbers.value(row)));
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

#[tokio::test(flavor = "multi_thread")]
async fn fields_go_on_in_their_columns_by_number() {
    let server = Server::start().await;
    server.registry.add_text(3, schema(None, ORDER));
    server.registry.add_text(4, schema(None, RENAMED));
    let topic = server.topic("orders", 1).await;
    let values = [
        framed(3, &[0], &message(1, &[(2, "Ada")])),
        framed(4, &[0], &message(2, &[(2, "Grace"), (3, "hi")])),
        // The path written out, and that of the second message of the file.
        framed(3, &[2, 0], &message(3, &[(2, "Edsger")])),
        framed(3, &[2, 2], &message(4, &[])),
        // No such message; a message that is cut; nothing at all.
        framed(3, &[2, 8], &message(5, &[])),
        framed(3, &[0], &[0x08]),
        framed(3, &[], &[]),
        framed(4, &[0], &message(7, &[(2, "Barbara")])),
        // No path at all, as some clients write the first message.
        framed(3, &[], &message(8, &[(2, "Donald")])),
    ];
    server.produce(&topic, 0, batch(&values)).await;
    server.tables.flush("orders").await.unwrap();
    let rows = server.rows("orders").await;
    let good = [0, 1, 2, 3, 7, 8].map(|offset| (0, offset));
    assert_eq!(places(&rows), good);
    let customers = owned(&[
        (0, "Ada"),
        (1, "Grace"),
        (2, "Edsger"),
        (7, "Barbara"),
        (8, "Donald"),
    ]);
    assert_eq!(text(&rows, "customer"), customers);
    assert_eq!(text(&rows, "note"), owned(&[(1, "hi")]));
    assert_eq!(numbers(&rows, "refunded"), [(3, 4)]);
    assert!(
        text(&rows, "kafka_format")
            .iter()
            .all(|(_, format)| format == "protobuf")
    );
    let dead = server.records("orders.dead-letters").await;
    for letter in &dead {
        let decoder = letter.header(dl::HEADER_DECODER);
        assert_eq!(decoder.as_deref(), Some("value.protobuf"));
    }
    let mut told: Vec<_> = dead
        .iter()
        .map(|d| {
            (
                d.header(dl::HEADER_OFFSET).unwrap(),
                d.header(dl::HEADER_REASON).unwrap(),
            )
        })
        .collect();
    told.sort_unstable();
    let expected = [
        ("4", "invalid_schema"),
        ("5", "invalid_value"),
        ("6", "invalid_value"),
    ];
    assert_eq!(
        told,
        expected.map(|(at, why)| (at.to_owned(), why.to_owned()))
    );
    let cut = dead
        .iter()
        .find(|d| d.header(dl::HEADER_OFFSET).as_deref() == Some("5"));
    let said = cut.unwrap().header(dl::HEADER_MESSAGE).unwrap();
    // After five bytes of frame, one of path, and one of the field.
    assert!(said.ends_with("at byte 7"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_carry_the_message_too_and_a_subject_means_the_first() {
    let server = Server::start().await;
    let guid = uuid::Uuid::from_u128(0x77);
    server.registry.add_guid(guid, schema(Some(3), ORDER));
    server
        .registry
        .add_latest("orders-value", schema(Some(3), ORDER));
    let topic = server.topic("carried", 1).await;
    let mut builder = BatchBuilder::new(Compression::None);
    for (path, body) in [
        (&[0][..], message(1, &[(2, "Ada")])),
        (&[2, 2], message(9, &[])),
    ] {
        let mut named = vec![1];
        named.extend_from_slice(guid.as_bytes());
        named.extend_from_slice(path);
        let headers = [(&b"__value_schema_id"[..], Some(&named[..]))];
        builder.append(0, None, Some(&body), &headers).unwrap();
    }
    server.produce(&topic, 0, builder.finish().unwrap()).await;
    server.tables.flush("carried").await.unwrap();
    let rows = server.rows("carried").await;
    assert_eq!(text(&rows, "customer"), owned(&[(0, "Ada")]));
    assert_eq!(numbers(&rows, "refunded"), [(1, 9)]);
    assert_eq!(
        ints(&rows, "kafka_schema_id"),
        [((0, 0), Some(3)), ((0, 1), Some(3))]
    );

    let configs = [
        ("fletch.format", "protobuf"),
        ("fletch.format.subject", "orders-value"),
    ];
    let topic = server.topic_with("bare", 1, &configs).await;
    server
        .produce(&topic, 0, batch(&[Some(message(4, &[(2, "Ada")]))]))
        .await;
    server.tables.flush("bare").await.unwrap();
    let rows = server.rows("bare").await;
    assert_eq!(numbers(&rows, "id"), [(0, 4)]);
    assert_eq!(text(&rows, "customer"), owned(&[(0, "Ada")]));
}
