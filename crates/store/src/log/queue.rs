//! The queue in front of the log: bounded by bytes, drained by one thread.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::entry::Entry;
use super::frame::frame_bytes;
use crate::error::StoreError;
use crate::state::{Outcome, Refusal};

/// Why an entry had no effect.
#[derive(Debug, Clone)]
pub(crate) enum Rejection {
    /// It is in the log, and the fold refused it.
    Refused(Refusal),
    /// It may not be in the log.
    Storage(StoreError),
}

/// An entry on its way into the log.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) entry: Entry,
    pub(crate) time_ms: i64,
    /// What the entry takes in a segment.
    pub(crate) frame_bytes: usize,
    /// The size of the buffer that the entry's batch is a slice of.
    pub(crate) buffer_bytes: usize,
    reply: oneshot::Sender<Answer>,
    /// Its share of the queue's bound, given back when the entry is answered.
    _permit: Option<OwnedSemaphorePermit>,
}

/// What becomes of an entry.
pub(crate) type Answer = Result<Outcome, Rejection>;

impl Pending {
    /// An entry and where its answer arrives.
    pub(crate) fn new(
        entry: Entry,
        time_ms: i64,
        buffer_bytes: usize,
        permit: Option<OwnedSemaphorePermit>,
    ) -> (Self, oneshot::Receiver<Answer>) {
        let (reply, answer) = oneshot::channel();
        let frame_bytes = frame_bytes(entry.payload_bytes() as u64);
        let pending = Self {
            frame_bytes: usize::try_from(frame_bytes).unwrap_or(usize::MAX),
            entry,
            time_ms,
            buffer_bytes,
            reply,
            _permit: permit,
        };
        (pending, answer)
    }

    pub(crate) fn answer(self, answer: Answer) {
        // Whoever asked may have gone; the entry stands all the same.
        let _ = self.reply.send(answer);
    }
}

/// What waits to be written.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Debug, Default)]
struct State {
    pending: VecDeque<Pending>,
    /// Nothing is taken in any more, for this reason.
    closed: Option<StoreError>,
    /// The writer sleeps until it is woken.
    idle: bool,
    /// What is written next goes to a new segment.
    rolls: bool,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an entry, unless the queue is closed.
    pub(crate) fn push(&self, pending: Pending) -> Result<(), StoreError> {
        let mut state = self.state();
        if let Some(error) = &state.closed {
            return Err(error.clone());
        }
        state.pending.push_back(pending);
        // A writer that is busy looks again by itself.
        let wake = std::mem::take(&mut state.idle);
        drop(state);
        if wake {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Why nothing is taken in any more, if so.
    pub(crate) fn closed(&self) -> Option<StoreError> {
        self.state().closed.clone()
    }

    /// Takes in nothing more; what is there is still drained. The first reason stays.
    pub(crate) fn close(&self, reason: StoreError) {
        self.state().closed.get_or_insert(reason);
        self.filled.notify_one();
    }

    /// Has what is queued from here on written to a new segment.
    pub(crate) fn roll(&self) {
        self.state().rolls = true;
    }

    /// Whether that was asked for since the last time.
    pub(crate) fn take_roll(&self) -> bool {
        std::mem::take(&mut self.state().rolls)
    }

    /// Moves entries into `into`, in order, while `fits` allows the next one; the first is always
    /// moved. Waits for one. False when the queue is closed and empty.
    pub(crate) fn drain(
        &self,
        into: &mut Vec<Pending>,
        mut fits: impl FnMut(&Pending) -> bool,
    ) -> bool {
        let mut state = self.state();
        while state.pending.is_empty() {
            if state.closed.is_some() {
                return false;
            }
            state.idle = true;
            state = self
                .filled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        while let Some(next) = state.pending.front() {
            if !fits(next) && !into.is_empty() {
                break;
            }
            into.extend(state.pending.pop_front());
        }
        true
    }

    /// Empties the queue without writing.
    pub(crate) fn take_all(&self) -> VecDeque<Pending> {
        std::mem::take(&mut self.state().pending)
    }
}
