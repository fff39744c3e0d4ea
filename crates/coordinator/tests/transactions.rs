//! Transactions: what each request is answered in each state, and lives by seed in which producers
//! replace each other and the coordinator crashes.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use fletch_coordinator::{Fact, Marker, TransactionConfig, TransactionOutput, Transactions};
use fletch_wire::ErrorCode;
use fletch_wire::messages::add_partitions_to_txn::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use fletch_wire::messages::*;
use support::random::Random;

const ID: &str = "transactional";
const FENCED: ErrorCode = ErrorCode::PRODUCER_FENCED;

type Producer = (i64, i16);

/// Transactions, the time, and what is kept.
struct World {
    transactions: Transactions,
    now_ms: i64,
    kept: BTreeMap<String, Bytes>,
    markers: Vec<Marker>,
    next_producer_id: i64,
}

impl World {
    fn new() -> Self {
        Self {
            transactions: Transactions::new(TransactionConfig::default()),
            now_ms: 0,
            kept: BTreeMap::new(),
            markers: Vec::new(),
            next_producer_id: 1000,
        }
    }

    fn call<R>(
        &mut self,
        call: impl FnOnce(&mut Transactions, i64, &mut TransactionOutput) -> R,
    ) -> R {
        let mut out = TransactionOutput::default();
        let answer = call(&mut self.transactions, self.now_ms, &mut out);
        keep(&mut self.kept, &out.facts);
        self.markers.extend(out.markers);
        assert_eq!(folded(&self.transactions), self.kept);
        answer
    }

    fn restart(&mut self) {
        self.transactions = restored(&self.kept);
        self.markers.clear();
        self.call(|transactions, now_ms, out| transactions.start(now_ms, out));
    }

    fn init_as(&mut self, claimed: Option<Producer>) -> Result<Producer, ErrorCode> {
        let request = init_request(claimed);
        let new = self.transactions.needs_producer_id(ID).then(|| {
            self.next_producer_id += 1;
            self.next_producer_id
        });
        let answer = self.call(|transactions, now_ms, out| {
            transactions.init_producer_id(now_ms, 4, &request, new, out)
        });
        match answer.error_code {
            ErrorCode::NONE => Ok((answer.producer_id, answer.producer_epoch)),
            error => Err(error),
        }
    }

    fn init(&mut self) -> Producer {
        self.init_as(None).expect("a producer")
    }

    fn add(&mut self, producer: Producer, partitions: &[i32]) -> ErrorCode {
        let request = add_request(producer, partitions);
        let answer = self.call(|transactions, now_ms, out| {
            let known = |_: &str, partition| partition < 100;
            transactions.add_partitions(now_ms, 3, &request, &known, out)
        });
        answer.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code
    }

    fn add_offsets(&mut self, producer: Producer, group: &str) -> ErrorCode {
        let request = AddOffsetsToTxnRequest {
            transactional_id: ID.into(),
            producer_id: producer.0,
            producer_epoch: producer.1,
            group_id: group.into(),
            ..Default::default()
        };
        self.call(|transactions, now_ms, out| transactions.add_offsets(now_ms, 3, &request, out))
            .error_code
    }

    fn end(&mut self, producer: Producer, committed: bool) -> ErrorCode {
        let request = end_request(producer, committed);
        self.call(|transactions, now_ms, out| transactions.end(now_ms, 3, &request, None, out))
            .error_code
    }

    /// Ends it in the second version of the protocol; by which producer to go on.
    fn end_2(&mut self, producer: Producer, committed: bool) -> Result<Producer, ErrorCode> {
        let request = end_request(producer, committed);
        let new = self.transactions.end_needs_producer_id(&request).then(|| {
            self.next_producer_id += 1;
            self.next_producer_id
        });
        let answer =
            self.call(|transactions, now_ms, out| transactions.end(now_ms, 5, &request, new, out));
        match answer.error_code {
            ErrorCode::NONE => Ok((answer.producer_id, answer.producer_epoch)),
            error => {
                assert_eq!((answer.producer_id, answer.producer_epoch), (-1, -1));
                Err(error)
            }
        }
    }

    /// Writes to a partition in the second version of the protocol.
    fn produce(&mut self, producer: Producer, partition: i32) -> Result<(), ErrorCode> {
        let partitions = [("topic", partition)];
        self.call(|transactions, now_ms, out| {
            transactions.add_produced(now_ms, ID, producer, &partitions, out)
        })?;
        let transactions = &mut self.transactions;
        transactions.check_produce(ID, producer, "topic", partition)
    }

    /// Writes all markers, and says so.
    fn write_markers(&mut self) -> Vec<Marker> {
        let markers = std::mem::take(&mut self.markers);
        for marker in &markers {
            self.call(|transactions, now_ms, out| {
                transactions.markers_written(now_ms, marker, out);
            });
        }
        markers
    }

    fn wait(&mut self, ms: i64) {
        self.now_ms += ms;
        self.call(|transactions, now_ms, out| transactions.tick(now_ms, out));
        let due_ms = self.transactions.next_deadline_ms();
        assert!(due_ms.is_none_or(|due_ms| due_ms > self.now_ms));
    }

    fn state(&self) -> String {
        let request = DescribeTransactionsRequest {
            transactional_ids: vec![ID.into()],
            ..Default::default()
        };
        let answer = self.transactions.describe(&request);
        let state = &answer.transaction_states[0];
        match state.error_code {
            ErrorCode::NONE => state.transaction_state.to_string(),
            error => error.to_string(),
        }
    }
}

fn keep(kept: &mut BTreeMap<String, Bytes>, facts: &[Fact]) {
    for Fact { key, value } in facts {
        match value {
            Some(value) => kept.insert(key.clone(), value.clone()),
            None => kept.remove(key),
        };
    }
}

fn folded(transactions: &Transactions) -> BTreeMap<String, Bytes> {
    let facts = transactions.facts().into_iter();
    facts
        .map(|fact| (fact.key, fact.value.expect("a value")))
        .collect()
}

fn restored(kept: &BTreeMap<String, Bytes>) -> Transactions {
    let mut transactions = Transactions::new(TransactionConfig::default());
    for (key, value) in kept {
        transactions
            .apply(key, Some(value))
            .expect("a fact of ours");
    }
    assert_eq!(&folded(&transactions), kept);
    transactions
}

fn init_request(claimed: Option<Producer>) -> InitProducerIdRequest {
    let (producer_id, producer_epoch) = claimed.unwrap_or((-1, -1));
    InitProducerIdRequest {
        transactional_id: Some(ID.into()),
        transaction_timeout_ms: 60_000,
        producer_id,
        producer_epoch,
        ..Default::default()
    }
}

fn add_request(producer: Producer, partitions: &[i32]) -> AddPartitionsToTxnRequest {
    AddPartitionsToTxnRequest {
        v3_and_below_transactional_id: ID.into(),
        v3_and_below_producer_id: producer.0,
        v3_and_below_producer_epoch: producer.1,
        v3_and_below_topics: vec![AddPartitionsToTxnTopic {
            name: "topic".into(),
            partitions: partitions.to_vec(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn end_request(producer: Producer, committed: bool) -> EndTxnRequest {
    EndTxnRequest {
        transactional_id: ID.into(),
        producer_id: producer.0,
        producer_epoch: producer.1,
        committed,
        ..Default::default()
    }
}

#[test]
fn a_transaction_is_committed() {
    let mut world = World::new();
    let producer = world.init();
    assert_eq!((producer, world.state().as_str()), ((1001, 0), "Empty"));
    assert_eq!(world.add(producer, &[0, 1]), ErrorCode::NONE);
    assert_eq!(world.add(producer, &[1, 2]), ErrorCode::NONE);
    assert_eq!(world.add_offsets(producer, "group"), ErrorCode::NONE);
    let facts = world.kept.clone();
    assert_eq!(
        world.add(producer, &[2, 0]),
        ErrorCode::NONE,
        "they are in it"
    );
    assert_eq!(world.kept, facts);
    assert_eq!(world.state(), "Ongoing");
    world.restart();
    assert_eq!(world.end(producer, true), ErrorCode::NONE);
    assert_eq!(world.state(), "PrepareCommit");
    let expected = Marker {
        transactional_id: ID.into(),
        producer_id: 1001,
        producer_epoch: 0,
        committed: true,
        partitions: vec![("topic".into(), vec![0, 1, 2])],
        groups: vec!["group".into()],
    };
    assert_eq!(world.markers, std::slice::from_ref(&expected));
    // A restart has them written again.
    world.restart();
    assert_eq!(world.write_markers(), std::slice::from_ref(&expected));
    assert_eq!(world.state(), "CompleteCommit");
    // Once more is not too often.
    world.markers = vec![expected];
    world.write_markers();
    assert_eq!(world.state(), "CompleteCommit");
    // The next one has only what is added to it.
    assert_eq!(world.add(producer, &[5]), ErrorCode::NONE);
    assert_eq!(world.end(producer, false), ErrorCode::NONE);
    let markers = world.write_markers();
    assert_eq!(markers[0].partitions, [("topic".into(), vec![5])]);
    assert_eq!((markers[0].committed, markers[0].groups.len()), (false, 0));
    assert_eq!(world.state(), "CompleteAbort");
}

#[test]
fn the_end_of_a_transaction_in_each_state() {
    let (again, invalid) = (
        ErrorCode::CONCURRENT_TRANSACTIONS,
        ErrorCode::INVALID_TXN_STATE,
    );
    for committed in [true, false] {
        let mut world = World::new();
        let unknown = ErrorCode::INVALID_PRODUCER_ID_MAPPING;
        assert_eq!(world.end((1, 0), committed), unknown);
        let producer = world.init();
        assert_eq!(world.end((producer.0 + 1, 0), committed), unknown);
        assert_eq!(world.end((producer.0, 1), committed), FENCED);
        assert_eq!(world.end(producer, committed), invalid, "there is none");
        world.add(producer, &[0]);
        assert_eq!(world.end(producer, committed), ErrorCode::NONE);
        assert_eq!(world.end(producer, committed), again);
        assert_eq!(world.end(producer, !committed), invalid);
        assert_eq!(world.add(producer, &[0]), again);
        assert_eq!(world.add_offsets(producer, "group"), again);
        assert_eq!(world.init_as(None), Err(again));
        world.write_markers();
        assert_eq!(
            world.end(producer, committed),
            ErrorCode::NONE,
            "it hasn't heard"
        );
        assert_eq!(world.end(producer, !committed), invalid);
    }
}

#[test]
fn partitions_are_added_all_or_none() {
    let mut world = World::new();
    let producer = world.init();
    let request = add_request(producer, &[0, 100]);
    let answer = world.call(|transactions, now_ms, out| {
        let known = |_: &str, partition| partition < 100;
        transactions.add_partitions(now_ms, 3, &request, &known, out)
    });
    let results = answer.results_by_topic_v3_and_below[0]
        .results_by_partition
        .iter();
    let codes: Vec<ErrorCode> = results.map(|result| result.partition_error_code).collect();
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    assert_eq!(codes, [ErrorCode::OPERATION_NOT_ATTEMPTED, unknown]);
    assert_eq!(world.state(), "Empty");
    let mapping = ErrorCode::INVALID_PRODUCER_ID_MAPPING;
    assert_eq!(world.add((5, 0), &[0]), mapping);
    assert_eq!(world.add((producer.0, 1), &[0]), FENCED);
    assert_eq!(world.add_offsets((5, 0), "group"), mapping);
    assert_eq!(world.add_offsets((producer.0, 1), "group"), FENCED);
}

#[test]
fn a_transaction_has_a_largest_size() {
    let mut world = World::new();
    let config = TransactionConfig {
        partitions_max: 3,
        ids_max: 1,
        ..TransactionConfig::default()
    };
    world.transactions = Transactions::new(config);
    let producer = world.init();
    assert_eq!(world.add(producer, &[0, 1, 2]), ErrorCode::NONE);
    assert_eq!(world.add(producer, &[3]), ErrorCode::POLICY_VIOLATION);
    assert_eq!(
        world.add_offsets(producer, "group"),
        ErrorCode::POLICY_VIOLATION
    );
    let mut request = init_request(None);
    request.transactional_id = Some("other".into());
    let answer = world.call(|transactions, now_ms, out| {
        transactions.init_producer_id(now_ms, 4, &request, Some(7), out)
    });
    assert_eq!(answer.error_code, ErrorCode::POLICY_VIOLATION);
}

/// It is one fact, which must fit where facts are kept, and a group's name may be long.
#[test]
fn a_transaction_has_a_largest_size_in_bytes() {
    let mut world = World::new();
    let producer = world.init();
    let group = |number: u32| format!("{number:04}{}", "x".repeat(32_000));
    let refused = (0..1000).find(|number| {
        let error = world.add_offsets(producer, &group(*number));
        assert!(matches!(
            error,
            ErrorCode::NONE | ErrorCode::POLICY_VIOLATION
        ));
        error == ErrorCode::POLICY_VIOLATION
    });
    let refused = refused.expect("a group that is refused");
    let largest = world.kept.values().map(Bytes::len).max();
    let bytes_max = TransactionConfig::default().bytes_max;
    assert!(
        largest.is_some_and(|bytes| bytes <= bytes_max + 1024),
        "{largest:?}"
    );
    // What is there goes on, and ends; the next one has room again.
    assert_eq!(world.add_offsets(producer, &group(0)), ErrorCode::NONE);
    assert_eq!(world.end(producer, true), ErrorCode::NONE);
    let markers = world.write_markers();
    assert_eq!(markers[0].groups.len(), refused as usize);
    assert_eq!(
        world.add_offsets(producer, &group(refused)),
        ErrorCode::NONE
    );
}

#[test]
fn requests_for_a_producer_that_cannot_be() {
    let mut world = World::new();
    let init = |change: fn(&mut InitProducerIdRequest)| {
        let mut request = init_request(None);
        change(&mut request);
        request
    };
    let (invalid, timeout) = (
        ErrorCode::INVALID_REQUEST,
        ErrorCode::INVALID_TRANSACTION_TIMEOUT,
    );
    let cases = [
        (init(|r| r.transactional_id = Some("".into())), invalid),
        (init(|r| r.transactional_id = None), invalid),
        (init(|r| r.producer_id = 1), invalid),
        (init(|r| r.producer_epoch = 1), invalid),
        (init(|r| r.transaction_timeout_ms = 0), timeout),
        (init(|r| r.transaction_timeout_ms = 900_001), timeout),
    ];
    for (request, error) in cases {
        let answer = world.call(|transactions, now_ms, out| {
            transactions.init_producer_id(now_ms, 4, &request, Some(7), out)
        });
        assert_eq!((answer.error_code, answer.producer_id), (error, -1));
    }
    // Somebody else took the id between the question and the request.
    let answer = world.call(|transactions, now_ms, out| {
        transactions.init_producer_id(now_ms, 4, &init_request(None), None, out)
    });
    assert_eq!(answer.error_code, ErrorCode::CONCURRENT_TRANSACTIONS);
}

#[test]
fn a_new_producer_fences_the_one_before_and_ends_its_transaction() {
    let mut world = World::new();
    let first = world.init();
    world.add(first, &[0]);
    let again = ErrorCode::CONCURRENT_TRANSACTIONS;
    assert_eq!(
        world.init_as(None),
        Err(again),
        "the first one's transaction must end"
    );
    assert_eq!(world.end(first, true), FENCED);
    assert_eq!(world.add(first, &[1]), FENCED);
    let check = world.transactions.check_produce(ID, first, "topic", 0);
    assert_eq!(check, Err(FENCED));
    assert_eq!(world.init_as(None), Err(again));
    let markers = world.write_markers();
    assert_eq!(
        (markers[0].producer_epoch, markers[0].committed),
        (first.1 + 1, false)
    );
    let second = world.init();
    assert_eq!(second, (first.0, first.1 + 2));
    assert_eq!(world.add(first, &[1]), FENCED);
    assert_eq!(world.add(second, &[1]), ErrorCode::NONE);
    // What old clients are told.
    let request = end_request(first, true);
    let answer =
        world.call(|transactions, now_ms, out| transactions.end(now_ms, 1, &request, None, out));
    assert_eq!(answer.error_code, ErrorCode::INVALID_PRODUCER_EPOCH);
}

#[test]
fn a_producer_asks_for_its_next_epoch_and_asks_again() {
    let mut world = World::new();
    let first = world.init();
    let second = world.init_as(Some(first)).unwrap();
    assert_eq!(second, (first.0, 1));
    assert_eq!(world.init_as(Some(first)), Ok(second), "it hasn't heard");
    world.restart();
    assert_eq!(world.init_as(Some(first)), Ok(second));
    let third = world.init_as(Some(second)).unwrap();
    assert_eq!(world.init_as(Some(first)), Err(FENCED));
    assert_eq!(world.init_as(Some((third.0, third.1 + 1))), Err(FENCED));
    assert_eq!(world.init_as(Some((third.0 + 1, third.1))), Err(FENCED));
    // After somebody else.
    let fourth = world.init();
    assert_eq!(world.init_as(Some(third)), Err(FENCED));
    assert_eq!(world.init_as(Some(fourth)), Ok((fourth.0, 4)));
}

#[test]
fn epochs_end_and_another_producer_id_goes_on() {
    let mut world = World::new();
    let mut producer = world.init();
    while producer.1 < i16::MAX - 1 {
        producer = world.init_as(Some(producer)).unwrap();
    }
    // The last epoch fences its transaction.
    world.add(producer, &[0]);
    assert_eq!(world.init_as(None), Err(ErrorCode::CONCURRENT_TRANSACTIONS));
    assert_eq!(world.write_markers()[0].producer_epoch, i16::MAX);
    let next = world.init();
    assert_eq!((next.0 > producer.0, next.1), (true, 0));
    assert_eq!(
        world.add(producer, &[0]),
        ErrorCode::INVALID_PRODUCER_ID_MAPPING
    );
}

#[test]
fn a_transaction_that_takes_too_long_is_aborted() {
    let mut world = World::new();
    let producer = world.init();
    world.add(producer, &[0]);
    world.wait(30_000);
    world.add(producer, &[1]);
    world.restart();
    world.wait(29_999);
    assert_eq!(world.state(), "Ongoing");
    world.wait(1);
    assert_eq!(world.state(), "PrepareAbort");
    assert_eq!(world.end(producer, true), FENCED);
    world.write_markers();
    assert_eq!(world.state(), "CompleteAbort");
    // An id that nobody uses is forgotten; its transaction isn't.
    world.wait(8 * 24 * 60 * 60 * 1000);
    assert_eq!(world.state(), "TRANSACTIONAL_ID_NOT_FOUND");
    assert!(world.kept.is_empty());
}

#[test]
fn who_may_write_in_a_transaction() {
    let mut world = World::new();
    let invalid = Err(ErrorCode::INVALID_TXN_STATE);
    let producer = world.init();
    let check = |world: &mut World, partition| {
        world
            .transactions
            .check_produce(ID, producer, "topic", partition)
    };
    assert_eq!(check(&mut world, 0), invalid);
    world.add(producer, &[0]);
    assert_eq!(
        (check(&mut world, 0), check(&mut world, 1)),
        (Ok(()), invalid)
    );
    let commit =
        |world: &mut World, group| world.transactions.check_offset_commit(ID, producer, group);
    assert_eq!(commit(&mut world, "group"), invalid);
    world.add_offsets(producer, "group");
    assert_eq!(
        (commit(&mut world, "group"), commit(&mut world, "g")),
        (Ok(()), invalid)
    );
    world.end(producer, true);
    assert_eq!(
        (check(&mut world, 0), commit(&mut world, "group")),
        (invalid, invalid)
    );
}

#[test]
fn transactions_are_listed_and_described() {
    let mut world = World::new();
    let producer = world.init();
    world.wait(5);
    world.add(producer, &[3, 1]);
    world.wait(100);
    let list = |world: &World, states: &[&str], producers: &[i64], duration: i64| {
        let request = ListTransactionsRequest {
            state_filters: states.iter().map(|&name| name.into()).collect(),
            producer_id_filters: producers.to_vec(),
            duration_filter: duration,
            ..Default::default()
        };
        let answer = world.transactions.list(world.now_ms, &request);
        (
            answer.transaction_states.len(),
            answer.unknown_state_filters.len(),
        )
    };
    assert_eq!(list(&world, &[], &[], -1), (1, 0));
    assert_eq!(
        list(&world, &["Ongoing", "Dead", "what"], &[producer.0], 99),
        (1, 1)
    );
    assert_eq!(list(&world, &["Empty"], &[], -1), (0, 0));
    assert_eq!(list(&world, &[], &[5], -1), (0, 0));
    assert_eq!(list(&world, &[], &[], 100), (0, 0));
    let request = DescribeTransactionsRequest {
        transactional_ids: vec![ID.into()],
        ..Default::default()
    };
    let answer = world.transactions.describe(&request);
    let described = &answer.transaction_states[0];
    assert_eq!(
        (described.transaction_start_time_ms, described.producer_id),
        (5, producer.0)
    );
    assert_eq!(described.topics[0].partitions, [1, 3]);
}

#[test]
fn damaged_facts_are_refused() {
    let mut world = World::new();
    let producer = world.init();
    world.add(producer, &[0, 1]);
    world.add_offsets(producer, "group");
    for (key, value) in world.kept.clone() {
        for end in 0..value.len() {
            assert!(world.transactions.apply(&key, Some(&value[..end])).is_err());
        }
        assert!(world.transactions.apply("group/x", Some(&value)).is_err());
    }
    assert_eq!(folded(&world.transactions), world.kept);
}

#[test]
fn each_end_of_the_second_version_gives_another_epoch() {
    let mut world = World::new();
    let first = world.init();
    assert_eq!(world.produce(first, 0), Ok(()));
    assert_eq!(world.produce(first, 1), Ok(()));
    let facts = world.kept.clone();
    assert_eq!(world.produce(first, 0), Ok(()), "it is in it");
    assert_eq!(world.kept, facts);
    let second = world.end_2(first, true).unwrap();
    assert_eq!(second, (first.0, 1));
    // What arrives late is refused, before the markers are written and after.
    assert_eq!(world.produce(first, 0), Err(FENCED));
    assert_eq!(
        world.produce(second, 0),
        Err(ErrorCode::CONCURRENT_TRANSACTIONS)
    );
    world.restart();
    let markers = world.write_markers();
    assert_eq!((markers.len(), markers[0].producer_epoch), (1, 1));
    assert_eq!(markers[0].partitions, [("topic".into(), vec![0, 1])]);
    assert_eq!(world.state(), "CompleteCommit");
    assert_eq!(world.produce(first, 0), Err(FENCED));

    // The next one begins by itself.
    assert_eq!(world.produce(second, 2), Ok(()));
    assert_eq!(world.state(), "Ongoing");
    assert_eq!(world.end_2(first, true), Err(FENCED), "not the same one");
    let third = world.end_2(second, false).unwrap();
    assert_eq!(third, (first.0, 2));
    assert!(!world.write_markers()[0].committed);
    assert_eq!(world.state(), "CompleteAbort");
}

#[test]
fn an_end_of_the_second_version_is_asked_for_again() {
    let mut world = World::new();
    let first = world.init();
    world.produce(first, 0).unwrap();
    let second = world.end_2(first, true).unwrap();
    let again = Err(ErrorCode::CONCURRENT_TRANSACTIONS);
    let invalid = Err(ErrorCode::INVALID_TXN_STATE);
    assert_eq!(world.end_2(first, true), again);
    assert_eq!(world.end_2(first, false), invalid);
    assert_eq!(world.end_2(second, true), again);
    world.write_markers();
    world.restart();
    let facts = world.kept.clone();
    assert_eq!(world.end_2(first, true), Ok(second));
    assert_eq!(world.end_2(first, false), invalid);
    // Nothing to commit, under the epoch of the next one.
    assert_eq!(world.end_2(second, true), invalid);
    assert_eq!(world.kept, facts);
    let other = (second.0 + 1, second.1);
    let unknown = Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
    assert_eq!(world.end_2(other, true), unknown);
    assert_eq!(world.end_2((second.0, 7), true), Err(FENCED));
    // A producer that begins anew by the epoch that it knows goes on with the one it hasn't heard of.
    assert_eq!(world.init_as(Some(first)), Ok(second));
}

#[test]
fn a_transaction_with_nothing_in_it_is_aborted() {
    let mut world = World::new();
    let first = world.init();
    let second = world.end_2(first, false).unwrap();
    assert_eq!(second, (first.0, 1));
    assert!(world.markers.is_empty());
    assert_eq!(world.state(), "CompleteAbort");
    assert_eq!(world.produce(first, 0), Err(FENCED));
    assert_eq!(world.end_2(first, false), Ok(second), "asked for again");
    let third = world.end_2(second, false).unwrap();
    assert_eq!(third, (first.0, 2));
    world.produce(third, 0).unwrap();
    assert_eq!(world.state(), "Ongoing");
}

#[test]
fn when_no_epoch_is_left_an_end_gives_another_producer_id() {
    let mut world = World::new();
    let mut producer = world.init();
    while producer.1 < i16::MAX - 1 {
        producer = world.end_2(producer, false).unwrap();
    }
    world.produce(producer, 0).unwrap();
    let request = end_request(producer, true);
    let early =
        world.call(|transactions, now_ms, out| transactions.end(now_ms, 5, &request, None, out));
    assert_eq!(early.error_code, ErrorCode::CONCURRENT_TRANSACTIONS);
    let next = world.end_2(producer, true).unwrap();
    assert_eq!((next.0 > producer.0, next.1), (true, 0));
    // The old id is the transaction's until that is over.
    world.restart();
    let marker = &world.markers[0];
    let (id, epoch) = (marker.producer_id, marker.producer_epoch);
    assert_eq!((id, epoch), (producer.0, i16::MAX));
    let open: Vec<_> = world.transactions.open_partitions().collect();
    assert_eq!(open, [(producer.0, "topic", 0)]);
    world.write_markers();
    world.restart();
    assert_eq!(world.end_2(producer, true), Ok(next), "asked for again");
    let unknown = Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
    assert_eq!(world.produce(producer, 0), unknown);
    assert_eq!(world.produce(next, 0), Ok(()));
    assert_eq!(world.end_2(next, true), Ok((next.0, 1)));
}

#[test]
fn both_versions_take_turns() {
    let mut world = World::new();
    let first = world.init();
    // The end of the first version leaves the epoch as it is.
    world.add(first, &[0]);
    assert_eq!(world.end(first, true), ErrorCode::NONE);
    world.write_markers();
    world.produce(first, 0).unwrap();
    let second = world.end_2(first, true).unwrap();
    world.write_markers();
    assert_eq!(world.add(first, &[0]), FENCED);
    assert_eq!(world.add(second, &[0]), ErrorCode::NONE);
    assert_eq!(world.end(second, false), ErrorCode::NONE);
    world.write_markers();
    // An end of before isn't the one that is asked for again.
    assert_eq!(world.end_2(first, true), Err(FENCED));
    assert_eq!(world.end_2(first, false), Err(FENCED));
    world.produce(second, 0).unwrap();
    // Taken over from by another.
    assert_eq!(world.init_as(None), Err(ErrorCode::CONCURRENT_TRANSACTIONS));
    assert_eq!(world.end_2(second, true), Err(FENCED));
    world.write_markers();
    let third = world.init();
    assert_eq!(third, (first.0, 3));
}

#[test]
fn what_the_release_before_has_kept_is_read() {
    let mut world = World::new();
    let producer = world.init();
    world.add(producer, &[0, 1]);
    world.add_offsets(producer, "group");
    let (key, value) = world.kept.pop_first().unwrap();
    world.kept.insert(key.clone(), value.clone());
    // It knew of no next producer id.
    let (last, rest) = value.split_last().unwrap();
    let earlier = [&[1], &rest[1..]].concat();
    assert_eq!((value[0], *last), (2, 0));
    let mut restored = Transactions::new(TransactionConfig::default());
    restored.apply(&key, Some(&earlier)).unwrap();
    assert_eq!(folded(&restored), world.kept);
    world.transactions = restored;
    assert_eq!(world.end_2(producer, true), Ok((producer.0, 1)));
    for end in 0..earlier.len() {
        let cut = world
            .transactions
            .apply("transaction/x", Some(&earlier[..end]));
        assert!(cut.is_err());
    }
    let later = [&[3], &value[1..]].concat();
    assert!(
        world
            .transactions
            .apply("transaction/x", Some(&later))
            .is_err()
    );
}

#[test]
fn brokers_ask_for_several_transactions_at_once() {
    let mut world = World::new();
    let producer = world.init();
    let asked =
        |id: &str, (producer_id, producer_epoch): Producer, verify_only, partitions: &[i32]| {
            AddPartitionsToTxnTransaction {
                transactional_id: id.into(),
                producer_id,
                producer_epoch,
                verify_only,
                topics: vec![AddPartitionsToTxnTopic {
                    name: "topic".into(),
                    partitions: partitions.to_vec(),
                    ..Default::default()
                }],
                ..Default::default()
            }
        };
    let ask = |world: &mut World, version, transactions: Vec<AddPartitionsToTxnTransaction>| {
        let request = AddPartitionsToTxnRequest {
            transactions,
            ..Default::default()
        };
        let answer = world.call(|transactions, now_ms, out| {
            let known = |_: &str, partition| partition < 100;
            transactions.add_partitions(now_ms, version, &request, &known, out)
        });
        assert_eq!(answer.error_code, ErrorCode::NONE);
        assert!(answer.results_by_topic_v3_and_below.is_empty());
        let codes = answer.results_by_transaction.into_iter().map(|one| {
            let partitions = &one.topic_results[0].results_by_partition;
            let codes = partitions.iter().map(|one| one.partition_error_code);
            codes.collect::<Vec<_>>()
        });
        codes.collect::<Vec<_>>()
    };
    let none = ErrorCode::NONE;
    // Nothing is added by who only wants to know.
    let verify = asked(ID, producer, true, &[0, 1]);
    let missing = ErrorCode::TRANSACTION_ABORTABLE;
    let answer = ask(&mut world, 5, vec![verify.clone()]);
    assert_eq!(answer, [[missing, missing]]);
    assert_eq!(world.state(), "Empty");
    let add = asked(ID, producer, false, &[0]);
    let answer = ask(
        &mut world,
        4,
        vec![add, asked("nobody", producer, false, &[0])],
    );
    let unknown = ErrorCode::INVALID_PRODUCER_ID_MAPPING;
    assert_eq!(answer, [[none], [unknown]]);
    let answer = ask(&mut world, 5, vec![verify.clone()]);
    assert_eq!(answer, [[none, missing]]);
    let answer = ask(&mut world, 4, vec![verify.clone()]);
    assert_eq!(answer, [[none, missing]]);
    let zombie = asked(ID, (producer.0, producer.1 + 1), true, &[0]);
    let nameless = asked("", producer, true, &[0]);
    let nowhere = asked(ID, producer, true, &[0, 100]);
    let answer = ask(&mut world, 5, vec![zombie, nameless, nowhere]);
    let invalid = ErrorCode::INVALID_REQUEST;
    let refused = [
        ErrorCode::OPERATION_NOT_ATTEMPTED,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    ];
    assert_eq!(answer, [&[FENCED][..], &[invalid], &refused]);
    world.end(producer, true);
    let answer = ask(&mut world, 5, vec![verify]);
    let concurrent = ErrorCode::CONCURRENT_TRANSACTIONS;
    assert_eq!(answer, [[concurrent, concurrent]]);
}

/// A partition's log: whose transaction is open in it, and how those before ended.
#[derive(Default)]
struct Log {
    /// The transaction, by a number of the test's.
    open: BTreeMap<i64, u64>,
    ended: BTreeMap<u64, bool>,
    epochs: BTreeMap<i64, i16>,
}

/// What a producer believes.
#[derive(Default)]
struct Life {
    producer: Option<Producer>,
    transaction: Option<u64>,
    /// How it wants its transaction to end, until it hears that it does.
    wants: Option<bool>,
}

/// What a producer is answered.
enum Heard {
    Producer(Producer),
    Added(usize),
    Ended,
    Fenced,
    /// In the second version of the protocol.
    Bumped(Producer),
    Nothing,
}

/// Three lives of one transactional id at once, which don't know of each other; partitions that
/// check a producer's epoch; a coordinator that crashes, before or after what it says is durable.
#[derive(Default)]
struct Simulation {
    now_ms: i64,
    kept: BTreeMap<String, Bytes>,
    markers: Vec<Marker>,
    next_producer_id: i64,
    logs: [Log; 4],
    lives: [Life; 3],
    transactions_begun: u64,
    /// The partitions that a transaction has written to.
    touched: BTreeMap<u64, BTreeSet<usize>>,
    /// How a producer was told that its transaction ends.
    promised: BTreeMap<u64, bool>,
}

impl Simulation {
    /// One of the lives asks for something.
    fn ask(
        &mut self,
        random: &mut Random,
        life: usize,
        transactions: &mut Transactions,
        out: &mut TransactionOutput,
    ) -> Heard {
        let now_ms = self.now_ms;
        // The versions of the protocol share an id.
        let bumps = life > 0;
        let life = &mut self.lives[life];
        let error = match (life.producer, random.below(40)) {
            (None, 0..8) => {
                let new = transactions.needs_producer_id(ID).then(|| {
                    self.next_producer_id += 1;
                    self.next_producer_id
                });
                let request = init_request(None);
                let answer = transactions.init_producer_id(now_ms, 4, &request, new, out);
                match answer.error_code {
                    ErrorCode::NONE => {
                        return Heard::Producer((answer.producer_id, answer.producer_epoch));
                    }
                    error => error,
                }
            }
            (Some(producer), 0..20) if life.wants.is_none() => {
                let partition = random.below(4) as usize;
                if bumps {
                    let partitions = [("topic", partition as i32)];
                    let added = transactions.add_produced(now_ms, ID, producer, &partitions, out);
                    return match added {
                        Ok(()) => Heard::Added(partition),
                        Err(ErrorCode::CONCURRENT_TRANSACTIONS) => Heard::Nothing,
                        Err(FENCED) => Heard::Fenced,
                        Err(error) => panic!("a write is answered {error}"),
                    };
                }
                let request = add_request(producer, &[partition as i32]);
                let answer = transactions.add_partitions(now_ms, 3, &request, &|_, _| true, out);
                let result = &answer.results_by_topic_v3_and_below[0].results_by_partition[0];
                match result.partition_error_code {
                    ErrorCode::NONE => return Heard::Added(partition),
                    error => error,
                }
            }
            (Some(producer), 20..30) if life.transaction.is_some() => {
                let committed = *life.wants.get_or_insert_with(|| random.below(3) > 0);
                let request = end_request(producer, committed);
                let new = transactions.end_needs_producer_id(&request).then(|| {
                    self.next_producer_id += 1;
                    self.next_producer_id
                });
                let version = if bumps { 5 } else { 3 };
                let answer = transactions.end(now_ms, version, &request, new, out);
                match answer.error_code {
                    ErrorCode::NONE if bumps => {
                        return Heard::Bumped((answer.producer_id, answer.producer_epoch));
                    }
                    ErrorCode::NONE => return Heard::Ended,
                    error => error,
                }
            }
            _ => return Heard::Nothing,
        };
        match error {
            ErrorCode::CONCURRENT_TRANSACTIONS => Heard::Nothing,
            ErrorCode::PRODUCER_FENCED => Heard::Fenced,
            error => panic!("a request is answered {error}"),
        }
    }

    /// And hears the answer.
    fn hear(&mut self, index: usize, heard: &Heard) {
        let life = &mut self.lives[index];
        match *heard {
            Heard::Producer(producer) => life.producer = Some(producer),
            Heard::Fenced => *life = Life::default(),
            Heard::Nothing => {}
            Heard::Ended | Heard::Bumped(_) => {
                if let Heard::Bumped(producer) = *heard {
                    life.producer = Some(producer);
                }
                let (transaction, wants) = (life.transaction.take(), life.wants.take());
                self.promised
                    .insert(transaction.expect("one"), wants.expect("an end"));
            }
            Heard::Added(partition) => {
                let begun = &mut self.transactions_begun;
                let transaction = *life.transaction.get_or_insert_with(|| {
                    *begun += 1;
                    *begun
                });
                // It writes, if the partition hasn't heard of a newer epoch.
                let (producer_id, epoch) = life.producer.expect("one");
                let log = &mut self.logs[partition];
                if log
                    .epochs
                    .get(&producer_id)
                    .is_none_or(|newest| *newest <= epoch)
                {
                    log.epochs.insert(producer_id, epoch);
                    let open = log.open.insert(producer_id, transaction);
                    assert!(open.is_none_or(|open| open == transaction), "two are open");
                    self.touched
                        .entry(transaction)
                        .or_default()
                        .insert(partition);
                }
            }
        }
    }

    fn make_durable(&mut self, out: TransactionOutput) {
        keep(&mut self.kept, &out.facts);
        self.markers.extend(out.markers);
    }

    /// Writes one of the markers, and gives it back.
    fn write_a_marker(&mut self, random: &mut Random) -> Option<Marker> {
        if self.markers.is_empty() || random.below(4) > 0 {
            return None;
        }
        let index = random.below(self.markers.len() as u64) as usize;
        let marker = self.markers.remove(index);
        let (_, partitions) = marker.partitions.first()?;
        for partition in partitions {
            let log = &mut self.logs[*partition as usize];
            log.epochs.insert(marker.producer_id, marker.producer_epoch);
            if let Some(transaction) = log.open.remove(&marker.producer_id) {
                log.ended.insert(transaction, marker.committed);
            }
        }
        Some(marker)
    }

    fn restart(&mut self) -> Transactions {
        self.markers.clear();
        let mut transactions = restored(&self.kept);
        let mut out = TransactionOutput::default();
        transactions.start(self.now_ms, &mut out);
        self.make_durable(out);
        transactions
    }

    /// Lives, and counts the transactions that have written, and those that were committed.
    fn run(mut self, random: &mut Random) -> (usize, usize) {
        let mut transactions = Transactions::new(TransactionConfig::default());
        for step in 0..3_000 {
            self.now_ms += 200;
            let faults = step < 2_500;
            let mut out = TransactionOutput::default();
            transactions.tick(self.now_ms, &mut out);
            self.make_durable(out);

            let life = random.below(3) as usize;
            if faults && random.below(100) == 0 {
                self.lives[life] = Life::default();
            }
            let mut out = TransactionOutput::default();
            let heard = self.ask(random, life, &mut transactions, &mut out);
            match random.below(100) {
                0 if faults => transactions = self.restart(),
                1 if faults => {
                    self.make_durable(out);
                    transactions = self.restart();
                }
                _ => {
                    self.make_durable(out);
                    self.hear(life, &heard);
                }
            }
            if let Some(marker) = self.write_a_marker(random) {
                let mut out = TransactionOutput::default();
                transactions.markers_written(self.now_ms, &marker, &mut out);
                match faults && random.below(20) == 0 {
                    true => transactions = self.restart(),
                    false => self.make_durable(out),
                }
            }
        }
        // Whoever has gone is fenced by the timeout, and what is decided is told.
        for _ in 0..100 {
            self.now_ms += 30_000;
            let mut out = TransactionOutput::default();
            transactions.tick(self.now_ms, &mut out);
            self.make_durable(out);
            while !self.markers.is_empty() {
                if let Some(marker) = self.write_a_marker(random) {
                    let mut out = TransactionOutput::default();
                    transactions.markers_written(self.now_ms, &marker, &mut out);
                    self.make_durable(out);
                }
            }
        }
        assert!(
            self.logs.iter().all(|log| log.open.is_empty()),
            "a transaction never ends"
        );
        let mut committed = 0;
        for (transaction, partitions) in &self.touched {
            let ends = partitions
                .iter()
                .map(|index| self.logs[*index].ended[transaction]);
            let ends: BTreeSet<bool> = ends.collect();
            assert_eq!(ends.len(), 1, "transaction {transaction} ends in two ways");
            let promised = self.promised.get(transaction);
            assert!(
                promised.is_none_or(|promised| ends.contains(promised)),
                "{transaction}"
            );
            committed += usize::from(ends.contains(&true));
        }
        (self.touched.len(), committed)
    }
}

#[test]
fn a_transaction_ends_in_one_way_in_all_its_partitions() {
    let (mut touched, mut committed) = (0, 0);
    for seed in 0..100 {
        let run = std::panic::catch_unwind(|| Simulation::default().run(&mut Random(seed)));
        let (all, some) = run.unwrap_or_else(|_| panic!("seed {seed}"));
        touched += all;
        committed += some;
    }
    assert!(touched > 1_000 && committed > 300, "{touched} {committed}");
}
