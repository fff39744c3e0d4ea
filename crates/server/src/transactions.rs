//! Transactions: what their producers ask, which batches they may write, and how they end.
//!
//! The order is what makes them safe. A transaction is decided when the decision is durable. Then
//! those of its batches that are still on their way to the log get there, then each partition gets
//! its marker, then its groups their offsets, and then it is over, which is durable as well. A crash
//! on the way leaves a decision that isn't over, and the next start goes on from there; a partition
//! that has its marker takes no second one.

use std::collections::HashSet;
use std::sync::Arc;

use fletch_coordinator::{Groups, Output, TransactionConfig, TransactionOutput, Transactions};
use fletch_store::{AppendError, Store, StoreError};
use fletch_wire::ErrorCode;
use futures_util::future::join_all;
use metrics::counter;
use tokio::sync::oneshot;
use tracing::{error, info};

use crate::config::Config;
use crate::error::ServerError;
use crate::groups::{Coordinator, Happened, Unavailable};
use crate::handlers::Context;
use crate::keeper::Ending;

/// Most bytes that a partition may take in what is kept of a transaction: the longest name of a topic
/// and some numbers.
const PARTITION_BYTES_MAX: u64 = 512;
/// What the names in a transaction may take however few partitions it may have: those of a few groups,
/// which can be long.
const TRANSACTION_BYTES_MIN: u64 = 256 << 10;

impl Coordinator {
    /// Lets something happen to transactions, and gives what came of it once all it depends on is
    /// durable. If it ends a transaction, that is over then, unless the connection closes before: a
    /// producer that has its answer can begin the next one, and what it committed can be read.
    pub(crate) async fn transact<R>(
        &self,
        context: &Context<'_>,
        happen: impl FnOnce(&mut Transactions, i64, &mut TransactionOutput) -> R,
    ) -> Result<R, Unavailable> {
        let (durable, is_durable) = oneshot::channel();
        let (written, are_written) = oneshot::channel();
        let (result, ends) = {
            let mut state = self.state();
            let mut out = TransactionOutput::default();
            let result = happen(&mut state.transactions, self.clock.now_ms(), &mut out);
            let ends = !out.markers.is_empty();
            let happened = Happened {
                transactions: out,
                durable: Some(durable),
                written: Some(written),
                ..Happened::default()
            };
            self.hand_on(&mut state, happened);
            (result, ends)
        };
        is_durable.await.map_err(|_| Unavailable)?;
        if ends {
            tokio::select! {
                _ = are_written => {}
                () = context.closing.cancelled() => {}
            }
        }
        Ok(result)
    }

    /// Lets something happen to groups that is part of a transaction, if it may be: both are looked at
    /// in the same moment, so that the transaction can't end in between.
    pub(crate) async fn commit_in_transaction<R>(
        &self,
        check: impl FnOnce(&mut Transactions, i64, &mut TransactionOutput) -> Result<(), ErrorCode>,
        happen: impl FnOnce(&mut Groups, i64, &mut Output) -> R,
    ) -> Result<Result<R, ErrorCode>, Unavailable> {
        let (durable, is_durable) = oneshot::channel();
        let result = {
            let mut state = self.state();
            let now_ms = self.clock.now_ms();
            let mut of_transaction = TransactionOutput::default();
            if let Err(error) = check(&mut state.transactions, now_ms, &mut of_transaction) {
                return Ok(Err(error));
            }
            let mut out = Output::default();
            let result = happen(&mut state.groups, now_ms, &mut out);
            // What is kept of the transaction comes first: offsets are never in one that doesn't know.
            let happened = Happened {
                transactions: of_transaction,
                ..Happened::default()
            };
            self.hand_on(&mut state, happened);
            let happened = Happened {
                groups: out,
                durable: Some(durable),
                ..Happened::default()
            };
            self.hand_on(&mut state, happened);
            result
        };
        is_durable.await.map_err(|_| Unavailable)?;
        Ok(Ok(result))
    }

    /// Adds partitions to a producer's transaction because it writes to them (KIP-890), and waits until
    /// that is durable. Only then may their batches follow: one that is in the log, and whose transaction
    /// a crash made forget it, would be aborted by the next start, and its retry be taken for a duplicate.
    ///
    /// # Errors
    /// What to answer if it may not write to them.
    pub(crate) async fn add_produced(
        &self,
        transactional_id: &str,
        producer: (i64, i16),
        partitions: &[(&str, i32)],
    ) -> Result<(), ErrorCode> {
        let (durable, is_durable) = oneshot::channel();
        {
            let mut state = self.state();
            let mut out = TransactionOutput::default();
            let (transactions, now_ms) = (&mut state.transactions, self.clock.now_ms());
            transactions
                .add_produced(now_ms, transactional_id, producer, partitions, &mut out)
                .map_err(as_old_epoch)?;
            if out.facts.is_empty() && state.is_kept(&self.kept) {
                return Ok(());
            }
            let happened = Happened {
                transactions: out,
                durable: Some(durable),
                ..Happened::default()
            };
            self.hand_on(&mut state, happened);
        }
        let kept = is_durable.await;
        // As Kafka says it where a partition can't ask the transaction's coordinator: try again.
        kept.map_err(|_| ErrorCode::NOT_ENOUGH_REPLICAS)
    }

    /// Whether a batch may be appended to a partition in a transaction. Until what is given back is
    /// dropped, the transaction gets no marker: the batch must have its place in the log by then.
    ///
    /// # Errors
    /// What to answer if it may not.
    pub(crate) fn submit(
        &self,
        transactional_id: &str,
        producer: (i64, i16),
        topic: &str,
        partition: i32,
    ) -> Result<Submitting<'_>, ErrorCode> {
        let mut state = self.state();
        let transactions = &mut state.transactions;
        transactions
            .check_produce(transactional_id, producer, topic, partition)
            // What producers are told in an answer to Produce, whatever its version.
            .map_err(as_old_epoch)?;
        let id: Arc<str> = transactional_id.into();
        *state.submitting.entry(id.clone()).or_default() += 1;
        Ok(Submitting {
            coordinator: self,
            id,
        })
    }

    /// Waits until no batch of a transactional id is on its way to the log.
    async fn all_submitted(&self, transactional_id: &str) {
        loop {
            let submitted = self.submitted.notified();
            tokio::pin!(submitted);
            // From here on nothing is missed.
            submitted.as_mut().enable();
            if !self.state().submitting.contains_key(transactional_id) {
                return;
            }
            submitted.await;
        }
    }
}

/// A batch of a transaction on its way to the log; no longer when this is dropped.
pub(crate) struct Submitting<'a> {
    coordinator: &'a Coordinator,
    id: Arc<str>,
}

impl Drop for Submitting<'_> {
    fn drop(&mut self) {
        let mut state = self.coordinator.state();
        if let Some(count) = state.submitting.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                state.submitting.remove(&self.id);
                self.coordinator.submitted.notify_waiters();
            }
        }
    }
}

/// The older of the two errors for a producer that another has taken the place of.
pub(crate) fn as_old_epoch(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::PRODUCER_FENCED => ErrorCode::INVALID_PRODUCER_EPOCH,
        error => error,
    }
}

/// Tells a transaction's end to its partitions and its groups. If that doesn't succeed, the log is
/// broken, and the next start goes on with it.
pub(crate) async fn end(coordinator: &Coordinator, store: &Store, ending: Ending) {
    let Ending { marker, written } = ending;
    coordinator.all_submitted(&marker.transactional_id).await;
    let producer = (marker.producer_id, marker.producer_epoch);
    let topics = marker.partitions.iter().filter_map(|(name, partitions)| {
        // What is deleted needs no marker.
        Some((store.topic(name)?.id, partitions))
    });
    let partitions =
        topics.flat_map(|(topic, partitions)| partitions.iter().map(move |one| (topic, *one)));
    let markers = partitions.map(|(topic, partition)| {
        store.end_transaction(topic, partition, producer, marker.committed)
    });
    for ended in join_all(markers).await {
        match ended {
            Ok(_) | Err(AppendError::UnknownPartition { .. }) => {}
            Err(AppendError::Storage(problem)) => {
                error!(id = marker.transactional_id, error = %problem, "a transaction can't be ended");
                return;
            }
            // A partition knows a newer epoch than the coordinator, which can't be.
            Err(problem) => {
                error!(id = marker.transactional_id, error = %problem, "a marker is refused");
            }
        }
    }
    let result = if marker.committed { "commit" } else { "abort" };
    counter!("kafka_transactions", "result" => result).increment(1);
    let mut state = coordinator.state();
    let mut happened = Happened::default();
    for group in &marker.groups {
        let (id, committed) = (marker.producer_id, marker.committed);
        let out = &mut happened.groups;
        state.groups.end_transaction(group, id, committed, out);
    }
    coordinator.hand_on(&mut state, happened);
    let mut happened = Happened::default();
    let now_ms = coordinator.clock.now_ms();
    let out = &mut happened.transactions;
    state.transactions.markers_written(now_ms, &marker, out);
    coordinator.hand_on(&mut state, happened);
    drop(state);
    if let Some(written) = written {
        // Whoever waited may have gone.
        _ = written.send(());
    }
}

/// Aborts what is open in the log and unknown to the coordinator: a batch that overtook the fact that
/// its partition is in the transaction, which a crash then took away. Nobody was told of either.
pub(crate) async fn abort_orphans(
    store: &Store,
    transactions: &Transactions,
) -> Result<(), ServerError> {
    let open = store.open_transactions();
    if open.is_empty() {
        return Ok(());
    }
    let known: HashSet<(i64, &str, i32)> = transactions.open_partitions().collect();
    for open in open {
        let Some(topic) = store.topic_by_id(open.topic_id) else {
            continue;
        };
        let (producer_id, partition) = (open.producer_id, open.partition);
        if known.contains(&(producer_id, &*topic.name, partition)) {
            continue;
        }
        info!(topic = %topic.name, partition, producer_id, "aborting a transaction that nobody knows");
        let producer = (producer_id, open.epoch);
        let aborted = store.end_transaction(topic.id, partition, producer, false);
        if let Err(problem) = aborted.await {
            return Err(match problem {
                AppendError::Storage(error) => ServerError::Store(error),
                _ => ServerError::Store(StoreError::Closed),
            });
        }
    }
    Ok(())
}

pub(crate) fn transaction_config(config: &Config) -> TransactionConfig {
    let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let kafka = &config.kafka;
    // A transaction is one note, which has to fit a segment; half of one leaves room for its other words.
    let segment_bytes = config.store.segment_bytes / 2;
    let partitions_max = kafka.transaction_partitions_max;
    let partitions_max = partitions_max.min(segment_bytes / PARTITION_BYTES_MAX);
    let bytes_max = (partitions_max * PARTITION_BYTES_MAX).max(TRANSACTION_BYTES_MIN);
    TransactionConfig {
        timeout_ms_max: i32::try_from(kafka.transaction_timeout_ms_max).unwrap_or(i32::MAX),
        id_retention_ms: i64::try_from(kafka.transactional_id_retention_ms).unwrap_or(i64::MAX),
        ids_max: count(kafka.transactional_ids_max),
        partitions_max: count(partitions_max),
        bytes_max: count(bytes_max.min(segment_bytes)),
    }
}
