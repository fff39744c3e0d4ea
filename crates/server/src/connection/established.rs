//! A connection whose client is known, and which takes its requests.
//!
//! It has two halves (`docs/adr/0006-connections.md`). The reading half cuts frames, decodes
//! requests, and hands each to the writing half as a [`Turn`]; the writing half answers them strictly
//! in that order. Requests therefore take effect one after the other, as on Kafka's own connections,
//! with one exception that a producer's throughput lives on: consecutive Produce requests are
//! submitted to the log as they are read, and only their completion is awaited in turn.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use fletch_wire::{
    ApiKey, Error as WireError, Frame, RequestBody, RequestHeader, ResponseBody, ResponseHeader,
    decode_request,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::{self, error::TryRecvError};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Closed;
use super::arrivals::Arrival;
use super::arriving::Arriving;
use super::frames::Frames;
use super::login::Session;
use super::memory::Reserved;
use super::outbox::Outbox;
use super::progress::Progress;
use crate::auth::Principal;
use crate::auth::sasl::Grant;
use crate::authorize;
use crate::broker::Broker;
use crate::dispatch;
use crate::handlers::{Context, produce};
use crate::quotas;

/// Answers gathered before they are sent although more are ready.
const GATHER_BYTES_MAX: usize = 256 << 10;

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

pub(super) struct Established<'a> {
    arrived: &'a Arriving<'a>,
    broker: &'a Broker,
    /// Who the client is.
    principal: Principal,
    session: Session,
    /// Cancelled when the server stops, or when this client has closed its side.
    closing: CancellationToken,
}

impl<'a> Established<'a> {
    pub(super) fn new(arrived: &'a Arriving<'a>, grant: Grant) -> Self {
        Self {
            arrived,
            broker: arrived.broker,
            principal: grant.principal,
            session: Session::new(grant.lifetime),
            closing: arrived.closing.clone(),
        }
    }

    /// Answers what is asked, until one of both sides ends it.
    pub(super) async fn run(
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

    fn context<'b>(&'b self, header: &'b RequestHeader, frame_bytes: usize) -> Context<'b> {
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

/// Ends when a frame comes too slowly that others wait for.
async fn too_slow(arrival: Option<&Arrival>) {
    match arrival {
        Some(arrival) => arrival.too_slow().await,
        None => std::future::pending().await,
    }
}
