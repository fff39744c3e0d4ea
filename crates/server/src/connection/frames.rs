//! From a socket to frames, with at most one copy per byte and no memory held while idle.
//!
//! Every worker thread has one scratch buffer that reads go through. A frame that arrives whole in
//! it is copied out once, into room of exactly its size. A frame that doesn't, gets its room when
//! its length is known, and once much of it is missing, the socket is read straight into that room.
//! So a silent connection holds nothing, and no small request keeps a large buffer alive.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

const SCRATCH_BYTES: usize = 64 << 10;
/// With so much of a frame missing, the socket is read straight into the frame's room.
const DIRECT_BYTES_MIN: usize = 16 << 10;
/// The first room of a client's first frame. A room that is full is exchanged for one several times as large, so a
/// frame that is announced and not sent costs next to nothing (address space is not free where the
/// system hands out huge pages), and a large one is copied by less than half.
const ROOM_BYTES_MIN: usize = 64 << 10;
/// How many times as large the next room is.
const ROOM_GROWTH: usize = 4;
/// A client that has sent frames of some size before gets room for another at once, up to this.
const ROOM_BYTES_PROVEN_MAX: usize = 1 << 20;

const LENGTH_BYTES: usize = 4;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into());
}

/// Why a connection's bytes are no frames.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The length is negative or above the limit.
    #[error(
        "the client announced a frame of {bytes} bytes, the limit is {bytes_max} (kafka.request_bytes_max)"
    )]
    Length {
        /// The announced length.
        bytes: i32,
        /// The limit.
        bytes_max: usize,
    },
    /// The stream ended inside a frame.
    #[error("the client closed after {received} of a frame's {bytes} bytes")]
    Truncated {
        /// Bytes of the frame that came, without its length.
        received: usize,
        /// The announced length; 0 if not even that was complete.
        bytes: usize,
    },
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Cuts what is read into frames. Sans-I/O but for [`Frames::read`].
#[derive(Debug)]
pub(crate) struct Frames {
    bytes_max: usize,
    length: [u8; LENGTH_BYTES],
    length_filled: usize,
    /// The frame being received, and its full length.
    partial: Option<(BytesMut, usize)>,
    complete: VecDeque<Bytes>,
    /// The largest frame that came in full, or the bound on what is made of it.
    proven: usize,
}

impl Frames {
    /// Refuses frames above the limit.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            length: [0; LENGTH_BYTES],
            length_filled: 0,
            partial: None,
            complete: VecDeque::new(),
            proven: 0,
        }
    }

    /// Takes frames up to another limit from here on.
    pub(crate) fn allow(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// The next frame that is complete, without its length.
    pub(crate) fn pop(&mut self) -> Option<Bytes> {
        self.complete.pop_front()
    }

    /// Whether a frame has begun to arrive and isn't complete.
    pub(crate) fn is_midway(&self) -> bool {
        self.length_filled > 0 || self.partial.is_some()
    }

    /// Of the frame being received: its length, and how much of it has come; none before its length is known.
    pub(crate) fn arriving(&self) -> Option<(usize, usize)> {
        let (body, length) = self.partial.as_ref()?;
        Some((*length, body.len()))
    }

    /// Reads once; the bytes read, which are none at the end of a stream that ends between frames.
    ///
    /// Cancel safe: what was read is kept, and nothing is read that isn't.
    pub(crate) async fn read(
        &mut self,
        socket: &mut (impl AsyncRead + Unpin),
    ) -> Result<usize, FrameError> {
        let read = match &mut self.partial {
            Some((body, length)) if *length - body.len() >= DIRECT_BYTES_MIN => {
                make_room(body, *length);
                let room = body.capacity() - body.len();
                socket.read_buf(&mut body.limit(room)).await?
            }
            _ => poll_fn(|context| self.poll_scratch(context, Pin::new(socket))).await?,
        };
        self.finish_partial();
        if read == 0 && self.is_midway() {
            let (received, bytes) = self
                .partial
                .as_ref()
                .map_or((0, 0), |(body, length)| (body.len(), *length));
            return Err(FrameError::Truncated { received, bytes });
        }
        Ok(read)
    }

    fn poll_scratch(
        &mut self,
        context: &mut Context<'_>,
        socket: Pin<&mut impl AsyncRead>,
    ) -> Poll<Result<usize, FrameError>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(socket.poll_read(context, &mut buffer))?;
            let read = buffer.filled();
            Poll::Ready(self.feed(read).map(|()| read.len()))
        })
    }

    /// Takes in bytes as they came.
    fn feed(&mut self, mut bytes: &[u8]) -> Result<(), FrameError> {
        loop {
            if let Some((body, length)) = &mut self.partial {
                make_room(body, *length);
                let (now, rest) = bytes.split_at(bytes.len().min(body.capacity() - body.len()));
                body.put_slice(now);
                bytes = rest;
                self.finish_partial();
                if self.partial.is_some() && !bytes.is_empty() {
                    continue;
                }
            }
            if bytes.is_empty() {
                return Ok(());
            }
            let (now, rest) = bytes.split_at(bytes.len().min(LENGTH_BYTES - self.length_filled));
            let places = self.length.iter_mut().skip(self.length_filled);
            places.zip(now).for_each(|(to, from)| *to = *from);
            self.length_filled += now.len();
            bytes = rest;
            if self.length_filled < LENGTH_BYTES {
                return Ok(());
            }
            self.length_filled = 0;
            let announced = i32::from_be_bytes(self.length);
            match usize::try_from(announced) {
                Ok(length) if length <= self.bytes_max => {
                    let room = room_bytes(self.proven, length);
                    self.partial = Some((BytesMut::with_capacity(room), length));
                }
                _ => {
                    return Err(FrameError::Length {
                        bytes: announced,
                        bytes_max: self.bytes_max,
                    });
                }
            }
        }
    }

    fn finish_partial(&mut self) {
        if let Some((body, length)) = self.partial.take_if(|(body, length)| body.len() == *length) {
            self.proven = self.proven.max(length.min(ROOM_BYTES_PROVEN_MAX));
            self.complete.push_back(body.freeze());
        }
    }
}

/// The size of a room that should hold so many bytes of a frame.
fn room_bytes(wanted: usize, length: usize) -> usize {
    wanted.max(ROOM_BYTES_MIN).min(length)
}

/// Exchanges a room that is full for a larger one.
fn make_room(body: &mut BytesMut, length: usize) {
    if body.len() == body.capacity() {
        let mut larger = BytesMut::with_capacity(room_bytes(body.len() * ROOM_GROWTH, length));
        larger.put_slice(body);
        *body = larger;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn framed(bodies: &[Vec<u8>]) -> Vec<u8> {
        bodies
            .iter()
            .flat_map(|body| [&(body.len() as u32).to_be_bytes()[..], body].concat())
            .collect()
    }

    async fn read_all(
        mut frames: Frames,
        mut socket: impl AsyncRead + Unpin,
    ) -> Result<Vec<Bytes>, FrameError> {
        let mut read = Vec::new();
        while frames.read(&mut socket).await? > 0 {
            read.extend(std::iter::from_fn(|| frames.pop()));
        }
        Ok(read)
    }

    proptest! {
        #[test]
        fn frames_are_the_same_however_the_bytes_come(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40_000), 0..6),
            chunk in 1usize..100_000,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let read = runtime.block_on(async {
                let (mut client, server) = tokio::io::duplex(chunk);
                let stream = framed(&bodies);
                let (_, read) = tokio::join!(
                    async move { for part in stream.chunks(chunk) { client.write_all(part).await.unwrap() } },
                    read_all(Frames::new(40_000), server),
                );
                read.unwrap()
            });
            prop_assert_eq!(read, bodies);
        }
    }

    #[tokio::test]
    async fn a_length_above_the_limit_is_refused_before_room_is_made() {
        for length in [i32::MAX, -1, i32::MIN, 1001] {
            let bytes = length.to_be_bytes();
            let error = read_all(Frames::new(1000), &bytes[..]).await.unwrap_err();
            assert!(
                matches!(error, FrameError::Length { bytes, bytes_max: 1000 } if bytes == length),
                "{error}"
            );
        }
    }

    #[tokio::test]
    async fn an_end_within_a_frame_is_an_error() {
        for bytes in [&[0u8, 0][..], &[0, 0, 0, 9, 1, 2]] {
            assert!(matches!(
                read_all(Frames::new(1000), bytes).await,
                Err(FrameError::Truncated { .. })
            ));
        }
        assert_eq!(
            read_all(Frames::new(1000), &[][..]).await.unwrap(),
            Vec::<Bytes>::new()
        );
    }

    #[tokio::test]
    async fn a_frame_above_the_first_room_grows() {
        let body: Vec<u8> = (0..(20 * ROOM_BYTES_MIN + 77))
            .map(|index| (index / 3) as u8)
            .collect();
        let stream = framed(&[vec![1], body.clone(), vec![2]]);
        let read = read_all(Frames::new(usize::MAX), &stream[..])
            .await
            .unwrap();
        assert!(read[1] == body && read[0][..] == [1] && read[2][..] == [2]);
    }

    #[test]
    fn small_frames_hold_no_more_than_themselves() {
        let mut frames = Frames::new(1000);
        frames.feed(&framed(&vec![vec![7; 10]; 3])).unwrap();
        let frame = frames.pop().unwrap();
        let room = frame.try_into_mut().unwrap();
        assert_eq!(room.capacity(), 10);
    }
}
