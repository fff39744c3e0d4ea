//! Frames: one entry each, with a checksum, in the order of the log.
//!
//! ```text
//! 0   u32  CRC32C of this header with the segment's salt in place of these four bytes
//! 4   u32  payload length
//! 8   u32  CRC32C of the payload; of a produced batch, of the part before its own CRC begins
//! 12  u32  where in the segment the flush began that wrote this frame
//! 16  u8   entry kind
//! 17  3    zero
//! 20  i64  the broker's clock, milliseconds since the Unix epoch
//! 28       payload, then zeros up to a multiple of 8
//! ```
//!
//! The salt is random and never leaves the disk: bytes that a client sends can look like a frame
//! only by guessing it.

use std::io::IoSlice;

use fletch_wire::records::crc32c;

use super::entry::{BATCH_AT, BATCH_COVERED, Entry};
use crate::batch::CRC_COVERS_FROM;
use crate::codec::{Reader, Write};

pub(crate) const FRAME_HEADER_BYTES: usize = 28;
/// Frames start at multiples of this.
pub(crate) const FRAME_ALIGN: usize = 8;

/// The fields of a frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) payload_bytes: u32,
    pub(crate) payload_crc: u32,
    pub(crate) flush_start: u32,
    pub(crate) kind: u8,
    pub(crate) time_ms: i64,
}

impl FrameHeader {
    pub(crate) fn encode(&self, salt: u32) -> [u8; FRAME_HEADER_BYTES] {
        let mut fields = Vec::with_capacity(FRAME_HEADER_BYTES);
        fields.put_u32(0);
        fields.put_u32(self.payload_bytes);
        fields.put_u32(self.payload_crc);
        fields.put_u32(self.flush_start);
        fields.put(&[self.kind, 0, 0, 0]);
        fields.put_i64(self.time_ms);
        let mut header = [0; FRAME_HEADER_BYTES];
        header.copy_from_slice(&fields);
        let crc = header_crc(&header, salt);
        begin_with(header, crc)
    }

    /// `None` when the checksum does not fit: this is not the start of a frame.
    pub(crate) fn decode(header: &[u8; FRAME_HEADER_BYTES], salt: u32) -> Option<Self> {
        let mut reader = Reader::new(header);
        let crc = reader.u32("crc").ok()?;
        // The cheapest test first: unwritten space is zeros.
        if crc == 0 && header.iter().all(|byte| *byte == 0) {
            return None;
        }
        if crc != header_crc(header, salt) {
            return None;
        }
        let payload_bytes = reader.u32("payload length").ok()?;
        let payload_crc = reader.u32("payload crc").ok()?;
        let flush_start = reader.u32("flush start").ok()?;
        let [kind, _, _, _] = reader.array("kind").ok()?;
        let time_ms = reader.i64("time").ok()?;
        Some(Self {
            payload_bytes,
            payload_crc,
            flush_start,
            kind,
            time_ms,
        })
    }

    /// As [`decode`](Self::decode), from the front of a longer slice.
    pub(crate) fn decode_slice(bytes: &[u8], salt: u32) -> Option<Self> {
        Self::decode(bytes.first_chunk()?, salt)
    }

    /// The whole frame's size on disk, padding included.
    pub(crate) fn frame_bytes(&self) -> u64 {
        frame_bytes(u64::from(self.payload_bytes))
    }

    /// Whether `payload` is what was written: nothing of it is believed before.
    pub(crate) fn payload_fits(&self, payload: &[u8]) -> bool {
        if payload.len() as u64 != u64::from(self.payload_bytes) {
            return false;
        }
        if !Entry::is_produced(self.kind) {
            return crc32c(payload) == self.payload_crc;
        }
        // The covered part holds the batch's CRC, and that covers the rest.
        let Some((covered, rest)) = payload.split_at_checked(BATCH_COVERED) else {
            return false;
        };
        let Some(batch_crc) = covered.last_chunk() else {
            return false;
        };
        crc32c(covered) == self.payload_crc && crc32c(rest) == u32::from_be_bytes(*batch_crc)
    }
}

fn header_crc(header: &[u8; FRAME_HEADER_BYTES], salt: u32) -> u32 {
    crc32c(&begin_with(*header, salt))
}

/// The header with another word in the place of its checksum.
fn begin_with(mut header: [u8; FRAME_HEADER_BYTES], word: u32) -> [u8; FRAME_HEADER_BYTES] {
    if let Some(first) = header.first_chunk_mut() {
        *first = word.to_le_bytes();
    }
    header
}

/// The size on disk of a frame with a payload of `payload_bytes`.
pub(crate) fn frame_bytes(payload_bytes: u64) -> u64 {
    (FRAME_HEADER_BYTES as u64 + payload_bytes).next_multiple_of(FRAME_ALIGN as u64)
}

/// One frame of a flush.
#[derive(Debug, Clone, Copy)]
struct Placed {
    position: u32,
    /// What of [`FlushBuffer::own`] goes before the batch: the padding of the frame before, the
    /// frame's header, and all of its payload that is not a batch.
    own_start: usize,
    own_end: usize,
}

/// Lays out the bytes of one flush. Batches are not copied here: they are written from where
/// they are, between the pieces that this owns.
#[derive(Debug, Default)]
pub(crate) struct FlushBuffer {
    own: Vec<u8>,
    placed: Vec<Placed>,
    bytes: u64,
    padding_due: usize,
}

impl FlushBuffer {
    pub(crate) fn clear(&mut self) {
        self.own.clear();
        self.placed.clear();
        self.bytes = 0;
        self.padding_due = 0;
    }

    /// Size of the flush on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where in the segment each frame begins, in order.
    pub(crate) fn positions(&self) -> impl Iterator<Item = u32> {
        self.placed.iter().map(|placed| placed.position)
    }

    /// Lays out the next frame. The writer sees to it that flush and segment stay within the 32
    /// bits of a position.
    #[expect(
        clippy::indexing_slicing,
        reason = "its own layout: writing something else would be worse than stopping"
    )]
    pub(crate) fn push(&mut self, entry: &Entry, time_ms: i64, flush_start: u32, salt: u32) {
        let own_start = self.own.len();
        let header_at = own_start + self.padding_due;
        self.own.resize(header_at + FRAME_HEADER_BYTES, 0);
        let batch = entry.write(&mut self.own);
        let own_payload = &self.own[header_at + FRAME_HEADER_BYTES..];
        let payload_bytes = own_payload.len() + batch.len();
        let payload_crc = match batch.get(..CRC_COVERS_FROM) {
            None => crc32c(own_payload),
            Some(front) => {
                let mut covered = [0; BATCH_COVERED];
                covered[..BATCH_AT].copy_from_slice(own_payload);
                covered[BATCH_AT..].copy_from_slice(front);
                crc32c(&covered)
            }
        };
        let header = FrameHeader {
            payload_bytes: u32::try_from(payload_bytes).unwrap_or(u32::MAX),
            payload_crc,
            flush_start,
            kind: entry.kind(),
            time_ms,
        };
        self.own[header_at..header_at + FRAME_HEADER_BYTES].copy_from_slice(&header.encode(salt));
        let position = u64::from(flush_start) + self.bytes;
        self.placed.push(Placed {
            position: u32::try_from(position).unwrap_or(u32::MAX),
            own_start,
            own_end: self.own.len(),
        });
        let unpadded = FRAME_HEADER_BYTES + payload_bytes;
        self.padding_due = unpadded.next_multiple_of(FRAME_ALIGN) - unpadded;
        self.bytes += header.frame_bytes();
    }

    /// The flush as slices to write, given the same entries in the same order.
    #[expect(
        clippy::indexing_slicing,
        reason = "its own layout: writing something else would be worse than stopping"
    )]
    pub(crate) fn slices<'a>(
        &'a self,
        entries: impl Iterator<Item = &'a Entry>,
    ) -> Vec<IoSlice<'a>> {
        static ZEROS: [u8; FRAME_ALIGN] = [0; FRAME_ALIGN];
        let mut slices = Vec::with_capacity(2 * self.placed.len() + 1);
        for (placed, entry) in self.placed.iter().zip(entries) {
            slices.push(IoSlice::new(&self.own[placed.own_start..placed.own_end]));
            if let Entry::Produced(batch) = entry {
                slices.push(IoSlice::new(&batch.bytes));
            }
        }
        if self.padding_due > 0 {
            slices.push(IoSlice::new(&ZEROS[..self.padding_due]));
        }
        slices
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_flush_lies_on_disk_as_its_frames_say() {
        let entries = [
            Entry::ProducerIdAllocated,
            Entry::NotePut {
                room: "r".into(),
                key: "k".into(),
                value: Some(Bytes::from_static(b"value")),
            },
            Entry::TopicDeleted { id: Uuid::nil() },
        ];
        let mut buffer = FlushBuffer::default();
        for entry in &entries {
            buffer.push(entry, 7, 64, 99);
        }
        let flat: Vec<u8> = buffer
            .slices(entries.iter())
            .iter()
            .flat_map(|slice| slice.to_vec())
            .collect();
        assert_eq!(flat.len() as u64, buffer.bytes());
        for (position, entry) in buffer.positions().zip(&entries) {
            let at = position as usize - 64;
            let header = flat[at..].first_chunk().unwrap();
            assert_eq!(FrameHeader::decode(header, 98), None, "another salt");
            let header = FrameHeader::decode(header, 99).unwrap();
            assert_eq!((header.time_ms, header.flush_start), (7, 64));
            let payload = &flat[at + FRAME_HEADER_BYTES..][..header.payload_bytes as usize];
            assert!(header.payload_fits(payload));
            let read = Entry::read(header.kind, &Bytes::copy_from_slice(payload)).unwrap();
            assert_eq!(&read, entry);
        }
    }
}
