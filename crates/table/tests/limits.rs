//! How many columns a table may have, and how deep, whatever the format; and what isn't limited again.

mod common;

use common::*;
use fletch_table::dead_letter as dl;
use fletch_table::{SchemaKind, SchemaText};
use fletch_wire::Limits;
use fletch_wire::records::{BatchBuilder, Compression};

fn of(kind: SchemaKind, text: String) -> SchemaText {
    SchemaText {
        id: None,
        kind,
        text,
        references: vec![],
    }
}

/// A schema of each language, whose value lies in so many levels of columns, and a row of each.
fn deep(levels: usize) -> [(SchemaText, Vec<u8>); 3] {
    let mut avro = r#""int""#.to_owned();
    let mut json = r#"{"type":"integer"}"#.to_owned();
    let mut row = "7".to_owned();
    let mut protobuf = String::new();
    for level in 1..=levels {
        let inner = match level {
            1 => "int32".to_owned(),
            _ => format!("M{}", level - 1),
        };
        avro = format!(
            r#"{{"type":"record","name":"M{level}","fields":[{{"name":"v","type":{avro}}}]}}"#
        );
        json = format!(r#"{{"type":"object","properties":{{"v":{json}}}}}"#);
        row = format!(r#"{{"v":{row}}}"#);
        // The first message of a file is the row.
        protobuf = format!("message M{level} {{ {inner} v = 1; }} {protobuf}");
    }
    // The index of the message, the first, is one byte; an absent member is none.
    [
        (of(SchemaKind::Avro, avro), vec![14]),
        (of(SchemaKind::Json, json), row.into_bytes()),
        (
            of(
                SchemaKind::Protobuf,
                format!(r#"syntax = "proto3"; {protobuf}"#),
            ),
            vec![0],
        ),
    ]
}

/// Produces a record of each of these schemas to a topic of its own each; why it is a dead letter, if it is.
async fn outcomes(server: &Server, schemas: Vec<(SchemaText, Vec<u8>)>) -> Vec<Option<String>> {
    outcomes_for(server, schemas, "incompatible_schema").await
}

/// The same, where all the dead letters have this reason.
async fn outcomes_for(
    server: &Server,
    schemas: Vec<(SchemaText, Vec<u8>)>,
    reason: &str,
) -> Vec<Option<String>> {
    let mut outcomes = Vec::new();
    for (schema, row) in schemas {
        let id = 100 + outcomes.len() as u32 + 1000 * schema.text.len() as u32;
        server.registry.add_text(id, schema);
        let name = format!("t{id}");
        let topic = server.topic(&name, 1).await;
        let value = [frame(id), row].concat();
        server.produce(&topic, 0, batch(&[Some(value)])).await;
        server.tables.flush(&name).await.unwrap();
        let status = server.tables.status();
        let status = status.iter().find(|status| status.topic == name).unwrap();
        outcomes.push(match status.dead_letters {
            0 => None,
            _ => {
                let letters = server.records(&format!("{name}.dead-letters")).await;
                assert_eq!(
                    letters[0].header(dl::HEADER_REASON).as_deref(),
                    Some(reason)
                );
                letters[0].header(dl::HEADER_MESSAGE)
            }
        });
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_lie_no_deeper_than_they_may() {
    let server = Server::start_with(|config| config.column_depth_max = 5).await;
    assert_eq!(outcomes(&server, deep(5).into()).await, [None, None, None]);
    for outcome in outcomes(&server, deep(6).into()).await {
        let why = outcome.expect("a dead letter");
        assert!(why.contains("table.column_depth_max"), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_nest_no_deeper_than_they_may() {
    let server = Server::start_with(|config| config.schema_depth_max = 16).await;
    // Braces and brackets around what is there anyway, which is as many deep.
    let schemas = |depth: usize| {
        let nested = |own: usize| ("[".repeat(depth - own), "]".repeat(depth - own));
        let (open, close) = nested(1);
        let avro = format!(r#"{{"type":"record","name":"A","fields":[],"other":{open}{close}}}"#);
        let json = format!(
            r#"{{"type":"object","properties":{{"v":{{}}}},"description":"[[","default":{open}{close}}}"#
        );
        let protobuf = (0..depth).fold("int32 v = 1;".to_owned(), |inner, level| {
            format!("message M{level} {{ {inner} }}")
        });
        let protobuf = format!(r#"syntax = "proto3"; {protobuf}"#);
        vec![
            (of(SchemaKind::Avro, avro), vec![]),
            (of(SchemaKind::Json, json), b"{}".to_vec()),
            (of(SchemaKind::Protobuf, protobuf), vec![0]),
        ]
    };
    assert_eq!(outcomes(&server, schemas(16)).await, [None, None, None]);
    for outcome in outcomes_for(&server, schemas(17), "invalid_schema").await {
        let why = outcome.expect("a dead letter");
        assert!(why.contains("table.schema_depth_max"), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_has_no_more_columns_than_it_may() {
    let flat = |columns: usize| {
        let fields: Vec<_> = (0..columns)
            .map(|at| format!(r#"{{"name":"c{at}","type":"int"}}"#))
            .collect();
        let fields = fields.join(",");
        let text = format!(r#"{{"type":"record","name":"Flat","fields":[{fields}]}}"#);
        vec![(of(SchemaKind::Avro, text), vec![2; columns])]
    };
    // What a table has besides the columns of its values.
    let server = Server::start().await;
    assert_eq!(outcomes(&server, flat(1)).await, [None]);
    let table = server
        .metadata(&server.tables.status()[0].topic)
        .await
        .unwrap();
    let own = table.current_schema().highest_field_id() as usize - 1;
    let server = Server::start_with(|config| config.columns_max = own + 20).await;
    assert_eq!(outcomes(&server, flat(20)).await, [None]);
    let why = outcomes(&server, flat(21))
        .await
        .remove(0)
        .expect("a dead letter");
    assert!(why.contains("table.columns_max"), "{why}");
}

/// Who admits records may be told to admit what is compressed better than the codec's own limits say.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_admitted_is_in_the_table_however_well_it_is_compressed() {
    let server = Server::start().await;
    let topic = server.topic("events", 1).await;
    let mut builder = BatchBuilder::new(Compression::Zstd);
    builder
        .append(0, None, Some(&vec![b'x'; 4 << 20]), &[])
        .unwrap();
    let batch = builder.finish().unwrap();
    assert!(batch.records(&Limits::default()).is_err());
    server.produce(&topic, 0, batch).await;
    server.tables.flush("events").await.unwrap();
    assert_eq!(places(&server.rows("events").await), all(0, 0..1));
    assert!(server.records("events.dead-letters").await.is_empty());
}
