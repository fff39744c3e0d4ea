//! Killed at any moment of a loaded run, and started again: what was acknowledged is there once, at
//! its offset, in the log and in the table.

#[path = "support/committed.rs"]
mod committed;
mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fletch_wire::messages::{InitProducerIdRequest, ProduceRequest, ProduceResponse};
use fletch_wire::records::{BatchBuilder, Compression};
use fletch_wire::{
    ApiKey, ErrorCode, Limits, RequestHeader, ResponseBody, decode_response, encode_request,
};
use support::{Client, Server, folder, framed, start_ms};

const TOPIC: &str = "orders";
const PRODUCERS: u64 = 3;
const ROUNDS: u32 = 15;
const IN_FLIGHT_MAX: usize = 5;

/// What was acknowledged: the value at each offset.
type Acknowledged = BTreeMap<i64, String>;

fn unframed(value: &[u8]) -> String {
    String::from_utf8(value[6..].to_vec()).expect("UTF-8")
}

/// Produces with several requests in flight until the server is gone; answers what was acknowledged.
fn produce(address: SocketAddr, schema: u32, next: &AtomicU64) -> Acknowledged {
    let mut client = Client::connect(address);
    let id = client.call(&InitProducerIdRequest::default(), 4);
    let (mut sequence, mut acknowledged) = (0, Acknowledged::new());
    let mut in_flight = std::collections::VecDeque::new();
    loop {
        while in_flight.len() < IN_FLIGHT_MAX {
            let first = next.fetch_add(3, Ordering::Relaxed);
            let texts: Vec<_> = (first..first + 3)
                .map(|number| format!("order {number}"))
                .collect();
            let mut builder = BatchBuilder::new(Compression::Lz4).producer(
                id.producer_id,
                id.producer_epoch,
                sequence,
            );
            for text in &texts {
                builder
                    .append(start_ms(), None, Some(&framed(schema, text)), &[])
                    .expect("a record");
            }
            let batch = builder.finish().expect("a batch").into_bytes();
            let request: ProduceRequest = support::produce_request(TOPIC, -1, batch);
            let header = RequestHeader::new(ApiKey::PRODUCE, 9, sequence);
            let frame = encode_request(&header, &request)
                .expect("a request")
                .into_bytes();
            if client.write(&frame).is_err() {
                return acknowledged;
            }
            in_flight.push_back(texts);
            sequence += 3;
        }
        let Ok(frame) = client.read_frame() else {
            return acknowledged;
        };
        let answer = decode_response(frame, ApiKey::PRODUCE, 9, &Limits::default())
            .expect("an answer")
            .1;
        let ResponseBody::Produce(ProduceResponse { responses, .. }) = answer else {
            panic!("not Produce")
        };
        let answer = &responses[0].partition_responses[0];
        assert_eq!(answer.error_code, ErrorCode::NONE, "{answer:?}");
        let texts = in_flight.pop_front().expect("a question");
        acknowledged.extend((answer.base_offset..).zip(texts));
    }
}

/// Everything that was ever acknowledged is there, at its offset, and nothing is there twice.
fn check_log(server: &Server, acknowledged: &Acknowledged) -> BTreeMap<i64, String> {
    let stored = server.client().values(TOPIC, 0);
    let offsets: Vec<_> = stored.iter().map(|(offset, _)| *offset).collect();
    assert_eq!(
        offsets,
        (0..offsets.len() as i64).collect::<Vec<_>>(),
        "offsets without a gap"
    );
    let stored: BTreeMap<i64, String> = stored
        .into_iter()
        .map(|(offset, value)| (offset, unframed(&value)))
        .collect();
    for (offset, text) in acknowledged {
        assert_eq!(
            stored.get(offset),
            Some(text),
            "acknowledged at offset {offset}"
        );
    }
    let mut texts: Vec<_> = stored.values().collect();
    texts.sort_unstable();
    let all = texts.len();
    texts.dedup();
    assert_eq!(texts.len(), all, "nothing is there twice");
    stored
}

#[test]
fn killed_at_any_moment() {
    let next = AtomicU64::new(0);
    let mut acknowledged = Acknowledged::new();
    let mut folder = folder();
    // Commits often, so that the end comes in the middle of them, too.
    let flags = ["--table-commit-interval-ms=20"];
    // A seed of the day: other moments each time, told when it fails.
    let mut seed = u64::from(std::process::id());
    for round in 0..ROUNDS {
        let server = Server::start_in(folder, &flags);
        server.client().metadata(TOPIC);
        let schema = server.register(TOPIC);
        check_log(&server, &acknowledged);
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let run = Duration::from_millis(20 + (seed >> 33) % 400);
        eprintln!("round {round}: killed after {run:?}");
        let address = server.kafka;
        folder = std::thread::scope(|scope| {
            let producers: Vec<_> = (0..PRODUCERS)
                .map(|_| scope.spawn(|| produce(address, schema, &next)))
                .collect();
            std::thread::sleep(run);
            let folder = server.kill();
            for producer in producers {
                acknowledged.extend(producer.join().expect("a producer"));
            }
            folder
        });
    }
    assert!(
        acknowledged.len() > 1000,
        "{} records are too few to tell",
        acknowledged.len()
    );
    let server = Server::start_in(folder, &flags);
    let stored = check_log(&server, &acknowledged);
    let (status, _, folder) = server.terminate();
    assert!(status.success(), "{status}");
    let rows = committed::rows(&folder.path().join("data"), TOPIC);
    let committed: Vec<_> = rows
        .into_iter()
        .map(|row| (row.offset, row.value))
        .collect();
    assert_eq!(
        committed,
        stored.into_iter().collect::<Vec<_>>(),
        "the table is the log, each record once"
    );
}
