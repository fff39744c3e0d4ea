//! Record batches as the log sees them: opaque bytes with a few header fields.

use bytes::{Bytes, BytesMut};
use fletch_wire::records::{Batch, BatchHeader, HEADER_BYTES, TimestampType, patch};

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
    if header.producer_id >= 0 && (header.base_sequence < 0 || header.producer_epoch < 0) {
        return Err(invalid(format!(
            "producer {} has epoch {} and sequence {}",
            header.producer_id, header.producer_epoch, header.base_sequence
        )));
    }
    Ok(header)
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
        }
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
        let mut bytes = BytesMut::from(&self.bytes[..]);
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

    #[test]
    fn sequences_wrap_to_zero() {
        assert_eq!(add_sequence(i32::MAX, 1), 0);
        assert_eq!(add_sequence(i32::MAX - 1, 3), 1);
        assert_eq!(add_sequence(0, i32::MAX), i32::MAX);
        assert_eq!(add_sequence(i32::MAX, i32::MAX), i32::MAX - 1);
    }
}
