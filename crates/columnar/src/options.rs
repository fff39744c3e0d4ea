//! What a caller may choose.

/// How Avro types become Arrow types.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Types {
    /// The closest Arrow type: enums as dictionaries, general unions as sparse unions, durations
    /// as month-day-nano intervals, times in their own unit.
    #[default]
    Arrow,
    /// Only what an Iceberg v2 table stores: times in microseconds (nanoseconds as `long`), enums
    /// as text, general unions as structs of optional members, durations as structs of months,
    /// days and milliseconds, decimals beyond 38 digits as text; UUIDs bear the `arrow.uuid`
    /// extension, as they do in the other profile. Fields of type `null` are left out, for they
    /// say nothing.
    Iceberg,
}

/// What to do with a record that contains itself, for which Arrow has no type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Recursion {
    /// The inner occurrence becomes JSON text.
    #[default]
    Text,
    /// The decoder isn't built.
    Refuse,
}

/// Bounds on what one row may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How deep schemas and recursive values may nest.
    pub depth_max: usize,
    /// Array items and map entries in one row, all arrays and maps together. Items that take no
    /// bytes (an array of nulls) count 1,024 times, since nothing else bounds them.
    pub row_items_max: usize,
    /// Encoded bytes in one row.
    pub row_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth_max: 64,
            row_items_max: 1 << 22,
            row_bytes_max: 64 << 20,
        }
    }
}

/// How many items an item without bytes counts for.
pub(crate) const EMPTY_ITEM_WEIGHT: usize = 1024;

/// How a [`Decoder`](crate::Decoder) makes its columns.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How Avro types become Arrow types.
    pub profile: Types,
    /// Every column and every record field is nullable, whatever the schema says. What the reader
    /// schema requires is still required of the writers; but null rows can be stored.
    pub all_nullable: bool,
    /// The top-level columns to make, in this order; the rest is skipped (and still checked for
    /// its structure). `None`: all.
    pub projection: Option<Vec<String>>,
    /// What to do with recursive types.
    pub recursion: Recursion,
    /// Bounds on what one row may ask for.
    pub limits: Limits,
}
