//! The fold against a naive model that keeps everything and looks through all of it.

use std::collections::BTreeMap;

use fletch_wire::records::{BatchBuilder, Compression};
use proptest::prelude::*;
use uuid::Uuid;

use super::{Outcome, Refusal, State, VERSION, decode};
use crate::batch;
use crate::log::entry::{Entry, PartitionKey, ProducedBatch, ProducerLimits};

const TOPICS: u8 = 3;
const PARTITIONS: i32 = 2;

/// Which sequence number a producer sends.
#[derive(Debug, Clone, Copy)]
enum Sequence {
    /// The one that follows.
    Next,
    /// That of the nth batch before.
    Again(usize),
    /// The one that follows and some more.
    Skip(i32),
    Any(i32),
}

#[derive(Debug, Clone)]
enum Step {
    Produce {
        topic: u8,
        partition: i32,
        /// Id, epoch, sequence.
        producer: Option<(i64, i16, Sequence)>,
        records: i32,
    },
    Create(u8, bool),
    Delete(u8),
    Trim {
        topic: u8,
        partition: i32,
        log_start: i64,
    },
    AllocateProducerId,
    Note(u8, u8, Option<u8>),
    Limits(ProducerLimits),
    /// Encode, forget, decode.
    Restart,
}

fn topic() -> impl Strategy<Value = u8> {
    prop_oneof![4 => Just(0), 1 => 0..TOPICS]
}

fn sequence() -> impl Strategy<Value = Sequence> {
    prop_oneof![
        6 => Just(Sequence::Next),
        3 => (0..8usize).prop_map(Sequence::Again),
        1 => (1..3).prop_map(Sequence::Skip),
        1 => prop_oneof![Just(0), Just(i32::MAX), (i32::MAX - 5)..i32::MAX].prop_map(Sequence::Any),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    // Mostly one producer with one epoch, or no window would ever fill.
    let id = prop_oneof![4 => Just(0), 1 => 1..3i64];
    let epoch = prop_oneof![9 => Just(0), 1 => Just(1)];
    let producer = proptest::option::weighted(0.9, (id, epoch, sequence()));
    let partition = prop_oneof![6 => Just(0), 1 => -1..=PARTITIONS];
    let limits = ((1..20i64).prop_map(|tens| tens * 10), 1..5u32).prop_map(
        |(expiration_ms, producers_max)| {
            Step::Limits(ProducerLimits {
                expiration_ms,
                producers_max,
            })
        },
    );
    prop_oneof![
        40 => (topic(), partition, producer, 1..4i32).prop_map(
            |(topic, partition, producer, records)| Step::Produce {
                topic,
                partition,
                producer,
                records,
            }
        ),
        3 => (0..TOPICS, any::<bool>()).prop_map(|(topic, dot)| Step::Create(topic, dot)),
        1 => (0..TOPICS).prop_map(Step::Delete),
        2 => (0..TOPICS, 0..PARTITIONS, 0..40i64).prop_map(|(topic, partition, log_start)| {
            Step::Trim {
                topic,
                partition,
                log_start,
            }
        }),
        1 => Just(Step::AllocateProducerId),
        2 => (0..2u8, 0..3u8, any::<Option<u8>>()).prop_map(|(room, key, v)| Step::Note(room, key, v)),
        1 => limits,
        2 => Just(Step::Restart),
    ]
}

/// A batch that was taken, and when.
#[derive(Debug, Clone, Copy)]
struct Taken {
    key: PartitionKey,
    producer_id: i64,
    epoch: i16,
    base_sequence: i64,
    last_sequence: i64,
    base_offset: i64,
    records: i64,
}

/// Everything that happened.
#[derive(Default)]
struct Model {
    taken: Vec<Taken>,
    /// Who is remembered, longest silent first, with the time of the last batch and the number of
    /// batches that had been taken of anybody when the producer became known.
    known: Vec<(PartitionKey, i64, i64, usize)>,
    trims: BTreeMap<PartitionKey, i64>,
    topics: BTreeMap<u8, (Uuid, String)>,
    created: u32,
    notes: BTreeMap<(u8, u8), u8>,
    producer_ids: i64,
    limits: Option<ProducerLimits>,
    clock_ms: i64,
}

impl Model {
    fn key(&self, topic: u8, partition: i32) -> PartitionKey {
        let topic_id = self.topics.get(&topic).map_or(Uuid::nil(), |(id, _)| *id);
        PartitionKey {
            topic_id,
            partition,
        }
    }

    fn exists(&self, key: PartitionKey) -> bool {
        self.topics.values().any(|(id, _)| *id == key.topic_id)
            && (0..PARTITIONS).contains(&key.partition)
    }

    fn next_offset(&self, key: PartitionKey) -> i64 {
        let here = self.taken.iter().filter(|taken| taken.key == key);
        here.map(|taken| taken.records).sum()
    }

    fn log_start(&self, key: PartitionKey) -> i64 {
        self.trims.get(&key).copied().unwrap_or(0)
    }

    /// Batches of a remembered producer's newest epoch, newest first.
    fn remembered(&self, key: PartitionKey, producer_id: i64) -> Vec<Taken> {
        let known = self
            .known
            .iter()
            .find(|(other, id, ..)| (*other, *id) == (key, producer_id));
        let Some((.., since)) = known else {
            return Vec::new();
        };
        let own: Vec<Taken> = self.taken[*since..]
            .iter()
            .rev()
            .filter(|taken| (taken.key, taken.producer_id) == (key, producer_id))
            .copied()
            .collect();
        let epoch = own[0].epoch;
        own.into_iter()
            .take_while(|taken| taken.epoch == epoch)
            .collect()
    }

    fn forget(&mut self) {
        let Some(limits) = self.limits else {
            return;
        };
        let now = self.clock_ms;
        self.known
            .retain(|(_, _, seen, _)| now - seen < limits.expiration_ms);
        let excess = self
            .known
            .len()
            .saturating_sub(limits.producers_max as usize);
        self.known.drain(..excess);
    }

    fn produce(
        &mut self,
        key: PartitionKey,
        producer: Option<(i64, i16, i32)>,
        records: i32,
    ) -> Result<(bool, i64), &'static str> {
        if !self.exists(key) {
            return Err("partition");
        }
        self.forget();
        let records = i64::from(records);
        let base_offset = self.next_offset(key);
        let (producer_id, epoch, sequence) = producer.unwrap_or((-1, -1, -1));
        let base_sequence = i64::from(sequence);
        let last_sequence = (base_sequence + records - 1) % (1 << 31);
        if producer_id >= 0 {
            let own = self.remembered(key, producer_id);
            if let Some(newest) = own.first() {
                if epoch < newest.epoch {
                    return Err("epoch");
                }
                if epoch == newest.epoch {
                    let same = own.iter().take(5).find(|taken| {
                        (taken.base_sequence, taken.last_sequence) == (base_sequence, last_sequence)
                    });
                    if let Some(same) = same {
                        return Ok((true, same.base_offset));
                    }
                }
                let expected = match epoch == newest.epoch {
                    true => (newest.last_sequence + 1) % (1 << 31),
                    false => 0,
                };
                if base_sequence != expected {
                    return Err("sequence");
                }
            }
            let is_same = |(other, id, ..): &&(PartitionKey, i64, i64, usize)| {
                (*other, *id) == (key, producer_id)
            };
            let since = self.known.iter().find(is_same).map(|known| known.3);
            self.known.retain(|known| !is_same(&known));
            let since = since.unwrap_or(self.taken.len());
            self.known.push((key, producer_id, self.clock_ms, since));
        }
        self.taken.push(Taken {
            key,
            producer_id,
            epoch,
            base_sequence,
            last_sequence,
            base_offset,
            records,
        });
        if producer_id >= 0 {
            self.forget();
        }
        Ok((false, base_offset))
    }
}

fn produced(key: PartitionKey, producer: Option<(i64, i16, i32)>, records: i32) -> Entry {
    let mut builder = BatchBuilder::new(Compression::None);
    if let Some((id, epoch, sequence)) = producer {
        builder = builder.producer(id, epoch, sequence);
    }
    for _ in 0..records {
        builder.append(0, None, None, &[]).unwrap();
    }
    let bytes = builder.finish().unwrap().into_bytes();
    let header = batch::check(&bytes).unwrap();
    Entry::Produced(ProducedBatch { key, header, bytes })
}

fn concrete(model: &Model, key: PartitionKey, id: i64, epoch: i16, sequence: Sequence) -> i32 {
    let own = model.remembered(key, id);
    let newest = own.first().filter(|newest| newest.epoch == epoch);
    let next = newest.map_or(0, |newest| newest.last_sequence + 1);
    let wanted = match sequence {
        Sequence::Next => next,
        Sequence::Again(back) => own.get(back).map_or(0, |taken| taken.base_sequence),
        Sequence::Skip(more) => next + i64::from(more),
        Sequence::Any(any) => any.into(),
    };
    (wanted % (1 << 31)) as i32
}

fn run(steps: Vec<(Step, i64)>) -> Result<(), TestCaseError> {
    let mut state = State::default();
    let mut model = Model::default();
    for (step, milliseconds) in steps {
        let time_ms = model.clock_ms + milliseconds;
        // A clock that goes back does not take the log's time back; a restart is no entry.
        if !matches!(step, Step::Restart) {
            model.clock_ms = model.clock_ms.max(time_ms);
        }
        match step {
            Step::Produce {
                topic,
                partition,
                producer,
                records,
            } => {
                let key = model.key(topic, partition);
                let producer = producer.map(|(id, epoch, sequence)| {
                    (id, epoch, concrete(&model, key, id, epoch, sequence))
                });
                let got = state.apply(&produced(key, producer, records), time_ms);
                let got = match got {
                    Ok(Outcome::Appended(appended)) => Ok((false, appended.base_offset)),
                    Ok(Outcome::Duplicate(appended)) => Ok((true, appended.base_offset)),
                    Err(Refusal::UnknownPartition(_)) => Err("partition"),
                    Err(Refusal::InvalidProducerEpoch { .. }) => Err("epoch"),
                    Err(Refusal::OutOfOrderSequence { .. }) => Err("sequence"),
                    other => panic!("{other:?}"),
                };
                prop_assert_eq!(got, model.produce(key, producer, records));
            }
            Step::Create(topic, dot) => {
                let name = if dot { "a.b" } else { "a_b" }.repeat(1 + topic as usize);
                model.created += 1;
                let id = Uuid::from_u128(model.created.into());
                let entry = Entry::TopicCreated {
                    id,
                    name: name.clone(),
                    partitions: PARTITIONS,
                    configs: BTreeMap::new(),
                };
                let got = state.apply(&entry, time_ms);
                match model.topics.get(&topic) {
                    None => {
                        prop_assert!(matches!(got, Ok(Outcome::TopicCreated(_))));
                        model.topics.insert(topic, (id, name));
                    }
                    Some((_, existing)) if *existing == name => {
                        prop_assert_eq!(got, Err(Refusal::TopicExists(name)));
                    }
                    Some((_, existing)) => {
                        let existing = existing.clone();
                        let refusal = Refusal::TopicNameCollides { name, existing };
                        prop_assert_eq!(got, Err(refusal));
                    }
                }
            }
            Step::Delete(topic) => {
                let id = model.key(topic, 0).topic_id;
                let got = state.apply(&Entry::TopicDeleted { id }, time_ms);
                prop_assert_eq!(got.is_ok(), model.topics.remove(&topic).is_some());
                model.known.retain(|(key, ..)| key.topic_id != id);
            }
            Step::Trim {
                topic,
                partition,
                log_start,
            } => {
                let key = model.key(topic, partition);
                let got = state.apply(&Entry::PartitionTrimmed { key, log_start }, time_ms);
                prop_assert_eq!(got.is_ok(), model.exists(key));
                let log_start = log_start
                    .min(model.next_offset(key))
                    .max(model.log_start(key));
                model.trims.insert(key, log_start);
            }
            Step::AllocateProducerId => {
                let got = state.apply(&Entry::ProducerIdAllocated, time_ms);
                prop_assert_eq!(got, Ok(Outcome::ProducerId(model.producer_ids)));
                model.producer_ids += 1;
            }
            Step::Note(room, key, value) => {
                let entry = Entry::NotePut {
                    room: room.to_string(),
                    key: key.to_string(),
                    value: value.map(|value| vec![value].into()),
                };
                prop_assert_eq!(state.apply(&entry, time_ms), Ok(Outcome::Done));
                match value {
                    Some(value) => model.notes.insert((room, key), value),
                    None => model.notes.remove(&(room, key)),
                };
            }
            Step::Limits(limits) => {
                state
                    .apply(&Entry::ProducerLimitsSet(limits), time_ms)
                    .unwrap();
                model.limits = Some(limits);
                model.forget();
            }
            Step::Restart => {
                let bytes = state.encode();
                state = decode(VERSION, &bytes).unwrap();
                prop_assert_eq!(&state.encode(), &bytes);
            }
        }
        compare(&state, &model)?;
    }
    Ok(())
}

fn compare(state: &State, model: &Model) -> Result<(), TestCaseError> {
    let names: Vec<String> = state.topics().iter().map(|t| t.name.clone()).collect();
    let mut expected: Vec<String> = model.topics.values().map(|t| t.1.clone()).collect();
    expected.sort();
    prop_assert_eq!(names, expected);
    for topic in 0..TOPICS {
        for partition in -1..=PARTITIONS {
            let key = model.key(topic, partition);
            let bounds = (model.log_start(key), model.next_offset(key));
            let got = state
                .bounds(key)
                .map(|bounds| (bounds.log_start, bounds.next_offset));
            prop_assert_eq!(got, model.exists(key).then_some(bounds));
        }
    }
    for room in 0..2u8 {
        let notes = model.notes.range((room, 0)..(room + 1, 0));
        let expected: Vec<(String, Vec<u8>)> = notes
            .map(|((_, key), value)| (key.to_string(), vec![*value]))
            .collect();
        let notes = state.notes(&room.to_string());
        let got: Vec<_> = notes.into_iter().map(|(k, v)| (k, v.to_vec())).collect();
        prop_assert_eq!(got, expected);
    }
    Ok(())
}

#[test]
fn a_cluster_is_formed_once() {
    let mut state = State::default();
    for id in [7, 8] {
        let cluster_id = Uuid::from_u128(id);
        state
            .apply(&Entry::ClusterFormed { cluster_id }, 0)
            .unwrap();
        assert_eq!(state.cluster_id(), Uuid::from_u128(7));
    }
}

#[test]
fn a_topic_has_no_more_partitions_than_there_may_be() {
    for partitions in [i32::MIN, -1, 0, i32::MAX] {
        let entry = Entry::TopicCreated {
            id: Uuid::from_u128(1),
            name: "t".to_owned(),
            partitions,
            configs: BTreeMap::new(),
        };
        let refused = State::default().apply(&entry, 0);
        assert_eq!(refused, Err(Refusal::InvalidPartitions(partitions)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_fold_does_what_the_model_does(
        steps in proptest::collection::vec((step(), (-1..3i64).prop_map(|tens| tens * 10)), 1..150)
    ) {
        let mut all = vec![(Step::Create(0, true), 0)];
        all.extend(steps);
        run(all)?;
    }

    #[test]
    fn no_bytes_make_the_snapshot_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(VERSION, &bytes);
    }

    #[test]
    fn no_change_to_a_snapshot_makes_it_panic(
        steps in proptest::collection::vec((step(), 0..200i64), 1..40),
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
    ) {
        let mut state = State::default();
        for (step, time_ms) in steps {
            if let Step::Note(room, key, value) = step {
                let value = value.map(|value| vec![value].into());
                let (room, key) = (room.to_string(), key.to_string());
                state.apply(&Entry::NotePut { room, key, value }, time_ms).unwrap();
            }
        }
        let mut bytes = state.encode();
        let at = at.index(bytes.len());
        bytes[at] = to;
        let _ = decode(VERSION, &bytes);
    }
}
