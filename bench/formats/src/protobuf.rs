//! Protobuf: ours beside `prost-reflect`, which reads messages of any schema into values, and Arrow's
//! builders. `prost` alone, with structs compiled into the program and no columns made, is a floor
//! that a reader of any schema has no right to.

mod reflect;

use arrow_array::{Array, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::DataType;
use fletch_columnar::protobuf::{MessagePath, Schema};
use fletch_columnar::{Decoder, Limits, Options, Transcoder};
use prost_reflect::prost::Message;
use prost_reflect::{DynamicMessage, MapKey, MessageDescriptor, Value};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::BATCH;
use crate::contenders::Contender;
use crate::measure::{Case, compare};

const FLAT: &str = r#"syntax = "proto3";
message Click { int64 timestamp = 1; string event = 2; int32 user_id = 3; }"#;

const NESTED: &str = r#"syntax = "proto3";
message Order { int64 id = 1; Customer customer = 2; repeated Item items = 3; map<string, string> attributes = 4; }
message Customer { string name = 1; string city = 2; optional int32 age = 3; }
message Item { string sku = 1; int32 quantity = 2; double price = 3; }"#;

fn wide() -> String {
    let types = ["int32", "int64", "string", "double", "bool", "sint64", "fixed32", "float"];
    let fields = (0..30).map(|i| format!("optional {} f{i} = {};", types[i % types.len()], i + 1));
    format!("syntax = \"proto3\"; message Wide {{ {} }}", fields.collect::<String>())
}

#[derive(prost::Message)]
struct Click {
    #[prost(int64, tag = "1")]
    timestamp: i64,
    #[prost(string, tag = "2")]
    event: String,
    #[prost(int32, tag = "3")]
    user_id: i32,
}

pub fn run() {
    let rng = &mut SmallRng::seed_from_u64(7);
    shape("flat: three fields", FLAT, rng, vec![("prost (structs, no columns)", Box::new(structs))]);
    shape("wide: 30 optional fields of eight types", &wide(), rng, Vec::new());
    shape("nested: a message, a list of messages, a map", NESTED, rng, Vec::new());
}

fn structs(messages: &[&[u8]]) -> usize {
    let decoded = messages.iter().map(|message| Click::decode(*message));
    decoded.filter(|message| std::hint::black_box(message).is_ok()).count()
}

fn shape(title: &str, schema: &str, rng: &mut SmallRng, more: Vec<(&str, Contender<'_>)>) {
    let row = reflect::parse(schema);
    let messages: Vec<Vec<u8>> = (0..BATCH).map(|_| value(rng, &row).encode_to_vec()).collect();
    let shuffled: Vec<Vec<u8>> = messages.iter().map(|message| backwards(message)).collect();
    let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
    let shuffled: Vec<&[u8]> = shuffled.iter().map(Vec::as_slice).collect();
    let mut reader = ours(schema);
    same(title, &reader(&messages), &reflect::read(&row, &messages));
    same(title, &reader(&shuffled), &reflect::read(&row, &messages));
    let mut transcoder = transcoding(schema);
    let mut unordered = ours(schema);
    let cases: Vec<(&str, Contender<'_>)> = vec![
        (
            "prost-reflect and builders",
            Box::new(|messages| reflect::read(&row, messages).num_rows()),
        ),
        ("fletch-columnar", Box::new(move |messages| reader(messages).num_rows())),
        ("fletch-columnar, to rows only", Box::new(move |messages| transcoder(messages))),
        (
            "fletch-columnar, fields backwards",
            Box::new(|_| unordered(&shuffled).num_rows()),
        ),
    ];
    let cases = cases.into_iter().chain(more);
    let cases = cases.map(|(name, contender)| Case::new(name, &messages, contender)).collect();
    compare(&format!("Protobuf, {title}"), 0, cases);
}

/// Before anything is timed: everybody's columns say the same. Panics at the first value that differs.
fn same(name: &str, ours: &RecordBatch, theirs: &RecordBatch) {
    assert_eq!(ours.num_rows(), theirs.num_rows(), "{name}");
    assert_eq!(ours.num_columns(), theirs.num_columns(), "{name}");
    let options = FormatOptions::default().with_null("null");
    for (field, (a, b)) in ours.schema().fields().iter().zip(ours.columns().iter().zip(theirs.columns())) {
        let spell = |array: &dyn Array, row| {
            let formatter = ArrayFormatter::try_new(array, &options).expect("a type that is shown");
            formatter.value(row).to_string()
        };
        for row in 0..a.len() {
            let (ours, theirs) = (spell(a, row), spell(b, row));
            // Their maps have no order.
            let alike = matches!(a.data_type(), DataType::Map(..)) && sorted(&ours) == sorted(&theirs);
            assert!(alike || ours == theirs, "{name}: row {row} of {}: {ours}, {theirs}", field.name());
        }
    }
}

/// The entries of a map as it is shown.
fn sorted(map: &str) -> Vec<&str> {
    let mut entries: Vec<&str> = map.trim_matches(['{', '}']).split(", ").collect();
    entries.sort_unstable();
    entries
}

/// Payloads to columns.
fn ours(schema: &str) -> impl FnMut(&[&[u8]]) -> RecordBatch {
    let schema = Schema::parse(schema, &[]).expect("a schema");
    let mut writer = schema.writer(MessagePath::FIRST, Limits::default()).expect("a writer");
    let mut decoder = Decoder::new(writer.schema(), Options::default()).expect("a layout");
    decoder.add_writer(0, writer.schema()).expect("a plan");
    let (mut rows, mut ends) = (Vec::new(), Vec::new());
    move |messages| {
        rows.clear();
        ends.clear();
        for message in messages {
            writer.transcode(message, &mut rows).expect("a message");
            ends.push(rows.len());
        }
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let bodies: Vec<&[u8]> = starts.zip(&ends).map(|(start, &end)| &rows[start..end]).collect();
        let decoded = decoder.decode(&bodies);
        assert!(decoded.errors.is_empty());
        decoded.batch
    }
}

/// Payloads to Avro rows, half of the way.
fn transcoding(schema: &str) -> impl FnMut(&[&[u8]]) -> usize {
    let schema = Schema::parse(schema, &[]).expect("a schema");
    let mut writer = schema.writer(MessagePath::FIRST, Limits::default()).expect("a writer");
    let mut rows = Vec::new();
    move |messages| {
        rows.clear();
        messages.iter().filter(|message| writer.transcode(message, &mut rows).is_ok()).count()
    }
}

/// A message of random values; of optional fields, three in four are there.
fn value(rng: &mut SmallRng, message: &MessageDescriptor) -> DynamicMessage {
    let mut made = DynamicMessage::new(message.clone());
    for field in message.fields() {
        if field.supports_presence() && field.kind().as_message().is_none() && rng.random_ratio(1, 4) {
            continue;
        }
        let value = if field.is_map() {
            let mut text = || format!("word {}", rng.random_range(0..1_000_u32));
            Value::Map((0..3).map(|_| (MapKey::String(text()), Value::String(text()))).collect())
        } else if field.is_list() {
            let items = rng.random_range(0..8);
            Value::List((0..items).map(|_| single(rng, &field.kind())).collect())
        } else {
            single(rng, &field.kind())
        };
        made.set_field(&field, value);
    }
    made
}

fn single(rng: &mut SmallRng, kind: &prost_reflect::Kind) -> Value {
    use prost_reflect::Kind;
    let number = rng.random::<u64>() >> rng.random_range(0..64);
    match kind {
        Kind::Int32 => Value::I32((number as u32 >> 1) as i32),
        Kind::Int64 | Kind::Sint64 => Value::I64((number >> 1) as i64),
        Kind::Fixed32 => Value::U32(number as u32),
        Kind::Float => Value::F32(rng.random()),
        Kind::Double => Value::F64(rng.random()),
        Kind::Bool => Value::Bool(rng.random()),
        Kind::String => Value::String("some text or other"[..rng.random_range(4..18)].to_owned()),
        Kind::Message(inner) => Value::Message(value(rng, inner)),
        other => panic!("no values of {other:?}"),
    }
}

/// The same message with its fields in the other order (of a list, the items in theirs).
fn backwards(bytes: &[u8]) -> Vec<u8> {
    let varint = |rest: &mut &[u8]| {
        let (mut value, mut shift) = (0_u64, 0);
        loop {
            let byte = rest[0];
            *rest = &rest[1..];
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return value;
            }
        }
    };
    let mut fields: Vec<(u64, &[u8])> = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let start = rest;
        let tag = varint(&mut rest);
        match tag & 7 {
            0 => {
                varint(&mut rest);
            }
            1 => rest = &rest[8..],
            2 => {
                let length = varint(&mut rest) as usize;
                rest = &rest[length..];
            }
            _ => rest = &rest[4..],
        }
        fields.push((tag >> 3, &start[..start.len() - rest.len()]));
    }
    fields.sort_by_key(|&(number, _)| std::cmp::Reverse(number));
    fields.into_iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect()
}
