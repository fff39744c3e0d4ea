//! Who waits for which partition to grow, or to have its transactions decided.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use uuid::Uuid;

use crate::log::entry::PartitionKey;

/// One channel for each partition that somebody waits for; none for the others, so that many
/// partitions cost nothing here.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    senders: Mutex<HashMap<PartitionKey, watch::Sender<i64>>>,
}

impl Watchers {
    fn senders(&self) -> MutexGuard<'_, HashMap<PartitionKey, watch::Sender<i64>>> {
        self.senders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A receiver that starts with what `now` says; `now` is asked while no notification can slip
    /// through, and says `None` when there is no such partition.
    pub(crate) fn subscribe(
        &self,
        key: PartitionKey,
        now: impl FnOnce() -> Option<i64>,
    ) -> Option<watch::Receiver<i64>> {
        let mut senders = self.senders();
        let now = now()?;
        let sender = senders.entry(key).or_insert_with(|| watch::channel(now).0);
        Some(sender.subscribe())
    }

    /// Whether somebody may be waiting.
    pub(crate) fn are_any(&self) -> bool {
        !self.senders().is_empty()
    }

    /// Tells where partitions are now.
    pub(crate) fn notify(&self, ends: impl Iterator<Item = (PartitionKey, i64)>) {
        let mut senders = self.senders();
        if senders.is_empty() {
            return;
        }
        for (key, end) in ends {
            let Some(sender) = senders.get(&key) else {
                continue;
            };
            if sender.is_closed() {
                senders.remove(&key);
            } else {
                sender.send_replace(end);
            }
        }
    }

    /// Ends the channels of a deleted topic, and those that nobody waits for any more.
    pub(crate) fn forget_topic(&self, topic_id: Uuid) {
        self.senders()
            .retain(|key, sender| key.topic_id != topic_id && !sender.is_closed());
    }
}
