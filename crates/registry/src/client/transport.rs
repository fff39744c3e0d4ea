//! Requests: one request with its limits, and the rounds over several registries around it.

use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use metrics::histogram;
use url::Url;

use super::config::ClientConfig;
use super::endpoint::Endpoint;
use super::tls;
use crate::error::{Answer, RegistryError};
use crate::rest::{ACCEPT_UNKNOWN, CONTENT_TYPE, ErrorAnswer};

/// Idle connections kept to one registry: lookups are rare, and single-flight bounds their number.
const IDLE_CONNECTIONS_MAX: usize = 4;
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest piece of a registry's message that goes into an error.
const MESSAGE_BYTES_MAX: usize = 1024;

/// A request, as a caller means it.
pub(super) struct Call<'a> {
    /// Names the request in metrics: a fixed word, never something from outside.
    pub(super) operation: &'static str,
    /// What is asked for, for an error: "schema 7".
    pub(super) what: &'a str,
    pub(super) method: Method,
    pub(super) segments: &'a [&'a str],
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) body: Option<Bytes>,
}

/// Why one request to one registry came to nothing.
struct Failure {
    error: FailureKind,
    url: String,
}

enum FailureKind {
    /// May pass: ask another registry, or again.
    Passing {
        reason: String,
        retry_after: Option<Duration>,
    },
    /// This registry answers nonsense: ask another, but not again.
    Invalid(String),
    /// An answer that another registry wouldn't better.
    Final(RegistryError),
}

/// An answer, understood, and where it came from.
#[derive(Debug)]
pub(super) struct Reply<T> {
    pub(super) answer: T,
    pub(super) url: String,
}

pub(super) struct Transport {
    http: HttpClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
    endpoints: Vec<Endpoint>,
    /// The endpoint that answered last; the next request begins there.
    preferred: AtomicUsize,
    config: ClientConfig,
}

impl Transport {
    pub(super) fn new(config: ClientConfig) -> Result<Transport, RegistryError> {
        if config.urls.is_empty() {
            return Err(RegistryError::Configuration("no URL of a registry".into()));
        }
        let endpoints = config
            .urls
            .iter()
            .enumerate()
            .map(|(position, url)| Endpoint::new(position, url, &config.auth))
            .collect::<Result<Vec<_>, _>>()?;

        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(config.connect_timeout));
        let https = endpoints.iter().any(|endpoint| endpoint.https);
        let tls = tls::client_config(&config.tls, https)?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let http = HttpClient::builder(TokioExecutor::new())
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Transport {
            http,
            endpoints,
            preferred: AtomicUsize::new(0),
            config,
        })
    }

    pub(super) fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Sends a request until a registry answers it, as [`Retry`](super::Retry) says.
    ///
    /// `understand` reads a body, or says what is wrong with it: then another registry is asked.
    pub(super) async fn call<T>(
        &self,
        call: &Call<'_>,
        understand: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<Reply<T>, RegistryError> {
        let rounds_max = self.config.retry.rounds_max.max(1);
        let mut attempts = 0;
        let mut round = 0;
        loop {
            let first = self.preferred.load(Ordering::Relaxed);
            let mut passing: Option<(String, String)> = None;
            let mut invalid: Option<(String, String)> = None;
            let mut retry_after: Option<Duration> = None;
            for step in 0..self.endpoints.len() {
                let position = (first + step) % self.endpoints.len();
                let Some(endpoint) = self.endpoints.get(position) else {
                    continue;
                };
                attempts += 1;
                let failure = match self.timed(endpoint, call, &understand).await {
                    Ok(reply) => {
                        self.preferred.store(position, Ordering::Relaxed);
                        return Ok(reply);
                    }
                    Err(failure) => failure,
                };
                match failure.error {
                    FailureKind::Final(error) => {
                        self.preferred.store(position, Ordering::Relaxed);
                        return Err(error);
                    }
                    FailureKind::Passing {
                        reason,
                        retry_after: wanted,
                    } => {
                        tracing::debug!(url = failure.url, %reason, round, "registry unavailable");
                        retry_after = retry_after.max(wanted);
                        passing = Some((failure.url, reason));
                    }
                    FailureKind::Invalid(reason) => {
                        tracing::warn!(url = failure.url, %reason, "registry answer unusable");
                        invalid = Some((failure.url, reason));
                    }
                }
            }

            round += 1;
            match (passing, invalid) {
                (Some(_), _) if round < rounds_max => {}
                (Some((url, reason)), _) => {
                    return Err(RegistryError::Unavailable {
                        attempts,
                        url,
                        reason,
                    });
                }
                (None, Some((url, reason))) => return Err(RegistryError::Invalid { url, reason }),
                (None, None) => {
                    return Err(RegistryError::Configuration("no URL of a registry".into()));
                }
            }
            tokio::time::sleep(self.wait(round, retry_after)).await;
        }
    }

    /// How long to wait after `round` rounds: full jitter under a doubling bound.
    fn wait(&self, round: u32, retry_after: Option<Duration>) -> Duration {
        let retry = &self.config.retry;
        let doubled = 2u32.saturating_pow(round.saturating_sub(1));
        let bound = retry
            .backoff_min
            .saturating_mul(doubled)
            .min(retry.backoff_max);
        // A new hasher is seeded at random: enough to spread clients out, without a generator.
        let share = RandomState::new().hash_one(round) as f64 / u64::MAX as f64;
        let jittered = bound.mul_f64(share.clamp(0.0, 1.0));
        jittered.max(retry_after.unwrap_or_default().min(retry.backoff_max))
    }

    /// One request to one registry, within the time for one, measured.
    async fn timed<T>(
        &self,
        endpoint: &Endpoint,
        call: &Call<'_>,
        understand: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<Reply<T>, Failure> {
        let started = Instant::now();
        let uri = endpoint
            .uri(call.segments, call.query)
            .map_err(|error| Failure {
                url: format!("{endpoint:?}"),
                error: FailureKind::Final(error),
            })?;
        let limit = self.config.request_timeout;
        let outcome =
            match tokio::time::timeout(limit, self.send(endpoint, call, uri.clone())).await {
                Ok(outcome) => outcome,
                Err(_) => Err(Failure {
                    url: uri.to_string(),
                    error: FailureKind::Passing {
                        reason: format!("no whole answer within {} ms", limit.as_millis()),
                        retry_after: None,
                    },
                }),
            };
        let outcome = outcome.and_then(|Reply { answer, url }| match understand(&answer) {
            Ok(answer) => Ok(Reply { answer, url }),
            Err(why) => Err(Failure {
                url,
                error: FailureKind::Invalid(why),
            }),
        });
        let outcome_label = match &outcome {
            Ok(_) => "answered",
            Err(Failure {
                error: FailureKind::Passing { .. },
                ..
            }) => "unavailable",
            Err(Failure {
                error: FailureKind::Invalid(_),
                ..
            }) => "invalid",
            Err(Failure {
                error: FailureKind::Final(_),
                ..
            }) => "refused",
        };
        histogram!(
            "kafka_registry_client_request_duration_seconds",
            "operation" => call.operation,
            "outcome" => outcome_label,
        )
        .record(started.elapsed().as_secs_f64());
        outcome
    }

    /// One request to one registry, following redirects.
    async fn send(
        &self,
        endpoint: &Endpoint,
        call: &Call<'_>,
        mut uri: Uri,
    ) -> Result<Reply<Bytes>, Failure> {
        let mut redirects = 0;
        loop {
            let url = uri.to_string();
            let fail = |error| Failure {
                url: url.clone(),
                error,
            };
            let invalid = |reason: String| fail(FailureKind::Invalid(reason));
            let passing = |reason| {
                fail(FailureKind::Passing {
                    reason,
                    retry_after: None,
                })
            };

            let request = request(endpoint, call, uri.clone())
                .map_err(|error| invalid(format!("the request can't be made: {error}")))?;
            let response = self
                .http
                .request(request)
                .await
                .map_err(|error| passing(chain(&error)))?;
            let (head, body) = response.into_parts();

            if head.status.is_redirection() {
                redirects += 1;
                if redirects > self.config.redirects_max {
                    return Err(invalid(format!(
                        "redirected {redirects} times, where {} are followed",
                        self.config.redirects_max
                    )));
                }
                uri = redirect(call, &uri, head.status, &head.headers).map_err(invalid)?;
                continue;
            }

            let limit = self.config.response_bytes_max;
            let body = match Limited::new(body, limit).collect().await {
                Ok(body) => body.to_bytes(),
                Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => {
                    return Err(invalid(format!("the body is longer than {limit} bytes")));
                }
                Err(error) => return Err(passing(chain(error.as_ref()))),
            };
            return self.judge(call, url, head.status, &head.headers, body);
        }
    }

    /// Tells what an answer means.
    fn judge(
        &self,
        call: &Call<'_>,
        url: String,
        status: StatusCode,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Reply<Bytes>, Failure> {
        if status.is_success() {
            return Ok(Reply { answer: body, url });
        }
        let (code, message) = match serde_json::from_slice::<ErrorAnswer>(&body) {
            Ok(error) => (Some(error.error_code), error.message),
            Err(_) => (None, String::from_utf8_lossy(&body).into_owned()),
        };
        let answer = Answer {
            status: status.as_u16(),
            code,
            message: presentable(&message),
        };
        let error = match status.as_u16() {
            401 | 403 | 407 => FailureKind::Final(RegistryError::Unauthorized {
                url: url.clone(),
                answer,
            }),
            // Whatever has a 404 page isn't a registry that lacks a schema: without a registry's own
            // error code, "not found" would be believed of a wrong URL.
            404 if code.is_some_and(|code| (40400..40500).contains(&code)) => {
                FailureKind::Final(RegistryError::NotFound {
                    what: call.what.to_owned(),
                    url: url.clone(),
                    answer,
                })
            }
            408 | 429 | 500 | 502 | 503 | 504 => FailureKind::Passing {
                reason: answer.to_string(),
                retry_after: retry_after(headers),
            },
            400..=499 if code.is_some() && code != Some(404) => {
                FailureKind::Final(RegistryError::Refused {
                    url: url.clone(),
                    answer,
                })
            }
            _ => FailureKind::Invalid(format!("answered {answer}")),
        };
        Err(Failure { url, error })
    }
}

fn request(
    endpoint: &Endpoint,
    call: &Call<'_>,
    uri: Uri,
) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let mut builder = Request::builder()
        .method(call.method.clone())
        .uri(uri)
        .header(header::ACCEPT, HeaderValue::from_static(CONTENT_TYPE))
        .header(
            header::USER_AGENT,
            concat!("fletch-registry/", env!("CARGO_PKG_VERSION")),
        )
        .header(ACCEPT_UNKNOWN, "true");
    if let Some(authorization) = &endpoint.authorization {
        builder = builder.header(header::AUTHORIZATION, authorization);
    }
    if call.body.is_some() {
        builder = builder.header(header::CONTENT_TYPE, CONTENT_TYPE);
    }
    builder.body(Full::new(call.body.clone().unwrap_or_default()))
}

/// Where a redirect leads, if it may be followed: credentials stay with the host they were given for.
fn redirect(
    call: &Call<'_>,
    from: &Uri,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<Uri, String> {
    let keeps_method = matches!(status.as_u16(), 307 | 308);
    let followed = keeps_method || matches!(status.as_u16(), 301 | 302);
    if !followed || (call.method != Method::GET && !keeps_method) {
        return Err(format!(
            "answered HTTP {} to a {}",
            status.as_u16(),
            call.method
        ));
    }
    let location = headers
        .get(header::LOCATION)
        .and_then(|value| value.to_str().ok())
        .ok_or("redirected without a location")?;
    let from = Url::parse(&from.to_string()).map_err(|error| error.to_string())?;
    let mut to = from
        .join(location)
        .map_err(|error| format!("redirected to something that isn't a URL: {error}"))?;
    if to.origin() != from.origin() {
        let origin = presentable(&to.origin().ascii_serialization());
        return Err(format!(
            "redirected to {origin}: name that as the URL if it is right"
        ));
    }
    to.set_fragment(None);
    let _ = to.set_username("");
    let _ = to.set_password(None);
    to.as_str()
        .parse()
        .map_err(|error| format!("redirected to something unusable: {error}"))
}

/// `Retry-After` in seconds; the form with a date isn't worth a calendar here.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

/// A message from outside, fit for a log line: bounded, and without control characters.
fn presentable(message: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut text = String::new();
    for c in message.chars().map(clean) {
        if text.len() + c.len_utf8() > MESSAGE_BYTES_MAX {
            text.push('…');
            break;
        }
        text.push(c);
    }
    text.trim().to_owned()
}

/// An error with its causes: hyper's own message alone says little.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    presentable(&text)
}
