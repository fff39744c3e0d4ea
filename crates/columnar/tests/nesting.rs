//! Types that are named within each other: nothing nests in the text, and whoever walks the schema goes deep.

use fletch_columnar::avro::{Schema, SchemaError, grow};
use fletch_columnar::{Decoder, Options};

fn field(name: &str, ty: &str) -> String {
    format!(r#"{{"name":"{name}","type":{ty}}}"#)
}

fn record(name: &str, fields: &str) -> String {
    format!(r#"{{"type":"record","name":"{name}","fields":[{fields}]}}"#)
}

/// A record of the last of so many types, each of which has the one before.
fn chain(length: usize) -> Result<Schema, SchemaError> {
    let types = (1..length).map(|at| {
        let before = field("f", &format!("\"R{}\"", at - 1));
        format!(",{}", record(&format!("R{at}"), &before))
    });
    let first = record("R0", &field("f", "\"int\""));
    let reference = format!("[{first}{}]", types.collect::<String>());
    let last = field("f", &format!("\"R{}\"", length - 1));
    Schema::parse(&record("Top", &last), &[&reference])
}

/// A ring of so many types, and the first of them: each has the next.
fn ring(length: usize) -> Schema {
    let types = (1..length).rev().map(|at| {
        let next = (at + 1) % length;
        record(
            &format!("R{at}"),
            &field("f", &format!(r#"["null","R{next}"]"#)),
        )
    });
    let all = types.collect::<Vec<_>>().join(",");
    let fields = [
        field("all", &format!("[{all}]")),
        field("f", r#"["null","R1"]"#),
    ];
    let text = record("R0", &fields.join(","));
    Schema::parse(&text, &[]).unwrap()
}

#[test]
fn what_is_named_deep_is_refused_before_the_stack_is_used_up() {
    for (length, is_read) in [(50, true), (200, false)] {
        let decoder = Decoder::new(&chain(length).unwrap(), Options::default());
        assert_eq!(decoder.is_ok(), is_read);
    }
    let refused = chain(5_000);
    assert!(matches!(refused, Err(SchemaError::TooDeep { .. })));
}

/// Pairs of the types of two rings go on for as long as their lengths together make it.
#[test]
fn rings_of_different_lengths_are_not_followed_for_ever() {
    let (table, writer) = (ring(31), ring(29));
    let error = grow(Some(&table), &writer).unwrap_err();
    assert!(error.why.contains("deeper"), "{error}");
    let mut decoder = Decoder::new(&table, Options::default()).unwrap();
    assert!(decoder.add_writer(1, &table).is_ok());
    // What lies so deep that nobody says it has no place; all else has.
    assert!(decoder.add_writer(2, &writer).is_ok());
}

/// A table is opened by the one text that its schema is kept as.
#[test]
fn a_table_holds_what_can_be_read_again_from_one_text() {
    let flat = Schema::parse(&record("Top", &field("g", "\"int\"")), &[]).unwrap();
    for length in 1..60 {
        for table in [None, Some(&flat)] {
            if let Ok(grown) = grow(table, &chain(length).unwrap()) {
                assert!(Schema::parse(&grown.schema.json(), &[]).is_ok());
            }
        }
    }
    assert!(grow(None, &chain(30).unwrap()).is_ok());
    let error = grow(None, &chain(60).unwrap()).unwrap_err();
    assert!(error.why.contains("one text"), "{error}");
}
