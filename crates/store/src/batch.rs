//! Record batches as the log sees them: opaque bytes with a few header fields.

use bytes::{Bytes, BytesMut};
use fletch_wire::Limits;
use fletch_wire::records::{
    Batch, BatchBuilder, BatchHeader, Compression, HEADER_BYTES, TimestampType, patch,
};

use crate::error::AppendError;

/// The batch's own CRC32C covers everything from here to its end.
pub(crate) const CRC_COVERS_FROM: usize = 21;

/// The front of a batch that is copied to be patched on read: its header. What changes in it, base
/// offset and leader epoch, is not covered by the batch's CRC.
pub const PATCHED_BYTES: usize = HEADER_BYTES;

/// Reads the header of one whole batch, and checks the CRC and what the fold relies on. Everything
/// in the log has passed here, which is why recovery may rely on the CRC.
pub(crate) fn check(batch: &Bytes) -> Result<BatchHeader, AppendError> {
    let corrupt = |error: fletch_wire::Error| AppendError::CorruptBatch {
        reason: error.to_string(),
    };
    let batch = Batch::try_from(batch.clone()).map_err(corrupt)?;
    batch.verify_crc().map_err(corrupt)?;
    let header = *batch;
    let invalid = |reason: String| AppendError::InvalidBatch { reason };
    if header.last_offset_delta < 0 {
        return Err(invalid(format!(
            "its last offset delta is {}",
            header.last_offset_delta
        )));
    }
    if header.attributes.is_control() {
        return Err(invalid("markers are the log's own to write".to_owned()));
    }
    if header.attributes.is_transactional() && header.producer_id < 0 {
        return Err(invalid(
            "it is of a transaction and of no producer".to_owned(),
        ));
    }
    if header.producer_id >= 0 && (header.base_sequence < 0 || header.producer_epoch < 0) {
        return Err(invalid(format!(
            "producer {} has epoch {} and sequence {}",
            header.producer_id, header.producer_epoch, header.base_sequence
        )));
    }
    Ok(header)
}

/// The version of a marker's key and of its value.
const MARKER_VERSION: i16 = 0;
/// What a marker says, in its key.
const ABORT: i16 = 0;
const COMMIT: i16 = 1;
/// The coordinator's epoch in a marker. There has only ever been one coordinator.
const COORDINATOR_EPOCH: i32 = 0;

/// A marker: a control batch that ends a producer's transaction, as Kafka writes it (KIP-98).
pub(crate) fn new_marker(
    (producer_id, epoch): (i64, i16),
    committed: bool,
    timestamp: i64,
) -> fletch_wire::Result<Batch> {
    let says = if committed { COMMIT } else { ABORT };
    let mut key = Vec::with_capacity(4);
    key.extend_from_slice(&MARKER_VERSION.to_be_bytes());
    key.extend_from_slice(&says.to_be_bytes());
    let mut value = Vec::with_capacity(6);
    value.extend_from_slice(&MARKER_VERSION.to_be_bytes());
    value.extend_from_slice(&COORDINATOR_EPOCH.to_be_bytes());
    let mut builder = BatchBuilder::new(Compression::None)
        .producer(producer_id, epoch, -1)
        .transactional()
        .control();
    builder.append(timestamp, Some(&key), Some(&value), &[])?;
    builder.finish()
}

/// Whether a marker says that the transaction is committed; none if the batch is no marker.
pub(crate) fn marker(bytes: &Bytes) -> Option<bool> {
    let batch = Batch::try_from(bytes.clone()).ok()?;
    let records = batch.records(&Limits::default()).ok()?;
    let record = records.iter().next()?.ok()?;
    let (_version, rest) = record.key?.split_first_chunk::<2>()?;
    match i16::from_be_bytes(*rest.first_chunk()?) {
        ABORT => Some(false),
        COMMIT => Some(true),
        _ => None,
    }
}

/// The time that the log gave the batch, if its topic stamps batches on append; else -1.
pub(crate) fn log_append_time_ms(header: &BatchHeader) -> i64 {
    match header.attributes.timestamp_type() {
        TimestampType::LogAppendTime => header.max_timestamp,
        TimestampType::CreateTime => -1,
    }
}

/// The sequence number of a batch's last record.
pub(crate) fn last_sequence(header: &BatchHeader) -> i32 {
    add_sequence(header.base_sequence, header.last_offset_delta)
}

/// Sequence arithmetic: 31 bits, wrapping to 0.
pub(crate) fn add_sequence(sequence: i32, delta: i32) -> i32 {
    sequence.wrapping_add(delta) & i32::MAX
}

/// A batch in the log: the bytes as its producer sent them, and the offset the log gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBatch {
    base_offset: i64,
    last_offset_delta: i32,
    bytes: Bytes,
    is_aborted: bool,
}

impl StoredBatch {
    /// `bytes` have at least a batch's header: [`check`] saw to it when they were appended, and
    /// the frame's checksum when they were read back.
    pub(crate) fn new(base_offset: i64, last_offset_delta: i32, bytes: Bytes) -> Self {
        debug_assert!(bytes.len() >= HEADER_BYTES);
        Self {
            base_offset,
            last_offset_delta,
            bytes,
            is_aborted: false,
        }
    }

    /// Whether the batch is of a transaction that was aborted. Only
    /// [`Store::read_committed`](crate::Store::read_committed) looks at that.
    pub fn is_aborted(&self) -> bool {
        self.is_aborted
    }

    pub(crate) fn set_aborted(&mut self, is_aborted: bool) {
        self.is_aborted = is_aborted;
    }

    /// The producer whose transaction the batch is in, if it is in one.
    pub(crate) fn transaction_of(&self) -> Option<i64> {
        let header = BatchHeader::parse(&self.bytes).ok()?;
        let is_transactional = header.attributes.is_transactional();
        is_transactional.then_some(header.producer_id)
    }

    /// The offset of the batch's first record.
    pub fn base_offset(&self) -> i64 {
        self.base_offset
    }

    /// The offset of the batch's last record.
    pub fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    /// The batch as it is kept: base offset and leader epoch are still the producer's. Shares the
    /// log's memory.
    pub fn as_sent(&self) -> &Bytes {
        &self.bytes
    }

    /// The batch as a consumer must see it, with its base offset and leader epoch 0, in two
    /// pieces: the patched first bytes, and the rest, which shares the log's memory.
    pub fn parts(&self) -> ([u8; PATCHED_BYTES], Bytes) {
        let mut front = [0; PATCHED_BYTES];
        for (to, from) in front.iter_mut().zip(self.bytes.iter()) {
            *to = *from;
        }
        self.patch(&mut front);
        (
            front,
            self.bytes.slice(PATCHED_BYTES.min(self.bytes.len())..),
        )
    }

    /// The batch as a consumer must see it, in one piece: a copy.
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = BytesMut::from(self.bytes.as_ref());
        self.patch(&mut bytes);
        bytes.freeze()
    }

    fn patch(&self, front: &mut [u8]) {
        patch::base_offset(front, self.base_offset);
        patch::leader_epoch(front, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that Apache Kafka's broker writes for a marker.
    #[test]
    fn markers_are_those_of_kafka() {
        for (committed, says) in [(false, 0), (true, 1)] {
            let marker = new_marker((4000, 7), committed, 99).unwrap();
            assert_eq!((marker.producer_id, marker.producer_epoch), (4000, 7));
            assert_eq!((marker.base_sequence, marker.record_count), (-1, 1));
            let bits = (
                marker.attributes.is_control(),
                marker.attributes.is_transactional(),
            );
            assert_eq!(bits, (true, true));
            let record = [32, 0, 0, 0, 8, 0, 0, 0, says, 12, 0, 0, 0, 0, 0, 0, 0];
            assert_eq!(marker.body()[..], record);
            assert_eq!(super::marker(marker.bytes()), Some(committed));
            // Nobody else writes one.
            let refused = check(marker.bytes());
            assert!(matches!(refused, Err(AppendError::InvalidBatch { .. })));
        }
    }

    #[test]
    fn sequences_wrap_to_zero() {
        assert_eq!(add_sequence(i32::MAX, 1), 0);
        assert_eq!(add_sequence(i32::MAX - 1, 3), 1);
        assert_eq!(add_sequence(0, i32::MAX), i32::MAX);
        assert_eq!(add_sequence(i32::MAX, i32::MAX), i32::MAX - 1);
    }
}
