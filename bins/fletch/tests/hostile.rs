//! Bad input, slow input, no input: the server stays up, its memory flat, and honest clients served.

mod support;

use std::io::Write;
use std::time::{Duration, Instant};

use fletch_wire::messages::{ApiVersionsRequest, FetchRequest, MetadataRequest, Request};
use fletch_wire::records::{BatchBuilder, Compression, patch};
use fletch_wire::{ErrorCode, RequestHeader, encode_request};
use support::{Client, Server, batch, fetch_request, produce_request};

/// What the process may grow by while it is attacked.
const GROWTH_KIB_MAX: u64 = 48 << 10;

/// A small generator of noise, the same at every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}

/// An honest client is served, and the memory is where it was.
fn assert_well(server: &Server, before_kib: u64) {
    let mut client = server.client();
    client.metadata("honest");
    assert_eq!(
        client.produce("honest", batch(&["x"])).error_code,
        ErrorCode::NONE
    );
    let after_kib = server.resident_kib();
    assert!(
        after_kib < before_kib + GROWTH_KIB_MAX,
        "{before_kib} KiB grew to {after_kib}"
    );
}

fn encoded<R: Request>(request: &R, version: i16) -> Vec<u8> {
    encode_request(&RequestHeader::new(R::KEY, version, 1), request)
        .unwrap()
        .into_bytes()
        .to_vec()
}

#[test]
fn noise_is_survived() {
    let server = Server::start(&[]);
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    assert_well(&server, u64::MAX / 2);
    let before = server.resident_kib();
    for round in 0..400 {
        let length = (noise.next() % 4000) as usize;
        let mut bytes = noise.bytes(length);
        // Half of them are at least frames, and of those half are requests of a kind that is served.
        if round % 2 == 0 {
            if round % 4 == 0 && length >= 4 {
                bytes[..4].copy_from_slice(&[
                    0,
                    [0, 1, 2, 3, 10, 18, 19, 20, 22, 32, 60][round % 11],
                    0,
                    (round % 12) as u8,
                ]);
            }
            bytes.splice(0..0, (length as u32).to_be_bytes());
        }
        let mut client = server.client();
        let _ = client.write(&bytes);
    }
    assert_well(&server, before);
}

#[test]
fn requests_with_flipped_bits_are_survived() {
    let server = Server::start(&[]);
    server.client().metadata("t");
    let mut noise = Noise(0x1234_5678_9abc_def1);
    let requests = [
        encoded(&produce_request("t", 1, batch(&["a", "b"])), 9),
        encoded(&produce_request("t", 1, batch(&["a", "b"])), 3),
        encoded(&fetch_request("t", 0, 10), 12),
        encoded(&MetadataRequest::default(), 9),
    ];
    let before = server.resident_kib();
    for round in 0..600 {
        let mut bytes = requests[round % requests.len()].clone();
        for _ in 0..1 + noise.next() % 3 {
            // The length stays right: it has a test of its own.
            let at = 4 + (noise.next() as usize) % (bytes.len() - 4);
            bytes[at] ^= 1 << (noise.next() % 8);
        }
        let mut client = server.client();
        let _ = client.write(&bytes);
    }
    assert_well(&server, before);
}

#[test]
fn lengths_out_of_bounds_close_the_connection_at_once() {
    let server = Server::start(&["--kafka-request-bytes-max=100000"]);
    for length in [i32::MAX, 100_001, -1, i32::MIN] {
        let mut client = server.client();
        client.write(&length.to_be_bytes()).unwrap();
        assert!(client.is_closed(), "{length}");
    }
    assert_eq!(
        server.metric(r#"kafka_connections_closed{reason="frame_length"}"#),
        4.0
    );
    // The largest that is allowed is read: it is no request, but that is another reason.
    let mut client = server.client();
    client
        .write(&[&100_000u32.to_be_bytes()[..], &[0xff; 100_000]].concat())
        .unwrap();
    assert!(client.is_closed());
    assert_eq!(
        server.metric(r#"kafka_connections_closed{reason="unknown_request"}"#),
        1.0
    );
}

#[test]
fn frames_that_end_early_hold_nothing() {
    let server = Server::start(&[]);
    assert_well(&server, u64::MAX / 2);
    let before = server.resident_kib();
    // Announced, and not sent: room is made as bytes arrive.
    let mut open: Vec<Client> = Vec::new();
    for _ in 0..200 {
        let mut client = server.client();
        client.write(&(99u32 << 20).to_be_bytes()).unwrap();
        client.write(&[0; 100]).unwrap();
        open.push(client);
    }
    assert_well(&server, before);
    drop(open);
    let request = encoded(&MetadataRequest::default(), 9);
    for end in 1..request.len() {
        let mut client = server.client();
        client.write(&request[..end]).unwrap();
    }
    assert_well(&server, before);
}

#[test]
fn counts_that_lie_are_refused_before_they_are_believed() {
    let server = Server::start(&[]);
    assert_well(&server, u64::MAX / 2);
    let before = server.resident_kib();
    // Metadata version 1: an array of 2^31 - 1 topics, and of 100 million in 100 bytes.
    for count in [i32::MAX, 100_000_000, -2] {
        let header = [
            &3i16.to_be_bytes()[..],
            &1i16.to_be_bytes(),
            &[0, 0, 0, 1, 0xff, 0xff],
        ]
        .concat();
        let body = [&header[..], &count.to_be_bytes(), &[0; 100]].concat();
        let mut client = server.client();
        client
            .write(&[&(body.len() as u32).to_be_bytes()[..], &body].concat())
            .unwrap();
        assert!(client.is_closed(), "{count}");
    }
    assert_well(&server, before);
}

#[test]
fn bombs_are_refused_and_cost_little() {
    let server = Server::start(&["--kafka-decompressed-bytes-max=16000000"]);
    let mut client = server.client();
    client.metadata("t");
    let zeros = vec![0u8; 200 << 20];
    for codec in [
        Compression::Gzip,
        Compression::Zstd,
        Compression::Lz4,
        Compression::Snappy,
    ] {
        let mut builder = BatchBuilder::new(codec);
        builder
            .append(support::start_ms(), None, Some(&zeros), &[])
            .unwrap();
        let bomb = builder.finish().unwrap().into_bytes();
        // Snappy doesn't get there within a batch's size, and is refused for that.
        let expected = ErrorCode::MESSAGE_TOO_LARGE;
        let mut explode = |times| {
            for _ in 0..times {
                assert_eq!(
                    client.produce("t", bomb.clone()).error_code,
                    expected,
                    "{codec:?}, {} bytes",
                    bomb.len()
                );
            }
            server.resident_kib()
        };
        // The first few show what the limit costs; more of them cost no more.
        let before = explode(4);
        let after = explode(20);
        assert!(
            after < before + GROWTH_KIB_MAX,
            "{codec:?}: {before} KiB grew to {after}"
        );
    }
    // Many records announced, none there, and a CRC that is right.
    let mut lying = batch(&["x"]).to_vec();
    lying[57..61].copy_from_slice(&i32::MAX.to_be_bytes());
    lying[23..27].copy_from_slice(&(i32::MAX - 1).to_be_bytes());
    patch::crc(&mut lying);
    assert_eq!(
        client.produce("t", lying).error_code,
        ErrorCode::INVALID_RECORD
    );
}

#[test]
fn a_request_that_takes_too_long_closes_its_connection() {
    let server = Server::start(&["--kafka-request-timeout-ms=300"]);
    let request = encoded(&ApiVersionsRequest::default(), 0);
    let mut slow = server.client();
    let began = Instant::now();
    let mut closed_after = None;
    for byte in request.iter().chain([0; 100].iter()) {
        // A byte now and then keeps nobody awake.
        if slow.write(&[*byte]).is_err() || !slow.is_silent(Duration::from_millis(50)) {
            closed_after = Some(began.elapsed());
            break;
        }
    }
    let closed_after = closed_after.expect("a closed connection");
    assert!(closed_after < Duration::from_secs(3), "{closed_after:?}");
    assert_eq!(
        server.metric(r#"kafka_connections_closed{reason="slow_request"}"#),
        1.0
    );
}

#[test]
fn silent_connections_are_closed_and_waiting_ones_are_not() {
    let server = Server::start(&["--kafka-idle-timeout-ms=300"]);
    let (mut silent, mut waiting) = (server.client(), server.client());
    waiting.metadata("t");
    waiting.send(&fetch_request("t", 0, 1500), 12);
    assert!(silent.is_closed());
    let began = Instant::now();
    waiting.receive();
    assert!(began.elapsed() > Duration::from_millis(500));
    assert!(waiting.is_closed());
    assert_eq!(
        server.metric(r#"kafka_connections_closed{reason="idle"}"#),
        2.0
    );
}

#[test]
fn too_many_connections_are_refused_and_places_come_back() {
    let server = Server::start(&["--kafka-connections-max=3"]);
    let mut open: Vec<_> = (0..3).map(|_| server.client()).collect();
    for client in &mut open {
        client.call(&ApiVersionsRequest::default(), 0);
    }
    assert!(server.client().is_closed());
    assert_eq!(server.metric("kafka_connections"), 3.0);
    drop(open.pop());
    let deadline = Instant::now() + support::PATIENCE;
    while server.metric("kafka_connections") > 2.0 {
        assert!(Instant::now() < deadline, "the place does not come back");
    }
    server.client().call(&ApiVersionsRequest::default(), 0);
    assert_eq!(server.metric("kafka_connections_refused"), 1.0);
}

#[test]
fn a_client_that_does_not_read_its_answers_is_closed() {
    let server = Server::start(&["--kafka-write-timeout-ms=500"]);
    let mut producer = server.client();
    producer.metadata("t");
    let value = "x".repeat(900_000);
    for _ in 0..20 {
        producer.produce("t", batch(&[&value]));
    }
    let before = server.resident_kib();
    let request = encoded(
        &FetchRequest {
            max_bytes: 1 << 24,
            ..fetch_all("t")
        },
        12,
    );
    let mut greedy: Vec<_> = (0..8).map(|_| server.client()).collect();
    for client in &mut greedy {
        for _ in 0..20 {
            let _ = client.write(&request);
        }
    }
    let deadline = Instant::now() + support::PATIENCE;
    while server.metric(r#"kafka_connections_closed{reason="slow_reader"}"#) < 8.0 {
        assert!(
            Instant::now() < deadline,
            "they are not closed\n{}",
            server.log()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    // What was read for them is the log's own memory, or given back.
    assert_well(&server, before + (64 << 10));
}

fn fetch_all(topic: &str) -> FetchRequest {
    let mut request = fetch_request(topic, 0, 0);
    request.topics[0].partitions[0].partition_max_bytes = 1 << 24;
    request
}

#[test]
fn what_was_asked_before_the_end_of_stream_is_answered() {
    let server = Server::start(&[]);
    server.client().metadata("t");
    let mut socket = std::net::TcpStream::connect(server.kafka).unwrap();
    socket.set_read_timeout(Some(support::PATIENCE)).unwrap();
    socket
        .write_all(&encoded(&produce_request("t", -1, batch(&["x"])), 9))
        .unwrap();
    socket
        .write_all(&encoded(&fetch_request("t", 1, 60_000), 12))
        .unwrap();
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answers = Vec::new();
    // The long poll is cut short: nobody is there to wait for it.
    std::io::Read::read_to_end(&mut socket, &mut answers).unwrap();
    let first = u32::from_be_bytes(answers[..4].try_into().unwrap()) as usize;
    assert!(answers.len() > 4 + first, "both are answered");
}
