//! Fetch 0 to 3 and ListOffsets 0, as consumers of before record batches send them.

mod support;
#[path = "support/transactional.rs"]
mod transactional;

use bytes::Bytes;
use fletch_wire::messages::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use fletch_wire::messages::{FetchRequest, FetchResponse, ListOffsetsRequest};
use fletch_wire::records::{BatchBuilder, Compression, legacy};
use fletch_wire::{ErrorCode, Limits};
use support::{Client, Server, batch, batch_with, decode, fetch_request, start_ms};
use transactional::Producer;

fn records(answer: &FetchResponse) -> Bytes {
    let data = &answer.responses[0].partitions[0];
    data.records.clone().unwrap_or_default().to_bytes()
}

/// Offset, magic byte, timestamp and value of every message, the wrapped ones too.
fn messages(set: Bytes) -> Vec<(i64, i8, i64, String)> {
    let mut found = Vec::new();
    for message in legacy::messages(set) {
        let message = message.expect("a message");
        let codec = message.attributes.compression().expect("a codec");
        let value = message.value.unwrap_or_default();
        if codec == Compression::None {
            let value = String::from_utf8(value.to_vec()).expect("text");
            found.push((message.offset, message.magic, message.timestamp, value));
            continue;
        }
        let wrapped = codec
            .decompress(&value, &Limits::default())
            .expect("a set that is wrapped");
        let within = messages(wrapped);
        let last = within.last().expect("a message").0;
        let shift = if message.magic == 1 {
            message.offset - last
        } else {
            0
        };
        found.extend(
            within
                .into_iter()
                .map(|one| (one.0 + shift, one.1, one.2, one.3)),
        );
    }
    found
}

fn fetch(client: &mut Client, topic: &str, offset: i64, version: i16) -> FetchResponse {
    client.call(&fetch_request(topic, offset, 0), version)
}

#[test]
fn message_sets_hold_what_batches_do() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.metadata("t");
    client.produce("t", batch(&["a", "b"]));
    for (codec, values) in [
        (Compression::Gzip, ["c", "d"]),
        (Compression::Snappy, ["e", "f"]),
        (Compression::Lz4, ["g", "h"]),
    ] {
        client.produce("t", batch_with(BatchBuilder::new(codec), &values));
    }
    let all = ["a", "b", "c", "d", "e", "f", "g", "h"];
    for version in 0..4 {
        let magic = i8::from(version >= 2);
        for first in 0..8 {
            let answer = fetch(&mut client, "t", first, version);
            assert_eq!(answer.responses[0].partitions[0].high_watermark, 8);
            let found = messages(records(&answer));
            // A compressed message comes whole, a plain one alone.
            let from = if first < 2 { first } else { first - first % 2 };
            let expected: Vec<_> = (from..8)
                .map(|offset| {
                    let timestamp = if magic == 1 {
                        start_ms() + offset % 2
                    } else {
                        -1
                    };
                    let value = all[usize::try_from(offset).expect("small")].to_owned();
                    (offset, magic, timestamp, value)
                })
                .collect();
            assert_eq!(found, expected, "version {version} from {first}");
        }
        assert!(records(&fetch(&mut client, "t", 8, version)).is_empty());
        let error = fetch(&mut client, "t", 9, version).responses[0].partitions[0].error_code;
        assert_eq!(error, ErrorCode::OFFSET_OUT_OF_RANGE);
        // One message is always answered, and no more than there is room for.
        let mut request = fetch_request("t", 2, 0);
        request.topics[0].partitions[0].partition_max_bytes = 10;
        assert_eq!(messages(records(&client.call(&request, version))).len(), 2);
    }
    // Each partition gets some of its own: these consumers always ask in one order.
    client.metadata("u");
    client.produce("u", batch(&["x"]));
    let mut request: FetchRequest = fetch_request("t", 0, 0);
    request.topics.extend(fetch_request("u", 0, 0).topics);
    for topic in &mut request.topics {
        topic.partitions[0].partition_max_bytes = 10;
    }
    for (version, others) in [(0, 1), (2, 1), (3, 0)] {
        let answer = client.call(&request, version);
        let found = answer.responses[1].partitions[0].records.clone();
        let found = messages(found.unwrap_or_default().to_bytes());
        assert_eq!(found.len(), others, "version {version}");
    }
}

#[test]
fn zstd_is_not_sent_to_who_cannot_read_it() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.metadata("t");
    client.produce("t", batch(&["a"]));
    client.produce(
        "t",
        batch_with(BatchBuilder::new(Compression::Zstd), &["b"]),
    );
    client.produce("t", batch(&["c"]));
    for version in 0..10 {
        let answer = fetch(&mut client, "t", 0, version);
        let count = match version {
            ..4 => messages(records(&answer)).len(),
            _ => decode(&records(&answer).into()).len(),
        };
        assert_eq!(count, 1, "version {version}");
        let data = fetch(&mut client, "t", 1, version)
            .responses
            .remove(0)
            .partitions
            .remove(0);
        assert_eq!(data.error_code, ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
        let answer = fetch(&mut client, "t", 2, version);
        assert!(!records(&answer).is_empty(), "version {version}");
    }
    let answer = fetch(&mut client, "t", 0, 10);
    assert_eq!(decode(&records(&answer).into()).len(), 3);
}

/// Old formats have no markers: behind them a consumer finds what comes next.
#[test]
fn markers_are_passed_over() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.metadata("t");
    let mut producer = Producer::start(server.kafka, "old");
    for (value, committed) in [("a", true), ("b", false), ("c", true)] {
        assert_eq!(producer.add("t").expect("an answer"), ErrorCode::NONE);
        producer
            .produce("t", value.as_bytes())
            .expect("an answer")
            .expect("an offset");
        assert_eq!(producer.end(committed).expect("an answer"), ErrorCode::NONE);
    }
    // a, marker, b, marker, c, marker: who knows no transactions reads what was aborted, too.
    for version in 0..4 {
        for (from, expected) in [
            (0, vec![0, 2, 4]),
            (1, vec![2, 4]),
            (4, vec![4]),
            (5, vec![]),
        ] {
            let answer = fetch(&mut client, "t", from, version);
            let found = messages(records(&answer));
            let found: Vec<i64> = found.into_iter().map(|message| message.0).collect();
            assert_eq!(found, expected, "version {version}");
        }
        // A marker alone takes up all of the room.
        let mut request = fetch_request("t", 1, 0);
        request.topics[0].partitions[0].partition_max_bytes = 10;
        let found = messages(records(&client.call(&request, version)));
        assert_eq!(found[0].0, 2, "version {version}");
    }
}

#[test]
fn list_offsets_answers_where_to_begin() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.metadata("t");
    let ask = |client: &mut Client, topic: &str, timestamp, max_num_offsets| {
        let partition = ListOffsetsPartition {
            timestamp,
            max_num_offsets,
            ..Default::default()
        };
        let topic = ListOffsetsTopic {
            name: topic.into(),
            partitions: vec![partition],
            ..Default::default()
        };
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: vec![topic],
            ..Default::default()
        };
        let answer = client.call(&request, 0);
        let found = &answer.topics[0].partitions[0];
        (found.error_code, found.old_style_offsets.clone())
    };
    let none = ErrorCode::NONE;
    assert_eq!(ask(&mut client, "t", -1, 5), (none, vec![0]));
    client.produce("t", batch(&["a", "b", "c"]));
    assert_eq!(ask(&mut client, "t", -1, 1), (none, vec![3]));
    assert_eq!(ask(&mut client, "t", -1, 5), (none, vec![3, 0]));
    assert_eq!(ask(&mut client, "t", -2, 5), (none, vec![0]));
    assert_eq!(ask(&mut client, "t", start_ms() + 1, 5), (none, vec![1, 0]));
    assert_eq!(ask(&mut client, "t", start_ms() + 9, 1), (none, vec![3]));
    assert_eq!(ask(&mut client, "t", -1, -3), (none, vec![]));
    let lost = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    assert_eq!(ask(&mut client, "nowhere", -1, 1), (lost, vec![]));
}
