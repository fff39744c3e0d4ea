//! How a store is set up.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::StoreError;

const MIB: usize = 1024 * 1024;

/// Settings of a store. Every bound has its unit last in its name.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoreConfig {
    /// The directory, made when it is not there.
    pub path: PathBuf,
    /// A segment is sealed when it would grow beyond this. No entry can be larger. What a crash
    /// makes the next start read again is at most about this much.
    pub segment_bytes: u32,
    /// A segment is sealed when it holds this many batches, which bounds the memory of its index.
    pub segment_batches_max: usize,
    /// Bytes that may wait to be written; appends beyond that wait for room.
    pub queue_bytes_max: usize,
    /// Bytes written by one flush, unless a single entry is larger.
    pub flush_bytes_max: usize,
    /// Memory for the newest batches.
    pub tail_bytes_max: usize,
    /// Memory for the keys that one pass of compaction remembers. A pass that has more of them goes
    /// on with the next.
    pub compaction_memory_bytes_max: usize,
    /// A producer silent for this long is forgotten (Kafka: `producer.id.expiration.ms`).
    pub producer_id_expiration_ms: i64,
    /// The most idempotent producers remembered, counted by partition; the longest silent one
    /// is forgotten first.
    pub producers_max: u32,
    /// Whether topics have tables: then retention waits for [`Store::retain_from`].
    ///
    /// [`Store::retain_from`]: crate::Store::retain_from
    pub tables: bool,
    /// What time it is.
    pub clock: Clock,
}

impl StoreConfig {
    /// The defaults, in a directory.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            segment_bytes: 128 * MIB as u32,
            segment_batches_max: 128 * 1024,
            queue_bytes_max: 32 * MIB,
            flush_bytes_max: 4 * MIB,
            tail_bytes_max: 64 * MIB,
            compaction_memory_bytes_max: 64 * MIB,
            producer_id_expiration_ms: 24 * 60 * 60 * 1000,
            producers_max: 100_000,
            tables: false,
            clock: Clock::default(),
        }
    }

    pub(crate) fn validate(&self) -> Result<(), StoreError> {
        let check = |good: bool, setting: &str, value: &dyn fmt::Display, allowed: &str| {
            if good {
                return Ok(());
            }
            Err(StoreError::InvalidSetting {
                setting: setting.to_owned(),
                value: value.to_string(),
                allowed: format!("allowed is {allowed}"),
            })
        };
        check(
            (4096..=1 << 30).contains(&self.segment_bytes),
            "segment_bytes",
            &self.segment_bytes,
            "4 KiB to 1 GiB",
        )?;
        check(
            (1..=1 << 24).contains(&self.segment_batches_max),
            "segment_batches_max",
            &self.segment_batches_max,
            "1 to 16777216",
        )?;
        check(
            (1..=1 << 30).contains(&self.queue_bytes_max),
            "queue_bytes_max",
            &self.queue_bytes_max,
            "1 byte to 1 GiB",
        )?;
        check(
            (1..=1 << 30).contains(&self.flush_bytes_max),
            "flush_bytes_max",
            &self.flush_bytes_max,
            "1 byte to 1 GiB",
        )?;
        check(
            self.producer_id_expiration_ms > 0,
            "producer_id_expiration_ms",
            &self.producer_id_expiration_ms,
            "1 or more",
        )?;
        check(
            self.producers_max > 0,
            "producers_max",
            &self.producers_max,
            "1 or more",
        )
    }
}

/// The broker's clock: milliseconds since the Unix epoch.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Clock {
    /// A clock of one's own; a test's, for example.
    pub fn new(now_ms: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now_ms))
    }

    /// The time now.
    pub fn now_ms(&self) -> i64 {
        (self.0)()
    }
}

impl Default for Clock {
    /// The system's clock.
    fn default() -> Self {
        Self::new(|| {
            let since = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now_ms())
    }
}
