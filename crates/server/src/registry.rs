//! The registry, embedded or outside: its facts in the log.

use bytes::Bytes;
use fletch_registry::{Journal, JournalError};
use fletch_store::Store;
use futures_util::future::BoxFuture;

/// The room of the log's notes that the embedded registry's facts are in.
const ROOM: &str = "registry";

/// The embedded registry's facts, as notes in the log.
pub(crate) struct LogJournal {
    store: Store,
}

impl LogJournal {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }
}

impl Journal for LogJournal {
    fn put(&self, key: String, value: Option<Bytes>) -> BoxFuture<'_, Result<(), JournalError>> {
        Box::pin(async move { Ok(self.store.put_note(ROOM, &key, value).await?) })
    }

    fn load(&self) -> BoxFuture<'_, Result<Vec<(String, Bytes)>, JournalError>> {
        Box::pin(async move { Ok(self.store.notes(ROOM)) })
    }
}
