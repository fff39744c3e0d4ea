//! Consumer groups: the one owner of their state, the clock that moves it, and the way of its facts
//! into the log.
//!
//! What happens to groups is decided in `fletch_coordinator`, under one lock and without waiting. What
//! comes out of it is handed on in that order to one task, the [`Keeper`], which makes the facts
//! durable and only then lets the answers go: what a client was told is still so after a restart.

use std::collections::HashMap;
use std::fmt;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fletch_coordinator::{Caller, Fact, GroupConfig, Groups, Output, Ticket};
use fletch_store::{Store, StoreError};
use fletch_wire::{ResponseBody, Uuid};
use metrics::{Counter, Gauge, counter, gauge};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::broker::now_ms;
use crate::config::Config;
use crate::error::ServerError;
use crate::handlers::Context;

/// Under which name the log keeps the facts of groups.
const ROOM: &str = "groups";

/// Most steps that share a flush of the log.
const STEPS_MAX: usize = 4096;

/// The groups can't be asked: the server is stopping, or its log has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the groups can't be asked any more")]
pub(crate) struct Unavailable;

/// The consumer groups of this broker.
pub(crate) struct Coordinator {
    state: Mutex<State>,
    clock: Clock,
    /// Something is due earlier than it was.
    earlier: Notify,
    generations: Counter,
    waiting_members: Gauge,
}

struct State {
    groups: Groups,
    /// Members that wait for their answers.
    waiting: HashMap<Ticket, oneshot::Sender<ResponseBody>>,
    tickets: u64,
    /// When the keeper will look again by itself.
    awake_ms: Option<i64>,
    /// Under the lock, so that steps are in the order in which they happened.
    steps: mpsc::UnboundedSender<Step>,
}

/// What came of one thing that happened. (At most one a connection is on its way, so that the
/// queue of steps is bounded by the connections.)
#[derive(Default)]
struct Step {
    facts: Vec<Fact>,
    answers: Vec<(oneshot::Sender<ResponseBody>, ResponseBody)>,
    /// Told when all facts so far are durable.
    durable: Option<oneshot::Sender<()>>,
}

/// What runs for the groups in the background.
pub(crate) struct Keeper {
    coordinator: Arc<Coordinator>,
    store: Store,
    steps: mpsc::UnboundedReceiver<Step>,
}

/// The time since the epoch, which never jumps: sessions don't end because somebody set the clock.
struct Clock {
    started_ms: i64,
    started: Instant,
}

impl Clock {
    fn start() -> Self {
        Self {
            started_ms: now_ms(),
            started: Instant::now(),
        }
    }

    fn now_ms(&self) -> i64 {
        let since = i64::try_from(self.started.elapsed().as_millis());
        self.started_ms.saturating_add(since.unwrap_or(i64::MAX))
    }
}

impl Coordinator {
    /// The groups as the log has them, and what must run for them.
    pub(crate) fn restore(
        store: &Store,
        config: &Config,
    ) -> Result<(Arc<Self>, Keeper), ServerError> {
        let mut groups = Groups::new(group_config(config));
        for (key, value) in store.notes(ROOM) {
            groups.apply(&key, Some(&value))?;
        }
        let clock = Clock::start();
        groups.start(clock.now_ms());
        let (sender, steps) = mpsc::unbounded_channel();
        let coordinator = Arc::new(Self {
            state: Mutex::new(State {
                groups,
                waiting: HashMap::new(),
                tickets: 0,
                awake_ms: None,
                steps: sender,
            }),
            clock,
            earlier: Notify::new(),
            generations: counter!("kafka_group_generations"),
            waiting_members: gauge!("kafka_group_waiting_members"),
        });
        let keeper = Keeper {
            coordinator: Arc::clone(&coordinator),
            store: store.clone(),
            steps,
        };
        Ok((coordinator, keeper))
    }

    /// Lets something happen, and gives what came of it once all it depends on is durable.
    pub(crate) async fn ask<R>(
        &self,
        happen: impl FnOnce(&mut Groups, i64, &mut Output) -> R,
    ) -> Result<R, Unavailable> {
        let (durable, is_durable) = oneshot::channel();
        let result = {
            let mut state = self.state();
            let mut out = Output::default();
            let result = happen(&mut state.groups, self.clock.now_ms(), &mut out);
            self.hand_on(&mut state, out, Some(durable));
            result
        };
        is_durable.await.map_err(|_| Unavailable)?;
        Ok(result)
    }

    /// Lets a member ask for what it may have to wait for; until its connection closes.
    pub(crate) async fn wait(
        &self,
        context: &Context<'_>,
        happen: impl FnOnce(&mut Groups, i64, &Caller, &mut Output),
    ) -> Result<ResponseBody, Unavailable> {
        let client_host = client_host(context.peer);
        let (answer, is_answered) = oneshot::channel();
        let waiting = {
            let mut state = self.state();
            state.tickets += 1;
            let ticket = Ticket(state.tickets);
            state.waiting.insert(ticket, answer);
            let caller = Caller {
                ticket,
                version: context.version(),
                client_id: context.header.client_id.as_deref().unwrap_or_default(),
                client_host: &client_host,
                random: Uuid::new_v4(),
            };
            let mut out = Output::default();
            happen(&mut state.groups, self.clock.now_ms(), &caller, &mut out);
            self.hand_on(&mut state, out, None);
            Waiting {
                coordinator: self,
                ticket,
            }
        };
        let answered = tokio::select! {
            biased;
            answered = is_answered => answered.map_err(|_| Unavailable),
            () = context.closing.cancelled() => Err(Unavailable),
        };
        drop(waiting);
        answered
    }

    /// Says that a topic is deleted.
    pub(crate) fn forget_topic(&self, topic: &str) {
        let mut state = self.state();
        let mut out = Output::default();
        state.groups.forget_topic(topic, &mut out);
        self.hand_on(&mut state, out, None);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands what came of something to the keeper.
    fn hand_on(&self, state: &mut State, out: Output, durable: Option<oneshot::Sender<()>>) {
        let mut answers = Vec::with_capacity(out.answers.len());
        for answer in out.answers {
            self.generations
                .increment(u64::from(begins_generation(&answer.body)));
            // Whoever closed the connection has nobody waiting.
            if let Some(waiting) = state.waiting.remove(&answer.ticket) {
                answers.push((waiting, answer.body));
            }
        }
        self.waiting_members.set(state.waiting.len() as f64);
        if !out.facts.is_empty() || !answers.is_empty() || durable.is_some() {
            // Without a keeper nothing is answered: those who wait see their channels close.
            _ = state.steps.send(Step {
                facts: out.facts,
                answers,
                durable,
            });
        }
        if let Some(due_ms) = state.groups.next_deadline_ms()
            && state.awake_ms.is_none_or(|awake_ms| due_ms < awake_ms)
        {
            self.earlier.notify_one();
        }
    }

    /// Does what is due, when it is due.
    async fn keep_time(&self) {
        loop {
            let wait = {
                let mut state = self.state();
                let now_ms = self.clock.now_ms();
                let is_due = |due_ms| due_ms <= now_ms;
                if state.groups.next_deadline_ms().is_some_and(is_due) {
                    let mut out = Output::default();
                    state.groups.tick(now_ms, &mut out);
                    self.hand_on(&mut state, out, None);
                }
                state.awake_ms = state.groups.next_deadline_ms();
                let left_ms = state.awake_ms.map(|due_ms| due_ms.saturating_sub(now_ms));
                // Never without a pause, whatever is due.
                left_ms.map(|left_ms| Duration::from_millis(left_ms.max(1).unsigned_abs()))
            };
            let until_due = async {
                match wait {
                    Some(wait) => sleep(wait).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = until_due => {}
                () = self.earlier.notified() => {}
            }
        }
    }
}

/// A member that waits; no longer when this is dropped.
struct Waiting<'a> {
    coordinator: &'a Coordinator,
    ticket: Ticket,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.coordinator.state();
        state.waiting.remove(&self.ticket);
        let waiting = state.waiting.len() as f64;
        self.coordinator.waiting_members.set(waiting);
    }
}

impl Keeper {
    /// Keeps the time, and what happens, until told to stop; what has happened by then is kept.
    pub(crate) async fn keep(self, stop: CancellationToken) {
        let Self {
            coordinator,
            store,
            mut steps,
        } = self;
        let time = coordinator.keep_time();
        let keeping = keep_steps(&store, &mut steps, &stop);
        tokio::select! {
            () = time => {}
            kept = keeping => if let Err(error) = kept {
                error!(%error, "what happens to consumer groups can't be kept");
            },
        }
    }
}

async fn keep_steps(
    store: &Store,
    steps: &mut mpsc::UnboundedReceiver<Step>,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            biased;
            _ = steps.recv_many(&mut batch, STEPS_MAX) => {}
            () = stop.cancelled() => return Ok(()),
        }
        let mut last = None;
        for fact in batch.iter_mut().flat_map(|step| step.facts.drain(..)) {
            last = Some(store.queue_note(ROOM, &fact.key, fact.value).await?);
        }
        // The log is in order: with the last one, all are durable.
        if let Some(last) = last {
            last.await?;
        }
        for step in batch.drain(..) {
            // Whoever waits may have gone.
            for (waiting, answer) in step.answers {
                _ = waiting.send(answer);
            }
            if let Some(durable) = step.durable {
                _ = durable.send(());
            }
        }
    }
}

impl fmt::Debug for Coordinator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coordinator").finish_non_exhaustive()
    }
}

/// Whether an answer is that to a generation's leader, who has to assign: there is one in each.
fn begins_generation(answer: &ResponseBody) -> bool {
    let ResponseBody::JoinGroup(joined) = answer else {
        return false;
    };
    joined.error_code.is_none() && joined.leader == joined.member_id && !joined.skip_assignment
}

/// An address, as Kafka writes those of members.
fn client_host(peer: SocketAddr) -> String {
    format!("/{}", peer.ip().to_canonical())
}

fn group_config(config: &Config) -> GroupConfig {
    let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let timeout_ms = |time_ms: u64| i32::try_from(time_ms).unwrap_or(i32::MAX);
    let time_ms = |time_ms: u64| i64::try_from(time_ms).unwrap_or(i64::MAX);
    let kafka = &config.kafka;
    // A group is one note, which has to fit a segment; half of one leaves room for the lengths.
    let group_bytes_max = kafka.group_bytes_max.min(config.store.segment_bytes / 2);
    GroupConfig {
        session_timeout_ms_min: timeout_ms(kafka.group_session_timeout_ms_min),
        session_timeout_ms_max: timeout_ms(kafka.group_session_timeout_ms_max),
        initial_rebalance_delay_ms: time_ms(kafka.group_initial_rebalance_delay_ms),
        groups_max: count(kafka.groups_max),
        group_members_max: count(kafka.group_members_max),
        group_bytes_max: count(group_bytes_max),
        offset_metadata_bytes_max: count(kafka.offset_metadata_bytes_max),
        group_offsets_max: count(kafka.group_offsets_max),
        offsets_retention_ms: time_ms(kafka.offsets_retention_ms),
        ..GroupConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_always_fits_a_segment() {
        let mut config = Config::default();
        config.store.segment_bytes = 1 << 20;
        config.kafka.group_bytes_max = 1 << 30;
        assert_eq!(group_config(&config).group_bytes_max, 512 << 10);
    }

    #[test]
    fn hosts_are_written_as_kafka_does() {
        for (peer, host) in [
            ("127.0.0.1:5", "/127.0.0.1"),
            ("[::ffff:10.0.0.1]:5", "/10.0.0.1"),
            ("[::1]:5", "/::1"),
        ] {
            assert_eq!(client_host(peer.parse().unwrap()), host);
        }
    }
}
