//! Topics with `cleanup.policy=compact` and with a `compression.type` of their own, over raw sockets.

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fletch_wire::ErrorCode;
use fletch_wire::messages::CreateTopicsRequest;
use fletch_wire::messages::create_topics::{CreatableTopic, CreatableTopicConfig};
use fletch_wire::records::{Batch, BatchBuilder, Compression};
use support::{
    Client, PATIENCE, Server, batch, batch_with, decode, folder, produce_request, start_ms,
};

fn create(client: &mut Client, name: &str, configs: &[(&str, &str)]) -> ErrorCode {
    let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
        name: (*name).into(),
        value: Some((*value).into()),
        ..Default::default()
    };
    let topic = CreatableTopic {
        name: name.into(),
        num_partitions: 1,
        replication_factor: 1,
        configs: configs.iter().map(config).collect(),
        ..Default::default()
    };
    let request = CreateTopicsRequest {
        topics: vec![topic],
        timeout_ms: 10_000,
        ..Default::default()
    };
    client.call(&request, 5).topics[0].error_code
}

#[test]
fn compacted_topics_take_only_records_with_keys() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for (name, policy) in [("a", "compact"), ("b", "compact,delete"), ("c", "delete")] {
        let created = create(&mut client, name, &[("cleanup.policy", policy)]);
        assert_eq!(created, ErrorCode::NONE);
    }
    let with_key = |key: Option<&[u8]>| {
        let mut builder = BatchBuilder::new(Compression::Lz4);
        for key in [Some(&b"k"[..]), key] {
            builder
                .append(start_ms(), key, Some(b"v"), &[])
                .expect("a record");
        }
        builder.finish().expect("a batch").into_bytes()
    };
    for topic in ["a", "b"] {
        let refused = client.produce(topic, with_key(None));
        assert_eq!(refused.error_code, ErrorCode::INVALID_RECORD);
        let record_errors: Vec<i32> = refused
            .record_errors
            .iter()
            .map(|error| error.batch_index)
            .collect();
        assert_eq!(record_errors, [1]);
        assert!(
            refused
                .error_message
                .is_some_and(|message| message.contains("without key"))
        );
        assert_eq!(
            client.produce(topic, with_key(Some(b""))).error_code,
            ErrorCode::NONE
        );
        assert_eq!(client.values(topic, 0).len(), 2);
    }
    assert_eq!(
        client.produce("c", with_key(None)).error_code,
        ErrorCode::NONE
    );
    let created = create(&mut client, "d", &[("cleanup.policy", "shrink")]);
    assert_eq!(created, ErrorCode::INVALID_CONFIG);
}

#[test]
fn batches_are_kept_in_the_codec_of_their_topic() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for (name, codec) in [
        ("producer", None),
        ("uncompressed", Some(Compression::None)),
        ("gzip", Some(Compression::Gzip)),
        ("snappy", Some(Compression::Snappy)),
        ("lz4", Some(Compression::Lz4)),
        ("zstd", Some(Compression::Zstd)),
    ] {
        let created = create(&mut client, name, &[("compression.type", name)]);
        assert_eq!(created, ErrorCode::NONE);
        for sent in Compression::ALL {
            let builder = BatchBuilder::new(sent);
            client.produce(name, batch_with(builder, &["some text", "some text"]));
        }
        let answer = client.fetch(name, 0, 0);
        let records = answer.responses[0].partitions[0]
            .records
            .clone()
            .expect("records");
        let kept: Vec<Compression> = Batch::parse_all(records.to_bytes())
            .map(|batch| {
                batch
                    .expect("a batch")
                    .attributes
                    .compression()
                    .expect("a codec")
            })
            .collect();
        let expected = Compression::ALL.map(|sent| codec.unwrap_or(sent));
        assert_eq!(kept, expected, "{name}");
        let values = decode(&records);
        assert_eq!(values.len(), 10);
        assert!(values.iter().all(|(_, value)| value == b"some text"));
    }
    // Stamped by the broker, too.
    let configs = [
        ("compression.type", "gzip"),
        ("message.timestamp.type", "LogAppendTime"),
    ];
    create(&mut client, "stamped", &configs);
    let appended = client.produce("stamped", batch(&["a", "b"]));
    assert!(appended.log_append_time_ms > start_ms() + 1_000_000);
    assert_eq!(client.values("stamped", 0).len(), 2);
}

/// Rewrites segments nearly all the time, of a log in small ones.
const COMPACTING: [&str; 4] = [
    "--store-segment-bytes=1048576",
    "--store-tail-bytes-max=0",
    "--store-maintenance-interval-ms=10",
    "--table-enabled=false",
];
const LATEST: &str = "latest";
const KEYS: u64 = 40;
const KILLS: u32 = 8;

/// What was written under a key: its number, long enough that segments fill.
fn value_of(number: u64) -> String {
    format!("{number:010} {}", "x".repeat(20_000))
}

fn number_of(value: &[u8]) -> u64 {
    let text = std::str::from_utf8(&value[..10]).expect("a number");
    text.parse().expect("a number")
}

/// What has been written to [`LATEST`], and is known to be there.
#[derive(Default)]
struct Written {
    /// The number of each record that was acknowledged, by its offset.
    acknowledged: BTreeMap<i64, u64>,
    /// Numbers that were sent and not answered.
    unanswered: Vec<u64>,
    next: u64,
}

impl Written {
    /// Writes under one key after the other, until the server is gone, or as many as it should be.
    fn write(&mut self, client: &mut Client, most: u64) {
        for number in self.next..self.next + most {
            self.next = number + 1;
            let mut builder = BatchBuilder::new(Compression::None);
            let (key, value) = (key_of(number), value_of(number));
            builder
                .append(
                    start_ms(),
                    Some(key.as_bytes()),
                    Some(value.as_bytes()),
                    &[],
                )
                .expect("a record");
            let batch = builder.finish().expect("a batch").into_bytes();
            let Ok(answer) = client.try_call(&produce_request(LATEST, -1, batch), 9) else {
                self.unanswered.push(number);
                return;
            };
            let answer = &answer.responses[0].partition_responses[0];
            assert_eq!(answer.error_code, ErrorCode::NONE);
            self.acknowledged.insert(answer.base_offset, number);
        }
    }

    /// Whatever is gone, the latest record of each key is there, and what is there is what was written,
    /// at its offset. Answers how many records there are.
    fn check(&self, client: &mut Client) -> usize {
        let found = client.values(LATEST, 0);
        assert!(found.is_sorted_by_key(|(offset, _)| *offset));
        let found: BTreeMap<i64, u64> = found
            .into_iter()
            .map(|(offset, value)| {
                let number = number_of(&value);
                assert_eq!(value, value_of(number).as_bytes());
                (offset, number)
            })
            .collect();
        for (offset, number) in &found {
            let known = self.acknowledged.get(offset);
            let is_known = known == Some(number) || self.unanswered.contains(number);
            assert!(is_known, "{number} at {offset}: {known:?} was acknowledged");
        }
        let latest = |all: &BTreeMap<i64, u64>| -> BTreeMap<String, (i64, u64)> {
            let each = all.iter();
            each.map(|(offset, number)| (key_of(*number), (*offset, *number)))
                .collect()
        };
        let there = latest(&found);
        for (key, (offset, number)) in latest(&self.acknowledged) {
            let (at, last) = there[&key];
            let is_later = at > offset && self.unanswered.contains(&last);
            assert!(
                (at, last) == (offset, number) || is_later,
                "{key}: {number} at {offset} was acknowledged last, {last} at {at} is there"
            );
        }
        found.len()
    }
}

fn key_of(number: u64) -> String {
    format!("key {}", number % KEYS)
}

fn create_latest(client: &mut Client) {
    let configs = [
        ("cleanup.policy", "compact"),
        ("min.cleanable.dirty.ratio", "0"),
    ];
    assert_eq!(create(client, LATEST, &configs), ErrorCode::NONE);
}

#[test]
fn a_running_server_compacts_by_itself() {
    let server = Server::start(&COMPACTING);
    let mut client = server.client();
    create_latest(&mut client);
    let mut written = Written::default();
    let began = Instant::now();
    // What is newest is left as it is, so that there must be more to come.
    while written.check(&mut client) + 4 * KEYS as usize > written.acknowledged.len() {
        assert!(began.elapsed() < PATIENCE, "nothing is compacted");
        written.write(&mut client, KEYS);
    }
    assert!(server.metric("kafka_log_compacted_records") >= 4.0 * KEYS as f64);
    let (status, _, folder) = server.terminate();
    assert!(status.success());
    let server = Server::start_in(folder, &COMPACTING);
    written.check(&mut server.client());
}

#[test]
fn killed_while_compacting_nothing_that_is_latest_is_gone() {
    let mut written = Written::default();
    let (mut folder, mut compacted) = (folder(), 0);
    let mut seed = u64::from(std::process::id());
    for round in 0..=KILLS {
        let server = Server::start_in(folder, &COMPACTING);
        let mut client = server.client();
        if round == 0 {
            create_latest(&mut client);
        }
        let there = written.check(&mut client);
        compacted += usize::from(there + KEYS as usize <= written.acknowledged.len());
        if round == KILLS {
            assert!(compacted > 1, "too little is compacted to tell");
            let (status, ..) = server.terminate();
            assert!(status.success());
            return;
        }
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let run = Duration::from_millis(100 + (seed >> 33) % 500);
        eprintln!("round {round}: {there} records, killed after {run:?}");
        folder = std::thread::scope(|scope| {
            let writing = scope.spawn(|| written.write(&mut client, u64::MAX / 2));
            std::thread::sleep(run);
            let folder = server.kill();
            writing.join().expect("a writer");
            folder
        });
    }
}
