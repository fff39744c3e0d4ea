use bytes::{BufMut, Bytes};

use crate::{
    Error, Result,
    records::{
        Attributes, Batch, BatchHeader, Compression, Records, TimestampType,
        batch::{HEADER_BYTES, UNCOUNTED_BYTES},
        patch,
    },
};

/// Makes a record batch of format 2, record by record.
///
/// ```
/// use fletch_wire::records::{BatchBuilder, Compression};
///
/// let mut builder = BatchBuilder::new(Compression::Lz4);
/// builder.append(1_700_000_000_000, Some(b"key"), Some(b"value"), &[])?;
/// builder.append(1_700_000_000_001, None, None, &[(b"trace", Some(b"1"))])?;
/// let batch = builder.finish()?;
/// assert_eq!((batch.record_count, batch.last_offset()), (2, 1));
/// # Ok::<(), fletch_wire::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    compression: Compression,
    attributes: Attributes,
    base_offset: i64,
    leader_epoch: i32,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    /// Where the batch ends, if that isn't where its last record is.
    last_offset_delta: Option<i32>,
    count: i32,
    /// Room for the header, and the records so far, not compressed.
    buffer: Vec<u8>,
    /// What the record being appended takes, put together to know its length.
    scratch: Vec<u8>,
}

impl BatchBuilder {
    /// An empty batch at offset 0, of no producer, in the producer's time.
    pub fn new(compression: Compression) -> Self {
        Self {
            compression,
            attributes: Attributes::default().with_compression(compression),
            base_offset: 0,
            leader_epoch: -1,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            base_timestamp: -1,
            max_timestamp: -1,
            last_offset_delta: None,
            count: 0,
            buffer: vec![0; HEADER_BYTES],
            scratch: Vec::new(),
        }
    }

    /// Sets the offset of the first record.
    pub fn base_offset(mut self, offset: i64) -> Self {
        self.base_offset = offset;
        self
    }

    /// Sets the epoch of the leader.
    pub fn leader_epoch(mut self, epoch: i32) -> Self {
        self.leader_epoch = epoch;
        self
    }

    /// Makes it the batch of an idempotent producer.
    pub fn producer(mut self, id: i64, epoch: i16, base_sequence: i32) -> Self {
        (self.producer_id, self.producer_epoch, self.base_sequence) = (id, epoch, base_sequence);
        self
    }

    /// Makes it part of a transaction.
    pub fn transactional(mut self) -> Self {
        self.attributes = self.attributes.with_transactional(true);
        self
    }

    /// Makes it a marker.
    pub fn control(mut self) -> Self {
        self.attributes = self.attributes.with_control(true);
        self
    }

    /// Gives all records the broker's time, in milliseconds.
    pub fn log_append_time(mut self, timestamp: i64) -> Self {
        self.attributes = self
            .attributes
            .with_timestamp_type(TimestampType::LogAppendTime);
        self.max_timestamp = timestamp;
        self
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none yet.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes so far, header included, before compression.
    pub fn bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Appends a record, with its timestamp in milliseconds, at the next offset.
    ///
    /// # Errors
    /// [`Error::TooLong`] if the batch grows beyond what its length can say.
    pub fn append(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&[u8], Option<&[u8]>)],
    ) -> Result<()> {
        self.append_with(timestamp, key, value, headers.iter().copied())
    }

    /// As [`append`](Self::append), from an iterator of headers.
    ///
    /// # Errors
    /// [`Error::TooLong`] if the batch grows beyond what its length can say.
    pub fn append_with<'a>(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl ExactSizeIterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    ) -> Result<()> {
        if self.count == 0 {
            self.base_timestamp = timestamp;
        }
        self.append_at(self.count, timestamp, key, value, headers)
    }

    /// Makes it what is left of a batch: of its offsets, its producer and its times nothing changes,
    /// but that the time from which timestamps count may now say when tombstones may go.
    pub(super) fn left_of(
        batch: &BatchHeader,
        compression: Compression,
        delete_horizon: Option<i64>,
    ) -> Self {
        let mut builder = Self::new(compression)
            .base_offset(batch.base_offset)
            .leader_epoch(batch.leader_epoch)
            .producer(batch.producer_id, batch.producer_epoch, batch.base_sequence);
        builder.attributes = batch.attributes.with_compression(compression);
        builder.base_timestamp = batch.base_timestamp;
        builder.last_offset_delta = Some(batch.last_offset_delta);
        if let Some(horizon) = delete_horizon {
            builder.attributes = builder.attributes.with_delete_horizon(true);
            builder.base_timestamp = horizon;
        }
        if batch.attributes.timestamp_type() == TimestampType::LogAppendTime {
            builder.max_timestamp = batch.max_timestamp;
        }
        builder
    }

    /// As [`append_with`](Self::append_with), at an offset behind the batch's first.
    pub(super) fn append_at<'a>(
        &mut self,
        offset_delta: i32,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl ExactSizeIterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    ) -> Result<()> {
        if self.attributes.timestamp_type() == TimestampType::CreateTime {
            self.max_timestamp = self.max_timestamp.max(timestamp);
        }
        let record = &mut self.scratch;
        record.clear();
        record.put_u8(0);
        put_varlong(record, timestamp.wrapping_sub(self.base_timestamp));
        put_varlong(record, offset_delta.into());
        put_bytes(record, key);
        put_bytes(record, value);
        put_varlong(record, headers.len() as i64);
        for (key, value) in headers {
            put_bytes(record, Some(key));
            put_bytes(record, value);
        }
        // The longest length takes five bytes more.
        let length = self.buffer.len() + record.len() + 5;
        if length > i32::MAX as usize {
            return Err(Error::TooLong {
                length,
                length_max: i32::MAX as usize,
            });
        }
        put_varlong(&mut self.buffer, record.len() as i64);
        self.buffer.extend_from_slice(record);
        self.count += 1;
        Ok(())
    }

    /// The batch.
    ///
    /// # Errors
    /// [`Error::TooLong`] if it is larger than its length can say, [`Error::Compression`] if it
    /// doesn't compress.
    pub fn finish(self) -> Result<Batch> {
        self.finish_with_body().map(|(batch, _)| batch)
    }

    /// The batch, and its records as they are without compression.
    pub(crate) fn finish_with_records(self) -> Result<(Batch, Records)> {
        let (batch, body) = self.finish_with_body()?;
        let body = body.map_or_else(|| batch.body(), Bytes::from);
        let records = Records::new(&batch, body)?;
        Ok((batch, records))
    }

    /// The batch, and the uncompressed records if they differ from those in the batch.
    fn finish_with_body(mut self) -> Result<(Batch, Option<Vec<u8>>)> {
        let mut body = None;
        if self.compression != Compression::None {
            let plain = self.buffer.split_off(HEADER_BYTES);
            self.buffer
                .extend_from_slice(&self.compression.compress(&plain)?);
            body = Some(plain);
        }
        let length = self.buffer.len() - UNCOUNTED_BYTES;
        let length = i32::try_from(length).map_err(|_| Error::TooLong {
            length,
            length_max: i32::MAX as usize,
        })?;
        let mut header = self.buffer.as_mut_slice();
        header.put_i64(self.base_offset);
        header.put_i32(length);
        header.put_i32(self.leader_epoch);
        header.put_i8(2);
        header.put_u32(0);
        header.put_i16(self.attributes.0);
        header.put_i32(self.last_offset_delta.unwrap_or(self.count - 1));
        header.put_i64(self.base_timestamp);
        header.put_i64(self.max_timestamp);
        header.put_i64(self.producer_id);
        header.put_i16(self.producer_epoch);
        header.put_i32(self.base_sequence);
        header.put_i32(self.count);
        patch::crc(&mut self.buffer);
        Ok((Batch::try_from(Bytes::from(self.buffer))?, body))
    }
}

fn put_bytes(buffer: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => put_varlong(buffer, -1),
        Some(bytes) => {
            put_varlong(buffer, bytes.len() as i64);
            buffer.extend_from_slice(bytes);
        }
    }
}

/// Zig-zag, seven bits a byte. A 32-bit integer is written by the same bytes.
fn put_varlong(buffer: &mut Vec<u8>, value: i64) {
    let mut value = (value << 1 ^ value >> 63) as u64;
    while value >= 0x80 {
        buffer.push(value as u8 | 0x80);
        value >>= 7;
    }
    buffer.push(value as u8);
}
