//! What a client may send at most, where no other test asks.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use fletch_wire::ErrorCode;
use fletch_wire::messages::ApiVersionsRequest;
use fletch_wire::records::{BatchBuilder, Compression};
use support::{PATIENCE, Server, batch, fetch_request, start_ms};

#[test]
fn a_batch_has_no_more_records_than_it_may() {
    let server = Server::start(&["--kafka-batch-records-max=3"]);
    let mut client = server.client();
    client.metadata("orders");
    assert_eq!(
        client.produce("orders", batch(&["a"; 3])).error_code,
        ErrorCode::NONE
    );
    let refused = client.produce("orders", batch(&["a"; 4]));
    assert_eq!(refused.error_code, ErrorCode::MESSAGE_TOO_LARGE);
}

const CODECS: [Compression; 2] = [Compression::None, Compression::Zstd];

/// A record's value, and how many headers it has.
type Record<'a> = (&'a [u8], usize);

/// A batch of such records.
fn batch_of(codec: Compression, records: &[Record<'_>]) -> Bytes {
    let header: (&[u8], Option<&[u8]>) = (b"name", Some(b"value"));
    let mut builder = BatchBuilder::new(codec);
    for (value, headers) in records {
        let headers = vec![header; *headers];
        let appended = builder.append(start_ms(), None, Some(value), &headers);
        appended.expect("a record");
    }
    builder.finish().expect("a batch").into_bytes()
}

/// That of two records in a batch the second may be as large as a limit says and no larger; with it the batch is
/// refused, and it is named.
fn assert_bounded(key: &str, limit: usize, error: ErrorCode, most: Record<'_>, more: Record<'_>) {
    let flag = format!("--{}={limit}", key.replace(['.', '_'], "-"));
    let server = Server::start(&[&flag]);
    let mut client = server.client();
    client.metadata("orders");
    for codec in CODECS {
        let answer = client.produce("orders", batch_of(codec, &[most, most]));
        assert_eq!(answer.error_code, ErrorCode::NONE);
        let refused = client.produce("orders", batch_of(codec, &[most, more]));
        assert_eq!(refused.error_code, error);
        let blamed = refused.record_errors.iter();
        let blamed = blamed.map(|blamed| blamed.batch_index).collect::<Vec<_>>();
        assert_eq!(blamed, [1]);
        let message = refused.error_message.unwrap_or_default();
        assert!(message.contains(key), "{message}");
    }
    assert_eq!(client.values("orders", 0).len(), 4);
}

#[test]
fn a_record_has_no_more_headers_than_it_may() {
    let key = "kafka.record_headers_max";
    assert_bounded(key, 2, ErrorCode::INVALID_RECORD, (b"a", 2), (b"b", 3));
}

#[test]
fn a_record_is_no_larger_than_it_may_be() {
    let key = "kafka.record_bytes_max";
    // Two bytes each of the record's length and its value's; attributes, two deltas, the key's length, and the
    // count of headers.
    let most = vec![b'x'; 2000 - 2 - 2 - 5];
    let more = vec![b'x'; most.len() + 1];
    let error = ErrorCode::MESSAGE_TOO_LARGE;
    assert_bounded(key, 2000, error, (&most, 0), (&more, 0));
}

#[test]
fn a_batch_is_no_larger_than_it_may_be() {
    let server = Server::start(&["--kafka-batch-bytes-max=2000"]);
    let mut client = server.client();
    client.metadata("orders");
    let overhead = batch_of(Compression::None, &[(&[b'x'; 1500], 0)]).len() - 1500;
    let most = batch_of(Compression::None, &[(&vec![b'x'; 2000 - overhead], 0)]);
    assert_eq!(most.len(), 2000);
    assert_eq!(client.produce("orders", most).error_code, ErrorCode::NONE);
    let more = batch_of(Compression::None, &[(&vec![b'x'; 2001 - overhead], 0)]);
    let refused = client.produce("orders", more);
    assert_eq!(refused.error_code, ErrorCode::MESSAGE_TOO_LARGE);
}

#[test]
fn a_batch_decompresses_to_no_more_than_it_may() {
    let server = Server::start(&["--kafka-decompressed-bytes-max=2000"]);
    let mut client = server.client();
    client.metadata("orders");
    for codec in CODECS {
        // As above: a record of 2000 bytes.
        let most = client.produce("orders", batch_of(codec, &[(&[b'x'; 1991], 0)]));
        assert_eq!(most.error_code, ErrorCode::NONE);
        let refused = client.produce("orders", batch_of(codec, &[(&[b'x'; 1992], 0)]));
        assert_eq!(refused.error_code, ErrorCode::MESSAGE_TOO_LARGE);
    }
}

/// While a request is being answered, so many more are read, and the others when there is room.
#[test]
fn no_more_requests_are_in_flight_than_may_be() {
    const REQUESTS: usize = 40;
    const BYTES: usize = 30_000;
    let server = Server::start(&["--kafka-requests-in-flight-max=4"]);
    let mut client = server.client();
    client.metadata("orders");
    let before = server.metric("kafka_request_bytes");
    client.send(&fetch_request("orders", 0, 3_000), 4);
    let asking = std::thread::spawn(move || {
        let request = ApiVersionsRequest {
            client_software_name: "x".repeat(BYTES).into(),
            client_software_version: "1".into(),
            ..Default::default()
        };
        for _ in 0..REQUESTS {
            client.send(&request, 3);
        }
        client
    });
    std::thread::sleep(Duration::from_millis(1_500));
    let read = (server.metric("kafka_request_bytes") - before) as usize;
    // Those that wait, the one that would, and the one that is arriving.
    assert!((4 * BYTES..7 * BYTES).contains(&read), "{read}");
    let mut client = asking.join().expect("all of it is sent");
    for _ in 0..=REQUESTS {
        client.receive();
    }
}

/// Asks for something and leaves the connection open.
fn ask(address: SocketAddr, path: &str, filler: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).expect("an HTTP listener");
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nX-Filler: {filler}\r\n\r\n");
    // Who is refused early isn't read to the end.
    let _ = socket.write_all(request.as_bytes());
    socket
}

/// The first line of what is answered; none if nothing is in this time, or the connection is closed.
fn status(socket: &mut TcpStream, time: Duration) -> Option<String> {
    socket.set_read_timeout(Some(time)).expect("a timeout");
    let mut answer = [0; 64];
    let read = socket.read(&mut answer).ok().filter(|read| *read > 0)?;
    let text = String::from_utf8_lossy(&answer[..read]).into_owned();
    text.lines().next().map(str::to_owned)
}

const OK: Option<&str> = Some("HTTP/1.1 200 OK");

#[test]
fn http_connections_beyond_the_limit_wait_for_a_place() {
    let server = Server::start(&["--http-connections-max=2", "--registry-connections-max=2"]);
    for (address, path) in [(server.http, "/healthz"), (server.registry, "/subjects")] {
        let mut open = [ask(address, path, ""), ask(address, path, "")];
        for socket in &mut open {
            assert_eq!(status(socket, PATIENCE).as_deref(), OK);
        }
        let mut waiting = ask(address, path, "");
        assert_eq!(status(&mut waiting, Duration::from_millis(500)), None);
        let [first, _second] = open;
        drop(first);
        assert_eq!(status(&mut waiting, PATIENCE).as_deref(), OK);
    }
}

/// A connection that says nothing doesn't keep its place.
#[test]
fn a_silent_http_connection_loses_its_place() {
    let server = Server::start(&["--http-connections-max=1", "--http-request-timeout-ms=500"]);
    let _silent = TcpStream::connect(server.http).expect("an HTTP listener");
    let mut waiting = ask(server.http, "/healthz", "");
    assert_eq!(status(&mut waiting, PATIENCE).as_deref(), OK);
}

/// Nor does one that asks and asks, and never reads.
#[test]
fn an_http_connection_that_reads_no_answers_loses_its_place() {
    let server = Server::start(&[
        "--http-connections-max=1",
        "--http-request-timeout-ms=500",
        "--registry-connections-max=1",
        "--registry-request-timeout-ms=500",
    ]);
    for (address, path) in [(server.http, "/healthz"), (server.registry, "/subjects")] {
        let mut greedy = TcpStream::connect(address).expect("an HTTP listener");
        let timeout = Some(Duration::from_millis(200));
        greedy.set_write_timeout(timeout).expect("a timeout");
        let requests = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").repeat(1_000);
        while greedy.write_all(requests.as_bytes()).is_ok() {}
        let mut waiting = ask(address, path, "");
        assert_eq!(status(&mut waiting, PATIENCE).as_deref(), OK);
        drop(greedy);
    }
}

#[test]
fn a_body_does_not_take_longer_than_it_may() {
    let server = Server::start(&[
        "--http-request-timeout-ms=500",
        "--registry-request-timeout-ms=500",
    ]);
    for (address, asked) in [
        (server.http, "PUT /users/anna"),
        (server.registry, "POST /subjects/a/versions"),
    ] {
        let mut socket = TcpStream::connect(address).expect("an HTTP listener");
        let head = format!("{asked} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{{");
        socket.write_all(head.as_bytes()).expect("it is sent");
        let told = status(&mut socket, PATIENCE).expect("an answer");
        assert!(told.contains(" 408 "), "{told}");
    }
}

#[test]
fn http_headers_are_no_larger_than_they_may_be() {
    let of = |http: usize, registry: usize, flags: &[&str]| {
        let server = Server::start(flags);
        let listeners = [
            (server.http, "/healthz", http),
            (server.registry, "/subjects", registry),
        ];
        (server, listeners)
    };
    let flags = [
        "--http-header-bytes-max=30000",
        "--registry-header-bytes-max=20000",
    ];
    let servers = [of(16 << 10, 64 << 10, &[]), of(30_000, 20_000, &flags)];
    for (address, path, bytes_max) in servers.iter().flat_map(|(_, listeners)| *listeners) {
        let mut most = ask(address, path, &"x".repeat(bytes_max - 512));
        assert_eq!(status(&mut most, PATIENCE).as_deref(), OK);
        // What came with the last bytes within the limit is read, too.
        let mut large = ask(address, path, &"x".repeat(3 * bytes_max));
        let told = status(&mut large, PATIENCE);
        assert!(told.is_none_or(|told| told.contains(" 431 ")));
    }
}

#[test]
fn a_schema_is_no_larger_than_it_may_be() {
    let server = Server::start(&["--registry-request-bytes-max=2000"]);
    let register = |subject: &str, bytes: usize| {
        let shortest = r#"{"schema":"\"int\""}"#;
        let body = format!("{shortest}{}", " ".repeat(bytes - shortest.len()));
        server.registry("POST", &format!("/subjects/{subject}/versions"), &body)
    };
    assert!(register("most", 2000)["id"].is_u64());
    assert_eq!(register("more", 2001)["error_code"], 413);
    let subjects = server.registry("GET", "/subjects", "");
    assert_eq!(subjects, serde_json::json!(["most"]));
}
