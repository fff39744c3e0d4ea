//! The transactions of a partition against a naive model that keeps every batch.

use std::collections::BTreeMap;

use fletch_wire::records::{BatchBuilder, Compression};
use proptest::prelude::*;
use uuid::Uuid;

use super::{Outcome, Refusal, State, VERSION, decode};
use crate::batch;
use crate::log::entry::{Entry, PartitionKey, ProducedBatch};

const PRODUCERS: i64 = 3;
const KEY: PartitionKey = PartitionKey {
    topic_id: Uuid::from_u128(1),
    partition: 0,
};

#[derive(Debug, Clone)]
enum Step {
    Produce {
        producer: Option<i64>,
        transactional: bool,
        records: i32,
    },
    End {
        producer_id: i64,
        epoch: i16,
        committed: bool,
    },
    Trim(i64),
    /// Encode, forget, decode.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (proptest::option::weighted(0.9, 0..PRODUCERS), any::<bool>(), 1..4i32).prop_map(
            |(producer, transactional, records)| Step::Produce {
                producer,
                transactional: transactional && producer.is_some(),
                records,
            }
        ),
        4 => (0..PRODUCERS, 0..2i16, any::<bool>()).prop_map(|(producer_id, epoch, committed)| {
            Step::End {
                producer_id,
                epoch,
                committed,
            }
        }),
        1 => (0..60i64).prop_map(Step::Trim),
        1 => Just(Step::Restart),
    ]
}

/// A batch of a transaction, and how that ended: the offset of the marker, and what it says.
#[derive(Debug, Clone, Copy)]
struct Written {
    producer_id: i64,
    base_offset: i64,
    ended: Option<(i64, bool)>,
}

#[derive(Debug, Default)]
struct Model {
    written: Vec<Written>,
    sequences: BTreeMap<i64, i32>,
    next_offset: i64,
    log_start: i64,
}

impl Model {
    fn is_open(&self, producer_id: i64) -> bool {
        let mut written = self.written.iter();
        written.any(|one| one.producer_id == producer_id && one.ended.is_none())
    }

    fn stable(&self) -> i64 {
        let open = self.written.iter().filter(|one| one.ended.is_none());
        let first = open.map(|one| one.base_offset).min();
        first.map_or(self.next_offset, |first| first.max(self.log_start))
    }

    /// Producer, first offset and marker of each aborted transaction, by the marker.
    fn aborted(&self, from: i64, until: i64) -> Vec<(i64, i64, i64)> {
        let mut transactions: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
        for one in &self.written {
            if let Some((marker, false)) = one.ended {
                let found = transactions.entry(marker);
                found.or_insert((one.producer_id, one.base_offset));
            }
        }
        let all = transactions.into_iter();
        all.filter(|(marker, (_, first))| {
            *marker >= from && *marker >= self.log_start && *first < until
        })
        .map(|(marker, (producer_id, first))| (producer_id, first, marker))
        .collect()
    }
}

fn produced(producer: Option<(i64, i32)>, transactional: bool, records: i32) -> Entry {
    let mut builder = BatchBuilder::new(Compression::None);
    if let Some((id, sequence)) = producer {
        builder = builder.producer(id, 1, sequence);
    }
    if transactional {
        builder = builder.transactional();
    }
    for _ in 0..records {
        builder.append(0, None, None, &[]).unwrap();
    }
    let bytes = builder.finish().unwrap().into_bytes();
    let header = batch::check(&bytes).unwrap();
    Entry::Produced(ProducedBatch {
        key: KEY,
        header,
        bytes,
    })
}

fn marker(producer_id: i64, epoch: i16, committed: bool) -> Entry {
    let marker = batch::new_marker((producer_id, epoch), committed, 0).unwrap();
    Entry::Produced(ProducedBatch {
        key: KEY,
        header: *marker,
        bytes: marker.into_bytes(),
    })
}

fn new_state() -> State {
    let mut state = State::default();
    let entry = Entry::TopicCreated {
        id: KEY.topic_id,
        name: "t".to_owned(),
        partitions: 1,
        configs: BTreeMap::new(),
    };
    state.apply(&entry, 0).unwrap();
    state
}

fn apply(state: &mut State, model: &mut Model, step: Step) -> Result<(), TestCaseError> {
    match step {
        Step::Produce {
            producer,
            transactional,
            records,
        } => {
            let next = |id| model.sequences.get(&id).copied().unwrap_or(0);
            let entry = produced(producer.map(|id| (id, next(id))), transactional, records);
            let got = state.apply(&entry, 0);
            if let Some(producer_id) = producer
                && !transactional
                && model.is_open(producer_id)
            {
                let key = KEY;
                prop_assert_eq!(got, Err(Refusal::OutsideTransaction { key, producer_id }));
                return Ok(());
            }
            prop_assert!(matches!(got, Ok(Outcome::Appended(_))));
            if let Some(producer_id) = producer {
                *model.sequences.entry(producer_id).or_default() += records;
                if transactional {
                    model.written.push(Written {
                        producer_id,
                        base_offset: model.next_offset,
                        ended: None,
                    });
                }
            }
            model.next_offset += i64::from(records);
        }
        Step::End {
            producer_id,
            epoch,
            committed,
        } => {
            let got = state.apply(&marker(producer_id, epoch, committed), 0);
            if !model.is_open(producer_id) {
                prop_assert_eq!(got, Ok(Outcome::Done));
            } else if epoch < 1 {
                let is_fenced = matches!(got, Err(Refusal::InvalidProducerEpoch { .. }));
                prop_assert!(is_fenced, "{:?}", got);
            } else {
                prop_assert!(matches!(got, Ok(Outcome::Appended(_))));
                let written = model.written.iter_mut();
                written
                    .filter(|one| one.producer_id == producer_id && one.ended.is_none())
                    .for_each(|one| one.ended = Some((model.next_offset, committed)));
                model.next_offset += 1;
            }
        }
        Step::Trim(log_start) => {
            let key = KEY;
            let entry = Entry::PartitionTrimmed { key, log_start };
            state.apply(&entry, 0).unwrap();
            model.log_start = model.log_start.max(log_start.min(model.next_offset));
        }
        Step::Restart => {
            let bytes = state.encode();
            *state = decode(VERSION, &bytes).unwrap();
            prop_assert_eq!(&state.encode(), &bytes);
        }
    }
    Ok(())
}

fn compare(state: &State, model: &Model) -> Result<(), TestCaseError> {
    let bounds = state.bounds(KEY).unwrap();
    let got = (bounds.log_start, bounds.next_offset, bounds.stable);
    prop_assert_eq!(got, (model.log_start, model.next_offset, model.stable()));
    let open = state.open_transactions();
    for producer_id in 0..PRODUCERS {
        let is_open = open.iter().any(|one| one.producer_id == producer_id);
        prop_assert_eq!(is_open, model.is_open(producer_id));
    }
    for from in (model.log_start..=model.next_offset).step_by(3) {
        for until in (from..=model.next_offset + 1).step_by(2) {
            let got = state.aborted(KEY, from, until).into_iter();
            let got: Vec<_> = got
                .map(|one| (one.producer_id, one.first_offset, one.last_offset))
                .collect();
            prop_assert_eq!(got, model.aborted(from, until), "{} to {}", from, until);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn transactions_are_what_the_model_says(steps in proptest::collection::vec(step(), 1..60)) {
        let (mut state, mut model) = (new_state(), Model::default());
        for step in steps {
            apply(&mut state, &mut model, step)?;
            compare(&state, &model)?;
        }
    }

    #[test]
    fn no_change_to_a_snapshot_with_transactions_makes_it_panic(
        steps in proptest::collection::vec(step(), 1..40),
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
    ) {
        let (mut state, mut model) = (new_state(), Model::default());
        for step in steps {
            apply(&mut state, &mut model, step)?;
        }
        let mut bytes = state.encode();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(state) = decode(VERSION, &bytes) {
            let _ = state.aborted(KEY, 0, i64::MAX);
            let _ = state.bounds(KEY);
        }
    }
}

#[test]
fn a_control_batch_that_is_no_marker_changes_nothing() {
    let mut state = new_state();
    state.apply(&produced(Some((7, 0)), true, 1), 0).unwrap();
    let mut builder = BatchBuilder::new(Compression::None).producer(7, 1, -1);
    builder = builder.transactional().control();
    builder.append(0, Some(&[0, 0, 0, 9]), None, &[]).unwrap();
    let batch = builder.finish().unwrap();
    let entry = Entry::Produced(ProducedBatch {
        key: KEY,
        header: *batch,
        bytes: batch.into_bytes(),
    });
    assert_eq!(state.apply(&entry, 0), Err(Refusal::NoMarker));
    assert_eq!(state.bounds(KEY).unwrap().stable, 0);
}
