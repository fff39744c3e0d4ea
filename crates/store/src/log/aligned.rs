//! A byte buffer that begins at a multiple of the disk's block size in memory, as direct I/O
//! demands, and that is written in whole blocks.

/// Direct I/O wants addresses, positions and lengths in multiples of the device's logical block,
/// which is 512 or 4096 bytes.
pub(crate) const BLOCK_BYTES: usize = 4096;

/// Bytes to be written, in memory aligned to blocks.
#[derive(Debug, Default)]
pub(crate) struct AlignedBuffer {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBuffer {
    /// Bytes held.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Room there is in all, in whole blocks.
    pub(crate) fn capacity(&self) -> usize {
        (self.memory.len() - self.start) / BLOCK_BYTES * BLOCK_BYTES
    }

    /// Makes room for `capacity` bytes in all, if there is less.
    pub(crate) fn reserve(&mut self, capacity: usize) {
        if capacity <= self.capacity() {
            return;
        }
        let memory = vec![0; capacity.next_multiple_of(BLOCK_BYTES) + BLOCK_BYTES];
        // An address that cannot be aligned would only cost what alignment gains.
        let start = memory.as_ptr().align_offset(BLOCK_BYTES).min(BLOCK_BYTES);
        let old = std::mem::replace(&mut self.memory, memory);
        let held = old.get(self.start..self.start + self.len).unwrap_or(&[]);
        self.start = start;
        if let Some(place) = self.memory.get_mut(start..start + held.len()) {
            place.copy_from_slice(held);
        }
    }

    /// Appends as much of `bytes` as there is room for, and says how much that was.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.capacity() - self.len);
        let from = self.start + self.len;
        if let (Some(place), Some(bytes)) =
            (self.memory.get_mut(from..from + taken), bytes.get(..taken))
        {
            place.copy_from_slice(bytes);
        }
        self.len += taken;
        taken
    }

    /// The bytes with zeros after them, `blocks_bytes` in all.
    pub(crate) fn padded(&mut self, padded_bytes: usize) -> &[u8] {
        let (from, to) = (self.start + self.len, self.start + padded_bytes);
        if let Some(padding) = self.memory.get_mut(from..to) {
            padding.fill(0);
        }
        self.memory.get(self.start..to).unwrap_or(&[])
    }

    /// Drops all whole blocks and keeps the bytes of the one that is not full.
    pub(crate) fn keep_last_block(&mut self) {
        let whole = self.len / BLOCK_BYTES * BLOCK_BYTES;
        let (from, to) = (self.start + whole, self.start + self.len);
        self.memory.copy_within(from..to, self.start);
        self.len -= whole;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_growth_and_blocks_are_aligned() {
        let mut buffer = AlignedBuffer::default();
        assert_eq!(buffer.push(b"x"), 0);
        buffer.reserve(1);
        assert_eq!(buffer.capacity(), BLOCK_BYTES);
        assert_eq!(buffer.push(b"head"), 4);
        buffer.reserve(3 * BLOCK_BYTES);
        assert_eq!(buffer.push(&[7; 4 * BLOCK_BYTES]), 3 * BLOCK_BYTES - 4);
        let padded = buffer.padded(3 * BLOCK_BYTES);
        assert!(padded.as_ptr().addr().is_multiple_of(BLOCK_BYTES));
        assert_eq!(&padded[..6], b"head\x07\x07");
        buffer.len = BLOCK_BYTES + 3;
        buffer.keep_last_block();
        assert_eq!(buffer.len(), 3);
        assert_eq!(buffer.padded(BLOCK_BYTES)[..5], [7, 7, 7, 0, 0]);
    }
}
