//! The parser, the text and the compatibility rules beside independent implementations.

use serde_json::Value;

use super::compatibility::{Direction, Told, incompatibilities};
use super::{AvroSchema, parse, render, render_resolved};
use crate::schema::ReferencedSchema;

fn schema(text: &str) -> AvroSchema {
    parse(text, &[]).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn canonical(text: &str) -> String {
    render(&schema(text))
}

fn reasons(reader: &str, writer: &str) -> Vec<String> {
    incompatibilities(&schema(reader), &schema(writer))
        .iter()
        .map(|found| format!("{} {}", found.kind.code(), found.at))
        .collect()
}

/// Whether a reason of Java's is among ours.
///
/// Where types are recursive Java stops short, having assumed that they fit; so ours may be more. For
/// a pair of types met before it tells the place where the pair was first compared; so only the last
/// step of a place is compared. And where a field of an enum
/// type isn't written, it compares the enum with the record that lacks it, if the enum has a default.
fn is_told(java: &str, ours: &[String]) -> bool {
    let (code, at) = java.split_once(' ').unwrap();
    let among = |code: &str, at: &str| {
        let last = |at: &str| at.rsplit('/').next().map(str::to_owned);
        ours.iter().any(|told| told.starts_with(code) && last(told) == last(at))
    };
    let unwritten = at.strip_suffix("/type");
    among(code, at)
        || unwritten.is_some_and(|at| among("READER_FIELD_MISSING_DEFAULT_VALUE", at))
}

#[test]
fn agrees_with_java() {
    let own = include_str!("../../tests/data/avro-java/pairs.jsonl");
    let given = std::env::var("AVRO_JAVA_PAIRS").ok();
    let given = given.map(|path| std::fs::read_to_string(path).expect("AVRO_JAVA_PAIRS"));
    let (mut fits, mut misfits, mut invalid) = (0, 0, 0);
    for line in given.as_deref().unwrap_or(own).lines() {
        let pair: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| pair[key].as_str().map(str::to_owned);
        let mut parsed = Vec::new();
        for side in ["reader", "writer"] {
            let given = text(side).unwrap();
            let java = text(&format!("{side}Text"));
            let mut ours = parse(&given, &[]);
            let why = ours.as_ref().err().map(|error| error.to_string()).unwrap_or_default();
            // Java 1.12 takes a second definition of a name, which the specification forbids.
            if why.contains("defined twice") {
                continue;
            }
            // Java takes a name that is defined later, which the specification forbids; written by
            // Java the definition comes first.
            if let Some(java) = java.as_ref().filter(|_| why.contains("before it is used")) {
                ours = parse(java, &[]);
            }
            assert_eq!(ours.is_ok(), java.is_some(), "{given}: {ours:?}");
            if let (Ok(ours), Some(java)) = (ours, java) {
                assert_eq!(render(&ours), java);
                parsed.push(ours);
            }
        }
        let [reader, writer] = parsed.as_slice() else {
            invalid += 1;
            continue;
        };
        let java = pair["incompatibilities"].as_array().unwrap();
        let java: Vec<_> = java.iter().map(|reason| reason.as_str().unwrap().to_owned()).collect();
        let ours: Vec<_> = incompatibilities(reader, writer)
            .iter()
            .map(|found| format!("{} {}", found.kind.code(), found.at))
            .collect();
        assert_eq!(ours.is_empty(), java.is_empty(), "{line}\nours: {ours:?}");
        for reason in java {
            assert!(is_told(&reason, &ours), "{line}\nours: {ours:?} lack {reason}");
        }
        if ours.is_empty() { fits += 1 } else { misfits += 1 }
    }
    assert!(fits > 50 && misfits > 50 && invalid > 5, "{fits} fit, {misfits} don't, {invalid} invalid");
}
