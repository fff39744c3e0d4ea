//! When something is due: an ordered set of alarms, each of which its owner may put off for free.

use std::collections::BTreeSet;
use std::sync::Arc;

/// Whose alarm it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The session of a member, or the time that a member-to-be has to join with its new id.
    Member { group: Arc<str>, member: Arc<str> },
    /// The time that a member of a consumer group has for its next step: to give partitions up; or, of
    /// the classic protocol, to join again or to ask for its assignment.
    Step { group: Arc<str>, member: Arc<str> },
    /// The time that the members of a group have to join.
    Join { group: Arc<str> },
    /// The time that the members of a generation have to ask for their assignments.
    Sync { group: Arc<str> },
}

/// When an alarm is due. Its owner keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Alarm {
    due_ms: Option<i64>,
    /// Where it is in the queue: never later than it is due, often earlier.
    queued_ms: Option<i64>,
}

impl Alarm {
    /// Whether it will be due.
    pub(crate) fn is_set(&self) -> bool {
        self.due_ms.is_some()
    }
}

/// The queue of all alarms. An alarm is in it once at most.
#[derive(Debug)]
pub(crate) struct Timers<T = Timer> {
    queue: BTreeSet<(i64, T)>,
}

impl<T: Ord + Clone> Default for Timers<T> {
    fn default() -> Self {
        let queue = BTreeSet::new();
        Self { queue }
    }
}

impl<T: Ord + Clone> Timers<T> {
    /// Sets an alarm, for earlier or for later. For later is free: the queue learns of it when the
    /// alarm comes up.
    pub(crate) fn set(&mut self, alarm: &mut Alarm, due_ms: i64, timer: impl FnOnce() -> T) {
        alarm.due_ms = Some(due_ms);
        match alarm.queued_ms {
            Some(queued_ms) if queued_ms <= due_ms => {}
            queued_ms => {
                let timer = timer();
                if let Some(queued_ms) = queued_ms {
                    self.queue.remove(&(queued_ms, timer.clone()));
                }
                self.queue.insert((due_ms, timer));
                alarm.queued_ms = Some(due_ms);
            }
        }
    }

    /// Takes an alarm back.
    pub(crate) fn cancel(&mut self, alarm: &mut Alarm, timer: impl FnOnce() -> T) {
        if let Some(queued_ms) = alarm.queued_ms {
            self.queue.remove(&(queued_ms, timer()));
        }
        *alarm = Alarm::default();
    }

    /// The next alarm that has come up. Its owner must ask [`Timers::is_due`] then.
    pub(crate) fn pop(&mut self, now_ms: i64) -> Option<T> {
        let (due_ms, _) = self.queue.first()?;
        (*due_ms <= now_ms)
            .then(|| self.queue.pop_first())
            .flatten()
            .map(|(_, timer)| timer)
    }

    /// Whether an alarm that has come up is due; it is queued again if it was put off.
    pub(crate) fn is_due(&mut self, alarm: &mut Alarm, now_ms: i64, timer: &T) -> bool {
        alarm.queued_ms = None;
        match alarm.due_ms {
            Some(due_ms) if due_ms > now_ms => {
                self.set(alarm, due_ms, || timer.clone());
                false
            }
            Some(_) => {
                alarm.due_ms = None;
                true
            }
            None => false,
        }
    }

    /// When to look again, at the latest.
    pub(crate) fn next_ms(&self) -> Option<i64> {
        self.queue.first().map(|(due_ms, _)| *due_ms)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.queue.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join() -> Timer {
        Timer::Join { group: "g".into() }
    }

    #[test]
    fn an_alarm_that_is_put_off_comes_up_once_and_later() {
        let (mut timers, mut alarm) = (Timers::<Timer>::default(), Alarm::default());
        timers.set(&mut alarm, 10, join);
        timers.set(&mut alarm, 30, join);
        assert_eq!((timers.len(), timers.next_ms()), (1, Some(10)));
        assert_eq!(timers.pop(9), None);
        let timer = timers.pop(10).unwrap();
        assert!(!timers.is_due(&mut alarm, 10, &timer));
        assert_eq!((timers.len(), timers.next_ms()), (1, Some(30)));
        let timer = timers.pop(31).unwrap();
        assert!(timers.is_due(&mut alarm, 31, &timer));
        assert_eq!((timers.len(), timers.pop(i64::MAX)), (0, None));
    }

    #[test]
    fn an_alarm_for_earlier_takes_the_place_of_the_one_before() {
        let (mut timers, mut alarm) = (Timers::<Timer>::default(), Alarm::default());
        timers.set(&mut alarm, 30, join);
        timers.set(&mut alarm, 10, join);
        assert_eq!((timers.len(), timers.next_ms()), (1, Some(10)));
        timers.cancel(&mut alarm, join);
        assert_eq!((timers.len(), timers.next_ms()), (0, None));
    }
}
