//! The offsets of a group: those it has committed, and those that wait for a transaction's end.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::fact::{Fact, Key, Offset, Place, Value};

/// What an offset takes besides its texts, about: in the maps, and as a fact.
const FIXED_BYTES: usize = 256;

type ByTopic<T> = BTreeMap<Arc<str>, BTreeMap<i32, T>>;

/// The offsets of a group.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Offsets {
    committed: ByTopic<Offset>,
    /// Those of open transactions, by producer.
    pending: BTreeMap<i64, ByTopic<Offset>>,
    /// How many there are.
    count: usize,
    /// What they take, about.
    bytes: usize,
    /// The turn of the last commit.
    turn: u64,
}

impl Offsets {
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many there are, those of open transactions included.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The bytes that are kept for them, about.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn next_turn(&mut self) -> u64 {
        self.turn = self.turn.saturating_add(1);
        self.turn
    }

    pub(crate) fn get(&self, topic: &str, partition: i32) -> Option<&Offset> {
        self.committed.get(topic)?.get(&partition)
    }

    /// An offset that is committed, or is in a producer's transaction.
    pub(crate) fn of(&self, producer: Option<i64>, topic: &str, partition: i32) -> Option<&Offset> {
        match producer {
            None => self.get(topic, partition),
            Some(producer_id) => {
                let topics = self.pending.get(&producer_id)?;
                topics.get(topic)?.get(&partition)
            }
        }
    }

    /// Whether an open transaction may change it.
    pub(crate) fn is_pending(&self, topic: &str, partition: i32) -> bool {
        let of = |topics: &ByTopic<Offset>| {
            let partitions = topics.get(topic);
            partitions.is_some_and(|partitions| partitions.contains_key(&partition))
        };
        self.pending.values().any(of)
    }

    /// Every offset that is committed, by topic.
    pub(crate) fn committed(&self) -> impl Iterator<Item = (&Arc<str>, &BTreeMap<i32, Offset>)> {
        self.committed.iter()
    }

    /// Puts an offset among those committed, or among those of a producer's transaction.
    pub(crate) fn put(&mut self, producer: Option<i64>, place: &Place, offset: Offset) {
        self.turn = self.turn.max(offset.turn);
        let topics = match producer {
            None => &mut self.committed,
            Some(producer_id) => self.pending.entry(producer_id).or_default(),
        };
        let partitions = topics.entry(place.topic.clone()).or_default();
        self.bytes += bytes_of(&place.topic, &offset);
        match partitions.insert(place.partition, offset) {
            Some(before) => self.bytes -= bytes_of(&place.topic, &before),
            None => self.count += 1,
        }
    }

    /// Takes an offset out; whether there was one.
    pub(crate) fn remove(&mut self, producer: Option<i64>, topic: &str, partition: i32) -> bool {
        let removed = match producer {
            None => remove(&mut self.committed, topic, partition),
            Some(producer_id) => {
                let Some(topics) = self.pending.get_mut(&producer_id) else {
                    return false;
                };
                let removed = remove(topics, topic, partition);
                if topics.is_empty() {
                    self.pending.remove(&producer_id);
                }
                removed
            }
        };
        let Some(removed) = removed else { return false };
        self.count -= 1;
        self.bytes -= bytes_of(topic, &removed);
        true
    }

    /// Everything, as facts.
    pub(crate) fn facts(&self, group: &Arc<str>, facts: &mut Vec<Fact>) {
        let committed = [(None, &self.committed)];
        let pending = self.pending.iter().map(|(id, topics)| (Some(*id), topics));
        for (producer, topics) in committed.into_iter().chain(pending) {
            for (topic, partitions) in topics {
                for (partition, offset) in partitions {
                    let place = Place {
                        group: group.clone(),
                        topic: topic.clone(),
                        partition: *partition,
                    };
                    let key = match producer {
                        None => Key::Offset(place),
                        Some(producer_id) => Key::Pending { producer_id, place },
                    };
                    let (key, value) = (key.text(), Some(offset.encode()));
                    facts.push(Fact { key, value });
                }
            }
        }
    }

    /// Ends a producer's transaction: its offsets are committed, or forgotten. An offset that was
    /// committed after it was put into the transaction stays.
    pub(crate) fn end(
        &mut self,
        group: &Arc<str>,
        producer_id: i64,
        committed: bool,
        facts: &mut Vec<Fact>,
    ) {
        let topics = self.pending.remove(&producer_id).unwrap_or_default();
        for (topic, partitions) in topics {
            for (partition, offset) in partitions {
                self.count -= 1;
                self.bytes -= bytes_of(&topic, &offset);
                let place = Place {
                    group: group.clone(),
                    topic: topic.clone(),
                    partition,
                };
                let is_newer = |before: &Offset| before.turn < offset.turn;
                if committed && self.get(&topic, partition).is_none_or(is_newer) {
                    facts.push(Fact {
                        key: Key::Offset(place.clone()).text(),
                        value: Some(offset.encode()),
                    });
                    self.put(None, &place, offset);
                }
                // After the offset: should only the first be kept, the end comes again.
                facts.push(Fact {
                    key: Key::Pending { producer_id, place }.text(),
                    value: None,
                });
            }
        }
    }

    /// Forgets the committed offsets that are `old` and that no transaction is about to change.
    pub(crate) fn expire(
        &mut self,
        group: &Arc<str>,
        old: impl Fn(&str, &Offset) -> bool,
        facts: &mut Vec<Fact>,
    ) {
        let mut gone: Vec<Place> = Vec::new();
        for (topic, partitions) in &self.committed {
            for (partition, offset) in partitions {
                if old(topic, offset) && !self.is_pending(topic, *partition) {
                    gone.push(Place {
                        group: group.clone(),
                        topic: topic.clone(),
                        partition: *partition,
                    });
                }
            }
        }
        self.forget(gone, facts);
    }

    /// Forgets all offsets in a topic, those of open transactions too.
    pub(crate) fn forget_topic(&mut self, group: &Arc<str>, topic: &str, facts: &mut Vec<Fact>) {
        let place = |partition: &i32| Place {
            group: group.clone(),
            topic: topic.into(),
            partition: *partition,
        };
        let committed = self
            .committed
            .get(topic)
            .into_iter()
            .flat_map(BTreeMap::keys);
        let committed: Vec<Place> = committed.map(place).collect();
        let pending = self
            .pending
            .iter()
            .filter_map(|(id, topics)| Some((*id, topics.get(topic)?)));
        let pending: Vec<(i64, Place)> = pending
            .flat_map(|(id, partitions)| partitions.keys().map(move |partition| (id, partition)))
            .map(|(id, partition)| (id, place(partition)))
            .collect();
        self.forget(committed, facts);
        self.forget_pending(pending, facts);
    }

    /// The topics it has offsets in; some of them more than once.
    pub(crate) fn topics(&self) -> impl Iterator<Item = Arc<str>> {
        let pending = self.pending.values().flat_map(BTreeMap::keys);
        self.committed.keys().chain(pending).cloned()
    }

    /// Forgets everything.
    pub(crate) fn forget_all(&mut self, group: &Arc<str>, facts: &mut Vec<Fact>) {
        let topics: Vec<Arc<str>> = self.topics().collect();
        topics
            .iter()
            .for_each(|topic| self.forget_topic(group, topic, facts));
    }

    pub(crate) fn forget(&mut self, places: Vec<Place>, facts: &mut Vec<Fact>) {
        for place in places {
            if self.remove(None, &place.topic, place.partition) {
                let key = Key::Offset(place).text();
                facts.push(Fact { key, value: None });
            }
        }
    }

    fn forget_pending(&mut self, places: Vec<(i64, Place)>, facts: &mut Vec<Fact>) {
        for (producer_id, place) in places {
            if self.remove(Some(producer_id), &place.topic, place.partition) {
                let key = Key::Pending { producer_id, place }.text();
                facts.push(Fact { key, value: None });
            }
        }
    }
}

/// The bytes that an offset in a topic takes, about.
pub(crate) fn bytes_of(topic: &str, offset: &Offset) -> usize {
    FIXED_BYTES + topic.len() + offset.metadata.len()
}

fn remove(topics: &mut ByTopic<Offset>, topic: &str, partition: i32) -> Option<Offset> {
    let partitions = topics.get_mut(topic)?;
    let removed = partitions.remove(&partition);
    if partitions.is_empty() {
        topics.remove(topic);
    }
    removed
}
