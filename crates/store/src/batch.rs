//! Record batches as the log sees them: opaque bytes with a few header fields.

use bytes::{Bytes, BytesMut};

use crate::error::AppendError;

/// Bytes of a v2 batch before its records.
pub(crate) const HEADER_BYTES: usize = 61;
/// The batch's own CRC32C covers everything from here to its end.
pub(crate) const CRC_COVERS_FROM: usize = 21;

const LENGTH_FIELD: usize = 8;
const LEADER_EPOCH_FIELD: usize = 12;
/// The length field counts from here.
const LENGTH_COUNTS_FROM: usize = 12;
const LOG_APPEND_TIME_BIT: i16 = 0b1000;

/// What the fold needs to know about a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    /// The whole batch's size.
    pub(crate) bytes: u32,
    pub(crate) attributes: i16,
    pub(crate) last_offset_delta: i32,
    pub(crate) max_timestamp: i64,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
}

impl BatchHeader {
    pub(crate) fn is_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME_BIT != 0
    }

    /// The last record's sequence number; after 2^31 - 1 comes 0.
    pub(crate) fn last_sequence(&self) -> i32 {
        add_sequence(self.base_sequence, self.last_offset_delta)
    }

    /// Reads the header of one whole batch and checks the CRC and what the header says about
    /// itself. Everything in the log has passed here, which is why recovery may trust the CRC.
    pub(crate) fn check(batch: &[u8]) -> Result<Self, AppendError> {
        let corrupt = |reason: String| AppendError::CorruptBatch { reason };
        let fields = Fields::read(batch).ok_or_else(|| {
            corrupt(format!(
                "{} bytes do not hold a batch header, which takes {HEADER_BYTES}",
                batch.len()
            ))
        })?;
        if fields.magic != 2 {
            return Err(corrupt(format!("format {} is not 2", fields.magic)));
        }
        let whole = i64::from(fields.length) + LENGTH_COUNTS_FROM as i64;
        if whole != batch.len() as i64 {
            return Err(corrupt(format!(
                "its length field says {whole} bytes; there are {}",
                batch.len()
            )));
        }
        let crc = crc32c::crc32c(batch.get(CRC_COVERS_FROM..).unwrap_or_default());
        if crc != fields.crc {
            return Err(corrupt(format!(
                "its CRC is {crc:#010x}, its header says {:#010x}",
                fields.crc
            )));
        }
        let header = fields.header;
        let invalid = |reason: String| AppendError::InvalidBatch { reason };
        if header.last_offset_delta < 0
            || i64::from(header.last_offset_delta) + 1 != i64::from(fields.record_count)
        {
            return Err(invalid(format!(
                "it counts {} records and a last offset delta of {}",
                fields.record_count, header.last_offset_delta
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

    /// Reads the header of a batch that passed [`check`](Self::check) when it was appended.
    pub(crate) fn peek(batch: &[u8]) -> Option<Self> {
        Fields::read(batch).map(|fields| fields.header)
    }
}

struct Fields {
    length: i32,
    magic: i8,
    crc: u32,
    record_count: i32,
    header: BatchHeader,
}

impl Fields {
    fn read(batch: &[u8]) -> Option<Self> {
        fn at<const N: usize>(header: &[u8; HEADER_BYTES], from: usize) -> Option<[u8; N]> {
            header.get(from..from + N)?.try_into().ok()
        }
        let header: &[u8; HEADER_BYTES] = batch.first_chunk()?;
        Some(Self {
            length: i32::from_be_bytes(at(header, LENGTH_FIELD)?),
            magic: i8::from_be_bytes(at(header, 16)?),
            crc: u32::from_be_bytes(at(header, 17)?),
            record_count: i32::from_be_bytes(at(header, 57)?),
            header: BatchHeader {
                bytes: u32::try_from(batch.len()).ok()?,
                attributes: i16::from_be_bytes(at(header, 21)?),
                last_offset_delta: i32::from_be_bytes(at(header, 23)?),
                max_timestamp: i64::from_be_bytes(at(header, 35)?),
                producer_id: i64::from_be_bytes(at(header, 43)?),
                producer_epoch: i16::from_be_bytes(at(header, 51)?),
                base_sequence: i32::from_be_bytes(at(header, 53)?),
            },
        })
    }
}

/// Sequence arithmetic: 31 bits, wrapping to 0.
pub(crate) fn add_sequence(sequence: i32, delta: i32) -> i32 {
    let sum = (i64::from(sequence) + i64::from(delta)) & i64::from(i32::MAX);
    i32::try_from(sum).unwrap_or(0)
}

/// A batch in the log: the bytes as its producer sent them, and the offset the log gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBatch {
    base_offset: i64,
    bytes: Bytes,
}

impl StoredBatch {
    pub(crate) fn new(base_offset: i64, bytes: Bytes) -> Self {
        Self { base_offset, bytes }
    }

    /// The offset of the batch's first record.
    pub fn base_offset(&self) -> i64 {
        self.base_offset
    }

    /// The offset of the batch's last record.
    pub fn last_offset(&self) -> i64 {
        let delta = BatchHeader::peek(&self.bytes).map_or(0, |header| header.last_offset_delta);
        self.base_offset + i64::from(delta)
    }

    /// The batch as it is kept: base offset and leader epoch are still the producer's. Shares
    /// the log's memory.
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
        patch(&mut front, self.base_offset);
        (
            front,
            self.bytes.slice(PATCHED_BYTES.min(self.bytes.len())..),
        )
    }

    /// The batch as a consumer must see it, in one piece: a copy.
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = BytesMut::from(&self.bytes[..]);
        patch(&mut bytes, self.base_offset);
        bytes.freeze()
    }
}

/// How many bytes of a batch are patched on read: base offset, length and leader epoch. None of
/// them is covered by the batch's CRC.
pub const PATCHED_BYTES: usize = 16;

fn patch(batch: &mut [u8], base_offset: i64) {
    if let Some(field) = batch.first_chunk_mut() {
        *field = base_offset.to_be_bytes();
    }
    if let Some(field) = batch.get_mut(LEADER_EPOCH_FIELD..PATCHED_BYTES) {
        field.fill(0);
    }
}
