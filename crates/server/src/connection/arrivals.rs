//! Room for requests that have begun to arrive and haven't arrived: a quarter of the memory for requests at most
//! for small ones, and a quarter for large ones, so that whoever begins many and ends none leaves the other half
//! to those that come in one piece.
//!
//! Room is had for the whole of a request at once, in fair turns by address and user: nobody waits for more while
//! holding some. When others wait, whoever sends slowly what it has announced loses its connection.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::auth::Principal;
use crate::turns::{Turn, Turns};

/// A larger request is a large one.
const SMALL_BYTES_MAX: usize = 64 << 10;
/// The unit of account, in bytes.
const UNIT_BYTES: usize = 1 << 10;
/// However slow, a request may take so long while others wait.
const GRACE: Duration = Duration::from_secs(1);
/// And then it must have come at this rate, in bytes a second.
const RATE_MIN: usize = 64 << 10;
/// How often those who wait look for somebody who is too slow.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// The room.
pub(crate) struct Arrivals {
    small: Arc<Turns>,
    large: Arc<Turns>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    next: u64,
    arrivals: HashMap<u64, Arc<Progress>>,
    looked: Option<Instant>,
}

struct Progress {
    begun: Instant,
    /// Bytes that have come.
    received: AtomicUsize,
    too_slow: CancellationToken,
}

/// A request that arrives; its room is given back when this is dropped.
pub(crate) struct Arrival {
    all: Arc<Arrivals>,
    number: u64,
    progress: Arc<Progress>,
    _turn: Turn,
}

impl Arrivals {
    /// Half of so many bytes, all in all.
    pub(crate) fn new(requests_memory_bytes_max: u64) -> Arc<Self> {
        let units = usize::try_from(requests_memory_bytes_max).unwrap_or(usize::MAX) / UNIT_BYTES;
        Arc::new(Self {
            small: Turns::new(units / 4),
            large: Turns::new(units / 4),
            open: Mutex::default(),
        })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the room of a request of so many bytes.
    pub(crate) async fn begin(
        self: &Arc<Self>,
        from: IpAddr,
        of: &Principal,
        bytes: usize,
    ) -> Arrival {
        let turns = if bytes > SMALL_BYTES_MAX {
            &self.large
        } else {
            &self.small
        };
        let turn = turns.take(from, of.name(), bytes.div_ceil(UNIT_BYTES));
        let mut turn = std::pin::pin!(turn);
        let turn = loop {
            match timeout(LOOK_INTERVAL, &mut turn).await {
                Ok(turn) => break turn,
                Err(_) => self.look(),
            }
        };
        let progress = Arc::new(Progress {
            begun: Instant::now(),
            received: AtomicUsize::new(0),
            too_slow: CancellationToken::new(),
        });
        let mut open = self.open();
        let number = open.next;
        open.next += 1;
        open.arrivals.insert(number, Arc::clone(&progress));
        Arrival {
            all: Arc::clone(self),
            number,
            progress,
            _turn: turn,
        }
    }

    /// Ends what arrives too slowly.
    fn look(&self) {
        let mut open = self.open();
        if open
            .looked
            .is_some_and(|last| last.elapsed() < LOOK_INTERVAL)
        {
            return;
        }
        open.looked = Some(Instant::now());
        for progress in open.arrivals.values() {
            if progress.is_too_slow(progress.begun.elapsed()) {
                progress.too_slow.cancel();
            }
        }
    }
}

impl Progress {
    fn is_too_slow(&self, after: Duration) -> bool {
        let due = after.as_millis() * RATE_MIN as u128 / 1000;
        after >= GRACE && (self.received.load(Ordering::Relaxed) as u128) < due
    }
}

impl Arrival {
    /// So much of it has come.
    pub(crate) fn received(&self, bytes: usize) {
        self.progress.received.store(bytes, Ordering::Relaxed);
    }

    /// Ends when others wait for its room, and it comes too slowly.
    pub(crate) async fn too_slow(&self) {
        self.progress.too_slow.cancelled().await;
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.all.open().arrivals.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_slow_makes_room_when_others_wait_and_who_isnt_does_not() {
        let arrivals = Arrivals::new(40 * 1024);
        let from = "10.0.0.1".parse().unwrap();
        let of = Principal::user("anna");
        let slow = arrivals.begin(from, &of, 5 * 1024).await;
        let fast = arrivals.begin(from, &of, 5 * 1024).await;
        slow.received(2000);
        fast.received(1 << 20);
        // Nobody waits: however slow.
        let hurried = timeout(GRACE + 2 * LOOK_INTERVAL, slow.too_slow()).await;
        assert!(hurried.is_err());
        let waiting = arrivals.begin(from, &of, 1024);
        let (waiting, ()) = tokio::join!(waiting, async {
            slow.too_slow().await;
            drop(slow);
        });
        assert!(!fast.progress.too_slow.is_cancelled());
        drop((waiting, fast));
        assert!(arrivals.open().arrivals.is_empty());
        // One that is larger than all the room has it to itself.
        arrivals.begin(from, &of, 1 << 30).await;
    }
}
