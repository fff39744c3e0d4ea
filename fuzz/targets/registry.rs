//! Requests to the embedded registry, as many as the input holds: each is answered, with JSON or a
//! schema's text and never with a failure of ours; a schema that is taken is given back by its id,
//! and what is given back is the same schema. A request is a line with method and path, and a body
//! to the next zero byte.

#![no_main]

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use fletch_registry::{Compatibility, Embedded, EmbeddedConfig, MemoryJournal};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime"));

fuzz_target!(|input: &[u8]| {
    RUNTIME.block_on(async {
        let config = EmbeddedConfig {
            compatibility: Compatibility::FullTransitive,
            state_bytes_max: 1 << 20,
            ..EmbeddedConfig::default()
        };
        let journal = Arc::new(MemoryJournal::new());
        let registry = Embedded::open_with(journal.clone(), config).await.expect("it opens");
        for request in input.split(|byte| *byte == 0).take(16) {
            let end = request.iter().position(|byte| *byte == b'\n').unwrap_or(request.len());
            let (line, body) = request.split_at(end);
            let Ok(line) = std::str::from_utf8(line) else { continue };
            let Some((method, path)) = line.split_once(' ') else { continue };
            let body = body.get(1..).unwrap_or_default();
            let Some((status, answer)) = send(&registry, method, path, body).await else { continue };
            assert!(status < 500, "{method} {path}: {}", String::from_utf8_lossy(&answer));
            if status == 200 && method == "POST" {
                taken(&registry, path, body, &answer).await;
            }
        }
        // What was answered for is there again.
        let before = send(&registry, "GET", "/schemas?deleted=true", b"").await;
        let again = Embedded::open(journal).await.expect("it opens again");
        assert_eq!(before, send(&again, "GET", "/schemas?deleted=true", b"").await);
    });
});

/// A schema that was registered is known by its id, and is itself when it comes back.
async fn taken(registry: &Embedded, path: &str, body: &[u8], answer: &[u8]) {
    let (Ok(mut request), Ok(answer)) =
        (serde_json::from_slice::<Value>(body), serde_json::from_slice::<Value>(answer))
    else {
        return;
    };
    let Some(id) = answer["id"].as_u64() else { return };
    let known = registry.schema(id as u32).expect("an id that was given is known");
    request["schema"] = json!(known.text);
    let again = send(registry, "POST", path, request.to_string().as_bytes()).await;
    let (status, again) = again.expect("it was a request before");
    let again: Value = serde_json::from_slice(&again).expect("JSON");
    assert_eq!((status, again["id"].as_u64()), (200, Some(id)), "{again}");
}

async fn send(
    registry: &Embedded,
    method: &str,
    path: &str,
    body: &[u8],
) -> Option<(u16, Bytes)> {
    let body = Full::new(Bytes::copy_from_slice(body));
    let request = Request::builder().method(method).uri(path).body(body).ok()?;
    let response = registry.handle(request).await;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.ok()?.to_bytes();
    let text = path.contains("/schema");
    assert!(text || serde_json::from_slice::<Value>(&body).is_ok(), "{method} {path}");
    Some((status, body))
}
