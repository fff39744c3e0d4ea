//! What a client is told to send: settings and records, as the JSON lines its script reads
//! (the form is described in `tests/clients/python/workload.py`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

/// The values that are sent over and over: edges of every Avro type, in plain JSON.
const VALUES: &str = include_str!("../../../../tests/clients/values.jsonl");

/// 2020-09-13T12:26:40Z: a time that no clock gives, so it was taken from the record.
const EXPLICIT_TIMESTAMP_MS: i64 = 1_600_000_000_000;

/// What of Kafka a client can do; all else is the same for every client.
#[derive(Clone, Copy)]
pub(crate) struct Features {
    /// `none` and those that the client compresses with.
    pub(crate) codecs: &'static [&'static str],
    /// Requests in flight when sending with a producer id and sequence numbers; 0: can't do so.
    pub(crate) idempotent_in_flight: u32,
    /// Takes the acks that the caller wants; else it asks for all.
    pub(crate) acks_chosen: bool,
    /// Record headers that the client can send.
    pub(crate) headers: Headers,
    /// Takes a record's timestamp from the caller.
    pub(crate) timestamps: bool,
    /// Tells null keys from empty ones.
    pub(crate) empty_keys: bool,
    /// Says for each record where it went, in bursts too.
    pub(crate) answers_known: bool,
}

/// Record headers, from none to all that Kafka has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Headers {
    None,
    /// One value for each key, in the order of those.
    Single,
    /// Keys may repeat from here on: the values of a repeated key follow each other.
    Grouped,
    /// In any order.
    Ordered,
    /// And with values that are null.
    Nullable,
}

/// Settings of one producer, and how many records it sends.
struct Producer {
    acks: &'static str,
    codec: &'static str,
    idempotent: bool,
    linger_ms: u32,
    in_flight: u32,
    wait_each: bool,
    records: usize,
}

/// The whole workload of a client with these features.
pub(crate) fn lines(features: &Features) -> String {
    of(features, &producers(features), "")
}

/// A burst with each codec, each in a transaction; the ids of those begin with `id`. Without an id, there
/// are no transactions.
pub(crate) fn bursts(features: &Features, id: &str) -> String {
    let burst = |codec| Producer {
        acks: "all",
        codec,
        idempotent: features.idempotent_in_flight > 0,
        linger_ms: 5,
        in_flight: features.idempotent_in_flight.max(1),
        wait_each: false,
        records: 60,
    };
    let producers: Vec<Producer> = features.codecs.iter().copied().map(burst).collect();
    of(features, &producers, id)
}

fn of(features: &Features, producers: &[Producer], id: &str) -> String {
    let values: Vec<&str> = VALUES.lines().collect();
    let mut lines = String::new();
    let mut number = 0;
    for producer in producers {
        let transactional_id = (!id.is_empty()).then(|| format!("{id}-{}", producer.codec));
        let settings = json!({"producer": {
            "acks": producer.acks,
            "codec": producer.codec,
            "idempotent": producer.idempotent,
            "linger_ms": producer.linger_ms,
            "in_flight": producer.in_flight,
            "wait_each": producer.wait_each,
            "transactional_id": transactional_id,
        }});
        lines += &format!("{settings}\n");
        for _ in 0..producer.records {
            let value = values[number % values.len()];
            lines += &record(features, producer, number, value);
            number += 1;
        }
    }
    lines
}

/// Singles with each durable `acks`; bursts with every codec, records lingering and many requests
/// in flight; a burst that is idempotent; and one that nobody answers.
fn producers(features: &Features) -> Vec<Producer> {
    let single = Producer {
        acks: "all",
        codec: "none",
        idempotent: false,
        linger_ms: 0,
        in_flight: 1,
        wait_each: true,
        records: 12,
    };
    let burst = Producer {
        linger_ms: 5,
        in_flight: 5,
        wait_each: false,
        records: 200,
        ..single
    };
    let mut producers = vec![Producer {
        acks: "1",
        ..single
    }];
    producers.extend(
        features
            .codecs
            .iter()
            .map(|codec| Producer { codec, ..burst }),
    );
    if features.idempotent_in_flight > 0 {
        producers.push(Producer {
            idempotent: true,
            linger_ms: 0,
            in_flight: features.idempotent_in_flight,
            records: 400,
            ..burst
        });
    }
    producers.push(Producer {
        acks: "0",
        linger_ms: 0,
        records: 60,
        ..burst
    });
    producers.push(single);
    producers.retain(|producer| features.acks_chosen || producer.acks == "all");
    producers
}

fn record(features: &Features, producer: &Producer, number: usize, value: &str) -> String {
    let tombstone = number % 11 == 10;
    // Without an answer a record is recognised by its key, so it needs one of its own;
    // and a tombstone says which key it ends.
    let answered = producer.acks != "0" && (producer.wait_each || features.answers_known);
    let must_have_key = tombstone || !answered;
    let key = match number % 7 {
        0 if !must_have_key => None,
        1 if !must_have_key && features.empty_keys => Some(String::new()),
        _ => Some(STANDARD.encode(format!("key-{number}"))),
    };
    let text = |text: &str| STANDARD.encode(text);
    let headers = match number % 8 {
        1 | 6 if features.headers >= Headers::Grouped => json!([
            ["source", text("Zürich")],
            ["trace", text("first")],
            ["trace", STANDARD.encode([255, 10, 1])],
            ["empty", ""],
        ]),
        3 if features.headers >= Headers::Ordered => json!([
            ["trace", text("first")],
            ["source", text("Zürich")],
            ["trace", text("second")],
        ]),
        5 if features.headers >= Headers::Nullable => {
            json!([["nothing", null], ["trace", text("first")]])
        }
        1 | 5 if features.headers == Headers::Single => {
            json!([
                ["empty", ""],
                ["source", text("Zürich")],
                ["trace", STANDARD.encode([255, 10, 1])]
            ])
        }
        _ => json!([]),
    };
    let timestamp = (features.timestamps && number % 3 == 1)
        .then_some(EXPLICIT_TIMESTAMP_MS + i64::try_from(number).expect("few records"));
    let partition = (number % 5 == 2).then_some(number / 5 % PARTITIONS);
    let value = if tombstone {
        "null".to_owned()
    } else {
        // Spliced as text, so that every number reaches the client digit for digit.
        let fields = value.strip_prefix('{').expect("a JSON object");
        format!("{{\"n\": \"{number}\", {fields}")
    };
    format!(
        "{{\"key\": {}, \"headers\": {headers}, \"timestamp\": {}, \"partition\": {}, \"value\": {value}}}\n",
        json!(key),
        json!(timestamp),
        json!(partition),
    )
}

/// Partitions of the topics in these tests.
pub(crate) const PARTITIONS: usize = 3;
