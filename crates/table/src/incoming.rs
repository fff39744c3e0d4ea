//! What a topic's log has that hasn't been taken yet.

use std::collections::{BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;

use fletch_store::{ReadError, Store};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;
use uuid::Uuid;

use crate::TableError;
use crate::convert::Input;
use crate::offsets::Offsets;

type Changed = Pin<Box<dyn Future<Output = (i32, Option<watch::Receiver<i64>>)> + Send>>;

/// The partitions of one topic: how far each was taken, and how far it goes.
///
/// Partitions are read in passes: a pass takes each partition, in ascending order, to where it
/// ended when the pass began. So rows come in order of partition and offset within a pass, and
/// no partition waits for another that never ends.
///
/// A partition goes as far as its transactions are decided: a table has committed records only.
pub(crate) struct Incoming {
    store: Store,
    topic_id: Uuid,
    /// Next offset to take and known end, by partition.
    partitions: Vec<Span>,
    waiting: FuturesUnordered<Changed>,
    /// Partitions that have something to take.
    pending: BTreeSet<i32>,
    /// Partitions that are to be left alone for now.
    parked: BTreeSet<i32>,
    pass: VecDeque<(i32, i64)>,
    deleted: bool,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    next: i64,
    high: i64,
}

impl Incoming {
    pub(crate) fn new(store: Store, topic_id: Uuid) -> Self {
        Self {
            store,
            topic_id,
            partitions: Vec::new(),
            waiting: FuturesUnordered::new(),
            pending: BTreeSet::new(),
            parked: BTreeSet::new(),
            pass: VecDeque::new(),
            deleted: false,
        }
    }

    /// Starts to follow partitions that weren't there before, from the recorded offsets on.
    pub(crate) fn follow(&mut self, recorded: &Offsets) -> Result<(), TableError> {
        let Some(topic) = self.store.topic_by_id(self.topic_id) else {
            self.deleted = true;
            return Ok(());
        };
        for partition in i32::try_from(self.partitions.len()).unwrap_or(i32::MAX)..topic.partitions
        {
            let (Some(receiver), Some(marks)) = (
                self.store.watch_stable(self.topic_id, partition),
                self.store.watermarks(self.topic_id, partition),
            ) else {
                self.deleted = true;
                return Ok(());
            };
            let recorded = recorded.get(partition);
            if recorded > marks.high {
                return Err(TableError::Unreadable {
                    table: topic.name.clone(),
                    why: format!(
                        "it records offset {recorded} of partition {partition}, whose log ends at {}",
                        marks.high
                    ),
                });
            }
            if recorded < marks.log_start && recorded > 0 {
                tracing::warn!(
                    topic = topic.name,
                    partition,
                    recorded,
                    log_start = marks.log_start,
                    "records were trimmed before the table took them"
                );
            }
            let next = recorded.max(marks.log_start);
            self.partitions.push(Span { next, high: next });
            self.wait(partition, receiver);
            self.reaches(partition, marks.stable);
        }
        Ok(())
    }

    fn wait(&mut self, partition: i32, mut receiver: watch::Receiver<i64>) {
        self.waiting.push(Box::pin(async move {
            let alive = receiver.changed().await.is_ok();
            (partition, alive.then_some(receiver))
        }));
    }

    fn span(&mut self, partition: i32) -> Option<&mut Span> {
        self.partitions.get_mut(usize::try_from(partition).ok()?)
    }

    fn reaches(&mut self, partition: i32, high: i64) {
        let Some(span) = self.span(partition) else {
            return;
        };
        span.high = span.high.max(high);
        if span.high > span.next {
            self.pending.insert(partition);
        }
    }

    /// Waits until some partition has grown, or has more decided, or the topic is deleted.
    pub(crate) async fn grown(&mut self) {
        if self.deleted {
            return;
        }
        match self.waiting.next().await {
            Some(changed) => self.changed(changed),
            None => std::future::pending().await,
        }
        self.refresh();
    }

    /// Takes note of all growth so far without waiting.
    pub(crate) fn refresh(&mut self) {
        while let Some(Some(changed)) = futures_util::FutureExt::now_or_never(self.waiting.next()) {
            self.changed(changed);
        }
    }

    fn changed(&mut self, (partition, receiver): (i32, Option<watch::Receiver<i64>>)) {
        match receiver {
            None => self.deleted = true,
            Some(mut receiver) => {
                let high = *receiver.borrow_and_update();
                self.reaches(partition, high);
                self.wait(partition, receiver);
            }
        }
    }

    /// The topic is gone.
    pub(crate) fn deleted(&self) -> bool {
        self.deleted
    }

    /// Sum of the partitions' ends.
    pub(crate) fn end(&self) -> i64 {
        self.partitions.iter().map(|span| span.high).sum()
    }

    /// Is there something that can be taken now?
    pub(crate) fn ready(&self) -> bool {
        self.pending
            .iter()
            .any(|partition| !self.parked.contains(partition))
    }

    /// Records that can be taken now.
    pub(crate) fn ready_records(&self) -> u64 {
        let ready = self
            .pending
            .iter()
            .filter(|partition| !self.parked.contains(partition));
        ready
            .filter_map(|partition| self.partitions.get(usize::try_from(*partition).ok()?))
            .map(|span| u64::try_from(span.high - span.next).unwrap_or(0))
            .sum()
    }

    /// Leaves a partition alone until it is [released](Self::release).
    pub(crate) fn park(&mut self, partition: i32) {
        self.parked.insert(partition);
    }

    pub(crate) fn release(&mut self, partition: i32) {
        self.parked.remove(&partition);
    }

    fn took(&mut self, partition: i32, next: i64) {
        let Some(span) = self.span(partition) else {
            return;
        };
        span.next = next;
        if span.next >= span.high {
            self.pending.remove(&partition);
        }
    }

    /// What was read from offset `next` on couldn't be used: it is to be read again.
    pub(crate) fn put_back(&mut self, partition: i32, next: i64) {
        let Some(span) = self.span(partition) else {
            return;
        };
        span.next = span.next.min(next);
        if span.next < span.high {
            self.pending.insert(partition);
        }
    }

    /// Reads on, about as many bytes as given and at least one batch, if there is something ready.
    pub(crate) async fn read(&mut self, bytes_max: usize) -> Result<Vec<Input>, TableError> {
        let mut inputs = Vec::new();
        let mut left = bytes_max;
        if self.pass.is_empty() {
            let ends = self.pending.iter().filter_map(|partition| {
                let span = self.partitions.get(usize::try_from(*partition).ok()?)?;
                Some((*partition, span.high))
            });
            self.pass = ends.collect();
        }
        while let Some(&(partition, until)) = self.pass.front() {
            let next = self.span(partition).map_or(until, |span| span.next);
            if next >= until || self.parked.contains(&partition) {
                self.pass.pop_front();
                continue;
            }
            if left == 0 {
                break;
            }
            match self
                .store
                .read_committed(self.topic_id, partition, next, left)
                .await
            {
                Ok(batches) => {
                    let bytes: usize = batches.iter().map(|batch| batch.as_sent().len()).sum();
                    left = left.saturating_sub(bytes);
                    let after = batches
                        .last()
                        .map_or(until, |batch| batch.last_offset() + 1);
                    self.took(partition, after);
                    inputs.push(Input {
                        partition,
                        from: next,
                        until: i64::MAX,
                        batches,
                    });
                    if after < until {
                        // The rest of this partition comes with the next call, before any other.
                        break;
                    }
                    self.pass.pop_front();
                }
                Err(ReadError::UnknownPartition { .. }) => {
                    self.deleted = true;
                    return Ok(Vec::new());
                }
                // Retention went past us: the store trims only what the table has taken, so this
                // is a log that was trimmed by hand. What is left of it is taken.
                Err(ReadError::OffsetOutOfRange { log_start, .. }) if next < log_start => {
                    tracing::warn!(%self.topic_id, partition, next, log_start, "records are gone");
                    self.took(partition, log_start);
                }
                Err(error) => return Err(TableError::Store(error.to_string())),
            }
        }
        Ok(inputs)
    }
}
