use bytes::{BufMut, Bytes, BytesMut};

use crate::{Error, Frame, Result, Version};

/// Payloads from this size on are referred to, not copied: below it the copy is cheaper than
/// another element in the vectored write.
const SHARED_BYTES_MIN: usize = 2 << 10;

/// Writes a message. Large payloads are kept by reference, so that a fetched batch goes from the
/// log to the socket without being copied into the answer.
#[derive(Debug, Default)]
pub struct Writer {
    /// What comes before the shared payloads, the frame's length included.
    head: BytesMut,
    /// Shared payloads and what was written between them.
    chunks: Vec<Bytes>,
    /// What is being written, once there are chunks.
    tail: BytesMut,
}

impl Writer {
    /// A writer with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            head: BytesMut::with_capacity(bytes),
            ..Self::default()
        }
    }

    #[inline]
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        if self.chunks.is_empty() {
            &mut self.head
        } else {
            &mut self.tail
        }
    }

    /// Writes bytes, copying them.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        self.buffer().put_slice(bytes);
    }

    /// Writes bytes; if they are many, by reference.
    pub fn put_shared(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARED_BYTES_MIN {
            return self.put(bytes);
        }
        if !self.tail.is_empty() {
            self.chunks.push(self.tail.split().freeze());
        }
        self.chunks.push(bytes.clone());
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.head.len() + self.chunks.iter().map(Bytes::len).sum::<usize>() + self.tail.len()
    }

    /// Whether nothing is written yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was written, as a frame: the first four bytes, which must have been kept free for it,
    /// become the length of the rest.
    pub(crate) fn finish_frame(mut self) -> Result<Frame> {
        let length = self.len() - 4;
        let length = i32::try_from(length).map_err(|_| Error::TooLong {
            length,
            length_max: i32::MAX as usize,
        })?;
        if let Some(place) = self.head.first_chunk_mut::<4>() {
            *place = length.to_be_bytes();
        }
        Ok(self.finish())
    }

    /// What was written, without a length before it.
    pub fn finish(self) -> Frame {
        let mut chunks = Vec::with_capacity(self.chunks.len() + 2);
        chunks.push(self.head.freeze());
        chunks.extend(self.chunks);
        if !self.tail.is_empty() {
            chunks.push(self.tail.freeze());
        }
        Frame::new(chunks)
    }

    pub(crate) fn put_unsigned_varint(&mut self, mut value: u32) {
        let buffer = self.buffer();
        while value >= 0x80 {
            buffer.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        buffer.put_u8(value as u8);
    }

    /// Writes the length of an array or of bytes; `None` is null.
    pub(crate) fn put_length32(&mut self, length: Option<usize>, version: Version) -> Result<()> {
        let number = match length {
            None => -1,
            Some(length) => i32::try_from(length).map_err(|_| Error::TooLong {
                length,
                length_max: i32::MAX as usize,
            })?,
        };
        if version.flexible {
            self.put_unsigned_varint(number.wrapping_add(1) as u32);
        } else {
            self.buffer().put_i32(number);
        }
        Ok(())
    }

    /// Writes the length of a string; `None` is null.
    pub(crate) fn put_length16(&mut self, length: Option<usize>, version: Version) -> Result<()> {
        let number = match length {
            None => -1,
            // Compact strings too hold no more than what their readers keep in a signed 16-bit
            // length.
            Some(length) => i16::try_from(length).map_err(|_| Error::TooLong {
                length,
                length_max: i16::MAX as usize,
            })?,
        };
        if version.flexible {
            self.put_unsigned_varint(number.wrapping_add(1) as u16 as u32);
        } else {
            self.buffer().put_i16(number);
        }
        Ok(())
    }
}
