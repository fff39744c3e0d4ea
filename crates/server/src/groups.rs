//! Consumer groups and transactions: the one owner of their state, and the clock that moves it.
//!
//! What happens to them is decided in `fletch_coordinator`, under one lock and without waiting. What
//! comes out of it is handed on in that order to one task, the [`Keeper`], which makes the facts
//! durable and only then lets the answers go: what a client was told is still so after a restart.
//! What is done with transactions is in [`crate::transactions`].

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fletch_coordinator::{
    Caller, GroupConfig, Groups, MigrationPolicy, Output, Ticket, TransactionOutput, Transactions,
};
use fletch_store::Store;
use fletch_wire::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use fletch_wire::{ResponseBody, Uuid};
use metrics::{Counter, Gauge, counter, gauge};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::sleep;

use crate::broker::now_ms;
use crate::config::Config;
use crate::error::ServerError;
use crate::handlers::Context;
use crate::keeper::{Ending, GROUPS, Keeper, Step, TRANSACTIONS};
use crate::transactions::{self, transaction_config};

/// The coordinator can't be asked: the server is stopping, or its log has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the coordinator can't be asked any more")]
pub(crate) struct Unavailable;

/// The consumer groups and the transactions of this broker.
pub(crate) struct Coordinator {
    state: Mutex<State>,
    pub(crate) clock: Clock,
    /// Something is due earlier than it was.
    earlier: Notify,
    /// How many steps with facts are durable.
    pub(crate) kept: AtomicU64,
    /// A transactional id has no more batches on their way to the log.
    pub(crate) submitted: Notify,
    generations: Counter,
    waiting_members: Gauge,
}

pub(crate) struct State {
    pub(crate) groups: Groups,
    pub(crate) transactions: Transactions,
    /// The store's version of the topics that the groups have been told of.
    topics_version: u64,
    /// How many batches of a transactional id are on their way to the log.
    pub(crate) submitting: HashMap<Arc<str>, usize>,
    /// Members that wait for their answers.
    waiting: HashMap<Ticket, oneshot::Sender<ResponseBody>>,
    tickets: u64,
    /// When the keeper will look again by itself.
    awake_ms: Option<i64>,
    /// How many steps with facts were handed on.
    handed_on: u64,
    /// Under the lock, so that steps are in the order in which they happened.
    steps: mpsc::UnboundedSender<Step>,
}

/// What came of something, and who wants to know when it is done.
#[derive(Default)]
pub(crate) struct Happened {
    pub(crate) groups: Output,
    pub(crate) transactions: TransactionOutput,
    /// Told when all facts so far are durable.
    pub(crate) durable: Option<oneshot::Sender<()>>,
    /// Told when the transaction that this ends, if it ends one, has its markers.
    pub(crate) written: Option<oneshot::Sender<()>>,
}

/// The time since the epoch, which never jumps: sessions don't end because somebody set the clock.
pub(crate) struct Clock {
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

    pub(crate) fn now_ms(&self) -> i64 {
        let since = i64::try_from(self.started.elapsed().as_millis());
        self.started_ms.saturating_add(since.unwrap_or(i64::MAX))
    }
}

impl Coordinator {
    /// The groups and transactions as the log has them, and what must run for them.
    pub(crate) async fn restore(
        store: &Store,
        config: &Config,
    ) -> Result<(Arc<Self>, Keeper), ServerError> {
        let mut groups = Groups::new(group_config(config));
        for (key, value) in store.notes(GROUPS) {
            groups.apply(&key, Some(&value))?;
        }
        let mut transactions = Transactions::new(transaction_config(config));
        for (key, value) in store.notes(TRANSACTIONS) {
            transactions.apply(&key, Some(&value))?;
        }
        let clock = Clock::start();
        let topics_version = tell_topics(store, &mut groups);
        groups.start(clock.now_ms());
        // A crash may have come between a topic's end and that of the offsets in it.
        let mut of_groups = Output::default();
        for topic in groups.topics_with_offsets() {
            if store.topic(&topic).is_none() {
                groups.forget_topic(&topic, &mut of_groups);
            }
        }
        let mut out = TransactionOutput::default();
        transactions.start(clock.now_ms(), &mut out);
        transactions::abort_orphans(store, &transactions).await?;
        let (sender, steps) = mpsc::unbounded_channel();
        let coordinator = Arc::new(Self {
            state: Mutex::new(State {
                groups,
                transactions,
                topics_version,
                submitting: HashMap::new(),
                waiting: HashMap::new(),
                tickets: 0,
                awake_ms: None,
                handed_on: 0,
                steps: sender,
            }),
            clock,
            earlier: Notify::new(),
            kept: AtomicU64::new(0),
            submitted: Notify::new(),
            generations: counter!("kafka_group_generations"),
            waiting_members: gauge!("kafka_group_waiting_members"),
        });
        let happened = Happened {
            groups: of_groups,
            transactions: out,
            ..Happened::default()
        };
        coordinator.hand_on(&mut coordinator.state(), happened);
        let keeper = Keeper::new(Arc::clone(&coordinator), store.clone(), steps);
        Ok((coordinator, keeper))
    }

    /// Lets something happen to groups, and gives what came of it once all it depends on is durable.
    pub(crate) async fn ask<R>(
        &self,
        happen: impl FnOnce(&mut Groups, i64, &mut Output) -> R,
    ) -> Result<R, Unavailable> {
        let (durable, is_durable) = oneshot::channel();
        let result = {
            let mut state = self.state();
            let mut out = Output::default();
            let result = happen(&mut state.groups, self.clock.now_ms(), &mut out);
            let happened = Happened {
                groups: out,
                durable: Some(durable),
                ..Happened::default()
            };
            self.hand_on(&mut state, happened);
            result
        };
        is_durable.await.map_err(|_| Unavailable)?;
        Ok(result)
    }

    /// Lets a member of a group whose partitions the coordinator assigns be heard of. The groups are
    /// told of the topics that came, grew or went since the last one.
    pub(crate) async fn heard_of(
        &self,
        context: &Context<'_>,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<ConsumerGroupHeartbeatResponse, Unavailable> {
        let client_host = client_host(context.peer);
        let (durable, is_durable) = oneshot::channel();
        let answer = {
            let mut state = self.state();
            state.look_at_topics(&context.broker.store);
            let caller = Caller {
                ticket: Ticket(0),
                version: context.version(),
                client_id: context.header.client_id.as_deref().unwrap_or_default(),
                client_host: &client_host,
                random: Uuid::new_v4(),
            };
            let (mut out, now_ms) = (Output::default(), self.clock.now_ms());
            let groups = &mut state.groups;
            let answer = groups.consumer_group_heartbeat(now_ms, &caller, request, &mut out);
            let happened = Happened {
                groups: out,
                durable: Some(durable),
                ..Happened::default()
            };
            self.hand_on(&mut state, happened);
            answer
        };
        is_durable.await.map_err(|_| Unavailable)?;
        Ok(answer)
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
            // Members of the classic protocol may be in a group for which the coordinator assigns.
            state.look_at_topics(&context.broker.store);
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
            self.hand_on(&mut state, out.into());
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
        self.hand_on(&mut state, out.into());
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands what came of something to the keeper.
    pub(crate) fn hand_on(&self, state: &mut State, happened: Happened) {
        let Happened {
            groups: out,
            transactions,
            durable,
            mut written,
        } = happened;
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
        let of_groups = out.facts.into_iter().map(|fact| (GROUPS, fact));
        let of_transactions = transactions.facts.into_iter();
        let of_transactions = of_transactions.map(|fact| (TRANSACTIONS, fact));
        let ending = |marker| Ending {
            marker,
            written: written.take(),
        };
        let step = Step {
            endings: transactions.markers.into_iter().map(ending).collect(),
            facts: of_groups.chain(of_transactions).collect(),
            answers,
            durable,
        };
        state.handed_on += u64::from(!step.facts.is_empty());
        if !step.is_nothing() {
            // Without a keeper nothing is answered: those who wait see their channels close.
            _ = state.steps.send(step);
        }
        if let Some(due_ms) = state.next_deadline_ms()
            && state.awake_ms.is_none_or(|awake_ms| due_ms < awake_ms)
        {
            self.earlier.notify_one();
        }
    }

    /// Does what is due, when it is due.
    pub(crate) async fn keep_time(&self) {
        loop {
            let wait = {
                let mut state = self.state();
                let now_ms = self.clock.now_ms();
                let is_due = |due_ms| due_ms <= now_ms;
                if state.next_deadline_ms().is_some_and(is_due) {
                    let mut happened = Happened::default();
                    state.groups.tick(now_ms, &mut happened.groups);
                    let transactions = &mut happened.transactions;
                    state.transactions.tick(now_ms, transactions);
                    self.hand_on(&mut state, happened);
                }
                state.awake_ms = state.next_deadline_ms();
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

impl State {
    /// Whether all that has happened is durable.
    pub(crate) fn is_kept(&self, kept: &AtomicU64) -> bool {
        kept.load(Ordering::Acquire) == self.handed_on
    }

    /// Tells the groups of the topics that came, grew or went since they were last told.
    fn look_at_topics(&mut self, store: &Store) {
        if self.topics_version != store.topics_version() {
            self.topics_version = tell_topics(store, &mut self.groups);
        }
    }

    /// When something is due, if anything is.
    fn next_deadline_ms(&self) -> Option<i64> {
        let (groups, transactions) = (&self.groups, &self.transactions);
        let times = [groups.next_deadline_ms(), transactions.next_deadline_ms()];
        times.into_iter().flatten().min()
    }
}

impl From<Output> for Happened {
    fn from(groups: Output) -> Self {
        Self {
            groups,
            ..Self::default()
        }
    }
}

impl fmt::Debug for Coordinator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coordinator").finish_non_exhaustive()
    }
}

/// Says which topics there are; in which version.
fn tell_topics(store: &Store, groups: &mut Groups) -> u64 {
    // Before the topics: what changes in between is looked at again.
    let version = store.topics_version();
    let topics = store.topics();
    for topic in &topics {
        groups.put_topic(&topic.name, topic.id, topic.partitions);
    }
    let names: HashSet<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
    groups.retain_topics(|name| names.contains(name));
    version
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
    // So is a member of one whose partitions the server assigns, with what it says of itself, what of that
    // was read, and what it owns.
    let defaults = GroupConfig::default();
    let member_bytes_max = count(config.store.segment_bytes / 8);
    GroupConfig {
        consumer_member_bytes_max: defaults.consumer_member_bytes_max.min(member_bytes_max),
        session_timeout_ms_min: timeout_ms(kafka.group_session_timeout_ms_min),
        session_timeout_ms_max: timeout_ms(kafka.group_session_timeout_ms_max),
        initial_rebalance_delay_ms: time_ms(kafka.group_initial_rebalance_delay_ms),
        consumer_session_timeout_ms: time_ms(kafka.group_consumer_session_timeout_ms),
        consumer_heartbeat_interval_ms: timeout_ms(kafka.group_consumer_heartbeat_interval_ms),
        // Names were checked with the configuration.
        migration_policy: MigrationPolicy::parse(&kafka.group_consumer_migration_policy)
            .unwrap_or_default(),
        groups_max: count(kafka.groups_max),
        groups_bytes_max: count(kafka.groups_bytes_max),
        group_members_max: count(kafka.group_members_max),
        group_bytes_max: count(group_bytes_max),
        offset_metadata_bytes_max: count(kafka.offset_metadata_bytes_max),
        group_offsets_max: count(kafka.group_offsets_max),
        offsets_retention_ms: time_ms(kafka.offsets_retention_ms),
        ..defaults
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
        assert_eq!(group_config(&config).consumer_member_bytes_max, 128 << 10);
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
