//! What can be wrong: with a schema pair ([`ResolveError`]), with a decoder's construction
//! ([`DecoderError`]), with one row ([`RowError`]).

/// A row that isn't in the batch, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row {row}, {path}, byte {position}: {reason}")]
pub struct RowError {
    /// Index into the slice that was given to the decoder.
    pub row: usize,
    /// Field names from the top, joined by `.`; `[3]` is an array's item, `{"key"}` a map's value.
    /// Empty where the row as a whole is meant.
    pub path: String,
    /// Offset of the offending byte from the start of the row as given (frame included).
    pub position: usize,
    /// What is wrong there.
    pub reason: Reason,
}

/// Why a row was refused. Except for the last five, the writer of the bytes is at fault.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The row ends inside a value.
    #[error("the row ends {missing} bytes short")]
    UnexpectedEnd {
        /// How many bytes more the value needs, at least.
        missing: usize,
    },
    /// A varint that doesn't end, or that holds more than 64 bits.
    #[error("a number of more than 64 bits")]
    VarintTooLong,
    /// An `int` that doesn't fit 32 bits.
    #[error("{0} is no 32-bit int")]
    IntOutOfRange(i64),
    /// A boolean that is neither 0 nor 1.
    #[error("{0} is no boolean")]
    BadBoolean(u8),
    /// A symbol index outside the writer's enum.
    #[error("symbol {index} of an enum of {symbols}")]
    BadEnumIndex {
        /// As sent.
        index: i64,
        /// How many the writer's schema has.
        symbols: usize,
    },
    /// A member index outside the writer's union.
    #[error("member {index} of a union of {members}")]
    BadUnionIndex {
        /// As sent.
        index: i64,
        /// How many the writer's schema has.
        members: usize,
    },
    /// A length below zero.
    #[error("a length of {0}")]
    NegativeLength(i64),
    /// A length or count that needs more bytes than the row has left.
    #[error("a length of {length} with {left} bytes left")]
    LengthPastEnd {
        /// As sent.
        length: i64,
        /// What the row still has.
        left: usize,
    },
    /// Text that isn't UTF-8.
    #[error("text that is not UTF-8")]
    InvalidUtf8,
    /// Text that isn't a UUID.
    #[error("text that is not a UUID")]
    InvalidUuid,
    /// A decimal with more digits than its precision.
    #[error("a decimal of more than {precision} digits")]
    DecimalOutOfRange {
        /// The reader's.
        precision: u8,
    },
    /// A time that its Arrow type's unit can't count.
    #[error("a time of {0} in its own unit, too far for its column's")]
    TimeOutOfRange(i64),
    /// A duration of more than 2^31 - 1 months or days.
    #[error("a duration of {0} months or days")]
    DurationOutOfRange(u32),
    /// Bytes after the last field.
    #[error("{0} bytes too many")]
    TrailingBytes(usize),
    /// The row doesn't start with 0x00 and a four-byte schema id.
    #[error("not framed: a zero byte and a schema id of four bytes are expected")]
    NotFramed,
    /// The writer sent a symbol that the reader's enum has neither itself nor a default for.
    #[error("the reader's enum has no place for the writer's symbol {0}")]
    UnknownSymbol(usize),
    /// The writer sent a union member that the reader's type can't hold (null included).
    #[error("the reader's type has no place for the writer's union member {0}")]
    UnknownMember(usize),
    /// A null row (no body) where a column is required.
    #[error("a null row, but a column is required")]
    NullRow,
    /// More array items and map entries in one row than [`Limits::row_items_max`] allows.
    ///
    /// [`Limits::row_items_max`]: crate::Limits::row_items_max
    #[error("more than {0} array items and map entries in a row")]
    TooManyItems(usize),
    /// A recursive value nested deeper than [`Limits::depth_max`](crate::Limits::depth_max).
    #[error("nested deeper than {0}")]
    TooDeep(usize),
    /// A row of more bytes than [`Limits::row_bytes_max`](crate::Limits::row_bytes_max).
    #[error("a row of {0} bytes")]
    RowTooLarge(usize),
    /// The frame names a schema that [`Decoder::add_writer`](crate::Decoder::add_writer) wasn't
    /// told of.
    #[error("schema {0} is not known to the decoder")]
    UnknownWriter(u32),
    /// Arrow's 32-bit offsets have no room for this row: decode it in another batch.
    #[error("a column of this batch is full (2^31 - 1 bytes or items)")]
    ColumnFull,
    /// The columnar path refused the row and the row-wise check did not: a bug in this crate.
    #[error("refused by the columnar path alone")]
    Inconsistent,
}

impl Eq for Reason {}

/// A writer's schema from which the reader's can't be read at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at {path}: {why}")]
pub struct ResolveError {
    /// Field names from the top, joined by `.`.
    pub path: String,
    /// What the two sides are and why they don't meet.
    pub why: String,
}

/// Why a decoder can't be built from a reader schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecoderError {
    /// A recursive type where [`Options::recursion`](crate::Options::recursion) refuses them.
    #[error("at {path}: record {name} contains itself")]
    Recursive {
        /// Where it comes round again.
        path: String,
        /// The record.
        name: String,
    },
    /// Nested deeper than [`Limits::depth_max`](crate::Limits::depth_max).
    #[error("at {path}: nested deeper than {depth_max}")]
    TooDeep {
        /// Where.
        path: String,
        /// The limit.
        depth_max: usize,
    },
    /// A projected column that the reader schema hasn't got.
    #[error("no column {0:?} to project")]
    UnknownColumn(String),
    /// A union of more members than Arrow has type ids for.
    #[error("at {path}: a union of {members} members (127 at most)")]
    UnionTooWide {
        /// Where.
        path: String,
        /// How many.
        members: usize,
    },
}
