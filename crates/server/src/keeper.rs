//! What happens to groups and transactions, made durable in its order; and the ends of transactions,
//! written to their partitions.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fletch_coordinator::{Fact, Marker};
use fletch_store::{Store, StoreError};
use fletch_wire::ResponseBody;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::groups::Coordinator;
use crate::transactions;

/// Under which name the log keeps the facts of groups.
pub(crate) const GROUPS: &str = "groups";
/// Under which name the log keeps the facts of transactions.
pub(crate) const TRANSACTIONS: &str = "transactions";

/// Most steps that share a flush of the log.
const STEPS_MAX: usize = 4096;

/// What came of one thing that happened. (At most one a connection is on its way, one of its Produce
/// requests, and one a transactional id, so that the queue of steps is bounded by these.)
#[derive(Default)]
pub(crate) struct Step {
    /// With the rooms of the log that keep them.
    pub(crate) facts: Vec<(&'static str, Fact)>,
    pub(crate) answers: Vec<(oneshot::Sender<ResponseBody>, ResponseBody)>,
    /// Told when all facts so far are durable.
    pub(crate) durable: Option<oneshot::Sender<()>>,
    /// Transactions that are decided when all facts so far are durable.
    pub(crate) endings: Vec<Ending>,
}

/// The end of a transaction, which its partitions and groups are to be told.
pub(crate) struct Ending {
    pub(crate) marker: Marker,
    /// Told when they know.
    pub(crate) written: Option<oneshot::Sender<()>>,
}

impl Step {
    pub(crate) fn is_nothing(&self) -> bool {
        self.facts.is_empty()
            && self.answers.is_empty()
            && self.durable.is_none()
            && self.endings.is_empty()
    }
}

/// What runs for groups and transactions in the background.
pub(crate) struct Keeper {
    coordinator: Arc<Coordinator>,
    store: Store,
    steps: mpsc::UnboundedReceiver<Step>,
}

impl Keeper {
    pub(crate) fn new(
        coordinator: Arc<Coordinator>,
        store: Store,
        steps: mpsc::UnboundedReceiver<Step>,
    ) -> Self {
        Self {
            coordinator,
            store,
            steps,
        }
    }

    /// Keeps the time, and what happens, until told to stop; what has happened by then is kept. A
    /// transaction that is decided and not told to all its partitions is told after the next start.
    pub(crate) async fn keep(self, stop: CancellationToken) {
        let Self {
            coordinator,
            store,
            mut steps,
        } = self;
        let (decided, endings) = mpsc::unbounded_channel();
        let time = coordinator.keep_time();
        let keeping = keep_steps(&coordinator, &store, &mut steps, &decided, &stop);
        tokio::select! {
            () = time => {}
            () = end_transactions(&coordinator, &store, endings) => {}
            kept = keeping => if let Err(error) = kept {
                error!(%error, "what happens to groups and transactions can't be kept");
            },
        }
    }
}

async fn keep_steps(
    coordinator: &Coordinator,
    store: &Store,
    steps: &mut mpsc::UnboundedReceiver<Step>,
    decided: &mpsc::UnboundedSender<Ending>,
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
        let with_facts = batch.iter().filter(|step| !step.facts.is_empty()).count();
        for (room, fact) in batch.iter_mut().flat_map(|step| step.facts.drain(..)) {
            last = Some(store.queue_note(room, &fact.key, fact.value).await?);
        }
        // The log is in order: with the last one, all are durable.
        if let Some(last) = last {
            last.await?;
            coordinator
                .kept
                .fetch_add(with_facts as u64, Ordering::Release);
        }
        for step in batch.drain(..) {
            // Whoever waits may have gone.
            for (waiting, answer) in step.answers {
                _ = waiting.send(answer);
            }
            if let Some(durable) = step.durable {
                _ = durable.send(());
            }
            for ending in step.endings {
                _ = decided.send(ending);
            }
        }
    }
}

/// Ends transactions, each in its own time: one with many partitions, or one that has to wait for a
/// batch, holds up no other. (A transactional id ends one at a time.)
async fn end_transactions(
    coordinator: &Arc<Coordinator>,
    store: &Store,
    mut endings: mpsc::UnboundedReceiver<Ending>,
) {
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            ending = endings.recv() => {
                let Some(ending) = ending else { return };
                let (coordinator, store) = (Arc::clone(coordinator), store.clone());
                under_way.spawn(async move {
                    transactions::end(&coordinator, &store, ending).await;
                });
            }
            Some(_ended) = under_way.join_next() => {}
        }
    }
}
