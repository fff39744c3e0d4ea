//! Stopping: what is under way is finished, what is acknowledged is there, and it takes no longer
//! than it must.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fletch_wire::ErrorCode;
use support::{Client, Server, batch, fetch_request, produce_request};

#[test]
fn requests_under_way_are_answered_before_it_stops() {
    let server = Server::start(&[]);
    let (mut producer, mut poller) = (server.client(), server.client());
    producer.metadata("t");
    poller.send(&fetch_request("t", 0, 60_000), 12);
    assert!(poller.is_silent(Duration::from_millis(100)));
    for _ in 0..20 {
        producer.send(&produce_request("t", -1, batch(&["x"])), 9);
    }
    producer.receive();
    let stopping = std::thread::spawn(move || server.terminate());
    // What it has begun by then is done and answered; nothing else is done.
    let mut answered = 1;
    while answered < 20
        && let Ok(answer) = producer.try_receive()
    {
        let fletch_wire::ResponseBody::Produce(answer) = answer else {
            panic!("not Produce")
        };
        assert_eq!(
            answer.responses[0].partition_responses[0].error_code,
            ErrorCode::NONE
        );
        answered += 1;
    }
    // A long poll ends with what there is.
    poller.receive();
    assert!(producer.is_closed() && poller.is_closed());
    let (status, took, folder) = stopping.join().unwrap();
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(!folder.path().join("data/addresses.json").exists());
    let server = Server::start_in(folder, &[]);
    assert_eq!(server.client().values("t", 0).len(), answered);
}

#[test]
fn it_stops_under_load_and_loses_nothing_that_it_acknowledged() {
    let server = Server::start(&[]);
    server.client().metadata("t");
    let address = server.kafka;
    let done = AtomicBool::new(false);
    let acknowledged = std::thread::scope(|scope| {
        let produce = || {
            let mut client = Client::connect(address);
            let mut acknowledged = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let bytes = fletch_wire::encode_request(
                    &fletch_wire::RequestHeader::new(fletch_wire::ApiKey::PRODUCE, 9, 1),
                    &produce_request("t", -1, batch(&["x"])),
                )
                .unwrap()
                .into_bytes();
                let Ok(frame) = client.write(&bytes).and_then(|()| client.read_frame()) else {
                    break;
                };
                let (_, body) = fletch_wire::decode_response(
                    frame,
                    fletch_wire::ApiKey::PRODUCE,
                    9,
                    &fletch_wire::Limits::default(),
                )
                .unwrap();
                let fletch_wire::ResponseBody::Produce(answer) = body else {
                    panic!("not Produce")
                };
                let answer = &answer.responses[0].partition_responses[0];
                if answer.error_code.is_none() {
                    acknowledged.push(answer.base_offset);
                }
            }
            acknowledged
        };
        let producers: Vec<_> = (0..4).map(|_| scope.spawn(produce)).collect();
        std::thread::sleep(Duration::from_millis(300));
        let (status, _, folder) = server.terminate();
        done.store(true, Ordering::Relaxed);
        assert!(status.success(), "{status}");
        let mut all: Vec<i64> = producers
            .into_iter()
            .flat_map(|producer| producer.join().unwrap())
            .collect();
        all.sort_unstable();
        (all, folder)
    });
    let (acknowledged, folder) = acknowledged;
    assert!(acknowledged.len() > 10, "{}", acknowledged.len());
    let server = Server::start_in(folder, &[]);
    let offsets: Vec<_> = server
        .client()
        .values("t", 0)
        .into_iter()
        .map(|(offset, _)| offset)
        .collect();
    assert_eq!(offsets, (0..offsets.len() as i64).collect::<Vec<_>>());
    assert!(
        acknowledged
            .iter()
            .all(|offset| offsets.binary_search(offset).is_ok())
    );
}

#[test]
fn health_pages_say_how_it_is() {
    let server = Server::start(&[]);
    for page in ["/healthz", "/readyz", "/topics", "/metrics"] {
        let (status, body) = server.get(page);
        assert_eq!(status, "HTTP/1.1 200 OK", "{page}: {body}");
    }
    assert!(server.get("/readyz").1.contains(r#""status":"ready""#));
    assert_eq!(server.get("/nothing").0, "HTTP/1.1 404 Not Found");
    server.client().metadata("t");
    assert!(server.get("/topics").1.contains(r#""name":"t""#));
}

#[test]
fn every_metric_is_described() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.metadata("t");
    client.produce("t", batch(&["x"]));
    let (_, page) = server.get("/metrics");
    for line in page
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let name = line.split(['{', ' ']).next().unwrap();
        let base = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end))
            .unwrap_or(name);
        assert!(
            page.contains(&format!("# HELP {base} ")),
            "{base} has no description"
        );
    }
    for promised in [
        "kafka_messages_received",
        "kafka_bytes_processed",
        "kafka_batch_size",
    ] {
        assert!(page.contains(&format!("# TYPE {promised} ")), "{promised}");
    }
}
