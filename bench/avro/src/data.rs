//! Schemas and seeded messages, in Confluent's framing, for every shape and distribution measured.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The schema id of every message that isn't said to have another.
pub const ID: u32 = 42;
/// The id of a second, compatible writer.
pub const OTHER_ID: u32 = 43;

/// Tiny: three required fields.
pub const A: &str = r#"{"type":"record","name":"Event","fields":[
    {"name":"timestamp","type":"long"},
    {"name":"event","type":"string"},
    {"name":"user_id","type":"int"}]}"#;

/// As [`A`], by a writer that sends one field more.
pub const A_MORE: &str = r#"{"type":"record","name":"Event","fields":[
    {"name":"timestamp","type":"long"},
    {"name":"event","type":"string"},
    {"name":"user_id","type":"int"},
    {"name":"extra","type":"int","default":0}]}"#;

/// Nested: records, an array of records, a map.
pub const C: &str = r#"{"type":"record","name":"Order","fields":[
    {"name":"id","type":"long"},
    {"name":"user","type":{"type":"record","name":"User","fields":[
        {"name":"name","type":"string"},
        {"name":"address","type":{"type":"record","name":"Address","fields":[
            {"name":"street","type":"string"},
            {"name":"city","type":"string"},
            {"name":"zip","type":"int"}]}}]}},
    {"name":"items","type":{"type":"array","items":{"type":"record","name":"Item","fields":[
        {"name":"sku","type":"string"},
        {"name":"qty","type":"int"},
        {"name":"price","type":"double"}]}}},
    {"name":"attrs","type":{"type":"map","values":"string"}}]}"#;

/// One array of numbers.
pub const LONGS: &str = r#"{"type":"record","name":"Longs","fields":[
    {"name":"v","type":{"type":"array","items":"long"}}]}"#;
/// One array of fixed-width numbers.
pub const DOUBLES: &str = r#"{"type":"record","name":"Doubles","fields":[
    {"name":"v","type":{"type":"array","items":"double"}}]}"#;
/// One array of text.
pub const STRINGS: &str = r#"{"type":"record","name":"Strings","fields":[
    {"name":"v","type":{"type":"array","items":"string"}}]}"#;

/// The fields of the wide shape: name, type, and how its values are made.
fn wide_fields() -> Vec<(String, String, Value)> {
    let symbols = r#"["NEW","PAID","PACKED","SHIPPED","DONE","CANCELLED"]"#;
    let groups: [(&str, usize, Value); 8] = [
        ("i", 5, Value::Int),
        ("l", 5, Value::Long),
        ("d", 4, Value::Double),
        ("s", 6, Value::Text),
        ("b", 3, Value::Boolean),
        ("t", 3, Value::Time),
        ("e", 2, Value::Symbol),
        ("m", 2, Value::Decimal),
    ];
    let mut fields = Vec::new();
    for (prefix, count, value) in groups {
        for i in 0..count {
            let ty = match value {
                Value::Int => "\"int\"".to_owned(),
                Value::Long => "\"long\"".to_owned(),
                Value::Double => "\"double\"".to_owned(),
                Value::Text => "\"string\"".to_owned(),
                Value::Boolean => "\"boolean\"".to_owned(),
                Value::Time => r#"{"type":"long","logicalType":"timestamp-millis"}"#.to_owned(),
                Value::Symbol => {
                    format!(r#"{{"type":"enum","name":"E{i}","symbols":{symbols}}}"#)
                }
                Value::Decimal => {
                    r#"{"type":"bytes","logicalType":"decimal","precision":18,"scale":4}"#
                        .to_owned()
                }
            };
            fields.push((format!("{prefix}{i}"), ty, value));
        }
    }
    fields
}

/// Wide: 30 nullable fields of eight types.
pub fn b() -> String {
    let fields: Vec<String> = wide_fields()
        .iter()
        .map(|(name, ty, _)| format!(r#"{{"name":"{name}","type":["null",{ty}],"default":null}}"#))
        .collect();
    format!(
        r#"{{"type":"record","name":"Wide","fields":[{}]}}"#,
        fields.join(",")
    )
}

/// As [`b`] with half the fields: what a reader that lacks 15 of them has, in another order.
pub fn b_reader() -> String {
    let mut fields: Vec<String> = wide_fields()
        .iter()
        .map(|(name, ty, value)| {
            let ty = match value {
                Value::Int => "\"long\"",
                _ => ty,
            };
            format!(r#"{{"name":"{name}","type":["null",{ty}],"default":null}}"#)
        })
        .filter(|field| !field.contains("\"b2\""))
        .collect();
    fields.reverse();
    fields.push(r#"{"name":"added","type":"long","default":7}"#.to_owned());
    format!(
        r#"{{"type":"record","name":"Wide","fields":[{}]}}"#,
        fields.join(",")
    )
}

/// A record of `n` fields of mixed types.
pub fn many_fields(n: usize) -> String {
    let wide = wide_fields();
    let fields: Vec<String> = (0..n)
        .map(|i| {
            let ty = wide[i % wide.len()]
                .1
                .replace("\"name\":\"E", &format!("\"name\":\"E{i}_"));
            format!(r#"{{"name":"f{i}","type":["null",{ty}],"default":null}}"#)
        })
        .collect();
    format!(
        r#"{{"type":"record","name":"Many","fields":[{}]}}"#,
        fields.join(",")
    )
}

#[derive(Clone, Copy)]
enum Value {
    Int,
    Long,
    Double,
    Text,
    Boolean,
    Time,
    Symbol,
    Decimal,
}

/// How numbers are distributed.
#[derive(Clone, Copy)]
pub enum Numbers {
    /// As in the reference data.
    Mixed,
    /// One byte each.
    Small,
    /// As long as they get.
    Huge,
}

/// How text is distributed.
#[derive(Clone, Copy)]
pub enum Text {
    /// Words, some of them not ASCII.
    Words,
    /// Up to four ASCII letters.
    Short,
    /// 200 to 600 ASCII letters.
    Long,
    /// Nothing but letters of two and three bytes.
    NonAscii,
}

/// A distribution of the values of a shape.
#[derive(Clone, Copy)]
pub struct Distribution {
    pub numbers: Numbers,
    pub text: Text,
    pub nulls: f64,
}

pub const REFERENCE: Distribution = Distribution {
    numbers: Numbers::Mixed,
    text: Text::Words,
    nulls: 0.15,
};

const EVENTS: [&str; 12] = [
    "click",
    "page_view",
    "add_to_cart",
    "purchase",
    "login",
    "logout",
    "search",
    "scroll",
    "video_play",
    "checkout_started",
    "signup_completed",
    "notification_opened",
];
const WORDS: [&str; 16] = [
    "alpha", "harbor", "stone", "river", "Zürich", "market", "blue", "quartz", "Łódź", "signal",
    "north", "paper", "velvet", "東京", "ember", "cloud",
];

pub fn put_long(out: &mut Vec<u8>, v: i64) {
    let mut z = ((v << 1) ^ (v >> 63)) as u64;
    while z >= 0x80 {
        out.push(z as u8 | 0x80);
        z >>= 7;
    }
    out.push(z as u8);
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_long(out, text.len() as i64);
    out.extend_from_slice(text.as_bytes());
}

fn framed(id: u32) -> Vec<u8> {
    let mut out = vec![0];
    out.extend_from_slice(&id.to_be_bytes());
    out
}

struct Maker {
    rng: StdRng,
    d: Distribution,
}

impl Maker {
    fn new(seed: u64, d: Distribution) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            d,
        }
    }

    /// Of log-uniform magnitude, a fifth of them negative.
    fn number(&mut self, bits: u32) -> i64 {
        match self.d.numbers {
            Numbers::Mixed => {
                let bits = self.rng.random_range(1..=bits);
                let v = (self.rng.random::<u64>() >> (64 - bits)) as i64;
                if self.rng.random_bool(0.2) { -v } else { v }
            }
            Numbers::Small => self.rng.random_range(-64..64),
            Numbers::Huge if bits <= 31 => i64::from(i32::MAX - self.rng.random_range(0..1000)),
            Numbers::Huge => i64::MAX - self.rng.random_range(0..1_000_000),
        }
    }

    fn time(&mut self) -> i64 {
        1_700_000_000_000 + self.rng.random_range(0..60_000_000_000i64)
    }

    fn words(&mut self, least: usize, most: usize) -> String {
        match self.d.text {
            Text::Words => {
                let n = self.rng.random_range(least..=most);
                let words: Vec<&str> = (0..n)
                    .map(|_| WORDS[self.rng.random_range(0..WORDS.len())])
                    .collect();
                words.join(" ")
            }
            Text::Short => {
                let n = self.rng.random_range(0..=4);
                (0..n)
                    .map(|_| char::from(self.rng.random_range(b'a'..=b'z')))
                    .collect()
            }
            Text::Long => {
                let n = self.rng.random_range(200..=600);
                (0..n)
                    .map(|_| char::from(self.rng.random_range(b'a'..=b'z')))
                    .collect()
            }
            Text::NonAscii => {
                let n = self.rng.random_range(2..=12);
                (0..n)
                    .map(|_| match self.rng.random_bool(0.5) {
                        true => self.rng.random_range('а'..='я'),
                        false => self.rng.random_range('一'..='鿿'),
                    })
                    .collect()
            }
        }
    }

    fn event(&mut self) -> String {
        match self.d.text {
            Text::Words => EVENTS[self.rng.random_range(0..EVENTS.len())].to_owned(),
            _ => self.words(1, 1),
        }
    }

    fn value(&mut self, value: Value, out: &mut Vec<u8>) {
        match value {
            Value::Int => {
                let v = self.number(30);
                put_long(out, v);
            }
            Value::Long => {
                let v = self.number(52);
                put_long(out, v);
            }
            Value::Double => {
                out.extend_from_slice(&self.rng.random_range(-1e6..1e6f64).to_le_bytes());
            }
            Value::Text => {
                let text = self.words(1, 3);
                put_text(out, &text);
            }
            Value::Boolean => out.push(u8::from(self.rng.random_bool(0.5))),
            Value::Time => {
                let v = self.time();
                put_long(out, v);
            }
            Value::Symbol => put_long(out, self.rng.random_range(0..6)),
            Value::Decimal => {
                let v = match self.d.numbers {
                    Numbers::Huge => 999_999_999_999_999_999 - self.rng.random_range(0..1000),
                    _ => self.number(50),
                };
                let bytes = v.to_be_bytes();
                let fill = if v < 0 { 0xff } else { 0 };
                let mut from = 0;
                while from < 7 && bytes[from] == fill && (bytes[from + 1] >= 0x80) == (fill == 0xff)
                {
                    from += 1;
                }
                put_long(out, 8 - from as i64);
                out.extend_from_slice(&bytes[from..]);
            }
        }
    }
}

/// Messages of [`A`]; those whose id is another carry [`A_MORE`]'s field.
pub fn a_messages(n: usize, d: Distribution, id: impl Fn(usize) -> u32) -> Vec<Vec<u8>> {
    let mut m = Maker::new(1, d);
    (0..n)
        .map(|i| {
            let mut out = framed(id(i));
            let at = match d.numbers {
                Numbers::Mixed => m.time(),
                _ => m.number(63),
            };
            put_long(&mut out, at);
            let event = m.event();
            put_text(&mut out, &event);
            let user = match d.numbers {
                Numbers::Mixed => m.rng.random_range(0..10_000_000),
                _ => m.number(31),
            };
            put_long(&mut out, user);
            if id(i) != ID {
                put_long(&mut out, 7);
            }
            out.shrink_to_fit();
            out
        })
        .collect()
}

/// Messages of [`b`].
pub fn b_messages(n: usize, d: Distribution) -> Vec<Vec<u8>> {
    let mut m = Maker::new(2, d);
    let fields = wide_fields();
    (0..n)
        .map(|_| {
            let mut out = framed(ID);
            for (_, _, value) in &fields {
                if m.rng.random_bool(d.nulls) {
                    out.push(0);
                } else {
                    out.push(2);
                    m.value(*value, &mut out);
                }
            }
            out.shrink_to_fit();
            out
        })
        .collect()
}

/// Messages of [`C`], with up to `items` items and as many entries less one.
pub fn c_messages(n: usize, d: Distribution, items: std::ops::RangeInclusive<i64>) -> Vec<Vec<u8>> {
    let mut m = Maker::new(3, d);
    (0..n)
        .map(|_| {
            let mut out = framed(ID);
            let id = m.number(40);
            put_long(&mut out, id);
            for (least, most) in [(2, 2), (2, 4), (1, 1)] {
                let text = m.words(least, most);
                put_text(&mut out, &text);
            }
            put_long(&mut out, m.rng.random_range(1000..99_999));
            let count = m.rng.random_range(items.clone());
            if count > 0 {
                put_long(&mut out, count);
                for _ in 0..count {
                    put_text(
                        &mut out,
                        &format!("SKU-{:06}", m.rng.random_range(0..1_000_000)),
                    );
                    put_long(&mut out, m.rng.random_range(1..20));
                    out.extend_from_slice(&m.rng.random_range(0.5..500.0f64).to_le_bytes());
                }
            }
            out.push(0);
            let count = m.rng.random_range(0..=(items.end() - 1).clamp(0, 5));
            if count > 0 {
                put_long(&mut out, count);
                for j in 0..count {
                    put_text(&mut out, &format!("key_{j}"));
                    let text = m.words(1, 2);
                    put_text(&mut out, &text);
                }
            }
            out.push(0);
            out.shrink_to_fit();
            out
        })
        .collect()
}

/// Messages of one array each ([`LONGS`], [`DOUBLES`] or [`STRINGS`]).
pub fn array_messages(
    n: usize,
    schema: &str,
    d: Distribution,
    items: std::ops::RangeInclusive<i64>,
) -> Vec<Vec<u8>> {
    let mut m = Maker::new(4, d);
    let value = match schema {
        LONGS => Value::Long,
        DOUBLES => Value::Double,
        _ => Value::Text,
    };
    (0..n)
        .map(|_| {
            let mut out = framed(ID);
            let count = m.rng.random_range(items.clone());
            if count > 0 {
                put_long(&mut out, count);
                (0..count).for_each(|_| m.value(value, &mut out));
            }
            out.push(0);
            out.shrink_to_fit();
            out
        })
        .collect()
}

/// Spoils one message in `every`, each in another way; says which.
pub fn spoil(messages: &mut [Vec<u8>], every: usize) -> Vec<usize> {
    let mut spoilt = Vec::new();
    for (n, i) in (every / 2..messages.len()).step_by(every).enumerate() {
        let message = &mut messages[i];
        match n % 6 {
            // Cut short.
            0 => message.truncate(message.len() - 1),
            1 => message.truncate(5 + (message.len() - 5) / 2),
            // Something behind the end.
            2 => message.push(0),
            // No such union member, or a number that doesn't end.
            3 => message[5..].fill(0xff),
            // Not framed.
            4 => message[0] = 1,
            // Nothing at all.
            _ => message.clear(),
        }
        spoilt.push(i);
    }
    spoilt
}
