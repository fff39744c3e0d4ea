//! Who is let in: so many connections in all, so many from one address, so many in a second.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::config::KafkaConfig;

/// How often a refused connection is worth a line in the log.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Why a connection isn't let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Too many in all.
    #[error("{0} are open (kafka.connections_max)")]
    Total(usize),
    /// Too many from its address.
    #[error("{0} are open from its address (kafka.connections_per_address_max)")]
    Address(usize),
}

/// Counts connections.
#[derive(Debug)]
pub(crate) struct Admission {
    connections_max: usize,
    per_address_max: usize,
    /// The time that one connection takes of the rate.
    interval: Duration,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    total: usize,
    /// By address; an address without connections isn't here.
    by_address: HashMap<IpAddr, usize>,
    /// When a connection is due that comes at exactly the rate. A second behind the clock at most: so
    /// many may come at once.
    due: Instant,
    line: Option<Instant>,
}

/// A connection's place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    admission: Arc<Admission>,
    address: IpAddr,
}

impl Admission {
    pub(crate) fn new(config: &KafkaConfig) -> Arc<Self> {
        let count = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        Arc::new(Self {
            connections_max: count(config.connections_max),
            per_address_max: count(config.connections_per_address_max),
            interval: Duration::from_secs(1)
                / u32::try_from(config.connections_per_second_max.max(1)).unwrap_or(u32::MAX),
            open: Mutex::new(Open {
                total: 0,
                by_address: HashMap::new(),
                due: Instant::now(),
                line: None,
            }),
        })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until one more connection may be accepted, as the rate goes.
    pub(crate) async fn pace(&self) {
        let due = self.open().due;
        sleep_until(due).await;
    }

    /// Lets a connection in, or not. An IPv4 address counts as one however it is written.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Place, Refusal> {
        let address = address.to_canonical();
        let mut open = self.open();
        let earliest = Instant::now()
            .checked_sub(Duration::from_secs(1))
            .unwrap_or(open.due);
        open.due = open.due.max(earliest) + self.interval;
        if open.total >= self.connections_max {
            return Err(Refusal::Total(open.total));
        }
        let from_here = open.by_address.get(&address).copied().unwrap_or(0);
        if from_here >= self.per_address_max {
            return Err(Refusal::Address(from_here));
        }
        open.total += 1;
        open.by_address.insert(address, from_here + 1);
        Ok(Place {
            admission: Arc::clone(self),
            address,
        })
    }

    /// Whether a refusal should be logged; not every one is.
    pub(crate) fn is_worth_a_line(&self) -> bool {
        let mut open = self.open();
        let is_due = open.line.is_none_or(|last| last.elapsed() >= LINE_INTERVAL);
        if is_due {
            open.line = Some(Instant::now());
        }
        is_due
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.admission.open();
        open.total = open.total.saturating_sub(1);
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(max: u64, per_address: u64, per_second: u64) -> Arc<Admission> {
        Admission::new(&KafkaConfig {
            connections_max: max,
            connections_per_address_max: per_address,
            connections_per_second_max: per_second,
            ..KafkaConfig::default()
        })
    }

    #[tokio::test]
    async fn limits_hold_and_places_come_back() {
        let admission = admission(3, 2, 1_000);
        let [a, b, mapped]: [IpAddr; 3] =
            ["10.0.0.1", "10.0.0.2", "::ffff:10.0.0.1"].map(|ip| ip.parse().unwrap());
        let first = admission.admit(a).unwrap();
        let _second = admission.admit(mapped).unwrap();
        assert_eq!(admission.admit(a).unwrap_err(), Refusal::Address(2));
        let _third = admission.admit(b).unwrap();
        assert_eq!(admission.admit(b).unwrap_err(), Refusal::Total(3));
        drop(first);
        let again = admission.admit(b).unwrap();
        assert_eq!(admission.admit(a).unwrap_err(), Refusal::Total(3));
        drop((again, _second, _third));
        assert_eq!(admission.open().total, 0);
        assert!(admission.open().by_address.is_empty());
    }

    #[tokio::test]
    async fn no_more_are_accepted_than_the_rate_allows() {
        let admission = admission(1_000_000, 1_000_000, 1_000);
        let mut open = Vec::new();
        let begun = Instant::now();
        while open.len() < 300 {
            admission.pace().await;
            open.push(admission.admit("10.0.0.1".parse().unwrap()).unwrap());
        }
        // Beyond what may come at once, each has its time.
        let least = Duration::from_millis(299);
        assert!(begun.elapsed() >= least, "{:?}", begun.elapsed());
    }
}
