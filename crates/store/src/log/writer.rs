//! Group commit: one thread that writes what has gathered in the queue, makes it durable with one
//! flush, applies it to the state, and only then tells anybody.

use std::sync::Arc;
use std::time::Instant;

use super::checkpoint;
use super::entry::{Entry, PartitionKey};
use super::frame::FlushBuffer;
use super::index::IndexEntry;
use super::keeper::{Keeper, Sealed};
use super::queue::{Pending, Rejection};
use super::recover::ends;
use super::segment::{SEGMENT_HEADER_BYTES, segment_name};
use super::storage::Appender;
use crate::error::StoreError;
use crate::shared::Shared;
use crate::state::{Outcome, Refusal};

/// Entries of one flush: bounds how long readers wait while they are applied.
const FLUSH_ENTRIES_MAX: usize = 4096;

/// A segment ready to be written.
pub(crate) struct Fresh {
    pub(crate) number: u64,
    pub(crate) salt: u32,
    pub(crate) appender: Box<dyn Appender>,
}

/// The only thread that appends and the only one that changes the state.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    keeper: Keeper,
    active: Fresh,
    /// Where in the active segment the next flush begins.
    at: u64,
    buffer: FlushBuffer,
    pending: Vec<Pending>,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, keeper: Keeper, active: Fresh) -> Self {
        shared.segments.activate(active.number, active.salt);
        Self {
            shared,
            keeper,
            active,
            at: SEGMENT_HEADER_BYTES as u64,
            buffer: FlushBuffer::default(),
            pending: Vec::new(),
        }
    }

    /// Writes entries before anything is queued. A storage that cannot be written shows here.
    pub(crate) fn write_first(&mut self, entries: Vec<Entry>) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let now_ms = self.shared.config.clock.now_ms();
        let pending = entries
            .into_iter()
            .map(|entry| Pending::new(entry, now_ms, 0, None).0);
        self.pending.extend(pending);
        self.flush()
    }

    /// Runs until the queue is closed and empty, or the storage fails.
    pub(crate) fn run(mut self) -> Result<(), StoreError> {
        let result = self.write_all();
        if let Err(error) = &result {
            tracing::error!(%error, "the log cannot be written: refusing every write from here on");
            metrics::counter!("kafka_log_failures").increment(1);
            self.shared.queue.close(error.clone());
            for pending in self.pending.drain(..).chain(self.shared.queue.take_all()) {
                pending.answer(Err(Rejection::Storage(error.clone())));
            }
        }
        // Whoever waits for the end may open the storage anew: nothing may touch it after that.
        let kept = self.keeper.finish();
        result.and(kept)
    }

    fn write_all(&mut self) -> Result<(), StoreError> {
        self.keeper.prepare(self.active.number + 1)?;
        while self.gather() {
            self.flush()?;
        }
        self.seal()
    }

    /// Waits for entries and takes as many as one flush may have.
    fn gather(&mut self) -> bool {
        let flush_bytes_max = self.shared.config.flush_bytes_max;
        let mut bytes = 0;
        let mut entries = 0;
        self.shared.queue.drain(&mut self.pending, |next| {
            bytes += next.frame_bytes;
            entries += 1;
            bytes <= flush_bytes_max && entries <= FLUSH_ENTRIES_MAX
        })
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let bytes: usize = self.pending.iter().map(|pending| pending.frame_bytes).sum();
        let full = self.at + bytes as u64 > u64::from(self.shared.config.segment_bytes)
            || self.shared.segments.active_batches() >= self.shared.config.segment_batches_max
            || self.shared.queue.take_roll();
        if full && self.at > SEGMENT_HEADER_BYTES as u64 {
            self.roll()?;
        }
        let started = Instant::now();
        let flush_start = position(self.at)?;
        self.buffer.clear();
        for pending in &self.pending {
            self.buffer.push(
                &pending.entry,
                pending.time_ms,
                flush_start,
                self.active.salt,
            );
        }
        let mut slices = self
            .buffer
            .slices(self.pending.iter().map(|pending| &pending.entry));
        self.active
            .appender
            .append(self.at, &mut slices)
            .map_err(|error| {
                let segment = segment_name(self.active.number);
                StoreError::io(format!("append to {segment} at byte {}", self.at), error)
            })?;
        drop(slices);
        self.at += self.buffer.bytes();
        metrics::histogram!("kafka_log_flush_duration_seconds").record(started.elapsed());
        metrics::counter!("kafka_log_flushed_bytes").increment(self.buffer.bytes());
        metrics::counter!("kafka_log_flushed_entries").increment(self.pending.len() as u64);
        let queued = self.shared.config.queue_bytes_max - self.shared.room.available_permits();
        metrics::gauge!("kafka_log_queue_bytes").set(queued as f64);
        self.publish();
        Ok(())
    }

    /// Applies what is durable, makes it readable, and answers.
    fn publish(&mut self) {
        let mut outcomes: Vec<Result<Outcome, Refusal>> = Vec::with_capacity(self.pending.len());
        let mut batches: Vec<(PartitionKey, IndexEntry)> = Vec::with_capacity(self.pending.len());
        let mut trimmed: Vec<PartitionKey> = Vec::new();
        {
            // Readers see offsets, index and tail change together.
            let mut state = self.shared.state_mut();
            let mut tail = self.shared.tail();
            for (pending, position) in self.pending.iter().zip(self.buffer.positions()) {
                let outcome = state.apply(&pending.entry, pending.time_ms);
                if let (Entry::Produced(batch), Ok(Outcome::Appended(appended))) =
                    (&pending.entry, &outcome)
                {
                    let entry = IndexEntry::of(
                        &batch.header,
                        appended.base_offset,
                        position,
                        pending.time_ms,
                    );
                    tail.push(
                        batch.key,
                        entry.base_offset,
                        entry.last_offset(),
                        &batch.bytes,
                        pending.buffer_bytes,
                    );
                    batches.push((batch.key, entry));
                }
                if let Entry::PartitionTrimmed { key, .. } = &pending.entry {
                    trimmed.push(*key);
                }
                outcomes.push(outcome);
            }
            metrics::gauge!("kafka_log_tail_bytes").set(tail.bytes() as f64);
            drop(tail);
            self.shared.segments.extend(batches.iter().copied());
        }
        let ends = batches
            .iter()
            .map(|(key, entry)| (*key, entry.last_offset() + 1));
        self.shared.watchers.notify(ends);
        if self.shared.stable_watchers.are_any() {
            // Nobody else changes the state: it is as it was above.
            let stables: Vec<(PartitionKey, i64)> = {
                let state = self.shared.state();
                let stable = |key| state.bounds(key).map(|bounds| (key, bounds.stable));
                // Where the beginning of an open transaction is trimmed, more is decided, too.
                let keys = batches.iter().map(|(key, _)| *key).chain(trimmed);
                keys.filter_map(stable).collect()
            };
            self.shared.stable_watchers.notify(stables.into_iter());
        }
        for (pending, outcome) in self.pending.drain(..).zip(outcomes) {
            pending.answer(outcome.map_err(Rejection::Refused));
        }
    }

    /// Goes on in the next segment, which the keeper has made ready.
    fn roll(&mut self) -> Result<(), StoreError> {
        let fresh = match self.keeper.prepared() {
            Ok(fresh) => fresh,
            Err(_) => {
                self.keeper.prepare(self.active.number + 1)?;
                self.keeper.prepared()?
            }
        };
        self.seal()?;
        self.shared.segments.activate(fresh.number, fresh.salt);
        self.active = fresh;
        self.at = SEGMENT_HEADER_BYTES as u64;
        self.keeper.prepare(self.active.number + 1)
    }

    /// Ends the active segment and has its index and a checkpoint written.
    fn seal(&mut self) -> Result<(), StoreError> {
        if self.at == SEGMENT_HEADER_BYTES as u64 {
            // Nothing was written: the next start takes the segment away.
            return Ok(());
        }
        let (ends, checkpoint) = {
            let state = self.shared.state();
            let next = self.active.number + 1;
            (ends(&state), checkpoint::encode(next, &state))
        };
        let Some(segment) = self.shared.segments.seal(self.at, ends) else {
            return Ok(());
        };
        self.keeper.sealed(Sealed {
            segment,
            checkpoint,
        })
    }
}

fn position(at: u64) -> Result<u32, StoreError> {
    u32::try_from(at).map_err(|_| StoreError::TooLarge {
        bytes: usize::try_from(at).unwrap_or(usize::MAX),
        bytes_max: u32::MAX as usize,
    })
}
