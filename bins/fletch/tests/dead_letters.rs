//! Records that were refused: listed, shown, and sent again, each once, whatever happens.

mod support;

use std::collections::BTreeMap;
use std::process::Output;
use std::time::{Duration, Instant};

use fletch_wire::records::{BatchBuilder, Compression};
use serde_json::Value;
use support::{PATIENCE, Server, fletch, folder, framed, start_ms};

const TOPIC: &str = "orders";
const KEY: &[u8] = b"key \xff\x00";
const HEADERS: [(&[u8], Option<&[u8]>); 3] = [
    (b"trace", Some(b"abc")),
    (b"trace", None),
    (b"fletch.reason", Some(b"not ours")),
];

/// A value that names a schema and doesn't fit it: a text that ends too early.
fn broken(schema: u32, number: usize) -> Vec<u8> {
    let mut value = framed(schema, &format!("{number:06}"));
    value[5] = 40 << 1;
    value
}

fn batch(values: &[Vec<u8>]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::Lz4);
    for value in values {
        builder
            .append_with(start_ms(), Some(KEY), Some(value), HEADERS.into_iter())
            .unwrap();
    }
    builder.finish().unwrap().into_bytes().to_vec()
}

/// Runs `fletch dead-letters …` where the server's data is.
fn run(server: &Server, arguments: &[&str]) -> Output {
    let data = server.data();
    let folder = data.parent().expect("a folder");
    let mut command = fletch(folder);
    command.arg("dead-letters").args(arguments);
    command.output().expect("the fletch binary")
}

fn lines(output: &Output) -> Vec<String> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    text.lines().map(str::to_owned).collect()
}

fn letters(server: &Server, arguments: &[&str]) -> Vec<Value> {
    let all = [&["list", TOPIC, "--json"], arguments].concat();
    let found = lines(&run(server, &all));
    found
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Waits until the topic has so many dead letters.
fn wait_for(server: &Server, count: usize) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        server.post("/topics/orders/flush");
        let (status, _) = server.get("/dead-letters/orders");
        if status.contains("200") {
            let found = letters(server, &[]);
            if found.len() >= count {
                return found;
            }
        }
        assert!(begun.elapsed() < 3 * PATIENCE, "{count} dead letters");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn listed_shown_and_sent_again() {
    let server = Server::start(&["--table-commit-interval-ms=50"]);
    let mut client = server.client();
    client.metadata(TOPIC);
    assert_eq!(
        server.get("/dead-letters/orders").0,
        "HTTP/1.1 404 Not Found"
    );
    let schema = server.register(TOPIC);
    client.produce(TOPIC, batch(&[broken(schema, 1), framed(schema, "fine")]));
    client.produce(TOPIC, batch(&[broken(schema, 2)]));
    let found = wait_for(&server, 2);
    let (first, second) = (&found[0], &found[1]);
    assert_eq!(
        (&first["reason"], &first["replayed"], &first["schema_id"]),
        (&"invalid_value".into(), &false.into(), &schema.into())
    );
    let source = &second["source"];
    assert_eq!(
        (&source["topic"], &source["partition"], &source["offset"]),
        (&TOPIC.into(), &0.into(), &2.into())
    );
    assert_eq!(first["timestamp"], start_ms());
    // Its own headers only, though one has the name of ours.
    let headers: Vec<_> = first["headers"].as_array().unwrap().iter().collect();
    assert_eq!(headers.len(), 3, "{first}");
    assert_eq!(headers[0]["value"]["text"], "abc");
    assert_eq!(headers[1]["value"], Value::Null);
    assert_eq!(headers[2]["key"]["text"], "fletch.reason");
    assert!(first["key"]["base64"].is_string(), "{first}");

    let shown = lines(&run(&server, &["show", TOPIC, "1"]));
    assert!(shown[0].contains("orders-0@2\tinvalid_value"), "{shown:?}");
    assert!(shown.contains(&"header trace: abc".to_owned()), "{shown:?}");
    assert!(!run(&server, &["show", TOPIC, "9"]).status.success());
    assert!(!run(&server, &["list", "none"]).status.success());
    // Filters.
    let count = |arguments: &[&str]| letters(&server, arguments).len();
    assert_eq!(count(&["--limit", "1"]), 1);
    assert_eq!(count(&["--from-offset", "1"]), 1);
    assert_eq!(count(&["--to-offset", "1"]), 1);
    assert_eq!(count(&["--reason", "unknown_schema"]), 0);
    assert_eq!(
        count(&["--reason", "unknown_schema", "--reason", "invalid_value"]),
        2
    );
    // The records are an hour old.
    assert_eq!(count(&["--since", "30m"]), 0);
    assert_eq!(count(&["--since", "2h"]), 2);
    assert_eq!(count(&["--until", "30m"]), 2);
    assert!(
        !run(&server, &["list", TOPIC, "--since", "soon"])
            .status
            .success()
    );

    // Sent again, it fails again, and is a new dead letter, which may be sent again in turn.
    let told = lines(&run(&server, &["replay", TOPIC, "--to-offset", "1"]));
    assert_eq!(told, ["1 replayed, 0 had been before, 0 skipped"]);
    let found = wait_for(&server, 3);
    assert_eq!(
        (&found[0]["replayed"], &found[1]["replayed"]),
        (&true.into(), &false.into())
    );
    let again = &found[2];
    for same in ["key", "value", "timestamp", "reason"] {
        assert_eq!(again[same], first[same], "{same}");
    }
    let marked = again["headers"].as_array().unwrap();
    assert_eq!(&marked[..3], first["headers"].as_array().unwrap());
    assert_eq!(
        (marked.len(), &marked[3]["key"]["text"]),
        (4, &"fletch.replayed-from".into())
    );
    assert_eq!(again["source"]["offset"], 3);

    let told = lines(&run(&server, &["replay", TOPIC, "--to-offset", "2"]));
    assert_eq!(told, ["1 replayed, 1 had been before, 0 skipped"]);
    let told = lines(&run(
        &server,
        &["replay", TOPIC, "--from-offset", "2", "--to-offset", "3"],
    ));
    assert_eq!(told, ["1 replayed, 0 had been before, 0 skipped"]);
    let found = wait_for(&server, 5);
    // The mark was replaced, not added to.
    assert_eq!(found[4]["headers"].as_array().unwrap().len(), 4);
    assert_eq!(
        server.post("/dead-letters/none/replay").0,
        "HTTP/1.1 404 Not Found"
    );
    assert_eq!(
        server.get("/dead-letters/orders/replay").0,
        "HTTP/1.1 405 Method Not Allowed"
    );
    assert_eq!(
        server.get("/dead-letters/orders?limit=0").0,
        "HTTP/1.1 400 Bad Request"
    );
}

/// Killed again and again while thousands are sent again: each is there twice in the end, as it was
/// sent first and as it was sent again.
#[test]
fn a_crash_sends_nothing_twice() {
    const LETTERS: usize = 3_000;
    let server = Server::start(&["--table-commit-interval-ms=50"]);
    let mut client = server.client();
    client.metadata(TOPIC);
    let schema = server.register(TOPIC);
    let values: Vec<_> = (0..LETTERS).map(|number| broken(schema, number)).collect();
    for some in values.chunks(500) {
        client.produce(TOPIC, batch(some));
    }
    wait_for(&server, LETTERS);
    drop(client);
    let mut folder = server.kill();
    // Without tables, what is sent again makes no more dead letters.
    let flags = ["--table-enabled=false"];
    let mut seed = u64::from(std::process::id()) | 1;
    let mut broken_off = 0;
    let server = loop {
        let server = Server::start_in(folder, &flags);
        if broken_off == 12 {
            break server;
        }
        // Connected before the clock runs: a busy machine may start the thread after the kill.
        let mut socket = std::net::TcpStream::connect(server.http).unwrap();
        let asking = std::thread::spawn(move || {
            use std::io::{Read, Write};
            let path = "/dead-letters/orders/replay?limit=700";
            let _ = write!(
                socket,
                "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            );
            let _ = socket.read_to_end(&mut Vec::new());
        });
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        std::thread::sleep(Duration::from_micros(seed % 12_000));
        folder = server.kill();
        asking.join().unwrap();
        broken_off += 1;
    };
    let told = lines(&run(&server, &["replay", TOPIC]));
    assert!(told[0].ends_with(", 0 skipped"), "{told:?}");
    let told = lines(&run(&server, &["replay", TOPIC]));
    assert_eq!(
        told,
        [format!("0 replayed, {LETTERS} had been before, 0 skipped")]
    );
    let mut counts: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for (_, value) in server.client().values(TOPIC, 0) {
        *counts.entry(value).or_default() += 1;
    }
    assert_eq!(counts.len(), LETTERS);
    let wrong: Vec<_> = counts.iter().filter(|(_, count)| **count != 2).collect();
    assert!(
        wrong.is_empty(),
        "{} of {LETTERS}, seed {seed}: {:?}",
        wrong.len(),
        wrong.first()
    );
}

/// `fletch registry import`, from one server to another.
#[test]
fn a_registry_is_copied() {
    let from = Server::start(&["--table-enabled=false"]);
    from.register("before");
    let to = Server::start(&["--table-enabled=false"]);
    let import = || {
        let data = to.data();
        let mut command = fletch(data.parent().expect("a folder"));
        let url = format!("http://{}", from.registry);
        command
            .args(["registry", "import", "--from", &url])
            .output()
            .unwrap()
    };
    let first = import();
    assert!(first.status.success(), "{first:?}");
    let text = String::from_utf8(first.stdout).unwrap();
    assert!(
        text.starts_with("1 subjects: 1 versions copied, 0 were there already"),
        "{text}"
    );
    assert_eq!(to.register("before"), from.register("before"));
    let again = String::from_utf8(import().stdout).unwrap();
    assert!(
        again.starts_with("1 subjects: 0 versions copied, 1 were there already"),
        "{again}"
    );
    let nobody = fletch(folder().path())
        .args([
            "registry",
            "import",
            "--from",
            "http://127.0.0.1:1",
            "--server",
            "127.0.0.1:1",
        ])
        .output()
        .unwrap();
    assert_eq!(nobody.status.code(), Some(1), "{nobody:?}");
}
