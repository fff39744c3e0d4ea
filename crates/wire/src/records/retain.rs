use crate::{
    Result,
    records::{Batch, BatchBuilder, Compression, Header, Record, Records},
};

impl Batch {
    /// What is left of the batch when compaction keeps only some of its records: the same offsets, the
    /// same producer and sequence numbers, the same codec, fewer records. None if no record is left.
    /// `records` are those of this batch, at any offset.
    ///
    /// With a `delete_horizon`, in milliseconds, the batch says that its tombstones may go after that
    /// time (KIP-534).
    ///
    /// # Errors
    /// If a record can't be read, or what is left can't be compressed.
    pub fn retain(
        &self,
        records: &Records,
        delete_horizon: Option<i64>,
        is_kept: impl FnMut(&Record<'_>) -> bool,
    ) -> Result<Option<Self>> {
        let compression = self.attributes.compression()?;
        self.again(records, compression, delete_horizon, is_kept)
    }

    /// The batch compressed by another codec, as a topic with a `compression.type` of its own keeps it.
    /// `records` are those of this batch, at any offset. None if it has no record.
    ///
    /// # Errors
    /// If a record can't be read, or all of them can't be compressed.
    pub fn recompress(&self, records: &Records, compression: Compression) -> Result<Option<Self>> {
        self.again(records, compression, None, |_| true)
    }

    fn again(
        &self,
        records: &Records,
        compression: Compression,
        delete_horizon: Option<i64>,
        mut is_kept: impl FnMut(&Record<'_>) -> bool,
    ) -> Result<Option<Self>> {
        let mut builder = BatchBuilder::left_of(self, compression, delete_horizon);
        let first = records.base_offset();
        for record in records {
            let record = record?;
            if !is_kept(&record) {
                continue;
            }
            // A record's offset was read as a delta of 32 bits.
            let delta = record.offset.wrapping_sub(first) as i32;
            let headers = record.headers.map(|Header { key, value }| (key, value));
            builder.append_at(delta, record.timestamp, record.key, record.value, headers)?;
        }
        if builder.is_empty() {
            return Ok(None);
        }
        builder.finish().map(Some)
    }
}
