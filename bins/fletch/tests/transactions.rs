//! Transactions over raw sockets: error codes, what readers of committed records see and when, zombies,
//! timeouts, and what a kill at any moment leaves.

#[path = "support/committed.rs"]
mod committed;
mod support;
#[path = "support/transactional.rs"]
mod transactional;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fletch_wire::messages::describe_producers::TopicRequest;
use fletch_wire::messages::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use fletch_wire::messages::offset_fetch::OffsetFetchRequestTopic;
use fletch_wire::messages::write_txn_markers::{WritableTxnMarker, WritableTxnMarkerTopic};
use fletch_wire::messages::{
    ApiVersionsRequest, DescribeProducersRequest, DescribeTransactionsRequest,
    InitProducerIdRequest, ListOffsetsRequest, ListTransactionsRequest, OffsetFetchRequest,
    WriteTxnMarkersRequest,
};
use fletch_wire::{ErrorCode, ResponseBody};
use support::{Client, PATIENCE, Server, batch, folder, framed};
use transactional::{Producer, committed_request, committed_values};

fn latest(client: &mut Client, topic: &str, isolation_level: i8) -> i64 {
    let partition = ListOffsetsPartition {
        timestamp: -1,
        ..Default::default()
    };
    let topic = ListOffsetsTopic {
        name: topic.into(),
        partitions: vec![partition],
        ..Default::default()
    };
    let request = ListOffsetsRequest {
        replica_id: -1,
        isolation_level,
        topics: vec![topic],
        ..Default::default()
    };
    client.call(&request, 4).topics[0].partitions[0].offset
}

/// A group's offset in partition 0; and whether it is stable.
fn offset_of(client: &mut Client, group: &str, topic: &str) -> (i64, ErrorCode) {
    let topic = OffsetFetchRequestTopic {
        name: topic.into(),
        partition_indexes: vec![0],
        ..Default::default()
    };
    let request = OffsetFetchRequest {
        group_id: group.into(),
        topics: Some(vec![topic]),
        require_stable: true,
        ..Default::default()
    };
    let answer = client.call(&request, 7);
    let partition = &answer.topics[0].partitions[0];
    (partition.committed_offset, partition.error_code)
}

#[test]
fn readers_of_committed_records_see_what_is_decided_when_it_is() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.metadata("t");
    let mut producer = Producer::start(server.kafka, "p");
    assert_eq!(client.produce("t", batch(&["before"])).base_offset, 0);
    assert_eq!(producer.add("t").unwrap(), ErrorCode::NONE);
    assert_eq!(producer.produce("t", b"one").unwrap(), Ok(1));
    assert_eq!(client.produce("t", batch(&["after"])).base_offset, 2);

    assert_eq!(
        (latest(&mut client, "t", 0), latest(&mut client, "t", 1)),
        (3, 1)
    );
    assert_eq!(committed_values(&mut client, "t"), [b"before"]);
    assert_eq!(client.values("t", 0).len(), 3);

    // A poll that waits is woken by the marker, not by other appends.
    let mut waiting = server.client();
    waiting.send(&committed_request("t", 1, 15_000), 11);
    client.produce("t", batch(&["more"]));
    assert!(waiting.is_silent(Duration::from_millis(200)));
    let asked = Instant::now();
    assert_eq!(producer.end(true).unwrap(), ErrorCode::NONE);
    let ResponseBody::Fetch(answer) = waiting.receive() else {
        panic!("not Fetch")
    };
    assert!(asked.elapsed() < Duration::from_secs(10));
    assert!(
        !answer.responses[0].partitions[0]
            .records
            .as_ref()
            .unwrap()
            .is_empty()
    );
    // The answer to EndTxn says that all can be read.
    let expected: [&[u8]; 4] = [b"before", b"one", b"after", b"more"];
    assert_eq!(committed_values(&mut client, "t"), expected);
    assert_eq!(
        (latest(&mut client, "t", 0), latest(&mut client, "t", 1)),
        (5, 5)
    );

    // An aborted one is seen by nobody who asks for committed records.
    producer.add("t").unwrap();
    producer.produce("t", b"never").unwrap().unwrap();
    assert_eq!(producer.end(false).unwrap(), ErrorCode::NONE);
    assert_eq!(committed_values(&mut client, "t"), expected);
    // The end is asked for again by a client that didn't hear of it.
    assert_eq!(producer.end(false).unwrap(), ErrorCode::NONE);
    assert_eq!(producer.end(true).unwrap(), ErrorCode::INVALID_TXN_STATE);
    let (status, ..) = server.terminate();
    assert!(status.success());
}

#[test]
fn zombies_are_fenced_and_their_transactions_aborted() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.metadata("t");
    let mut old = Producer::start(server.kafka, "p");
    old.add("t").unwrap();
    old.produce("t", b"never").unwrap().unwrap();
    assert_eq!(old.commit_offset("g", "t", 5).unwrap(), ErrorCode::NONE);
    assert_eq!(
        offset_of(&mut client, "g", "t"),
        (-1, ErrorCode::UNSTABLE_OFFSET_COMMIT)
    );

    let mut new = Producer::start(server.kafka, "p");
    assert_eq!(new.producer.0, old.producer.0);
    assert!(new.producer.1 > old.producer.1);
    assert_eq!(old.add("t").unwrap(), ErrorCode::PRODUCER_FENCED);
    assert_eq!(
        old.produce("t", b"x").unwrap(),
        Err(ErrorCode::INVALID_PRODUCER_EPOCH)
    );
    assert_eq!(
        old.commit_offset("g", "t", 6).unwrap(),
        ErrorCode::PRODUCER_FENCED
    );
    assert_eq!(old.end(true).unwrap(), ErrorCode::PRODUCER_FENCED);
    assert_eq!(offset_of(&mut client, "g", "t"), (-1, ErrorCode::NONE));

    new.add("t").unwrap();
    new.produce("t", b"yes").unwrap().unwrap();
    assert_eq!(new.commit_offset("g", "t", 7).unwrap(), ErrorCode::NONE);
    assert_eq!(new.end(true).unwrap(), ErrorCode::NONE);
    assert_eq!(committed_values(&mut client, "t"), [b"yes"]);
    assert_eq!(offset_of(&mut client, "g", "t"), (7, ErrorCode::NONE));
}

#[test]
fn in_the_second_version_writes_add_to_the_transaction_and_each_end_is_of_its_own_epoch() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.metadata("t");
    client.metadata("u");
    let mut producer = Producer::start(server.kafka, "p").second();
    let first = producer.producer;
    assert_eq!(producer.produce("t", b"one").unwrap(), Ok(0));
    assert_eq!(producer.produce("t", b"two").unwrap(), Ok(1));
    assert_eq!(producer.produce("u", b"one").unwrap(), Ok(0));
    let offset = producer.commit_offset("g", "t", 5).unwrap();
    assert_eq!(offset, ErrorCode::NONE);
    let unstable = (-1, ErrorCode::UNSTABLE_OFFSET_COMMIT);
    assert_eq!(offset_of(&mut client, "g", "t"), unstable);
    assert!(committed_values(&mut client, "t").is_empty());
    assert_eq!(producer.end(true).unwrap(), ErrorCode::NONE);
    assert_eq!(producer.producer, (first.0, first.1 + 1));
    assert_eq!(offset_of(&mut client, "g", "t"), (5, ErrorCode::NONE));
    let two: [&[u8]; 2] = [b"one", b"two"];
    assert_eq!(committed_values(&mut client, "t"), two);

    // What arrives late is of no transaction, not even of the next one.
    let mut late = Producer::start(server.kafka, "elsewhere").second();
    (late.id, late.producer) = (producer.id.clone(), first);
    let old_epoch = ErrorCode::INVALID_PRODUCER_EPOCH;
    assert_eq!(late.produce("t", b"late").unwrap(), Err(old_epoch));
    assert_eq!(late.commit_offset("g", "t", 9).unwrap(), old_epoch);
    assert_eq!(producer.produce("t", b"three").unwrap(), Ok(3));
    assert_eq!(late.produce("t", b"late").unwrap(), Err(old_epoch));
    assert_eq!(late.end(true).unwrap(), ErrorCode::PRODUCER_FENCED);
    assert_eq!(producer.end(false).unwrap(), ErrorCode::NONE);
    assert_eq!(committed_values(&mut client, "t"), two);

    // Asked for again by who hasn't heard, nothing happens twice.
    let ended = latest(&mut client, "t", 0);
    late.producer = (first.0, first.1 + 1);
    assert_eq!(late.end(false).unwrap(), ErrorCode::NONE);
    assert_eq!(late.producer, producer.producer);
    late.producer = (first.0, first.1 + 1);
    assert_eq!(late.end(true).unwrap(), ErrorCode::INVALID_TXN_STATE);
    assert_eq!(latest(&mut client, "t", 0), ended);
    // What has nothing in it is aborted, without markers, and can't be committed.
    assert_eq!(producer.end(true).unwrap(), ErrorCode::INVALID_TXN_STATE);
    assert_eq!(producer.end(false).unwrap(), ErrorCode::NONE);
    assert_eq!(latest(&mut client, "t", 0), ended);

    // One of the first version goes on where the second has ended.
    producer.is_second = false;
    let refused = producer.produce("t", b"four").unwrap();
    assert_eq!(refused, Err(ErrorCode::INVALID_TXN_STATE));
    producer.add("t").unwrap();
    producer.produce("t", b"four").unwrap().unwrap();
    assert_eq!(producer.end(true).unwrap(), ErrorCode::NONE);
    let all: [&[u8]; 3] = [b"one", b"two", b"four"];
    assert_eq!(committed_values(&mut client, "t"), all);
}

#[test]
fn clients_are_told_of_the_second_version() {
    let server = Server::start(&[]);
    let answer = server.client().call(
        &ApiVersionsRequest {
            client_software_name: "test".into(),
            client_software_version: "1".into(),
            ..Default::default()
        },
        3,
    );
    let levels = answer.finalized_features.iter();
    let levels: Vec<_> = levels
        .map(|one| (&*one.name, one.max_version_level))
        .collect();
    assert_eq!(levels, [("group.version", 1), ("transaction.version", 2)]);
    assert_eq!(answer.finalized_features_epoch, 1);
}

#[test]
fn a_request_can_end_what_hangs() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.metadata("t");
    let _before = Producer::start(server.kafka, "p");
    let mut producer = Producer::start(server.kafka, "p");
    producer.add("t").unwrap();
    producer.produce("t", b"hangs").unwrap().unwrap();
    client.produce("t", batch(&["after"]));
    assert!(committed_values(&mut client, "t").is_empty());
    let (id, epoch) = producer.producer;
    let write = |client: &mut Client, version, epoch, coordinator_epoch, topic: &str| {
        let topic = WritableTxnMarkerTopic {
            name: topic.into(),
            partition_indexes: vec![0, 9],
            ..Default::default()
        };
        let marker = WritableTxnMarker {
            producer_id: id,
            producer_epoch: epoch,
            coordinator_epoch,
            topics: vec![topic],
            ..Default::default()
        };
        let request = WriteTxnMarkersRequest {
            markers: vec![marker],
            ..Default::default()
        };
        let answer = client.call(&request, version);
        assert_eq!(answer.markers[0].producer_id, id);
        let partitions = &answer.markers[0].topics[0].partitions;
        [0, 1].map(|index| partitions[index].error_code)
    };
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    assert_eq!(write(&mut client, 1, epoch, 0, "nowhere"), [unknown; 2]);
    let fenced = ErrorCode::TRANSACTION_COORDINATOR_FENCED;
    assert_eq!(write(&mut client, 1, epoch, -1, "t")[0], fenced);
    let old = ErrorCode::INVALID_PRODUCER_EPOCH;
    assert_eq!(write(&mut client, 1, epoch - 1, 0, "t")[0], old);
    assert!(committed_values(&mut client, "t").is_empty());
    assert_eq!(
        write(&mut client, 0, epoch, 0, "t"),
        [ErrorCode::NONE, unknown]
    );
    assert_eq!(committed_values(&mut client, "t"), [b"after"]);
    // There is nothing left to end.
    let end = latest(&mut client, "t", 0);
    assert_eq!(write(&mut client, 1, epoch, 0, "t")[0], ErrorCode::NONE);
    assert_eq!(latest(&mut client, "t", 0), end);
}

#[test]
fn a_batch_of_no_open_transaction_is_refused() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.metadata("t");
    client.metadata("other");
    let mut producer = Producer::start(server.kafka, "p");
    // Of none, of one that doesn't have the partition, and of one that is over.
    let refused = Err(ErrorCode::INVALID_TXN_STATE);
    assert_eq!(producer.produce("t", b"x").unwrap(), refused);
    producer.add("other").unwrap();
    assert_eq!(producer.produce("t", b"x").unwrap(), refused);
    assert_eq!(producer.end(true).unwrap(), ErrorCode::NONE);
    assert_eq!(producer.produce("other", b"x").unwrap(), refused);
    assert_eq!(
        producer.add("nowhere").unwrap(),
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    assert_eq!(client.values("t", 0).len(), 0);
    // A transaction that wrote nothing leaves no marker.
    assert_eq!(latest(&mut client, "other", 0), 0);
    let request = InitProducerIdRequest {
        transactional_id: Some("".into()),
        ..Default::default()
    };
    let answer = client.call(&request, 4);
    assert_eq!(answer.error_code, ErrorCode::INVALID_REQUEST);
}

#[test]
fn a_transaction_that_takes_too_long_is_aborted() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.metadata("t");
    let mut producer = Producer::start_with(server.kafka, "p", 300);
    producer.add("t").unwrap();
    producer.produce("t", b"never").unwrap().unwrap();
    let began = Instant::now();
    while latest(&mut client, "t", 1) == 0 {
        assert!(began.elapsed() < PATIENCE, "it isn't aborted");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(committed_values(&mut client, "t").is_empty());
    assert_eq!(producer.end(true).unwrap(), ErrorCode::PRODUCER_FENCED);
    assert!(server.metric("kafka_transactions{result=\"abort\"}") >= 1.0);
}

#[test]
fn administrators_see_what_is_open() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.metadata("t");
    let mut producer = Producer::start(server.kafka, "p");
    producer.add("t").unwrap();
    producer.produce("t", b"x").unwrap().unwrap();
    let listed = client.call(&ListTransactionsRequest::default(), 1);
    let listed = &listed.transaction_states;
    assert_eq!((listed.len(), &*listed[0].transactional_id), (1, "p"));
    assert_eq!(listed[0].transaction_state, "Ongoing");
    let request = DescribeTransactionsRequest {
        transactional_ids: vec!["p".into(), "none".into(), "p".into()],
        ..Default::default()
    };
    let described = client.call(&request, 0).transaction_states;
    assert_eq!(described.len(), 2);
    assert_eq!(described[0].topics[0].topic, "t");
    assert_eq!(
        described[1].error_code,
        ErrorCode::TRANSACTIONAL_ID_NOT_FOUND
    );
    let topic = TopicRequest {
        name: "t".into(),
        partition_indexes: vec![0, 9],
        ..Default::default()
    };
    let request = DescribeProducersRequest {
        topics: vec![topic],
        ..Default::default()
    };
    let described = client.call(&request, 0);
    let partitions = &described.topics[0].partitions;
    let [active] = &*partitions[0].active_producers else {
        panic!("{partitions:?}")
    };
    assert_eq!(
        (active.producer_id, active.current_txn_start_offset),
        (producer.producer.0, 0)
    );
    assert_eq!(
        partitions[1].error_code,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
}

const TOPICS: [&str; 2] = ["left", "right"];
const PRODUCERS: usize = 3;
const ROUNDS: u32 = 12;

/// The number of a transaction, by what its producer heard of it.
#[derive(Default)]
struct Heard {
    committed: BTreeSet<u64>,
    aborted: BTreeSet<u64>,
    begun: BTreeSet<u64>,
}

/// Writes the number of each transaction into both topics, and into a group's offset, until the server
/// is gone. Every third is aborted.
fn transact(mut producer: Producer, schema: u32, next: &AtomicU64) -> Heard {
    let group = producer.id.clone();
    let mut heard = Heard::default();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        heard.begun.insert(number);
        let committed = !number.is_multiple_of(3);
        let value = framed(schema, &format!("{number:06}"));
        let mut run = || -> std::io::Result<()> {
            for topic in TOPICS {
                let added = producer.add(topic)?;
                assert_eq!(added, ErrorCode::NONE);
                producer.produce(topic, &value)?.expect("a place");
            }
            let offset = producer.commit_offset(&group, TOPICS[0], number as i64)?;
            assert_eq!(offset, ErrorCode::NONE);
            assert_eq!(producer.end(committed)?, ErrorCode::NONE);
            Ok(())
        };
        if run().is_err() {
            return heard;
        }
        match committed {
            true => heard.committed.insert(number),
            false => heard.aborted.insert(number),
        };
    }
}

fn number(value: &[u8]) -> u64 {
    std::str::from_utf8(&value[6..]).unwrap().parse().unwrap()
}

#[test]
fn killed_at_any_moment_a_transaction_is_everywhere_or_nowhere() {
    let next = AtomicU64::new(1);
    let mut heard = Heard::default();
    let mut begun: Vec<BTreeSet<u64>> = vec![BTreeSet::new(); PRODUCERS];
    let mut folder = folder();
    let flags = ["--table-commit-interval-ms=20"];
    let ids: Vec<String> = (0..PRODUCERS).map(|index| format!("p{index}")).collect();
    let mut seed = u64::from(std::process::id());
    for round in 0..=ROUNDS {
        let server = Server::start_in(folder, &flags);
        let mut client = server.client();
        let schemas = TOPICS.map(|topic| {
            client.metadata(topic);
            server.register(topic)
        });
        // Their transactions of before are decided now, one way or the other.
        let started = ids.iter().map(|id| Producer::start(server.kafka, id));
        // Each speaks the other version of the protocol in each round, on what it left in the one before.
        let started =
            (round..)
                .zip(started)
                .map(|(number, producer)| match number.is_multiple_of(2) {
                    true => producer,
                    false => producer.second(),
                });
        let started: Vec<Producer> = started.collect();
        let stored = TOPICS.map(|topic| -> Vec<u64> {
            let values = committed_values(&mut client, topic);
            values.iter().map(|value| number(value)).collect()
        });
        let [seen, other] = stored.each_ref().map(|all| -> BTreeSet<u64> {
            let set: BTreeSet<u64> = all.iter().copied().collect();
            assert_eq!(set.len(), all.len(), "nothing is there twice");
            set
        });
        assert_eq!(seen, other, "everywhere or nowhere");
        assert!(heard.committed.is_subset(&seen), "committed, and lost");
        assert!(heard.aborted.is_disjoint(&seen), "aborted, and there");
        for (id, begun) in ids.iter().zip(&begun) {
            let last = begun.intersection(&seen).max();
            let expected = last.map_or(-1, |number| *number as i64);
            assert_eq!(
                offset_of(&mut client, id, TOPICS[0]),
                (expected, ErrorCode::NONE)
            );
        }
        if round == ROUNDS {
            assert!(
                seen.len() > 20,
                "{} transactions are too few to tell",
                seen.len()
            );
            let (status, _, folder) = server.terminate();
            assert!(status.success(), "{status}");
            for (topic, stored) in TOPICS.iter().zip(&stored) {
                let rows = committed::rows(&folder.path().join("data"), topic);
                let rows: Vec<u64> = rows.iter().map(|row| row.value.parse().unwrap()).collect();
                assert_eq!(
                    rows, *stored,
                    "the table has what is committed, once, in its order"
                );
            }
            return;
        }
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let run = Duration::from_millis(50 + (seed >> 33) % 400);
        eprintln!("round {round}: killed after {run:?}");
        folder = std::thread::scope(|scope| {
            let next = &next;
            let producers: Vec<_> = started
                .into_iter()
                .map(|one| scope.spawn(move || transact(one, schemas[0], next)))
                .collect();
            std::thread::sleep(run);
            let folder = server.kill();
            for (producer, begun) in producers.into_iter().zip(&mut begun) {
                let one = producer.join().expect("a producer");
                heard.committed.extend(one.committed);
                heard.aborted.extend(one.aborted);
                begun.extend(one.begun);
            }
            folder
        });
    }
}
