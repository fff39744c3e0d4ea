//! Topics created, described and deleted by request.

mod support;

use fletch_wire::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use fletch_wire::messages::delete_topics::DeleteTopicState;
use fletch_wire::messages::describe_configs::DescribeConfigsResource;
use fletch_wire::messages::incremental_alter_configs::{AlterConfigsResource, AlterableConfig};
use fletch_wire::messages::metadata::MetadataRequestTopic;
use fletch_wire::messages::{
    CreateTopicsRequest, DeleteTopicsRequest, DescribeClusterRequest, DescribeConfigsRequest,
    FindCoordinatorRequest, IncrementalAlterConfigsRequest, MetadataRequest,
};
use fletch_wire::{ErrorCode, Uuid};
use support::{Client, Server, batch};

fn topic(name: &str, partitions: i32, replicas: i16) -> CreatableTopic {
    CreatableTopic {
        name: name.into(),
        num_partitions: partitions,
        replication_factor: replicas,
        ..Default::default()
    }
}

fn with_config(name: &str, key: &str, value: Option<&str>) -> CreatableTopic {
    let config = CreatableTopicConfig {
        name: key.into(),
        value: value.map(Into::into),
        ..Default::default()
    };
    CreatableTopic {
        configs: vec![config],
        ..topic(name, 1, 1)
    }
}

fn create(client: &mut Client, topic: CreatableTopic) -> (ErrorCode, i32) {
    let answer = client.call(
        &CreateTopicsRequest {
            topics: vec![topic],
            ..Default::default()
        },
        7,
    );
    let result = &answer.topics[0];
    assert_eq!(
        result.error_code.is_none(),
        result.error_message.is_none(),
        "{result:?}"
    );
    (result.error_code, result.num_partitions)
}

#[test]
fn topics_are_created_as_asked_or_refused_as_kafka_does() {
    let server = Server::start(&[
        "--topics-partitions=2",
        "--topics-topics-max=5",
        "--topics-partitions-max=20",
    ]);
    let mut client = server.client();
    assert_eq!(create(&mut client, topic("a", 4, 1)), (ErrorCode::NONE, 4));
    assert_eq!(
        create(&mut client, topic("b", -1, -1)),
        (ErrorCode::NONE, 2)
    );
    assert_eq!(
        create(&mut client, topic("a", 1, 1)).0,
        ErrorCode::TOPIC_ALREADY_EXISTS
    );
    assert_eq!(
        create(&mut client, topic("a b", 1, 1)).0,
        ErrorCode::INVALID_TOPIC_EXCEPTION
    );
    assert_eq!(
        create(&mut client, topic("c", 1, 3)).0,
        ErrorCode::INVALID_REPLICATION_FACTOR
    );
    assert_eq!(
        create(&mut client, topic("c", 1, 0)).0,
        ErrorCode::INVALID_REPLICATION_FACTOR
    );
    assert_eq!(
        create(&mut client, topic("c", 0, 1)).0,
        ErrorCode::INVALID_PARTITIONS
    );
    assert_eq!(
        create(&mut client, topic("c", -2, 1)).0,
        ErrorCode::INVALID_PARTITIONS
    );
    assert_eq!(
        create(&mut client, topic("c", 15, 1)).0,
        ErrorCode::POLICY_VIOLATION
    );
    let assign = |indexes: &[i32], broker: i32| CreatableTopic {
        assignments: indexes
            .iter()
            .map(|index| CreatableReplicaAssignment {
                partition_index: *index,
                broker_ids: vec![broker],
                ..Default::default()
            })
            .collect(),
        ..topic("c", -1, -1)
    };
    assert_eq!(
        create(&mut client, assign(&[0, 2], 1)).0,
        ErrorCode::INVALID_REPLICA_ASSIGNMENT
    );
    assert_eq!(
        create(&mut client, assign(&[0, 1], 9)).0,
        ErrorCode::INVALID_REPLICA_ASSIGNMENT
    );
    assert_eq!(
        create(
            &mut client,
            CreatableTopic {
                num_partitions: 2,
                ..assign(&[0, 1], 1)
            }
        )
        .0,
        ErrorCode::INVALID_REQUEST
    );
    assert_eq!(
        create(&mut client, assign(&[1, 0, 2], 1)),
        (ErrorCode::NONE, 3)
    );
    assert_eq!(
        create(&mut client, with_config("d", "retention.ms", Some("x"))).0,
        ErrorCode::INVALID_CONFIG
    );
    assert_eq!(
        create(&mut client, with_config("d", "retention.ms", None)).0,
        ErrorCode::INVALID_CONFIG
    );
    assert_eq!(
        create(&mut client, with_config("d", "no.such", Some("1"))).0,
        ErrorCode::INVALID_CONFIG
    );
    // Only asked whether it could be: it isn't there afterwards.
    let request = CreateTopicsRequest {
        topics: vec![topic("d", 1, 1)],
        validate_only: true,
        ..Default::default()
    };
    for _ in 0..2 {
        assert_eq!(
            client.call(&request, 7).topics[0].error_code,
            ErrorCode::NONE
        );
    }
    // A name that comes twice is refused once.
    let request = CreateTopicsRequest {
        topics: vec![topic("d", 1, 1), topic("d", 2, 1)],
        ..Default::default()
    };
    let answer = client.call(&request, 7);
    assert_eq!(
        (answer.topics.len(), answer.topics[0].error_code),
        (1, ErrorCode::INVALID_REQUEST)
    );
    assert_eq!(
        create(
            &mut client,
            with_config("d", "max.message.bytes", Some("100"))
        ),
        (ErrorCode::NONE, 1)
    );
    assert_eq!(
        client.produce("d", batch(&["x"])).error_code,
        ErrorCode::NONE
    );
    assert_eq!(
        client.produce("d", batch(&[&"x".repeat(100)])).error_code,
        ErrorCode::MESSAGE_TOO_LARGE
    );
    assert_eq!(create(&mut client, topic("e", 1, 1)), (ErrorCode::NONE, 1));
    assert_eq!(
        create(&mut client, topic("f", 1, 1)).0,
        ErrorCode::POLICY_VIOLATION,
        "topics.topics_max"
    );
}

#[test]
fn topics_are_deleted_by_name_and_by_id() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let id = client.metadata("a").topics[0].topic_id;
    client.metadata("b");
    client.produce("b", batch(&["x"]));
    let by_name = DeleteTopicsRequest {
        topic_names: vec!["b".into(), "none".into()],
        ..Default::default()
    };
    let answer = client.call(&by_name, 5);
    let codes: Vec<_> = answer
        .responses
        .iter()
        .map(|topic| topic.error_code)
        .collect();
    assert_eq!(
        codes,
        [ErrorCode::NONE, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION]
    );
    let state = |name: Option<&str>, topic_id| DeleteTopicState {
        name: name.map(Into::into),
        topic_id,
        ..Default::default()
    };
    let topics = vec![
        state(None, id),
        state(None, Uuid::from_u128(3)),
        state(None, Uuid::nil()),
        state(Some("a"), id),
    ];
    let answer = client.call(
        &DeleteTopicsRequest {
            topics,
            ..Default::default()
        },
        6,
    );
    let codes: Vec<_> = answer
        .responses
        .iter()
        .map(|topic| topic.error_code)
        .collect();
    assert_eq!(
        codes,
        [
            ErrorCode::NONE,
            ErrorCode::UNKNOWN_TOPIC_ID,
            ErrorCode::INVALID_REQUEST,
            ErrorCode::INVALID_REQUEST
        ]
    );
    assert_eq!(answer.responses[0].name.as_deref(), Some("a"));
    // A topic of the same name is another topic, and empty.
    assert_ne!(client.metadata("a").topics[0].topic_id, id);
    client.metadata("b");
    assert_eq!(client.values("b", 0), []);
}

#[test]
fn configs_are_described_with_where_they_come_from() {
    let server = Server::start(&["--kafka-batch-bytes-max=5000"]);
    let mut client = server.client();
    assert_eq!(
        create(&mut client, with_config("t", "retention.ms", Some("1000"))).0,
        ErrorCode::NONE
    );
    let resource = |resource_type, name: &str| DescribeConfigsResource {
        resource_type,
        resource_name: name.into(),
        ..Default::default()
    };
    let request = DescribeConfigsRequest {
        resources: vec![
            resource(2, "t"),
            resource(2, "none"),
            resource(4, "1"),
            resource(4, "2"),
            resource(4, ""),
            resource(9, "x"),
        ],
        include_synonyms: true,
        include_documentation: true,
        ..Default::default()
    };
    let answer = client.call(&request, 4);
    let codes: Vec<_> = answer
        .results
        .iter()
        .map(|result| result.error_code)
        .collect();
    let (none, invalid) = (ErrorCode::NONE, ErrorCode::INVALID_REQUEST);
    assert_eq!(
        codes,
        [
            none,
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            none,
            invalid,
            none,
            invalid
        ]
    );
    let entry = |result: usize, name: &str| {
        let found = answer.results[result]
            .configs
            .iter()
            .find(|entry| entry.name == *name);
        found.unwrap_or_else(|| panic!("no {name}")).clone()
    };
    let retention = entry(0, "retention.ms");
    assert_eq!(
        (retention.value.as_deref(), retention.config_source),
        (Some("1000"), 1)
    );
    let synonyms: Vec<_> = retention
        .synonyms
        .iter()
        .map(|synonym| (&*synonym.name, synonym.source))
        .collect();
    assert_eq!(synonyms, [("retention.ms", 1), ("log.retention.ms", 5)]);
    assert!(retention.documentation.is_some());
    assert_eq!(entry(0, "max.message.bytes").value.as_deref(), Some("5000"));
    assert_eq!(
        entry(2, "auto.create.topics.enable").value.as_deref(),
        Some("true")
    );
    assert!(entry(2, "node.id").read_only);
    // Only what is asked for, in the oldest version.
    let mut only = resource(2, "t");
    only.configuration_keys = Some(vec!["cleanup.policy".into()]);
    let answer = client.call(
        &DescribeConfigsRequest {
            resources: vec![only],
            ..Default::default()
        },
        0,
    );
    assert_eq!(answer.results[0].configs.len(), 1);
    assert!(answer.results[0].configs[0].is_default);
    // No keys are all of them, as Kafka has it.
    let all = |configuration_keys| DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            configuration_keys,
            ..resource(2, "t")
        }],
        ..Default::default()
    };
    let [null, empty] =
        [None, Some(Vec::new())].map(|keys| client.call(&all(keys), 4).results[0].configs.len());
    assert!(null > 20 && null == empty, "{null} and {empty}");
}

#[test]
fn changes_that_make_no_sense_are_told_from_values_that_do_not() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.metadata("t");
    let (set, delete) = (0, 1);
    let change = |name: &str, config_operation, value: Option<&str>| AlterableConfig {
        name: name.into(),
        config_operation,
        value: value.map(Into::into),
        ..Default::default()
    };
    let mut alter = |resource_name: &str, configs| {
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: 2,
                resource_name: resource_name.into(),
                configs,
                ..Default::default()
            }],
            ..Default::default()
        };
        client.call(&request, 1).responses[0].error_code
    };
    let hour = || change("retention.ms", set, Some("3600000"));
    assert_eq!(alter("t", vec![hour()]), ErrorCode::NONE);
    for (wrong, code) in [
        (vec![hour(), hour()], ErrorCode::INVALID_REQUEST),
        (
            vec![change("retention.ms", set, None)],
            ErrorCode::INVALID_REQUEST,
        ),
        (
            vec![change("retention.ms", set, Some("soon"))],
            ErrorCode::INVALID_CONFIG,
        ),
        (
            vec![change("no.such", delete, None)],
            ErrorCode::INVALID_CONFIG,
        ),
    ] {
        assert_eq!(alter("t", wrong.clone()), code, "{wrong:?}");
    }
    assert_eq!(alter("", vec![hour()]), ErrorCode::INVALID_REQUEST);
    assert_eq!(
        alter("none", vec![hour()]),
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
}

#[test]
fn a_topic_named_twice_is_answered_once() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let name = || MetadataRequestTopic {
        name: Some("t".into()),
        ..Default::default()
    };
    let request = MetadataRequest {
        topics: Some(vec![name(), name()]),
        allow_auto_topic_creation: true,
        ..Default::default()
    };
    assert_eq!(client.call(&request, 12).topics.len(), 1);
}

#[test]
fn the_cluster_is_one_node() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let cluster = client.call(&DescribeClusterRequest::default(), 1);
    assert_eq!(
        (cluster.brokers.len(), cluster.controller_id),
        (1, cluster.brokers[0].broker_id)
    );
    assert_eq!(cluster.brokers[0].port, i32::from(server.kafka.port()));
    assert_eq!(Some(cluster.cluster_id), client.metadata("t").cluster_id);
    let controllers = DescribeClusterRequest {
        endpoint_type: 2,
        ..Default::default()
    };
    assert_eq!(
        client.call(&controllers, 1).error_code,
        ErrorCode::MISMATCHED_ENDPOINT_TYPE
    );
    let old = client.call(
        &FindCoordinatorRequest {
            key: "group".into(),
            ..Default::default()
        },
        2,
    );
    assert_eq!(
        (old.error_code, old.port),
        (ErrorCode::NONE, i32::from(server.kafka.port()))
    );
    let keys = vec!["one".into(), "two".into()];
    let new = client.call(
        &FindCoordinatorRequest {
            coordinator_keys: keys,
            ..Default::default()
        },
        6,
    );
    assert_eq!(new.coordinators.len(), 2);
    assert_eq!(&*new.coordinators[1].key, "two");
}

#[test]
fn what_was_created_and_produced_outlives_the_server() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let before = client.metadata("t");
    client.produce("t", batch(&["a", "b"]));
    let (status, _, folder) = server.terminate();
    assert!(status.success());
    let server = Server::start_in(folder, &[]);
    let mut client = server.client();
    let after = client.metadata("t");
    assert_eq!(
        (&before.cluster_id, &before.topics),
        (&after.cluster_id, &after.topics)
    );
    assert_eq!(
        client.values("t", 0),
        [(0, b"a".to_vec()), (1, b"b".to_vec())]
    );
    assert_eq!(client.produce("t", batch(&["c"])).base_offset, 2);
}

#[test]
fn topics_are_described_page_by_page() {
    use fletch_wire::messages::describe_topic_partitions::{Cursor, TopicRequest};
    use fletch_wire::messages::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};

    let server = Server::start(&[]);
    let mut client = server.client();
    for (name, partitions) in [("a", 2), ("b", 3), ("c", 1)] {
        create(&mut client, topic(name, partitions, 1));
    }
    let asked = ["c", "b", "nowhere", "a"].map(|name| TopicRequest {
        name: name.into(),
        ..Default::default()
    });
    let mut page = |limit, cursor: Option<Cursor>| -> DescribeTopicPartitionsResponse {
        let request = DescribeTopicPartitionsRequest {
            topics: asked.to_vec(),
            response_partition_limit: limit,
            cursor,
            ..Default::default()
        };
        client.call(&request, 0)
    };
    let mut pages = Vec::new();
    let mut cursor = None;
    loop {
        let answer = page(2, cursor);
        pages.push(
            answer
                .topics
                .iter()
                .map(|topic| {
                    let indexes = topic.partitions.iter().map(|p| p.partition_index).collect();
                    (topic.name.clone().unwrap().to_string(), indexes)
                })
                .collect::<Vec<(String, Vec<i32>)>>(),
        );
        cursor = answer.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let expect = |topics: &[(&str, &[i32])]| -> Vec<(String, Vec<i32>)> {
        topics
            .iter()
            .map(|(name, indexes)| ((*name).to_owned(), indexes.to_vec()))
            .collect()
    };
    assert_eq!(
        pages,
        [
            expect(&[("a", &[0, 1])]),
            expect(&[("b", &[0, 1])]),
            expect(&[("b", &[2]), ("c", &[0]), ("nowhere", &[])]),
        ]
    );
}

#[test]
fn an_epoch_ends_where_the_log_does() {
    use fletch_wire::messages::OffsetForLeaderEpochRequest;
    use fletch_wire::messages::offset_for_leader_epoch::{
        OffsetForLeaderPartition, OffsetForLeaderTopic,
    };

    let server = Server::start(&[]);
    let mut client = server.client();
    create(&mut client, topic("a", 1, 1));
    assert!(
        client
            .produce("a", batch(&["1", "2", "3"]))
            .error_code
            .is_none()
    );
    let mut end = |partition, current_leader_epoch, leader_epoch| {
        let request = OffsetForLeaderEpochRequest {
            topics: vec![OffsetForLeaderTopic {
                topic: "a".into(),
                partitions: vec![OffsetForLeaderPartition {
                    partition,
                    current_leader_epoch,
                    leader_epoch,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        let answer = client.call(&request, 4);
        let found = &answer.topics[0].partitions[0];
        (found.error_code, found.leader_epoch, found.end_offset)
    };
    assert_eq!(end(0, 0, 0), (ErrorCode::NONE, 0, 3));
    assert_eq!(end(0, -1, 7), (ErrorCode::NONE, -1, -1));
    assert_eq!(end(0, 3, 0), (ErrorCode::UNKNOWN_LEADER_EPOCH, -1, -1));
    assert_eq!(
        end(1, 0, 0),
        (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, -1, -1)
    );
}
