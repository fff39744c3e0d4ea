//! What the store's handles, its writer and its keeper share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::config::StoreConfig;
use crate::log::entry::PartitionKey;
use crate::log::queue::Queue;
use crate::log::segments::Segments;
use crate::log::storage::Storage;
use crate::log::tail::Tail;
use crate::state::State;
use crate::watch::Watchers;

/// Locks are taken in the order of the fields.
pub(crate) struct Shared {
    pub(crate) config: StoreConfig,
    pub(crate) cluster_id: Uuid,
    pub(crate) storage: Arc<dyn Storage>,
    /// Bytes that may still be queued.
    pub(crate) room: Arc<Semaphore>,
    pub(crate) queue: Queue,
    /// Of high watermarks.
    pub(crate) watchers: Watchers,
    /// Of last stable offsets.
    pub(crate) stable_watchers: Watchers,
    state: RwLock<State>,
    tail: Mutex<Tail>,
    pub(crate) segments: Segments,
    /// What tables have taken, by partition: the next offset each of them needs.
    retained: Mutex<HashMap<PartitionKey, i64>>,
}

impl Shared {
    pub(crate) fn new(
        config: StoreConfig,
        cluster_id: Uuid,
        storage: Arc<dyn Storage>,
        state: State,
        segments: Segments,
    ) -> Self {
        let tail = Tail::new(config.tail_bytes_max);
        Self {
            room: Arc::new(Semaphore::new(config.queue_bytes_max)),
            config,
            cluster_id,
            storage,
            queue: Queue::default(),
            watchers: Watchers::default(),
            stable_watchers: Watchers::default(),
            state: RwLock::new(state),
            tail: Mutex::new(tail),
            segments,
            retained: Mutex::default(),
        }
    }

    pub(crate) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the writer alone.
    pub(crate) fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn retained(&self) -> MutexGuard<'_, HashMap<PartitionKey, i64>> {
        self.retained.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
