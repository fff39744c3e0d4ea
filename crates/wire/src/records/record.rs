use bytes::Bytes;

use crate::{
    BatchFault, Error, Fault, Result,
    primitives::{self, optional_bytes, run, unsigned, varint},
    records::{BatchHeader, TimestampType},
};

/// The fewest bytes a record takes: its length, attributes, deltas, two lengths and a count.
const RECORD_BYTES_MIN: usize = 7;

/// What is wrong with a record of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordFault {
    /// It breaks the format.
    #[error(transparent)]
    Malformed(#[from] Fault),
    /// Its contents end before its length says.
    #[error("has {left} bytes after its headers")]
    Unused {
        /// How many.
        left: usize,
    },
    /// It announces a negative count of headers, or more than can be.
    #[error("announces {count} headers in {left} bytes")]
    HeaderCount {
        /// The count.
        count: i32,
        /// Bytes that are left.
        left: usize,
    },
    /// A header has no key.
    #[error("has a header without a key")]
    HeaderKey,
    /// Its offset or timestamp doesn't fit in 64 bits.
    #[error("has the delta {delta} from a base of {base}")]
    Delta {
        /// What the delta is relative to.
        base: i64,
        /// The delta.
        delta: i64,
    },
    /// A legacy message has a CRC that isn't that of its bytes.
    #[error("has the CRC {stored:#010x}, its bytes have {computed:#010x}")]
    Crc {
        /// The CRC in the message.
        stored: u32,
        /// The CRC of its bytes.
        computed: u32,
    },
    /// A legacy message has the magic byte of no legacy format.
    #[error("has the magic byte {0}")]
    Magic(i8),
    /// A legacy message wraps others, and is itself wrapped.
    #[error("is compressed within a compressed message")]
    Nested,
    /// A legacy message that wraps others has no value.
    #[error("wraps messages but has no value")]
    NoValue,
    /// A legacy message says that its timestamp is the broker's, which is not the producer's to say.
    #[error("claims a timestamp of the broker's")]
    LogAppendTime,
}

/// The records of a batch, decompressed, still encoded.
#[derive(Debug, Clone)]
pub struct Records {
    body: Bytes,
    count: u32,
    base_offset: i64,
    base_timestamp: i64,
    /// Timestamp of every record, if it is the broker's.
    log_append_time: Option<i64>,
}

impl Records {
    /// The records of a batch with this header whose decompressed bytes these are.
    ///
    /// # Errors
    /// [`BatchFault::RecordCount`] if the header announces a negative count, or more records than
    /// the bytes can hold.
    pub fn new(header: &BatchHeader, body: Bytes) -> Result<Self> {
        let fault = BatchFault::RecordCount {
            count: header.record_count,
            left: body.len(),
        };
        let count = u32::try_from(header.record_count).map_err(|_| fault.clone())?;
        if (count as usize).saturating_mul(RECORD_BYTES_MIN) > body.len() {
            return Err(fault.into());
        }
        let log_append_time = (header.attributes.timestamp_type() == TimestampType::LogAppendTime)
            .then_some(header.max_timestamp);
        Ok(Self {
            body,
            count,
            base_offset: header.base_offset,
            base_timestamp: header.base_timestamp,
            log_append_time,
        })
    }

    /// How many records the batch announces.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether the batch announces none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The decompressed bytes. What a record holds are slices of it: [`Bytes::slice_ref`] makes an
    /// owned one.
    pub fn bytes(&self) -> &Bytes {
        &self.body
    }

    /// The offset of the batch that they are of.
    pub(super) fn base_offset(&self) -> i64 {
        self.base_offset
    }

    /// The same records at another place of the log: what a batch's become once it has its offset.
    pub fn at(mut self, base_offset: i64) -> Self {
        self.base_offset = base_offset;
        self
    }

    /// The records, first to last. After an error there are no more.
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            records: self,
            rest: &self.body,
            index: 0,
        }
    }
}

impl<'a> IntoIterator for &'a Records {
    type Item = Result<Record<'a>>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// A record: slices of the bytes of its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its offset in the partition.
    pub offset: i64,
    /// Its timestamp in milliseconds; -1 for none.
    pub timestamp: i64,
    /// Its key, if it has one.
    pub key: Option<&'a [u8]>,
    /// Its value; none is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: Headers<'a>,
}

/// A header of a record. Keys may repeat; their order is kept. Kafka takes them for UTF-8 but no
/// broker checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its key.
    pub key: &'a [u8],
    /// Its value, if it has one.
    pub value: Option<&'a [u8]>,
}

/// The headers of a record, in order. They were checked when the record was read.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Headers<'a> {
    count: u32,
    rest: &'a [u8],
}

impl Headers<'_> {
    /// How many are left.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether none are left.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        self.count = self.count.checked_sub(1)?;
        let (rest, header) = header(self.rest).ok()?;
        self.rest = rest;
        Some(header)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

impl ExactSizeIterator for Headers<'_> {}

impl std::fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}

/// Iterates the records of a batch.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    records: &'a Records,
    rest: &'a [u8],
    index: u32,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Result<Record<'a>>;

    #[inline]
    fn next(&mut self) -> Option<Result<Record<'a>>> {
        if self.index >= self.records.count {
            // All announced records are read: nothing may follow them.
            let left = self.rest.len();
            self.rest = &[];
            return (left > 0).then(|| Err(BatchFault::TrailingBytes { left }.into()));
        }
        Some(match record(self.rest, self.records) {
            Ok((rest, record)) => {
                self.rest = rest;
                self.index += 1;
                Ok(record)
            }
            Err(fault) => Err(self.fail(fault)),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // A record, or an error, for each that is announced, and perhaps one for what follows.
        let left = (self.records.count - self.index) as usize;
        (0, Some(left + usize::from(!self.rest.is_empty())))
    }
}

impl std::iter::FusedIterator for Iter<'_> {}

impl Iter<'_> {
    /// Bytes of the records that are yet to come.
    #[inline]
    pub(super) fn bytes_left(&self) -> usize {
        self.rest.len()
    }

    #[cold]
    fn fail(&mut self, fault: RecordFault) -> Error {
        let error = Error::Record {
            index: self.index,
            position: self.records.body.len() - self.rest.len(),
            fault,
        };
        self.index = self.records.count;
        self.rest = &[];
        error
    }
}

#[inline]
fn record<'a>(input: &'a [u8], records: &Records) -> Result<(&'a [u8], Record<'a>), RecordFault> {
    let (input, length) = run(input, varint)?;
    let (after, input) = run(input, primitives::bytes(unsigned(length)?))?;
    let (input, _attributes) = run(input, primitives::int8)?;
    let (input, timestamp_delta) = run(input, primitives::varlong)?;
    let (input, offset_delta) = run(input, varint)?;
    let (input, key) = run(input, optional_bytes(varint))?;
    let (input, value) = run(input, optional_bytes(varint))?;
    let (input, headers) = headers(input)?;
    if !input.is_empty() {
        return Err(RecordFault::Unused { left: input.len() });
    }
    let record = Record {
        offset: sum(records.base_offset, offset_delta.into())?,
        timestamp: match records.log_append_time {
            None => sum(records.base_timestamp, timestamp_delta)?,
            Some(timestamp) => timestamp,
        },
        key,
        value,
        headers,
    };
    Ok((after, record))
}

#[inline]
fn sum(base: i64, delta: i64) -> Result<i64, RecordFault> {
    base.checked_add(delta)
        .ok_or(RecordFault::Delta { base, delta })
}

/// Reads the headers once to check them.
#[inline]
fn headers(input: &[u8]) -> Result<(&[u8], Headers<'_>), RecordFault> {
    let (rest, number) = run(input, varint)?;
    let count = match u32::try_from(number) {
        Ok(0) => return Ok((rest, Headers::default())),
        // A header takes two bytes at least.
        Ok(count) if (count as usize).saturating_mul(2) <= rest.len() => count,
        _ => {
            return Err(RecordFault::HeaderCount {
                count: number,
                left: rest.len(),
            });
        }
    };
    let headers = Headers { count, rest };
    let mut input = rest;
    for _ in 0..count {
        (input, _) = header(input)?;
    }
    Ok((input, headers))
}

fn header(input: &[u8]) -> Result<(&[u8], Header<'_>), RecordFault> {
    let (input, key) = run(input, optional_bytes(varint))?;
    let (input, value) = run(input, optional_bytes(varint))?;
    Ok((
        input,
        Header {
            key: key.ok_or(RecordFault::HeaderKey)?,
            value,
        },
    ))
}
