//! Random schemas, random bodies of them, and one spelling of values for comparing decoders.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses its own part"
)]

use apache_avro::types::Value as Avro;
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use serde_json::{Value, json};

/// A small seeded generator (SplitMix64): the tests need repeatable, not good, randomness.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// Which types a random schema may have.
#[derive(Clone, Copy)]
pub struct Shape {
    pub general_unions: bool,
    pub durations: bool,
    pub decimals: bool,
    pub depth: usize,
}

pub struct SchemaMaker<'a> {
    pub rng: &'a mut Rng,
    pub shape: Shape,
    names: usize,
}

impl<'a> SchemaMaker<'a> {
    pub fn new(rng: &'a mut Rng, shape: Shape) -> Self {
        Self {
            rng,
            shape,
            names: 0,
        }
    }

    fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    pub fn record(&mut self, depth: usize) -> Value {
        let name = self.name("R");
        let count = 1 + self.rng.below(if depth == 0 { 8 } else { 4 });
        let fields: Vec<Value> = (0..count)
            .map(|_| json!({"name": self.name("f"), "type": self.ty(depth + 1)}))
            .collect();
        json!({"type": "record", "name": name, "fields": fields})
    }

    pub fn ty(&mut self, depth: usize) -> Value {
        if self.rng.chance(35) {
            let inner = self.value(depth);
            return if self.rng.chance(70) {
                json!(["null", inner])
            } else {
                json!([inner, "null"])
            };
        }
        if self.shape.general_unions && self.rng.chance(6) {
            let name = self.name("U");
            let mut all = vec![
                json!("int"),
                json!("string"),
                json!("double"),
                json!({"type": "fixed", "name": name, "size": 3}),
            ];
            if depth < self.shape.depth {
                all.push(json!({"type": "array", "items": self.ty(depth + 1)}));
                all.push(self.record(depth + 1));
            }
            if self.rng.chance(50) {
                all.insert(self.rng.below(2), json!("null"));
            }
            all.truncate(2 + self.rng.below(all.len() - 1));
            return Value::Array(all);
        }
        self.value(depth)
    }

    fn value(&mut self, depth: usize) -> Value {
        let nested = depth < self.shape.depth && self.rng.chance(30);
        if nested {
            return match self.rng.below(3) {
                0 => self.record(depth + 1),
                1 => json!({"type": "array", "items": self.ty(depth + 1)}),
                _ => json!({"type": "map", "values": self.ty(depth + 1)}),
            };
        }
        let kinds = if self.shape.durations { 20 } else { 19 };
        match self.rng.below(kinds) {
            10..=12 if !self.shape.decimals => json!("long"),
            0 => json!("boolean"),
            1 => json!("int"),
            2 => json!("long"),
            3 => json!("float"),
            4 => json!("double"),
            5 => json!("bytes"),
            6 | 7 => json!("string"),
            8 => {
                let symbols: Vec<String> = (0..1 + self.rng.below(5))
                    .map(|i| format!("S{i}"))
                    .collect();
                json!({"type": "enum", "name": self.name("E"), "symbols": symbols})
            }
            9 => json!({"type": "fixed", "name": self.name("F"), "size": 1 + self.rng.below(20)}),
            10 => json!({"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 4}),
            11 => json!({"type": "bytes", "logicalType": "decimal", "precision": 50, "scale": 10}),
            12 => json!({"type": "fixed", "name": self.name("D"), "size": 9,
                "logicalType": "decimal", "precision": 20, "scale": 2}),
            13 => json!({"type": "string", "logicalType": "uuid"}),
            14 => json!({"type": "int", "logicalType": "date"}),
            15 => json!({"type": "int", "logicalType": "time-millis"}),
            16 => json!({"type": "long", "logicalType": "time-micros"}),
            17 => json!({"type": "long", "logicalType":
                *self.rng.pick(&["timestamp-millis", "timestamp-micros", "timestamp-nanos"])}),
            18 => json!({"type": "long", "logicalType": *self.rng.pick(
                &["local-timestamp-millis", "local-timestamp-micros", "local-timestamp-nanos"])}),
            _ => json!({"type": "fixed", "name": self.name("P"), "size": 12,
                "logicalType": "duration"}),
        }
    }
}

fn put_long(out: &mut Vec<u8>, v: i64) {
    let mut z = ((v << 1) ^ (v >> 63)) as u64;
    while z >= 0x80 {
        out.push(z as u8 | 0x80);
        z >>= 7;
    }
    out.push(z as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_long(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

/// A random value of `schema`, as Avro bytes.
pub fn body(schema: &Value, rng: &mut Rng, out: &mut Vec<u8>) {
    match schema {
        Value::Array(members) => {
            let index = rng.below(members.len());
            put_long(out, index as i64);
            body(&members[index], rng, out);
        }
        Value::Object(o) => object_body(o, rng, out),
        Value::String(name) => match name.as_str() {
            "null" => {}
            "boolean" => out.push(rng.below(2) as u8),
            "int" => put_long(out, number(rng, 32)),
            "long" => put_long(out, number(rng, 64)),
            "float" => out.extend_from_slice(&(rng.next() as f32 / 3.0).to_le_bytes()),
            "double" => out.extend_from_slice(&(rng.next() as f64 / 3.0).to_le_bytes()),
            "bytes" => {
                let n = length(rng);
                let bytes: Vec<u8> = (0..n).map(|_| rng.next() as u8).collect();
                put_bytes(out, &bytes);
            }
            "string" => put_bytes(out, text(rng).as_bytes()),
            other => panic!("no type {other}"),
        },
        other => panic!("no schema {other}"),
    }
}

fn object_body(o: &serde_json::Map<String, Value>, rng: &mut Rng, out: &mut Vec<u8>) {
    let logical = o.get("logicalType").and_then(Value::as_str);
    match (o["type"].as_str().expect("a type name"), logical) {
        ("record", _) => {
            for field in o["fields"].as_array().expect("fields") {
                body(&field["type"], rng, out);
            }
        }
        ("enum", _) => {
            let n = o["symbols"].as_array().expect("symbols").len();
            put_long(out, rng.below(n) as i64);
        }
        ("array", _) => blocks(rng, out, |rng, out, _| body(&o["items"], rng, out)),
        ("map", _) => blocks(rng, out, |rng, out, i| {
            put_bytes(out, format!("k{i}{}", text(rng)).as_bytes());
            body(&o["values"], rng, out);
        }),
        ("fixed", Some("decimal")) => {
            let size = o["size"].as_u64().expect("a size") as usize;
            let bytes = (number(rng, 60)).to_be_bytes();
            let fill = if bytes[0] >= 0x80 { 0xff } else { 0 };
            out.extend(std::iter::repeat_n(fill, size - 8));
            out.extend_from_slice(&bytes);
        }
        ("fixed", Some("duration")) => {
            for _ in 0..3 {
                out.extend_from_slice(&(rng.next() as u32 >> 1).to_le_bytes());
            }
        }
        ("fixed", _) => {
            let size = o["size"].as_u64().expect("a size");
            out.extend((0..size).map(|_| rng.next() as u8));
        }
        ("bytes", Some("decimal")) => {
            let bytes = number(rng, 59).to_be_bytes();
            let fill = if bytes[0] >= 0x80 { 0xff } else { 0 };
            match rng.below(3) {
                // Shortest, as it is, and longer than it need be.
                0 => {
                    let mut from = 0;
                    while from < 7
                        && bytes[from] == fill
                        && (bytes[from + 1] >= 0x80) == (fill == 0xff)
                    {
                        from += 1;
                    }
                    put_bytes(out, &bytes[from..]);
                }
                1 => put_bytes(out, &bytes),
                _ => {
                    let mut long = vec![fill; rng.below(30)];
                    long.extend_from_slice(&bytes);
                    put_bytes(out, &long);
                }
            }
        }
        ("string", Some("uuid")) => {
            let (a, b) = (rng.next(), rng.next());
            let hex = format!("{a:016x}{b:016x}");
            let text = format!(
                "{}-{}-{}-{}-{}",
                &hex[..8],
                &hex[8..12],
                &hex[12..16],
                &hex[16..20],
                &hex[20..]
            );
            put_bytes(out, text.as_bytes());
        }
        (primitive, _) => body(&Value::String(primitive.to_owned()), rng, out),
    }
}

/// Array items or map entries, in blocks of every kind.
fn blocks(rng: &mut Rng, out: &mut Vec<u8>, mut item: impl FnMut(&mut Rng, &mut Vec<u8>, usize)) {
    let mut next = 0;
    for _ in 0..*rng.pick(&[0, 1, 1, 1, 2, 3]) {
        let n = 1 + rng.below(4);
        let mut bytes = Vec::new();
        for _ in 0..n {
            item(rng, &mut bytes, next);
            next += 1;
        }
        if rng.chance(30) {
            put_long(out, -(n as i64));
            put_long(out, bytes.len() as i64);
        } else {
            put_long(out, n as i64);
        }
        out.extend_from_slice(&bytes);
    }
    out.push(0);
}

fn number(rng: &mut Rng, bits: u32) -> i64 {
    let keep = 1 + rng.below(bits as usize) as u32;
    let v = (rng.next() as i64) >> (64 - keep);
    if rng.chance(50) {
        v
    } else {
        v >> (bits / 2).min(63)
    }
}

fn length(rng: &mut Rng) -> usize {
    match rng.below(10) {
        0 => 0,
        1..=7 => rng.below(20),
        8 => rng.below(100),
        _ => rng.below(300),
    }
}

fn text(rng: &mut Rng) -> String {
    let n = length(rng);
    let plain = rng.chance(70);
    (0..n)
        .map(|_| match rng.below(if plain { 1 } else { 4 }) {
            0 => char::from(b'a' + rng.below(26) as u8),
            1 => 'é',
            2 => '東',
            _ => '🦀',
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A value of `apache-avro`'s, spelled.
pub fn spell_avro(value: &Avro) -> String {
    match value {
        Avro::Null => "null".into(),
        Avro::Boolean(v) => v.to_string(),
        Avro::Int(v) | Avro::Date(v) | Avro::TimeMillis(v) => v.to_string(),
        Avro::Long(v)
        | Avro::TimeMicros(v)
        | Avro::TimestampMillis(v)
        | Avro::TimestampMicros(v)
        | Avro::TimestampNanos(v)
        | Avro::LocalTimestampMillis(v)
        | Avro::LocalTimestampMicros(v)
        | Avro::LocalTimestampNanos(v) => v.to_string(),
        Avro::Float(v) => format!("f{:08x}", v.to_bits()),
        Avro::Double(v) => format!("d{:016x}", v.to_bits()),
        Avro::Bytes(v) | Avro::Fixed(_, v) => hex(v),
        Avro::String(v) | Avro::Enum(_, v) => format!("{v:?}"),
        Avro::Union(_, v) => spell_avro(v),
        Avro::Array(v) => format!(
            "[{}]",
            v.iter().map(spell_avro).collect::<Vec<_>>().join(",")
        ),
        Avro::Map(v) => {
            let mut all: Vec<String> = v
                .iter()
                .map(|(k, v)| format!("{k:?}:{}", spell_avro(v)))
                .collect();
            all.sort();
            format!("<{}>", all.join(","))
        }
        Avro::Record(fields) => {
            let all: Vec<String> = fields
                .iter()
                .map(|(k, v)| format!("{k}:{}", spell_avro(v)))
                .collect();
            format!("{{{}}}", all.join(","))
        }
        Avro::Decimal(v) => {
            // It refuses to spell a decimal without bytes, which it reads as zero.
            let bytes = <Vec<u8>>::try_from(v).unwrap_or_default();
            format!("n{}", num_text(&bytes))
        }
        Avro::Uuid(v) => hex(v.as_bytes()),
        Avro::Duration(v) => {
            let (m, d, ms): (u32, u32, u32) =
                (v.months().into(), v.days().into(), v.millis().into());
            format!("p{m}/{d}/{ms}")
        }
        other => panic!("no spelling for {other:?}"),
    }
}

/// Big-endian two's complement as a decimal number.
fn num_text(bytes: &[u8]) -> String {
    let fill = if bytes.first().is_some_and(|&b| b >= 0x80) {
        0xff
    } else {
        0
    };
    let mut wide = [fill; 32];
    let keep = bytes.len().min(32);
    wide[32 - keep..].copy_from_slice(&bytes[bytes.len() - keep..]);
    arrow_buffer::i256::from_be_bytes(wide).to_string()
}

/// A row of a batch, spelled as a record.
pub fn spell_row(batch: &RecordBatch, row: usize) -> String {
    let schema = batch.schema();
    let all: Vec<String> = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(f, c)| format!("{}:{}", f.name(), spell_array(c, row)))
        .collect();
    format!("{{{}}}", all.join(","))
}

/// A value of an array, spelled.
pub fn spell_array(array: &dyn Array, i: usize) -> String {
    if array.is_null(i) {
        return "null".into();
    }
    macro_rules! plain {
        ($t:ty) => {
            array.as_primitive::<$t>().value(i).to_string()
        };
    }
    match array.data_type() {
        DataType::Null => "null".into(),
        DataType::Boolean => array.as_boolean().value(i).to_string(),
        DataType::Int32 => plain!(Int32Type),
        DataType::Int64 => plain!(Int64Type),
        DataType::Date32 => plain!(Date32Type),
        DataType::Time32(_) => plain!(Time32MillisecondType),
        DataType::Time64(_) => plain!(Time64MicrosecondType),
        DataType::Timestamp(TimeUnit::Millisecond, _) => plain!(TimestampMillisecondType),
        DataType::Timestamp(TimeUnit::Microsecond, _) => plain!(TimestampMicrosecondType),
        DataType::Timestamp(_, _) => plain!(TimestampNanosecondType),
        DataType::Float32 => {
            format!(
                "f{:08x}",
                array.as_primitive::<Float32Type>().value(i).to_bits()
            )
        }
        DataType::Float64 => {
            format!(
                "d{:016x}",
                array.as_primitive::<Float64Type>().value(i).to_bits()
            )
        }
        DataType::Decimal128(_, _) => format!("n{}", plain!(Decimal128Type)),
        DataType::Decimal256(_, _) => format!("n{}", plain!(Decimal256Type)),
        DataType::Utf8 => format!("{:?}", array.as_string::<i32>().value(i)),
        DataType::Binary => hex(array.as_binary::<i32>().value(i)),
        DataType::FixedSizeBinary(_) => hex(array.as_fixed_size_binary().value(i)),
        DataType::Interval(_) => {
            let v = array.as_primitive::<IntervalMonthDayNanoType>().value(i);
            format!("p{}/{}/{}", v.months, v.days, v.nanoseconds / 1_000_000)
        }
        DataType::Dictionary(_, _) => {
            let array = array.as_dictionary::<Int32Type>();
            let key = array.keys().value(i) as usize;
            spell_array(array.values(), key)
        }
        DataType::Struct(_) => {
            let array = array.as_struct();
            let all: Vec<String> = array
                .fields()
                .iter()
                .zip(array.columns())
                .map(|(f, c)| format!("{}:{}", f.name(), spell_array(c, i)))
                .collect();
            format!("{{{}}}", all.join(","))
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(i);
            let all: Vec<String> = (0..items.len()).map(|i| spell_array(&items, i)).collect();
            format!("[{}]", all.join(","))
        }
        DataType::Map(_, _) => {
            let entries = array.as_map().value(i);
            // Of a key that is sent twice, `apache-avro` keeps the last.
            let all: std::collections::BTreeMap<String, String> = (0..entries.len())
                .map(|i| {
                    (
                        spell_array(entries.column(0), i),
                        spell_array(entries.column(1), i),
                    )
                })
                .collect();
            let mut all: Vec<String> = all.iter().map(|(k, v)| format!("{k}:{v}")).collect();
            all.sort();
            format!("<{}>", all.join(","))
        }
        DataType::Union(_, _) => {
            let array = array.as_union();
            spell_array(array.child(array.type_id(i)), array.value_offset(i))
        }
        other => panic!("no spelling for {other}"),
    }
}
