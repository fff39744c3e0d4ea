//! What each client has used of its quota: a bucket of tokens that fills at the quota's rate.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::Kind;

/// Clients whose use is remembered one by one; any more share what they use.
const WINDOWS_MAX: usize = 10_000;
/// How often there is a search for those whose use needn't be remembered any more.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// A bucket holds what comes in so many seconds: so much may be used at once after a pause.
const BURST_SECONDS: f64 = 1.0;
/// A client is made to wait no longer than this at a time. What it owes beyond that it goes on owing.
const THROTTLE_MAX: Duration = Duration::from_secs(60);

/// Whose use is counted together: what the quota names of user and client id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Who {
    pub(super) kind: Kind,
    pub(super) user: Option<String>,
    pub(super) client: Option<String>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    /// What is left; below zero what is owed.
    tokens: f64,
    at: Instant,
    rate: f64,
}

impl Window {
    fn fill(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + seconds * self.rate).min(self.rate * BURST_SECONDS);
        self.at = self.at.max(now);
    }

    fn is_full(mut self, now: Instant) -> bool {
        self.fill(now);
        self.tokens >= self.rate * BURST_SECONDS
    }
}

/// The use of all clients, bounded.
#[derive(Debug, Default)]
pub(super) struct Windows {
    windows: HashMap<Who, Window>,
    /// When those who owe nothing were last forgotten.
    swept: Option<Instant>,
}

impl Windows {
    /// Somebody with a quota of `rate` a second used so much; answers for how long it has to wait.
    pub(super) fn charge(&mut self, mut who: Who, rate: f64, used: f64, now: Instant) -> Duration {
        if self.windows.len() >= WINDOWS_MAX && !self.windows.contains_key(&who) {
            let is_due = |swept| now.saturating_duration_since(swept) >= SWEEP_INTERVAL;
            if self.swept.is_none_or(is_due) {
                // Who owes nothing is as good as unknown.
                self.windows.retain(|_, window| !window.is_full(now));
                self.swept = Some(now);
            }
            if self.windows.len() >= WINDOWS_MAX {
                (who.user, who.client) = (None, None);
            }
        }
        let window = self.windows.entry(who).or_insert(Window {
            tokens: rate * BURST_SECONDS,
            at: now,
            rate,
        });
        window.fill(now);
        // The quota may have been changed.
        window.rate = rate;
        window.tokens -= used;
        match window.tokens < 0.0 {
            true => Duration::try_from_secs_f64(-window.tokens / rate)
                .unwrap_or(THROTTLE_MAX)
                .min(THROTTLE_MAX),
            false => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(client: &str) -> Who {
        Who {
            kind: Kind::Produce,
            user: None,
            client: Some(client.to_owned()),
        }
    }

    #[test]
    fn in_the_long_run_no_more_than_the_rate_is_used() {
        let mut windows = Windows::default();
        let start = Instant::now();
        let (mut now, mut used) = (start, 0.0);
        // A client that waits as it is told, with requests from small to larger than a second's worth.
        for step in 0..1000 {
            let bytes = f64::from(step % 7 * 300 + 1);
            used += bytes;
            now += windows.charge(who("a"), 1000.0, bytes, now);
            let seconds = (now - start).as_secs_f64();
            assert!(
                used <= 1000.0 * (seconds + BURST_SECONDS) + 1.0,
                "{used} in {seconds} s"
            );
        }
        let seconds = (now - start).as_secs_f64();
        assert!(used > 999.0 * seconds, "{used} in {seconds} s");
    }

    #[test]
    fn a_pause_fills_no_more_than_the_bucket() {
        let mut windows = Windows::default();
        let start = Instant::now();
        assert_eq!(
            windows.charge(who("a"), 100.0, 100.0, start),
            Duration::ZERO
        );
        let later = start + Duration::from_secs(3600);
        assert_eq!(
            windows.charge(who("a"), 100.0, 150.0, later),
            Duration::from_millis(500)
        );
        // Others are not held up, and none waits for longer than a minute.
        assert_eq!(
            windows.charge(who("b"), 100.0, 100.0, later),
            Duration::ZERO
        );
        assert_eq!(windows.charge(who("b"), 100.0, 1e9, later), THROTTLE_MAX);
        assert_eq!(windows.charge(who("b"), 1e-300, 1.0, later), THROTTLE_MAX);
    }

    #[test]
    fn many_clients_take_bounded_memory() {
        let mut windows = Windows::default();
        let start = Instant::now();
        for client in 0..3 * WINDOWS_MAX {
            windows.charge(who(&client.to_string()), 10.0, 20.0, start);
            assert!(windows.windows.len() <= WINDOWS_MAX + 1);
        }
        // Those that came last share a bucket.
        assert!(windows.charge(who("new"), 10.0, 1.0, start) > Duration::from_secs(1));
        // When the others owe nothing any more, there is room.
        let later = start + Duration::from_secs(10);
        assert_eq!(
            windows.charge(who("newer"), 10.0, 1.0, later),
            Duration::ZERO
        );
        // It, and what the many owe together.
        assert_eq!(windows.windows.len(), 2);
    }
}
