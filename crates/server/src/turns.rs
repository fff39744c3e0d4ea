//! Fair turns at what there isn't enough of: cores to hash passwords with, memory for requests that arrive.
//!
//! Whoever waits stands in the line of its user, in the queue of its address. Addresses are served in
//! rotation, and within each its users are. So whoever guesses a thousand passwords of one user waits for
//! itself, and a login from elsewhere, or of another user, waits for one of the guesses and not for all.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// What hands out turns.
pub(crate) struct Turns {
    waiting: Mutex<Waiting>,
    at_once: usize,
    /// Names are told apart by it, and not kept.
    names: RandomState,
}

struct Waiting {
    free: usize,
    /// Whose turn it is, and for whom there isn't enough yet.
    first: Option<Waiter>,
    addresses: Rotation<IpAddr, Rotation<u64, VecDeque<Waiter>>>,
}

struct Waiter {
    cost: usize,
    sender: oneshot::Sender<Turn>,
}

/// A turn; the next begins when it is dropped.
#[derive(Default)]
pub(crate) struct Turn(Option<(Arc<Turns>, usize)>);

impl Turns {
    /// So much at once.
    pub(crate) fn new(at_once: usize) -> Arc<Self> {
        Arc::new(Self {
            waiting: Mutex::new(Waiting {
                free: at_once.max(1),
                first: None,
                addresses: Rotation::default(),
            }),
            at_once: at_once.max(1),
            names: RandomState::new(),
        })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn that takes so much of what there is; more than all of it is all of it. Whoever stops
    /// waiting has no turn and keeps nobody from theirs.
    pub(crate) async fn take(self: &Arc<Self>, from: IpAddr, user: &str, cost: usize) -> Turn {
        let cost = cost.min(self.at_once);
        let turn = {
            let mut waiting = self.waiting();
            if waiting.free >= cost && waiting.first.is_none() && waiting.addresses.is_empty() {
                waiting.free -= cost;
                return Turn(Some((Arc::clone(self), cost)));
            }
            let (sender, turn) = oneshot::channel();
            let users = waiting.addresses.line(neighbourhood(from));
            let line = users.line(self.names.hash_one(user));
            line.push_back(Waiter { cost, sender });
            turn
        };
        // Whoever was first may have stopped waiting.
        self.advance(0);
        // A sender isn't dropped before it has sent, since we hold what owns it.
        turn.await.unwrap_or_default()
    }

    /// Gives something back, and turns to whom there is enough for.
    fn advance(self: &Arc<Self>, mut given_back: usize) {
        loop {
            let next = {
                let mut waiting = self.waiting();
                waiting.free += std::mem::take(&mut given_back);
                let Some(next) = waiting.first.take().or_else(|| waiting.addresses.pop()) else {
                    return;
                };
                if next.cost > waiting.free && !next.sender.is_closed() {
                    waiting.first = Some(next);
                    return;
                }
                if next.sender.is_closed() {
                    continue;
                }
                waiting.free -= next.cost;
                next
            };
            if let Err(mut unwanted) = next.sender.send(Turn(Some((Arc::clone(self), next.cost)))) {
                // It has just stopped waiting. Its turn isn't dropped here, but given to who is next.
                unwanted.0 = None;
                given_back = next.cost;
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some((turns, cost)) = self.0.take() {
            turns.advance(cost);
        }
    }
}

/// Whose addresses are taken for one: an IPv4 address however it is written, and the network of an IPv6
/// address, since whoever has one has all of it.
pub(crate) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

/// Something that hands out what is next.
trait Line {
    type Item;
    fn pop(&mut self) -> Option<Self::Item>;
    fn is_empty(&self) -> bool;
}

impl<T> Line for VecDeque<T> {
    type Item = T;

    fn pop(&mut self) -> Option<T> {
        self.pop_front()
    }

    fn is_empty(&self) -> bool {
        VecDeque::is_empty(self)
    }
}

/// Lines that each have their turn. None of them is empty, but while it is joined.
struct Rotation<K, L> {
    lines: HashMap<K, L>,
    order: VecDeque<K>,
}

impl<K, L> Default for Rotation<K, L> {
    fn default() -> Self {
        Self {
            lines: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<K: Copy + Eq + Hash, L: Line + Default> Rotation<K, L> {
    /// A line, for somebody to join it.
    fn line(&mut self, key: K) -> &mut L {
        let order = &mut self.order;
        self.lines.entry(key).or_insert_with(|| {
            order.push_back(key);
            L::default()
        })
    }
}

impl<K: Copy + Eq + Hash, L: Line> Line for Rotation<K, L> {
    type Item = L::Item;

    fn pop(&mut self) -> Option<L::Item> {
        let key = self.order.pop_front()?;
        let line = self.lines.get_mut(&key)?;
        let next = line.pop();
        if line.is_empty() {
            self.lines.remove(&key);
        } else {
            self.order.push_back(key);
        }
        next
    }

    fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Has everybody wait, in this order, behind one who has the turn; in which order they have it.
    async fn served(waiting: &[(&str, &str)]) -> Vec<usize> {
        let turns = Turns::new(1);
        let first = turns.take(address("10.0.0.1"), "first", 1).await;
        let (sender, mut served) = mpsc::unbounded_channel();
        for (index, (from, user)) in waiting.iter().enumerate() {
            let (turns, sender) = (Arc::clone(&turns), sender.clone());
            let (from, user) = (address(from), (*user).to_owned());
            tokio::spawn(async move {
                let _turn = turns.take(from, &user, 1).await;
                sender.send(index).unwrap();
            });
            tokio::task::yield_now().await;
        }
        drop((first, sender));
        let mut order = Vec::new();
        while let Some(index) = served.recv().await {
            order.push(index);
        }
        assert_eq!(turns.waiting().free, 1);
        assert!(turns.waiting().addresses.lines.is_empty());
        order
    }

    #[tokio::test]
    async fn who_guesses_waits_for_itself() {
        // Four guesses from one place, and one login each: from there, of another user; and from elsewhere.
        let guess = ("10.0.0.1", "root");
        let order = served(&[
            guess,
            guess,
            guess,
            guess,
            ("10.0.0.1", "anna"),
            ("10.0.0.2", "root"),
        ])
        .await;
        // (Who came first when nobody else waited is next.)
        assert_eq!(order, [0, 1, 5, 4, 2, 3]);
        // However many addresses a network has.
        let order = served(&[
            ("2001:db8::1", "a"),
            ("2001:db8::2", "b"),
            ("2001:db8::3", "c"),
            ("2001:db8:0:1::1", "d"),
            ("::ffff:10.0.0.1", "e"),
            ("10.0.0.1", "e"),
        ])
        .await;
        assert_eq!(order, [0, 1, 3, 4, 2, 5]);
    }

    #[tokio::test]
    async fn who_takes_much_waits_for_much_and_isnt_overtaken() {
        let turns = Turns::new(10);
        let [here, there] = [address("10.0.0.1"), address("10.0.0.2")];
        let held = turns.take(here, "a", 6).await;
        let (sender, mut served) = mpsc::unbounded_channel();
        for (from, cost) in [(here, 20), (here, 3), (there, 3), (there, 3)] {
            let (turns, sender) = (Arc::clone(&turns), sender.clone());
            tokio::spawn(async move {
                let _turn = turns.take(from, "a", cost).await;
                sender.send(cost).unwrap();
            });
            tokio::task::yield_now().await;
        }
        drop(sender);
        assert!(served.try_recv().is_err(), "all of it is waited for");
        drop(held);
        let mut order = Vec::new();
        while let Some(cost) = served.recv().await {
            order.push(cost);
        }
        assert_eq!(order, [20, 3, 3, 3]);
        assert_eq!(turns.waiting().free, 10);
        // Who was first and has stopped waiting isn't waited for.
        let held = turns.take(here, "a", 6).await;
        let mut late = Box::pin(turns.take(here, "a", 10));
        let waits = tokio::time::timeout(std::time::Duration::ZERO, &mut late).await;
        assert!(waits.is_err());
        drop(late);
        turns.take(there, "b", 4).await;
        drop(held);
        assert_eq!(turns.waiting().free, 10);
    }

    #[tokio::test]
    async fn who_stops_waiting_keeps_nobody_waiting() {
        let turns = Turns::new(2);
        let from = address("10.0.0.1");
        let held = (
            turns.take(from, "a", 1).await,
            turns.take(from, "b", 1).await,
        );
        let waits = |user: &'static str| {
            let turns = Arc::clone(&turns);
            tokio::spawn(async move { drop(turns.take(from, user, 1).await) })
        };
        let (gone, stays) = (waits("a"), waits("a"));
        tokio::task::yield_now().await;
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        drop(held);
        stays.await.unwrap();
        assert_eq!(turns.waiting().free, 2);
        // One that was given and never looked at comes back, too.
        let held = (
            turns.take(from, "a", 1).await,
            turns.take(from, "b", 1).await,
        );
        let mut late = Box::pin(turns.take(from, "c", 1));
        let waits = tokio::time::timeout(std::time::Duration::ZERO, &mut late).await;
        assert!(waits.is_err());
        drop(held);
        drop(late);
        assert_eq!(turns.waiting().free, 2);
    }
}
