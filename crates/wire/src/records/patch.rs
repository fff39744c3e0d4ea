//! Changes to a batch in place, as a broker makes them.
//!
//! The base offset and the leader epoch lie before the CRC's span and cost nothing; a change of the
//! timestamps computes the CRC again.
//!
//! All of them do nothing to bytes that are too short to be a batch.

use crate::records::{
    Attributes, TimestampType,
    batch::{CRC_SPAN_START, HEADER_BYTES},
    crc32c,
};

/// Sets the offset of the first record.
pub fn base_offset(batch: &mut [u8], offset: i64) {
    put(batch, 0, offset.to_be_bytes());
}

/// Sets the epoch of the leader.
pub fn leader_epoch(batch: &mut [u8], epoch: i32) {
    put(batch, 12, epoch.to_be_bytes());
}

/// Sets the timestamp type and the highest timestamp, and the CRC after that.
pub fn timestamps(batch: &mut [u8], timestamp_type: TimestampType, max_timestamp: i64) {
    let Some(attributes) = batch.get(21..23).and_then(|bytes| bytes.try_into().ok()) else {
        return;
    };
    let attributes = Attributes(i16::from_be_bytes(attributes)).with_timestamp_type(timestamp_type);
    put(batch, 21, attributes.0.to_be_bytes());
    put(batch, 35, max_timestamp.to_be_bytes());
    crc(batch);
}

/// Sets the CRC to that of the bytes.
pub fn crc(batch: &mut [u8]) {
    let computed = crc32c(batch.get(CRC_SPAN_START..).unwrap_or_default());
    put(batch, 17, computed.to_be_bytes());
}

fn put<const N: usize>(batch: &mut [u8], at: usize, bytes: [u8; N]) {
    if batch.len() >= HEADER_BYTES
        && let Some(place) = batch.get_mut(at..at + N)
    {
        place.copy_from_slice(&bytes);
    }
}
