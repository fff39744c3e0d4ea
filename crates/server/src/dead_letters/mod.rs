//! Dead letters to be looked at and sent again (`docs/adr/0011-sending-dead-letters-again.md`).
//!
//! A dead letter is a record of the topic `<topic>.dead-letters`: the record that was refused, byte
//! for byte, and after its own headers those that say why and where from.

mod filter;
mod page;
mod replay;

use bytes::Bytes;
use fletch_store::{ReadError, Store, Topic};
use fletch_table::dead_letter::{
    HEADER_DECODER, HEADER_MESSAGE, HEADER_OFFSET, HEADER_PARTITION, HEADER_PATH, HEADER_REASON,
    HEADER_SCHEMA_ID, HEADER_TOPIC, HEADER_TOPIC_ID, SUFFIX,
};
use fletch_wire::records::{Batch, Record};
use fletch_wire::{Limits, Uuid};

pub(crate) use self::filter::Filter;
pub(crate) use self::page::{Page, as_json};
pub(crate) use self::replay::Replayer;

/// Dead letters are in this partition of their topic.
const PARTITION: i32 = 0;
/// Bytes read from the log at a time.
const READ_BYTES: usize = 1 << 20;

/// Header of a record that was sent again: which dead letter it was, as
/// `<id of the dead-letter topic>/<partition>/<offset>`.
pub(crate) const HEADER_REPLAYED: &str = "fletch.replayed-from";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeadLettersError {
    /// There is no such topic, or it never had a dead letter.
    #[error("topic {0} has no dead letters: there is no topic {0}{SUFFIX}")]
    NoTopic(String),
    /// The dead letter isn't there, or not any more.
    #[error("there is no dead letter at offset {0}")]
    NoOffset(i64),
    /// The request can't be understood.
    #[error("{0}")]
    Query(String),
    /// The log can't be read or written.
    #[error("the log: {0}")]
    Log(String),
}

/// Where a record was before it became a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) topic: String,
    pub(crate) topic_id: Uuid,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

type OwnedHeaders = Vec<(Bytes, Option<Bytes>)>;

/// A record of a dead-letter topic, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) offset: i64,
    /// The record's own timestamp.
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
    /// The record's own headers.
    pub(crate) headers: OwnedHeaders,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) path: Option<String>,
    pub(crate) schema_id: Option<u32>,
    pub(crate) decoder: Option<String>,
    /// None if the headers don't say: somebody else wrote to the topic.
    pub(crate) source: Option<Source>,
}

impl Letter {
    fn of(record: &Record<'_>) -> Letter {
        let owned = |bytes: Option<&[u8]>| bytes.map(Bytes::copy_from_slice);
        let all: Vec<_> = record.headers.collect();
        // Ours begin with the reason; a record that was a dead letter before may have such headers
        // of its own, so the last one counts.
        let ours = all
            .iter()
            .rposition(|header| header.key == HEADER_REASON.as_bytes());
        let (own, ours) = all.split_at(ours.unwrap_or(all.len()));
        let said = |key: &str| {
            let found = ours
                .iter()
                .rev()
                .find(|header| header.key == key.as_bytes());
            found.map(|header| {
                String::from_utf8_lossy(header.value.unwrap_or_default()).into_owned()
            })
        };
        let source = || {
            Some(Source {
                topic: said(HEADER_TOPIC)?,
                topic_id: said(HEADER_TOPIC_ID)?.parse().ok()?,
                partition: said(HEADER_PARTITION)?.parse().ok()?,
                offset: said(HEADER_OFFSET)?.parse().ok()?,
            })
        };
        Letter {
            offset: record.offset,
            timestamp: record.timestamp,
            key: owned(record.key),
            value: owned(record.value),
            headers: own
                .iter()
                .map(|header| (Bytes::copy_from_slice(header.key), owned(header.value)))
                .collect(),
            reason: said(HEADER_REASON).unwrap_or_else(|| "unknown".to_owned()),
            message: said(HEADER_MESSAGE).unwrap_or_default(),
            path: said(HEADER_PATH),
            schema_id: said(HEADER_SCHEMA_ID).and_then(|id| id.parse().ok()),
            decoder: said(HEADER_DECODER),
            source: source(),
        }
    }

    /// Bytes it takes, about.
    fn bytes(&self) -> usize {
        let of = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let headers = self
            .headers
            .iter()
            .map(|(key, value)| key.len() + of(value) + 8);
        of(&self.key) + of(&self.value) + headers.sum::<usize>() + self.message.len() + 256
    }
}

/// The topic of a topic's dead letters; it may be named itself, too.
fn letters_topic(store: &Store, topic: &str) -> Result<std::sync::Arc<Topic>, DeadLettersError> {
    let name = match topic.ends_with(SUFFIX) {
        true => topic.to_owned(),
        false => format!("{topic}{SUFFIX}"),
    };
    let found = store.topic(&name);
    found.ok_or_else(|| DeadLettersError::NoTopic(topic.trim_end_matches(SUFFIX).to_owned()))
}

/// Reads a partition's records from an offset on, until `take` has had enough.
///
/// Answers the offset after the last record that was taken, which is where to go on.
async fn scan(
    store: &Store,
    topic: Uuid,
    partition: i32,
    from: i64,
    mut take: impl FnMut(&Record<'_>) -> bool,
) -> Result<i64, DeadLettersError> {
    let Some(marks) = store.watermarks(topic, partition) else {
        return Ok(from);
    };
    let mut next = from.max(marks.log_start);
    while next < marks.high {
        let batches = match store.read(topic, partition, next, READ_BYTES).await {
            Ok(batches) => batches,
            Err(ReadError::OffsetOutOfRange { log_start, .. }) if next < log_start => {
                next = log_start;
                continue;
            }
            Err(error) => return Err(DeadLettersError::Log(error.to_string())),
        };
        if batches.is_empty() {
            break;
        }
        for stored in &batches {
            // Others may write to these topics, too; what can't be read is passed over.
            let readable = Batch::try_from(stored.as_sent().clone())
                .and_then(|batch| batch.records(&Limits::admitted()));
            if let Ok(records) = readable {
                let records = records.at(stored.base_offset());
                for record in records
                    .iter()
                    .flatten()
                    .filter(|record| record.offset >= next)
                {
                    if !take(&record) {
                        return Ok(record.offset);
                    }
                }
            }
            next = next.max(stored.last_offset() + 1);
        }
    }
    Ok(next)
}
