//! Batches for tests.
#![allow(dead_code, reason = "each test binary uses some of it")]

pub(crate) mod memory;

use bytes::Bytes;
use fletch_wire::records::{BatchBuilder, Compression};

/// What a test says about a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Produce {
    pub(crate) records: usize,
    pub(crate) value_bytes: usize,
    /// Of the first record; each further one has the next millisecond.
    pub(crate) timestamp: i64,
    /// Id, epoch, first sequence.
    pub(crate) producer: Option<(i64, i16, i32)>,
}

impl Default for Produce {
    fn default() -> Self {
        Self {
            records: 1,
            value_bytes: 10,
            timestamp: 1_000,
            producer: None,
        }
    }
}

/// The batch of it.
pub(crate) fn batch(produce: Produce) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    if let Some((id, epoch, sequence)) = produce.producer {
        builder = builder.producer(id, epoch, sequence);
    }
    for index in 0..produce.records {
        let value = vec![index as u8; produce.value_bytes];
        builder
            .append(produce.timestamp + index as i64, None, Some(&value), &[])
            .unwrap();
    }
    builder.finish().unwrap().into_bytes()
}
