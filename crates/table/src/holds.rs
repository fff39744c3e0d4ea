//! Who still needs which records of the log.
//!
//! The store knows one offset for each partition, below which it may trim. A dead-letter topic is
//! needed by two: its own table takes its records, and the worker of the topic whose letters they are
//! looks at the latest of them after a crash, to write none twice. What is told to the store is the
//! lower of the two.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use fletch_store::{Store, Topic};
use uuid::Uuid;

use crate::dead_letter::is_dead_letter_topic;

/// Somebody who needs records of a partition from an offset on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    /// The topic's own table.
    Table,
    /// The worker that writes dead letters there.
    Source,
}

/// What is needed of each partition, by its table and by its source. Until both have said it, nothing of a
/// dead-letter topic is given up.
#[derive(Debug, Default)]
pub(crate) struct Holds(Mutex<HashMap<(Uuid, i32), [i64; 2]>>);

impl Holds {
    /// From here on, this holder needs a partition from `offset` on; `i64::MAX` for nothing of it.
    pub(crate) fn set(
        &self,
        store: &Store,
        topic: &Topic,
        partition: i32,
        holder: Holder,
        offset: i64,
    ) {
        let mut holds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_source = match is_dead_letter_topic(&topic.name) {
            true => 0,
            false => i64::MAX,
        };
        let [table, source] = holds.entry((topic.id, partition)).or_insert([0, of_source]);
        match holder {
            Holder::Table => *table = offset,
            Holder::Source => *source = offset,
        }
        // With the lock: whoever was told later is told last.
        store.retain_from(topic.id, partition, (*table).min(*source));
    }

    /// Forgets topics that are gone.
    pub(crate) fn forget(&self, store: &Store) {
        let mut holds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        holds.retain(|(topic, _), _| store.topic_by_id(*topic).is_some());
    }
}
