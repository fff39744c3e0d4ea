//! One Kafka connection, from accept to close.
//!
//! A connection is one task with two halves (`docs/adr/0006-connections.md`). The reading half cuts
//! frames, decodes requests, and hands each to the writing half as a [`Turn`]; the writing half
//! answers them strictly in that order. Requests therefore take effect one after the other, as on
//! Kafka's own connections, with one exception that a producer's throughput lives on: consecutive
//! Produce requests are submitted to the log as they are read, and only their completion is awaited
//! in turn.

pub(crate) mod arrivals;
pub(crate) mod frames;
mod login;
pub(crate) mod memory;
mod outbox;
mod progress;

use std::any::Any;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use fletch_wire::{
    ApiKey, Error as WireError, Frame, RequestBody, RequestHeader, ResponseBody, ResponseHeader,
    Str, decode_request,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{self, error::TryRecvError};
use tokio::time::{sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::auth::Principal;
use crate::auth::sasl::{Failure, Grant};
use crate::authorize;
use crate::broker::Broker;
use crate::dispatch;
use crate::handlers::{Context, produce};
use crate::kafka::{GOODBYE_TIMEOUT, ListenerInfo};
use crate::quotas;
use crate::tls::{HandshakeError, Tls};
use arrivals::Arrival;
use frames::{FrameError, Frames};
use login::Session;
use memory::Reserved;
use outbox::Outbox;
use progress::Progress;

/// Answers gathered before they are sent although more are ready.
const GATHER_BYTES_MAX: usize = 256 << 10;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Closed {
    /// The client closed it between two requests.
    #[error("the client closed it")]
    ByClient,
    /// Nothing came for `kafka.idle_timeout_ms`.
    #[error("nothing came for kafka.idle_timeout_ms")]
    Idle,
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
    /// Hands could not be shaken.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// The handshake or the login took too long.
    #[error("the client was not authenticated within kafka.authentication_timeout_ms")]
    SlowAuthentication,
    /// Something was asked before the login.
    #[error("something was asked before the login")]
    Unauthenticated,
    /// A message of a login came where another belongs.
    #[error("a message of a login came out of turn")]
    OutOfTurn,
    /// A login in larger frames than it takes.
    #[error(
        "the client announced a frame of {bytes} bytes before its login, the limit is {bytes_max} (sasl.request_bytes_max)"
    )]
    LargeLogin {
        /// The announced length.
        bytes: i32,
        /// The limit.
        bytes_max: usize,
    },
    /// The listener doesn't take the mechanism.
    #[error("the listener doesn't take the mechanism {0:?}")]
    UnsupportedMechanism(Str),
    /// The login failed; it is logged where it does.
    #[error("the login failed: {0}")]
    Login(#[from] Failure),
    /// A login again failed.
    #[error("the login failed")]
    LoginAgain,
    /// The session has ended, and the client hasn't logged in again.
    #[error("the client's session has ended, and it didn't log in again")]
    SessionEnded,
    /// A request took longer to arrive than `kafka.request_timeout_ms`.
    #[error("a request did not arrive in full within kafka.request_timeout_ms")]
    SlowRequest,
    /// A request came slowly while others waited for the room that it took.
    #[error(
        "a request arrived slowly while others waited for its room (kafka.requests_memory_bytes_max)"
    )]
    Crowded,
    /// The bytes were no frames.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The frame was no request that is served.
    #[error("{0}")]
    Request(WireError),
    /// The answers were not read, or the socket failed.
    #[error("an answer can't be sent: {0}")]
    Write(#[from] io::Error),
    /// A Produce without acks failed: closing is the only way to tell (Kafka does the same).
    #[error("a Produce request with acks=0 failed with {0}")]
    SilentProduce(fletch_wire::ErrorCode),
    /// An answer of ours can't be encoded. It is a bug of ours.
    #[error("an answer to {api} version {version} can't be encoded: {source}")]
    Encode {
        /// The API.
        api: ApiKey,
        /// Its version.
        version: i16,
        /// What the codec said.
        source: WireError,
    },
}

impl Closed {
    /// A few words for the metric's label.
    fn reason(&self) -> &'static str {
        match self {
            Self::ByClient => "client",
            Self::Idle => "idle",
            Self::Stopping => "stopping",
            Self::Handshake(_) => "handshake_failed",
            Self::SlowAuthentication => "slow_authentication",
            Self::Unauthenticated => "unauthenticated",
            Self::OutOfTurn | Self::LargeLogin { .. } | Self::UnsupportedMechanism(_) => {
                "malformed_login"
            }
            Self::Login(_) | Self::LoginAgain => "failed_login",
            Self::SessionEnded => "session_ended",
            Self::SlowRequest | Self::Crowded => "slow_request",
            Self::Frame(FrameError::Length { .. }) => "frame_length",
            Self::Frame(FrameError::Truncated { .. }) => "truncated",
            Self::Frame(FrameError::Io(_)) => "read_error",
            Self::Request(WireError::UnknownRequest { .. }) => "unknown_request",
            Self::Request(_) => "malformed_request",
            Self::Write(error) if error.kind() == io::ErrorKind::TimedOut => "slow_reader",
            Self::Write(_) => "write_error",
            Self::SilentProduce(_) => "failed_produce",
            Self::Encode { .. } => "internal",
        }
    }

    /// Whether it is worth a line of its own in the log.
    fn is_remarkable(&self) -> bool {
        !matches!(
            self,
            Self::ByClient
                | Self::Idle
                | Self::Stopping
                | Self::Login(_)
                | Self::LoginAgain
                | Self::Frame(FrameError::Io(_) | FrameError::Truncated { .. })
        ) && !matches!(self, Self::Write(error) if error.kind() != io::ErrorKind::TimedOut)
    }
}

/// A request whose answer is due when those before it are sent.
struct Turn {
    header: RequestHeader,
    frame_bytes: usize,
    arrived: Instant,
    work: Work,
    /// The memory of the request.
    reserved: Reserved,
}

enum Work {
    /// In the log's hands already, and the time that was spent on that.
    Produce(produce::InFlight, Duration),
    /// Begins when its turn comes.
    Call(Box<RequestBody>),
    /// ApiVersions in a version that isn't known, which has an answer all the same (KIP-511).
    UnknownApiVersions,
}

/// What became of a request.
struct Answered {
    /// The answer and its memory; none to a Produce without acks.
    frame: Option<(Frame, Reserved)>,
    /// For how long the client isn't listened to after it.
    throttle: Duration,
}

/// Serves a connection until it ends.
pub(crate) async fn serve(
    socket: TcpStream,
    peer: SocketAddr,
    listener: &ListenerInfo,
    broker: Arc<Broker>,
    stopping: CancellationToken,
) {
    let arriving = Arriving {
        local: socket.local_addr().unwrap_or(peer),
        peer,
        listener,
        broker: &broker,
        closing: stopping.child_token(),
    };
    // An answer is small and complete: waiting to fill a packet only delays it.
    let _ = socket.set_nodelay(true);
    broker.metrics.connections.increment(1.0);
    // The socket is closed last: who sees it closed finds it counted.
    let (closed, _socket) = arriving.serve(socket).await;
    broker.metrics.connections.decrement(1.0);
    metrics::counter!("kafka_connections_closed", "reason" => closed.reason()).increment(1);
    if closed.is_remarkable() {
        warn!(%peer, listener = listener.name, reason = %closed, "connection closed");
    } else {
        debug!(%peer, listener = listener.name, reason = %closed, "connection closed");
    }
}

/// Serves a connection that isn't a socket until it ends; in which word it ended.
pub(crate) async fn serve_stream(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    listener: &ListenerInfo,
    broker: &Broker,
) -> &'static str {
    let arriving = Arriving {
        local: peer,
        peer,
        listener,
        broker,
        closing: CancellationToken::new(),
    };
    let patience = Duration::from_millis(broker.config.kafka.authentication_timeout_ms);
    let deadline = tokio::time::Instant::now() + patience;
    let closed = match arriving.enter(&mut stream, deadline, None).await {
        Err(closed) => closed,
        Ok((grant, frames)) => {
            let (mut reader, mut writer) = tokio::io::split(stream);
            let connection = arriving.connection(grant);
            connection.run(&mut reader, &mut writer, frames).await
        }
    };
    closed.reason()
}

/// A connection that isn't known to be anybody's yet.
struct Arriving<'a> {
    broker: &'a Broker,
    listener: &'a ListenerInfo,
    local: SocketAddr,
    peer: SocketAddr,
    closing: CancellationToken,
}

/// A socket that is only waiting to be closed.
type Spent = Box<dyn Any + Send>;

impl Arriving<'_> {
    async fn serve(self, mut socket: TcpStream) -> (Closed, Spent) {
        let patience = Duration::from_millis(self.broker.config.kafka.authentication_timeout_ms);
        let deadline = tokio::time::Instant::now() + patience;
        if let Some(tls) = &self.listener.tls {
            // Apart, so that a connection without TLS has no room for it.
            return Box::pin(self.serve_encrypted(tls, socket, deadline)).await;
        }
        let (grant, frames) = match self.enter(&mut socket, deadline, None).await {
            Ok(entered) => entered,
            Err(closed) => return (closed, Box::new(socket)),
        };
        let (mut reader, mut writer) = socket.split();
        let connection = self.connection(grant);
        let closed = connection.run(&mut reader, &mut writer, frames).await;
        (closed, Box::new(socket))
    }

    async fn serve_encrypted(
        &self,
        tls: &Tls,
        socket: TcpStream,
        deadline: tokio::time::Instant,
    ) -> (Closed, Spent) {
        let shaking = Box::pin(self.listener.shake_hands(tls, socket));
        let shaken = tokio::select! {
            shaken = timeout_at(deadline, shaking) => shaken,
            () = self.closing.cancelled() => return (Closed::Stopping, Box::new(())),
        };
        let (stream, principal) = match shaken {
            Ok(Ok(shaken)) => shaken,
            Ok(Err(error)) => return (error.into(), Box::new(())),
            Err(_) => return (Closed::SlowAuthentication, Box::new(())),
        };
        // What TLS knows of a connection is large, and moves only once.
        let mut stream = Box::new(stream);
        let closed = match self.enter(&mut stream, deadline, Some(principal)).await {
            Err(closed) => closed,
            Ok((grant, frames)) => {
                // Both halves are one task: the lock between them is never waited for.
                let (mut reader, mut writer) = tokio::io::split(&mut stream);
                let connection = self.connection(grant);
                connection.run(&mut reader, &mut writer, frames).await
            }
        };
        // Says that nothing more comes, so that the client can tell an end from a cut.
        _ = timeout(GOODBYE_TIMEOUT, stream.shutdown()).await;
        (closed, stream)
    }

    /// Has the client log in, where it has to; who it is, and what it has sent since.
    async fn enter(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        deadline: tokio::time::Instant,
        certified: Option<Principal>,
    ) -> Result<(Grant, Frames), Closed> {
        let config = &self.broker.config;
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let request_bytes_max = bytes(config.kafka.request_bytes_max);
        if !self.listener.protocol.is_sasl() {
            let grant = Grant {
                principal: certified.unwrap_or_else(Principal::anonymous),
                lifetime: None,
            };
            return Ok((grant, Frames::new(request_bytes_max)));
        }
        let mut frames = Frames::new(bytes(config.sasl.request_bytes_max).min(request_bytes_max));
        // A login is over soon, and what it took with it.
        let login = Box::pin(self.log_in(stream, &mut frames, deadline));
        let entered = tokio::select! {
            entered = login => entered,
            () = self.closing.cancelled() => return Err(Closed::Stopping),
        };
        let grant = entered?;
        frames.allow(request_bytes_max);
        Ok((grant, frames))
    }

    fn connection(&self, grant: Grant) -> Connection<'_> {
        Connection {
            arrived: self,
            broker: self.broker,
            principal: grant.principal,
            session: Session::new(grant.lifetime),
            closing: self.closing.clone(),
        }
    }
}

/// Ends when a frame comes too slowly that others wait for.
async fn too_slow(arrival: Option<&Arrival>) {
    match arrival {
        Some(arrival) => arrival.too_slow().await,
        None => std::future::pending().await,
    }
}

struct Connection<'a> {
    arrived: &'a Arriving<'a>,
    broker: &'a Broker,
    /// Who the client is.
    principal: Principal,
    session: Session,
    /// Cancelled when the server stops, or when this client has closed its side.
    closing: CancellationToken,
}

impl Connection<'_> {
    async fn run(
        &self,
        reader: impl AsyncRead + Unpin,
        writer: impl AsyncWrite + Unpin,
        frames: Frames,
    ) -> Closed {
        let in_flight_max =
            usize::try_from(self.broker.config.kafka.requests_in_flight_max).unwrap_or(usize::MAX);
        let (turns, queue) = mpsc::channel(in_flight_max.min(1 << 16));
        let progress = Progress::default();
        let mut reading = pin!(self.read_requests(reader, frames, turns, &progress));
        let mut writing = pin!(self.write_answers(writer, queue, &progress));
        tokio::select! {
            closed = &mut writing => closed.err().unwrap_or(Closed::ByClient),
            closed = &mut reading => {
                // What was asked is still answered; long polls are cut short.
                self.closing.cancel();
                match writing.await {
                    Err(error) if matches!(closed, Closed::ByClient | Closed::Stopping) => error,
                    _ => closed,
                }
            }
        }
    }

    /// The reading half. It ends by giving the reason, and `turns` with it.
    async fn read_requests(
        &self,
        mut socket: impl AsyncRead + Unpin,
        mut frames: Frames,
        turns: mpsc::Sender<Box<Turn>>,
        progress: &Progress,
    ) -> Closed {
        let kafka = &self.broker.config.kafka;
        let mut reserved = Reserved::default();
        let mut arrival = None;
        let mut stopping = pin!(self.closing.cancelled());
        let idle = Duration::from_millis(kafka.idle_timeout_ms);
        let request = Duration::from_millis(kafka.request_timeout_ms);
        // One timer for the connection, moved on as requests come.
        let mut deadline = pin!(sleep(idle));
        let mut was_midway = false;
        loop {
            // What came with the end of a login is here before anything is read.
            while let Some(frame) = frames.pop() {
                was_midway = false;
                arrival = None;
                let mut reserved = std::mem::take(&mut reserved);
                self.broker
                    .requests_memory
                    .grow(&mut reserved, frame.len())
                    .await;
                // Whoever uses more than its quota is answered, and then not listened to (KIP-219).
                tokio::select! {
                    () = progress.unmuted() => {}
                    () = &mut stopping => return Closed::Stopping,
                }
                let (arrived, frame_bytes) = (Instant::now(), frame.len());
                if let Some(refused) = dispatch::refuse(&frame) {
                    return Closed::Request(refused);
                }
                if self.session.refuses(&frame) {
                    return Closed::SessionEnded;
                }
                let (header, work) = match decode_request(frame, &self.broker.limits) {
                    Ok((header, RequestBody::Produce(request))) => {
                        // Produce may overtake nothing but the wait of the Produce before it.
                        progress.calls_done().await;
                        let context = self.context(&header, frame_bytes);
                        let submitting = Box::pin(produce::submit(&context, request));
                        let (in_flight, busy) = quotas::measured(submitting).await;
                        (header, Work::Produce(in_flight, busy))
                    }
                    Ok((header, request)) => {
                        progress.call_begins();
                        (header, Work::Call(Box::new(request)))
                    }
                    Err(WireError::UnknownRequest {
                        key: key @ ApiKey::API_VERSIONS,
                        version,
                        correlation_id,
                        ..
                    }) => {
                        progress.call_begins();
                        (
                            RequestHeader::new(key, version, correlation_id),
                            Work::UnknownApiVersions,
                        )
                    }
                    Err(error) => return Closed::Request(error),
                };
                progress.request_begins();
                let turn = Box::new(Turn {
                    header,
                    frame_bytes,
                    arrived,
                    work,
                    reserved,
                });
                if turns.send(turn).await.is_err() {
                    return Closed::ByClient;
                }
            }
            if frames.is_midway() {
                if !was_midway {
                    deadline
                        .as_mut()
                        .reset(tokio::time::Instant::now() + request);
                }
                // Waiting for memory is back pressure and not the client's fault, but is bounded.
                let waiting = tokio::time::Instant::now();
                // Apart: who sends nothing has no room for it.
                let room = Box::pin(self.make_room(&frames, &mut arrival, &mut reserved));
                let room = timeout(request, room);
                if room.await.is_err() {
                    return Closed::SlowRequest;
                }
                let until = deadline.deadline() + waiting.elapsed();
                deadline.as_mut().reset(until);
            } else {
                deadline.as_mut().reset(tokio::time::Instant::now() + idle);
            }
            was_midway = frames.is_midway();
            tokio::select! {
                biased;
                read = frames.read(&mut socket) => match read {
                    Ok(0) => return Closed::ByClient,
                    Ok(read) => self.broker.metrics.request_bytes.increment(read as u64),
                    Err(error) => return error.into(),
                },
                () = &mut stopping => return Closed::Stopping,
                () = too_slow(arrival.as_ref()) => return Closed::Crowded,
                () = &mut deadline => match () {
                    () if was_midway => return Closed::SlowRequest,
                    // Waiting for us is not being silent.
                    () if progress.is_busy() => continue,
                    () => return Closed::Idle,
                },
            }
        }
    }

    /// Has room for the whole of the frame that arrives.
    async fn make_room(
        &self,
        frames: &Frames,
        arrival: &mut Option<Arrival>,
        reserved: &mut Reserved,
    ) {
        let Some((bytes, received)) = frames.arriving() else {
            return;
        };
        match arrival {
            Some(arrival) => arrival.received(received),
            None => {
                let from = self.arrived.peer.ip();
                let begun = self
                    .broker
                    .arrivals
                    .begin(from, &self.principal, bytes)
                    .await;
                begun.received(received);
                *arrival = Some(begun);
                self.broker.requests_memory.grow(reserved, bytes).await;
            }
        }
    }

    /// The writing half. It ends when the reading half has and everything is answered, or when an
    /// answer can't be.
    async fn write_answers(
        &self,
        mut socket: impl AsyncWrite + Unpin,
        mut turns: mpsc::Receiver<Box<Turn>>,
        progress: &Progress,
    ) -> Result<(), Closed> {
        let patience = Duration::from_millis(self.broker.config.kafka.write_timeout_ms);
        let mut outbox = Outbox::default();
        loop {
            let turn = match turns.try_recv() {
                Ok(turn) => turn,
                Err(TryRecvError::Empty) => {
                    self.flush(&mut outbox, &mut socket, patience).await?;
                    match turns.recv().await {
                        Some(turn) => turn,
                        None => return Ok(()),
                    }
                }
                Err(TryRecvError::Disconnected) => {
                    return self.flush(&mut outbox, &mut socket, patience).await;
                }
            };
            let is_call = !matches!(turn.work, Work::Produce(..));
            // Room for the largest of all handlers, which nobody has who asks nothing.
            let mut answer = Box::pin(self.answer(*turn));
            // An answer that has to be waited for doesn't keep those before it waiting.
            let answered = match poll_fn(|context| Poll::Ready(answer.as_mut().poll(context))).await
            {
                Poll::Ready(answered) => answered,
                Poll::Pending => {
                    self.flush(&mut outbox, &mut socket, patience).await?;
                    answer.await
                }
            };
            let Answered { frame, throttle } = answered?;
            if let Some((frame, reserved)) = frame {
                outbox.push(frame, reserved);
            }
            if !throttle.is_zero() {
                progress.mute(throttle);
            }
            progress.request_ends(is_call);
            if self.session.is_over() {
                self.flush(&mut outbox, &mut socket, patience).await?;
                return Err(Closed::LoginAgain);
            }
            if outbox.bytes() >= GATHER_BYTES_MAX {
                self.flush(&mut outbox, &mut socket, patience).await?;
            }
        }
    }

    async fn flush(
        &self,
        outbox: &mut Outbox,
        socket: &mut (impl AsyncWrite + Unpin),
        patience: Duration,
    ) -> Result<(), Closed> {
        if outbox.bytes() > 0 {
            self.broker
                .metrics
                .response_bytes
                .increment(outbox.bytes() as u64);
            outbox.flush(socket, patience).await?;
        }
        Ok(())
    }

    /// The answer to a request, encoded.
    async fn answer(&self, turn: Turn) -> Result<Answered, Closed> {
        let Turn {
            header,
            frame_bytes,
            arrived,
            work,
            reserved: _request_memory,
        } = turn;
        let (api, version) = (header.api_key, header.api_version);
        let context = self.context(&header, frame_bytes);
        let mut encoded_version = version;
        let mut busy = Duration::ZERO;
        let mut answer = match work {
            Work::Produce(in_flight, submitting) => {
                let is_silent = in_flight.is_silent();
                let (finished, finishing) = quotas::measured(in_flight.finish(&context)).await;
                busy = submitting + finishing;
                if is_silent {
                    self.broker.metrics.answered(api, arrived);
                    return match finished.first_error {
                        Some(error) => Err(Closed::SilentProduce(error)),
                        None => Ok(Answered {
                            frame: None,
                            throttle: context.charge(frame_bytes, 0, busy),
                        }),
                    };
                }
                finished.response.into()
            }
            Work::Call(request) => match *request {
                // Which belong to the connection, and not to what is behind it.
                RequestBody::SaslHandshake(request) => {
                    self.session.handshake(self.arrived, &request).await.into()
                }
                RequestBody::SaslAuthenticate(request) => {
                    let (arrived, principal) = (self.arrived, &self.principal);
                    let session = &self.session;
                    session
                        .authenticate(arrived, principal, &request)
                        .await
                        .into()
                }
                request => {
                    let (answer, time) =
                        quotas::measured(authorize::answer(&context, request)).await;
                    busy = time;
                    answer
                }
            },
            Work::UnknownApiVersions => {
                encoded_version = 0;
                dispatch::unknown_api_versions().into()
            }
        };
        self.broker.metrics.answered(api, arrived);
        let response = ResponseHeader::new(header.correlation_id);
        let encode = |body: &ResponseBody| {
            let encoded = body.encode(&response, encoded_version);
            encoded.map_err(|source| Closed::Encode {
                api,
                version,
                source,
            })
        };
        let mut frame = encode(&answer.body)?;
        let throttle = context.charge(frame_bytes, frame.len(), busy);
        if !throttle.is_zero() && quotas::set_throttle_time(&mut answer.body, throttle) {
            frame = encode(&answer.body)?;
        }
        answer.reserved.shrink(frame.len());
        Ok(Answered {
            frame: Some((frame, answer.reserved)),
            throttle,
        })
    }

    fn context<'a>(&'a self, header: &'a RequestHeader, frame_bytes: usize) -> Context<'a> {
        Context {
            broker: self.broker,
            listener: self.arrived.listener,
            local: self.arrived.local,
            peer: self.arrived.peer,
            principal: &self.principal,
            header,
            frame_bytes,
            closing: &self.closing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of the future that an async function with five arguments gives.
    fn future_bytes<A, B, C, D, E, F>(_: impl FnOnce(A, B, C, D, E) -> F) -> usize {
        size_of::<F>()
    }

    /// The largest that the task of a connection may be, in bytes: what every idle one holds. What a
    /// handshake, a login or a request needs is apart, and is had for as long as they last.
    const TASK_BYTES_MAX: usize = 4 << 10;

    #[test]
    fn an_idle_connection_is_small() {
        let bytes = future_bytes(serve);
        assert!(
            bytes <= TASK_BYTES_MAX,
            "the task of a connection: {bytes} bytes"
        );
    }
}
