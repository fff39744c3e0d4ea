//! Record batches: what a Produce request brings and a Fetch answer takes away.
//!
//! * [`Batch`] is a batch of format 2 as it lies in a frame or a log: its header parsed, its bytes
//!   untouched. [`Batch::records`] iterates its [`Record`]s as slices of the decompressed bytes.
//! * [`BatchBuilder`] makes one.
//! * [`legacy`] reads message sets of formats 0 and 1 and converts them.
//! * [`admit`] is what a broker does with a producer's payload, whatever its format: everything is
//!   checked, what Kafka's own broker corrects is corrected, and the decompressed records are handed
//!   on so that nobody has to decompress them twice.

mod admit;
mod attributes;
mod batch;
mod builder;
mod compression;
pub mod legacy;
pub mod patch;
mod record;
mod retain;

pub use admit::{Admitted, Extreme, admit};
pub use attributes::{Attributes, TimestampType};
pub use batch::{Batch, BatchHeader, HEADER_BYTES, magic};
pub use builder::BatchBuilder;
pub use compression::{Compression, CompressionFault};
pub use record::{Header, Headers, Iter, Record, RecordFault, Records};

/// The CRC of record batches: Castagnoli's polynomial (CRC-32C, iSCSI).
///
/// `crc-fast` folds with carry-less multiplication; at the sizes of batches it is two to four times
/// as fast as the `crc32` instruction (`benches/wire.rs`).
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}
