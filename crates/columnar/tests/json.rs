//! Raw JSON against a model of it: what is inferred, what grows, what is in the columns.

mod common;

use std::fmt::Write as _;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, StructArray};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use common::Rng;
use fletch_columnar::avro::{Schema, grow};
use fletch_columnar::json::{Inference, Limits, Unknown, Writer};
use fletch_columnar::{Decoder, Options, Transcoder, Types};
use serde_json::Value;

/// A JSON value as it is written.
#[derive(Debug, Clone, PartialEq)]
enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

const KEYS: [&str; 14] = [
    "a",
    "b",
    "c",
    "A",
    "a_text",
    "value",
    "rest",
    "größe",
    "x-y",
    "x.y",
    "",
    "\"quoted\\",
    "\u{1}",
    "a_2",
];
const NUMBERS: [&str; 18] = [
    "0",
    "-0",
    "7",
    "-123456",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "123456789012345678901234567890",
    "0.5",
    "-1.25e3",
    "1E-7",
    "1e400",
    "1e-400",
    "3.0",
    "0.1234567890123456789",
    "10000000000000000000000",
    "-0.0",
];
const TEXTS: [&str; 9] = [
    "",
    "x",
    "null",
    "12",
    "quote \" and \\ and \n",
    "größe",
    "😀\u{7f}",
    "\u{0}\u{1f}",
    "/a/b",
];

fn pick_key(rng: &mut Rng) -> String {
    (*rng.pick(&KEYS)).to_owned()
}

fn random(rng: &mut Rng, depth: usize) -> Json {
    let kinds = if depth == 0 { 5 } else { 9 };
    match rng.below(kinds) {
        0 => Json::Null,
        1 => Json::Bool(rng.chance(50)),
        2 => Json::Number((*rng.pick(&NUMBERS)).to_owned()),
        3 => Json::Number((rng.next() as i64 >> rng.below(64)).to_string()),
        4 => Json::Text((*rng.pick(&TEXTS)).to_owned()),
        5 | 6 => {
            let same = rng.chance(70).then(|| random(rng, depth - 1));
            let count = rng.below(4) + if rng.chance(3) { 200 } else { 0 };
            let item = |rng: &mut Rng| match &same {
                Some(value) => value.clone(),
                None => random(rng, depth - 1),
            };
            Json::Array((0..count).map(|_| item(rng)).collect())
        }
        _ => object(rng, depth),
    }
}

fn object(rng: &mut Rng, depth: usize) -> Json {
    let mut members: Vec<(String, Json)> = Vec::new();
    for _ in 0..rng.below(6) {
        let key = pick_key(rng);
        let twice = members.iter().any(|(k, _)| *k == key);
        if !twice || rng.chance(10) {
            members.push((key, random(rng, depth - 1)));
        }
    }
    Json::Object(members)
}

/// The same object with other values of mostly the same types.
fn like(rng: &mut Rng, json: &Json) -> Json {
    if rng.chance(4) {
        return random(rng, 2);
    }
    match json {
        Json::Bool(_) => Json::Bool(rng.chance(50)),
        Json::Number(n) if n.parse::<i64>().is_ok() => Json::Number(rng.below(1000).to_string()),
        Json::Number(_) => Json::Number(format!("{}.5", rng.below(1000))),
        Json::Text(_) => Json::Text((*rng.pick(&TEXTS)).to_owned()),
        Json::Array(items) => Json::Array(items.iter().map(|item| like(rng, item)).collect()),
        Json::Object(members) => {
            let mut members: Vec<_> = members
                .iter()
                .map(|(k, v)| (k.clone(), like(rng, v)))
                .collect();
            if members.len() > 1 && rng.chance(20) {
                let (i, j) = (rng.below(members.len()), rng.below(members.len()));
                members.swap(i, j);
            }
            if !members.is_empty() && rng.chance(20) {
                members.remove(rng.below(members.len()));
            }
            Json::Object(members)
        }
        Json::Null => Json::Null,
    }
}

fn spell_text(text: &str, rng: &mut Rng, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' if rng.chance(50) => out.push_str("\\n"),
            '/' if rng.chance(50) => out.push_str("\\/"),
            c if c < ' ' || rng.chance(10) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04X}").unwrap();
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn space(rng: &mut Rng, out: &mut String) {
    if rng.chance(10) {
        out.push_str([" ", "\n", "\t\r\n", "   "][rng.below(4)]);
    }
}

fn spell(json: &Json, rng: &mut Rng, out: &mut String) {
    space(rng, out);
    match json {
        Json::Null => out.push_str("null"),
        Json::Bool(b) => write!(out, "{b}").unwrap(),
        Json::Number(n) => out.push_str(n),
        Json::Text(text) => spell_text(text, rng, out),
        Json::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                spell(item, rng, out);
            }
            space(rng, out);
            out.push(']');
        }
        Json::Object(members) => {
            out.push('{');
            for (i, (key, value)) in members.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                space(rng, out);
                spell_text(key, rng, out);
                space(rng, out);
                out.push(':');
                spell(value, rng, out);
            }
            space(rng, out);
            out.push('}');
        }
    }
    space(rng, out);
}

/// Whether nothing is said but null, and empty containers.
fn is_hollow(json: &Json) -> bool {
    match json {
        Json::Null => true,
        Json::Array(items) => items.iter().all(is_hollow),
        Json::Object(members) => members.iter().all(|(_, value)| is_hollow(value)),
        _ => false,
    }
}

/// A minimal reader of JSON text into the model, by way of no number but its digits.
fn read(text: &str) -> Json {
    fn convert(raw: &serde_json::value::RawValue) -> Json {
        let text = raw.get();
        match text.as_bytes()[0] {
            b'{' => {
                let members: Members = serde_json::from_str(text).expect("an object");
                Json::Object(members.0)
            }
            b'[' => {
                let items: Vec<&serde_json::value::RawValue> =
                    serde_json::from_str(text).expect("an array");
                Json::Array(items.into_iter().map(convert).collect())
            }
            b'"' => Json::Text(serde_json::from_str(text).expect("a string")),
            b'n' => Json::Null,
            b't' | b'f' => Json::Bool(text == "true"),
            _ => Json::Number(text.to_owned()),
        }
    }
    struct Members(Vec<(String, Json)>);
    impl<'de> serde::Deserialize<'de> for Members {
        fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = Members;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(
                    self,
                    mut map: A,
                ) -> Result<Members, A::Error> {
                    let mut all = Vec::new();
                    while let Some(key) = map.next_key::<String>()? {
                        let value: &serde_json::value::RawValue = map.next_value()?;
                        all.push((key, convert(value)));
                    }
                    Ok(Members(all))
                }
            }
            d.deserialize_map(Visitor)
        }
    }
    convert(serde_json::from_str(text.trim()).expect("JSON text"))
}

/// What a text column has of a value.
fn assert_text(text: &str, json: &Json) {
    match json {
        Json::Text(string) => assert_eq!(text, string),
        other => assert_eq!(&read(text), other),
    }
}

/// The member of a union that isn't null.
fn inner(ty: &Value) -> &Value {
    match ty {
        Value::Array(members) => members.iter().find(|m| *m != "null").expect("a member"),
        other => other,
    }
}

fn kind(ty: &Value) -> &str {
    ty.as_str().or_else(|| ty["type"].as_str()).expect("a type")
}

/// Whether a column of a type has room for a value: by the documentation, not by the code.
fn holds(ty: &Value, json: &Json) -> bool {
    let ty = inner(ty);
    match (kind(ty), json) {
        (_, Json::Null) => true,
        ("string", _) => true,
        ("boolean", Json::Bool(_)) => true,
        ("long", Json::Number(n)) => long(n).is_some(),
        ("double", Json::Number(n)) => double(n).is_some(),
        ("array", Json::Array(items)) => items.iter().all(|item| holds(&ty["items"], item)),
        // Whatever is wrong within finds a place within.
        ("record", Json::Object(_)) => true,
        _ => false,
    }
}

fn long(n: &str) -> Option<i64> {
    n.parse().ok().or_else(|| {
        let value: f64 = n.parse().ok()?;
        let small =
            value.fract() == 0.0 && value.abs() < 1e15 && !n.chars().all(|c| c.is_ascii_digit());
        // The model's numbers are either short or far off.
        (small && n.len() < 10 && n.parse::<f64>() == Ok(value) && n != "1e-400")
            .then_some(value as i64)
    })
}

fn double(n: &str) -> Option<f64> {
    let value: f64 = n.parse().ok()?;
    let integer = n.bytes().all(|b| matches!(b, b'-' | b'0'..=b'9'));
    if integer && n != "-0" {
        return (format!("{value:.0}") == n).then_some(value);
    }
    (value.is_finite() && n != "1e-400").then_some(value)
}

fn assert_value(ty: &Value, column: &ArrayRef, row: usize, json: &Json) {
    if *json == Json::Null {
        assert!(column.is_null(row), "null is something");
        return;
    }
    assert!(column.is_valid(row), "{json:?} is null");
    let ty = inner(ty);
    match (kind(ty), json) {
        ("string", json) => assert_text(column.as_string::<i32>().value(row), json),
        ("boolean", Json::Bool(b)) => assert_eq!(column.as_boolean().value(row), *b),
        ("long", Json::Number(n)) => {
            assert_eq!(
                Some(column.as_primitive::<Int64Type>().value(row)),
                long(n),
                "{n}"
            );
        }
        ("double", Json::Number(n)) => {
            assert_eq!(
                Some(column.as_primitive::<Float64Type>().value(row)),
                double(n),
                "{n}"
            );
        }
        ("array", Json::Array(items)) => {
            let list = column.as_list::<i32>().value(row);
            assert_eq!(list.len(), items.len());
            for (i, item) in items.iter().enumerate() {
                assert_value(&ty["items"], &list, i, item);
            }
        }
        ("record", Json::Object(members)) => {
            assert_struct(ty, column.as_struct(), row, members);
        }
        (kind, json) => panic!("{json:?} in a column of {kind}"),
    }
}

fn aliases(field: &Value) -> impl Iterator<Item = &str> {
    field["aliases"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

fn assert_struct(record: &Value, columns: &StructArray, row: usize, members: &[(String, Json)]) {
    let fields = record["fields"].as_array().expect("fields");
    let column = |wanted: &dyn Fn(&Value) -> bool| {
        let i = fields.iter().position(wanted)?;
        let name = fields[i]["name"].as_str().expect("a name");
        Some((
            &fields[i]["type"],
            columns.column_by_name(name).expect("a column"),
        ))
    };
    let alias = |wanted: String| move |field: &Value| aliases(field).any(|a| a == wanted);
    let mut last: Vec<(&str, &Json)> = Vec::new();
    for (key, value) in members {
        last.retain(|(k, _)| k != key);
        last.push((key, value));
    }
    let rest = column(&alias("json.rest".into())).map(|(_, rest)| {
        let valid = rest.is_valid(row);
        if valid {
            read(rest.as_string::<i32>().value(row))
        } else {
            Json::Object(vec![])
        }
    });
    let mut in_rest = 0;
    for &(key, value) in &last {
        let main = column(&|field: &Value| {
            let told: Vec<&str> = aliases(field).filter(|a| a.starts_with("json.")).collect();
            match told.as_slice() {
                [] => field["name"] == key,
                told => told.contains(&format!("json.member:{key}").as_str()),
            }
        });
        let text = column(&alias(format!("json.text:{key}"))).map(|(_, text)| text);
        let text_is_null = text.is_none_or(|text| text.is_null(row));
        match (main, &rest) {
            (Some((ty, main)), _) if holds(ty, value) => {
                assert!(text_is_null, "{key}: {value:?} fits, and is there as text");
                if main.is_null(row) {
                    assert!(is_hollow(value), "{key}: {value:?} is null");
                } else {
                    assert_value(ty, main, row, value);
                }
            }
            (Some((_, main)), _) => {
                assert!(main.is_null(row), "{key}: {value:?} doesn't fit");
                if text_is_null {
                    assert!(is_hollow(value), "{key}: {value:?} is nowhere");
                } else {
                    assert_text(text.expect("a column").as_string::<i32>().value(row), value);
                }
            }
            (None, Some(Json::Object(rest))) => {
                let found = rest.iter().rfind(|(k, _)| k == key).map(|(_, v)| v);
                in_rest += 1;
                // Before there was a column for the rest, what said nothing was left out.
                if found != Some(value) {
                    assert!(
                        found.is_none() && is_hollow(value),
                        "{key}: {value:?}, {found:?}"
                    );
                    in_rest -= 1;
                }
            }
            (None, _) => assert!(is_hollow(value), "{key}: {value:?} has no column"),
        }
    }
    if let Some(Json::Object(rest)) = &rest {
        let mut keys: Vec<_> = rest.iter().map(|(k, _)| k).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), in_rest, "{rest:?}");
    }
    for field in fields {
        let name = field["name"].as_str().expect("a name");
        let key = aliases(field)
            .find_map(|a| {
                a.strip_prefix("json.member:")
                    .or(a.strip_prefix("json.text:"))
            })
            .unwrap_or(name);
        if aliases(field).any(|a| a == "json.rest" || a == "json.value") {
            continue;
        }
        if !last.iter().any(|(k, _)| *k == key) {
            let column = columns.column_by_name(name).expect("a column");
            assert!(column.is_null(row), "{name} has a value that wasn't sent");
        }
    }
}

fn assert_record(schema: &Value, batch: &RecordBatch, row: usize, json: &Json) {
    let columns = StructArray::from(batch.clone());
    if let Json::Object(members) = json {
        return assert_struct(schema, &columns, row, members);
    }
    for field in schema["fields"].as_array().expect("fields") {
        let column = columns.column_by_name(field["name"].as_str().expect("a name"));
        let column = column.expect("a column");
        if *json != Json::Null && aliases(field).any(|a| a == "json.value") {
            assert_text(column.as_string::<i32>().value(row), json);
        } else {
            assert!(column.is_null(row));
        }
    }
}

/// A table that takes records in batches, as the documentation says, with each schema it had.
struct Table {
    limits: Limits,
    schemas: Vec<Schema>,
    /// The schema and the row of each record.
    rows: Vec<(usize, Vec<u8>)>,
}

impl Table {
    fn new(limits: Limits) -> Self {
        let first = Inference::new(None, limits).schema();
        Self {
            limits,
            schemas: vec![first],
            rows: Vec::new(),
        }
    }

    fn take(&mut self, records: &[String]) {
        let mut writer = Writer::new(self.schemas.last().unwrap(), Unknown::Grow);
        let mut from = 0;
        let mut grown_at = None;
        while let Some(record) = records.get(from) {
            // What is there already must stay.
            let mut row = b"before".to_vec();
            match writer.transcode(record.as_bytes(), &mut row) {
                Ok(()) => {
                    self.rows.push((self.schemas.len() - 1, row.split_off(6)));
                    from += 1;
                }
                Err(misfit) => {
                    assert!(writer.needs_growth(), "{record}: {misfit}");
                    let table = self.schemas.last().unwrap();
                    assert_ne!(
                        grown_at,
                        Some(from),
                        "{record}: {misfit}: grown in vain to {table}"
                    );
                    assert_eq!(row, b"before");
                    let table = self.schemas.last().unwrap();
                    let mut seen = Inference::new(Some(table), self.limits);
                    assert!(!seen.changed());
                    for record in &records[from..] {
                        seen.see(record.as_bytes()).unwrap();
                    }
                    assert!(seen.changed());
                    let grown = grow(Some(table), &seen.schema()).unwrap();
                    assert!(grown.changed);
                    // It survives being stored as text.
                    let text = grown.schema.json();
                    let grown = Schema::parse(&text, &[]).unwrap();
                    assert_eq!(grown.json(), text);
                    writer = Writer::new(&grown, Unknown::Grow);
                    self.schemas.push(grown);
                    grown_at = Some(from);
                }
            }
        }
    }

    fn batch(&self, profile: Types) -> RecordBatch {
        let options = Options {
            profile,
            ..Options::default()
        };
        let mut decoder = Decoder::new(self.schemas.last().unwrap(), options).unwrap();
        for (id, schema) in self.schemas.iter().enumerate() {
            decoder.add_writer(id as u32, schema).unwrap();
        }
        let framed: Vec<Vec<u8>> = self
            .rows
            .iter()
            .map(|(id, row)| [&[0][..], &(*id as u32).to_be_bytes(), row].concat())
            .collect();
        let framed: Vec<&[u8]> = framed.iter().map(Vec::as_slice).collect();
        let decoded = decoder.decode_framed(&framed);
        assert_eq!(decoded.errors, []);
        decoded.batch
    }
}

fn check(seed: u64, limits: Limits, depth: usize, batches: usize) {
    let mut rng = Rng(seed);
    let mut table = Table::new(limits);
    let mut all = Vec::new();
    let pattern = object(&mut rng, depth);
    for _ in 0..batches {
        let mut texts = Vec::new();
        for _ in 0..1 + rng.below(8) {
            let json = match rng.below(20) {
                0 => random(&mut rng, depth),
                1 | 2 => object(&mut rng, depth),
                _ => like(&mut rng, &pattern),
            };
            let mut text = String::new();
            spell(&json, &mut rng, &mut text);
            assert_eq!(read(&text), json, "the model reads what it writes");
            texts.push(text);
            all.push(json);
        }
        table.take(&texts);
    }
    for profile in [Types::Arrow, Types::Iceberg] {
        let batch = table.batch(profile);
        let schema: Value = serde_json::from_str(&table.schemas.last().unwrap().json()).unwrap();
        for (row, json) in all.iter().enumerate() {
            assert_record(&schema, &batch, row, json);
        }
    }
}

#[test]
fn every_value_is_in_its_column_or_beside_it() {
    for seed in 0..3_000 {
        check(seed, Limits::default(), 4, 1);
    }
}

#[test]
fn tables_grow_and_lose_nothing() {
    for seed in 0..1_500 {
        check(1 << 32 | seed, Limits::default(), 3, 6);
    }
}

#[test]
fn limits_make_text_of_what_is_beyond() {
    for seed in 0..1_500 {
        let mut rng = Rng(seed);
        let limits = Limits {
            columns_max: rng.below(12),
            struct_columns_max: rng.below(4),
            depth_max: rng.below(4),
        };
        check(2 << 32 | seed, limits, 4, 4);
    }
}

/// What a column of an Avro type shows of a JSON record.
fn in_column(ty: &str, value: &str, unknown: Unknown) -> Result<String, String> {
    let schema = format!(r#"{{"type":"record","name":"R","fields":[{{"name":"x","type":{ty}}}]}}"#);
    let schema = Schema::parse(&schema, &[]).unwrap();
    let mut row = Vec::new();
    let mut writer = Writer::new(&schema, unknown);
    let taken = writer.transcode(value.as_bytes(), &mut row);
    taken.map_err(|misfit| misfit.to_string())?;
    let mut decoder = Decoder::new(&schema, Options::default()).unwrap();
    decoder.add_writer(0, &schema).unwrap();
    let decoded = decoder.decode(&[&row]);
    assert_eq!(decoded.errors, [], "{ty} {value}");
    let options = FormatOptions::new().with_null("null");
    let shown = ArrayFormatter::try_new(decoded.batch.column(0), &options).unwrap();
    Ok(shown.value(0).to_string())
}

#[test]
fn any_avro_type_is_written() {
    let logical = |ty: &str, name: &str| format!(r#"{{"type":"{ty}","logicalType":"{name}"}}"#);
    let decimal = r#"{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}"#;
    let fixed =
        r#"{"type":"fixed","name":"D","size":6,"logicalType":"decimal","precision":9,"scale":1}"#;
    let union = r#"["null","long",{"type":"enum","name":"E","symbols":["A"]},"string",
        {"type":"array","items":"double"},{"type":"map","values":"boolean"}]"#;
    for (ty, value, shown) in [
        ("\"int\"", "-7", "-7"),
        ("\"int\"", "7e0", "7"),
        ("\"long\"", "9223372036854775807", "9223372036854775807"),
        ("\"float\"", "0.1", "0.1"),
        ("\"double\"", "1e22", "1e22"),
        ("\"double\"", "-17", "-17.0"),
        ("\"boolean\"", "false", "false"),
        ("\"string\"", "null", "null"),
        ("\"string\"", "[1, \"a\"]", "[1, \"a\"]"),
        ("\"bytes\"", "\"AAEC\"", "000102"),
        (
            r#"{"type":"fixed","name":"F","size":2}"#,
            "\"AAE=\"",
            "0001",
        ),
        (
            r#"{"type":"enum","name":"E","symbols":["A","B"]}"#,
            "\"\\u0042\"",
            "B",
        ),
        (decimal, "12.34", "12.34"),
        (decimal, "\"-0.5\"", "-0.50"),
        (decimal, "99", "99.00"),
        (fixed, "-12345678.9", "-12345678.9"),
        (&logical("int", "date"), "\"1969-12-31\"", "1969-12-31"),
        (&logical("int", "date"), "1", "1970-01-02"),
        (
            &logical("int", "time-millis"),
            "\"01:02:03.004\"",
            "01:02:03.004",
        ),
        (&logical("long", "time-micros"), "1000000", "00:00:01"),
        (
            &logical("long", "timestamp-millis"),
            "\"2026-01-31T00:00:00.5+01:00\"",
            "2026-01-30T23:00:00.500Z",
        ),
        (
            &logical("long", "timestamp-nanos"),
            "\"1970-01-01T00:00:00.000000001Z\"",
            "1970-01-01T00:00:00.000000001Z",
        ),
        (
            &logical("long", "local-timestamp-micros"),
            "\"2026-01-31 00:00:00\"",
            "2026-01-31T00:00:00",
        ),
        (
            &logical("string", "uuid"),
            "\"00112233-4455-6677-8899-AABBCCDDEEFF\"",
            "00112233445566778899aabbccddeeff",
        ),
        (union, "null", "{null=null}"),
        (r#"["long","null"]"#, "5", "5"),
        (r#"["long","null"]"#, "null", "null"),
        (
            r#"{"type":"map","values":"long"}"#,
            r#"{"a":1,"b":2,"a":3,"c":4,"b":5}"#,
            "{a: 3, c: 4, b: 5}",
        ),
        (
            r#"{"type":"array","items":["null","long"]}"#,
            "[1,null,3]",
            "[1, null, 3]",
        ),
        (r#""long","default":5"#, "", "5"),
        (r#"["null","long"],"default":null"#, "", "null"),
        (r#"["null","long"]"#, "", "null"),
    ] {
        let text = if value.is_empty() {
            "{}".to_owned()
        } else {
            format!("{{\"x\":{value}}}")
        };
        assert_eq!(
            in_column(ty, &text, Unknown::Refuse).as_deref(),
            Ok(shown),
            "{ty} {value}"
        );
    }
    // A union takes the first member that holds the value.
    for (value, member) in [
        ("5", "long"),
        ("\"A\"", "E"),
        ("\"B\"", "string"),
        ("[1]", "array"),
        ("{}", "map"),
        ("1.5", "string"),
    ] {
        let shown = in_column(union, &format!("{{\"x\":{value}}}"), Unknown::Refuse).unwrap();
        assert!(shown.contains(member), "{value}: {shown}");
    }
    for (ty, text, why) in [
        (
            "\"int\"",
            r#"{"x":2147483648}"#,
            "x, byte 5: the column holds an integer of 32 bits, not this number",
        ),
        (
            "\"long\"",
            r#"{"x":1.5}"#,
            "x, byte 5: the column holds an integer of 64 bits, not this number",
        ),
        (
            "\"long\"",
            r#"{"x":null}"#,
            "x, byte 5: the column holds an integer of 64 bits, not null",
        ),
        ("\"long\"", "{}", "x, byte 0: a required member is missing"),
        (
            "\"long\"",
            "[]",
            ", byte 0: the column holds an object, not this array",
        ),
        (
            "\"long\"",
            r#"{"x":1,"y":2}"#,
            "{\"y\"}, byte 11: there is no column for this",
        ),
        (
            "\"double\"",
            r#"{"x":9007199254740993}"#,
            "x, byte 5: the column holds a number that a double holds, not this number",
        ),
        (
            "\"float\"",
            r#"{"x":16777217}"#,
            "x, byte 5: the column holds a number that a float holds, not this number",
        ),
        (
            decimal,
            r#"{"x":1.234}"#,
            "x, byte 5: the column holds a decimal of the right precision and scale, not this number",
        ),
        (
            decimal,
            r#"{"x":100}"#,
            "x, byte 5: the column holds a decimal of the right precision and scale, not this number",
        ),
        (
            r#"{"type":"array","items":"long"}"#,
            r#"{"x":[1,"2"]}"#,
            "x[1], byte 8: the column holds an integer of 64 bits, not this string",
        ),
        (
            r#"{"type":"map","values":"long"}"#,
            r#"{"x":{"k":true}}"#,
            "x{\"k\"}, byte 10: the column holds an integer of 64 bits, not a boolean",
        ),
        (
            &logical("long", "timestamp-millis"),
            r#"{"x":"1970-01-01T00:00:00.0001Z"}"#,
            "x, byte 5: the column holds a date and time with its offset, not this string",
        ),
    ] {
        assert_eq!(
            in_column(ty, text, Unknown::Refuse),
            Err(why.to_owned()),
            "{ty} {text}"
        );
    }
    assert_eq!(
        in_column("\"long\"", r#"{"y":2,"x":1}"#, Unknown::Ignore).as_deref(),
        Ok("1")
    );
}

#[test]
fn dictionaries_are_text_and_tables_have_an_end() {
    let mut table = Table::new(Limits::default());
    let dictionary = |from: usize| {
        let members: Vec<String> = (from..from + 300)
            .map(|i| format!("\"k{i}\":{i}"))
            .collect();
        format!("{{{}}}", members.join(","))
    };
    table.take(&[format!("{{\"d\":{}}}", dictionary(0))]);
    assert!(
        table
            .schemas
            .last()
            .unwrap()
            .json()
            .contains(r#""name":"d","type":["null","string"]"#)
    );
    // A struct that is stored before it turns out to be one.
    table.take(&[r#"{"s":{"k1":1}}"#.to_owned()]);
    table.take(&[
        format!("{{\"s\":{}}}", dictionary(0)),
        format!("{{\"s\":{}}}", dictionary(300)),
    ]);
    for from in (0..3_000).step_by(300) {
        table.take(&[dictionary(from)]);
    }
    let batch = table.batch(Types::Iceberg);
    assert_eq!(batch.num_columns(), 1_000 - 257 + 1);
    assert_eq!(
        batch.column_by_name("s").unwrap().as_struct().num_columns(),
        257
    );
    let rest = batch.column_by_name("rest").unwrap();
    assert_eq!(
        rest.as_string::<i32>().value(batch.num_rows() - 1),
        dictionary(2_700)
    );
}

/// Spoils a text in one place.
fn mutate(text: &[u8], rng: &mut Rng) -> Vec<u8> {
    const BYTES: &[u8] = b"{}[]\",:\\ue+-.019 \n\t\x00\x1f\x7f\x80\xc3\xa9\xed\xa0\xff/bdDtfn";
    let mut text = text.to_vec();
    for _ in 0..1 + rng.below(2) {
        let at = rng.below(text.len() + 1);
        match rng.below(4) {
            0 => text.truncate(at),
            1 if at < text.len() => text[at] = *rng.pick(BYTES),
            2 if at < text.len() => drop(text.remove(at)),
            _ => text.insert(at, *rng.pick(BYTES)),
        }
    }
    text
}

#[test]
fn the_edges_of_json_are_those_of_serde_json() {
    let mut texts: Vec<Vec<u8>> = [
        "",
        " ",
        "\u{feff}{}",
        "{} {}",
        "{}x",
        "[1,]",
        "{\"a\":1,}",
        "{,}",
        "[,1]",
        "01",
        "-",
        "-01",
        "+1",
        "1.",
        ".5",
        "1e",
        "1e+",
        "0x1",
        "NaN",
        "Infinity",
        "nul",
        "truee",
        "'a'",
        "\"\t\"",
        "\"a",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u00g0\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\\ud83d\\ude00\"",
        "\"\\uD83D\\uDE00\"",
        "\"\\ud800\\ud800\"",
        "{\"a\" 1}",
        "{a:1}",
        "[1 2]",
        "// x\n1",
        "\u{a0}1",
        "\u{b}1",
        "1\0",
        "{\"a\":1,\"a\":\"x\"}",
        "[[]]",
        "[{}]",
        "-0",
        "-0.0e-0",
        "1E400",
        "1e-400",
        "\"\u{7f}\u{80}\"",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    texts.extend(
        [
            &b"\"\xff\""[..],
            b"\"\xed\xa0\x80\"",
            b"\"\xc0\x80\"",
            b"\"\xf5\x80\x80\x80\"",
            b"\xe2",
        ]
        .map(<[u8]>::to_vec),
    );
    for depth in [126, 127, 128, 129, 100_000] {
        texts.push(["[".repeat(depth), "]".repeat(depth)].concat().into_bytes());
        texts.push(
            ["{\"a\":".repeat(depth), "1".into(), "}".repeat(depth)]
                .concat()
                .into_bytes(),
        );
        texts.push("[".repeat(depth).into_bytes());
    }
    for text in texts {
        let shown: String = String::from_utf8_lossy(&text).chars().take(40).collect();
        let expected = match serde_json::from_slice::<Value>(&text) {
            Err(error) => error.to_string().starts_with("number out of range"),
            Ok(_) => true,
        };
        let mut seen = Inference::new(None, Limits::default());
        assert_eq!(seen.see(&text).is_ok(), expected, "{shown}");
        let mut writer = Writer::new(&seen.schema(), Unknown::Grow);
        assert_eq!(
            writer.transcode(&text, &mut Vec::new()).is_ok(),
            expected,
            "{shown}"
        );
        assert!(!writer.needs_growth(), "{shown}");
    }
}

#[test]
fn what_is_json_is_what_serde_json_says() {
    let mut rng = Rng(77);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..30_000 {
        let json = random(&mut rng, 3);
        let mut text = String::new();
        spell(&json, &mut rng, &mut text);
        let mutated = mutate(text.as_bytes(), &mut rng);
        let theirs = serde_json::from_slice::<Value>(&mutated);
        let ours = Inference::new(None, Limits::default()).see(&mutated);
        let shown = String::from_utf8_lossy(&mutated);
        match theirs {
            Ok(_) => {
                good += 1;
                assert_eq!(ours, Ok(()), "{shown}");
            }
            // The one difference: a number may be of any size.
            Err(error) if error.to_string().starts_with("number out of range") => {}
            Err(error) => {
                bad += 1;
                assert!(ours.is_err(), "{shown}: {error}");
            }
        }
        // A writer comes to the same verdict, whatever columns it has.
        let mut seen = Inference::new(None, Limits::default());
        seen.see(text.as_bytes()).unwrap();
        let mut writer = Writer::new(&seen.schema(), Unknown::Grow);
        let taken = writer.transcode(&mutated, &mut Vec::new()).is_ok() || writer.needs_growth();
        assert_eq!(taken, ours.is_ok(), "{shown}");
    }
    assert!(good > 3_000 && bad > 3_000, "{good} {bad}");
}
