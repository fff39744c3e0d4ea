//! Fetch sessions (KIP-227) over raw sockets.

mod support;

use std::time::{Duration, Instant};

use fletch_wire::messages::fetch::{FetchPartition, FetchTopic, ForgottenTopic};
use fletch_wire::messages::{FetchRequest, FetchResponse};
use fletch_wire::{ErrorCode, Payload, Uuid};
use support::{Client, Server, batch, decode, fetch_request};

/// A request about partition 0 of topics, by name, at these offsets.
fn request(session: (i32, i32), topics: &[(&str, i64)]) -> FetchRequest {
    let topic = |(topic, offset): &(&str, i64)| fetch_request(topic, *offset, 0).topics.remove(0);
    FetchRequest {
        session_id: session.0,
        session_epoch: session.1,
        topics: topics.iter().map(topic).collect(),
        ..fetch_request("", 0, 0)
    }
}

/// What an answer is about: topic, error, high watermark, records.
fn news(answer: &FetchResponse) -> Vec<(String, ErrorCode, i64, usize)> {
    let topics = answer.responses.iter();
    topics
        .flat_map(|topic| {
            topic.partitions.iter().map(|data| {
                let records = data.records.clone().unwrap_or_default();
                let name = match topic.topic_id.is_nil() {
                    true => topic.topic.to_string(),
                    false => topic.topic_id.to_string(),
                };
                let count = decode(&records).len();
                (name, data.error_code, data.high_watermark, count)
            })
        })
        .collect()
}

fn open(client: &mut Client, topics: &[(&str, i64)]) -> (i32, FetchResponse) {
    let answer = client.call(&request((0, 0), topics), 12);
    assert_eq!(answer.error_code, ErrorCode::NONE);
    assert!(answer.session_id > 0);
    (answer.session_id, answer)
}

#[test]
fn an_answer_has_only_news() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for topic in ["a", "b", "c"] {
        client.metadata(topic);
    }
    client.produce("a", batch(&["1"]));
    let none = ErrorCode::NONE;
    let (id, first) = open(&mut client, &[("a", 0), ("b", 0), ("c", 0)]);
    let all = [("a", 1, 1), ("b", 0, 0), ("c", 0, 0)];
    assert_eq!(
        news(&first),
        all.map(|(topic, high, count)| (topic.to_owned(), none, high, count))
    );
    // Nothing is asked anew and nothing is new, but that `a` is still behind.
    let answer = client.call(&request((id, 1), &[]), 12);
    assert_eq!(answer.session_id, id);
    assert_eq!(news(&answer), [("a".to_owned(), none, 1, 1)]);
    let answer = client.call(&request((id, 2), &[("a", 1)]), 12);
    assert_eq!((answer.session_id, news(&answer)), (id, vec![]));
    // Something comes, and ends a wait that knows its partitions from the session alone.
    let mut waits = request((id, 3), &[]);
    waits.max_wait_ms = 15_000;
    client.send(&waits, 12);
    assert!(client.is_silent(Duration::from_millis(100)));
    let asked = Instant::now();
    server.client().produce("c", batch(&["2", "3"]));
    let answer = match client.receive() {
        fletch_wire::ResponseBody::Fetch(answer) => answer,
        other => panic!("{other:?}"),
    };
    assert!(asked.elapsed() < Duration::from_secs(10));
    assert_eq!(news(&answer), [("c".to_owned(), none, 2, 2)]);
    // A forgotten partition is not mentioned, whatever comes.
    let mut forgets = request((id, 4), &[("c", 2)]);
    forgets.forgotten_topics_data = vec![ForgottenTopic {
        topic: "b".into(),
        partitions: vec![0],
        ..Default::default()
    }];
    assert_eq!(news(&client.call(&forgets, 12)), []);
    client.produce("b", batch(&["4"]));
    assert_eq!(news(&client.call(&request((id, 5), &[]), 12)), []);
    // One that isn't there is an error each time, and one that is added is told of.
    let lost = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    for (epoch, topics) in [(6, &[("nowhere", 0), ("b", 1)][..]), (7, &[])] {
        let answer = client.call(&request((id, epoch), topics), 12);
        let mut expected = vec![("nowhere".to_owned(), lost, -1, 0)];
        if epoch == 6 {
            expected.push(("b".to_owned(), none, 1, 0));
        }
        assert_eq!(news(&answer), expected);
    }
    assert_eq!(server.metric("kafka_fetch_sessions"), 1.0);
}

#[test]
fn what_a_session_is_not() {
    let server = Server::start(&["--kafka-fetch-sessions-max", "2"]);
    let mut client = server.client();
    let topic_id = client.metadata("a").topics[0].topic_id;
    let error = |client: &mut Client, session, version| {
        let answer = client.call(&request(session, &[]), version);
        assert!(answer.responses.is_empty() && answer.session_id == 0);
        answer.error_code
    };
    for session in [(5, 1), (0, 1)] {
        assert_eq!(
            error(&mut client, session, 12),
            ErrorCode::FETCH_SESSION_ID_NOT_FOUND
        );
    }
    let (id, _) = open(&mut client, &[("a", 0)]);
    assert_eq!(
        error(&mut client, (id, 2), 12),
        ErrorCode::INVALID_FETCH_SESSION_EPOCH
    );
    assert_eq!(
        error(&mut client, (id, 1), 13),
        ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR
    );
    // It belongs to no connection, and the errors didn't hurt it.
    let answer = server.client().call(&request((id, 1), &[]), 12);
    assert_eq!(
        (answer.error_code, answer.session_id),
        (ErrorCode::NONE, id)
    );
    // By topic ids.
    let by_id = |session: (i32, i32), topic_id: Uuid| {
        let partition = FetchPartition {
            partition_max_bytes: 1 << 20,
            ..Default::default()
        };
        let topic = FetchTopic {
            topic_id,
            partitions: vec![partition],
            ..Default::default()
        };
        FetchRequest {
            session_id: session.0,
            session_epoch: session.1,
            topics: vec![topic],
            ..request(session, &[])
        }
    };
    let second = client.call(&by_id((0, 0), topic_id), 17).session_id;
    assert!(second > 0 && second != id);
    let unknown = by_id((second, 1), Uuid::from_u128(7));
    assert_eq!(
        news(&client.call(&unknown, 17))[0].1,
        ErrorCode::UNKNOWN_TOPIC_ID
    );
    client.produce("a", batch(&["1"]));
    let answer = client.call(
        &FetchRequest {
            topics: vec![],
            ..by_id((second, 2), topic_id)
        },
        17,
    );
    let found = news(&answer);
    assert_eq!(found.len(), 2);
    assert!(found.contains(&(topic_id.to_string(), ErrorCode::NONE, 1, 1)));
    // There is no room for a third while both are in use; it is answered in full all the same.
    let answer = client.call(&request((0, 0), &[("a", 0)]), 12);
    assert_eq!((answer.session_id, news(&answer)[0].3), (0, 1));
    // Whoever ends a session makes room.
    let answer = client.call(&request((id, -1), &[("a", 0)]), 12);
    assert_eq!((answer.session_id, news(&answer)[0].3), (0, 1));
    open(&mut client, &[("a", 0)]);
    // A request that wants none gets none, and one before version 7 knows none.
    for version in [4, 6, 12] {
        let answer = client.call(&request((0, -1), &[("a", 0)]), version);
        assert_eq!(answer.session_id, 0);
        let records: &Payload = answer.responses[0].partitions[0].records.as_ref().unwrap();
        assert_eq!(decode(records).len(), 1);
    }
}
