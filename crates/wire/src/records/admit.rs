use bytes::Bytes;

use crate::{
    BatchFault, Limits, Result,
    records::{Batch, BatchBuilder, Header, Records, TimestampType, legacy, magic, patch},
};

/// A producer's batch that a broker may append.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// The batch: the producer's own bytes wherever nothing had to be corrected.
    pub batch: Batch,
    /// Its records, decompressed, at the batch's base offset.
    pub records: Records,
    /// The highest timestamp of its records, in milliseconds; -1 if none has one.
    pub max_timestamp: i64,
    /// The index of the first record with that timestamp.
    pub max_timestamp_index: u32,
    /// The most headers that one of its records has, and the first record that has them.
    pub most_headers: Extreme,
    /// The most bytes that one of its records takes, decompressed, and the first that takes them.
    pub most_bytes: Extreme,
}

/// The most of something that a record of a batch has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extreme {
    /// How many it has.
    pub count: usize,
    /// The index of the first record with so many; 0 if none has any.
    pub record: u32,
}

impl Extreme {
    #[inline]
    fn see(&mut self, count: usize, record: u32) {
        if count > self.count {
            *self = Self { count, record };
        }
    }
}

/// Checks a producer's payload for one partition, whatever its format, and takes it apart into
/// batches.
///
/// Every batch passes [`Batch::check`], and every record is read. What Kafka's broker corrects is
/// corrected here, by a new batch: offsets that don't count up from 0, and a highest timestamp that
/// isn't (some producers leave it unset). A legacy message set becomes one batch.
///
/// # Errors
/// The first fault; [`Error::code`](crate::Error::code) says what to answer. Nothing of the payload
/// may be appended then.
pub fn admit(payload: Bytes, limits: &Limits) -> Result<Vec<Admitted>> {
    if magic(&payload).is_some_and(|magic| magic < 2) {
        let (batch, records) = legacy::builder(payload, limits)?.finish_with_records()?;
        return Ok(vec![Admitted::new(batch, records)?]);
    }
    let mut admitted = Vec::with_capacity(1);
    // The limit is the whole payload's, or many small bombs would be one large one.
    let mut limits = limits.clone();
    for batch in Batch::parse_all(payload) {
        let batch = batch?;
        batch.check()?;
        let records = batch.records(&limits)?;
        limits.decompressed_bytes_max -= records.bytes().len().min(limits.decompressed_bytes_max);
        admitted.push(Admitted::new(batch, records)?);
    }
    if admitted.is_empty() {
        return Err(BatchFault::Empty.into());
    }
    Ok(admitted)
}

impl Admitted {
    /// Reads every record, and corrects the batch where the records don't agree with it.
    fn new(batch: Batch, records: Records) -> Result<Self> {
        let (mut max_timestamp, mut max_timestamp_index) = (-1, 0);
        let (mut most_headers, mut most_bytes) = (Extreme::default(), Extreme::default());
        let mut in_order = true;
        let mut rest = records.iter();
        let mut left = rest.bytes_left();
        for index in 0u32.. {
            let Some(record) = rest.next() else { break };
            let record = record?;
            most_headers.see(record.headers.len(), index);
            most_bytes.see(left - rest.bytes_left(), index);
            left = rest.bytes_left();
            in_order &= record.offset.wrapping_sub(batch.base_offset) == i64::from(index);
            if record.timestamp > max_timestamp {
                (max_timestamp, max_timestamp_index) = (record.timestamp, index);
            }
        }
        let (batch, records) = if !in_order {
            renumber(&batch, &records)?
        } else if max_timestamp != batch.max_timestamp {
            (
                with_timestamps(&batch, TimestampType::CreateTime, max_timestamp)?,
                records,
            )
        } else {
            (batch, records)
        };
        Ok(Self {
            batch,
            records,
            max_timestamp,
            max_timestamp_index,
            most_headers,
            most_bytes,
        })
    }

    /// The batch with the broker's time in milliseconds, as a topic with
    /// `message.timestamp.type=LogAppendTime` keeps it. Copies it.
    ///
    /// # Errors
    /// None for an admitted batch.
    pub fn with_log_append_time(&self, timestamp: i64) -> Result<Batch> {
        with_timestamps(&self.batch, TimestampType::LogAppendTime, timestamp)
    }
}

fn with_timestamps(batch: &Batch, of: TimestampType, max_timestamp: i64) -> Result<Batch> {
    let mut bytes = batch.bytes().to_vec();
    patch::timestamps(&mut bytes, of, max_timestamp);
    Batch::try_from(Bytes::from(bytes))
}

/// The same records with offsets that count up.
fn renumber(batch: &Batch, records: &Records) -> Result<(Batch, Records)> {
    let mut builder = BatchBuilder::new(batch.attributes.compression()?)
        .base_offset(batch.base_offset)
        .leader_epoch(batch.leader_epoch)
        .producer(batch.producer_id, batch.producer_epoch, batch.base_sequence);
    if batch.attributes.is_transactional() {
        builder = builder.transactional();
    }
    for record in records {
        let record = record?;
        let headers = record.headers.map(|Header { key, value }| (key, value));
        builder.append_with(record.timestamp, record.key, record.value, headers)?;
    }
    builder.finish_with_records()
}
