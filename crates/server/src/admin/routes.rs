//! What the admin listener answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fletch_table::{TableError, Tables, TopicStatus};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, ORIGIN};
use hyper::{Method, Request, Response, StatusCode};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::users;
use crate::broker::Broker;
use crate::dead_letters::{DeadLettersError, Filter, Page, Replayer, as_json};
use crate::web::{Answer, Caller, unauthorized};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The content type that Prometheus expects of its text format.
const PROMETHEUS: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

const NOTHING_HERE: &str = "there is nothing here; there are GET /metrics, /healthz, /readyz, /topics, \
                            /dead-letters/{topic}, /dead-letters/{topic}/{offset} and /users, POST \
                            /topics/{topic}/flush and /dead-letters/{topic}/replay, and PUT and \
                            DELETE /users/{name}";

/// How long a flush is waited for; it goes on all the same.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(60);

/// What the admin listener knows.
pub(crate) struct Admin {
    pub(crate) broker: Arc<Broker>,
    pub(crate) recorder: &'static PrometheusHandle,
    pub(crate) tables: Option<Tables>,
    /// Sends dead letters again.
    pub(crate) replayer: Arc<Replayer>,
    /// Set when the server begins to stop.
    pub(crate) stopping: AtomicBool,
}

impl Admin {
    pub(super) async fn answer(&self, request: Request<Incoming>, caller: Caller) -> Answer {
        // A page in somebody's browser is not that somebody: programs don't say where they come from.
        if *request.method() != Method::GET && request.headers().contains_key(ORIGIN) {
            return problem(StatusCode::FORBIDDEN, "pages in browsers may not do this");
        }
        let uri = request.uri().clone();
        let path: Vec<_> = uri.path().split('/').skip(1).collect();
        let is_probe = matches!(path.as_slice(), ["healthz" | "readyz"]);
        if caller == Caller::Stranger && !is_probe {
            return unauthorized();
        }
        let users = &self.broker.authenticator.users;
        match (request.method(), path.as_slice()) {
            (&Method::GET, ["metrics"]) => self.metrics(),
            (&Method::GET, ["healthz"]) => self.health(caller != Caller::Stranger),
            (&Method::GET, ["readyz"]) => self.readiness(caller != Caller::Stranger),
            (_, ["metrics" | "healthz" | "readyz"]) => wrong_method("GET"),
            _ if !self.may(&caller) => problem(
                StatusCode::FORBIDDEN,
                "the user may not do this: see acl.super_users",
            ),
            (&Method::GET, ["topics"]) => self.topics(),
            (&Method::POST, ["topics", topic, "flush"]) => self.flush(topic).await,
            (&Method::GET, ["dead-letters", topic]) => {
                answered(self.dead_letters(topic, uri.query()).await)
            }
            (&Method::POST, ["dead-letters", topic, "replay"]) => {
                answered(self.replay(topic, uri.query()).await)
            }
            (_, ["dead-letters", _, "replay"]) => wrong_method("POST"),
            (&Method::GET, ["dead-letters", topic, offset]) => {
                answered(self.dead_letter(topic, offset).await)
            }
            (&Method::GET, ["users"]) => respond_json(StatusCode::OK, &users::list(users)),
            (&Method::PUT, ["users", name]) => {
                let patience = self.broker.config.http.request_timeout_ms;
                let patience = Duration::from_millis(patience);
                told(users::put(users, name, request.into_body(), patience).await)
            }
            (&Method::DELETE, ["users", name]) => told(users::remove(users, name).await),
            (_, ["users"]) => wrong_method("GET"),
            (_, ["users", _]) => wrong_method("PUT, DELETE"),
            (_, ["dead-letters", ..]) => wrong_method("GET"),
            (_, ["topics"]) => wrong_method("GET"),
            (_, ["topics", _, "flush"]) => wrong_method("POST"),
            _ => problem(StatusCode::NOT_FOUND, NOTHING_HERE),
        }
    }

    /// Whether somebody may look at what is told to operators, and change things.
    fn may(&self, caller: &Caller) -> bool {
        match caller {
            Caller::Anyone => true,
            Caller::Stranger => false,
            Caller::User(principal) => self.broker.acls.is_super_user(principal),
        }
    }

    fn metrics(&self) -> Answer {
        self.recorder.run_upkeep();
        respond(StatusCode::OK, PROMETHEUS, self.recorder.render())
    }

    /// Whether the process can still do its work: 503 means that only a restart helps.
    fn health(&self, in_full: bool) -> Answer {
        match self.broker.store.failure() {
            None => respond_json(StatusCode::OK, &json!({"status": "ok"})),
            Some(_) if !in_full => respond_json(
                StatusCode::SERVICE_UNAVAILABLE,
                &json!({"status": "failed"}),
            ),
            Some(failure) => respond_json(
                StatusCode::SERVICE_UNAVAILABLE,
                &json!({"status": "failed", "log": failure.to_string()}),
            ),
        }
    }

    /// Whether clients should be sent here, and what is behind.
    fn readiness(&self, in_full: bool) -> Answer {
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
        let short = if ready {
            "ready"
        } else if stopping {
            "stopping"
        } else {
            "failed"
        };
        // Who isn't known isn't told the names of topics.
        if !in_full {
            return respond_json(status, &json!({"status": short}));
        }
        let tables = self.tables.as_ref().map(Tables::status).unwrap_or_default();
        let troubled = tables
            .iter()
            .filter_map(|table| Some((&table.topic, table.error.as_ref()?)));
        let waiting = tables
            .iter()
            .filter_map(|table| Some((&table.topic, table.registry.as_ref()?)));
        let body = json!({
            "status": short,
            "log": failure.unwrap_or_else(|| "ok".to_owned()),
            "topics": self.broker.store.topics().len(),
            // A table that is behind doesn't keep clients away: its records are in the log.
            "tables": {
                "lag_records": tables.iter().map(|table| table.lag_records).sum::<u64>(),
                "lag_ms": tables.iter().map(|table| table.lag_ms).max().unwrap_or(0),
                "errors": troubled.map(|(topic, error)| json!({"topic": topic, "error": error})).collect::<Vec<_>>(),
                "wait_for_registry": waiting.map(|(topic, why)| json!({"topic": topic, "why": why})).collect::<Vec<_>>(),
            },
        });
        respond_json(status, &body)
    }

    fn topics(&self) -> Answer {
        let store = &self.broker.store;
        let tables = self.tables.as_ref().map(Tables::status).unwrap_or_default();
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
                "table": tables.iter().find(|table| table.topic_id == topic.id).map(table),
            })
        };
        respond_json(
            StatusCode::OK,
            &Value::Array(store.topics().iter().map(topic).collect()),
        )
    }

    /// Commits to the table what is acknowledged; answers when it is there.
    async fn flush(&self, topic: &str) -> Answer {
        let Some(tables) = &self.tables else {
            return problem(
                StatusCode::CONFLICT,
                "there are no tables: table.enabled is false",
            );
        };
        match timeout(FLUSH_TIMEOUT, tables.flush(topic)).await {
            Ok(Ok(())) => respond_json(
                StatusCode::OK,
                &json!({"topic": topic, "status": "committed"}),
            ),
            Ok(Err(error @ TableError::UnknownTopic(_))) => {
                problem(StatusCode::NOT_FOUND, &error.to_string())
            }
            Ok(Err(error)) => problem(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
            Err(_) => problem(
                StatusCode::GATEWAY_TIMEOUT,
                "the table is not up to date yet; ask again",
            ),
        }
    }

    /// A page of a topic's dead letters.
    async fn dead_letters(
        &self,
        topic: &str,
        query: Option<&str>,
    ) -> Result<Value, DeadLettersError> {
        let filter = Filter::parse(query)?;
        let page = Page::read(&self.broker.store, topic, &filter).await?;
        let offsets: Vec<_> = page.letters.iter().map(|letter| letter.offset).collect();
        let replayed = self.replayer.replayed(topic, &offsets);
        let letters = page.letters.iter().zip(replayed);
        let letters = letters.map(|(letter, replayed)| as_json(letter, replayed));
        Ok(json!({
            "topic": page.topic,
            "dead_letters": letters.collect::<Vec<_>>(),
            "next_offset": page.next_offset,
        }))
    }

    /// One dead letter.
    async fn dead_letter(&self, topic: &str, offset: &str) -> Result<Value, DeadLettersError> {
        let offset = offset
            .parse()
            .map_err(|_| DeadLettersError::Query(format!("{offset:?} is no offset")))?;
        let letter = Page::one(&self.broker.store, topic, offset).await?;
        let replayed = self.replayer.replayed(topic, &[offset]);
        Ok(as_json(&letter, replayed.first() == Some(&true)))
    }

    /// Sends dead letters again. What was begun is finished though the caller has gone: a record on
    /// its way to the log would be looked for in vain.
    async fn replay(&self, topic: &str, query: Option<&str>) -> Result<Value, DeadLettersError> {
        let filter = Filter::parse(query)?;
        let (replayer, topic) = (Arc::clone(&self.replayer), topic.to_owned());
        let sending = tokio::spawn(async move { replayer.replay(&topic, &filter).await });
        let told = sending
            .await
            .map_err(|error| DeadLettersError::Log(error.to_string()))??;
        serde_json::to_value(told).map_err(|error| DeadLettersError::Log(error.to_string()))
    }
}

fn told(told: users::Told) -> Answer {
    match told {
        Ok(body) => respond_json(StatusCode::OK, &body),
        Err((status, words)) => problem(status, &words),
    }
}

fn answered(answer: Result<Value, DeadLettersError>) -> Answer {
    match answer {
        Ok(body) => respond_json(StatusCode::OK, &body),
        Err(error) => {
            let status = match &error {
                DeadLettersError::NoTopic(_) | DeadLettersError::NoOffset(_) => {
                    StatusCode::NOT_FOUND
                }
                DeadLettersError::Query(_) => StatusCode::BAD_REQUEST,
                DeadLettersError::Log(_) => StatusCode::SERVICE_UNAVAILABLE,
            };
            problem(status, &error.to_string())
        }
    }
}

fn table(status: &TopicStatus) -> Value {
    json!({
        "lag_records": status.lag_records,
        "lag_ms": status.lag_ms,
        "files": status.files,
        "commits": status.commits,
        "dead_letters": status.dead_letters,
        "error": status.error,
        "waits_for_registry": status.registry,
    })
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
