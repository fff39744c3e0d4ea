use std::{collections::VecDeque, io::IoSlice};

use bytes::{Buf, Bytes, BytesMut};

use crate::{Error, Fault, Limits, Result};

/// Frames up to this size get their room at once; larger ones grow as their bytes arrive, so that
/// announcing a large frame costs the peer as much as it costs the reader.
const RESERVE_BYTES_MAX: usize = 1 << 20;

/// Cuts a stream of bytes into frames: a 4-byte length, big endian, and so many bytes.
///
/// Bytes are read into a buffer by the caller; the decoder splits frames off it and keeps it large
/// enough for the one to come.
#[derive(Debug, Clone)]
pub struct FrameDecoder {
    frame_bytes_max: usize,
}

impl FrameDecoder {
    /// A decoder that refuses frames larger than [`Limits::frame_bytes_max`].
    pub fn new(limits: &Limits) -> Self {
        Self {
            frame_bytes_max: limits.frame_bytes_max,
        }
    }

    /// Splits the next frame, without its length, off the front of the buffer. `None` if it isn't
    /// complete yet: read more and ask again.
    ///
    /// # Errors
    /// [`Error::FrameLength`] and [`Error::FrameTooLarge`], as soon as the length is there. After
    /// an error there is no telling where the next frame starts: close the connection.
    pub fn decode(&self, buffer: &mut BytesMut) -> Result<Option<Bytes>> {
        let Some(prefix) = buffer.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = i32::from_be_bytes(*prefix);
        let bytes = usize::try_from(length).map_err(|_| Error::FrameLength(length))?;
        if bytes > self.frame_bytes_max {
            return Err(Error::FrameTooLarge {
                bytes,
                bytes_max: self.frame_bytes_max,
            });
        }
        let missing = (4 + bytes).saturating_sub(buffer.len());
        if missing > 0 {
            buffer.reserve(missing.min(RESERVE_BYTES_MAX.max(buffer.len())));
            return Ok(None);
        }
        buffer.advance(4);
        Ok(Some(buffer.split_to(bytes).freeze()))
    }

    /// To be called at the end of the stream.
    ///
    /// # Errors
    /// [`Fault::Truncated`] if it ended inside a frame.
    pub fn finish(&self, buffer: &BytesMut) -> Result<()> {
        let needed = match buffer.first_chunk::<4>() {
            _ if buffer.is_empty() => return Ok(()),
            None => 4,
            Some(prefix) => 4 + usize::try_from(i32::from_be_bytes(*prefix)).unwrap_or_default(),
        };
        Err(Fault::Truncated {
            needed,
            left: buffer.len(),
        }
        .at(0)
        .named("frame"))
    }
}

/// An encoded message, ready to be sent, in one or several slices.
///
/// It is a [`Buf`]: `write_all_buf` of tokio sends it with vectored writes, without joining it.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    chunks: VecDeque<Bytes>,
    remaining: usize,
}

impl Frame {
    pub(crate) fn new(chunks: Vec<Bytes>) -> Self {
        Self {
            remaining: chunks.iter().map(Bytes::len).sum(),
            chunks: chunks.into(),
        }
    }

    /// Bytes that are left to send, the length before the message included.
    pub fn len(&self) -> usize {
        self.remaining
    }

    /// Whether all of it is sent.
    pub fn is_empty(&self) -> bool {
        self.remaining == 0
    }

    /// All of it as one slice: joins the slices if there are several.
    pub fn into_bytes(mut self) -> Bytes {
        match (self.chunks.len(), self.chunks.pop_front()) {
            (1, Some(only)) => only,
            (_, None) => Bytes::new(),
            (_, Some(first)) => {
                self.chunks.push_front(first);
                let length = self.remaining;
                self.copy_to_bytes(length)
            }
        }
    }
}

impl Buf for Frame {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.chunks.front().map_or(&[], |chunk| chunk)
    }

    fn advance(&mut self, mut count: usize) {
        assert!(
            count <= self.remaining,
            "{count} bytes of {}",
            self.remaining
        );
        self.remaining -= count;
        while let Some(front) = self.chunks.front_mut() {
            if count < front.len() {
                front.advance(count);
                return;
            }
            count -= front.len();
            self.chunks.pop_front();
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let filled = slices.iter_mut().zip(&self.chunks);
        filled
            .map(|(slice, chunk)| *slice = IoSlice::new(chunk))
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder(frame_bytes_max: usize) -> FrameDecoder {
        FrameDecoder::new(&Limits {
            frame_bytes_max,
            ..Limits::default()
        })
    }

    #[test]
    fn frames_are_split_wherever_the_reads_end() {
        let stream = [
            &[0, 0, 0, 3][..],
            b"abc",
            &[0, 0, 0, 0],
            &[0, 0, 0, 1],
            b"d",
        ]
        .concat();
        for cut in 0..=stream.len() {
            let mut buffer = BytesMut::new();
            let mut frames = Vec::new();
            for part in [&stream[..cut], &stream[cut..]] {
                buffer.extend_from_slice(part);
                while let Some(frame) = decoder(3).decode(&mut buffer).unwrap() {
                    frames.push(frame);
                }
            }
            assert_eq!(frames, [&b"abc"[..], b"", b"d"]);
            assert_eq!(decoder(3).finish(&buffer), Ok(()));
        }
    }

    #[test]
    fn a_length_out_of_bounds_is_refused_before_any_allocation() {
        let mut buffer = BytesMut::from(&[0x7f, 0xff, 0xff, 0xff][..]);
        let capacity = buffer.capacity();
        let error = Error::FrameTooLarge {
            bytes: i32::MAX as usize,
            bytes_max: 100,
        };
        assert_eq!(decoder(100).decode(&mut buffer), Err(error));
        assert_eq!(buffer.capacity(), capacity);
        let mut buffer = BytesMut::from(&[0xff, 0xff, 0xff, 0xff][..]);
        assert_eq!(
            decoder(100).decode(&mut buffer),
            Err(Error::FrameLength(-1))
        );
    }

    #[test]
    fn a_large_frame_gets_room_as_it_arrives() {
        let mut buffer = BytesMut::from(&[0x06, 0, 0, 0, 1][..]);
        assert_eq!(decoder(usize::MAX).decode(&mut buffer), Ok(None));
        assert!(
            buffer.capacity() < 2 * RESERVE_BYTES_MAX,
            "{}",
            buffer.capacity()
        );
    }

    #[test]
    fn a_stream_that_ends_inside_a_frame_says_so() {
        assert!(decoder(9).finish(&BytesMut::from(&[0, 0][..])).is_err());
        assert!(
            decoder(9)
                .finish(&BytesMut::from(&[0, 0, 0, 1][..]))
                .is_err()
        );
    }

    #[test]
    fn a_frame_of_several_slices_reads_as_one() {
        let whole = b"one and two and three";
        let parts = [&whole[..4], &whole[4..8], &whole[8..]].map(Bytes::from_static);
        for step in 1..=whole.len() {
            let mut frame = Frame::new(parts.to_vec());
            let mut read = Vec::new();
            while frame.has_remaining() {
                let count = step.min(frame.chunk().len());
                read.extend_from_slice(&frame.chunk()[..count]);
                frame.advance(count);
            }
            assert_eq!(read, whole);
        }
        assert_eq!(&Frame::new(parts.to_vec()).into_bytes()[..], whole);
        let mut slices = [IoSlice::new(&[]); 2];
        assert_eq!(Frame::new(parts.to_vec()).chunks_vectored(&mut slices), 2);
    }
}
