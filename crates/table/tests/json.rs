//! JSON that says nothing about its schema.

mod common;

use std::collections::BTreeMap;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use common::*;
use fletch_table::dead_letter as dl;

fn json(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_come_as_records_need_them() {
    let server = Server::start().await;
    let topic = server.topic("clicks", 2).await;
    server
        .produce(
            &topic,
            0,
            batch(&[
                json(r#"{"id":1,"page":"/"}"#),
                json(r#"{"id":2,"at":{"x":1,"y":2.5}}"#),
            ]),
        )
        .await;
    server.tables.flush("clicks").await.unwrap();
    // The column has numbers now: another type goes beside it.
    server
        .produce(
            &topic,
            0,
            batch(&[
                json("{}"),
                json("not { JSON"),
                json(r#"{"id":"three","tags":["a","b"]}"#),
                json("{\"id\":"),
                None,
            ]),
        )
        .await;
    server.tables.flush("clicks").await.unwrap();
    // A new member in each of many records grows the table once, not once each.
    let many: Vec<_> = (0..200)
        .map(|n| json(&format!(r#"{{"id":{n},"c{n}":{n}}}"#)))
        .collect();
    server.produce(&topic, 1, batch(&many)).await;
    server.tables.flush("clicks").await.unwrap();
    let metadata = server.metadata("clicks").await.unwrap();
    let versions = metadata.schemas_iter().count();
    assert!(versions <= 5, "{versions} schemas");
    let rows = server.rows("clicks").await;
    let mut expected = all(0, 0..7);
    expected.extend(all(1, 0..200));
    assert_eq!(places(&rows), expected);
    let mut ids = BTreeMap::new();
    let (mut texts, mut pages) = (BTreeMap::new(), 0);
    for batch in &rows {
        let id = batch
            .column_by_name("id")
            .unwrap()
            .as_primitive::<Int64Type>();
        let sibling = batch
            .column_by_name("id_text")
            .map(|column| column.as_string::<i32>());
        let page = batch.column_by_name("page").unwrap();
        pages += page.len() - page.null_count();
        let formats = batch
            .column_by_name("kafka_format")
            .unwrap()
            .as_string::<i32>();
        for (row, (partition, offset)) in unsorted_places(batch).into_iter().enumerate() {
            ids.insert((partition, offset), id.is_valid(row).then(|| id.value(row)));
            let text = sibling.filter(|texts| texts.is_valid(row));
            if let Some(text) = text {
                texts.insert(offset, text.value(row).to_owned());
            }
            let format = formats.is_valid(row).then(|| formats.value(row));
            let expected = match (partition, offset) {
                (0, 3 | 5) => Some("text"),
                (0, 6) => None,
                _ => Some("json"),
            };
            assert_eq!(format, expected, "{partition} {offset}");
        }
    }
    assert_eq!(
        (ids[&(0, 0)], ids[&(0, 4)], ids[&(1, 150)]),
        (Some(1), None, Some(150))
    );
    assert_eq!(texts, BTreeMap::from([(4, "three".to_owned())]));
    assert_eq!(pages, 1);
    assert!(server.records("clicks.dead-letters").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn json_and_avro_share_a_table_and_its_columns() {
    let server = Server::start().await;
    let topic = server.topic("events", 1).await;
    let values = [
        Some(event(1, 0)),
        json(r#"{"user_id":1,"event":"click","extra":true}"#),
        Some(event(1, 2)),
        json(r#"{"user_id":3}"#),
    ];
    server.produce(&topic, 0, batch(&values)).await;
    server.tables.flush("events").await.unwrap();
    let rows = server.rows("events").await;
    assert_eq!(places(&rows), all(0, 0..4));
    let users: Vec<_> = ints(&rows, "user_id")
        .into_iter()
        .map(|(_, id)| id)
        .collect();
    assert_eq!(users, [Some(0), Some(1), Some(2), Some(3)]);
    assert!(server.records("events.dead-letters").await.is_empty());
    let server = server.crash_and_restart().await;
    let topic = server.store.topic("events").unwrap();
    server.produce(&topic, 0, batch(&values)).await;
    server.tables.flush("events").await.unwrap();
    assert_eq!(places(&server.rows("events").await), all(0, 0..8));
}

#[tokio::test(flavor = "multi_thread")]
async fn pinned_json_takes_any_json_and_keys_may_be_json() {
    let server = Server::start().await;
    let configs = [("fletch.format", "json"), ("fletch.key.format", "json")];
    let topic = server.topic_with("any", 1, &configs).await;
    let mut builder =
        fletch_wire::records::BatchBuilder::new(fletch_wire::records::Compression::None);
    for (key, value) in [
        (r#"{"k":1}"#, "[1,2]"),
        (r#"{"k":2}"#, r#""text""#),
        (r#"{"k":3}"#, "{\"a\":"),
        // Two members, were it put between braces.
        (r#"4,"x":2"#, "{}"),
    ] {
        builder
            .append(0, Some(key.as_bytes()), Some(value.as_bytes()), &[])
            .unwrap();
    }
    server.produce(&topic, 0, builder.finish().unwrap()).await;
    server.tables.flush("any").await.unwrap();
    let rows = server.rows("any").await;
    assert_eq!(places(&rows), all(0, 0..2));
    let mut found = vec![];
    for batch in &rows {
        let keys = batch.column_by_name("kafka_key_value").unwrap().as_struct();
        let k = keys
            .column_by_name("k")
            .unwrap()
            .as_primitive::<Int64Type>();
        let values = batch.column_by_name("value").unwrap().as_string::<i32>();
        for row in 0..batch.num_rows() {
            found.push((k.value(row), values.value(row).to_owned()));
        }
    }
    assert_eq!(found, [(1, "[1,2]".to_owned()), (2, "text".to_owned())]);
    let dead = server.records("any.dead-letters").await;
    let reasons: Vec<_> = dead
        .iter()
        .map(|d| d.header(dl::HEADER_REASON).unwrap())
        .collect();
    assert_eq!(reasons, ["invalid_value", "invalid_value"]);
    for letter in &dead {
        let decoder = letter.header(dl::HEADER_DECODER);
        assert!(matches!(
            decoder.as_deref(),
            Some("value.json" | "key.json")
        ));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn json_with_a_schema_is_checked_against_it() {
    let server = Server::start().await;
    let schema = |more: &str| fletch_table::SchemaText {
        id: None,
        kind: fletch_table::SchemaKind::Json,
        text: format!(
            r#"{{"type":"object","properties":{{"n":{{"type":"integer"}}{more}}},"required":["n"]}}"#
        ),
        references: vec![],
    };
    server.registry.add_text(7, schema(""));
    server
        .registry
        .add_text(8, schema(r#","note":{"type":"string"}"#));
    let framed = |id: u32, text: &str| {
        let mut value = frame(id);
        value.extend_from_slice(text.as_bytes());
        Some(value)
    };
    let topic = server.topic("orders", 1).await;
    let values = [
        framed(7, r#"{"n":1}"#),
        framed(8, r#"{"n":2,"note":"x"}"#),
        framed(7, r#"{"n":"three"}"#),
        framed(8, r#"{"note":"no n"}"#),
        framed(7, r#"{"n":5}"#),
    ];
    server.produce(&topic, 0, batch(&values)).await;
    server.tables.flush("orders").await.unwrap();
    let rows = server.rows("orders").await;
    assert_eq!(places(&rows), [(0, 0), (0, 1), (0, 4)]);
    for batch in &rows {
        let formats = batch
            .column_by_name("kafka_format")
            .unwrap()
            .as_string::<i32>();
        assert!(formats.iter().all(|format| format == Some("json_schema")));
    }
    let dead = server.records("orders.dead-letters").await;
    let told: Vec<_> = dead
        .iter()
        .map(|d| {
            (
                d.header(dl::HEADER_REASON).unwrap(),
                d.header(dl::HEADER_SCHEMA_ID).unwrap(),
                d.header(dl::HEADER_DECODER).unwrap(),
            )
        })
        .collect();
    let expected = [("invalid_value", "7"), ("invalid_value", "8")];
    assert_eq!(
        told,
        expected.map(|(why, id)| (
            why.to_owned(),
            id.to_owned(),
            "value.json_schema".to_owned()
        ))
    );
}
