//! However few files the system allows: connections don't take those that the log and the tables need.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use fletch_wire::messages::ApiVersionsRequest;
use fletch_wire::{ErrorCode, RequestHeader, encode_request};
use support::{Client, PATIENCE, Server, batch};

/// Connects, and says whether a request is answered.
fn is_served(server: &Server) -> Option<TcpStream> {
    let mut socket = TcpStream::connect(server.kafka).ok()?;
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let header = RequestHeader::new(fletch_wire::ApiKey::API_VERSIONS, 0, 1);
    let frame = encode_request(&header, &ApiVersionsRequest::default()).expect("a request");
    socket.write_all(&frame.into_bytes()).ok()?;
    let mut length = [0; 4];
    socket.read_exact(&mut length).ok()?;
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    socket.read_exact(&mut answer).ok()?;
    Some(socket)
}

#[test]
fn the_log_and_the_tables_go_on_where_clients_would_take_every_file() {
    let server = Server::start_under("-n 512", &["--store-segment-bytes=1048576"]);
    let mut client = Client::connect(server.kafka);
    client.metadata("orders");
    let crowd: Vec<_> = (0..700).map_while(|_| is_served(&server)).collect();
    assert!((100..256).contains(&crowd.len()), "{}", crowd.len());
    assert!(server.log().contains("kafka.connections_max is "));

    // Each takes a segment of its own; the table opens files, too.
    for number in 0..20 {
        let value = format!("{number} {}", "x".repeat(900_000));
        assert_eq!(
            client.produce("orders", batch(&[&value])).error_code,
            ErrorCode::NONE
        );
    }
    let (status, answer) = server.post("/topics/orders/flush");
    assert!(status.contains("200"), "{status} {answer}");
    let rows = server.metric("kafka_table_records{topic=\"orders\"}");
    assert_eq!(rows, 20.0);
}

#[test]
fn what_a_shell_allows_by_default_is_raised() {
    let server = Server::start_under("-S -n 128", &[]);
    let crowd: Vec<_> = (0..400).map_while(|_| is_served(&server)).collect();
    assert_eq!(crowd.len(), 400, "{}", server.log());
}
