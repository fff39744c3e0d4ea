//! Transactions: who may write under a transactional id, what its transaction has touched, and how it
//! ends.
//!
//! ```text
//!            AddPartitionsToTxn            EndTxn, the timeout,           all markers
//!            AddOffsetsToTxn               a new producer                 are written
//! Empty ─────────────────────▶ Ongoing ─────────────────▶ Preparing ────────────────▶ Complete
//!                                 ▲                                                      │
//!                                 └──────────────────────────────────────────────────────┘
//! ```
//!
//! In the second version of the protocol (KIP-890, `transaction.version` 2), Produce and TxnOffsetCommit
//! add to the transaction what they name, and each end gives the producer another epoch, that of the
//! markers: whatever is still on its way under the old one is refused. Both versions share the ids.
//!
//! A decision is a fact before anybody hears of it, and its markers are written as often as it takes:
//! [`Transactions::start`] asks for those that a restart has interrupted.

mod admin;
mod requests;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;

use fletch_wire::ErrorCode;

use self::state::{State, Transaction};
use crate::config::TransactionConfig;
use crate::error::Error;
use crate::fact::{Fact, Value};
use crate::timers::Timers;

/// The beginning of the keys of the facts.
const KEY: &str = "transaction/";

/// The end of a transaction, to be written where it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// The transactional id, for [`Transactions::markers_written`].
    pub transactional_id: String,
    /// The producer id of the marker.
    pub producer_id: i64,
    /// The epoch of the marker, with which its partitions fence older ones.
    pub producer_epoch: i16,
    /// Whether the transaction is committed, or else aborted.
    pub committed: bool,
    /// The partitions in which a control batch is to be written, by topic. Topics that are deleted
    /// may be left out.
    pub partitions: Vec<(String, Vec<i32>)>,
    /// The groups for which [`Groups::end_transaction`](crate::Groups::end_transaction) is to be
    /// called.
    pub groups: Vec<String>,
}

/// What is to be done.
///
/// Facts are to be made durable in their order. An answer may be delivered, and a marker be written,
/// when all facts before it are durable: those of its own output and those of outputs before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransactionOutput {
    /// What to make durable.
    pub facts: Vec<Fact>,
    /// What to write.
    pub markers: Vec<Marker>,
}

/// All transactional ids.
///
/// Time is a number of milliseconds that every call brings along, of the wall clock.
#[derive(Debug)]
pub struct Transactions {
    config: TransactionConfig,
    ids: BTreeMap<Arc<str>, Transaction>,
    timers: Timers<Arc<str>>,
}

impl Transactions {
    /// No transactional ids yet.
    pub fn new(config: TransactionConfig) -> Self {
        Self {
            config,
            ids: BTreeMap::new(),
            timers: Timers::default(),
        }
    }

    /// Takes a fact that was kept: what [`TransactionOutput::facts`] said before a restart. Of several
    /// facts with the same key the last one counts; the order of the keys doesn't matter.
    ///
    /// # Errors
    /// If the fact is damaged, or of a later release. It is left out then.
    pub fn apply(&mut self, key: &str, value: Option<&[u8]>) -> Result<(), Error> {
        let unknown = || Error::Key {
            key: key.to_owned(),
        };
        let id = key.strip_prefix(KEY).ok_or_else(unknown)?;
        match value {
            None => _ = self.ids.remove(id),
            Some(value) => {
                let transaction = Transaction::decode(key, value)?;
                self.ids.insert(id.into(), transaction);
            }
        }
        Ok(())
    }

    /// Begins, after all facts are applied: asks again for the markers of transactions that are
    /// decided and whose end isn't kept.
    pub fn start(&mut self, now_ms: i64, out: &mut TransactionOutput) {
        let ids: Vec<Arc<str>> = self.ids.keys().cloned().collect();
        for id in ids {
            self.set_alarm(now_ms, &id);
            if let Some(transaction) = self.ids.get(&id)
                && let State::Preparing { committed } = transaction.state
            {
                out.markers.push(marker(&id, transaction, committed));
            }
        }
    }

    /// What is in transactions that aren't over: producer, topic, partition.
    pub fn open_partitions(&self) -> impl Iterator<Item = (i64, &str, i32)> {
        let is_open = |transaction: &&Transaction| match transaction.state {
            State::Ongoing | State::Preparing { .. } => true,
            State::Empty | State::Complete { .. } => false,
        };
        let open = self.ids.values().filter(is_open);
        open.flat_map(|transaction| {
            let topics = transaction.partitions.iter();
            topics.flat_map(|(topic, partitions)| {
                let place = |partition: &i32| (transaction.producer_id, &**topic, *partition);
                partitions.iter().map(place)
            })
        })
    }

    /// When [`Transactions::tick`] is due, if it ever is.
    pub fn next_deadline_ms(&self) -> Option<i64> {
        self.timers.next_ms()
    }

    /// Does what is due: aborts transactions that take too long, forgets ids that nobody uses.
    pub fn tick(&mut self, now_ms: i64, out: &mut TransactionOutput) {
        while let Some(id) = self.timers.pop(now_ms) {
            let Some(transaction) = self.ids.get_mut(&id) else {
                continue;
            };
            if !self.timers.is_due(&mut transaction.alarm, now_ms, &id) {
                continue;
            }
            match transaction.state {
                State::Ongoing => self.fence(now_ms, &id, out),
                State::Empty | State::Complete { .. } => {
                    self.ids.remove(&id);
                    let key = format!("{KEY}{id}");
                    out.facts.push(Fact { key, value: None });
                }
                State::Preparing { .. } => {}
            }
        }
    }

    /// The markers of a transaction are written. Its id may begin another one.
    pub fn markers_written(&mut self, now_ms: i64, marker: &Marker, out: &mut TransactionOutput) {
        let Some((id, transaction)) = self.get_mut(&marker.transactional_id) else {
            return;
        };
        let is_its = transaction.producer_id == marker.producer_id
            && transaction.epoch == marker.producer_epoch;
        let committed = marker.committed;
        if !is_its || transaction.state != (State::Preparing { committed }) {
            // Those of a start of before.
            return;
        }
        transaction.state = State::Complete { committed };
        if let Some(next) = transaction.next_producer_id.take() {
            (transaction.producer_id, transaction.epoch) = (next, 0);
        }
        transaction.partitions.clear();
        transaction.groups.clear();
        transaction.changed_ms = now_ms;
        self.changed(now_ms, &id, out);
    }

    /// The facts that say all there is: what a fold over every fact so far comes to.
    pub fn facts(&self) -> Vec<Fact> {
        let facts = self.ids.iter();
        facts
            .map(|(id, transaction)| fact(id, transaction))
            .collect()
    }

    fn get_mut(&mut self, id: &str) -> Option<(Arc<str>, &mut Transaction)> {
        let (id, _) = self.ids.get_key_value(id)?;
        let id = id.clone();
        let transaction = self.ids.get_mut(&id)?;
        Some((id, transaction))
    }

    /// Keeps a change, and sets the alarm that follows from it.
    fn changed(&mut self, now_ms: i64, id: &Arc<str>, out: &mut TransactionOutput) {
        if let Some(transaction) = self.ids.get(id) {
            out.facts.push(fact(id, transaction));
        }
        self.set_alarm(now_ms, id);
    }

    fn set_alarm(&mut self, now_ms: i64, id: &Arc<str>) {
        let Some(transaction) = self.ids.get_mut(id) else {
            return;
        };
        let alarm = &mut transaction.alarm;
        let due_ms = match transaction.state {
            State::Ongoing => transaction
                .began_ms
                .saturating_add(transaction.timeout_ms.into()),
            State::Empty | State::Complete { .. } => transaction
                .changed_ms
                .saturating_add(self.config.id_retention_ms),
            State::Preparing { .. } => return self.timers.cancel(alarm, || id.clone()),
        };
        self.timers.set(alarm, due_ms.max(now_ms), || id.clone());
    }

    /// Decides a transaction, and asks for its markers.
    fn decide(&mut self, now_ms: i64, id: &Arc<str>, committed: bool, out: &mut TransactionOutput) {
        let Some(transaction) = self.ids.get_mut(id) else {
            return;
        };
        transaction.state = State::Preparing { committed };
        transaction.changed_ms = now_ms;
        out.markers.push(marker(id, transaction, committed));
        self.changed(now_ms, id, out);
    }

    /// Aborts a transaction under a new epoch, so that its producer can't go on.
    fn fence(&mut self, now_ms: i64, id: &Arc<str>, out: &mut TransactionOutput) {
        if let Some(transaction) = self.ids.get_mut(id) {
            transaction.epoch = transaction.epoch.saturating_add(1);
            transaction.before = None;
        }
        self.decide(now_ms, id, false, out);
    }

    /// The transactional id, if the producer is the one that has it.
    fn check_producer(
        &mut self,
        id: &str,
        (producer_id, epoch): (i64, i16),
    ) -> Result<(Arc<str>, &mut Transaction), ErrorCode> {
        let unknown = ErrorCode::INVALID_PRODUCER_ID_MAPPING;
        let (id, transaction) = self.get_mut(id).ok_or(unknown)?;
        if transaction.producer_id != producer_id {
            return Err(unknown);
        }
        if transaction.epoch != epoch {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        Ok((id, transaction))
    }
}

fn fact(id: &str, transaction: &Transaction) -> Fact {
    Fact {
        key: format!("{KEY}{id}"),
        value: Some(transaction.encode()),
    }
}

fn marker(id: &str, transaction: &Transaction, committed: bool) -> Marker {
    let partitions = transaction.partitions.iter();
    Marker {
        transactional_id: id.to_owned(),
        producer_id: transaction.producer_id,
        producer_epoch: transaction.epoch,
        committed,
        partitions: partitions
            .map(|(topic, partitions)| (topic.to_string(), partitions.iter().copied().collect()))
            .collect(),
        groups: transaction
            .groups
            .iter()
            .map(|group| group.to_string())
            .collect(),
    }
}
