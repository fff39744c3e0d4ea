//! From a Produce request to a committed row, with the registry in the same process and in another.

#[path = "support/committed.rs"]
mod committed;
mod support;

use fletch_wire::records::{BatchBuilder, Compression};
use support::{Server, batch, framed, start_ms};

const TOPIC: &str = "orders";

/// A batch of framed values.
fn orders(schema: u32, texts: &[&str]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::Zstd);
    for text in texts {
        builder
            .append(start_ms(), None, Some(&framed(schema, text)), &[])
            .unwrap();
    }
    builder.finish().unwrap().into_bytes().to_vec()
}

fn values(server: &Server) -> Vec<(i64, String)> {
    committed::rows(&server.data(), TOPIC)
        .into_iter()
        .map(|row| (row.offset, row.value))
        .collect()
}

fn owned(rows: &[(i64, &str)]) -> Vec<(i64, String)> {
    rows.iter()
        .map(|(offset, value)| (*offset, (*value).to_owned()))
        .collect()
}

#[test]
fn a_flush_commits_what_is_acknowledged() {
    // Left to itself it would commit in an hour.
    let server = Server::start(&["--table-commit-interval-ms=3600000"]);
    let mut client = server.client();
    client.metadata(TOPIC);
    let schema = server.register(TOPIC);
    client.produce(TOPIC, orders(schema, &["a", "b"]));
    assert_eq!(server.post("/topics/orders/flush").0, "HTTP/1.1 200 OK");
    assert_eq!(values(&server), owned(&[(0, "a"), (1, "b")]));
    // What is no row is a dead letter, and doesn't stop the rest.
    let cut = format!("\0\0\0\0{}\x0a", char::from(u8::try_from(schema).unwrap()));
    client.produce(TOPIC, batch(&[&cut]));
    client.produce(TOPIC, orders(schema, &["c"]));
    assert_eq!(server.post("/topics/orders/flush").0, "HTTP/1.1 200 OK");
    assert_eq!(values(&server), owned(&[(0, "a"), (1, "b"), (3, "c")]));
    let letters = client.values("orders.dead-letters", 0);
    assert_eq!(letters, [(0, cut.into_bytes())]);
    let (_, topics) = server.get("/topics");
    let topics: serde_json::Value = serde_json::from_str(&topics).unwrap();
    let orders = topics
        .as_array()
        .unwrap()
        .iter()
        .find(|topic| topic["name"] == TOPIC)
        .unwrap();
    assert_eq!(
        (
            &orders["table"]["lag_records"],
            &orders["table"]["dead_letters"]
        ),
        (&0.into(), &1.into())
    );
    assert_eq!(
        server.post("/topics/none/flush").0,
        "HTTP/1.1 404 Not Found"
    );
    assert_eq!(
        server.get("/topics/orders/flush").0,
        "HTTP/1.1 405 Method Not Allowed"
    );
    let (_, metrics) = server.get("/metrics");
    for promised in [
        "kafka_conversion_duration_seconds",
        "kafka_batch_size",
        "kafka_schema_cache_misses",
    ] {
        assert!(
            metrics.contains(&format!("# TYPE {promised} ")),
            "{promised}"
        );
    }
}

#[test]
fn a_stop_commits_what_is_acknowledged() {
    let server = Server::start(&["--table-commit-interval-ms=3600000"]);
    let mut client = server.client();
    client.metadata(TOPIC);
    client.produce(TOPIC, orders(server.register(TOPIC), &["a", "b", "c"]));
    let (status, _, folder) = server.terminate();
    assert!(status.success(), "{status}");
    let rows = committed::rows(&folder.path().join("data"), TOPIC);
    assert_eq!(rows.len(), 3);
}

#[test]
fn schemas_come_from_the_registry_that_is_named() {
    let elsewhere = Server::start(&["--table-enabled=false"]);
    let url = format!("--registry-url=http://{}", elsewhere.registry);
    let server = Server::start(&[&url, "--table-commit-interval-ms=3600000"]);
    let mut client = server.client();
    client.metadata(TOPIC);
    client.produce(TOPIC, orders(elsewhere.register(TOPIC), &["a"]));
    assert_eq!(server.post("/topics/orders/flush").0, "HTTP/1.1 200 OK");
    assert_eq!(values(&server), owned(&[(0, "a")]));
    assert!(server.metric("kafka_schema_cache_misses") >= 1.0);
}
