//! Records that can't become rows: kept byte for byte in a topic of their own, with the reason.

use std::collections::HashSet;
use std::fmt;

use bytes::Bytes;
use fletch_wire::records::Headers;
use uuid::Uuid;

use crate::Format;
use crate::convert::detect::Role;

/// A topic's dead letters go to the topic of its name with this ending.
pub const SUFFIX: &str = ".dead-letters";

/// Is this a topic of dead letters? Its table has their bytes and what is said of them; none of its records is
/// a dead letter again.
pub fn is_dead_letter_topic(name: &str) -> bool {
    name.ends_with(SUFFIX)
}

/// Header: why, one of the words of [`Reason`].
pub const HEADER_REASON: &str = "fletch.reason";
/// Header: what exactly was wrong, in words.
pub const HEADER_MESSAGE: &str = "fletch.message";
/// Header: where in the value, if it can be said.
pub const HEADER_PATH: &str = "fletch.path";
/// Header: what had the record, `value` or `key`, and after a dot the format if it came to one of the words
/// of [`Format`]: `value.avro`. Not there if neither was looked at.
pub const HEADER_DECODER: &str = "fletch.decoder";
/// Header: name of the topic the record was sent to.
pub const HEADER_TOPIC: &str = "fletch.topic";
/// Header: id of that topic, as a UUID.
pub const HEADER_TOPIC_ID: &str = "fletch.topic-id";
/// Header: the record's partition.
pub const HEADER_PARTITION: &str = "fletch.partition";
/// Header: the record's offset.
pub const HEADER_OFFSET: &str = "fletch.offset";
/// Header: id of the schema the record names, if it names one.
pub const HEADER_SCHEMA_ID: &str = "fletch.schema-id";

/// Why a record is a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The payload doesn't begin with a zero byte and a schema id, and the topic's format asks for it.
    NotFramed,
    /// The registry has no schema of that id.
    UnknownSchema,
    /// The schema is in a language that isn't decoded, or not the one that the topic asks for.
    UnsupportedSchema,
    /// The schema isn't valid.
    InvalidSchema,
    /// The schema can't be reconciled with the table's.
    IncompatibleSchema,
    /// The value doesn't fit its schema.
    InvalidValue,
    /// A header's key isn't text.
    InvalidHeader,
    /// A batch, or the rest of one, can't be taken apart; the dead letter's value is the batch.
    UnreadableBatch,
    /// The decoder failed on this record: a fault of this program.
    Internal,
}

impl Reason {
    /// The word for it in [`HEADER_REASON`] and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFramed => "not_framed",
            Self::UnknownSchema => "unknown_schema",
            Self::UnsupportedSchema => "unsupported_schema",
            Self::InvalidSchema => "invalid_schema",
            Self::IncompatibleSchema => "incompatible_schema",
            Self::InvalidValue => "invalid_value",
            Self::InvalidHeader => "invalid_header",
            Self::UnreadableBatch => "unreadable_batch",
            Self::Internal => "internal",
        }
    }
}

/// Why, in words, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub reason: Reason,
    pub message: String,
    pub path: String,
}

/// Which decoder had a record that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decoder {
    pub role: Role,
    /// None for a payload of a schema that nobody knows.
    pub format: Option<Format>,
}

impl fmt::Display for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.role.as_str())?;
        self.format
            .map_or(Ok(()), |format| write!(f, ".{}", format.as_str()))
    }
}

/// A record on its way to the dead-letter topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeadLetter {
    pub partition: i32,
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<(Bytes, Option<Bytes>)>,
    pub schema_id: Option<u32>,
    /// None if its value and its key weren't looked at.
    pub decoder: Option<Decoder>,
    pub refusal: Refusal,
}

impl DeadLetter {
    /// Bytes it will about take in the log.
    pub(crate) fn bytes(&self) -> usize {
        let of = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let headers = self
            .headers
            .iter()
            .map(|(key, value)| key.len() + of(value) + 8);
        of(&self.key)
            + of(&self.value)
            + headers.sum::<usize>()
            + self.refusal.message.len()
            + self.refusal.path.len()
            + 256
    }

    /// Its headers in the dead-letter topic: the record's own, and then ours.
    pub(crate) fn all_headers(&self, topic: &str, topic_id: Uuid) -> Vec<(Bytes, Option<Bytes>)> {
        let mut headers = self.headers.clone();
        let mut add = |key: &'static str, value: String| {
            headers.push((Bytes::from_static(key.as_bytes()), Some(Bytes::from(value))));
        };
        add(HEADER_REASON, self.refusal.reason.as_str().into());
        add(HEADER_MESSAGE, self.refusal.message.clone());
        if !self.refusal.path.is_empty() {
            add(HEADER_PATH, self.refusal.path.clone());
        }
        if let Some(decoder) = self.decoder {
            add(HEADER_DECODER, decoder.to_string());
        }
        add(HEADER_TOPIC, topic.into());
        add(HEADER_TOPIC_ID, topic_id.to_string());
        add(HEADER_PARTITION, self.partition.to_string());
        add(HEADER_OFFSET, self.offset.to_string());
        if let Some(id) = self.schema_id {
            add(HEADER_SCHEMA_ID, id.to_string());
        }
        headers
    }
}

/// Dead letters that are in their topic although the table doesn't record it: a crash came between
/// the two. They aren't written again.
#[derive(Debug, Default)]
pub(crate) struct Already(HashSet<(i32, i64)>);

impl Already {
    /// Takes note of a record of the dead-letter topic.
    pub(crate) fn note(&mut self, headers: Headers<'_>, topic_id: Uuid) {
        let (mut partition, mut offset, mut ours) = (None, None, false);
        let id = topic_id.to_string();
        // The last header of a name is ours: a record that was a dead letter before has two.
        for header in headers {
            let value = || std::str::from_utf8(header.value.unwrap_or_default()).ok();
            if header.key == HEADER_TOPIC_ID.as_bytes() {
                ours = value() == Some(id.as_str());
            } else if header.key == HEADER_PARTITION.as_bytes() {
                partition = value().and_then(|text| text.parse().ok());
            } else if header.key == HEADER_OFFSET.as_bytes() {
                offset = value().and_then(|text| text.parse().ok());
            }
        }
        if let (true, Some(partition), Some(offset)) = (ours, partition, offset) {
            self.0.insert((partition, offset));
        }
    }

    /// Is this one there? It is asked for once only, so it needn't be remembered further.
    pub(crate) fn take(&mut self, letter: &DeadLetter) -> bool {
        !self.0.is_empty() && self.0.remove(&(letter.partition, letter.offset))
    }
}
