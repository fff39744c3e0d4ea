//! Where the embedded registry keeps its facts.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures_util::future::BoxFuture;

/// A failure of the journal, from whoever implements it.
pub type JournalError = Box<dyn Error + Send + Sync>;

/// Keyed facts, last value wins: all the state an [`Embedded`](crate::Embedded) registry has.
///
/// The implementor promises that once `put` has answered `Ok`, `load` returns the value after any
/// crash; that one `put` is all or nothing; and that puts to one key take effect in the order they
/// were awaited. A `put` that failed, or whose future was dropped, may have taken effect or not: the
/// registry is written so that either is fine.
pub trait Journal: Send + Sync {
    /// Stores `value` under `key`, durably; `None` forgets the key.
    fn put(&self, key: String, value: Option<Bytes>) -> BoxFuture<'_, Result<(), JournalError>>;

    /// Every key that has a value, in any order.
    fn load(&self) -> BoxFuture<'_, Result<Vec<(String, Bytes)>, JournalError>>;
}

/// A journal in memory: for tests, and for registries that may forget.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    facts: Mutex<BTreeMap<String, Bytes>>,
}

impl MemoryJournal {
    /// An empty journal.
    pub fn new() -> MemoryJournal {
        MemoryJournal::default()
    }
}

impl Journal for MemoryJournal {
    fn put(&self, key: String, value: Option<Bytes>) -> BoxFuture<'_, Result<(), JournalError>> {
        Box::pin(async move {
            let mut facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
            match value {
                Some(value) => facts.insert(key, value),
                None => facts.remove(&key),
            };
            Ok(())
        })
    }

    fn load(&self) -> BoxFuture<'_, Result<Vec<(String, Bytes)>, JournalError>> {
        Box::pin(async move {
            let facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(facts
                .iter()
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect())
        })
    }
}
