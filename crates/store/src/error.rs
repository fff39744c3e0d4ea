//! What can go wrong, who is to blame, and Kafka's number for it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use uuid::Uuid;

/// Why the store cannot be opened, or why a change to topics, notes or settings was not made.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The storage said no. After a failed write or flush the store refuses every later write:
    /// what the disk holds is unknown until the log is read again at the next start.
    #[error("storage failed to {what}: {source}")]
    Io {
        /// What was being done, with the file's name.
        what: String,
        /// The operating system's answer.
        source: Arc<io::Error>,
    },
    /// Another process holds the store's directory.
    #[error("{} is held by another process: two servers cannot share a store", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// Bytes on disk are not what was written, at a place that is not a torn tail.
    #[error("{file} is damaged at byte {position}: {reason}")]
    Corrupt {
        /// The file's name inside the store.
        file: String,
        /// The byte at which reading stopped.
        position: u64,
        /// What is wrong there.
        reason: String,
    },
    /// A file was written by a newer release.
    #[error("{file} has format version {found}; this release reads up to {supported}")]
    NewerFormat {
        /// The file's name inside the store.
        file: String,
        /// The version it says.
        found: u32,
        /// The newest version this release reads.
        supported: u32,
    },
    /// A file that must be there is not.
    #[error("{file} is missing: {reason}")]
    Missing {
        /// The file's name inside the store.
        file: String,
        /// Why it must be there.
        reason: String,
    },
    /// A setting's value cannot work.
    #[error("{setting} is {value}: {allowed}")]
    InvalidSetting {
        /// The setting's or topic config's name.
        setting: String,
        /// The value given.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// The store is shut down.
    #[error("the store is shut down")]
    Closed,
    /// A topic name breaks Kafka's rules.
    #[error("topic name {name:?} is invalid: {reason}")]
    InvalidTopicName {
        /// The name asked for.
        name: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// A topic differs from another only in `.` and `_`, which metric names do not tell apart.
    #[error("topic {name:?} collides with existing topic {existing:?}")]
    TopicNameCollides {
        /// The name asked for.
        name: String,
        /// The topic that is there.
        existing: String,
    },
    /// A topic of that name exists.
    #[error("topic {name:?} already exists")]
    TopicExists {
        /// The name asked for.
        name: String,
    },
    /// No topic of that name.
    #[error("there is no topic {name:?}")]
    UnknownTopic {
        /// The name asked for.
        name: String,
    },
    /// A topic must have at least one partition, and no more than the limit.
    #[error("{partitions} partitions were asked for; allowed are 1 to {partitions_max}")]
    InvalidPartitions {
        /// The number asked for.
        partitions: i32,
        /// The most a topic may have.
        partitions_max: i32,
    },
    /// An entry does not fit a segment.
    #[error("an entry of {bytes} bytes does not fit a segment of {bytes_max}")]
    TooLarge {
        /// The entry's size.
        bytes: usize,
        /// The most there can be.
        bytes_max: usize,
    },
}

impl StoreError {
    pub(crate) fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io {
            what: what.into(),
            source: Arc::new(source),
        }
    }

    pub(crate) fn corrupt(
        file: impl Into<String>,
        position: impl Into<u64>,
        reason: impl ToString,
    ) -> Self {
        Self::Corrupt {
            file: file.into(),
            position: position.into(),
            reason: reason.to_string(),
        }
    }
}

/// Why a batch was not appended. Nothing of the batch can be read, now or after a restart,
/// except for [`AppendError::Storage`], after which it may or may not be there.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// No such topic, or no such partition of it; also when the topic was deleted meanwhile.
    #[error("topic {topic_id} has no partition {partition}")]
    UnknownPartition {
        /// The topic's id.
        topic_id: Uuid,
        /// The partition's number.
        partition: i32,
    },
    /// The bytes are not one whole record batch of format v2, or its checksum does not fit.
    #[error("the batch is corrupt: {reason}")]
    CorruptBatch {
        /// What is wrong.
        reason: String,
    },
    /// The batch's header contradicts itself.
    #[error("the batch is invalid: {reason}")]
    InvalidBatch {
        /// What is wrong.
        reason: String,
    },
    /// The batch does not fit a segment of the log.
    #[error("a batch of {bytes} bytes does not fit a segment of {bytes_max}")]
    TooLarge {
        /// The batch's size.
        bytes: usize,
        /// The most there can be.
        bytes_max: usize,
    },
    /// The producer skipped or repeated a sequence number.
    #[error(
        "producer {producer_id} sent sequence {sequence} where {expected} follows, \
         to partition {partition} of {topic_id}"
    )]
    OutOfOrderSequence {
        /// The topic's id.
        topic_id: Uuid,
        /// The partition's number.
        partition: i32,
        /// The producer.
        producer_id: i64,
        /// The sequence number that would have been taken.
        expected: i32,
        /// The batch's first sequence number.
        sequence: i32,
    },
    /// A producer of the same id with a newer epoch has written already.
    #[error("producer {producer_id} has epoch {current}; the batch says {epoch}")]
    InvalidProducerEpoch {
        /// The producer.
        producer_id: i64,
        /// The newest epoch seen.
        current: i16,
        /// The batch's epoch.
        epoch: i16,
    },
    /// The producer has a transaction open in the partition, and the batch is not of it.
    #[error(
        "producer {producer_id} has a transaction open in partition {partition} of {topic_id}, \
         and sent a batch outside of it"
    )]
    OutsideTransaction {
        /// The topic's id.
        topic_id: Uuid,
        /// The partition's number.
        partition: i32,
        /// The producer.
        producer_id: i64,
    },
    /// The storage failed, or failed earlier; or the store is shut down.
    #[error(transparent)]
    Storage(#[from] StoreError),
}

/// Why batches could not be read.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// No such topic or partition.
    #[error("topic {topic_id} has no partition {partition}")]
    UnknownPartition {
        /// The topic's id.
        topic_id: Uuid,
        /// The partition's number.
        partition: i32,
    },
    /// The offset is below the log's start or above its end.
    #[error("offset {offset} is outside the log, which is {log_start} to {high}")]
    OffsetOutOfRange {
        /// The offset asked for.
        offset: i64,
        /// The first offset kept.
        log_start: i64,
        /// The offset the next record will get.
        high: i64,
    },
    /// The storage failed, or gave back bytes that were not written.
    #[error(transparent)]
    Storage(#[from] StoreError),
}
