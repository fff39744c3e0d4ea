use std::ops::Deref;

use bytes::Bytes;

use crate::{
    BatchFault, Error, Fault, Limits, Result, primitives,
    records::{Attributes, Records, TimestampType, crc32c},
};

/// Bytes of a batch before its records.
pub const HEADER_BYTES: usize = 61;

/// Bytes of a batch that its length field doesn't count: the base offset and the field itself.
pub(crate) const UNCOUNTED_BYTES: usize = 12;

/// Where the CRC's span starts: the base offset, the length, the leader epoch, the magic byte and
/// the CRC itself lie before it.
pub(crate) const CRC_SPAN_START: usize = 21;

/// The format of what starts here, by its magic byte: 0 and 1 are legacy message sets, 2 is a
/// batch. `None` if there are too few bytes to tell.
pub fn magic(bytes: &[u8]) -> Option<i8> {
    bytes.get(16).map(|byte| *byte as i8)
}

/// The header of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// The offset of the first record. A producer sends 0, the broker assigns it.
    pub base_offset: i64,
    /// Bytes of the whole batch, the header included.
    pub bytes: usize,
    /// The epoch of the leader that appended the batch; a producer sends -1. Not covered by the
    /// CRC.
    pub leader_epoch: i32,
    /// The CRC-32C of all bytes after it.
    pub crc: u32,
    /// Codec, clock, transaction.
    pub attributes: Attributes,
    /// The offset of the last record less the base offset. Stays as it is when compaction removes
    /// records.
    pub last_offset_delta: i32,
    /// The timestamp that those of the records are relative to, in milliseconds.
    pub base_timestamp: i64,
    /// The highest timestamp, in milliseconds, or the broker's for
    /// [`LogAppendTime`](TimestampType::LogAppendTime). Not every producer sets it.
    pub max_timestamp: i64,
    /// The idempotent producer; -1 for none.
    pub producer_id: i64,
    /// Its epoch; -1 for none.
    pub producer_epoch: i16,
    /// The sequence number of the first record; -1 for none.
    pub base_sequence: i32,
    /// How many records.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads a header off the front of the bytes, which need not hold the whole batch.
    ///
    /// # Errors
    /// If there are fewer than [`HEADER_BYTES`], if they are of another format, or if the length is
    /// less than a header's.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        // The magic byte lies at the same place in all formats: a legacy set shorter than a header
        // is told from a truncated batch.
        if let Some(magic) = magic(bytes)
            && magic != 2
        {
            return Err(BatchFault::Magic(magic).into());
        }
        let read = || -> Result<Self, nom::Err<Fault>> {
            let (rest, base_offset) = primitives::int64(bytes)?;
            let (rest, length) = primitives::int32(rest)?;
            let (rest, leader_epoch) = primitives::int32(rest)?;
            let (rest, _magic) = primitives::int8(rest)?;
            let (rest, crc) = primitives::uint32(rest)?;
            let (rest, attributes) = primitives::int16(rest)?;
            let (rest, last_offset_delta) = primitives::int32(rest)?;
            let (rest, base_timestamp) = primitives::int64(rest)?;
            let (rest, max_timestamp) = primitives::int64(rest)?;
            let (rest, producer_id) = primitives::int64(rest)?;
            let (rest, producer_epoch) = primitives::int16(rest)?;
            let (rest, base_sequence) = primitives::int32(rest)?;
            let (_, record_count) = primitives::int32(rest)?;
            Ok(Self {
                base_offset,
                bytes: usize::try_from(length).unwrap_or_default() + UNCOUNTED_BYTES,
                leader_epoch,
                crc,
                attributes: Attributes(attributes),
                last_offset_delta,
                base_timestamp,
                max_timestamp,
                producer_id,
                producer_epoch,
                base_sequence,
                record_count,
            })
        };
        let header = read().map_err(|_| BatchFault::Truncated {
            needed: HEADER_BYTES,
            left: bytes.len(),
        })?;
        if header.bytes < HEADER_BYTES {
            return Err(BatchFault::TooShort {
                bytes: header.bytes,
            }
            .into());
        }
        Ok(header)
    }

    /// The offset of the last record.
    pub fn last_offset(&self) -> i64 {
        self.base_offset.wrapping_add(self.last_offset_delta.into())
    }
}

/// A record batch of format 2, as it came: a view of its bytes with the header parsed.
///
/// Parsing looks at the header alone. [`verify_crc`](Self::verify_crc) and
/// [`records`](Self::records) look at the rest.
#[derive(Clone, PartialEq, Eq)]
pub struct Batch {
    header: BatchHeader,
    bytes: Bytes,
}

impl Batch {
    /// Takes a batch off the front of the bytes and hands back what follows it.
    ///
    /// # Errors
    /// As [`BatchHeader::parse`], and if the bytes end before the batch does.
    pub fn parse(bytes: Bytes) -> Result<(Self, Bytes)> {
        let header = BatchHeader::parse(&bytes)?;
        if header.bytes > bytes.len() {
            return Err(BatchFault::Truncated {
                needed: header.bytes,
                left: bytes.len(),
            }
            .into());
        }
        let mut bytes = bytes;
        let rest = bytes.split_off(header.bytes);
        Ok((Self { header, bytes }, rest))
    }

    /// Takes batches off the front of the bytes until none are left.
    pub fn parse_all(bytes: Bytes) -> impl Iterator<Item = Result<Self>> {
        let mut rest = Some(bytes);
        std::iter::from_fn(move || {
            let bytes = rest.take().filter(|bytes| !bytes.is_empty())?;
            Some(Self::parse(bytes).map(|(batch, after)| {
                rest = Some(after);
                batch
            }))
        })
    }

    /// All bytes of the batch, header included.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// All bytes of the batch, header included.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// The bytes of the records, as they came, compressed if the batch is.
    pub fn body(&self) -> Bytes {
        self.bytes.slice(HEADER_BYTES..)
    }

    /// Compares the CRC with that of the bytes.
    ///
    /// # Errors
    /// [`BatchFault::Crc`].
    pub fn verify_crc(&self) -> Result<()> {
        let computed = crc32c(self.bytes.get(CRC_SPAN_START..).unwrap_or_default());
        if computed == self.crc {
            Ok(())
        } else {
            Err(BatchFault::Crc {
                stored: self.crc,
                computed,
            }
            .into())
        }
    }

    /// Decompresses the records, if they are compressed, within the limits.
    ///
    /// # Errors
    /// If they don't decompress, or to more than the limits allow, or if the batch announces more
    /// records than there can be.
    pub fn records(&self, limits: &Limits) -> Result<Records> {
        let body = self
            .attributes
            .compression()?
            .decompress(&self.body(), limits)?;
        Records::new(&self.header, body)
    }

    /// Checks what can be checked without decompressing: the CRC, and what Kafka's broker demands
    /// of the header of a producer's batch.
    ///
    /// # Errors
    /// The first fault found; [`Error::code`] says what to answer.
    pub fn check(&self) -> Result<()> {
        self.verify_crc()?;
        self.attributes.compression()?;
        let BatchHeader {
            record_count,
            last_offset_delta,
            ..
        } = self.header;
        if record_count <= 0 || last_offset_delta.checked_add(1) != Some(record_count) {
            return Err(BatchFault::Count {
                record_count,
                last_offset_delta,
            }
            .into());
        }
        if self.attributes.is_control() {
            return Err(BatchFault::Control.into());
        }
        if self.producer_id >= 0 && (self.base_sequence < 0 || self.producer_epoch < 0) {
            return Err(BatchFault::Sequence {
                producer_id: self.producer_id,
                producer_epoch: self.producer_epoch,
                base_sequence: self.base_sequence,
            }
            .into());
        }
        if self.attributes.is_transactional() && self.producer_id < 0 {
            return Err(BatchFault::TransactionWithoutProducer.into());
        }
        if self.attributes.timestamp_type() == TimestampType::LogAppendTime {
            return Err(BatchFault::LogAppendTime.into());
        }
        Ok(())
    }
}

impl Deref for Batch {
    type Target = BatchHeader;

    fn deref(&self) -> &BatchHeader {
        &self.header
    }
}

impl TryFrom<Bytes> for Batch {
    type Error = Error;

    /// The batch that the bytes are, and nothing else.
    fn try_from(bytes: Bytes) -> Result<Self> {
        let (batch, rest) = Self::parse(bytes)?;
        if rest.is_empty() {
            Ok(batch)
        } else {
            Err(BatchFault::TrailingBytes { left: rest.len() }.into())
        }
    }
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.header.fmt(f)
    }
}
