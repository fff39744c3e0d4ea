//! Logging in: what a client of a SASL listener does before anything else, and, where its session is
//! bounded, again and again (KIP-43, KIP-152, KIP-368).
//!
//! Before the login only three APIs are served, in small frames, one after the other, within
//! `kafka.authentication_timeout_ms`. That is the client's time: what a login waits for here, while many
//! others are checked, isn't counted.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use fletch_wire::messages::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use fletch_wire::{
    ApiKey, Error as WireError, ErrorCode, RequestBody, RequestHeader, ResponseBody,
    ResponseHeader, Str, decode_request,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{info, warn};

use super::Closed;
use super::arriving::Arriving;
use super::frames::{FrameError, Frames};
use crate::auth::Principal;
use crate::auth::sasl::{Exchange, Failure, Grant, Step};
use crate::dispatch;
use crate::handlers::Context;

/// APIs that are served to who isn't logged in, or not any more.
const BEFORE_LOGIN: [ApiKey; 3] = [
    ApiKey::API_VERSIONS,
    ApiKey::SASL_HANDSHAKE,
    ApiKey::SASL_AUTHENTICATE,
];

/// Where a login stands.
enum Stage {
    /// A mechanism is to be chosen.
    Choosing,
    /// By SaslAuthenticate.
    Requests(Exchange),
    /// By frames that are no requests, as before KIP-152.
    Frames(Exchange),
}

impl Arriving<'_> {
    /// Logs a client in, which has until the deadline for its part.
    pub(super) async fn log_in(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        frames: &mut Frames,
        mut deadline: Instant,
    ) -> Result<Grant, Closed> {
        let late = |_| Closed::SlowAuthentication;
        let mut stage = Stage::Choosing;
        loop {
            let frame = timeout_at(deadline, next_frame(stream, frames))
                .await
                .map_err(late)??;
            let asked = Instant::now();
            // A frame that is there already is read however late it is.
            if asked > deadline {
                return Err(Closed::SlowAuthentication);
            }
            let (answer, next) = match stage {
                Stage::Frames(exchange) => self.raw_step(exchange, &frame).await,
                stage => self.login_request(stage, frame).await?,
            };
            deadline += asked.elapsed();
            let sent = async {
                stream.write_all(&answer).await?;
                stream.flush().await
            };
            timeout_at(deadline, sent).await.map_err(late)??;
            match next {
                Next::Stage(next) => stage = next,
                Next::In(grant) => return Ok(grant),
                Next::Out(failure) => return Err(failure),
            }
        }
    }

    /// A step in a frame that is no request. A failure has no words here: the connection ends.
    async fn raw_step(&self, mut exchange: Exchange, message: &[u8]) -> (Bytes, Next) {
        let stepped = self.step(&mut exchange, message, None).await;
        let (answer, next) = match stepped {
            Ok(Step::Challenge(answer)) => (answer, Next::Stage(Stage::Frames(exchange))),
            Ok(Step::Accepted(answer, grant)) => (answer, Next::In(grant)),
            Err(failure) => return (Bytes::new(), Next::Out(failure.into())),
        };
        let mut frame = BytesMut::with_capacity(4 + answer.len());
        frame.put_u32(u32::try_from(answer.len()).unwrap_or(u32::MAX));
        frame.put_slice(&answer);
        (frame.freeze(), next)
    }

    async fn login_request(&self, stage: Stage, frame: Bytes) -> Result<(Bytes, Next), Closed> {
        if !is_before_login(&frame) {
            return Err(Closed::Unauthenticated);
        }
        if let Some(refused) = dispatch::refuse(&frame) {
            return Err(Closed::Request(refused));
        }
        let frame_bytes = frame.len();
        let (header, request) = match decode_request(frame, &self.broker.limits) {
            Ok(decoded) => decoded,
            Err(WireError::UnknownRequest {
                key: key @ ApiKey::API_VERSIONS,
                version,
                correlation_id,
                ..
            }) => {
                let header = RequestHeader::new(key, version, correlation_id);
                let answer = dispatch::unknown_api_versions().into();
                return Ok((encode(&header, 0, &answer)?, Next::Stage(stage)));
            }
            Err(error) => return Err(Closed::Request(error)),
        };
        let (answer, next) = match (request, stage) {
            (RequestBody::SaslHandshake(request), Stage::Choosing) => {
                let (answer, exchange) = self.choose(&request);
                let next = match exchange {
                    None => Next::Out(Closed::UnsupportedMechanism(request.mechanism)),
                    Some(exchange) if header.api_version == 0 => {
                        Next::Stage(Stage::Frames(exchange))
                    }
                    Some(exchange) => Next::Stage(Stage::Requests(exchange)),
                };
                (answer.into(), next)
            }
            (RequestBody::SaslAuthenticate(request), Stage::Requests(mut exchange)) => {
                let stepped = self.step(&mut exchange, &request.auth_bytes, None).await;
                let answer = answer_to(&stepped);
                let next = match stepped {
                    Ok(Step::Challenge(_)) => Next::Stage(Stage::Requests(exchange)),
                    Ok(Step::Accepted(_, grant)) => Next::In(grant),
                    Err(failure) => Next::Out(failure.into()),
                };
                (answer.into(), next)
            }
            (RequestBody::ApiVersions(request), stage) => {
                let nobody = Principal::anonymous();
                let context = Context {
                    broker: self.broker,
                    listener: self.listener,
                    local: self.local,
                    peer: self.peer,
                    principal: &nobody,
                    header: &header,
                    frame_bytes,
                    closing: &self.closing,
                };
                let request = RequestBody::ApiVersions(request);
                (
                    dispatch::serve(&context, request).await.body,
                    Next::Stage(stage),
                )
            }
            // In a stage that it doesn't belong to.
            (RequestBody::SaslHandshake(_), _) => {
                (out_of_turn_handshake(), Next::Out(Closed::OutOfTurn))
            }
            _ => (out_of_turn(), Next::Out(Closed::OutOfTurn)),
        };
        Ok((encode(&header, header.api_version, &answer)?, next))
    }
}

/// What follows an answer.
enum Next {
    Stage(Stage),
    In(Grant),
    Out(Closed),
}

impl Arriving<'_> {
    /// Begins an exchange by the mechanism that the client chose, if the listener takes it.
    pub(super) fn choose(
        &self,
        request: &SaslHandshakeRequest,
    ) -> (SaslHandshakeResponse, Option<Exchange>) {
        let is_encrypted = self.listener.protocol.is_encrypted();
        let authenticator = &self.broker.authenticator;
        let exchange = authenticator.begin(&request.mechanism, is_encrypted);
        let mechanisms = authenticator.mechanisms(is_encrypted);
        let answer = SaslHandshakeResponse {
            error_code: match exchange {
                Some(_) => ErrorCode::NONE,
                None => ErrorCode::UNSUPPORTED_SASL_MECHANISM,
            },
            mechanisms: mechanisms
                .map(|mechanism| Str::from_static(mechanism.name()))
                .collect(),
            ..Default::default()
        };
        (answer, exchange)
    }

    /// A step of an exchange. A failure is counted, logged, and held back. `current` is who the
    /// connection is of already.
    pub(super) async fn step(
        &self,
        exchange: &mut Exchange,
        message: &[u8],
        current: Option<&Principal>,
    ) -> Result<Step, Failure> {
        let authenticator = &self.broker.authenticator;
        let mechanism = exchange.mechanism().name();
        let from = self.peer.ip();
        let stepped = exchange.step(authenticator, from, message).await;
        let stepped = stepped.and_then(|step| match (&step, current) {
            (Step::Accepted(_, grant), Some(before)) if grant.principal != *before => {
                Err(Failure::AnotherPrincipal {
                    before: before.clone(),
                    now: grant.principal.clone(),
                })
            }
            _ => Ok(step),
        });
        match &stepped {
            Ok(Step::Challenge(_)) => {}
            Ok(Step::Accepted(_, grant)) => {
                metrics::counter!("kafka_logins", "mechanism" => mechanism, "result" => "accepted")
                    .increment(1);
                info!(peer = %self.peer, listener = self.listener.name, mechanism, principal = %grant.principal, again = current.is_some(), "logged in");
            }
            Err(failure) => {
                metrics::counter!("kafka_logins", "mechanism" => mechanism, "result" => failure.reason())
                    .increment(1);
                authenticator.refusals.say(|| {
                    warn!(peer = %self.peer, listener = self.listener.name, mechanism, %failure, "login refused");
                });
                // Guessing takes its time.
                sleep(authenticator.failures.delay(from)).await;
            }
        }
        stepped
    }
}

/// The session of a connection: until when it holds, and the exchange by which it is renewed.
pub(super) struct Session {
    /// Milliseconds after `begun`; none is `u64::MAX`.
    ends_ms: AtomicU64,
    begun: Instant,
    exchange: Mutex<Option<Exchange>>,
    is_over: AtomicBool,
}

impl Session {
    pub(super) fn new(lifetime: Option<Duration>) -> Self {
        let session = Self {
            ends_ms: AtomicU64::new(u64::MAX),
            begun: Instant::now(),
            exchange: Mutex::new(None),
            is_over: AtomicBool::new(false),
        };
        session.renew(lifetime);
        session
    }

    fn renew(&self, lifetime: Option<Duration>) {
        let ends = lifetime.map(|lifetime| (self.begun.elapsed() + lifetime).as_millis());
        let ends = ends.map_or(u64::MAX, |ends| u64::try_from(ends).unwrap_or(u64::MAX));
        self.ends_ms.store(ends, Ordering::Relaxed);
    }

    /// Whether a frame may not be served because the client should have logged in again.
    pub(super) fn refuses(&self, frame: &[u8]) -> bool {
        let ends_ms = self.ends_ms.load(Ordering::Relaxed);
        ends_ms != u64::MAX
            && self.begun.elapsed().as_millis() >= u128::from(ends_ms)
            && !is_before_login(frame)
    }

    /// Whether a login again has failed: the connection ends with the answer that says so.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// The answer to SaslHandshake from who is logged in.
    pub(super) async fn handshake(
        &self,
        arriving: &Arriving<'_>,
        request: &SaslHandshakeRequest,
    ) -> ResponseBody {
        if !arriving.listener.protocol.is_sasl() {
            return out_of_turn_handshake();
        }
        let (answer, exchange) = arriving.choose(request);
        *self.exchange.lock().await = exchange;
        answer.into()
    }

    /// The answer to SaslAuthenticate from who is logged in.
    pub(super) async fn authenticate(
        &self,
        arriving: &Arriving<'_>,
        principal: &Principal,
        request: &SaslAuthenticateRequest,
    ) -> ResponseBody {
        let mut under_way = self.exchange.lock().await;
        let Some(mut exchange) = under_way.take() else {
            return out_of_turn();
        };
        let message = &request.auth_bytes;
        let stepped = arriving.step(&mut exchange, message, Some(principal)).await;
        match &stepped {
            Ok(Step::Challenge(_)) => *under_way = Some(exchange),
            Ok(Step::Accepted(_, grant)) => self.renew(grant.lifetime),
            Err(_) => self.is_over.store(true, Ordering::Relaxed),
        }
        answer_to(&stepped).into()
    }
}

/// What a client is told of a step.
fn answer_to(stepped: &Result<Step, Failure>) -> SaslAuthenticateResponse {
    match stepped {
        Ok(Step::Challenge(challenge)) => SaslAuthenticateResponse {
            auth_bytes: Bytes::copy_from_slice(challenge),
            ..Default::default()
        },
        Ok(Step::Accepted(last, grant)) => {
            let lifetime = grant.lifetime.map_or(0, |lifetime| lifetime.as_millis());
            SaslAuthenticateResponse {
                auth_bytes: Bytes::copy_from_slice(last),
                session_lifetime_ms: i64::try_from(lifetime).unwrap_or(i64::MAX),
                ..Default::default()
            }
        }
        Err(failure) => SaslAuthenticateResponse {
            error_code: ErrorCode::SASL_AUTHENTICATION_FAILED,
            error_message: Some(Str::from_static(failure.for_client())),
            ..Default::default()
        },
    }
}

fn out_of_turn() -> ResponseBody {
    let error = ErrorCode::ILLEGAL_SASL_STATE;
    SaslAuthenticateResponse {
        error_code: error,
        error_message: Some(Str::from_static(error.message())),
        ..Default::default()
    }
    .into()
}

fn out_of_turn_handshake() -> ResponseBody {
    SaslHandshakeResponse {
        error_code: ErrorCode::ILLEGAL_SASL_STATE,
        ..Default::default()
    }
    .into()
}

fn is_before_login(frame: &[u8]) -> bool {
    let key = frame
        .first_chunk()
        .map(|key| ApiKey(i16::from_be_bytes(*key)));
    key.is_some_and(|key| BEFORE_LOGIN.contains(&key))
}

fn encode(header: &RequestHeader, version: i16, answer: &ResponseBody) -> Result<Bytes, Closed> {
    let response = ResponseHeader::new(header.correlation_id);
    let frame = answer.encode(&response, version);
    let frame = frame.map_err(|source| Closed::Encode {
        api: header.api_key,
        version,
        source,
    })?;
    Ok(frame.into_bytes())
}

/// The next frame, waiting for it.
async fn next_frame(
    stream: &mut (impl AsyncRead + Unpin),
    frames: &mut Frames,
) -> Result<Bytes, Closed> {
    loop {
        if let Some(frame) = frames.pop() {
            return Ok(frame);
        }
        match frames.read(stream).await {
            Ok(0) => return Err(Closed::ByClient),
            Ok(_) => {}
            Err(FrameError::Length { bytes, bytes_max }) => {
                return Err(Closed::LargeLogin { bytes, bytes_max });
            }
            Err(error) => return Err(error.into()),
        }
    }
}
