//! The handle that everybody else uses.

mod append;
mod compaction;
mod offsets;
mod read;
mod retention;
mod sizes;
mod topics;
mod transactions;

use std::sync::Arc;
use std::thread;

use tokio::sync::{oneshot, watch};
use uuid::Uuid;

pub use self::append::Ticket;
pub use self::compaction::Compacted;
pub use self::read::Watermarks;
pub use self::retention::Retained;
pub use self::transactions::AbortedTransaction;
use crate::config::StoreConfig;
use crate::error::StoreError;
use crate::log::entry::{Entry, ProducerLimits};
use crate::log::frame::frame_bytes;
use crate::log::keeper::{self, Keeper};
use crate::log::local::LocalStorage;
use crate::log::queue::{Answer, Pending, Rejection};
use crate::log::recover::recover;
use crate::log::segment::SEGMENT_HEADER_BYTES;
use crate::log::segments::Segments;
use crate::log::storage::Storage;
use crate::log::writer::Writer;
use crate::shared::Shared;
use crate::state::{Outcome, Refusal};
use crate::topic::PARTITIONS_MAX;

/// A commit log that is open. Clones share it; when the last is dropped the log is flushed and
/// closed in the background, [`shutdown`](Self::shutdown) does so and waits.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    cluster_id: String,
    finished: watch::Receiver<Option<Result<(), StoreError>>>,
    /// Retention is applied once at a time.
    retention: tokio::sync::Mutex<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.queue.close(StoreError::Closed);
    }
}

/// The writer's thread ended without saying how: whoever still waits is told.
struct CloseOnExit(Arc<Shared>);

impl Drop for CloseOnExit {
    fn drop(&mut self) {
        self.0.queue.close(StoreError::Closed);
        drop(self.0.queue.take_all());
    }
}

impl Store {
    /// Opens the store in `config.path`, making it when there is none, and recovers its log. Blocks
    /// for as long as that takes: well under a second, however long the log is, because only what
    /// came after the last checkpoint is read.
    ///
    /// # Errors
    /// When the directory is in use, cannot be read or written, or holds damage other than a torn
    /// tail.
    pub fn open(config: StoreConfig) -> Result<Self, StoreError> {
        config.validate()?;
        let storage = LocalStorage::open(&config.path)?;
        Self::open_on(Arc::new(storage), config)
    }

    /// Opens a store on a storage of one's own; `config.path` is not used.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_on(storage: Arc<dyn Storage>, config: StoreConfig) -> Result<Self, StoreError> {
        config.validate()?;
        let recovered = recover(&*storage)?;
        tracing::info!(
            entries_replayed = recovered.replayed,
            torn_bytes = recovered.torn_bytes,
            segments = recovered.sealed.len(),
            "the log is recovered"
        );
        let formed = recovered.state.cluster_id();
        let cluster_id = match formed.is_nil() {
            true => Uuid::new_v4(),
            false => formed,
        };
        let limits = ProducerLimits {
            expiration_ms: config.producer_id_expiration_ms,
            producers_max: config.producers_max,
        };
        let limits_changed = recovered.state.producer_limits() != limits;
        let shared = Arc::new(Shared::new(
            config,
            cluster_id,
            storage,
            recovered.state,
            Segments::new(recovered.sealed),
        ));
        let active = keeper::create(&shared, recovered.next)?;
        let keeper = Keeper::start(Arc::clone(&shared))?;
        let mut writer = Writer::new(Arc::clone(&shared), keeper, active);
        let mut first = Vec::new();
        if formed.is_nil() {
            first.push(Entry::ClusterFormed { cluster_id });
        }
        if limits_changed {
            first.push(Entry::ProducerLimitsSet(limits));
        }
        writer.write_first(first)?;
        let (finish, finished) = watch::channel(None);
        let guard = CloseOnExit(Arc::clone(&shared));
        thread::Builder::new()
            .name("fletch-log-writer".to_owned())
            .spawn(move || {
                let guard = guard;
                let result = writer.run();
                drop(guard);
                let _ = finish.send(Some(result));
            })
            .map_err(|error| StoreError::io("start the writer's thread", error))?;
        Ok(Self {
            inner: Arc::new(Inner {
                shared,
                cluster_id: cluster_id_text(cluster_id),
                finished,
                retention: tokio::sync::Mutex::new(()),
            }),
        })
    }

    /// The cluster's id, made when the store was: 22 characters of URL-safe base64, as Kafka's.
    pub fn cluster_id(&self) -> &str {
        &self.inner.cluster_id
    }

    /// Why the store refuses writes, if it does: it is shut down, or its storage failed.
    pub fn failure(&self) -> Option<StoreError> {
        self.shared().queue.closed()
    }

    /// Takes no more entries, makes durable what is queued, and writes a checkpoint. Reading still
    /// works afterwards. Answers when all of it is done, to every caller alike.
    ///
    /// # Errors
    /// When the storage fails, or had failed before.
    pub async fn shutdown(&self) -> Result<(), StoreError> {
        self.shared().queue.close(StoreError::Closed);
        let mut finished = self.inner.finished.clone();
        let result = finished
            .wait_for(Option::is_some)
            .await
            .map_err(|_| StoreError::Closed)?;
        result.clone().unwrap_or(Err(StoreError::Closed))
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    /// Queues an entry once there is room for it.
    async fn enqueue(
        &self,
        entry: Entry,
        buffer_bytes: usize,
    ) -> Result<oneshot::Receiver<Answer>, StoreError> {
        let payload_bytes = entry.payload_bytes();
        self.check_size(payload_bytes)?;
        let permits = self.permits(payload_bytes);
        let permit = Arc::clone(&self.shared().room)
            .acquire_many_owned(permits)
            .await
            .map_err(|_| StoreError::Closed)?;
        let time_ms = self.shared().config.clock.now_ms();
        let (pending, answer) = Pending::new(entry, time_ms, buffer_bytes, Some(permit));
        self.shared().queue.push(pending)?;
        Ok(answer)
    }

    /// The largest payload that fits a segment.
    fn payload_bytes_max(&self) -> usize {
        let segment_bytes = self.shared().config.segment_bytes as usize;
        segment_bytes
            .saturating_sub(SEGMENT_HEADER_BYTES + usize::try_from(frame_bytes(8)).unwrap_or(64))
    }

    fn check_size(&self, payload_bytes: usize) -> Result<(), StoreError> {
        let bytes_max = self.payload_bytes_max();
        if payload_bytes > bytes_max {
            return Err(StoreError::TooLarge {
                bytes: payload_bytes,
                bytes_max,
            });
        }
        Ok(())
    }

    /// What a payload takes of the queue's bound: all of it at most, so that an entry larger than
    /// the queue passes alone.
    fn permits(&self, payload_bytes: usize) -> u32 {
        let bytes = payload_bytes.clamp(1, self.shared().config.queue_bytes_max);
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }

    /// Makes a change and waits until it is durable and applied.
    async fn change(&self, entry: Entry) -> Result<Outcome, StoreError> {
        let answer = self.enqueue(entry, 0).await?;
        settle(answer.await)
    }
}

fn settle<E>(answer: Result<Answer, E>) -> Result<Outcome, StoreError> {
    match answer {
        Ok(Ok(outcome)) => Ok(outcome),
        Ok(Err(Rejection::Storage(error))) => Err(error),
        Ok(Err(Rejection::Refused(refusal))) => Err(refusal.into()),
        Err(_) => Err(StoreError::Closed),
    }
}

impl From<Refusal> for StoreError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TopicExists(name) => Self::TopicExists { name },
            Refusal::TopicNameCollides { name, existing } => {
                Self::TopicNameCollides { name, existing }
            }
            Refusal::UnknownTopic(id) => Self::UnknownTopic {
                name: id.to_string(),
            },
            Refusal::UnknownPartition(key) => Self::UnknownTopic {
                name: format!("{}-{}", key.topic_id, key.partition),
            },
            Refusal::InvalidPartitions(partitions) => Self::InvalidPartitions {
                partitions,
                partitions_max: PARTITIONS_MAX,
            },
            // Only batches are refused for these, and those are answered as such.
            Refusal::OutOfOrderSequence { .. }
            | Refusal::InvalidProducerEpoch { .. }
            | Refusal::OutsideTransaction { .. }
            | Refusal::NoMarker => Self::Closed,
        }
    }
}

/// Kafka's way of writing an id: URL-safe base64 without padding.
fn cluster_id_text(id: Uuid) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits = id.as_u128();
    // 128 bits are 21 digits of 6 bits and one of 2, which is padded on its right.
    (0..22)
        .map(|digit| {
            let value = match digit {
                21 => (bits << 4) & 0x3f,
                digit => (bits >> (122 - 6 * digit)) & 0x3f,
            };
            ALPHABET
                .get(value as usize)
                .map_or('A', |byte| char::from(*byte))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_as_kafka_writes_them() {
        assert_eq!(cluster_id_text(Uuid::nil()), "AAAAAAAAAAAAAAAAAAAAAA");
        let id = Uuid::from_bytes([0xff; 16]);
        assert_eq!(cluster_id_text(id), "_____________________w");
        let id = Uuid::from_bytes(*b"0123456789abcdef");
        assert_eq!(cluster_id_text(id), "MDEyMzQ1Njc4OWFiY2RlZg");
    }
}
