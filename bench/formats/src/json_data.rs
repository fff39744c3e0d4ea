//! JSON records, and JSON Schemas of them.

use std::fmt::Write as _;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Records of one kind.
pub struct Shape {
    pub name: &'static str,
    pub messages: Vec<Vec<u8>>,
    pub schema: String,
}

pub fn shapes(count: usize) -> Vec<Shape> {
    vec![events(count), wide(count), nested(count), texts(count)]
}

fn make(count: usize, mut record: impl FnMut(&mut StdRng, &mut String)) -> Vec<Vec<u8>> {
    let mut rng = StdRng::seed_from_u64(7);
    let mut text = String::new();
    let record = |_| {
        text.clear();
        record(&mut rng, &mut text);
        text.clone().into_bytes()
    };
    (0..count).map(record).collect()
}

fn word(rng: &mut StdRng) -> &'static str {
    const WORDS: [&str; 8] =
        ["click", "purchase", "page view", "login", "add to basket", "search", "scroll", "größe"];
    WORDS[rng.random_range(0..WORDS.len())]
}

fn events(count: usize) -> Shape {
    Shape {
        name: "three fields",
        messages: make(count, |rng, text| {
            let at = 1_700_000_000_000_i64 + rng.random_range(0..1_000_000_000);
            let (event, user) = (word(rng), rng.random_range(0..1_000_000));
            write!(text, r#"{{"timestamp":{at},"event":"{event}","user_id":{user}}}"#)
                .expect("a string");
        }),
        schema: r#"{"type":"object","properties":{
            "timestamp":{"type":"integer"},
            "event":{"type":"string"},
            "user_id":{"type":"integer"}},"required":["timestamp","event"]}"#
            .into(),
    }
}

/// 30 members, a fifth of them null or left out.
fn wide(count: usize) -> Shape {
    let kinds = ["integer", "string", "number", "boolean", "integer", "string"];
    let properties: Vec<String> = (0..30)
        .map(|i| format!(r#""field_{i}":{{"type":["{}","null"]}}"#, kinds[i % kinds.len()]))
        .collect();
    Shape {
        name: "30 optional fields",
        messages: make(count, |rng, text| {
            let mut before = '{';
            for i in 0..30 {
                let skip = rng.random_range(0..10);
                if i > 0 && skip == 0 {
                    continue;
                }
                write!(text, "{before}\"field_{i}\":").expect("a string");
                before = ',';
                let written = match i % kinds.len() {
                    _ if i > 0 && skip == 1 => write!(text, "null"),
                    0 | 4 => write!(text, "{}", rng.random_range(-50_000..50_000)),
                    2 => write!(text, "{}.5", rng.random_range(0..10_000)),
                    3 => write!(text, "{}", rng.random_bool(0.5)),
                    _ => write!(text, "\"{}\"", word(rng)),
                };
                written.expect("a string");
            }
            text.push('}');
        }),
        schema: format!(r#"{{"type":"object","properties":{{{}}}}}"#, properties.join(",")),
    }
}

/// An order: objects, and an array of objects.
fn nested(count: usize) -> Shape {
    Shape {
        name: "objects, an array of objects",
        messages: make(count, |rng, text| {
            let (id, who) = (rng.random_range(0..1_000_000), rng.random_range(0..10_000));
            write!(
                text,
                r#"{{"id":{id},"customer":{{"id":{who},"name":"{}","vip":{}}},"items":["#,
                word(rng),
                rng.random_bool(0.1),
            )
            .expect("a string");
            for i in 0..rng.random_range(1..6) {
                let comma = if i > 0 { "," } else { "" };
                let (qty, price) = (rng.random_range(1..9), rng.random_range(1..9_999));
                write!(
                    text,
                    r#"{comma}{{"sku":"{}-{i}","qty":{qty},"price":{price}.99}}"#,
                    word(rng)
                )
                .expect("a string");
            }
            write!(text, r#"],"tags":["{}","{}"]}}"#, word(rng), word(rng)).expect("a string");
        }),
        schema: r#"{"type":"object","properties":{
            "id":{"type":"integer"},
            "customer":{"type":"object","properties":{"id":{"type":"integer"},
                "name":{"type":"string"},"vip":{"type":"boolean"}}},
            "items":{"type":"array","items":{"type":"object","properties":{
                "sku":{"type":"string"},"qty":{"type":"integer"},"price":{"type":"number"}}}},
            "tags":{"type":"array","items":{"type":"string"}}}}"#
            .into(),
    }
}

/// Log lines, with escapes here and there.
fn texts(count: usize) -> Shape {
    Shape {
        name: "long text with escapes",
        messages: make(count, |rng, text| {
            let at = rng.random_range(0..1_000_000_000);
            write!(text, r#"{{"at":{at},"line":""#).expect("a string");
            for _ in 0..rng.random_range(20..60) {
                text.push_str(word(rng));
                text.push_str(if rng.random_bool(0.05) { r#" \"quoted\"\n"# } else { " " });
            }
            text.push_str("\"}");
        }),
        schema: r#"{"type":"object","properties":{
            "at":{"type":"integer"},"line":{"type":"string"}}}"#
            .into(),
    }
}
