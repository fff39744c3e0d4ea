//! Answers on their way to a socket: gathered while there are more, sent by vectored writes.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::time::Duration;

use bytes::Buf;
use fletch_wire::Frame;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::memory::Reserved;

/// Slices handed to one write: as many as Linux takes is 1024; a few answers are far fewer.
const SLICES_MAX: usize = 64;

/// Frames not yet sent, with the memory reserved for each.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    frames: VecDeque<(Frame, Reserved)>,
    bytes: usize,
}

impl Outbox {
    /// Adds an answer behind the others.
    pub(super) fn push(&mut self, frame: Frame, reserved: Reserved) {
        self.bytes += frame.remaining();
        self.frames.push_back((frame, reserved));
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Sends everything. Times out when the peer takes nothing for so long.
    pub(super) async fn flush(
        &mut self,
        socket: &mut (impl AsyncWrite + Unpin),
        patience: Duration,
    ) -> io::Result<()> {
        while self.bytes > 0 {
            let written = timeout(patience, self.write_once(socket)).await??;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.advance(written);
        }
        self.frames.clear();
        // What TLS has encrypted and the socket hasn't taken yet.
        timeout(patience, socket.flush()).await?
    }

    async fn write_once(&self, socket: &mut (impl AsyncWrite + Unpin)) -> io::Result<usize> {
        // The slices are made at each try: waiting for the socket takes no room for them.
        poll_fn(|context| {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let mut filled = 0;
            for (frame, _) in &self.frames {
                match slices.get_mut(filled..) {
                    Some(free) if !free.is_empty() => filled += frame.chunks_vectored(free),
                    _ => break,
                }
            }
            let filled = slices.get(..filled).unwrap_or(&slices);
            Pin::new(&mut *socket).poll_write_vectored(context, filled)
        })
        .await
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes -= written;
        while let Some((frame, _)) = self.frames.front_mut() {
            let step = written.min(frame.remaining());
            frame.advance(step);
            written -= step;
            if frame.has_remaining() {
                return;
            }
            self.frames.pop_front();
        }
    }
}
