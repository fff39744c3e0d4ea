//! A registry on a socket, and a client that shows what is on the wire.
#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod fake;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use fletch_registry::{Embedded, EmbeddedConfig, Journal, MemoryJournal, serve};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const V1: &str = "application/vnd.schemaregistry.v1+json";

/// An answer as it came.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The status, and the error code of the body.
    pub(crate) fn error(&self) -> (u16, i64) {
        let json = self.json();
        assert!(json["message"].is_string(), "{self:?}");
        assert_eq!(json.as_object().map(|json| json.len()), Some(2), "{self:?}");
        (self.status, json["error_code"].as_i64().unwrap_or_default())
    }

    /// The body of a success.
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()
    }
}

/// A registry that is being served.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) registry: Embedded,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Served {
    pub(crate) async fn start() -> Served {
        Served::with(Arc::new(MemoryJournal::new()), EmbeddedConfig::default()).await
    }

    pub(crate) async fn with(journal: Arc<dyn Journal>, config: EmbeddedConfig) -> Served {
        let registry = Embedded::open_with(journal, config).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(serve(listener, registry.clone(), async {
            let _ = stopped.await;
        }));
        Served {
            address,
            registry,
            stop: Some(stop),
            task,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn begin_stop(&mut self) {
        self.stop = None;
    }

    pub(crate) async fn stopped(self) {
        drop(self.stop);
        self.task.await.unwrap();
    }

    pub(crate) async fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: registry\r\nconnection: close\r\n{headers}\
             content-length: {length}\r\n\r\n{body}"
        );
        raw(self.address, request.as_bytes()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "", "").await
    }

    pub(crate) async fn get_extended(&self, path: &str) -> Answer {
        self.send(
            "GET",
            path,
            "Confluent-Accept-Unknown-Properties: true\r\n",
            "",
        )
        .await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, "", "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        let headers = format!("content-type: {V1}\r\n");
        self.send("POST", path, &headers, &body.to_string()).await
    }

    pub(crate) async fn post_extended(&self, path: &str, body: &Value) -> Answer {
        let headers =
            format!("content-type: {V1}\r\nConfluent-Accept-Unknown-Properties: true\r\n");
        self.send("POST", path, &headers, &body.to_string()).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        let headers = format!("content-type: {V1}\r\n");
        self.send("PUT", path, &headers, &body.to_string()).await
    }

    /// Registers an Avro schema, and gives its id.
    pub(crate) async fn register(&self, subject: &str, schema: &str) -> u64 {
        let path = format!("/subjects/{subject}/versions");
        let answer = self.post(&path, &avro(schema)).await;
        answer.ok()["id"].as_u64().unwrap()
    }
}

pub(crate) fn avro(schema: &str) -> Value {
    json!({"schema": schema})
}

/// A record type `R` with these fields.
pub(crate) fn record(fields: &str) -> String {
    format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#)
}

/// Sends bytes and reads one answer to its end.
pub(crate) async fn raw(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The other side may answer and close before it has read everything.
    let _ = stream.write_all(request).await;
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers
        .map(|(key, value)| (key.to_lowercase(), value.to_owned()))
        .collect();
    Answer {
        status,
        headers,
        body: body.to_owned(),
    }
}
