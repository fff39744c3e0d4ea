//! Random `.proto` files, random messages of them, the many ways to send one message, and how
//! `prost-reflect` spells what it read, in the words of `spell_row`.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses its own part"
)]

use std::collections::BTreeMap;
use std::fmt::Write;

use fletch_columnar::protobuf::{MessagePath, Schema, Writer};
use fletch_columnar::{Decoder, Limits, Options, Transcoder, Types};
use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey,
    MessageDescriptor, ReflectMessage, Syntax, Value,
};

use super::{Rng, spell_row};

const SCALARS: [&str; 15] = [
    "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32",
    "sfixed64", "float", "double", "bool", "string", "bytes",
];
const KEYS: [&str; 12] = [
    "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32",
    "sfixed64", "bool", "string",
];
const KNOWN: [&str; 16] = [
    "Timestamp",
    "Duration",
    "DoubleValue",
    "FloatValue",
    "Int64Value",
    "UInt64Value",
    "Int32Value",
    "UInt32Value",
    "BoolValue",
    "StringValue",
    "BytesValue",
    "Struct",
    "Value",
    "ListValue",
    "Any",
    "FieldMask",
];

/// A random file: messages `M0` (the row) to `M3`, which hold those after them and at times those
/// before, and two enums.
pub fn file(rng: &mut Rng) -> String {
    let proto2 = rng.chance(40);
    let mut text = format!("syntax = \"proto{}\";\n", if proto2 { 2 } else { 3 });
    for name in [
        "timestamp",
        "duration",
        "wrappers",
        "struct",
        "any",
        "field_mask",
    ] {
        let _ = writeln!(text, "import \"google/protobuf/{name}.proto\";");
    }
    for index in 0..4 {
        message(rng, proto2, index, &mut text);
    }
    text.push_str("enum E0 { A0 = 0; B0 = 1; C0 = 2; }\n");
    text.push_str("enum E1 { option allow_alias = true; Z1 = 0; X1 = 7; Y1 = 7; W1 = -3; }\n");
    text
}

fn message(rng: &mut Rng, proto2: bool, index: usize, text: &mut String) {
    let _ = writeln!(text, "message M{index} {{");
    let mut number = 0;
    let mut oneof = false;
    for field in 0..rng.below(9) {
        number += 1 + if rng.chance(20) { rng.below(40) } else { 0 };
        if rng.chance(2) {
            number += 100_000;
        }
        if oneof && rng.chance(40) {
            text.push_str("}\n");
            oneof = false;
        }
        if !oneof && rng.chance(20) {
            let _ = writeln!(text, "oneof o{field} {{");
            oneof = true;
        }
        let ty = value_type(rng, index);
        let scalar = SCALARS.contains(&&*ty);
        let list_type = rng.chance(25) && !oneof;
        let (label, options) = if oneof {
            ("", "")
        } else if list_type {
            let packable = (scalar && ty != "string" && ty != "bytes") || ty.starts_with('E');
            match (packable && rng.chance(30), proto2) {
                (true, true) => ("repeated ", " [packed = true]"),
                (true, false) => ("repeated ", " [packed = false]"),
                _ => ("repeated ", ""),
            }
        } else if rng.chance(10) {
            let key = rng.pick(&KEYS);
            let _ = writeln!(text, "map<{key}, {ty}> f{field} = {number};");
            continue;
        } else if proto2 || rng.chance(30) {
            ("optional ", "")
        } else {
            ("", "")
        };
        if proto2 && !oneof && rng.chance(10) {
            let label = if list_type { "repeated" } else { "optional" };
            let _ = writeln!(
                text,
                "{label} group F{field} = {number} {{ optional sint32 x = 1; repeated string y = 2; }}"
            );
            continue;
        }
        let _ = writeln!(text, "{label}{ty} f{field} = {number}{options};");
    }
    if oneof {
        // A oneof may be empty, but not in the text.
        let _ = writeln!(text, "bool last = {};\n}}", number + 1);
    }
    text.push_str("}\n");
}

fn value_type(rng: &mut Rng, index: usize) -> String {
    match rng.below(20) {
        0..10 => (*rng.pick(&SCALARS)).to_owned(),
        10..12 => format!("E{}", rng.below(2)),
        12..15 => format!("google.protobuf.{}", rng.pick(&KNOWN)),
        // Earlier ones, too: then the schema is recursive.
        15 => format!("M{}", rng.below(4)),
        _ if index < 3 => format!("M{}", index + 1 + rng.below(3 - index)),
        _ => "string".to_owned(),
    }
}

/// A random message.
pub fn value(rng: &mut Rng, message: &MessageDescriptor, depth: usize) -> DynamicMessage {
    let mut made = DynamicMessage::new(message.clone());
    match message.full_name() {
        "google.protobuf.Timestamp" | "google.protobuf.Duration" => {
            let (seconds, nanos) = (rng.below(1 << 33) as i64, rng.below(1_000_000_000) as i32);
            let sign = if message.name() == "Duration" && rng.chance(50) {
                -1
            } else {
                1
            };
            made.set_field_by_number(1, Value::I64(seconds * sign));
            made.set_field_by_number(2, Value::I32(nanos * sign as i32));
            return made;
        }
        _ => {}
    }
    for field in message.fields() {
        if rng.chance(35) || depth == 0 && matches!(field.kind(), Kind::Message(_)) {
            continue;
        }
        let count = rng.below(5);
        let value = if field.is_map() {
            let Kind::Message(entry) = field.kind() else {
                continue;
            };
            let mut map = std::collections::HashMap::new();
            for _ in 0..count {
                let key = single(rng, &entry.map_entry_key_field(), depth);
                let key = key.into_map_key().expect("a key");
                map.insert(key, single(rng, &entry.map_entry_value_field(), depth));
            }
            Value::Map(map)
        } else if field.is_list() {
            let count = if rng.chance(2) { 70 } else { count };
            Value::List((0..count).map(|_| single(rng, &field, depth)).collect())
        } else {
            single(rng, &field, depth)
        };
        made.set_field(&field, value);
    }
    made
}

fn single(rng: &mut Rng, field: &FieldDescriptor, depth: usize) -> Value {
    let bits = rng.below(65) as u32;
    let number = rng.next().checked_shr(bits).unwrap_or(0);
    match field.kind() {
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(number as i32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(number as i64),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(number as u32),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(number),
        Kind::Float => Value::F32(f32::from_bits(number as u32)),
        Kind::Double => Value::F64(f64::from_bits(number)),
        Kind::Bool => Value::Bool(rng.chance(50)),
        Kind::String => {
            let words = [
                "",
                "a",
                "é\u{1}\"",
                "a_b.c",
                "twelve bytes",
                "日本",
                "k",
                "l",
            ];
            Value::String((*rng.pick(&words)).to_owned())
        }
        Kind::Bytes => Value::Bytes(number.to_le_bytes()[..rng.below(9)].to_vec().into()),
        Kind::Enum(symbols) => {
            let all: Vec<i32> = symbols.values().map(|value| value.number()).collect();
            let open = symbols.parent_file().syntax() != Syntax::Proto2;
            let number = if open && rng.chance(10) {
                99
            } else {
                *rng.pick(&all)
            };
            Value::EnumNumber(number)
        }
        Kind::Message(message) => Value::Message(value(rng, &message, depth.saturating_sub(1))),
    }
}

/// The same message, or one much like it, sent in another of the many legal ways: fields in
/// another order, twice, in parts, packed or not, with unknown ones between.
pub fn scramble(rng: &mut Rng, message: &MessageDescriptor, bytes: &[u8]) -> Vec<u8> {
    let mut fields: Vec<(u32, Vec<u8>)> = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let before = rest;
        let tag = varint(&mut rest) as u32;
        let value = rest;
        skip(tag, &mut rest);
        let value = &value[..value.len() - rest.len()];
        let whole = &before[..before.len() - rest.len()];
        let field = message.get_field(tag >> 3);
        match field.as_ref().map(|field| (field, field.kind())) {
            Some((field, Kind::Message(inner))) if tag & 7 == 2 && rng.chance(40) => {
                let mut content = value;
                varint(&mut content);
                let content = scramble(rng, &inner, content);
                if !field.is_list() && !field.is_map() && rng.chance(30) {
                    // In two parts, each of some of its fields.
                    let cut = cut(rng, &content);
                    fields.push((tag, sized(tag, &content[..cut])));
                    fields.push((tag, sized(tag, &content[cut..])));
                } else {
                    fields.push((tag, sized(tag, &content)));
                }
            }
            Some((field, kind)) if field.is_list() && tag & 7 == 2 && packed(&kind).is_some() => {
                let wire = packed(&kind).expect("a number");
                let mut content = value;
                varint(&mut content);
                while !content.is_empty() {
                    let item = content;
                    skip(wire, &mut content);
                    let item = &item[..item.len() - content.len()];
                    if rng.chance(50) {
                        let mut out = Vec::new();
                        put_varint(u64::from(tag & !7 | wire), &mut out);
                        out.extend_from_slice(item);
                        fields.push((tag, out));
                    } else {
                        fields.push((tag, sized(tag, item)));
                    }
                }
            }
            Some((field, kind)) if field.is_list() && packed(&kind).is_some() && rng.chance(50) => {
                fields.push((tag, sized(tag & !7 | 2, value)));
            }
            _ => fields.push((tag, whole.to_vec())),
        }
        if rng.chance(5) {
            let again = fields.last().expect("one").clone();
            fields.push(again);
        }
        if rng.chance(10) {
            fields.push((0, unknown(rng, 3)));
        }
    }
    // Keeps the order of each field's own values in half of the cases.
    for _ in 0..rng.below(4) * fields.len() / 2 {
        let (a, b) = (rng.below(fields.len()), rng.below(fields.len()));
        fields.swap(a, b);
    }
    fields.into_iter().flat_map(|(_, bytes)| bytes).collect()
}

/// Where a message can be cut between its fields.
fn cut(rng: &mut Rng, bytes: &[u8]) -> usize {
    let mut cuts = vec![0];
    let mut rest = bytes;
    while !rest.is_empty() {
        let tag = varint(&mut rest) as u32;
        skip(tag, &mut rest);
        cuts.push(bytes.len() - rest.len());
    }
    *rng.pick(&cuts)
}

/// A field of a number that no message has.
fn unknown(rng: &mut Rng, depth: usize) -> Vec<u8> {
    let number = 99_000 + rng.below(9) as u64;
    let mut out = Vec::new();
    let wire = *rng.pick(&[0, 1, 2, 3, 5]);
    put_varint(number << 3 | wire, &mut out);
    match wire {
        0 => put_varint(rng.next() >> rng.below(64), &mut out),
        1 => out.extend_from_slice(&[7; 8]),
        2 => out.extend_from_slice(&[3, 0xff, 0x08, 0]),
        3 => {
            if depth > 0 {
                out.extend(unknown(rng, depth - 1));
            }
            put_varint(number << 3 | 4, &mut out);
        }
        _ => out.extend_from_slice(&[9; 4]),
    }
    out
}

fn packed(kind: &Kind) -> Option<u32> {
    Some(match kind {
        Kind::String | Kind::Bytes | Kind::Message(_) => return None,
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => 1,
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => 5,
        _ => 0,
    })
}

fn sized(tag: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(u64::from(tag), &mut out);
    put_varint(content.len() as u64, &mut out);
    out.extend_from_slice(content);
    out
}

pub fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Of bytes that are well-formed.
fn varint(rest: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = rest[0];
        *rest = &rest[1..];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

fn skip(tag: u32, rest: &mut &[u8]) {
    match tag & 7 {
        0 => {
            varint(rest);
        }
        1 => *rest = &rest[8..],
        2 => {
            let length = varint(rest) as usize;
            *rest = &rest[length..];
        }
        5 => *rest = &rest[4..],
        _ => loop {
            let inner = varint(rest) as u32;
            if inner & 7 == 4 {
                break;
            }
            skip(inner, rest);
        },
    }
}

/// Bytes that may or may not be a message still.
pub fn spoil(rng: &mut Rng, bytes: &mut Vec<u8>) {
    for _ in 0..=rng.below(3) {
        let at = rng.below(bytes.len() + 1);
        match rng.below(4) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, rng.next() as u8),
            _ if at < bytes.len() => bytes[at] = rng.next() as u8,
            _ => {}
        }
    }
}

/// What `prost-reflect` makes of a message, spelled as its columns are. `None` if they say
/// something else, as documented: the message has what timestamps, durations or closed enums don't
/// allow, or JSON that it can't write.
fn spell(message: &DynamicMessage) -> Option<String> {
    record(message, &mut Vec::new())
}

fn record(message: &DynamicMessage, open: &mut Vec<String>) -> Option<String> {
    let descriptor = message.descriptor();
    open.push(descriptor.full_name().to_owned());
    let mut fields: Vec<FieldDescriptor> = descriptor.fields().collect();
    fields.sort_by_key(FieldDescriptor::number);
    let mut all = Vec::new();
    for field in &fields {
        all.push(format!(
            "{}:{}",
            field.name(),
            column(message, field, open)?
        ));
    }
    open.pop();
    Some(format!("{{{}}}", all.join(",")))
}

fn column(
    message: &DynamicMessage,
    field: &FieldDescriptor,
    open: &mut Vec<String>,
) -> Option<String> {
    if field.supports_presence() && !message.has_field(field) {
        assert_ne!(field.cardinality(), Cardinality::Required);
        return Some("null".into());
    }
    match &*message.get_field(field) {
        Value::List(items) => {
            let items: Option<Vec<_>> =
                items.iter().map(|v| cell(v, &field.kind(), open)).collect();
            Some(format!("[{}]", items?.join(",")))
        }
        Value::Map(map) => {
            let Kind::Message(entry) = field.kind() else {
                return None;
            };
            let kind = entry.map_entry_value_field().kind();
            let mut all = BTreeMap::new();
            for (key, value) in map {
                all.insert(spell_key(key), cell(value, &kind, open)?);
            }
            let mut all: Vec<_> = all.iter().map(|(k, v)| format!("{k}:{v}")).collect();
            all.sort();
            Some(format!("<{}>", all.join(",")))
        }
        value => cell(value, &field.kind(), open),
    }
}

fn spell_key(key: &MapKey) -> String {
    match key {
        MapKey::Bool(v) => format!("\"{v}\""),
        MapKey::I32(v) => format!("\"{v}\""),
        MapKey::I64(v) => format!("\"{v}\""),
        MapKey::U32(v) => format!("\"{v}\""),
        MapKey::U64(v) => format!("\"{v}\""),
        MapKey::String(v) => format!("{v:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn cell(value: &Value, kind: &Kind, open: &mut Vec<String>) -> Option<String> {
    Some(match value {
        Value::Bool(v) => v.to_string(),
        Value::I32(v) => v.to_string(),
        Value::I64(v) => v.to_string(),
        Value::U32(v) => v.to_string(),
        Value::U64(v) => format!("n{v}"),
        Value::F32(v) => format!("f{:08x}", v.to_bits()),
        Value::F64(v) => format!("d{:016x}", v.to_bits()),
        Value::String(v) => format!("{v:?}"),
        Value::Bytes(v) => hex(v),
        Value::EnumNumber(number) => {
            let Kind::Enum(symbols) = kind else {
                return None;
            };
            symbol(symbols, *number)?
        }
        Value::Message(message) => return held(message, open),
        Value::List(_) | Value::Map(_) => return None,
    })
}

fn symbol(symbols: &EnumDescriptor, number: i32) -> Option<String> {
    match symbols.get_value(number) {
        Some(value) => Some(format!("{:?}", value.name())),
        None if symbols.parent_file().syntax() == Syntax::Proto2 => None,
        None => Some(format!("\"{number}\"")),
    }
}

fn held(message: &DynamicMessage, open: &mut Vec<String>) -> Option<String> {
    let number = |n| match &*message.get_field_by_number(n).expect("a field") {
        Value::I64(v) => *v,
        Value::I32(v) => i64::from(*v),
        _ => panic!("a number"),
    };
    let descriptor = message.descriptor();
    let name = descriptor.full_name();
    match name {
        "google.protobuf.Timestamp" => {
            let (seconds, nanos) = (number(1), number(2));
            let right = (-62_135_596_800..=253_402_300_799).contains(&seconds)
                && (0..1_000_000_000).contains(&nanos);
            right.then(|| (seconds * 1_000_000 + nanos / 1_000).to_string())
        }
        "google.protobuf.Duration" => {
            let (seconds, nanos) = (number(1), number(2));
            let right = seconds.unsigned_abs() <= 315_576_000_000
                && nanos.abs() < 1_000_000_000
                && seconds.signum() * nanos.signum() >= 0;
            let all = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
            right.then(|| format!("n{all}"))
        }
        "google.protobuf.Any"
        | "google.protobuf.FieldMask"
        | "google.protobuf.Struct"
        | "google.protobuf.ListValue"
        | "google.protobuf.Value" => json(message),
        _ if name.starts_with("google.protobuf.") => {
            let field = descriptor.get_field(1)?;
            cell(&message.get_field(&field), &field.kind(), open)
        }
        _ if open.iter().any(|open| open == name) => json(message),
        _ => record(message, open),
    }
}

fn json(message: &DynamicMessage) -> Option<String> {
    if !writable(&Value::Message(message.clone())) {
        return None;
    }
    let text = serde_json::to_string(message).ok()?;
    Some(format!("{text:?}"))
}

/// JSON text with its objects' members in the order of their names.
fn canonical(text: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(text).expect("JSON");
    value.to_string()
}

/// Whether JSON can say all of a message, and says it the same way.
fn writable(value: &Value) -> bool {
    match value {
        Value::Message(message) => {
            let name = message.descriptor().full_name().to_owned();
            let known = match name.as_str() {
                "google.protobuf.Timestamp" | "google.protobuf.Duration" => {
                    held(message, &mut Vec::new()).is_some()
                }
                // Of what isn't a number, `prost-reflect` says null in these.
                "google.protobuf.Value" => is_finite(message, "number_value"),
                "google.protobuf.FloatValue" | "google.protobuf.DoubleValue" => {
                    is_finite(message, "value")
                }
                // Of unknown types, or of none.
                "google.protobuf.Any" => false,
                _ => true,
            };
            known
                && message.fields().all(|(field, value)| {
                    let closed = match field.kind() {
                        Kind::Enum(symbols) => symbols.parent_file().syntax() == Syntax::Proto2,
                        Kind::Message(entry) if field.is_map() => {
                            match entry.map_entry_value_field().kind() {
                                Kind::Enum(symbols) => {
                                    symbols.parent_file().syntax() == Syntax::Proto2
                                }
                                _ => false,
                            }
                        }
                        _ => false,
                    };
                    !closed && writable(value)
                })
        }
        Value::List(all) => all.iter().all(writable),
        Value::Map(all) => all.values().all(writable),
        // Minus zero isn't the default, but `prost-reflect` leaves it out.
        Value::F32(v) => v.to_bits() != 1 << 31,
        Value::F64(v) => v.to_bits() != 1 << 63,
        _ => true,
    }
}

/// Whether a field is no number, or a finite one.
fn is_finite(message: &DynamicMessage, field: &str) -> bool {
    match message.get_field_by_name(field).as_deref() {
        Some(Value::F32(number)) => number.is_finite(),
        Some(Value::F64(number)) => number.is_finite(),
        _ => true,
    }
}

/// What `prost-reflect` reads, if it takes it.
fn oracle(message: &MessageDescriptor, bytes: &[u8]) -> Option<DynamicMessage> {
    DynamicMessage::decode(message.clone(), bytes).ok()
}

/// A spelled row with the JSON objects and lists in its texts as [`canonical`] has them.
fn normalize(spelled: &str) -> String {
    let mut out = String::with_capacity(spelled.len());
    let mut chars = spelled.chars();
    while let Some(c) = chars.next() {
        if c != '"' {
            out.push(c);
            continue;
        }
        let text = quoted(&mut chars);
        if text.starts_with(['{', '[']) && serde_json::from_str::<serde_json::Value>(&text).is_ok()
        {
            let _ = write!(out, "{:?}", canonical(&text));
        } else {
            let _ = write!(out, "{text:?}");
        }
    }
    out
}

/// The rest of a text in Rust's spelling, its first quotation mark being read.
fn quoted(chars: &mut std::str::Chars<'_>) -> String {
    let mut text = String::new();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => match chars.next().expect("what is escaped") {
                'n' => text.push('\n'),
                'r' => text.push('\r'),
                't' => text.push('\t'),
                '0' => text.push('\0'),
                'u' => {
                    let digits: String = chars.by_ref().skip(1).take_while(|&c| c != '}').collect();
                    let code = u32::from_str_radix(&digits, 16).expect("digits");
                    text.push(char::from_u32(code).expect("a character"));
                }
                plain => text.push(plain),
            },
            plain => text.push(plain),
        }
    }
    text
}

/// Whether a refusal is of a map that came with another wire type than an entry's, which
/// `prost-reflect` doesn't look at: it takes whatever follows for a length and an entry.
fn is_mistyped_map(schema: &str, refusal: &str) -> bool {
    let Some((path, why)) = refusal.split_once(", byte ") else {
        return false;
    };
    let name = path.rsplit('.').next().unwrap_or(path);
    let map = schema
        .lines()
        .any(|line| line.starts_with("map<") && line.contains(&format!("> {name} =")));
    (map || name == "fields") && why.contains("the wire type") && why.ends_with("the field's is 2")
}

/// The schema's row message, as both sides have it.
pub fn sides(text: &str) -> (Writer, MessageDescriptor) {
    let ours = Schema::parse(text, &[]).unwrap_or_else(|error| panic!("{text}: {error}"));
    let writer = ours
        .writer(MessagePath::FIRST, Limits::default())
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    (writer, descriptor(text))
}

fn descriptor(text: &str) -> MessageDescriptor {
    let file = protox_file(text);
    file.get_message_by_name("M0").expect("the row")
}

fn protox_file(text: &str) -> DescriptorPool {
    struct One(String);
    impl protox::file::FileResolver for One {
        fn open_file(&self, name: &str) -> Result<protox::file::File, protox::Error> {
            match name {
                "one.proto" => protox::file::File::from_source(name, &self.0),
                _ => protox::file::GoogleFileResolver::new().open_file(name),
            }
        }
    }
    let mut compiler = protox::Compiler::with_file_resolver(One(text.to_owned()));
    compiler.open_file("one.proto").expect("a file");
    compiler.descriptor_pool()
}

/// Transcodes payloads, and spells what the columns say of those that are taken.
pub fn read(
    writer: &mut Writer,
    payloads: &[Vec<u8>],
    profile: Types,
) -> Vec<Result<String, String>> {
    let options = Options {
        profile,
        ..Options::default()
    };
    let mut decoder = Decoder::new(writer.schema(), options).expect("a layout");
    decoder.add_writer(0, writer.schema()).expect("a plan");
    let mut rows = Vec::new();
    let mut results = Vec::new();
    for payload in payloads {
        let mut row = Vec::new();
        match writer.transcode(payload, &mut row) {
            Ok(()) => {
                results.push(Ok(String::new()));
                rows.push(row);
            }
            Err(misfit) => results.push(Err(misfit.to_string())),
        }
    }
    let refs: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
    let decoded = decoder.decode(&refs);
    assert_eq!(decoded.errors, [], "a row that its own schema doesn't read");
    for (row, result) in results
        .iter_mut()
        .filter_map(|r| r.as_mut().ok())
        .enumerate()
    {
        *result = normalize(&spell_row(&decoded.batch, row));
    }
    results
}

/// Holds ours against theirs: what is taken, and what is read. How many rows were read alike, and
/// how many refused by both.
pub fn compare(text: &str, payloads: &[Vec<u8>]) -> (usize, usize) {
    let (mut writer, descriptor) = sides(text);
    let (mut compared, mut refused) = (0, 0);
    let ours = read(&mut writer, payloads, Types::Arrow);
    for (payload, ours) in payloads.iter().zip(ours) {
        let theirs = oracle(&descriptor, payload);
        match (ours, theirs) {
            (Ok(ours), Some(theirs)) => {
                if let Some(theirs) = spell(&theirs) {
                    assert_eq!(ours, normalize(&theirs), "{text}\n{payload:02x?}");
                    compared += 1;
                }
            }
            (Err(_), None) => refused += 1,
            (Err(why), Some(_)) if is_mistyped_map(text, &why) => {}
            // Times that their types don't allow.
            (Err(why), Some(theirs)) => {
                assert!(
                    spell(&theirs).is_none(),
                    "{text}\n{payload:02x?}\nrefused: {why}"
                );
            }
            (Ok(ours), None) => panic!("{text}\n{payload:02x?}\ntaken: {ours}"),
        }
    }
    (compared, refused)
}
