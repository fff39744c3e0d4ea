//! Every producer against every consumer: each producer writes a topic of its own, with each of its
//! codecs, idempotent or not, another without what some consumers can't read, and, where it has them, one in
//! transactions; then each consumer reads all topics that it can, and all must have read the same.
//!
//! The scripts of the producers are those of the client matrix; those of the consumers are in
//! `tests/interop`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::install::{self, Missing};
use crate::matrix::{Client, skip};
use crate::server::Server;
use crate::workload::{self, Features, Headers};
use crate::{
    AIOKAFKA, CLIENTS, CONFLUENT_KAFKA, JAVA_3, JAVA_4, KAFKA_PYTHON_3, KAFKAJS, RDKAFKA, bounded,
    java,
};

const PRODUCE_LIMIT: Duration = Duration::from_secs(300);
const CONSUME_LIMIT: Duration = Duration::from_secs(300);

/// The producers that have transactions.
const TRANSACTIONAL: [&Client; 7] = [
    &CONFLUENT_KAFKA,
    &KAFKA_PYTHON_3,
    &AIOKAFKA,
    &KAFKAJS,
    &JAVA_3,
    &JAVA_4,
    &RDKAFKA,
];

const PLAIN_CODECS: &[&str] = &["none", "gzip", "snappy", "lz4"];

/// A consumer, and what of a record it can't show or read.
struct Consumer {
    name: &'static str,
    /// How it shows headers.
    headers: Headers,
    /// Reads neither zstd, nor headers whose value is null, nor the markers of transactions.
    plain_only: bool,
    command: fn() -> Result<Command, Missing>,
}

const CONSUMERS: [Consumer; 10] = [
    Consumer {
        name: "confluent_kafka",
        headers: Headers::Nullable,
        plain_only: false,
        command: || python("python", "consume_confluent_kafka.py"),
    },
    Consumer {
        name: "kafka_python_3",
        headers: Headers::Nullable,
        plain_only: false,
        command: || python("python", "consume_kafka_python.py"),
    },
    Consumer {
        name: "kafka_python_2",
        headers: Headers::Nullable,
        plain_only: false,
        command: || python("kafka-python-2", "consume_kafka_python.py"),
    },
    Consumer {
        name: "aiokafka",
        headers: Headers::Nullable,
        plain_only: false,
        command: || python("python", "consume_aiokafka.py"),
    },
    Consumer {
        name: "kafkajs",
        // Its headers are an object: repeated keys come together.
        headers: Headers::Grouped,
        plain_only: false,
        command: || {
            let packages = install::node()?;
            let mut command = Command::new("node");
            command
                .arg(install::repository().join("tests/interop/node/consume.js"))
                .env("NODE_PATH", packages.join("node_modules"));
            Ok(command)
        },
    },
    Consumer {
        name: "kcat",
        headers: Headers::None,
        plain_only: false,
        command: || {
            install::program("kcat", &["-V"])?;
            python("python", "consume_kcat.py")
        },
    },
    Consumer {
        name: "java_3",
        headers: Headers::Nullable,
        plain_only: false,
        command: || java("kafka-3", "ReadAll"),
    },
    Consumer {
        name: "java_4",
        headers: Headers::Nullable,
        plain_only: false,
        command: || java("kafka-4", "ReadAll"),
    },
    Consumer {
        name: "rdkafka",
        headers: Headers::Nullable,
        plain_only: false,
        command: || rust("with_rdkafka"),
    },
    Consumer {
        name: "rskafka",
        // Its headers are a map: of a repeated key it keeps the last. It takes the length of a null for a
        // length, and a marker's record for what is in its key; and it fetches in version 4, in which nobody
        // is sent zstd.
        headers: Headers::Single,
        plain_only: true,
        command: || rust("with_rskafka"),
    },
];

fn python(set: &str, script: &str) -> Result<Command, Missing> {
    let mut command = Command::new(install::python(set)?);
    let scripts = install::repository().join("tests/interop/python");
    command.arg(scripts.join(script));
    Ok(command)
}

fn rust(program: &str) -> Result<Command, Missing> {
    let mut command = Command::new(install::rust(program)?);
    command.arg("consume");
    Ok(command)
}

/// A topic that a producer wrote.
struct Topic {
    name: String,
    records: usize,
    /// Without zstd, null headers and transactions.
    plain: bool,
}

/// A record's place: topic, partition, offset.
type Place = (String, i64, i64);

#[test]
fn every_consumer_reads_what_every_producer_wrote() {
    let server = Server::start();
    let mut topics: Vec<Topic> = Vec::new();
    for client in CLIENTS {
        // Of now: records of long ago are past their retention, and might go before all have read them.
        let features = Features {
            timestamps: false,
            ..client.features
        };
        let plain = format!("{}_plain", client.name);
        let plain_features = Features {
            codecs: PLAIN_CODECS,
            headers: features.headers.min(Headers::Ordered),
            ..features
        };
        let mut runs = vec![
            (client.name.to_owned(), workload::lines(&features)),
            (plain.clone(), workload::bursts(&plain_features, "")),
        ];
        if TRANSACTIONAL.iter().any(|one| one.name == client.name) {
            let topic = format!("{}_transactional", client.name);
            let lines = workload::bursts(&features, &topic);
            runs.push((topic, lines));
        }
        for (name, lines) in runs {
            match produce(&server, client, &name, &lines) {
                Ok(records) => topics.push(Topic {
                    plain: name == plain,
                    name,
                    records,
                }),
                Err(Outcome::Missing(missing)) => skip(client.name, &missing),
                Err(Outcome::Failed(reason)) => server.fail(&reason),
            }
        }
    }

    let mut first: Option<(&str, BTreeMap<Place, Value>)> = None;
    for consumer in &CONSUMERS {
        let readable = |topic: &&Topic| topic.plain || !consumer.plain_only;
        let topics: Vec<&Topic> = topics.iter().filter(readable).collect();
        let rows = match consume(&server, consumer, &topics) {
            Ok(rows) => rows,
            Err(Outcome::Missing(missing)) => {
                skip(consumer.name, &missing);
                continue;
            }
            Err(Outcome::Failed(reason)) => server.fail(&reason),
        };
        println!("{}: {} records", consumer.name, rows.len());
        match &first {
            None => {
                let wrong = miscounted(&topics, &rows);
                if !wrong.is_empty() {
                    server.fail(&wrong);
                }
                first = Some((consumer.name, rows));
            }
            Some((name, truth)) => {
                let truth = truth
                    .iter()
                    .filter(|((name, ..), _)| topics.iter().any(|topic| topic.name == *name));
                if let Some(difference) = differ(&truth.collect(), &rows, consumer.headers) {
                    server.fail(&format!("{name} and {}: {difference}", consumer.name));
                }
            }
        }
    }
    server.stop();
}

enum Outcome {
    Missing(Missing),
    Failed(String),
}

/// Has a client send a workload, and answers how many records that were.
fn produce(server: &Server, client: &Client, topic: &str, lines: &str) -> Result<usize, Outcome> {
    let mut command = (client.command)().map_err(Outcome::Missing)?;
    let folder = server.folder();
    let workload = folder.join(format!("{topic}.jsonl"));
    fs::write(&workload, lines).expect("a workload");
    let schema = install::repository().join("tests/clients/reading.avsc");
    command
        .args(["--bootstrap", &server.kafka, "--registry", &server.registry])
        .args(["--topic", topic])
        .args([Path::new("--schema"), &schema])
        .args([Path::new("--workload"), &workload])
        .args([
            Path::new("--acks"),
            &folder.join(format!("{topic}.acks.jsonl")),
        ]);
    bounded::run(&mut command, PRODUCE_LIMIT).map_err(Outcome::Failed)?;
    let records = lines
        .lines()
        .filter(|line| !line.starts_with("{\"producer\""));
    Ok(records.count())
}

/// Has a consumer read all topics, and answers what it read.
fn consume(
    server: &Server,
    consumer: &Consumer,
    topics: &[&Topic],
) -> Result<BTreeMap<Place, Value>, Outcome> {
    let mut command = (consumer.command)().map_err(Outcome::Missing)?;
    let names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
    let records: usize = topics.iter().map(|topic| topic.records).sum();
    let out = server.folder().join(format!("{}.rows", consumer.name));
    command
        .args(["--bootstrap", &server.kafka])
        .args(["--topics", &names.join(",")])
        .args(["--records", &records.to_string()])
        .args([Path::new("--out"), &out]);
    bounded::run(&mut command, CONSUME_LIMIT).map_err(Outcome::Failed)?;
    let text = fs::read_to_string(&out).expect("the rows");
    let rows = text.lines().map(|line| {
        let row: Value = serde_json::from_str(line).expect("a row");
        let number = |name: &str| row[name].as_i64().expect("a number");
        let topic = row["topic"].as_str().expect("a topic").to_owned();
        ((topic, number("partition"), number("offset")), row)
    });
    let (mut all, mut count) = (BTreeMap::new(), 0);
    for (place, row) in rows {
        count += 1;
        all.insert(place, row);
    }
    match count == all.len() {
        true => Ok(all),
        false => Err(Outcome::Failed(format!(
            "{} read {count} records, {} of them different",
            consumer.name,
            all.len()
        ))),
    }
}

/// The topics that don't have as many records as were sent.
fn miscounted(topics: &[&Topic], rows: &BTreeMap<Place, Value>) -> String {
    let wrong = topics.iter().filter_map(|topic| {
        let (name, sent) = (&topic.name, topic.records);
        let read = rows.keys().filter(|(of, ..)| of == name).count();
        (read != sent).then(|| format!("{name}: {sent} sent, {read} read; "))
    });
    wrong.collect()
}

/// The first record in which two consumers differ.
fn differ(
    truth: &BTreeMap<&Place, &Value>,
    rows: &BTreeMap<Place, Value>,
    headers: Headers,
) -> Option<String> {
    if truth.len() != rows.len() {
        return Some(format!("{} records and {}", truth.len(), rows.len()));
    }
    truth.iter().find_map(|(place, wanted)| {
        let wanted = shown(wanted, headers);
        let got = rows.get(*place).map(|row| shown(row, headers));
        (got.as_ref() != Some(&wanted)).then(|| format!("at {place:?}: {wanted} and {got:?}"))
    })
}

/// A row as a consumer with these headers shows it.
fn shown(row: &Value, headers: Headers) -> Value {
    let mut row = row.clone();
    let pairs = row["headers"].take();
    row["headers"] = match headers {
        Headers::None => Value::Null,
        Headers::Single => {
            let pairs = pairs.as_array().cloned().unwrap_or_default();
            let last = pairs.into_iter().map(|pair| (pair[0].to_string(), pair));
            Value::Array(last.collect::<BTreeMap<_, _>>().into_values().collect())
        }
        Headers::Grouped => {
            let mut pairs = pairs.as_array().cloned().unwrap_or_default();
            pairs.sort_by_key(|pair| pair[0].as_str().unwrap_or_default().to_owned());
            Value::Array(pairs)
        }
        Headers::Ordered | Headers::Nullable => pairs,
    };
    row
}
