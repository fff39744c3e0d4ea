//! What is known about each topic's way into its table, for those who ask.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fletch_store::{Store, Topic};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::convert::TableSchemas;
use crate::offsets::Offsets;

/// Least time between two samples of a topic's end: the resolution of the lag in milliseconds.
const SAMPLE_EVERY: Duration = Duration::from_millis(50);

/// How a topic stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicStatus {
    /// The topic.
    pub topic: String,
    /// Its id.
    pub topic_id: Uuid,
    /// Records acknowledged but not in the table.
    pub lag_records: u64,
    /// How long the oldest of them has been waiting, in milliseconds.
    pub lag_ms: u64,
    /// Data files of the table.
    pub files: u64,
    /// Commits of data since the start.
    pub commits: u64,
    /// Dead letters since the start.
    pub dead_letters: u64,
    /// Why the topic doesn't get on, if it doesn't: the last error, until a commit succeeds.
    pub error: Option<String>,
    /// Why the schema registry doesn't answer, while records wait for that. They are in the log, and
    /// the table catches up.
    pub registry: Option<String>,
}

/// Shared by a topic's worker and those who watch it.
#[derive(Debug)]
pub(crate) struct TopicState {
    pub topic: String,
    pub topic_id: Uuid,
    /// Next offsets as committed; none before the table was looked at.
    pub committed: watch::Sender<Option<Offsets>>,
    /// Somebody wants everything acknowledged so far to be committed now.
    pub hurry: Notify,
    /// The worker is to end.
    pub stop: watch::Sender<Stop>,
    /// The schemas of the table's columns, as its worker has them.
    schemas: Mutex<TableSchemas>,
    inner: Mutex<Inner>,
}

/// Whether, and how, a worker is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It isn't.
    No,
    /// After committing everything acknowledged.
    Drained,
    /// At once: its topic is gone.
    Now,
}

#[derive(Debug, Default)]
struct Inner {
    files: u64,
    commits: u64,
    dead_letters: u64,
    error: Option<String>,
    registry: Option<String>,
    /// When the topic's end was seen at which sum of offsets, as far as not committed.
    seen: VecDeque<(Instant, i64)>,
}

impl TopicState {
    pub(crate) fn new(topic: &Topic) -> Self {
        Self {
            topic: topic.name.clone(),
            topic_id: topic.id,
            committed: watch::Sender::new(None),
            hurry: Notify::new(),
            stop: watch::Sender::new(Stop::No),
            schemas: Mutex::default(),
            inner: Mutex::default(),
        }
    }

    /// The schemas of the table's columns, as far as known.
    pub(crate) fn schemas(&self) -> TableSchemas {
        let schemas = self.schemas.lock();
        schemas.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The table's columns have these schemas now.
    pub(crate) fn has(&self, tables: TableSchemas) {
        let mut schemas = self.schemas.lock().unwrap_or_else(PoisonError::into_inner);
        *schemas = tables;
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sum of the partitions' high watermarks is this now.
    pub(crate) fn saw(&self, end: i64) {
        let mut inner = self.inner();
        let now = Instant::now();
        match inner.seen.back() {
            Some((_, last)) if *last >= end => {}
            Some((at, _)) if now.duration_since(*at) < SAMPLE_EVERY => {}
            _ => inner.seen.push_back((now, end)),
        }
        // An hour behind or ten: the oldest sample tells the lag, the others only how it shrinks.
        if inner.seen.len() > 4096 {
            let mut at = 0;
            inner.seen.retain(|_| {
                at += 1;
                at % 2 == 1
            });
        }
    }

    /// Everything below these offsets, whose sum is `end`, is in the table.
    pub(crate) fn committed(&self, offsets: Offsets, end: i64, files: u64, dead_letters: u64) {
        let mut inner = self.inner();
        inner.files = files;
        inner.dead_letters += dead_letters;
        inner.commits += 1;
        inner.error = None;
        while inner.seen.front().is_some_and(|(_, seen)| *seen <= end) {
            inner.seen.pop_front();
        }
        drop(inner);
        self.committed.send_replace(Some(offsets));
    }

    /// The table was looked at and stands there.
    pub(crate) fn opened(&self, offsets: Offsets, files: u64) {
        self.inner().files = files;
        self.committed.send_replace(Some(offsets));
    }

    pub(crate) fn failed(&self, error: &impl ToString) {
        self.inner().error = Some(error.to_string());
    }

    /// Records wait for a registry that doesn't answer, for this reason; or they don't.
    pub(crate) fn registry(&self, trouble: Option<&str>) {
        self.inner().registry = trouble.map(str::to_owned);
    }

    /// How the topic stands, by what the store and the table say now.
    pub(crate) fn status(&self, store: &Store) -> TopicStatus {
        let partitions = store
            .topic_by_id(self.topic_id)
            .map_or(0, |topic| topic.partitions);
        let committed = self.committed.borrow().clone().unwrap_or_default();
        let (mut lag_records, mut end) = (0, 0);
        for partition in 0..partitions {
            if let Some(marks) = store.watermarks(self.topic_id, partition) {
                let from = committed.get(partition).max(marks.log_start);
                lag_records += u64::try_from(marks.high - from).unwrap_or(0);
                end += marks.high;
            }
        }
        if lag_records > 0 {
            self.saw(end);
        }
        let inner = self.inner();
        let oldest = inner.seen.front().filter(|_| lag_records > 0);
        TopicStatus {
            topic: self.topic.clone(),
            topic_id: self.topic_id,
            lag_records,
            lag_ms: oldest.map_or(0, |(at, _)| {
                u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX)
            }),
            files: inner.files,
            commits: inner.commits,
            dead_letters: inner.dead_letters,
            error: inner.error.clone(),
            registry: inner.registry.clone(),
        }
    }
}
