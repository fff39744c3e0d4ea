//! The newest batches, kept in memory, so that consumers at the end of a partition and the
//! tables' decoder need no disk.
//!
//! What counts against the bound is memory that is really held. A batch is a slice of the buffer
//! its request was read into, and keeps all of that buffer alive; when it is only a small part of
//! it, the tail keeps a copy instead.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use super::entry::PartitionKey;
use crate::batch::StoredBatch;

/// A batch smaller than its buffer divided by this is copied out of it.
const BUFFER_SHARE_MIN: usize = 4;
/// A batch costs this much beside its bytes.
const BATCH_OVERHEAD_BYTES: usize = 160;

#[derive(Debug)]
struct TailBatch {
    base_offset: i64,
    last_offset: i64,
    bytes: Bytes,
    cost: usize,
}

/// The newest batches of all partitions; the oldest of them makes room.
#[derive(Debug)]
pub(crate) struct Tail {
    bytes_max: usize,
    bytes: usize,
    /// Whose batch is oldest.
    order: VecDeque<PartitionKey>,
    partitions: HashMap<PartitionKey, VecDeque<TailBatch>>,
}

impl Tail {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            bytes: 0,
            order: VecDeque::new(),
            partitions: HashMap::new(),
        }
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds the next batch of a partition. `buffer_bytes` is the size of the buffer that `bytes`
    /// is a slice of.
    pub(crate) fn push(
        &mut self,
        key: PartitionKey,
        base_offset: i64,
        last_offset: i64,
        bytes: &Bytes,
        buffer_bytes: usize,
    ) {
        let (bytes, held) = if bytes.len() < buffer_bytes / BUFFER_SHARE_MIN {
            (Bytes::copy_from_slice(bytes), bytes.len())
        } else {
            (bytes.clone(), buffer_bytes.max(bytes.len()))
        };
        let cost = held + BATCH_OVERHEAD_BYTES;
        self.bytes += cost;
        self.order.push_back(key);
        self.partitions
            .entry(key)
            .or_default()
            .push_back(TailBatch {
                base_offset,
                last_offset,
                bytes,
                cost,
            });
        while self.bytes > self.bytes_max && self.evict() {}
    }

    fn evict(&mut self) -> bool {
        let Some(key) = self.order.pop_front() else {
            return false;
        };
        if let Some(batches) = self.partitions.get_mut(&key) {
            if let Some(batch) = batches.pop_front() {
                self.bytes -= batch.cost;
            }
            if batches.is_empty() {
                self.partitions.remove(&key);
            }
        }
        true
    }

    /// Batches of a partition from the one that holds `offset` on, as many as fit `bytes_max`
    /// and at least one; `None` when the tail does not hold that offset.
    pub(crate) fn read(
        &self,
        key: PartitionKey,
        offset: i64,
        bytes_max: usize,
    ) -> Option<Vec<StoredBatch>> {
        let batches = self.partitions.get(&key)?;
        let first = batches.partition_point(|batch| batch.last_offset < offset);
        if batches.get(first)?.base_offset > offset {
            return None;
        }
        let mut left = bytes_max;
        let mut read = Vec::new();
        for batch in batches.range(first..) {
            if batch.bytes.len() > left && !read.is_empty() {
                break;
            }
            left = left.saturating_sub(batch.bytes.len());
            let delta = i32::try_from(batch.last_offset - batch.base_offset).unwrap_or(i32::MAX);
            read.push(StoredBatch::new(
                batch.base_offset,
                delta,
                batch.bytes.clone(),
            ));
        }
        Some(read)
    }
}
