use nom::error::{ErrorKind, ParseError};

use crate::{
    ApiKey, ErrorCode, Versions,
    records::{Compression, CompressionFault, RecordFault},
};

/// Everything that can go wrong in this crate.
///
/// The variants say who misbehaved: those of the first group blame the peer whose bytes were read,
/// those of the second the caller who asked for something that can't be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer sent bytes that break the protocol.
    #[error("the peer sent a malformed {place}: {fault}, at byte {position}")]
    Malformed {
        /// The message, or the field of it, that was being read.
        place: &'static str,
        /// Where in the frame, in bytes from the start of what was decoded.
        position: usize,
        /// What is wrong there.
        fault: Fault,
    },
    /// The peer announced a frame longer than the limit. Nothing was allocated for it.
    #[error("the peer announced a frame of {bytes} bytes, the limit is {bytes_max}")]
    FrameTooLarge {
        /// The announced length.
        bytes: usize,
        /// [`Limits::frame_bytes_max`](crate::Limits::frame_bytes_max).
        bytes_max: usize,
    },
    /// The peer announced a frame of negative length.
    #[error("the peer announced a frame of {0} bytes")]
    FrameLength(i32),
    /// The peer sent a request that this crate has no declaration for. An ApiVersions request is
    /// answered all the same, in version 0; for any other the connection is closed.
    #[error("the peer sent {key} version {version}, known are {known}")]
    UnknownRequest {
        /// The API that was asked for.
        key: ApiKey,
        /// The version it was asked in.
        version: i16,
        /// The correlation id the answer must carry, if there is one.
        correlation_id: i32,
        /// The versions that are declared; none if the API isn't.
        known: Versions,
    },

    /// The peer sent a record batch that breaks the format, or a broker's rules for producers.
    #[error("the record batch {0}")]
    Batch(#[from] BatchFault),
    /// The peer sent a batch with a record that breaks the format.
    #[error("record {index} of the batch, at byte {position} of the records, {fault}")]
    Record {
        /// Which record of the batch, from 0.
        index: u32,
        /// Where in the decompressed records it starts, in bytes.
        position: usize,
        /// What is wrong there.
        fault: RecordFault,
    },
    /// The peer sent records that don't decompress, or to too much.
    #[error("the {codec} records {fault}")]
    Compression {
        /// The codec.
        codec: Compression,
        /// What is wrong with them.
        fault: CompressionFault,
    },
    /// The peer sent records with a codec that their format doesn't have.
    #[error("the records have the codec number {0}, which stands for none in their format")]
    UnknownCompression(u8),

    /// The caller asked for a message in a version it is not declared in.
    #[error("{message} is known in versions {known}, not in {version}")]
    UnknownVersion {
        /// The message.
        message: &'static str,
        /// The version asked for.
        version: i16,
        /// The versions that are declared.
        known: Versions,
    },
    /// The caller set a field that the version has no room for and that must not be dropped.
    #[error("{field} is set but does not exist in version {version}")]
    FieldNotInVersion {
        /// The field.
        field: &'static str,
        /// The version being written.
        version: i16,
    },
    /// The caller left a field null in a version where it must not be.
    #[error("{field} is null, which version {version} does not allow")]
    NullNotInVersion {
        /// The field.
        field: &'static str,
        /// The version being written.
        version: i16,
    },
    /// The caller asked to write something longer than its length field can say.
    #[error("{length} is more than the {length_max} that can be written")]
    TooLong {
        /// The length, in bytes or elements.
        length: usize,
        /// The most that the length field holds.
        length_max: usize,
    },
}

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What is wrong with a peer's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The bytes end inside a value.
    #[error("needs {needed} bytes and {left} are left")]
    Truncated {
        /// Bytes that the value needs.
        needed: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// Bytes follow the end of the message.
    #[error("{left} bytes follow its end")]
    TrailingBytes {
        /// How many.
        left: usize,
    },
    /// A length or count below zero that doesn't stand for null.
    #[error("has the length {0}")]
    NegativeLength(i64),
    /// Null, where the version allows none.
    #[error("is null, which this version does not allow")]
    Null,
    /// A string that isn't UTF-8.
    #[error("is not UTF-8 from byte {valid_up_to} of {bytes} on")]
    NotUtf8 {
        /// Length of the string.
        bytes: usize,
        /// Length of the part that is UTF-8.
        valid_up_to: usize,
    },
    /// A string longer than Kafka's strings can be.
    #[error("is a string of {bytes} bytes, of {bytes_max} at most")]
    StringTooLong {
        /// Length of the string.
        bytes: usize,
        /// The longest a string may be.
        bytes_max: usize,
    },
    /// A variable-length integer with more bits than its type.
    #[error("has a variable-length integer of more than {bits} bits")]
    VarintTooLong {
        /// The bits of the type.
        bits: u8,
    },
    /// A count of elements that can't fit in the bytes that are left.
    #[error("announces {count} elements of at least {element_bytes_min} bytes in {left} bytes")]
    CountTooLarge {
        /// The announced count.
        count: usize,
        /// The least bytes an element takes.
        element_bytes_min: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// The vectors of the message would take more memory than the limit.
    #[error("needs {needed} bytes of vectors and {left} are left of the limit")]
    VectorsTooLarge {
        /// Bytes the vector would take.
        needed: usize,
        /// What is left of [`Limits::vectors_bytes_max`](crate::Limits::vectors_bytes_max).
        left: usize,
    },
    /// The unknown tagged fields are larger than the limit.
    #[error("has an unknown tagged field of {bytes} bytes and {left} are left of the limit")]
    UnknownTagsTooLarge {
        /// Bytes of the field.
        bytes: usize,
        /// What is left of
        /// [`Limits::unknown_tags_bytes_max`](crate::Limits::unknown_tags_bytes_max).
        left: usize,
    },
    /// Tagged fields that don't ascend (KIP-482), which includes a tag that comes twice.
    #[error("has the tag {tag} after the tag {previous}")]
    TagOrder {
        /// The tag.
        tag: u32,
        /// The one before it.
        previous: u32,
    },
    /// A tagged field whose value is shorter than its size says.
    #[error("has a tagged field {tag} of {size} bytes of which {left} are left over")]
    TagSize {
        /// The tag.
        tag: u32,
        /// Bytes announced.
        size: usize,
        /// Bytes that the value didn't use.
        left: usize,
    },
    /// The byte before a nullable structure is neither 1 nor -1.
    #[error("has the presence byte {0}")]
    Presence(i8),
}

/// What is wrong with a record batch as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchFault {
    /// There is none.
    #[error("is missing")]
    Empty,
    /// The bytes end inside it.
    #[error("needs {needed} bytes and {left} are left")]
    Truncated {
        /// Bytes that it needs.
        needed: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// Its length is less than its header takes.
    #[error("says it is {bytes} bytes long, its header alone is longer")]
    TooShort {
        /// Its length.
        bytes: usize,
    },
    /// It is of another format.
    #[error("has the magic byte {0}")]
    Magic(i8),
    /// Its CRC isn't that of its bytes.
    #[error("has the CRC {stored:#010x}, its bytes have {computed:#010x}")]
    Crc {
        /// The CRC in the header.
        stored: u32,
        /// The CRC of the bytes.
        computed: u32,
    },
    /// It announces more records than there can be, or fewer than none.
    #[error("announces {count} records in {left} bytes")]
    RecordCount {
        /// The count.
        count: i32,
        /// Bytes of records.
        left: usize,
    },
    /// Bytes follow its last record, or it.
    #[error("is followed by {left} bytes")]
    TrailingBytes {
        /// How many.
        left: usize,
    },
    /// A producer's batch is empty, or its count and its last offset contradict each other.
    #[error("has {record_count} records and a last offset delta of {last_offset_delta}")]
    Count {
        /// The count of records.
        record_count: i32,
        /// The last offset less the first.
        last_offset_delta: i32,
    },
    /// A producer sent a marker.
    #[error("is a control batch, which no producer may send")]
    Control,
    /// A producer has an id but no epoch or no sequence number.
    #[error(
        "has the producer id {producer_id} with the epoch {producer_epoch} and the base sequence \
         {base_sequence}"
    )]
    Sequence {
        /// The producer.
        producer_id: i64,
        /// Its epoch.
        producer_epoch: i16,
        /// The sequence number of the first record.
        base_sequence: i32,
    },
    /// A transactional batch has no producer id.
    #[error("is transactional and has no producer id")]
    TransactionWithoutProducer,
    /// A producer says that the timestamps are the broker's.
    #[error("claims timestamps of the broker's")]
    LogAppendTime,
}

impl Fault {
    /// The error that says where the fault is.
    #[cold]
    pub(crate) fn at(self, position: usize) -> Error {
        Error::Malformed {
            place: "message",
            position,
            fault: self,
        }
    }
}

impl ParseError<&[u8]> for Fault {
    // nom's parsers of fixed-size values fail only for want of bytes; the wrappers in
    // `primitives` fill in how many they need.
    #[cold]
    fn from_error_kind(input: &[u8], _: ErrorKind) -> Self {
        Self::Truncated {
            needed: 0,
            left: input.len(),
        }
    }

    fn append(_: &[u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

impl Error {
    /// What Kafka's broker answers a producer whose batch has this error.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Batch(fault) => match fault {
                BatchFault::Truncated { .. }
                | BatchFault::TooShort { .. }
                | BatchFault::Crc { .. } => ErrorCode::CORRUPT_MESSAGE,
                BatchFault::LogAppendTime => ErrorCode::INVALID_TIMESTAMP,
                _ => ErrorCode::INVALID_RECORD,
            },
            Self::Record { fault, .. } => match fault {
                RecordFault::Crc { .. } => ErrorCode::CORRUPT_MESSAGE,
                RecordFault::LogAppendTime => ErrorCode::INVALID_TIMESTAMP,
                _ => ErrorCode::INVALID_RECORD,
            },
            Self::Compression { fault, .. } => match fault {
                CompressionFault::TooLarge { .. } | CompressionFault::Bomb { .. } => {
                    ErrorCode::MESSAGE_TOO_LARGE
                }
                _ => ErrorCode::INVALID_RECORD,
            },
            Self::UnknownCompression(_) => ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
            Self::UnknownRequest { .. } => ErrorCode::UNSUPPORTED_VERSION,
            Self::FrameTooLarge { .. } => ErrorCode::MESSAGE_TOO_LARGE,
            Self::Malformed { .. } => ErrorCode::INVALID_REQUEST,
            _ => ErrorCode::UNKNOWN_SERVER_ERROR,
        }
    }

    /// Names the place of an error that isn't named yet: the innermost name stays.
    #[cold]
    pub(crate) fn named(mut self, name: &'static str) -> Self {
        if let Self::Malformed { place, .. } = &mut self
            && *place == "message"
        {
            *place = name;
        }
        self
    }
}
