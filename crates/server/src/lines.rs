//! A bound on the log lines that strangers can cause: a second has so many, and the others are counted
//! and said in one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::warn;

/// How long a count holds.
const WINDOW: Duration = Duration::from_secs(1);
/// Lines of a kind in that time.
pub(crate) const LINES_MAX: u32 = 10;

/// Counts the lines of one kind.
pub(crate) struct Lines {
    /// What is said of those that aren't: "*n* more ...".
    of: &'static str,
    window: Mutex<Option<Window>>,
}

struct Window {
    ends: Instant,
    said: u32,
    withheld: u64,
}

/// What becomes of a line.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Said,
    Counted,
    /// Counted, as the first one: at this time it is to be said how many there were.
    First(Instant),
}

impl Lines {
    pub(crate) fn new(of: &'static str) -> Arc<Self> {
        Arc::new(Self {
            of,
            window: Mutex::new(None),
        })
    }

    /// Says a line, or counts it.
    pub(crate) fn say(self: &Arc<Self>, line: impl FnOnce()) {
        match self.take(Instant::now()) {
            Line::Said => line(),
            Line::Counted => {}
            Line::First(ends) => {
                let lines = Arc::clone(self);
                tokio::spawn(async move {
                    sleep_until(ends).await;
                    let withheld = lines.close();
                    warn!(withheld, "{} more {}", withheld, lines.of);
                });
            }
        }
    }

    fn take(&self, now: Instant) -> Line {
        let mut window = self.window();
        let open = window.take().filter(|window| {
            // One with lines withheld is closed by who says how many.
            now < window.ends || window.withheld > 0
        });
        let window = window.insert(open.unwrap_or(Window {
            ends: now + WINDOW,
            said: 0,
            withheld: 0,
        }));
        if window.said < LINES_MAX {
            window.said += 1;
            return Line::Said;
        }
        window.withheld += 1;
        match window.withheld {
            1 => Line::First(window.ends),
            _ => Line::Counted,
        }
    }

    /// Ends the window; how many lines it withheld.
    fn close(&self) -> u64 {
        self.window().take().map_or(0, |window| window.withheld)
    }

    fn window(&self) -> std::sync::MutexGuard<'_, Option<Window>> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_so_many_lines_and_the_others_are_counted() {
        let lines = Lines::new("of these");
        let begun = Instant::now();
        for _ in 0..LINES_MAX {
            assert_eq!(lines.take(begun), Line::Said);
        }
        assert_eq!(lines.take(begun), Line::First(begun + WINDOW));
        assert_eq!(lines.take(begun + WINDOW / 2), Line::Counted);
        // Whoever is to say it is late.
        assert_eq!(lines.take(begun + 2 * WINDOW), Line::Counted);
        assert_eq!(lines.close(), 3);
        let next = begun + 2 * WINDOW;
        for _ in 0..LINES_MAX {
            assert_eq!(lines.take(next), Line::Said);
        }
        // Nothing was withheld, so nobody closes it.
        assert_eq!(lines.take(next + WINDOW), Line::Said);
        assert_eq!(lines.close(), 0);
    }
}
