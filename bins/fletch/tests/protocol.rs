//! What clients depend on, over raw sockets: order, silence, versions, errors, waiting.

mod support;

use std::time::{Duration, Instant};

use fletch_wire::messages::api_versions::ApiVersion;
use fletch_wire::messages::fetch::{FetchPartition, FetchTopic};
use fletch_wire::messages::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use fletch_wire::messages::metadata::MetadataRequestTopic;
use fletch_wire::messages::{
    ApiVersionsRequest, ApiVersionsResponse, FetchRequest, InitProducerIdRequest,
    ListOffsetsRequest, Message, MetadataRequest, MetadataResponse, ProduceRequest, RequestBody,
};
use fletch_wire::records::{BatchBuilder, Compression};
use fletch_wire::{ApiKey, ErrorCode, Limits, Payload, RequestHeader, Uuid, decode_response};
use support::{
    Client, Server, batch, batch_with, decode, fetch_request, produce_request, start_ms,
};

fn served(client: &mut Client) -> Vec<ApiVersion> {
    client.call(&ApiVersionsRequest::default(), 0).api_keys
}

fn list_request(topic: &str, timestamp: i64) -> ListOffsetsRequest {
    let partition = ListOffsetsPartition {
        timestamp,
        ..Default::default()
    };
    let topic = ListOffsetsTopic {
        name: topic.into(),
        partitions: vec![partition],
        ..Default::default()
    };
    ListOffsetsRequest {
        replica_id: -1,
        topics: vec![topic],
        ..Default::default()
    }
}

/// Offset, timestamp and leader epoch.
fn list(client: &mut Client, topic: &str, timestamp: i64) -> (ErrorCode, i64, i64, i32) {
    let answer = client.call(&list_request(topic, timestamp), 9);
    let found = &answer.topics[0].partitions[0];
    (
        found.error_code,
        found.offset,
        found.timestamp,
        found.leader_epoch,
    )
}

#[test]
fn every_version_that_is_advertised_is_answered() {
    let server = Server::start(&[]);
    let apis = served(&mut server.client());
    assert_eq!(apis.len(), 50);
    for api in apis {
        for version in api.min_version..=api.max_version {
            let mut client = server.client();
            let key = ApiKey(api.api_key);
            let header = RequestHeader::new(key, version, 7);
            client
                .write(
                    &default_request(key, version)
                        .encode(&header)
                        .unwrap()
                        .into_bytes(),
                )
                .unwrap();
            let frame = client
                .read_frame()
                .unwrap_or_else(|error| panic!("{key} version {version}: {error}"));
            let (header, body) = decode_response(frame, key, version, &Limits::default())
                .unwrap_or_else(|error| panic!("{key} version {version}: {error}"));
            assert_eq!((header.correlation_id, body.key()), (7, key));
        }
    }
}

fn default_request(key: ApiKey, version: i16) -> RequestBody {
    use fletch_wire::messages::*;
    match key {
        ApiKey::PRODUCE => ProduceRequest {
            acks: 1,
            ..Default::default()
        }
        .into(),
        ApiKey::FETCH => FetchRequest::default().into(),
        ApiKey::LIST_OFFSETS => ListOffsetsRequest::default().into(),
        ApiKey::METADATA => MetadataRequest {
            topics: Some(Vec::new()),
            ..Default::default()
        }
        .into(),
        ApiKey::FIND_COORDINATOR => FindCoordinatorRequest::default().into(),
        ApiKey::API_VERSIONS => ApiVersionsRequest::default().into(),
        ApiKey::CREATE_TOPICS => CreateTopicsRequest::default().into(),
        ApiKey::DELETE_TOPICS => DeleteTopicsRequest::default().into(),
        ApiKey::INIT_PRODUCER_ID => InitProducerIdRequest::default().into(),
        ApiKey::ADD_PARTITIONS_TO_TXN => AddPartitionsToTxnRequest::default().into(),
        ApiKey::ADD_OFFSETS_TO_TXN => AddOffsetsToTxnRequest::default().into(),
        ApiKey::END_TXN => EndTxnRequest::default().into(),
        ApiKey::TXN_OFFSET_COMMIT => TxnOffsetCommitRequest::default().into(),
        ApiKey::WRITE_TXN_MARKERS => WriteTxnMarkersRequest::default().into(),
        ApiKey::DESCRIBE_PRODUCERS => DescribeProducersRequest::default().into(),
        ApiKey::DESCRIBE_TRANSACTIONS => DescribeTransactionsRequest::default().into(),
        ApiKey::LIST_TRANSACTIONS => ListTransactionsRequest::default().into(),
        ApiKey::CONSUMER_GROUP_HEARTBEAT => ConsumerGroupHeartbeatRequest::default().into(),
        ApiKey::CONSUMER_GROUP_DESCRIBE => ConsumerGroupDescribeRequest::default().into(),
        ApiKey::DESCRIBE_CONFIGS => DescribeConfigsRequest::default().into(),
        ApiKey::OFFSET_COMMIT => OffsetCommitRequest::default().into(),
        ApiKey::OFFSET_FETCH => OffsetFetchRequest {
            topics: (version < 8).then(Vec::new),
            ..Default::default()
        }
        .into(),
        ApiKey::JOIN_GROUP => JoinGroupRequest::default().into(),
        ApiKey::HEARTBEAT => HeartbeatRequest::default().into(),
        ApiKey::LEAVE_GROUP => LeaveGroupRequest::default().into(),
        ApiKey::SYNC_GROUP => SyncGroupRequest::default().into(),
        ApiKey::DESCRIBE_GROUPS => DescribeGroupsRequest::default().into(),
        ApiKey::LIST_GROUPS => ListGroupsRequest::default().into(),
        ApiKey::DELETE_GROUPS => DeleteGroupsRequest::default().into(),
        ApiKey::OFFSET_DELETE => OffsetDeleteRequest::default().into(),
        ApiKey::SASL_HANDSHAKE => SaslHandshakeRequest::default().into(),
        ApiKey::SASL_AUTHENTICATE => SaslAuthenticateRequest::default().into(),
        ApiKey::DESCRIBE_ACLS => DescribeAclsRequest::default().into(),
        ApiKey::CREATE_ACLS => CreateAclsRequest::default().into(),
        ApiKey::DELETE_ACLS => DeleteAclsRequest::default().into(),
        ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS => {
            DescribeUserScramCredentialsRequest::default().into()
        }
        ApiKey::ALTER_USER_SCRAM_CREDENTIALS => AlterUserScramCredentialsRequest::default().into(),
        ApiKey::ALTER_CLIENT_QUOTAS => AlterClientQuotasRequest::default().into(),
        ApiKey::DESCRIBE_CLIENT_QUOTAS => DescribeClientQuotasRequest::default().into(),
        ApiKey::DESCRIBE_CLUSTER => DescribeClusterRequest::default().into(),
        ApiKey::CREATE_PARTITIONS => CreatePartitionsRequest::default().into(),
        ApiKey::DELETE_RECORDS => DeleteRecordsRequest::default().into(),
        ApiKey::ALTER_CONFIGS => AlterConfigsRequest::default().into(),
        ApiKey::INCREMENTAL_ALTER_CONFIGS => IncrementalAlterConfigsRequest::default().into(),
        ApiKey::DESCRIBE_LOG_DIRS => DescribeLogDirsRequest::default().into(),
        ApiKey::DESCRIBE_TOPIC_PARTITIONS => DescribeTopicPartitionsRequest::default().into(),
        ApiKey::ELECT_LEADERS => ElectLeadersRequest::default().into(),
        ApiKey::ALTER_PARTITION_REASSIGNMENTS => {
            AlterPartitionReassignmentsRequest::default().into()
        }
        ApiKey::LIST_PARTITION_REASSIGNMENTS => ListPartitionReassignmentsRequest::default().into(),
        ApiKey::OFFSET_FOR_LEADER_EPOCH => OffsetForLeaderEpochRequest::default().into(),
        other => panic!("no request for {other}: add one"),
    }
}

#[test]
fn pipelined_requests_take_effect_and_are_answered_in_order() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let topic = MetadataRequestTopic {
        name: Some("orders".into()),
        ..Default::default()
    };
    // The first request creates the topic that the others need.
    client.send(
        &MetadataRequest {
            topics: Some(vec![topic]),
            ..Default::default()
        },
        12,
    );
    for round in 0..50 {
        client.send(&produce_request("orders", -1, batch(&["a", "b"])), 9);
        client.send(&produce_request("orders", 1, batch(&["c"])), 3 + round % 7);
        client.send(&list_request("orders", -1), 7);
        client.send(&ApiVersionsRequest::default(), 0);
    }
    client.receive();
    for round in 0..50 {
        for offset in [3 * round, 3 * round + 2] {
            let fletch_wire::ResponseBody::Produce(answer) = client.receive() else {
                panic!("not Produce")
            };
            let answer = &answer.responses[0].partition_responses[0];
            assert_eq!(
                (answer.error_code, answer.base_offset),
                (ErrorCode::NONE, offset)
            );
        }
        let fletch_wire::ResponseBody::ListOffsets(answer) = client.receive() else {
            panic!("not ListOffsets")
        };
        assert_eq!(
            answer.topics[0].partitions[0].offset,
            3 * round + 3,
            "it sees what was produced before it"
        );
        client.receive();
    }
}

#[test]
fn acks_0_is_never_answered() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.metadata("quiet");
    for _ in 0..3 {
        client.send_silent(&produce_request("quiet", 0, batch(&["x"])), 9);
    }
    // The next answer is to the next question.
    assert_eq!(list(&mut client, "quiet", -1).1, 3);
    // What can't be said is said by closing, as Kafka does.
    client.send_silent(&produce_request("no-such-topic", 0, batch(&["x"])), 9);
    assert!(client.is_closed());
}

#[test]
fn api_versions_from_the_future_is_answered_in_version_0() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let mut request = vec![0, 18, 0, 99, 0, 0, 0, 5, 0xff, 0xff, 0];
    request.splice(0..0, (request.len() as u32).to_be_bytes());
    client.write(&request).unwrap();
    let frame = client.read_frame().unwrap();
    assert_eq!(frame[..4], [0, 0, 0, 5]);
    let answer = ApiVersionsResponse::from_bytes(frame.slice(4..), 0, &Limits::default()).unwrap();
    assert_eq!(answer.error_code, ErrorCode::UNSUPPORTED_VERSION);
    assert!(
        answer
            .api_keys
            .iter()
            .any(|api| api.api_key == ApiKey::API_VERSIONS.0 && api.max_version == 4)
    );
    // And the connection goes on.
    assert_eq!(served(&mut client), answer.api_keys);
}

#[test]
fn other_unknown_apis_and_versions_close_the_connection() {
    let server = Server::start(&[]);
    for (key, version) in [
        (0i16, 13i16),
        (1, 18),
        (3, 99),
        (11, 10),
        (28, 6),
        (999, 0),
        (-1, -1),
    ] {
        let mut client = server.client();
        let mut request = [
            &key.to_be_bytes()[..],
            &version.to_be_bytes(),
            &[0, 0, 0, 1, 0xff, 0xff, 0],
        ]
        .concat();
        request.splice(0..0, (request.len() as u32).to_be_bytes());
        client.write(&request).unwrap();
        assert!(client.is_closed(), "key {key} version {version}");
    }
    // A connection is closed before that is written and counted.
    let deadline = Instant::now() + Duration::from_secs(10);
    let closed = r#"kafka_connections_closed{reason="unknown_request"}"#;
    while !server.log().contains("version 99") || server.metric(closed) < 7.0 {
        assert!(Instant::now() < deadline, "{}", server.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn produce_refuses_as_kafka_does() {
    let server = Server::start(&["--kafka-batch-bytes-max=2000"]);
    let mut client = server.client();
    client.metadata("t");
    let error = |client: &mut Client, request: &ProduceRequest, version| {
        let answer = client.call(request, version);
        let answer = &answer.responses[0].partition_responses[0];
        assert_eq!(answer.base_offset, -1);
        answer.error_code
    };
    let good = batch(&["a"]);
    let mut corrupt = good.to_vec();
    *corrupt.last_mut().unwrap() ^= 1;
    let twice = [&good[..], &good].concat();
    let large = batch(&[&"x".repeat(3000)]);
    let zstd = batch_with(BatchBuilder::new(Compression::Zstd), &["a"]);
    let control = batch_with(
        BatchBuilder::new(Compression::None)
            .control()
            .producer(1, 0, 0),
        &["a"],
    );
    let transactional = batch_with(
        BatchBuilder::new(Compression::None)
            .transactional()
            .producer(1, 0, 0),
        &["a"],
    );
    for (records, version, expected) in [
        (corrupt, 9, ErrorCode::CORRUPT_MESSAGE),
        (
            good[..good.len() - 1].to_vec(),
            9,
            ErrorCode::CORRUPT_MESSAGE,
        ),
        (twice, 9, ErrorCode::INVALID_RECORD),
        (Vec::new(), 9, ErrorCode::INVALID_RECORD),
        (large.to_vec(), 9, ErrorCode::MESSAGE_TOO_LARGE),
        (zstd.to_vec(), 6, ErrorCode::UNSUPPORTED_COMPRESSION_TYPE),
        (control.to_vec(), 9, ErrorCode::INVALID_RECORD),
        (transactional.to_vec(), 9, ErrorCode::INVALID_TXN_STATE),
    ] {
        assert_eq!(
            error(&mut client, &produce_request("t", -1, records), version),
            expected
        );
    }
    let request = produce_request("t", 2, good.clone());
    assert_eq!(
        error(&mut client, &request, 9),
        ErrorCode::INVALID_REQUIRED_ACKS
    );
    let request = produce_request("nowhere", -1, good.clone());
    assert_eq!(
        error(&mut client, &request, 9),
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    let mut request = produce_request("t", -1, good.clone());
    request.topic_data[0].partition_data[0].index = 1;
    assert_eq!(
        error(&mut client, &request, 9),
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    request.topic_data[0].partition_data[0].records = None;
    request.topic_data[0].partition_data[0].index = 0;
    assert_eq!(error(&mut client, &request, 9), ErrorCode::INVALID_RECORD);
    let mut late = BatchBuilder::new(Compression::None);
    late.append(i64::MAX / 2, None, Some(b"from the future"), &[])
        .unwrap();
    let answer = client.produce("t", late.finish().unwrap().into_bytes());
    assert_eq!(answer.error_code, ErrorCode::INVALID_TIMESTAMP);
    assert_eq!(answer.record_errors[0].batch_index, 0);
    // None of it left anything behind.
    assert_eq!(client.produce("t", good).base_offset, 0);
    assert_eq!(
        server.metric(r#"kafka_errors{api="Produce",error="INVALID_TXN_STATE"}"#),
        1.0
    );
    assert_eq!(server.metric("kafka_messages_received"), 1.0);
}

#[test]
fn idempotent_producers_are_held_to_their_sequence() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.metadata("t");
    let init = |client: &mut Client| client.call(&InitProducerIdRequest::default(), 4);
    let (first, second) = (init(&mut client), init(&mut client));
    assert_ne!(first.producer_id, second.producer_id);
    let send = |client: &mut Client, sequence| {
        let builder = BatchBuilder::new(Compression::None).producer(
            first.producer_id,
            first.producer_epoch,
            sequence,
        );
        let answer = client.produce("t", batch_with(builder, &["a", "b"]));
        (answer.error_code, answer.base_offset)
    };
    assert_eq!(send(&mut client, 0), (ErrorCode::NONE, 0));
    assert_eq!(send(&mut client, 2), (ErrorCode::NONE, 2));
    assert_eq!(
        send(&mut client, 0),
        (ErrorCode::NONE, 0),
        "a duplicate is answered as the first was"
    );
    assert_eq!(
        send(&mut client, 9),
        (ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1)
    );
    assert_eq!(send(&mut client, 4), (ErrorCode::NONE, 4));
    // A transaction without a time after which it ends isn't begun.
    let request = InitProducerIdRequest {
        transactional_id: Some("mine".into()),
        ..Default::default()
    };
    let refused = client.call(&request, 4);
    assert_eq!(refused.error_code, ErrorCode::INVALID_TRANSACTION_TIMEOUT);
    assert_eq!((refused.producer_id, refused.producer_epoch), (-1, -1));
}

#[test]
fn legacy_message_sets_are_taken_as_batches() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.metadata("old");
    // Format 0: offset, size, CRC, magic, attributes, key, value.
    let message = |value: &[u8]| {
        let body = [
            &[0, 0][..],
            &[0xff; 4],
            &(value.len() as u32).to_be_bytes(),
            value,
        ]
        .concat();
        let size = (4 + body.len() as u32).to_be_bytes();
        [&[0; 8][..], &size, &crc32(&body).to_be_bytes(), &body].concat()
    };
    let set = [message(b"one"), message(b"two")].concat();
    for version in [0, 1, 2] {
        let answer = client.call(&produce_request("old", 1, set.clone()), version);
        assert_eq!(
            answer.responses[0].partition_responses[0].base_offset,
            2 * i64::from(version)
        );
    }
    let refused = client.call(&produce_request("old", 1, set), 3);
    assert_eq!(
        refused.responses[0].partition_responses[0].error_code,
        ErrorCode::INVALID_RECORD
    );
    let values = client.values("old", 0);
    assert_eq!(values.len(), 6);
    assert_eq!(values[5], (5, b"two".to_vec()));
}

/// CRC-32 of zlib, which legacy messages carry.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[test]
fn log_append_time_is_the_brokers() {
    use fletch_wire::messages::CreateTopicsRequest;
    use fletch_wire::messages::create_topics::{CreatableTopic, CreatableTopicConfig};
    let server = Server::start(&[]);
    let mut client = server.client();
    let config = CreatableTopicConfig {
        name: "message.timestamp.type".into(),
        value: Some("LogAppendTime".into()),
        ..Default::default()
    };
    let topic = CreatableTopic {
        name: "stamped".into(),
        num_partitions: 1,
        replication_factor: 1,
        configs: vec![config],
        ..Default::default()
    };
    let created = client.call(
        &CreateTopicsRequest {
            topics: vec![topic],
            ..Default::default()
        },
        7,
    );
    assert_eq!(created.topics[0].error_code, ErrorCode::NONE, "{created:?}");
    let answer = client.produce("stamped", batch(&["a", "b"]));
    assert!(answer.log_append_time_ms > start_ms() + 1, "{answer:?}");
    let (_, offset, timestamp, _) = list(&mut client, "stamped", answer.log_append_time_ms);
    assert_eq!((offset, timestamp), (0, answer.log_append_time_ms));
    // In CreateTime topics the answer says that the time is the producer's.
    client.metadata("unstamped");
    assert_eq!(
        client
            .produce("unstamped", batch(&["a"]))
            .log_append_time_ms,
        -1
    );
}

#[test]
fn offsets_are_listed() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.metadata("t");
    assert_eq!(list(&mut client, "t", -1), (ErrorCode::NONE, 0, -1, 0));
    assert_eq!(list(&mut client, "t", -3), (ErrorCode::NONE, -1, -1, -1));
    assert_eq!(list(&mut client, "t", 0), (ErrorCode::NONE, -1, -1, -1));
    client.produce("t", batch(&["a", "b", "c"]));
    assert_eq!(list(&mut client, "t", -1), (ErrorCode::NONE, 3, -1, 0));
    for earliest in [-2, -4] {
        assert_eq!(
            list(&mut client, "t", earliest),
            (ErrorCode::NONE, 0, -1, 0)
        );
    }
    assert_eq!(
        list(&mut client, "t", -3),
        (ErrorCode::NONE, 2, start_ms() + 2, 0)
    );
    assert_eq!(list(&mut client, "t", -5), (ErrorCode::NONE, -1, -1, -1));
    assert_eq!(
        list(&mut client, "t", 0),
        (ErrorCode::NONE, 0, start_ms(), 0)
    );
    assert_eq!(
        list(&mut client, "t", start_ms() + 1),
        (ErrorCode::NONE, 1, start_ms() + 1, 0)
    );
    assert_eq!(
        list(&mut client, "t", start_ms() + 3),
        (ErrorCode::NONE, -1, -1, -1)
    );
    assert_eq!(list(&mut client, "t", -6).0, ErrorCode::UNSUPPORTED_VERSION);
    assert_eq!(
        list(&mut client, "nowhere", -1).0,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    let mut newer = list_request("t", -1);
    newer.topics[0].partitions[0].current_leader_epoch = 3;
    assert_eq!(
        client.call(&newer, 9).topics[0].partitions[0].error_code,
        ErrorCode::UNKNOWN_LEADER_EPOCH
    );
}

fn error_of(answer: &fletch_wire::messages::FetchResponse) -> ErrorCode {
    answer.responses[0].partitions[0].error_code
}

fn records_of(answer: &fletch_wire::messages::FetchResponse) -> &Payload {
    answer.responses[0].partitions[0].records.as_ref().unwrap()
}

#[test]
fn fetch_answers_from_the_offset_within_the_limits() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let id = client.metadata("t").topics[0].topic_id;
    for value in ["a", "b", "c", "d"] {
        client.produce("t", batch(&[value, value]));
    }
    let answer = client.fetch("t", 3, 1000);
    let data = &answer.responses[0].partitions[0];
    assert_eq!(
        (
            data.high_watermark,
            data.last_stable_offset,
            data.log_start_offset
        ),
        (8, 8, 0)
    );
    assert_eq!(answer.session_id, 0);
    // The batch that holds the offset comes whole.
    assert_eq!(
        decode(records_of(&answer))
            .iter()
            .map(|(offset, _)| *offset)
            .collect::<Vec<_>>(),
        [2, 3, 4, 5, 6, 7]
    );
    // At least one batch, whatever the limits.
    for limit in [0, 1, 10] {
        let mut request = fetch_request("t", 0, 1000);
        request.topics[0].partitions[0].partition_max_bytes = limit;
        assert_eq!(decode(records_of(&client.call(&request, 12))).len(), 2);
        let mut request = fetch_request("t", 0, 1000);
        request.max_bytes = limit;
        assert_eq!(decode(records_of(&client.call(&request, 12))).len(), 2);
    }
    // By id.
    let by_id = |id| {
        let partition = FetchPartition {
            partition_max_bytes: 1000,
            ..Default::default()
        };
        let topic = FetchTopic {
            topic_id: id,
            partitions: vec![partition],
            ..Default::default()
        };
        FetchRequest {
            topics: vec![topic],
            ..Default::default()
        }
    };
    let answer = client.call(&by_id(id), 17);
    assert_eq!(answer.responses[0].topic_id, id);
    assert_eq!(decode(records_of(&answer)).len(), 8);
    assert_eq!(
        error_of(&client.call(&by_id(Uuid::from_u128(7)), 17)),
        ErrorCode::UNKNOWN_TOPIC_ID
    );
    // Errors are answered at once, not after the wait.
    let asked = Instant::now();
    for offset in [-1, 9] {
        assert_eq!(
            error_of(&client.fetch("t", offset, 10_000)),
            ErrorCode::OFFSET_OUT_OF_RANGE
        );
    }
    assert_eq!(
        error_of(&client.fetch("nowhere", 0, 10_000)),
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    let mut request = fetch_request("t", 0, 10_000);
    request.topics[0].partitions[0].current_leader_epoch = 1;
    assert_eq!(
        error_of(&client.call(&request, 12)),
        ErrorCode::UNKNOWN_LEADER_EPOCH
    );
    assert!(asked.elapsed() < Duration::from_secs(5));
    // Committed readers are told that nothing was aborted.
    let mut request = fetch_request("t", 0, 0);
    request.isolation_level = 1;
    let answer = client.call(&request, 12);
    assert_eq!(
        answer.responses[0].partitions[0].aborted_transactions,
        Some(Vec::new())
    );
}

#[test]
fn a_long_poll_wakes_on_an_append_and_never_overruns_its_wait() {
    let server = Server::start(&[]);
    let (mut consumer, mut producer) = (server.client(), server.client());
    producer.metadata("t");
    // Nothing comes: answered when the wait is over.
    let asked = Instant::now();
    assert!(records_of(&consumer.fetch("t", 0, 300)).is_empty());
    let waited = asked.elapsed();
    assert!(
        (Duration::from_millis(295)..Duration::from_millis(600)).contains(&waited),
        "{waited:?}"
    );
    // Something comes: answered then.
    consumer.send(&fetch_request("t", 0, 15_000), 12);
    assert!(consumer.is_silent(Duration::from_millis(100)));
    let produced = Instant::now();
    producer.produce("t", batch(&["a"]));
    consumer.receive();
    assert!(
        produced.elapsed() < Duration::from_secs(2),
        "{:?}",
        produced.elapsed()
    );
    // Too little comes: answered when it is enough.
    let mut request = fetch_request("t", 0, 15_000);
    request.min_bytes = 200;
    consumer.send(&request, 12);
    assert!(consumer.is_silent(Duration::from_millis(100)));
    let mut sent = 1;
    while consumer.is_silent(Duration::from_millis(50)) {
        producer.produce("t", batch(&["b"]));
        sent += 1;
        assert!(sent < 100, "it does not wake");
    }
    let fletch_wire::ResponseBody::Fetch(answer) = consumer.receive() else {
        panic!("not Fetch")
    };
    assert!(records_of(&answer).len() >= 200);
}

#[test]
fn metadata_creates_what_may_be_created() {
    let server = Server::start(&["--topics-partitions=3"]);
    let mut client = server.client();
    let created = client.metadata("orders");
    let topic = &created.topics[0];
    assert_eq!(
        (topic.error_code, topic.partitions.len()),
        (ErrorCode::NONE, 3)
    );
    assert!(!topic.topic_id.is_nil());
    for partition in &topic.partitions {
        assert_eq!(
            (partition.leader_id, partition.leader_epoch),
            (created.controller_id, 0)
        );
        assert_eq!(partition.isr_nodes, [created.controller_id]);
    }
    assert_eq!(created.brokers[0].host, "127.0.0.1");
    assert_eq!(created.brokers[0].port, i32::from(server.kafka.port()));
    assert_eq!(created.cluster_id.as_ref().map(|id| id.len()), Some(22));
    let ask = |topics: Option<Vec<MetadataRequestTopic>>, create: bool| MetadataRequest {
        topics,
        allow_auto_topic_creation: create,
        ..Default::default()
    };
    let named = |name: &str| {
        Some(vec![MetadataRequestTopic {
            name: Some(name.into()),
            ..Default::default()
        }])
    };
    let first = |answer: MetadataResponse| answer.topics[0].error_code;
    assert_eq!(
        first(client.call(&ask(named("none"), false), 12)),
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    for bad in ["", "..", "a b", "ä", &"x".repeat(250)] {
        assert_eq!(
            first(client.call(&ask(named(bad), true), 12)),
            ErrorCode::INVALID_TOPIC_EXCEPTION,
            "{bad}"
        );
    }
    assert_eq!(
        first(client.call(&ask(named("or_ders"), true), 12)),
        ErrorCode::NONE
    );
    assert_eq!(
        first(client.call(&ask(named("or.ders"), true), 12)),
        ErrorCode::INVALID_TOPIC_EXCEPTION,
        "collides"
    );
    // All topics: null, and before version 1 an empty list.
    assert_eq!(client.call(&ask(None, true), 1).topics.len(), 2);
    assert_eq!(client.call(&ask(Some(Vec::new()), true), 0).topics.len(), 2);
    assert_eq!(client.call(&ask(Some(Vec::new()), true), 1).topics.len(), 0);
    // By id.
    let by_id = |topic_id| {
        Some(vec![MetadataRequestTopic {
            topic_id,
            name: None,
            ..Default::default()
        }])
    };
    let found = client.call(&ask(by_id(topic.topic_id), false), 12);
    assert_eq!(found.topics[0].name.as_deref(), Some("orders"));
    let lost = client.call(&ask(by_id(Uuid::from_u128(1)), false), 12);
    assert_eq!(
        (lost.topics[0].error_code, lost.topics[0].name.clone()),
        (ErrorCode::UNKNOWN_TOPIC_ID, None)
    );
}

#[test]
fn topics_are_not_created_where_that_is_off() {
    let server = Server::start(&["--topics-auto-create=false"]);
    let mut client = server.client();
    assert_eq!(
        client.metadata("t").topics[0].error_code,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
}

#[test]
fn the_advertised_address_is_what_is_configured() {
    let server = Server::start(&["--kafka-advertised-address=kafka.example:19092"]);
    let broker = server.client().metadata("t").brokers[0].clone();
    assert_eq!((&*broker.host, broker.port), ("kafka.example", 19092));
    // Bound to every address, a client is told the one that it reached.
    let server = Server::start(&["--kafka-bind-address=0.0.0.0", "--topics-auto-create=false"]);
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], server.kafka.port()));
    let broker = Client::connect(address).metadata("t").brokers[0].clone();
    assert_eq!(
        (&*broker.host, broker.port),
        ("127.0.0.1", i32::from(server.kafka.port()))
    );
}
