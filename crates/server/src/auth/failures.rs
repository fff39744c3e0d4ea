//! How long a failed login waits for its answer: longer where many fail.
//!
//! Only failures wait. Who has the right password is never held up for what others from the same address
//! have tried.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::turns::neighbourhood;

/// So many failures from an address in a while make the next ones wait once more as long.
const STEP: u32 = 16;
/// As many times as long at most.
const TIMES_MAX: u32 = 16;
/// In this time half of the failures of an address are forgotten.
const HALF_LIFE: Duration = Duration::from_secs(10);
/// Addresses that are remembered; when there are more, all are forgotten.
const ADDRESSES_MAX: usize = 16_384;

/// Counts failures by their addresses.
pub(crate) struct Failures {
    delay: Duration,
    recent: Mutex<HashMap<IpAddr, Recent>>,
}

struct Recent {
    count: u32,
    /// As of when.
    at: Instant,
}

impl Failures {
    /// The shortest wait.
    pub(crate) fn new(delay: Duration) -> Self {
        Self {
            delay,
            recent: Mutex::new(HashMap::new()),
        }
    }

    /// One more from this address; how long it waits.
    pub(crate) fn delay(&self, from: IpAddr) -> Duration {
        self.delay_at(Instant::now(), from)
    }

    fn delay_at(&self, now: Instant, from: IpAddr) -> Duration {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let from = neighbourhood(from);
        if recent.len() >= ADDRESSES_MAX && !recent.contains_key(&from) {
            recent.clear();
        }
        let one = recent.entry(from).or_insert(Recent { count: 0, at: now });
        let halvings = now.saturating_duration_since(one.at).as_secs() / HALF_LIFE.as_secs();
        if halvings > 0 {
            one.count = one
                .count
                .checked_shr(u32::try_from(halvings).unwrap_or(u32::MAX))
                .unwrap_or(0);
            one.at = now;
        }
        one.count = one.count.saturating_add(1);
        self.delay * (1 + (one.count - 1) / STEP).min(TIMES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_failures_wait_longer_and_are_forgotten() {
        let failures = Failures::new(Duration::from_millis(500));
        let [guesser, other]: [IpAddr; 2] = ["10.0.0.1", "10.0.0.2"].map(|ip| ip.parse().unwrap());
        let now = Instant::now();
        let mut last = Duration::ZERO;
        for count in 0..1000 {
            let delay = failures.delay_at(now, guesser);
            assert!(delay >= last && (count >= STEP || delay == Duration::from_millis(500)));
            last = delay;
        }
        assert_eq!(last, Duration::from_secs(8));
        assert_eq!(failures.delay_at(now, other), Duration::from_millis(500));
        let later = now + Duration::from_secs(3600);
        assert_eq!(
            failures.delay_at(later, guesser),
            Duration::from_millis(500)
        );
        for number in 0..2 * ADDRESSES_MAX as u32 {
            failures.delay(IpAddr::V4(number.into()));
        }
        assert!(failures.recent.lock().unwrap().len() <= ADDRESSES_MAX);
    }
}
