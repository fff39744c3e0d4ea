//! Checking and comparing, beside the `jsonschema` crate as the one who validates.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::compatibility::differences;
use super::{JsonError, JsonSchema, parse};
use crate::schema::ReferencedSchema;

fn schema(json: &Value) -> JsonSchema {
    parse(&json.to_string(), &[]).unwrap_or_else(|error| panic!("{json}: {error}"))
}

/// Codes and places of what keeps the reader from taking what the writer does.
fn told(reader: &JsonSchema, writer: &JsonSchema) -> Vec<String> {
    let found = differences(reader, writer).unwrap();
    found
        .iter()
        .map(|found| format!("{} {}", found.code, found.at))
        .collect()
}

#[test]
fn what_is_no_schema_is_refused() {
    for text in [
        "",
        "[]",
        "1",
        "{",
        r#"{"type":"strin"}"#,
        r#"{"type":1}"#,
        r#"{"properties":[]}"#,
        r#"{"pattern":"("}"#,
        r##"{"$ref":"#/definitions/a"}"##,
        r#"{"$ref":"other.json"}"#,
        r#"{"$ref":"http://127.0.0.1:1/a"}"#,
        r#"{"minLength":-1}"#,
        r#"{"enum":1}"#,
        r#"{"$schema":"http://json-schema.org/draft-04/schema#","exclusiveMinimum":1}"#,
        r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","items":[{}]}"#,
    ] {
        assert!(parse(text, &[]).is_err(), "{text}");
    }
    for text in [
        "true",
        "{}",
        r##"{"$ref":"#/definitions/a","definitions":{"a":{}}}"##,
        r##"{"items":{"$ref":"#"}}"##,
        r#"{"$schema":"http://json-schema.org/draft-04/schema#","minimum":1,"exclusiveMinimum":true}"#,
        r#"{"$schema":"http://json-schema.org/draft-06/schema#","const":1}"#,
        r#"{"$schema":"https://json-schema.org/draft/2019-09/schema","items":[{}]}"#,
        r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","prefixItems":[{}]}"#,
        r#"{"$schema":"urn:unheard-of","x":1}"#,
        r##"{"$id":"http://a/b.json","items":{"$ref":"b.json#"}}"##,
    ] {
        let found = parse(text, &[]);
        assert!(found.is_ok(), "{text}: {found:?}");
    }
    let deep = format!("{}{}", r#"{"items":"#.repeat(10_000), "}".repeat(10_000));
    assert!(matches!(parse(&deep, &[]), Err(JsonError::Json(_))));
}

#[test]
fn references_are_found_where_they_were_registered() {
    let known = |names: &[(&str, &str)]| -> Vec<ReferencedSchema> {
        let made = names.iter().map(|(name, text)| ReferencedSchema {
            name: (*name).to_owned(),
            text: (*text).to_owned(),
        });
        made.collect()
    };
    let text =
        r##"{"properties":{"a":{"$ref":"a.json"},"b":{"$ref":"http://b/b.json#/definitions/b"}}}"##;
    let with = |a: &str| {
        let names = [
            ("a.json", a),
            (
                "http://b/b.json",
                r#"{"definitions":{"b":{"type":"string"}}}"#,
            ),
        ];
        parse(text, &known(&names)).unwrap()
    };
    let (whole, any) = (with(r#"{"type":"integer"}"#), with(r#"{"type":"number"}"#));
    assert!(told(&any, &whole).is_empty());
    assert_eq!(told(&whole, &any), ["TYPE_NARROWED #/properties/a"]);
    assert!(parse(text, &known(&[("a.json", "{}")])).is_err());
    let broken = parse(text, &known(&[("a.json", "{"), ("http://b/b.json", "{}")]));
    assert!(matches!(broken, Err(JsonError::Reference { .. })));
    // Relative to the schema's own id.
    let own = r#"{"$id":"http://c/d/own.json","items":{"$ref":"../a.json"}}"#;
    assert!(parse(own, &known(&[("../a.json", "{}")])).is_ok());
    assert!(parse(own, &known(&[("http://c/a.json", "{}")])).is_ok());
}

#[test]
fn rules() {
    let closed = |properties: Value| json!({"type": "object", "properties": properties, "additionalProperties": false});
    let open = |properties: Value| json!({"type": "object", "properties": properties});
    let half = |properties: Value, other: Value| json!({"properties": properties, "additionalProperties": other});
    let required = |mut schema: Value, names: Value| {
        schema["required"] = names;
        schema
    };
    let (a, ab) = (
        json!({"a": {"type": "string"}}),
        json!({"a": {"type": "string"}, "b": {"type": "integer"}}),
    );
    let with_default = json!({"a": {"type": "string"}, "b": {"type": "integer", "default": 1}});
    let lengths =
        |low: u32, high: u32| json!({"type": "string", "minLength": low, "maxLength": high});
    let range = |low: f64, high: f64| json!({"type": "number", "minimum": low, "maximum": high});
    // What the writer had, what the reader has, and why that doesn't do.
    let cases: Vec<(Value, Value, &[&str])> = vec![
        // Content models.
        (
            open(a.clone()),
            open(ab.clone()),
            &["PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL #/properties/b"],
        ),
        (
            open(a.clone()),
            open(json!({"a": {"type": "string"}, "b": {}})),
            &[],
        ),
        (open(ab.clone()), open(a.clone()), &[]),
        (closed(a.clone()), closed(ab.clone()), &[]),
        (
            closed(ab.clone()),
            closed(a.clone()),
            &["PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL #/properties/b"],
        ),
        (
            closed(json!({"a": {"type": "string"}, "b": false})),
            closed(a.clone()),
            &[],
        ),
        (closed(a.clone()), open(ab.clone()), &[]),
        (
            open(a.clone()),
            closed(a.clone()),
            &["ADDITIONAL_PROPERTIES_REMOVED #/additionalProperties"],
        ),
        (
            half(a.clone(), json!({"type": "integer"})),
            half(ab.clone(), json!({"type": "integer"})),
            &[],
        ),
        (
            half(a.clone(), json!({"type": "string"})),
            half(ab.clone(), json!({"type": "string"})),
            &["PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/properties/b"],
        ),
        (
            half(ab.clone(), json!({"type": "integer"})),
            half(a.clone(), json!({"type": "integer"})),
            &[],
        ),
        (
            half(ab.clone(), json!({"type": "string"})),
            half(a.clone(), json!({"type": "string"})),
            &["PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/properties/b"],
        ),
        (
            half(a.clone(), json!({"type": "integer"})),
            half(a.clone(), json!({"type": "string"})),
            &["ADDITIONAL_PROPERTIES_NARROWED #/additionalProperties"],
        ),
        (
            half(a.clone(), json!({"type": "integer"})),
            half(a.clone(), json!({"type": "number"})),
            &[],
        ),
        (
            closed(a.clone()),
            required(closed(ab.clone()), json!(["b"])),
            &["REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/b"],
        ),
        (
            closed(a.clone()),
            required(closed(with_default.clone()), json!(["b"])),
            &[],
        ),
        (
            closed(ab.clone()),
            required(closed(ab.clone()), json!(["b"])),
            &["REQUIRED_ATTRIBUTE_ADDED #/properties/b"],
        ),
        (
            closed(ab.clone()),
            required(closed(with_default), json!(["b"])),
            &[],
        ),
        (
            required(closed(ab.clone()), json!(["b"])),
            closed(ab.clone()),
            &[],
        ),
        // Types and values.
        (
            json!({"type": "string"}),
            json!({"type": "integer"}),
            &["TYPE_CHANGED #"],
        ),
        (json!({"type": "integer"}), json!({"type": "number"}), &[]),
        (
            json!({"type": "number"}),
            json!({"type": "integer"}),
            &["TYPE_NARROWED #"],
        ),
        (
            json!({"type": "string"}),
            json!({"type": ["string", "null"]}),
            &[],
        ),
        (json!({"type": "string"}), json!({}), &[]),
        (json!({}), json!({"type": "string"}), &["TYPE_NARROWED #"]),
        (json!({"enum": ["a"]}), json!({"enum": ["a", "b"]}), &[]),
        (
            json!({"enum": ["a", "b"]}),
            json!({"enum": ["a"]}),
            &["ENUM_ARRAY_NARROWED #"],
        ),
        (json!({"enum": [1, 2.0]}), json!({"enum": [1.0, 2]}), &[]),
        (
            json!({"type": "string"}),
            json!({"type": "string", "enum": ["a"]}),
            &["TYPE_CHANGED #"],
        ),
        (json!({"const": 1}), json!({"enum": [1, 2]}), &[]),
        // Strings.
        (lengths(1, 5), lengths(0, 6), &[]),
        (
            lengths(1, 5),
            lengths(2, 4),
            &["MAX_LENGTH_DECREASED #", "MIN_LENGTH_INCREASED #"],
        ),
        (
            json!({"type": "string"}),
            lengths(1, 5),
            &["MAX_LENGTH_ADDED #", "MIN_LENGTH_ADDED #"],
        ),
        (
            json!({"type": "string", "pattern": "a"}),
            json!({"type": "string"}),
            &[],
        ),
        (
            json!({"type": "string"}),
            json!({"type": "string", "pattern": "a"}),
            &["PATTERN_ADDED #"],
        ),
        (
            json!({"type": "string", "pattern": "b"}),
            json!({"type": "string", "pattern": "a"}),
            &["PATTERN_CHANGED #"],
        ),
        (
            json!({"type": "string"}),
            json!({"type": "string", "format": "date"}),
            &[],
        ),
        (json!({"type": "integer"}), json!({"maxLength": 1}), &[]),
        // Numbers.
        (range(1.0, 2.5), range(0.5, 2.5), &[]),
        (
            range(1.0, 2.5),
            range(1.5, 2.0),
            &["MAXIMUM_DECREASED #", "MINIMUM_INCREASED #"],
        ),
        (
            json!({"type": "number"}),
            range(1.0, 2.0),
            &["MAXIMUM_ADDED #", "MINIMUM_ADDED #"],
        ),
        (
            range(1.0, 2.0),
            json!({"type": "number", "exclusiveMinimum": 1}),
            &["EXCLUSIVE_MINIMUM_INCREASED #"],
        ),
        (
            json!({"type": "number", "exclusiveMinimum": 1}),
            json!({"type": "number", "minimum": 1}),
            &[],
        ),
        (
            json!({"type": "integer", "multipleOf": 6}),
            json!({"type": "integer", "multipleOf": 3}),
            &[],
        ),
        (
            json!({"type": "integer", "multipleOf": 3}),
            json!({"type": "integer", "multipleOf": 6}),
            &["MULTIPLE_OF_CHANGED #"],
        ),
        (
            json!({"type": "integer"}),
            json!({"type": "integer", "multipleOf": 6}),
            &["MULTIPLE_OF_ADDED #"],
        ),
        // Arrays.
        (
            json!({"items": {"type": "integer"}}),
            json!({"items": {"type": "number"}}),
            &[],
        ),
        (
            json!({"items": {"type": "number"}}),
            json!({"items": {"type": "integer"}}),
            &["TYPE_NARROWED #/items"],
        ),
        (
            json!({"items": [{"type": "integer"}]}),
            json!({"items": [{"type": "integer"}, {"type": "string"}]}),
            &["ITEM_ADDED_TO_OPEN_CONTENT_MODEL #/items/1"],
        ),
        (
            json!({"items": [{}], "additionalItems": false}),
            json!({"items": [{}, {"type": "string"}], "additionalItems": false}),
            &[],
        ),
        (
            json!({"items": [{}, {}], "additionalItems": false}),
            json!({"items": [{}], "additionalItems": false}),
            &["ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL #/items/1"],
        ),
        (
            json!({"items": [{}, {}]}),
            json!({"items": [{}], "additionalItems": false}),
            &[
                "ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL #/items/1",
                "ADDITIONAL_ITEMS_REMOVED #/items",
            ],
        ),
        (
            json!({"type": "array"}),
            json!({"uniqueItems": true, "maxItems": 3}),
            &["MAX_ITEMS_ADDED #", "UNIQUE_ITEMS_ADDED #"],
        ),
        // Combinations.
        (
            json!({"type": "string"}),
            json!({"oneOf": [{"type": "null"}, {"type": "string"}]}),
            &[],
        ),
        (
            json!({"oneOf": [{"type": "null"}, {"type": "string"}]}),
            json!({"type": ["string", "null"]}),
            &[],
        ),
        (
            json!({"type": ["string", "null"]}),
            json!({"anyOf": [{"type": "null"}, {"type": "string"}]}),
            &[],
        ),
        (
            json!({"oneOf": [{"type": "null"}, {"type": "string"}]}),
            json!({"type": "string"}),
            &["TYPE_NARROWED #"],
        ),
        (
            json!({"anyOf": [{"type": "null"}, {"type": "string"}]}),
            json!({"anyOf": [{"type": "string"}, {"type": "null"}, {"type": "integer"}]}),
            &[],
        ),
        (
            json!({"anyOf": [{"type": "null"}, {"type": "string"}]}),
            json!({"anyOf": [{"type": "string"}, {"type": "integer"}]}),
            &["SUM_TYPE_NARROWED #"],
        ),
        (
            json!({"oneOf": [{"maximum": 1}, {"minimum": 2}]}),
            json!({"anyOf": [{"maximum": 1}, {"minimum": 2}]}),
            &[],
        ),
        (
            json!({"anyOf": [{"maximum": 1}, {"minimum": 2}]}),
            json!({"oneOf": [{"maximum": 1}, {"minimum": 2}]}),
            &["SUM_TYPE_NARROWED #"],
        ),
        (
            json!({"allOf": [{"maxLength": 1}, {"minLength": 1}]}),
            json!({"allOf": [{"maxLength": 1}]}),
            &[],
        ),
        (
            json!({"allOf": [{"maxLength": 1}]}),
            json!({"allOf": [{"maxLength": 1}, {"pattern": "a"}]}),
            &["PATTERN_ADDED #"],
        ),
        (
            json!({"not": {"type": "string"}}),
            json!({"not": {"type": "string", "maxLength": 1}}),
            &[],
        ),
        (
            json!({"not": {"type": "string", "maxLength": 1}}),
            json!({"not": {"type": "string"}}),
            &["NOT_TYPE_EXTENDED #"],
        ),
        (
            json!({"if": {"type": "string"}, "then": {"maxLength": 1}}),
            json!({}),
            &[],
        ),
        (
            json!({}),
            json!({"if": {"type": "string"}, "then": {"maxLength": 1}}),
            &["KEYWORD_CHANGED #/if"],
        ),
        (
            json!({"dependencies": {"a": ["b", "c"]}}),
            json!({"dependencies": {"a": ["b"]}}),
            &[],
        ),
        (
            json!({"dependencies": {"a": ["b"]}}),
            json!({"dependencies": {"a": ["b", "c"]}}),
            &["DEPENDENCY_ARRAY_EXTENDED #/dependencies/a"],
        ),
        // Anything at all, and nothing.
        (json!(false), json!({"type": "string"}), &[]),
        (json!({"type": "string"}), json!(false), &["TYPE_CHANGED #"]),
        (json!({"title": "a", "description": "b"}), json!(true), &[]),
    ];
    for (writer, reader, why) in cases {
        assert_eq!(
            told(&schema(&reader), &schema(&writer)),
            why,
            "{writer} -> {reader}"
        );
        assert!(
            told(&schema(&reader), &schema(&reader)).is_empty(),
            "{reader}"
        );
    }
}

#[test]
fn schemas_that_hold_themselves() {
    let tree = |leaf: &str| {
        schema(&json!({
            "definitions": {"node": {"type": "object", "additionalProperties": false, "properties": {
                "leaf": {"type": leaf}, "more": {"type": "array", "items": {"$ref": "#/definitions/node"}},
                "next": {"oneOf": [{"type": "null"}, {"$ref": "#/definitions/node"}]}}}},
            "$ref": "#/definitions/node",
        }))
    };
    assert!(told(&tree("number"), &tree("integer")).is_empty());
    assert_eq!(
        told(&tree("integer"), &tree("number"))[0],
        "TYPE_NARROWED #/properties/leaf"
    );
    // Choices within choices within choices are given up on, in time.
    let mut branch = json!({"type": "string", "maxLength": 1});
    for _ in 0..6 {
        branch = json!({"anyOf": [branch, {"type": "object", "properties": {"a": branch}}, {"items": branch}]});
    }
    let (reader, writer) = (
        schema(&branch),
        schema(&json!({"anyOf": [branch, {"type": "integer"}]})),
    );
    assert!(!told(&reader, &writer).is_empty());
}

/// Long chains of references are taken or refused, whatever the stack.
#[test]
fn long_chains_of_references() {
    for length in [50_usize, 20_000] {
        for through in [false, true] {
            let link = |next: usize| {
                let link = json!({"$ref": format!("#/definitions/d{next}")});
                if through {
                    json!({"properties": {"a": link}})
                } else {
                    link
                }
            };
            let mut definitions = serde_json::Map::new();
            for at in 0..length {
                definitions.insert(format!("d{at}"), link(at + 1));
            }
            definitions.insert(format!("d{length}"), json!({"type": "string"}));
            let chain = json!({"definitions": definitions, "$ref": "#/definitions/d0"});
            let Ok(chain) = parse(&chain.to_string(), &[]) else {
                assert!(length > 50);
                continue;
            };
            let found = told(&chain, &chain);
            assert!(found.is_empty() || length > 50, "{found:?}");
        }
    }
}

/// Where Confluent's rules, and so these, let through what validation may not.
#[test]
fn looser_than_validation() {
    let defaulted = json!({"properties": {"a": {"default": 1}}, "required": ["a"]});
    assert!(told(&schema(&defaulted), &schema(&json!({}))).is_empty());
    assert!(!jsonschema::is_valid(&defaulted, &json!({})));
    let one = json!({"oneOf": [{"maximum": 5}, {"minimum": 3}]});
    assert!(told(&schema(&one), &schema(&json!({"maximum": 5}))).is_empty());
    assert!(!jsonschema::is_valid(&one, &json!(4)));
}

fn leaf() -> impl Strategy<Value = Value> {
    let types = [
        "null", "boolean", "integer", "number", "string", "object", "array",
    ];
    prop_oneof![
        3 => proptest::sample::select(types.to_vec()).prop_map(|name| json!({"type": name})),
        1 => proptest::sample::subsequence(types.to_vec(), 1..4).prop_map(|names| json!({"type": names})),
        2 => (0u32..3, 0u32..4).prop_map(|(low, more)| json!({"type": "string", "minLength": low, "maxLength": low + more})),
        1 => Just(json!({"type": "string", "pattern": "^a"})),
        2 => (-2i32..2, 0i32..4).prop_map(|(low, more)| json!({"type": "number", "minimum": low, "maximum": low + more})),
        1 => (-2i32..2, 1u32..4).prop_map(|(low, of)| json!({"exclusiveMinimum": low, "multipleOf": of})),
        2 => proptest::sample::subsequence(vec![json!(null), json!(1), json!(2.0), json!("a"), json!("ab"), json!({}), json!([])], 1..5)
            .prop_map(|values| json!({"enum": values})),
        1 => prop_oneof![Just(json!({})), Just(json!(true)), Just(json!(false))],
    ]
}

fn any_schema() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(3, 24, 4, |inner| {
        let properties = proptest::collection::btree_map(proptest::sample::select(vec!["a", "b", "ab"]), inner.clone(), 0..3);
        let additional = prop_oneof![2 => Just(json!(true)), 2 => Just(json!(false)), 1 => inner.clone()];
        let names = proptest::sample::subsequence(vec!["a", "b"], 0..3);
        prop_oneof![
            4 => (properties, additional, names, proptest::option::of(inner.clone()), 0u32..6).prop_map(|(properties, additional, required, pattern, limit)| {
                let mut made = json!({"type": "object", "properties": properties, "additionalProperties": additional, "required": required});
                if let Some(pattern) = pattern {
                    made["patternProperties"] = json!({"^a": pattern});
                }
                match limit {
                    0 => made["maxProperties"] = json!(2),
                    1 => made["minProperties"] = json!(1),
                    2 => made["dependencies"] = json!({"a": ["b"]}),
                    3 => made["propertyNames"] = json!({"maxLength": 1}),
                    _ => {}
                }
                made
            }),
            2 => (proptest::collection::vec(inner.clone(), 0..3), proptest::option::of(inner.clone()), 0u32..5).prop_map(|(first, rest, limit)| {
                let mut made = json!({"type": "array", "items": first});
                if first.is_empty() {
                    made["items"] = rest.unwrap_or(json!(true));
                } else if let Some(rest) = rest {
                    made["additionalItems"] = rest;
                }
                match limit {
                    0 => made["maxItems"] = json!(1),
                    1 => made["minItems"] = json!(1),
                    2 => made["uniqueItems"] = json!(true),
                    _ => {}
                }
                made
            }),
            1 => proptest::collection::vec(inner.clone(), 1..4).prop_map(|all| json!({"anyOf": all})),
            1 => proptest::collection::vec(inner.clone(), 1..3).prop_map(|all| json!({"allOf": all})),
            1 => inner.clone().prop_map(|not| json!({"not": not})),
            1 => (inner.clone(), inner).prop_map(|(own, other)| json!({"type": ["string", "object", "null"], "anyOf": [own, other]})),
        ]
    })
}

/// The same schema with things of it changed: pairs that have nothing in common rarely fit.
fn changed(schema: &Value, rolls: &mut impl Iterator<Item = u8>, spare: &Value) -> Value {
    match schema {
        Value::Object(object) => {
            let mut made = object.clone();
            for (key, value) in object {
                match rolls.next().unwrap_or(99) {
                    0..4 => drop(made.remove(key)),
                    4..8 if !matches!(
                        key.as_str(),
                        "type" | "required" | "properties" | "dependencies"
                    ) =>
                    {
                        if let Some(found) = spare.get(key) {
                            made.insert(key.clone(), found.clone());
                        }
                    }
                    8..12 if value.is_i64() => {
                        drop(made.insert(key.clone(), json!(value.as_i64().unwrap() + 1)))
                    }
                    12..16 if value.as_i64().is_some_and(|value| value > 0) => {
                        made.insert(key.clone(), json!(value.as_i64().unwrap() - 1));
                    }
                    16..20 if key == "type" => {
                        drop(made.insert(key.clone(), json!(["string", "number", "null"])))
                    }
                    20..26 if key == "properties" => {
                        let mut more = value.clone();
                        more["b"] = spare.clone();
                        made.insert(key.clone(), more);
                    }
                    26..30 if value.is_object() || value.is_boolean() && key != "uniqueItems" => {
                        if key != "properties"
                            && key != "patternProperties"
                            && key != "dependencies"
                        {
                            made.insert(key.clone(), json!(true));
                        }
                    }
                    _ => drop(made.insert(key.clone(), changed(value, rolls, spare))),
                }
            }
            // A property that is required without being named would still be; and so on.
            Value::Object(made)
        }
        Value::Array(values) => {
            let mut made: Vec<_> = values
                .iter()
                .map(|value| changed(value, rolls, spare))
                .collect();
            let schemas = values
                .iter()
                .all(|value| value.is_object() || value.is_boolean());
            match rolls.next().unwrap_or(99) {
                0..8 if made.len() > 1 => drop(made.pop()),
                8..16 if schemas => made.push(spare.clone()),
                _ => {}
            }
            Value::Array(made)
        }
        other => other.clone(),
    }
}

fn instance() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        (-3i32..6).prop_map(|value| json!(value)),
        Just(json!(1.5)),
        Just(json!(2.0)),
        proptest::sample::select(vec!["", "a", "b", "ab", "abc", "abcde"])
            .prop_map(|value| json!(value)),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            1 => proptest::collection::vec(inner.clone(), 0..4).prop_map(|values| json!(values)),
            2 => proptest::collection::btree_map(proptest::sample::select(vec!["a", "b", "ab", "c"]), inner, 0..4)
                .prop_map(|values| json!(values)),
        ]
    })
}

#[test]
fn what_fits_validates() {
    let (fits, told_apart, seen) = (
        std::cell::Cell::new(0u32),
        std::cell::Cell::new(0u32),
        std::cell::Cell::new(0u32),
    );
    let cases = 1_000;
    let strategy = (
        any_schema(),
        any_schema(),
        proptest::collection::vec(0u8..100, 40),
        proptest::collection::vec(instance(), 40),
    );
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(cases));
    let run = runner.run(&strategy, |(writer, spare, rolls, instances)| {
        let reader = changed(&writer, &mut rolls.into_iter(), &spare);
        let (Ok(write), Ok(read)) = (
            parse(&writer.to_string(), &[]),
            parse(&reader.to_string(), &[]),
        ) else {
            return Ok(());
        };
        let (old, new) = (
            jsonschema::draft7::new(&writer).unwrap(),
            jsonschema::draft7::new(&reader).unwrap(),
        );
        let valid: Vec<_> = instances
            .iter()
            .filter(|instance| old.is_valid(instance))
            .collect();
        let why = told(&read, &write);
        if !why.is_empty() {
            told_apart.set(
                told_apart.get() + u32::from(valid.iter().any(|instance| !new.is_valid(instance))),
            );
            return Ok(());
        }
        fits.set(fits.get() + 1);
        for instance in valid {
            seen.set(seen.get() + 1);
            prop_assert!(new.is_valid(instance), "{writer} -> {reader}: {instance}");
        }
        Ok(())
    });
    run.unwrap();
    let (fits, told_apart, seen) = (fits.get(), told_apart.get(), seen.get());
    assert!(
        fits > cases / 10 && told_apart > cases / 40 && seen > 500,
        "{fits} fit, {told_apart} don't and an instance shows it, {seen} instances were valid"
    );
}
