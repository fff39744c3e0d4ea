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
}

impl Admitted {
    /// The batch with the broker's time, as a topic with `message.timestamp.type=LogAppendTime`
    /// keeps it. Copies it.
    pub fn with_log_append_time(&self, timestamp: i64) -> Result<Batch> {
        let mut bytes = self.batch.bytes().to_vec();
        patch::timestamps(&mut bytes, TimestampType::LogAppendTime, timestamp);
        Batch::try_from(Bytes::from(bytes))
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
        let batch = legacy::convert(payload, limits)?;
        return Ok(vec![admit_batch(batch, limits)?]);
    }
    let mut admitted = Vec::with_capacity(1);
    let mut decompressed_bytes_left = limits.decompressed_bytes_max;
    for batch in Batch::parse_all(payload) {
        // The limit is the whole payload's, or many small bombs would be one large one.
        let limits = Limits {
            decompressed_bytes_max: decompressed_bytes_left,
            ..limits.clone()
        };
        let batch = admit_batch(batch?, &limits)?;
        decompressed_bytes_left =
            decompressed_bytes_left.saturating_sub(batch.records.bytes().len());
        admitted.push(batch);
    }
    if admitted.is_empty() {
        return Err(BatchFault::Empty.into());
    }
    Ok(admitted)
}

fn admit_batch(batch: Batch, limits: &Limits) -> Result<Admitted> {
    batch.check()?;
    let records = batch.records(limits)?;
    let (mut max_timestamp, mut max_timestamp_index) = (-1, 0);
    let mut in_order = true;
    for (index, record) in records.iter().enumerate() {
        let record = record?;
        in_order &= record.offset.wrapping_sub(batch.base_offset) == index as i64;
        if record.timestamp > max_timestamp {
            (max_timestamp, max_timestamp_index) = (record.timestamp, index as u32);
        }
    }
    let (batch, records) = if !in_order {
        let batch = renumber(&batch, &records)?;
        let records = batch.records(limits)?;
        (batch, records)
    } else if max_timestamp != batch.max_timestamp {
        let mut bytes = batch.into_bytes().to_vec();
        patch::timestamps(&mut bytes, TimestampType::CreateTime, max_timestamp);
        (Batch::try_from(Bytes::from(bytes))?, records)
    } else {
        (batch, records)
    };
    Ok(Admitted {
        batch,
        records,
        max_timestamp,
        max_timestamp_index,
    })
}

/// The same records with offsets that count up.
fn renumber(batch: &Batch, records: &Records) -> Result<Batch> {
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
    builder.finish()
}
