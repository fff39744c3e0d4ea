//! The latest offset of each key, in a bounded memory.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// What a key takes, with the room that a table leaves empty.
const KEY_BYTES: usize = 64;

/// Of the keys of several partitions the latest offset. Keys are remembered by two hashes of 64 bits with
/// secrets of their own, so that nobody can choose keys that are taken for each other.
#[derive(Debug)]
pub(super) struct Keys {
    keys_max: usize,
    hashers: [RandomState; 2],
    /// By the partition's number here.
    latest: HashMap<(u32, [u64; 2]), i64>,
}

impl Keys {
    /// Keys in about so many bytes; a hundred of them at least.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            keys_max: (bytes_max / KEY_BYTES).max(100),
            hashers: [RandomState::new(), RandomState::new()],
            latest: HashMap::new(),
        }
    }

    /// Whether so many more keys have room, whatever they are. A single batch always has.
    pub(super) fn has_room(&self, more: usize) -> bool {
        self.latest.is_empty() || self.latest.len().saturating_add(more) <= self.keys_max
    }

    fn place(&self, partition: u32, key: &[u8]) -> (u32, [u64; 2]) {
        let hash = |hasher: &RandomState| hasher.hash_one(key);
        (partition, self.hashers.each_ref().map(hash))
    }

    /// A record with this key is at this offset, behind those before.
    pub(super) fn put(&mut self, partition: u32, key: &[u8], offset: i64) {
        let place = self.place(partition, key);
        self.latest.insert(place, offset);
    }

    /// The offset of the latest record with this key among those that were put.
    pub(super) fn latest(&self, partition: u32, key: &[u8]) -> Option<i64> {
        self.latest.get(&self.place(partition, key)).copied()
    }
}
