//! The work around the log that nobody waits for: making the next segment, writing indexes and
//! checkpoints, removing segments. One thread, so that its order is the order of the log.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

use super::checkpoint;
use super::index::{FileIndex, SealedIndex, index_name};
use super::segment::{SegmentHeader, segment_name};
use super::segments::SealedSegment;
use super::writer::Fresh;
use crate::error::StoreError;
use crate::shared::Shared;

/// Jobs that may wait; the writer waits with them when there are more.
const JOBS_MAX: usize = 4;

/// A segment that has just been sealed, and the checkpoint after its last entry.
pub(crate) struct Sealed {
    pub(crate) segment: Arc<SealedSegment>,
    pub(crate) checkpoint: Vec<u8>,
}

enum Job {
    Prepare(u64),
    Sealed(Sealed),
}

/// The writer's hold on the keeper's thread.
pub(crate) struct Keeper {
    jobs: SyncSender<Job>,
    fresh: Receiver<Result<Fresh, StoreError>>,
    thread: JoinHandle<Result<(), StoreError>>,
}

impl Keeper {
    pub(crate) fn start(shared: Arc<Shared>) -> Result<Self, StoreError> {
        let (jobs, jobs_received) = sync_channel(JOBS_MAX);
        let (fresh_made, fresh) = channel();
        let thread = thread::Builder::new()
            .name("fletch-log-keeper".to_owned())
            .spawn(move || run(&shared, &jobs_received, &fresh_made))
            .map_err(|error| StoreError::io("start the keeper's thread", error))?;
        Ok(Self {
            jobs,
            fresh,
            thread,
        })
    }

    /// Has segment `number` made; [`prepared`](Self::prepared) gives it.
    pub(crate) fn prepare(&self, number: u64) -> Result<(), StoreError> {
        self.send(Job::Prepare(number))
    }

    /// The segment asked for last.
    pub(crate) fn prepared(&self) -> Result<Fresh, StoreError> {
        self.fresh.recv().unwrap_or(Err(StoreError::Closed))
    }

    /// Has a sealed segment's index and the checkpoint after it written.
    pub(crate) fn sealed(&self, sealed: Sealed) -> Result<(), StoreError> {
        self.send(Job::Sealed(sealed))
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        self.jobs.send(job).map_err(|_| StoreError::Closed)
    }

    /// Waits until every job is done.
    pub(crate) fn finish(self) -> Result<(), StoreError> {
        drop(self.jobs);
        drop(self.fresh);
        self.thread.join().unwrap_or(Err(StoreError::Closed))
    }
}

fn run(
    shared: &Shared,
    jobs: &Receiver<Job>,
    fresh: &Sender<Result<Fresh, StoreError>>,
) -> Result<(), StoreError> {
    while let Ok(job) = jobs.recv() {
        let done = match job {
            Job::Prepare(number) => {
                let made = create(shared, number);
                if let Err(error) = &made {
                    // The disk may have room again when the segment is needed.
                    tracing::warn!(%error, "the next segment cannot be made ahead of its need");
                }
                // The writer may have ended, and needs no segment then.
                let _ = fresh.send(made);
                Ok(())
            }
            Job::Sealed(sealed) => keep(shared, &sealed),
        };
        if let Err(error) = done {
            tracing::error!(%error, "the log cannot be kept: refusing every write from here on");
            shared.queue.close(error.clone());
            return Err(error);
        }
    }
    Ok(())
}

/// Makes segment `number`.
pub(crate) fn create(shared: &Shared, number: u64) -> Result<Fresh, StoreError> {
    let cluster_id = shared.cluster_id;
    let header = SegmentHeader::new(number, cluster_id, shared.config.clock.now_ms());
    let appender = shared
        .storage
        .create(
            number,
            &header.encode(),
            u64::from(shared.config.segment_bytes),
        )
        .map_err(|error| StoreError::io(format!("make {}", segment_name(number)), error))?;
    Ok(Fresh {
        number,
        salt: header.salt,
        appender,
    })
}

/// Writes what a sealed segment needs: first its index, then the checkpoint that relies on it.
fn keep(shared: &Shared, sealed: &Sealed) -> Result<(), StoreError> {
    let SealedSegment {
        number,
        covers,
        bytes,
        salt,
        index,
    } = &*sealed.segment;
    let SealedIndex::Frozen(frozen) = index else {
        return Ok(());
    };
    let storage = &*shared.storage;
    storage
        .seal(*number, *bytes)
        .map_err(|error| StoreError::io(format!("seal {}", segment_name(*number)), error))?;
    let name = index_name(*number);
    storage
        .put(&name, &frozen.encode(*number, *bytes, *covers))
        .map_err(|error| StoreError::io(format!("write {name}"), error))?;
    shared.segments.replace(Arc::new(SealedSegment {
        number: *number,
        covers: *covers,
        salt: *salt,
        bytes: *bytes,
        index: SealedIndex::File(FileIndex::open(storage, *number)?),
    }));
    let next = number + 1;
    let name = checkpoint::checkpoint_name(next);
    storage
        .put(&name, &sealed.checkpoint)
        .map_err(|error| StoreError::io(format!("write {name}"), error))?;
    checkpoint::prune(storage)?;
    metrics::gauge!("kafka_log_segments").set(shared.segments.count() as f64);
    Ok(())
}
