//! The embedded registry's state: what is answered for is kept, whatever fails.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use common::{Served, avro, raw, record};
use fletch_registry::{
    Compatibility, Embedded, EmbeddedConfig, Journal, JournalError, MemoryJournal, OpenError,
};
use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A journal that fails when told to: before or after the fact is written.
#[derive(Default)]
struct Failing {
    inner: MemoryJournal,
    puts: AtomicUsize,
    fail: AtomicBool,
    written_all_the_same: AtomicBool,
}

impl Journal for Failing {
    fn put(&self, key: String, value: Option<Bytes>) -> BoxFuture<'_, Result<(), JournalError>> {
        Box::pin(async move {
            self.puts.fetch_add(1, Ordering::Relaxed);
            let fails = self.fail.load(Ordering::Relaxed);
            if !fails || self.written_all_the_same.load(Ordering::Relaxed) {
                self.inner.put(key, value).await?;
            }
            if fails {
                Err("the disk is gone".into())
            } else {
                Ok(())
            }
        })
    }

    fn load(&self) -> BoxFuture<'_, Result<Vec<(String, Bytes)>, JournalError>> {
        self.inner.load()
    }
}

#[tokio::test]
async fn opened_again_it_is_the_same() {
    let journal = Arc::new(MemoryJournal::new());
    let a = record(r#"{"name":"a","type":"int"}"#);
    let before = {
        let served = Served::with(journal.clone(), EmbeddedConfig::default()).await;
        served.register("t", &a).await;
        served.register("t", &record("")).await;
        served.register("gone", "\"bytes\"").await;
        served.delete("/subjects/t/versions/1").await.ok();
        served.delete("/subjects/gone").await.ok();
        served.delete("/subjects/gone?permanent=true").await.ok();
        served
            .put("/config", &json!({"compatibility": "FULL_TRANSITIVE"}))
            .await
            .ok();
        served
            .put("/mode/u", &json!({"mode": "READONLY"}))
            .await
            .ok();
        let outer = json!({"schema": r#"{"type":"array","items":"R"}"#,
            "references": [{"name": "R", "subject": "t", "version": 2}]});
        served.post("/subjects/outer/versions", &outer).await.ok();
        look(&served).await
    };
    let served = Served::with(journal, EmbeddedConfig::default()).await;
    assert_eq!(look(&served).await, before);
    assert_eq!(served.registry.schema(3).unwrap().text, "\"bytes\"");
    assert_eq!(served.registry.schema(4).unwrap().references.len(), 1);
    assert_eq!(served.register("v", "\"string\"").await, 5);
}

async fn look(served: &Served) -> Vec<String> {
    let mut seen = Vec::new();
    for path in [
        "/schemas?deleted=true",
        "/subjects?deleted=true",
        "/subjects/t/versions?deletedOnly=true",
        "/config",
        "/mode/u",
        "/schemas/ids/1",
        "/schemas/ids/3",
        "/schemas/ids/4",
    ] {
        seen.push(served.get_extended(path).await.body);
    }
    seen
}

#[tokio::test]
async fn what_cannot_be_written_did_not_happen() {
    let journal = Arc::new(Failing::default());
    let served = Served::with(journal.clone(), EmbeddedConfig::default()).await;
    served.register("t", "\"int\"").await;
    for written in [false, true] {
        journal
            .written_all_the_same
            .store(written, Ordering::Relaxed);
        journal.fail.store(true, Ordering::Relaxed);
        let refused = served
            .post("/subjects/u/versions", &avro("\"string\""))
            .await;
        assert_eq!(refused.error(), (500, 50001));
        assert_eq!(served.delete("/subjects/t").await.error(), (500, 50001));
        assert_eq!(
            served
                .put("/mode", &json!({"mode": "READONLY"}))
                .await
                .error(),
            (500, 50001)
        );
        assert_eq!(served.get("/subjects").await.ok(), json!(["t"]));
        assert_eq!(served.get("/schemas/ids/2").await.error(), (404, 40403));
        assert_eq!(served.get("/mode").await.ok(), json!({"mode": "READWRITE"}));
        journal.fail.store(false, Ordering::Relaxed);
    }
    // The id that may have been written with one schema is given to no other; the schema has it.
    assert_eq!(served.register("v", "\"bytes\"").await, 3);
    assert_eq!(served.register("u", "\"string\"").await, 2);
    let again = Served::with(journal.clone(), EmbeddedConfig::default()).await;
    assert_eq!(
        again.get("/schemas/ids/2").await.ok(),
        json!({"schema": "\"string\""})
    );
    assert_eq!(
        again.get("/schemas/ids/3").await.ok(),
        json!({"schema": "\"bytes\""})
    );
}

#[tokio::test]
async fn registering_again_writes_nothing() {
    let journal = Arc::new(Failing::default());
    let served = Served::with(journal.clone(), EmbeddedConfig::default()).await;
    served.register("t", "\"int\"").await;
    let puts = journal.puts.load(Ordering::Relaxed);
    journal.fail.store(true, Ordering::Relaxed);
    assert_eq!(served.register("t", "\"int\"").await, 1);
    assert_eq!(journal.puts.load(Ordering::Relaxed), puts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_at_once_agree() {
    let served = Arc::new(Served::start().await);
    served
        .put("/config", &json!({"compatibility": "NONE"}))
        .await
        .ok();
    let mut tasks = Vec::new();
    for writer in 0..64 {
        let served = served.clone();
        tasks.push(tokio::spawn(async move {
            let schema = record(&format!(r#"{{"name":"f{}","type":"int"}}"#, writer % 8));
            let subject = format!("s{}", writer % 2);
            (writer % 8, served.register(&subject, &schema).await)
        }));
    }
    let mut ids = std::collections::BTreeMap::new();
    for task in tasks {
        let (schema, id) = task.await.unwrap();
        assert_eq!(*ids.entry(schema).or_insert(id), id);
    }
    let mut given: Vec<_> = ids.values().copied().collect();
    given.sort_unstable();
    assert_eq!(given, (1..=8).collect::<Vec<_>>());
    assert_eq!(
        served.get("/subjects/s0/versions").await.ok(),
        json!([1, 2, 3, 4])
    );
}

#[tokio::test]
async fn a_journal_of_something_else_is_not_opened() {
    for (key, value) in [
        ("table/7", "{}"),
        ("schema/x", "{}"),
        ("schema/1", "7"),
        ("global", "["),
    ] {
        let journal = MemoryJournal::new();
        journal
            .put(key.to_owned(), Some(Bytes::from(value)))
            .await
            .unwrap();
        let error = Embedded::open(Arc::new(journal)).await.unwrap_err();
        assert!(
            matches!(&error, OpenError::Fact { key: found, .. } if found == key),
            "{error}"
        );
    }
}

#[tokio::test]
async fn limits_hold() {
    let config = EmbeddedConfig {
        compatibility: Compatibility::None,
        request_bytes_max: 2_000,
        state_bytes_max: 4_000,
        versions_max: 3,
        request_timeout: Duration::from_millis(300),
        ..EmbeddedConfig::default()
    };
    let served = Served::with(Arc::new(MemoryJournal::new()), config).await;
    let large = json!({"schema": "\"int\"", "metadata": {"x": "x".repeat(2_000)}});
    assert_eq!(
        served.post("/subjects/t/versions", &large).await.error(),
        (413, 413)
    );
    for kind in ["int", "long", "float"] {
        served.register("t", &format!("\"{kind}\"")).await;
    }
    let fourth = served
        .post("/subjects/t/versions", &avro("\"double\""))
        .await;
    assert_eq!(fourth.error(), (422, 42209));
    let mut full = None;
    for at in 0..10 {
        let long =
            json!({"schema": "\"int\"", "metadata": {"properties": {"x": "x".repeat(1_000 + at)}}});
        let answer = served
            .post(&format!("/subjects/u{at}/versions"), &long)
            .await;
        if answer.status != 200 {
            full = Some(answer);
            break;
        }
    }
    assert_eq!(full.expect("it is never full").error(), (422, 42209));
    let mut small = 0;
    loop {
        let path = format!("/subjects/v{small}/versions");
        match served.post(&path, &avro("\"int\"")).await.status {
            200 => small += 1,
            status => break assert_eq!(status, 422),
        }
    }
    // Full to the last, it can still be tidied up.
    served.delete("/subjects/t").await.ok();
    served.delete("/subjects/t?permanent=true").await.ok();
    served.register("w", "\"int\"").await;

    // A body that never comes.
    let request = b"POST /subjects/t/versions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{";
    let late = raw(served.address, request).await;
    assert_eq!(late.error(), (408, 408));
    // A head that never ends.
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut bytes)).await;
    assert!(read.is_ok(), "the connection is still open");
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let config = EmbeddedConfig {
        connections_max: 1,
        request_timeout: Duration::from_millis(500),
        ..EmbeddedConfig::default()
    };
    let served = Served::with(Arc::new(MemoryJournal::new()), config).await;
    let idle = TcpStream::connect(served.address).await.unwrap();
    let started = std::time::Instant::now();
    assert_eq!(served.get("/subjects").await.ok(), json!([]));
    assert!(
        started.elapsed() >= Duration::from_millis(300),
        "{:?}",
        started.elapsed()
    );
    drop(idle);
}

#[tokio::test]
async fn shut_down_lets_a_request_finish() {
    let mut served = Served::start().await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let body = avro("\"int\"").to_string();
    let head = format!(
        "POST /subjects/t/versions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    served.begin_stop();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(
        TcpStream::connect(served.address).await.is_err(),
        "it still listens"
    );
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("{\"id\":1}"),
        "{answer}"
    );
    served.stopped().await;
}
