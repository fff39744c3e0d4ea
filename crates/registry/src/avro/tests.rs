//! The parser, the text and the compatibility rules beside independent implementations.

use serde_json::Value;

use super::compatibility::{Told, incompatibilities};
use super::{AvroSchema, parse, render, render_resolved};
use crate::difference::Direction;
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
        ours.iter()
            .any(|told| told.starts_with(code) && last(told) == last(at))
    };
    let unwritten = at.strip_suffix("/type");
    among(code, at) || unwritten.is_some_and(|at| among("READER_FIELD_MISSING_DEFAULT_VALUE", at))
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
            let why = ours
                .as_ref()
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default();
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
        let java: Vec<_> = java
            .iter()
            .map(|reason| reason.as_str().unwrap().to_owned())
            .collect();
        let ours: Vec<_> = incompatibilities(reader, writer)
            .iter()
            .map(|found| format!("{} {}", found.kind.code(), found.at))
            .collect();
        assert_eq!(ours.is_empty(), java.is_empty(), "{line}\nours: {ours:?}");
        for reason in java {
            assert!(
                is_told(&reason, &ours),
                "{line}\nours: {ours:?} lack {reason}"
            );
        }
        if ours.is_empty() {
            fits += 1
        } else {
            misfits += 1
        }
    }
    assert!(
        fits > 50 && misfits > 50 && invalid > 5,
        "{fits} fit, {misfits} don't, {invalid} invalid"
    );
}

#[test]
fn one_spelling_for_all() {
    let spellings = [
        r#"{"type":"record","name":"a.b.R","fields":[{"name":"x","type":{"type":"int"}}]}"#,
        r#"{"namespace":"a.b", "name":"R", "fields":[{"type":"int","name":"x"}], "type":"record"}"#,
        r#"{"type":{"type":"record","name":"R","namespace":"a.b","fields":[{"name":"x","type":["int"],
            "x":1}]}}"#,
    ];
    let plain =
        r#"{"type":"record","name":"R","namespace":"a.b","fields":[{"name":"x","type":"int"}]}"#;
    assert_eq!(canonical(spellings[0]), plain);
    assert_eq!(canonical(spellings[1]), plain);
    assert_eq!(
        canonical(spellings[2]),
        plain.replace(r#""int""#, r#"["int"],"x":1"#)
    );
    // What people write besides is kept, in one order.
    let annotated = r#"{"type":"record","name":"R","doc":"d","fields":[{"name":"x","type":{"type":
        "long","z":1,"logicalType":"timestamp-millis","a":{"c":2,"b":1}},"doc":"e","default":7,
        "order":"descending","aliases":["y"],"extra":true}],"aliases":["S"],"extra":null}"#;
    let text = concat!(
        r#"{"type":"record","name":"R","doc":"d","fields":[{"name":"x","type":{"type":"long","#,
        r#""a":{"b":1,"c":2},"logicalType":"timestamp-millis","z":1},"doc":"e","default":7,"#,
        r#""order":"descending","aliases":["y"],"extra":true}],"extra":null,"aliases":["S"]}"#,
    );
    assert_eq!(canonical(annotated), text);
    assert_eq!(canonical(text), text);
}

#[test]
fn names_mean_what_they_meant() {
    // A type of the null namespace, used where a namespace encloses it, beside one of the same name.
    let nested = r#"[{"type":"fixed","name":"A","size":1},{"type":"record","name":"n.R","fields":[
        {"name":"a","type":"A"},{"name":"b","type":{"type":"fixed","name":"A","size":2}},
        {"name":"c","type":"A"},{"name":"d","type":".A"}]}]"#;
    let text = canonical(nested);
    assert!(
        text.contains(r#"{"name":"c","type":"A"},{"name":"d","type":".A"}"#),
        "{text}"
    );
    assert_eq!(canonical(&text), text);
    assert!(reasons(nested, &text).is_empty() && reasons(&text, nested).is_empty());
    // A null namespace within another has to be said, and a name like a primitive's be full.
    let text = r#"{"type":"record","name":"R","namespace":"n","fields":[{"name":"a","type":{"type":"fixed","name":"int","size":4}},{"name":"b","type":"n.int"},{"name":"c","type":{"type":"enum","name":"E","namespace":"","symbols":["X"]}}]}"#;
    assert_eq!(canonical(text), text);
    // Aliases are of the type's namespace unless they say otherwise.
    let text = r#"{"type":"fixed","name":"F","namespace":"n","size":4,"aliases":["G","m.G",".G"]}"#;
    assert_eq!(canonical(text), text);
}

#[test]
fn what_is_not_a_schema() {
    let cases = [
        ("", "not JSON"),
        ("7", "/: a type is"),
        (r#""nope""#, "/: nope isn't defined"),
        (
            r#"{"type":"record","name":"R"}"#,
            "without a list of fields",
        ),
        (r#"{"type":"record","fields":[]}"#, "there is no name"),
        (
            r#"{"type":"record","name":"1R","fields":[]}"#,
            "isn't a name",
        ),
        (
            r#"{"type":"record","name":"a..R","fields":[]}"#,
            "isn't a name",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a"}]}"#,
            "/fields/0: there is no type",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"type":"int"}]}"#,
            "/fields/0: there is no name",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a-b","type":"int"}]}"#,
            "isn't a name",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}"#,
            "field a is there twice",
        ),
        (r#"["int",["null"]]"#, "/1: a union stands directly"),
        (r#"["int",{"type":"int"}]"#, "int is in the union twice"),
        (
            r#"[{"type":"array","items":"int"},{"type":"array","items":"long"}]"#,
            "array is in",
        ),
        (
            r#"{"type":"enum","name":"E","symbols":["A","A"]}"#,
            "symbol A is there twice",
        ),
        (
            r#"{"type":"enum","name":"E","symbols":["A"],"default":"B"}"#,
            "isn't one of the symbols",
        ),
        (r#"{"type":"enum","name":"E"}"#, "there is no symbols"),
        (
            r#"{"type":"fixed","name":"F","size":-1}"#,
            "fixed without a size",
        ),
        (
            r#"{"type":"fixed","name":"F","size":2147483648}"#,
            "fixed without a size",
        ),
        (r#"{"type":"array"}"#, "array without items"),
        (r#"{"type":"map"}"#, "map without values"),
        (r#"{"type":null}"#, "not the name of one"),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":"x"}]}"#,
            "/R/a: the default \"x\" isn't of type int",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":2147483648}]}"#,
            "isn't of type int",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","order":"up"}]}"#,
            "order \"up\"",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":
                {"type":"record","name":"R","fields":[]}}]}"#,
            "R is defined twice",
        ),
    ];
    for (text, why) in cases {
        let error = parse(text, &[]).expect_err(text).to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn defaults_that_are_values() {
    let record = |schema: &str, default: &str| {
        format!(
            r#"{{"type":"record","name":"R","fields":[{{"name":"a","type":{schema},"default":{default}}}]}}"#
        )
    };
    let inner = r#"{"type":"record","name":"I","fields":[{"name":"x","type":"int"},
        {"name":"y","type":"int","default":1}]}"#;
    let good = [
        (r#""null""#, "null"),
        (r#""double""#, "1"),
        (r#""float""#, r#""NaN""#),
        (r#""bytes""#, r#""\u00ff\u0000""#),
        (
            r#"{"type":"fixed","name":"F","size":2}"#,
            r#""\u00ff\u0000""#,
        ),
        (r#"{"type":"array","items":"long"}"#, "[1,2]"),
        (r#"{"type":"map","values":"string"}"#, r#"{"k":"v"}"#),
        (r#"["null","int"]"#, "null"),
        (r#"["null","int"]"#, "7"),
        (inner, r#"{"x":1}"#),
    ];
    for (schema, default) in good {
        let text = record(schema, default);
        assert!(parse(&text, &[]).is_ok(), "{text}");
    }
    let bad = [
        (r#""bytes""#, r#""\u0100""#),
        (r#"{"type":"fixed","name":"F","size":2}"#, r#""x""#),
        (r#"{"type":"array","items":"long"}"#, r#"["x"]"#),
        (r#"["null","int"]"#, r#""x""#),
        (inner, r#"{"y":1}"#),
    ];
    for (schema, default) in bad {
        let text = record(schema, default);
        assert!(parse(&text, &[]).is_err(), "{text}");
    }
}

#[test]
fn references_define_names() {
    let inner = ReferencedSchema {
        name: "n.Inner".into(),
        text: r#"{"type":"record","name":"Inner","namespace":"n","fields":[{"name":"x","type":"int"}]}"#
            .into(),
    };
    let text = r#"{"type":"record","name":"Outer","namespace":"n","fields":[{"name":"a","type":"Inner"},{"name":"b","type":"n.Inner"}]}"#;
    assert!(parse(text, &[]).is_err());
    let parsed = parse(text, std::slice::from_ref(&inner)).unwrap();
    let by_name = render(&parsed);
    assert_eq!(by_name, text.replace(r#""n.Inner""#, r#""Inner""#));
    let alone = render_resolved(&parsed).unwrap();
    assert_eq!(canonical(&alone), alone);
    assert!(alone.contains(r#"{"name":"x","type":"int"}"#));
    assert!(incompatibilities(&parsed, &schema(&alone)).is_empty());

    let broken = ReferencedSchema {
        name: "broken".into(),
        text: "{".into(),
    };
    let error = parse(text, &[broken]).unwrap_err().to_string();
    assert!(error.contains("referenced schema broken"), "{error}");
}

#[test]
fn recursive_types_are_decided_to_the_end() {
    // Whether B fits depends on A, which doesn't fit for another reason: an answer for B that was
    // found while A was only assumed to fit must not outlive the assumption.
    let list = |value: &str| {
        format!(
            r#"{{"type":"record","name":"Top","fields":[
                {{"name":"u","type":["null",{{"type":"record","name":"A","fields":[
                    {{"name":"b","type":{{"type":"record","name":"B","fields":[
                        {{"name":"a","type":["null","A"]}}]}}}},
                    {{"name":"v","type":"{value}"}}]}}]}},
                {{"name":"b","type":"B"}}]}}"#
        )
    };
    assert!(reasons(&list("int"), &list("int")).is_empty());
    assert!(reasons(&list("long"), &list("int")).is_empty());
    let found = reasons(&list("int"), &list("string"));
    assert!(
        found.contains(&"MISSING_UNION_BRANCH /fields/0/type/1".to_owned()),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|reason| reason.starts_with("MISSING_UNION_BRANCH /fields/1")),
        "{found:?}"
    );
}

#[test]
fn hostile_schemas_are_refused_in_time() {
    // Nested beyond what JSON readers take.
    let deep = format!(
        "{}\"int\"{}",
        r#"{"type":"array","items":"#.repeat(500),
        "}".repeat(500)
    );
    assert!(parse(&deep, &[]).is_err());

    // A long chain of types, each of which is named before the next uses it, doesn't nest at all.
    let chain = |leaf: &str| {
        let mut text = format!(
            r#"[{{"type":"record","name":"R0","fields":[{{"name":"f","type":"{leaf}"}}]}}"#
        );
        for at in 1..5_000 {
            let before = at - 1;
            text.push_str(&format!(
                r#",{{"type":"record","name":"R{at}","fields":[{{"name":"f","type":"R{before}"}}]}}"#
            ));
        }
        text + "]"
    };
    let (reader, writer) = (chain("int"), chain("string"));
    let found = reasons(&reader, &writer);
    assert_eq!(found.len(), 32, "{found:?}");
    assert!(reasons(&reader, &reader).is_empty());
    let reversed = |text: &str| {
        format!(
            r#"{{"type":"record","name":"Top","fields":[{{"name":"all","type":{text}}},{{"name":"last","type":"R4999"}}]}}"#
        )
    };
    let found = reasons(&reversed(&reader), &reversed(&writer));
    assert!(!found.is_empty());

    // Unions of records in records can be tried in exponentially many ways.
    let choice = r#"{"type":"record","name":"T","fields":[{"name":"f","type":["null",
        {"type":"record","name":"A","fields":[{"name":"f","type":["null","A",
            {"type":"record","name":"B","fields":[{"name":"f","type":["null","A","B"]}]}]}]},"B"],
        "default":DEFAULT}]}"#;
    let default = format!("{}7{}", r#"{"f":"#.repeat(60), "}".repeat(60));
    let error = parse(&choice.replace("DEFAULT", &default), &[])
        .unwrap_err()
        .to_string();
    assert!(error.contains("takes too long"), "{error}");
}

#[test]
fn messages_have_the_form_that_tools_take_apart() {
    let told = |reader: &str, writer: &str, direction| {
        let found = incompatibilities(&schema(reader), &schema(writer));
        found
            .iter()
            .map(|found| Told(found, direction).to_string())
            .collect::<Vec<_>>()
    };
    let record = |fields: &str| format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#);
    let messages = told(
        &record(r#"{"name":"a","type":"int"}"#),
        &record(""),
        Direction::NewReadsOld,
    );
    assert_eq!(
        messages,
        [concat!(
            "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'field 'a' at '/fields/0' ",
            "in the new schema is not in the old schema, and has no default', additionalInfo:'a'}"
        )]
    );
    let messages = told(r#""int""#, r#""string""#, Direction::OldReadsNew);
    assert_eq!(
        messages,
        [concat!(
            "{errorType:'TYPE_MISMATCH', description:'at '/' the old schema has int, which cannot ",
            "read the string of the new schema', additionalInfo:'reader type: INT, writer type: STRING'}"
        )]
    );
    let fixed = |size| format!(r#"{{"type":"fixed","name":"F","size":{size}}}"#);
    assert!(
        told(&fixed(4), &fixed(8), Direction::NewReadsOld)[0].contains("expected: 8, found: 4")
    );
    let symbols = |list| format!(r#"{{"type":"enum","name":"E","symbols":[{list}]}}"#);
    let messages = told(
        &symbols(r#""A""#),
        &symbols(r#""A","B","C""#),
        Direction::NewReadsOld,
    );
    assert!(
        messages[0].ends_with("additionalInfo:'[B, C]'}"),
        "{messages:?}"
    );
    let messages = told(
        r#"["int"]"#,
        r#"["int",{"type":"fixed","name":"n.F","size":1}]"#,
        Direction::NewReadsOld,
    );
    assert!(messages[0].contains("fixed n.F"), "{messages:?}");
    let messages = told(
        &fixed(4),
        &fixed(4).replace("\"F\"", "\"G\""),
        Direction::NewReadsOld,
    );
    assert!(messages[0].contains("NAME_MISMATCH") && messages[0].contains("expected: G"));
}
