//! What the admin listener answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Value, json};

use crate::broker::Broker;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The content type that Prometheus expects of its text format.
const PROMETHEUS: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// What the admin listener knows.
pub(crate) struct Admin {
    pub(crate) broker: Arc<Broker>,
    pub(crate) recorder: &'static PrometheusHandle,
    /// Set when the server begins to stop.
    pub(crate) stopping: AtomicBool,
}

type Answer = Response<Full<Bytes>>;

impl Admin {
    pub(super) async fn answer(&self, request: &Request<Incoming>) -> Answer {
        let path: Vec<_> = request.uri().path().split('/').skip(1).collect();
        match (request.method(), path.as_slice()) {
            (&Method::GET, ["metrics"]) => self.metrics(),
            (&Method::GET, ["healthz"]) => self.health(),
            (&Method::GET, ["readyz"]) => self.readiness(),
            (&Method::GET, ["topics"]) => self.topics(),
            (_, ["metrics" | "healthz" | "readyz" | "topics"]) => wrong_method("GET"),
            _ => problem(
                StatusCode::NOT_FOUND,
                "there is nothing here; there are /metrics, /healthz, /readyz, /topics",
            ),
        }
    }

    fn metrics(&self) -> Answer {
        self.recorder.run_upkeep();
        respond(StatusCode::OK, PROMETHEUS, self.recorder.render())
    }

    /// Whether the process can still do its work: 503 means that only a restart helps.
    fn health(&self) -> Answer {
        match self.broker.store.failure() {
            None => respond_json(StatusCode::OK, &json!({"status": "ok"})),
            Some(failure) => respond_json(
                StatusCode::SERVICE_UNAVAILABLE,
                &json!({"status": "failed", "log": failure.to_string()}),
            ),
        }
    }

    /// Whether clients should be sent here.
    fn readiness(&self) -> Answer {
        let stopping = self.stopping.load(Ordering::Relaxed);
        let failure = self
            .broker
            .store
            .failure()
            .map(|failure| failure.to_string());
        let ready = !stopping && failure.is_none();
        let status = if ready {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        let body = json!({
            "status": if ready { "ready" } else if stopping { "stopping" } else { "failed" },
            "log": failure.unwrap_or_else(|| "ok".to_owned()),
            "topics": self.broker.store.topics().len(),
        });
        respond_json(status, &body)
    }

    fn topics(&self) -> Answer {
        let store = &self.broker.store;
        let topic = |topic: &Arc<fletch_store::Topic>| {
            let partition = |index| {
                let marks = store.watermarks(topic.id, index);
                json!({
                    "partition": index,
                    "log_start_offset": marks.as_ref().map(|marks| marks.log_start),
                    "next_offset": marks.as_ref().map(|marks| marks.high),
                })
            };
            json!({
                "name": topic.name,
                "id": topic.id.to_string(),
                "configs": topic.configs,
                "partitions": (0..topic.partitions).map(partition).collect::<Vec<_>>(),
            })
        };
        respond_json(
            StatusCode::OK,
            &Value::Array(store.topics().iter().map(topic).collect()),
        )
    }
}

fn wrong_method(allowed: &'static str) -> Answer {
    let mut answer = problem(
        StatusCode::METHOD_NOT_ALLOWED,
        "the method is not allowed here",
    );
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

fn problem(status: StatusCode, words: &str) -> Answer {
    respond_json(status, &json!({"error": words}))
}

fn respond_json(status: StatusCode, body: &Value) -> Answer {
    respond(status, JSON, format!("{body}\n"))
}

fn respond(status: StatusCode, content_type: HeaderValue, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    answer
}
