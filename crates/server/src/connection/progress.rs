//! What a connection's two halves tell each other besides the requests themselves.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Requests between being read and being answered.
#[derive(Debug, Default)]
pub(super) struct Progress {
    requests: AtomicUsize,
    /// Those among them that aren't Produce.
    calls: AtomicUsize,
    calls_done: Notify,
    /// Until when the client isn't listened to, because it has used more than its quota.
    muted_until: Mutex<Option<Instant>>,
}

// Both halves are one task, so there is nothing to order against: relaxed is enough.
impl Progress {
    /// A request is handed to the writing half.
    pub(super) fn request_begins(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// And it is none of Produce.
    pub(super) fn call_begins(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// A request is answered.
    pub(super) fn request_ends(&self, is_call: bool) {
        self.requests.fetch_sub(1, Ordering::Relaxed);
        if is_call && self.calls.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.calls_done.notify_one();
        }
    }

    /// Whether the client waits for an answer.
    pub(super) fn is_busy(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0
    }

    /// Doesn't listen to the client for so long.
    pub(super) fn mute(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut muted = self
            .muted_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *muted = Some(muted.map_or(until, |before| before.max(until)));
    }

    /// Waits until the client is listened to.
    pub(super) async fn unmuted(&self) {
        loop {
            let until = *self
                .muted_until
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            match until.filter(|until| *until > Instant::now()) {
                Some(until) => sleep_until(until).await,
                None => return,
            }
        }
    }

    /// Waits until every request that isn't Produce is answered.
    pub(super) async fn calls_done(&self) {
        while self.calls.load(Ordering::Relaxed) > 0 {
            self.calls_done.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn produce_waits_for_calls_and_for_nothing_else() {
        let progress = Progress::default();
        progress.calls_done().await;
        progress.request_begins();
        progress.calls_done().await;
        progress.call_begins();
        progress.request_begins();
        assert!(
            timeout(Duration::from_millis(10), progress.calls_done())
                .await
                .is_err()
        );
        progress.request_ends(false);
        assert!(
            timeout(Duration::from_millis(10), progress.calls_done())
                .await
                .is_err()
        );
        progress.request_ends(true);
        progress.calls_done().await;
        assert!(!progress.is_busy());
    }

    #[tokio::test]
    async fn who_is_muted_waits() {
        let progress = Progress::default();
        let started = Instant::now();
        progress.unmuted().await;
        progress.mute(Duration::from_millis(40));
        progress.mute(Duration::from_millis(10));
        progress.unmuted().await;
        assert!(started.elapsed() >= Duration::from_millis(40));
        progress.unmuted().await;
    }
}
