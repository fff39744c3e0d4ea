//! Tables that grow with their writers' schemas.

mod common;

use std::collections::BTreeMap;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use common::*;
use fletch_table::dead_letter as dl;
use iceberg::spec::{PrimitiveType, Type};

fn field_ids(metadata: &iceberg::spec::TableMetadata) -> BTreeMap<i32, String> {
    let schema = metadata.current_schema();
    schema
        .field_id_to_name_map()
        .iter()
        .map(|(id, name)| (*id, name.clone()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn new_fields_become_columns_and_types_are_promoted() {
    let server = Server::start().await;
    server.registry.add(
        11,
        r#"{"type":"record","name":"R","fields":[{"name":"n","type":"int"},{"name":"x","type":"float"},
            {"name":"place","type":{"type":"record","name":"P","fields":[{"name":"city","type":"string"}]}}]}"#,
    );
    server.registry.add(
        12,
        r#"{"type":"record","name":"R","fields":[{"name":"n","type":"long"},{"name":"x","type":"double"},
            {"name":"note","type":"string"},
            {"name":"place","type":{"type":"record","name":"P","fields":[
                {"name":"city","type":"string"},{"name":"zip","type":["null","int"],"default":null}]}}]}"#,
    );
    let old = |n: i64| {
        let mut value = frame(11);
        long(&mut value, n);
        value.extend_from_slice(&(n as f32 / 4.0).to_le_bytes());
        text(&mut value, "Bern");
        Some(value)
    };
    let new = |n: i64| {
        let mut value = frame(12);
        long(&mut value, n << 33);
        value.extend_from_slice(&(n as f64 / 3.0).to_le_bytes());
        text(&mut value, "hello");
        text(&mut value, "Genf");
        value.push(2);
        long(&mut value, 1200);
        Some(value)
    };
    let topic = server.topic("r", 1).await;
    server.produce(&topic, 0, batch(&[old(0), old(1)])).await;
    server.tables.flush("r").await.unwrap();
    let before = field_ids(&server.metadata("r").await.unwrap());
    // Both kinds in one batch, and the old one again after a restart.
    server
        .produce(&topic, 0, batch(&[old(2), new(3), old(4), new(5)]))
        .await;
    server.tables.flush("r").await.unwrap();
    let server = server.crash_and_restart().await;
    server
        .produce(&topic, 0, batch(&[old(6), None, new(8)]))
        .await;
    server.tables.flush("r").await.unwrap();

    let metadata = server.metadata("r").await.unwrap();
    let after = field_ids(&metadata);
    for (id, name) in &before {
        assert_eq!(after.get(id), Some(name));
    }
    assert!(after.values().any(|name| name == "place.zip"));
    let n = metadata.current_schema().field_by_name("n").unwrap();
    assert_eq!(*n.field_type, Type::Primitive(PrimitiveType::Long));
    let rows = server.rows("r").await;
    assert_eq!(places(&rows), all(0, 0..9));
    let mut seen = BTreeMap::new();
    for batch in &rows {
        let wide = batch.column_by_name("note").is_some();
        for (row, (_, offset)) in unsorted_places(batch).into_iter().enumerate() {
            if !wide {
                assert!(offset <= 2, "offset {offset} in a file of the old columns");
                continue;
            }
            let n = batch
                .column_by_name("n")
                .unwrap()
                .as_primitive::<Int64Type>();
            let x = batch
                .column_by_name("x")
                .unwrap()
                .as_primitive::<Float64Type>();
            let note = batch.column_by_name("note").unwrap().as_string::<i32>();
            let value = n
                .is_valid(row)
                .then(|| (n.value(row), x.value(row), note.is_valid(row)));
            seen.insert(offset, value);
        }
    }
    for (offset, value) in seen {
        let expected = match offset {
            7 => None,
            3 | 5 | 8 => Some((offset << 33, offset as f64 / 3.0, true)),
            _ => Some((offset, f64::from(offset as f32 / 4.0), false)),
        };
        assert_eq!(value, expected, "offset {offset}");
    }
    assert!(server.tables.status()[0].error.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_reconciled_is_a_dead_letter_and_stops_nobody() {
    let server = Server::start().await;
    server.registry.add(
        2,
        r#"{"type":"record","name":"Event","fields":[{"name":"timestamp","type":"string"}]}"#,
    );
    let topic = server.topic("events", 1).await;
    let mut bad = frame(2);
    text(&mut bad, "noon");
    server
        .produce(
            &topic,
            0,
            batch(&[Some(event(1, 0)), Some(bad), Some(event(1, 2))]),
        )
        .await;
    server.tables.flush("events").await.unwrap();
    assert_eq!(places(&server.rows("events").await), [(0, 0), (0, 2)]);
    let dead = server.records("events.dead-letters").await;
    assert_eq!(
        dead[0].header(dl::HEADER_REASON).as_deref(),
        Some("incompatible_schema")
    );
    assert_eq!(
        dead[0].header(dl::HEADER_PATH).as_deref(),
        Some("timestamp")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn payload_fields_never_take_lineage_columns() {
    let server = Server::start().await;
    server.registry.add(
        2,
        r#"{"type":"record","name":"R","fields":[{"name":"kafka_offset","type":"int"},{"name":"kafka_offset_","type":"int"}]}"#,
    );
    let topic = server.topic("r", 1).await;
    let mut value = frame(2);
    long(&mut value, 70);
    long(&mut value, 71);
    server.produce(&topic, 0, batch(&[Some(value)])).await;
    server.tables.flush("r").await.unwrap();
    let rows = server.rows("r").await;
    assert_eq!(places(&rows), all(0, 0..1));
    assert_eq!(ints(&rows, "kafka_offset_"), [((0, 0), Some(70))]);
    assert_eq!(ints(&rows, "kafka_offset__"), [((0, 0), Some(71))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_is_no_record_is_one_column() {
    let server = Server::start().await;
    server.registry.add(2, r#""string""#);
    let topic = server.topic("lines", 1).await;
    let mut value = frame(2);
    text(&mut value, "a line");
    server.produce(&topic, 0, batch(&[Some(value), None])).await;
    server.tables.flush("lines").await.unwrap();
    let rows = server.rows("lines").await;
    let values = rows[0].column_by_name("value").unwrap().as_string::<i32>();
    assert_eq!((values.value(0), values.is_null(1)), ("a line", true));
}

#[tokio::test(flavor = "multi_thread")]
async fn tombstones_alone_make_a_table_that_grows_later() {
    let server = Server::start().await;
    let topic = server.topic("events", 1).await;
    server.produce(&topic, 0, batch(&[None, None])).await;
    server.tables.flush("events").await.unwrap();
    assert_eq!(places(&server.rows("events").await), all(0, 0..2));
    server.events(&topic, 0, 0..3).await;
    server.tables.flush("events").await.unwrap();
    assert_eq!(places(&server.rows("events").await), all(0, 0..5));
    let names: Vec<_> = server
        .metadata("events")
        .await
        .unwrap()
        .current_schema()
        .as_struct()
        .fields()
        .iter()
        .map(|field| field.name.clone())
        .collect();
    assert_eq!(
        names[..4],
        ["timestamp", "event", "user_id", "kafka_partition"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contradicting_type_has_a_column_beside_where_the_topic_allows_it() {
    let server = Server::start().await;
    let schemas = [
        r#""int""#,
        r#""string""#,
        r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#,
        r#""long""#,
    ];
    for (id, kind) in (20..).zip(schemas) {
        let text = format!(
            r#"{{"type":"record","name":"R","fields":[{{"name":"price","type":{kind}}}]}}"#
        );
        server.registry.add(id, &text);
    }
    let number = |id: u32, n: i64| {
        let mut value = frame(id);
        long(&mut value, n);
        Some(value)
    };
    let word = |to: &str| {
        let mut value = frame(21);
        text(&mut value, to);
        Some(value)
    };
    // 12.34, of two bytes.
    let decimal = || Some([frame(22), vec![4, 0x04, 0xd2]].concat());
    for (name, config) in [("beside", "beside"), ("strict", "strict")] {
        let topic = server
            .topic_with(name, 1, &[("fletch.evolution", config)])
            .await;
        server.produce(&topic, 0, batch(&[number(20, 1)])).await;
        server.tables.flush(name).await.unwrap();
        let values = [
            number(20, 2),
            word("three"),
            decimal(),
            number(23, 1 << 40),
            word("six"),
        ];
        server.produce(&topic, 0, batch(&values)).await;
        server.tables.flush(name).await.unwrap();
    }
    let strict = places(&server.rows("strict").await);
    assert_eq!(strict, [(0, 0), (0, 1), (0, 4)]);
    assert_eq!(server.records("strict.dead-letters").await.len(), 3);

    let server = server.crash_and_restart().await;
    let topic = server.store.topic("beside").unwrap();
    server
        .produce(&topic, 0, batch(&[word("seven"), number(20, 8)]))
        .await;
    server.tables.flush("beside").await.unwrap();
    assert!(server.records("beside.dead-letters").await.is_empty());
    let metadata = server.metadata("beside").await.unwrap();
    let kind = |name: &str| {
        let field = metadata.current_schema().field_by_name(name).unwrap();
        field.field_type.to_string()
    };
    assert_eq!(
        [kind("price"), kind("price_string"), kind("price_decimal")],
        ["long", "string", "decimal(9, 2)"]
    );
    let rows = server.rows("beside").await;
    assert_eq!(places(&rows), all(0, 0..8));
    let mut words = vec![];
    for batch in &rows {
        let Some(texts) = batch.column_by_name("price_string") else {
            continue;
        };
        let texts = texts.as_string::<i32>();
        for (row, (_, offset)) in unsorted_places(batch).into_iter().enumerate() {
            if texts.is_valid(row) {
                words.push((offset, texts.value(row).to_owned()));
            }
        }
    }
    words.sort_unstable();
    let expected = [(2, "three"), (5, "six"), (6, "seven")];
    assert_eq!(words, expected.map(|(at, word)| (at, word.to_owned())));
}
