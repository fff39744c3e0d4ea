//! Message sets of formats 0 and 1, which Produce up to version 2 and Fetch up to version 3 carry, and
//! their conversion to a batch of format 2 and back.
//!
//! A set is a row of messages, each with its offset, its size and a CRC-32 (of another polynomial
//! than a batch's) over everything after the CRC. A compressed message wraps a whole set in its
//! value. Format 1 adds a timestamp.

use bytes::{BufMut, Bytes};

use crate::{
    BatchFault, Error, Limits, Result,
    primitives::{self, int32, optional_bytes, run, unsigned},
    records::{Attributes, Batch, BatchBuilder, Compression, RecordFault, TimestampType},
};

/// Bytes of a message before its contents: the offset and the size.
const PREFIX_BYTES: usize = 12;

/// Bytes of a message before its magic byte: the offset, the size and the CRC.
const CRC_SPAN_START: usize = 16;

/// A format of message sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Format {
    /// Without timestamps: what Fetch 0 and 1 answer with.
    V0 = 0,
    /// With timestamps: what Fetch 2 and 3 answer with.
    V1 = 1,
}

/// A message of a set, not decompressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its offset; in a compressed set of format 1, relative to the first of them.
    pub offset: i64,
    /// The format: 0 or 1.
    pub magic: i8,
    /// Codec and clock, in the bits a batch has them in.
    pub attributes: Attributes,
    /// Its timestamp in milliseconds; -1 in format 0.
    pub timestamp: i64,
    /// Its key, if it has one.
    pub key: Option<Bytes>,
    /// Its value; of a compressed message, the set it wraps.
    pub value: Option<Bytes>,
}

/// The messages of a set, first to last, as slices of its bytes, with their CRCs checked. After an
/// error there are no more. Compressed messages come as they are.
pub fn messages(set: Bytes) -> impl Iterator<Item = Result<Message>> {
    let mut position = 0;
    let mut index = 0;
    std::iter::from_fn(move || {
        let rest = set.get(position..).filter(|rest| !rest.is_empty())?;
        Some(match message(&set, rest) {
            Ok((size, message)) => {
                position += size;
                index += 1;
                Ok(message)
            }
            Err(fault) => {
                let error = Error::Record {
                    index,
                    position,
                    fault,
                };
                position = set.len();
                Err(error)
            }
        })
    })
}

/// Converts a set to a batch at offset 0: the messages of compressed ones are taken out, and
/// compressed anew with the codec of the first.
///
/// # Errors
/// The first fault; [`Error::code`] says what to answer.
pub fn convert(set: Bytes, limits: &Limits) -> Result<Batch> {
    builder(set, limits)?.finish()
}

pub(crate) fn builder(set: Bytes, limits: &Limits) -> Result<BatchBuilder> {
    let mut builder: Option<BatchBuilder> = None;
    let mut decompressed_bytes_left = limits.decompressed_bytes_max;
    for (index, message) in (0..).zip(messages(set)) {
        let message = message?;
        let fault = |fault| Error::Record {
            index,
            position: 0,
            fault,
        };
        if message.attributes.timestamp_type() == TimestampType::LogAppendTime {
            return Err(fault(RecordFault::LogAppendTime));
        }
        let codec = message.attributes.compression()?;
        if codec == Compression::Zstd {
            // Younger than these formats (KIP-110): to their readers the number stands for nothing.
            return Err(Error::UnknownCompression(codec as u8));
        }
        let builder = builder.get_or_insert_with(|| BatchBuilder::new(codec));
        if codec == Compression::None {
            append(builder, &message)?;
            continue;
        }
        let wrapped = message.value.ok_or(fault(RecordFault::NoValue))?;
        let limits = Limits {
            decompressed_bytes_max: decompressed_bytes_left,
            ..limits.clone()
        };
        let wrapped = codec.decompress(&wrapped, &limits)?;
        decompressed_bytes_left = decompressed_bytes_left.saturating_sub(wrapped.len());
        for inner in messages(wrapped) {
            let inner = inner?;
            // A wrapped message that wraps others would multiply the limits.
            if inner.attributes.compression()? != Compression::None {
                return Err(fault(RecordFault::Nested));
            }
            append(builder, &inner)?;
        }
    }
    match builder {
        Some(builder) if !builder.is_empty() => Ok(builder),
        _ => Err(BatchFault::Empty.into()),
    }
}

/// Converts a batch at `base_offset` to a message set for a reader of an older format. Headers are
/// left out, which older formats don't have; of a batch that isn't compressed, records below `from`
/// too. A compressed batch becomes one message that wraps the others, by the same codec. A control
/// batch becomes nothing.
///
/// # Errors
/// If the batch can't be read, or its codec is younger than the format.
pub fn message_set(
    batch: &Batch,
    base_offset: i64,
    from: i64,
    format: Format,
    limits: &Limits,
) -> Result<Vec<u8>> {
    if batch.attributes.is_control() {
        return Ok(Vec::new());
    }
    let codec = batch.attributes.compression()?;
    if codec == Compression::Zstd {
        return Err(Error::UnknownCompression(codec as u8));
    }
    let records = batch.records(limits)?.at(base_offset);
    let clock = Attributes::default().with_timestamp_type(batch.attributes.timestamp_type());
    let mut set = Vec::with_capacity(records.bytes().len());
    let mut first = None;
    let (mut last, mut max_timestamp) = (base_offset, -1);
    for record in &records {
        let record = record?;
        if codec == Compression::None && record.offset < from {
            continue;
        }
        let first = *first.get_or_insert(record.offset);
        let offset = match (codec, format) {
            (Compression::None, _) | (_, Format::V0) => record.offset,
            // Within a message of format 1 they count from the first of them.
            (_, Format::V1) => record.offset.wrapping_sub(first),
        };
        let contents = (record.key, record.value);
        put_message(&mut set, format, offset, clock, record.timestamp, contents)?;
        last = record.offset;
        max_timestamp = max_timestamp.max(record.timestamp);
    }
    if codec == Compression::None || set.is_empty() {
        return Ok(set);
    }
    let wrapped = match format {
        Format::V0 => codec.compress_for_format_0(&set)?,
        Format::V1 => codec.compress(&set)?,
    };
    set.clear();
    let attributes = clock.with_compression(codec);
    let contents = (None, Some(wrapped.as_slice()));
    put_message(&mut set, format, last, attributes, max_timestamp, contents)?;
    Ok(set)
}

fn put_message(
    set: &mut Vec<u8>,
    format: Format,
    offset: i64,
    attributes: Attributes,
    timestamp: i64,
    (key, value): (Option<&[u8]>, Option<&[u8]>),
) -> Result<()> {
    let start = set.len();
    set.put_i64(offset);
    // Size and CRC, which are known when the rest is there.
    set.put_u64(0);
    set.put_u8(format as u8);
    match format {
        Format::V0 => set.put_u8((attributes.0 & 0b0111) as u8),
        Format::V1 => {
            set.put_u8((attributes.0 & 0b1111) as u8);
            set.put_i64(timestamp);
        }
    }
    for bytes in [key, value] {
        let length = bytes.map_or(Ok(-1), |bytes| i32::try_from(bytes.len()));
        set.put_i32(length.map_err(|_| too_long(bytes.map_or(0, <[u8]>::len)))?);
        set.extend_from_slice(bytes.unwrap_or_default());
    }
    let message = set.get_mut(start..).unwrap_or_default();
    let length = message.len().saturating_sub(PREFIX_BYTES);
    let size = i32::try_from(length).map_err(|_| too_long(length))?;
    let crc = crc_fast::crc32_iso_hdlc(message.get(CRC_SPAN_START..).unwrap_or_default());
    if let Some(mut front) = message.get_mut(8..CRC_SPAN_START) {
        front.put_i32(size);
        front.put_u32(crc);
    }
    Ok(())
}

fn too_long(length: usize) -> Error {
    Error::TooLong {
        length,
        length_max: i32::MAX as usize,
    }
}

fn append(builder: &mut BatchBuilder, message: &Message) -> Result<()> {
    builder.append(
        message.timestamp,
        message.key.as_deref(),
        message.value.as_deref(),
        &[],
    )
}

/// Reads the message at the front of `rest`, a part of `set`; answers its size too.
fn message(set: &Bytes, rest: &[u8]) -> Result<(usize, Message), RecordFault> {
    let (input, offset) = run(rest, primitives::int64)?;
    let (input, size) = run(input, int32)?;
    let size = unsigned(size)?;
    let (_, input) = run(input, primitives::bytes(size))?;
    let (checked, stored) = run(input, primitives::uint32)?;
    let computed = crc_fast::crc32_iso_hdlc(checked);
    if computed != stored {
        return Err(RecordFault::Crc { stored, computed });
    }
    let (input, magic) = run(checked, primitives::int8)?;
    let (input, attributes) = run(input, primitives::int8)?;
    let (input, timestamp) = match magic {
        0 => (input, -1),
        1 => run(input, primitives::int64)?,
        magic => return Err(RecordFault::Magic(magic)),
    };
    let (input, key) = run(input, optional_bytes(int32))?;
    let (input, value) = run(input, optional_bytes(int32))?;
    if !input.is_empty() {
        return Err(RecordFault::Unused { left: input.len() });
    }
    // Format 0 has no clock: the bit means nothing there.
    let mask = if magic == 0 { 0b0111 } else { 0b1111 };
    let message = Message {
        offset,
        magic,
        attributes: Attributes(i16::from(attributes) & mask),
        timestamp,
        key: key.map(|key| set.slice_ref(key)),
        value: value.map(|value| set.slice_ref(value)),
    };
    Ok((PREFIX_BYTES + size, message))
}
