//! Topics that take only records whose schemas are registered for them.

mod support;

use bytes::Bytes;
use fletch_wire::ErrorCode;
use fletch_wire::messages::create_topics::{CreatableTopic, CreatableTopicConfig};
use fletch_wire::messages::produce::PartitionProduceResponse;
use fletch_wire::messages::{AlterConfigsRequest, CreateTopicsRequest};
use fletch_wire::records::{BatchBuilder, Compression};
use support::{Client, Server, framed, start_ms};

const VALUE: &str = "confluent.value.schema.validation";
const VALUE_STRATEGY: &str = "confluent.value.subject.name.strategy";
const KEY: &str = "confluent.key.schema.validation";
const KEY_STRATEGY: &str = "confluent.key.subject.name.strategy";
const BY_RECORD: &str = "io.confluent.kafka.serializers.subject.RecordNameStrategy";
const BY_BOTH: &str = "io.confluent.kafka.serializers.subject.TopicRecordNameStrategy";

fn create(client: &mut Client, topic: &str, configs: &[(&str, &str)]) -> ErrorCode {
    let configs = configs.iter().map(|(name, value)| CreatableTopicConfig {
        name: (*name).into(),
        value: Some((*value).into()),
        ..Default::default()
    });
    let topic = CreatableTopic {
        name: topic.into(),
        num_partitions: 1,
        replication_factor: 1,
        configs: configs.collect(),
        ..Default::default()
    };
    let request = CreateTopicsRequest {
        topics: vec![topic],
        ..Default::default()
    };
    client.call(&request, 7).topics[0].error_code
}

/// A key and a value of a record.
type Pair<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

fn records(pairs: &[Pair<'_>]) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::Zstd);
    for (key, value) in pairs {
        builder.append(start_ms(), *key, *value, &[]).unwrap();
    }
    builder.finish().unwrap().into_bytes()
}

fn values(values: &[&[u8]]) -> Bytes {
    let pairs: Vec<Pair<'_>> = values.iter().map(|value| (None, Some(*value))).collect();
    records(&pairs)
}

/// The error, and which records are to blame.
fn blamed(answer: &PartitionProduceResponse) -> (ErrorCode, Vec<i32>) {
    let records = answer.record_errors.iter();
    (
        answer.error_code,
        records.map(|record| record.batch_index).collect(),
    )
}

fn taken(answer: &PartitionProduceResponse) -> bool {
    assert_eq!(blamed(answer), (ErrorCode::NONE, vec![]), "{answer:?}");
    true
}

/// A record of this name, which `framed` values are of.
fn avro(name: &str) -> String {
    format!(r#"{{"type":"record","name":"{name}","fields":[{{"name":"v","type":"string"}}]}}"#)
}

#[test]
fn values_are_of_schemas_of_the_topics_subject() {
    let server = Server::start(&[]);
    let mut client = server.client();
    assert_eq!(
        create(&mut client, "t", &[(VALUE, "true")]),
        ErrorCode::NONE
    );
    let ours = server.register_as("t-value", "AVRO", &avro("Ours"));
    let other = server.register_as("u-value", "AVRO", &avro("Other"));
    assert_ne!(ours, other);
    let good = framed(ours, "good");
    assert!(taken(&client.produce("t", values(&[&good, &good]))));
    // Nobody writes one of these, nor the good ones that come with them.
    let (elsewhere, unknown) = (framed(other, "x"), framed(999, "x"));
    let answer = client.produce("t", values(&[&good, &elsewhere, b"plain", &unknown, &good]));
    assert_eq!(blamed(&answer), (ErrorCode::INVALID_RECORD, vec![1, 2, 3]));
    let message = |at: usize| answer.record_errors[at].batch_index_error_message.clone();
    assert_eq!(
        message(0).as_deref(),
        Some(&*format!(
            "the value's schema {other} isn't registered under subject t-value"
        ))
    );
    assert_eq!(
        message(1).as_deref(),
        Some("the value names no schema: it isn't framed")
    );
    assert_eq!(
        message(2).as_deref(),
        Some("the value's schema 999 isn't in the registry")
    );
    // A tombstone has no schema, and keys are anything.
    let tombstone: Pair<'_> = (Some(b"key"), None);
    assert!(taken(&client.produce("t", records(&[tombstone]))));
    assert_eq!(client.values("t", 0).len(), 3);
    // Once it is registered there, it is taken.
    let none = r#"{"compatibility":"NONE"}"#;
    server.registry("PUT", "/config/t-value", none);
    assert_eq!(server.register_as("t-value", "AVRO", &avro("Other")), other);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert!(taken(&client.produce("t", values(&[&elsewhere]))));
    // A topic that doesn't ask for it takes anything.
    assert_eq!(create(&mut client, "free", &[]), ErrorCode::NONE);
    assert!(taken(
        &client.produce("free", values(&[b"plain", &unknown]))
    ));
}

#[test]
fn an_id_in_a_header_is_as_good_as_one_before_the_value() {
    let server = Server::start(&[]);
    let mut client = server.client();
    create(&mut client, "t", &[(VALUE, "true")]);
    let id = server.register_as("t-value", "AVRO", &avro("Ours"));
    let send = |client: &mut Client, header: &[u8]| {
        let mut builder = BatchBuilder::new(Compression::None);
        let headers: [(&[u8], Option<&[u8]>); 1] = [(b"__value_schema_id", Some(header))];
        builder
            .append(start_ms(), None, Some(b"\x02x"), &headers)
            .unwrap();
        client.produce("t", builder.finish().unwrap().into_bytes())
    };
    let by_id = [&[0][..], &id.to_be_bytes()].concat();
    assert!(taken(&send(&mut client, &by_id)));
    let found = server.registry("GET", &format!("/schemas/ids/{id}?fetchMaxId=false"), "");
    assert!(found["schema"].is_string(), "{found}");
    let by_guid = [&[1][..], &[7; 16]].concat();
    let answer = send(&mut client, &by_guid);
    assert_eq!(blamed(&answer), (ErrorCode::INVALID_RECORD, vec![0]));
}

#[test]
fn subjects_are_called_as_the_topic_says() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let by_record = [(VALUE, "true"), (VALUE_STRATEGY, BY_RECORD)];
    assert_eq!(create(&mut client, "r", &by_record), ErrorCode::NONE);
    let by_both = [(VALUE, "true"), (VALUE_STRATEGY, BY_BOTH)];
    assert_eq!(create(&mut client, "b", &by_both), ErrorCode::NONE);

    let order = server.register_as("Order", "AVRO", &avro("Order"));
    let order = framed(order, "x");
    assert!(taken(&client.produce("r", values(&[&order]))));
    let refused = (ErrorCode::INVALID_RECORD, vec![0]);
    assert_eq!(blamed(&client.produce("b", values(&[&order]))), refused);
    server.register_as("b-Order", "AVRO", &avro("Order"));
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert!(taken(&client.produce("b", values(&[&order]))));
    // What has no name isn't of any subject.
    let nameless = server.register_as("b-value", "AVRO", r#""string""#);
    let nameless = framed(nameless, "x");
    assert_eq!(blamed(&client.produce("r", values(&[&nameless]))), refused);

    // A message says which of its file's messages it is.
    let file = r#"syntax = "proto3"; package shop; message First {} message Second {}"#;
    let id = server.register_as("shop.Second", "PROTOBUF", file);
    let message = |path: &[u8]| [&[0][..], &id.to_be_bytes(), path].concat();
    let (first, second) = (message(&[0]), message(&[2, 2]));
    let answer = client.produce("r", values(&[&second, &first]));
    assert_eq!(blamed(&answer), (ErrorCode::INVALID_RECORD, vec![1]));
    assert!(taken(&client.produce("r", values(&[&second]))));
    let titled = r#"{"title":"Reading","type":"object"}"#;
    let id = server.register_as("Reading", "JSON", titled);
    let reading = [&[0][..], &id.to_be_bytes(), b"{}"].concat();
    assert!(taken(&client.produce("r", values(&[&reading]))));
}

#[test]
fn keys_are_validated_by_themselves() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let configs = [(KEY, "true"), (KEY_STRATEGY, BY_RECORD)];
    assert_eq!(create(&mut client, "k", &configs), ErrorCode::NONE);
    let id = server.register_as("Id", "AVRO", &avro("Id"));
    let key = framed(id, "x");
    let (good, bad): (Pair<'_>, Pair<'_>) =
        ((Some(&key), Some(b"any")), (Some(b"k"), Some(b"any")));
    assert!(taken(
        &client.produce("k", records(&[good, (None, Some(b"any"))]))
    ));
    let answer = client.produce("k", records(&[good, bad]));
    assert_eq!(blamed(&answer), (ErrorCode::INVALID_RECORD, vec![1]));
    // Changed while the topic is in use.
    let resource = fletch_wire::messages::alter_configs::AlterConfigsResource {
        resource_type: 2,
        resource_name: "k".into(),
        ..Default::default()
    };
    let request = AlterConfigsRequest {
        resources: vec![resource],
        ..Default::default()
    };
    assert_eq!(
        client.call(&request, 1).responses[0].error_code,
        ErrorCode::NONE
    );
    assert!(taken(&client.produce("k", records(&[good, bad]))));
}

#[test]
fn what_is_known_is_taken_while_the_registry_is_away() {
    let elsewhere = Server::start(&["--table-enabled=false"]);
    let url = format!("--registry-url=http://{}", elsewhere.registry);
    let server = Server::start(&[&url, "--table-enabled=false"]);
    let mut client = server.client();
    create(&mut client, "t", &[(VALUE, "true")]);
    let known = framed(elsewhere.register_as("t-value", "AVRO", &avro("A")), "x");
    let other = framed(elsewhere.register_as("u-value", "AVRO", &avro("B")), "x");
    assert!(taken(&client.produce("t", values(&[&known]))));
    let answer = client.produce("t", values(&[&known, &other]));
    assert_eq!(blamed(&answer), (ErrorCode::INVALID_RECORD, vec![1]));
    drop(elsewhere.kill());
    assert!(taken(&client.produce("t", values(&[&known]))));
    // A producer tries that again.
    let answer = client.produce("t", values(&[&framed(77, "x")]));
    assert_eq!(blamed(&answer), (ErrorCode::REQUEST_TIMED_OUT, vec![]));
}

#[test]
fn without_a_registry_it_cannot_be_asked_for() {
    let server = Server::start(&["--registry-enabled=false"]);
    let mut client = server.client();
    let created = create(&mut client, "t", &[(VALUE, "true")]);
    assert_eq!(created, ErrorCode::INVALID_CONFIG);
    let wrong = [(VALUE, "true"), (VALUE_STRATEGY, "RecordNameStrategy")];
    assert_eq!(create(&mut client, "t", &wrong), ErrorCode::INVALID_CONFIG);
}
