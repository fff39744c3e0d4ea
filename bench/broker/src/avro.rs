//! Confluent-framed Avro of one small schema: a timestamp, an event name, a user id.

use crate::broker::{Broker, http};

pub const SCHEMA: &str = r#"{"type":"record","name":"Event","fields":[{"name":"timestamp","type":"long"},{"name":"event","type":"string"},{"name":"user_id","type":"int"}]}"#;

/// Registers the schema for the topic's values; its id.
pub fn register(broker: &Broker, topic: &str) -> u32 {
    let body = serde_json::json!({ "schema": SCHEMA }).to_string();
    let answer = http(
        &broker.registry,
        "POST",
        &format!("/subjects/{topic}-value/versions"),
        &body,
    );
    let json: serde_json::Value = serde_json::from_str(&answer).unwrap_or_default();
    json["id"]
        .as_u64()
        .unwrap_or_else(|| panic!("registration answered: {answer}")) as u32
}

fn zigzag(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// `count` messages, different enough that neither codec nor dictionary gets them for nothing.
pub fn messages(id: u32, count: usize) -> Vec<Vec<u8>> {
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
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    (0..count)
        .map(|_| {
            let mut out = vec![0];
            out.extend_from_slice(&id.to_be_bytes());
            zigzag(
                &mut out,
                1_700_000_000_000 + (next() % 60_000_000_000) as i64,
            );
            let event = EVENTS[(next() % 12) as usize];
            zigzag(&mut out, event.len() as i64);
            out.extend_from_slice(event.as_bytes());
            zigzag(&mut out, (next() % 10_000_000) as i64);
            out
        })
        .collect()
}
