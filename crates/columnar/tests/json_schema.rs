//! JSON Schema: the columns it means, and its verdicts and values beside `jsonschema`'s and
//! `serde_json`'s.
#![cfg(feature = "json-schema")]

mod common;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, StructArray};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use common::Rng;
use fletch_columnar::json::{CheckedWriter, JsonSchema, JsonSchemaError};
use fletch_columnar::{Decoder, Misfit, Options, Transcoder};
use serde_json::{Map, Value, json};

fn decoded(schema: &JsonSchema, rows: &[Vec<u8>]) -> RecordBatch {
    let mut decoder = Decoder::new(schema.schema(), Options::default()).unwrap();
    decoder.add_writer(0, schema.schema()).unwrap();
    let rows: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
    let decoded = decoder.decode(&rows);
    assert_eq!(decoded.errors, []);
    decoded.batch
}

fn row(writer: &mut CheckedWriter, text: &str) -> Result<Vec<u8>, Misfit> {
    let mut row = b"before".to_vec();
    let result = writer.transcode(text.as_bytes(), &mut row);
    assert!(row.starts_with(b"before"));
    let row = row.split_off(6);
    assert!(result.is_ok() || row.is_empty());
    result.map(|()| row)
}

/// The Avro type of a schema's member `x`, and a record's value in its column.
fn column(schema: &Value, value: &str) -> (Value, Result<String, String>) {
    let text = json!({"type": "object", "properties": {"x": schema}}).to_string();
    let schema = JsonSchema::parse(&text, &[]).unwrap();
    let avro: Value = serde_json::from_str(&schema.schema().json()).unwrap();
    let taken = row(&mut schema.writer(), &format!("{{\"x\":{value}}}"));
    let shown = taken.map_err(|misfit| misfit.to_string()).map(|row| {
        let batch = decoded(&schema, &[row]);
        let options = FormatOptions::new().with_null("null");
        let shown = ArrayFormatter::try_new(batch.column(0), &options).unwrap();
        shown.value(0).to_string()
    });
    (avro["fields"][0]["type"][1].clone(), shown)
}

#[test]
fn each_schema_has_its_column() {
    let timestamp = json!({"type": "long", "logicalType": "timestamp-micros"});
    let millis = json!({"type": "long", "logicalType": "timestamp-millis"});
    let decimal = json!({"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 2});
    let connect = "org.apache.kafka.connect.data.";
    for (schema, value, avro, shown) in [
        (json!({"type": "integer"}), "5", json!("long"), "5"),
        (json!({"type": "integer"}), "5.0", json!("long"), "5"),
        (
            json!({"type": "integer", "connect.type": "int16"}),
            "5",
            json!("int"),
            "5",
        ),
        (json!({"type": "number"}), "5", json!("double"), "5.0"),
        (
            json!({"type": "number", "connect.type": "float32"}),
            "0.5",
            json!("float"),
            "0.5",
        ),
        (
            json!({"type": ["integer", "number"]}),
            "1",
            json!("double"),
            "1.0",
        ),
        (json!({"type": "boolean"}), "true", json!("boolean"), "true"),
        (
            json!({"type": "string"}),
            r#""a\u0041""#,
            json!("string"),
            "aA",
        ),
        (
            json!({"type": ["null", "string"]}),
            "null",
            json!("string"),
            "null",
        ),
        (json!({"enum": ["a", "b"]}), r#""b""#, json!("string"), "b"),
        (json!({"const": "a"}), r#""a""#, json!("string"), "a"),
        (json!({"enum": [1, 2]}), "2", json!("long"), "2"),
        (json!({"enum": [1, "a"]}), "1", json!("string"), "1"),
        (
            json!({"type": "string", "format": "date-time"}),
            r#""2026-01-31T12:00:00.1234567+02:00""#,
            timestamp,
            "2026-01-31T10:00:00.123456Z",
        ),
        (
            json!({"type": "string", "format": "date"}),
            r#""2026-01-31""#,
            json!({"type": "int", "logicalType": "date"}),
            "2026-01-31",
        ),
        (
            json!({"type": "string", "format": "time"}),
            r#""01:02:03.5+02:00""#,
            json!({"type": "long", "logicalType": "time-micros"}),
            "23:02:03.500",
        ),
        (
            json!({"type": "string", "format": "uuid"}),
            r#""00112233-4455-6677-8899-aabbccddeeff""#,
            json!({"type": "string", "logicalType": "uuid"}),
            "00112233445566778899aabbccddeeff",
        ),
        (
            json!({"type": "string", "contentEncoding": "base64"}),
            r#""AAEC""#,
            json!("bytes"),
            "000102",
        ),
        (
            json!({"type": "integer", "title": format!("{connect}Timestamp"), "connect.type": "int64"}),
            "1000",
            millis,
            "1970-01-01T00:00:01Z",
        ),
        (
            json!({"type": "number", "title": format!("{connect}Decimal"), "connect.type": "bytes",
                "connect.parameters": {"scale": "2"}}),
            "12.3",
            decimal,
            "12.30",
        ),
        (
            json!({"oneOf": [{"type": "null"}, {"type": "integer"}]}),
            "7",
            json!("long"),
            "7",
        ),
        (
            json!({"anyOf": [{"type": "string", "maxLength": 2}, {"type": "string"}]}),
            r#""abc""#,
            json!("string"),
            "abc",
        ),
        (
            json!({"oneOf": [{"type": "string"}, {"type": "integer"}]}),
            r#""a""#,
            json!("string"),
            "\"a\"",
        ),
        (json!({}), "{\"a\": 1}", json!("string"), "{\"a\": 1}"),
        (
            json!({"type": "array"}),
            "[1, 2]",
            json!("string"),
            "[1, 2]",
        ),
        (
            json!({"type": "array", "items": {"type": "integer"}}),
            "[1,2]",
            json!({"type": "array", "items": "long"}),
            "[1, 2]",
        ),
        (
            json!({"type": "object", "additionalProperties": {"type": "boolean"}}),
            r#"{"a":true,"b":false,"a":false}"#,
            json!({"type": "map", "values": "boolean"}),
            "{b: false, a: false}",
        ),
    ] {
        let (ty, got) = column(&schema, value);
        assert_eq!(ty, avro, "{schema}");
        assert_eq!(got.as_deref(), Ok(shown), "{schema}");
    }
}

#[test]
fn refusals_say_where_and_why() {
    for (schema, value, why) in [
        (
            json!({"type": "integer"}),
            "\"5\"",
            r#"x, byte 5: "5" is not of type "integer""#,
        ),
        (
            json!({"type": "integer"}),
            "9223372036854775808",
            "x, byte 5: the column holds an integer of 64 bits, not this number",
        ),
        (
            json!({"type": "array", "items": {"type": "integer", "minimum": 3}}),
            "[4, 2]",
            "x[1], byte 9: 2 is less than the minimum of 3",
        ),
        (
            json!({"type": "string", "format": "date"}),
            r#""2026-02-30""#,
            "x, byte 5: the column holds a date, not this string",
        ),
        (
            json!({"type": "string"}),
            "null",
            r#"x, byte 5: null is not of type "string""#,
        ),
        (
            json!({"type": "string"}),
            "nul",
            ", byte 5: not JSON: no JSON value",
        ),
    ] {
        assert_eq!(column(&schema, value).1, Err(why.to_owned()), "{schema}");
    }
}

#[test]
fn members_beyond_those_listed() {
    let rest = |others: &str, text: &str| {
        let schema = format!(
            r#"{{"type":"object","properties":{{"z":{{"type":"integer","connect.index":1}},
                "a":{{"type":"integer","connect.index":0}},"rest":{{"type":"integer"}}}}{others}}}"#
        );
        let schema = JsonSchema::parse(&schema, &[]).unwrap();
        let row = row(&mut schema.writer(), text).map_err(|misfit| misfit.to_string())?;
        let batch = decoded(&schema, &[row]);
        let names: Vec<String> = batch
            .schema()
            .fields()
            .iter()
            .map(|f| f.name().clone())
            .collect();
        let rest = batch
            .column_by_name("rest_2")
            .map(|c| c.as_string::<i32>().value(0).to_owned());
        Ok::<_, String>((names.join(" "), rest))
    };
    let text = r#"{"y\n":[1, {}],"z":1,"b":null}"#;
    assert_eq!(rest("", text), Ok(("a z rest".into(), None)));
    let kept = r#"{"y\n":[1, {}],"b":null}"#;
    let all = Ok(("a z rest rest_2".into(), Some(kept.to_owned())));
    assert_eq!(rest(r#","additionalProperties":true"#, text), all);
    assert_eq!(
        rest(r#","additionalProperties":{"type":["array","null"]}"#, text),
        all
    );
    assert_eq!(rest(r#","patternProperties":{"^y":{}}"#, text), all);
    let refused = rest(r#","additionalProperties":false"#, text).unwrap_err();
    assert!(
        refused.contains("Additional properties are not allowed"),
        "{refused}"
    );
}

#[test]
fn references_lead_to_what_is_given_and_nowhere_else() {
    let shared = r#"{"$id":"http://example.com/shared.json","type":"object",
        "properties":{"n":{"type":"integer"}},"definitions":{"s":{"$anchor":"text","type":"string"}}}"#;
    for reference in ["shared.json", "http://example.com/shared.json"] {
        let schema = format!(
            r##"{{"type":"object","properties":{{"a":{{"$ref":"{reference}"}},
                "b":{{"$ref":"{reference}#/definitions/s"}},"c":{{"$ref":"{reference}#text"}},
                "d":{{"$ref":"#/$defs/x~1y%25"}}}},"$defs":{{"x/y%":{{"type":"boolean"}}}}}}"##
        );
        let schema = JsonSchema::parse(&schema, &[("shared.json", shared)]).unwrap();
        let taken = row(
            &mut schema.writer(),
            r#"{"a":{"n":5},"b":"t","c":"u","d":true}"#,
        )
        .unwrap();
        let batch = decoded(&schema, &[taken]);
        let n = batch
            .column(0)
            .as_struct()
            .column(0)
            .as_primitive::<Int64Type>()
            .value(0);
        assert_eq!(n, 5);
        assert_eq!(batch.column(1).as_string::<i32>().value(0), "t");
        assert_eq!(batch.column(2).as_string::<i32>().value(0), "u");
        assert!(batch.column(3).as_boolean().value(0));
        assert!(row(&mut schema.writer(), r#"{"a":{"n":"5"}}"#).is_err());
    }
    for outside in [
        "http://127.0.0.1:1/x.json",
        "file:///etc/hostname",
        "other.json",
    ] {
        let schema = json!({"$ref": outside}).to_string();
        let error = JsonSchema::parse(&schema, &[]).unwrap_err();
        assert!(matches!(error, JsonSchemaError::Invalid { .. }), "{error}");
    }
}

#[test]
fn recursion_is_columns_once_and_text_from_there() {
    let schema = r##"{"type":"object","properties":{"v":{"type":"integer"},
        "next":{"$ref":"#"}},"required":["v"]}"##;
    let schema = JsonSchema::parse(schema, &[]).unwrap();
    let taken = row(
        &mut schema.writer(),
        r#"{"v":1,"next":{"v":2,"next":{"v":3}}}"#,
    )
    .unwrap();
    let batch = decoded(&schema, &[taken]);
    assert_eq!(
        batch
            .column_by_name("next")
            .unwrap()
            .as_string::<i32>()
            .value(0),
        r#"{"v":2,"next":{"v":3}}"#
    );
    let refused = row(
        &mut schema.writer(),
        r#"{"v":1,"next":{"v":2,"next":{"w":3}}}"#,
    )
    .unwrap_err();
    assert_eq!(refused.path, "next.next");
}

#[test]
fn hostile_schemas_are_refused_or_harmless() {
    // Each level says the one below it twice.
    let mut definitions = Map::new();
    for i in 0..60 {
        let below = json!({"$ref": format!("#/$defs/d{}", i + 1)});
        definitions.insert(format!("d{i}"), json!({"allOf": [below, below]}));
    }
    definitions.insert("d60".into(), json!({"type": "object"}));
    let doubling = json!({"$ref": "#/$defs/d0", "$defs": definitions}).to_string();
    let error = JsonSchema::parse(&doubling, &[]).unwrap_err();
    assert!(
        matches!(error, JsonSchemaError::TooManySubschemas { .. }),
        "{error}"
    );

    let mut deep = json!({"type": "integer"});
    for _ in 0..20 {
        deep = json!({"type": "object", "properties": {"a": {"type": "array", "items": deep}}});
    }
    let deep = JsonSchema::parse(&deep.to_string(), &[]).unwrap();
    assert!(fletch_columnar::avro::Schema::parse(&deep.schema().json(), &[]).is_ok());
    decoded(&deep, &[]);

    let properties: Map<String, Value> = (0..5_000)
        .map(|i| (format!("p{i}"), json!({"type": "integer"})))
        .collect();
    let wide = json!({"type": "object", "properties": {"w": {"type": "object", "properties": properties}}});
    let wide = JsonSchema::parse(&wide.to_string(), &[]).unwrap();
    let taken = row(&mut wide.writer(), r#"{"w":{"p1":2}}"#).unwrap();
    assert_eq!(
        decoded(&wide, &[taken])
            .column(0)
            .as_string::<i32>()
            .value(0),
        r#"{"p1":2}"#
    );

    for text in [
        "{",
        "5",
        r#"{"type":"nothing"}"#,
        r##"{"$ref":"#/nowhere"}"##,
        r#"{"pattern":"("}"#,
        r#"{"type":"object","properties":5}"#,
    ] {
        assert!(JsonSchema::parse(text, &[]).is_err(), "{text}");
    }
    // Regular expressions that would take for ever end.
    let slow = json!({"type": "object", "properties": {"x": {"type": "string", "pattern": "^(a|a)*(?=b)$"}}});
    let mut slow = JsonSchema::parse(&slow.to_string(), &[]).unwrap().writer();
    let text = json!({"x": "a".repeat(5_000)}).to_string();
    assert!(row(&mut slow, &text).is_err());
    // Itself, and nothing else.
    for text in [r##"{"$ref":"#"}"##, r##"{"allOf":[{"$ref":"#"}]}"##] {
        if let Ok(schema) = JsonSchema::parse(text, &[]) {
            let _ = row(&mut schema.writer(), "{}");
        }
    }
}

#[test]
fn drafts_differ_in_integers_and_in_what_stands_beside_a_reference() {
    let schema = |draft: &str| {
        json!({"$schema": draft, "type": "object", "definitions": {"i": {"type": "integer"}},
            "properties": {"x": {"$ref": "#/definitions/i", "maximum": 5}}})
    };
    for (draft, text, taken) in [
        (
            "http://json-schema.org/draft-04/schema#",
            r#"{"x":1.0}"#,
            false,
        ),
        (
            "http://json-schema.org/draft-04/schema#",
            r#"{"x":9}"#,
            true,
        ),
        (
            "http://json-schema.org/draft-07/schema#",
            r#"{"x":1.0}"#,
            true,
        ),
        (
            "http://json-schema.org/draft-07/schema#",
            r#"{"x":9}"#,
            true,
        ),
        (
            "https://json-schema.org/draft/2019-09/schema",
            r#"{"x":9}"#,
            false,
        ),
        (
            "https://json-schema.org/draft/2020-12/schema",
            r#"{"x":9}"#,
            false,
        ),
        (
            "https://json-schema.org/draft/2020-12/schema",
            r#"{"x":5}"#,
            true,
        ),
    ] {
        let schema = JsonSchema::parse(&schema(draft).to_string(), &[]).unwrap();
        assert_eq!(
            row(&mut schema.writer(), text).is_ok(),
            taken,
            "{draft} {text}"
        );
    }
}

const KEYS: [&str; 7] = ["a", "b", "B", "c-d", "e", "größe", "rest"];

fn schema(rng: &mut Rng, depth: usize) -> Value {
    let kinds = if depth == 0 { 9 } else { 17 };
    let mut made = match rng.below(kinds) {
        9 if rng.chance(50) => {
            json!({"type": "string", "format": *rng.pick(&["date", "time", "uuid"])})
        }
        10 if rng.chance(30) => {
            json!({"type": "integer", "title": "org.apache.kafka.connect.data.Date"})
        }
        0 => json!({"type": "integer"}),
        1 => json!({"type": "number"}),
        2 => json!({"type": "boolean"}),
        3 => json!({"type": "string"}),
        4 => json!({"type": "integer", "minimum": 3}),
        5 => json!({"type": "string", "pattern": "^[a-y]*$"}),
        6 => json!({"enum": ["x", "y", null]}),
        7 => json!({"type": "string", "enum": ["x", "xy"]}),
        8 => json!({}),
        9 => json!({"type": "array", "items": schema(rng, depth - 1)}),
        10 => json!({"type": "object", "additionalProperties": schema(rng, depth - 1)}),
        11 => json!({"anyOf": [schema(rng, depth - 1), schema(rng, depth - 1)]}),
        12 => json!({"oneOf": [{"type": "null"}, schema(rng, depth - 1)]}),
        13 => json!({"allOf": [object(rng, depth - 1), object(rng, depth - 1)]}),
        14 => json!({"$ref": format!("#/$defs/{}", rng.below(3))}),
        _ => object(rng, depth),
    };
    if rng.chance(20)
        && let Some(Value::String(ty)) = made.get("type").cloned()
    {
        made["type"] = json!([ty, "null"]);
    }
    made
}

fn object(rng: &mut Rng, depth: usize) -> Value {
    let mut properties = Map::new();
    for _ in 0..1 + rng.below(4) {
        let key = *rng.pick(&KEYS);
        properties.insert(key.into(), schema(rng, depth.saturating_sub(1)));
    }
    let required: Vec<&String> = properties.keys().filter(|_| rng.chance(25)).collect();
    let mut made =
        json!({"type": "object", "required": required, "properties": properties.clone()});
    match rng.below(6) {
        0 => made["additionalProperties"] = json!(false),
        1 => made["additionalProperties"] = json!(true),
        2 => made["additionalProperties"] = json!({"type": "integer"}),
        3 => made["minProperties"] = json!(1),
        _ => {}
    }
    made
}

fn anything(rng: &mut Rng, depth: usize) -> Value {
    match rng.below(if depth == 0 { 6 } else { 8 }) {
        0 => json!(null),
        1 => json!(rng.chance(50)),
        2 => json!(rng.below(10)),
        3 => json!(rng.below(100) as f64 / 4.0),
        4 | 5 => json!(*rng.pick(&["x", "y", "xy", "z", ""])),
        6 => (0..rng.below(3))
            .map(|_| anything(rng, depth - 1))
            .collect(),
        _ => {
            let member = |rng: &mut Rng| ((*rng.pick(&KEYS)).to_owned(), anything(rng, depth - 1));
            Value::Object((0..rng.below(3)).map(|_| member(rng)).collect())
        }
    }
}

/// A value that often is valid.
fn instance(schema: &Value, root: &Value, rng: &mut Rng, depth: usize) -> Value {
    if rng.chance(3) || depth == 0 {
        return anything(rng, 2);
    }
    for keyword in ["anyOf", "oneOf"] {
        if let Some(list) = schema[keyword].as_array() {
            return instance(rng.pick(list), root, rng, depth - 1);
        }
    }
    if let Some(all) = schema["allOf"].as_array() {
        let mut both = Map::new();
        for schema in all {
            if let Value::Object(members) = instance(schema, root, rng, depth - 1) {
                both.extend(members);
            }
        }
        return Value::Object(both);
    }
    if let Some(reference) = schema["$ref"].as_str() {
        let target = root.pointer(&reference[1..]).expect("a definition");
        return instance(target, root, rng, depth - 1);
    }
    if let Some(list) = schema["enum"].as_array() {
        return rng.pick(list).clone();
    }
    let ty = match &schema["type"] {
        Value::Array(types) => rng.pick(types).clone(),
        ty => ty.clone(),
    };
    match ty.as_str() {
        Some("integer") if rng.chance(10) => json!(rng.below(10) as f64),
        Some("integer") => json!(rng.below(10)),
        Some("number") => json!(rng.below(100) as f64 / 4.0),
        Some("boolean") => json!(rng.chance(50)),
        Some("string") if schema["format"] == "date" => json!(*rng.pick(&["2026-01-31", "x"])),
        Some("string") => json!(*rng.pick(&["x", "y", "xy", "z", ""])),
        Some("array") => (0..rng.below(4))
            .map(|_| instance(&schema["items"], root, rng, depth - 1))
            .collect(),
        Some("object") => {
            let mut members = Map::new();
            if let Some(properties) = schema["properties"].as_object() {
                for (key, schema) in properties {
                    if rng.chance(85) {
                        members.insert(key.clone(), instance(schema, root, rng, depth - 1));
                    }
                }
            }
            if rng.chance(15) || schema["properties"].is_null() {
                let others = &schema["additionalProperties"];
                members.insert(
                    (*rng.pick(&KEYS)).into(),
                    instance(others, root, rng, depth - 1),
                );
            }
            Value::Object(members)
        }
        Some("null") => Value::Null,
        _ => anything(rng, 2),
    }
}

/// The member of a union that isn't null.
fn inner(ty: &Value) -> &Value {
    ty.as_array().map_or(ty, |members| {
        members.iter().find(|m| *m != "null").expect("a member")
    })
}

fn assert_value(ty: &Value, column: &ArrayRef, row: usize, value: &Value) {
    let ty = inner(ty);
    let kind = ty.as_str().or_else(|| ty["type"].as_str()).expect("a type");
    if value.is_null() && column.is_null(row) {
        return;
    }
    assert!(column.is_valid(row), "{value} is null");
    match (kind, value) {
        ("string", value) if ty["logicalType"].is_null() => {
            let text = column.as_string::<i32>().value(row);
            let plain = value.as_str() == Some(text);
            assert!(
                plain || serde_json::from_str::<Value>(text).unwrap() == *value,
                "{text}, {value}"
            );
        }
        // Their spellings are tested one by one.
        ("string" | "int", _) if ty["logicalType"].is_string() => {}
        ("boolean", Value::Bool(b)) => assert_eq!(column.as_boolean().value(row), *b),
        ("long", _) if ty["logicalType"].is_string() => {}
        ("long", Value::Number(n)) => {
            let got = column.as_primitive::<Int64Type>().value(row);
            assert_eq!(Some(got as f64), n.as_f64());
        }
        ("double", Value::Number(n)) => {
            assert_eq!(
                Some(column.as_primitive::<Float64Type>().value(row)),
                n.as_f64()
            );
        }
        ("array", Value::Array(items)) => {
            let list = column.as_list::<i32>().value(row);
            assert_eq!(list.len(), items.len());
            for (i, item) in items.iter().enumerate() {
                assert_value(&ty["items"], &list, i, item);
            }
        }
        ("map", Value::Object(members)) => {
            let entries = column.as_map().value(row);
            assert_eq!(entries.len(), members.len());
            for i in 0..entries.len() {
                let key = entries.column(0).as_string::<i32>().value(i);
                assert_value(&ty["values"], entries.column(1), i, &members[key]);
            }
        }
        ("record", Value::Object(members)) => assert_struct(ty, column.as_struct(), row, members),
        (kind, value) => panic!("{value} in a column of {kind}"),
    }
}

fn assert_struct(record: &Value, columns: &StructArray, row: usize, members: &Map<String, Value>) {
    let mut left = members.clone();
    let mut rest = None;
    for (i, field) in record["fields"]
        .as_array()
        .expect("fields")
        .iter()
        .enumerate()
    {
        let column = columns.column(i);
        let alias = field["aliases"][0].as_str();
        if alias == Some("json.rest") {
            rest = Some(column);
            continue;
        }
        let key = alias.and_then(|a| a.strip_prefix("json.member:"));
        let key = key.or(field["name"].as_str()).expect("a name");
        match left.remove(key) {
            Some(value) => assert_value(&field["type"], column, row, &value),
            None => assert!(column.is_null(row), "{key} wasn't sent"),
        }
    }
    if let Some(rest) = rest {
        let valid = rest.is_valid(row);
        let text = if valid {
            rest.as_string::<i32>().value(row)
        } else {
            "{}"
        };
        assert_eq!(
            serde_json::from_str::<Value>(text).unwrap(),
            Value::Object(left)
        );
    }
}

#[test]
fn verdicts_and_values_are_those_of_the_oracles() {
    let (mut valid, mut invalid) = (0, 0);
    for seed in 0..1_500 {
        let mut rng = Rng(seed);
        let mut root = object(&mut rng, 3);
        let definitions: Map<String, Value> = (0..3)
            .map(|i| (i.to_string(), schema(&mut rng, 2)))
            .collect();
        root["$defs"] = Value::Object(definitions);
        // References may go round without end, which `jsonschema` says.
        let text = root.to_string();
        let options = jsonschema::options().should_validate_formats(false);
        let Ok(validator) = options.build(&root) else {
            assert!(JsonSchema::parse(&text, &[]).is_err(), "{text}");
            continue;
        };
        let ours = JsonSchema::parse(&text, &[]).unwrap();
        let avro: Value = serde_json::from_str(&ours.schema().json()).unwrap();
        let mut writer = ours.writer();
        let (mut values, mut rows) = (Vec::new(), Vec::new());
        for _ in 0..30 {
            let value = instance(&root, &root, &mut rng, 8);
            let result = row(&mut writer, &value.to_string());
            if validator.is_valid(&value) {
                valid += 1;
                match result {
                    Ok(row) => {
                        rows.push(row);
                        values.push(value);
                    }
                    // Formats are asserted where a column needs them.
                    Err(misfit) => assert!(
                        text.contains("\"format\"") && misfit.why.starts_with("the column holds"),
                        "{text}\n{value}\n{misfit}"
                    ),
                }
            } else {
                invalid += 1;
                assert!(result.is_err(), "{text}\n{value}");
            }
        }
        let batch = StructArray::from(decoded(&ours, &rows));
        for (i, value) in values.iter().enumerate() {
            let members = value.as_object().expect("an object");
            assert_struct(&avro, &batch, i, members);
        }
    }
    assert!(valid > 10_000 && invalid > 5_000, "{valid} {invalid}");
}
