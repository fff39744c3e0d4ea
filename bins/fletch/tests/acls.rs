//! Who may do what: every API that is served, for who may and who may not; and how entries come, go and
//! are kept.

mod support;

use fletch_wire::messages::create_acls::AclCreation;
use fletch_wire::messages::delete_acls::DeleteAclsFilter;
use fletch_wire::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, AlterConfigsRequest,
    AlterPartitionReassignmentsRequest, AlterUserScramCredentialsRequest, ApiVersionsRequest,
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, CreateAclsRequest,
    CreatePartitionsRequest, CreateTopicsRequest, DeleteAclsRequest, DeleteGroupsRequest,
    DeleteRecordsRequest, DeleteTopicsRequest, DescribeAclsRequest, DescribeClusterRequest,
    DescribeConfigsRequest, DescribeGroupsRequest, DescribeLogDirsRequest,
    DescribeProducersRequest, DescribeTopicPartitionsRequest, DescribeTransactionsRequest,
    DescribeUserScramCredentialsRequest, ElectLeadersRequest, EndTxnRequest,
    FindCoordinatorRequest, HeartbeatRequest, IncrementalAlterConfigsRequest,
    InitProducerIdRequest, JoinGroupRequest, LeaveGroupRequest, ListGroupsRequest,
    ListOffsetsRequest, ListPartitionReassignmentsRequest, ListTransactionsRequest,
    MetadataRequest, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest,
    OffsetForLeaderEpochRequest, SaslAuthenticateRequest, SaslHandshakeRequest, SyncGroupRequest,
    TxnOffsetCommitRequest, WriteTxnMarkersRequest, add_partitions_to_txn, alter_configs,
    alter_partition_reassignments, alter_user_scram_credentials, create_partitions, create_topics,
    delete_records, delete_topics, describe_configs, describe_producers, describe_topic_partitions,
    incremental_alter_configs, list_offsets, metadata, offset_commit, offset_delete, offset_fetch,
    offset_for_leader_epoch, txn_offset_commit, write_txn_markers,
};
use fletch_wire::messages::{AlterClientQuotasRequest, DescribeClientQuotasRequest};
use fletch_wire::{ApiKey, ErrorCode, RequestBody};
use support::login::{ADMIN, flags, start};
use support::{Client, Server, batch, fetch_request, produce_request};

const TOPIC: i8 = 2;
const GROUP: i8 = 3;
const CLUSTER: i8 = 4;
const TRANSACTIONAL_ID: i8 = 5;

const READ: i8 = 3;
const WRITE: i8 = 4;
const CREATE: i8 = 5;
const DELETE: i8 = 6;
const ALTER: i8 = 7;
const DESCRIBE: i8 = 8;
const CLUSTER_ACTION: i8 = 9;
const DESCRIBE_CONFIGS: i8 = 10;
const ALTER_CONFIGS: i8 = 11;
const IDEMPOTENT_WRITE: i8 = 12;

const ALLOW: i8 = 3;
const DENY: i8 = 2;
const LITERAL: i8 = 3;
const PREFIXED: i8 = 4;

/// What becomes of a request of who may do nothing.
enum Denied {
    /// Everybody may.
    Open,
    /// This.
    Error(ErrorCode),
    /// Nothing is told.
    Hidden,
}

/// For one API: what is asked, what becomes of it when it isn't allowed, and which permissions (type of
/// resource, operation) it takes.
struct Case {
    request: RequestBody,
    denied: Denied,
    grants: &'static [(i8, i8)],
}

fn case(request: impl Into<RequestBody>, denied: Denied, grants: &'static [(i8, i8)]) -> Case {
    Case {
        request: request.into(),
        denied,
        grants,
    }
}

/// The case of an API. One that is served and isn't here fails the test: think about who may use it.
fn case_of(key: ApiKey) -> Case {
    use Denied::{Error, Hidden, Open};
    let topic = || Error(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    let group = || Error(ErrorCode::GROUP_AUTHORIZATION_FAILED);
    let cluster = || Error(ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
    let transaction = || Error(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    match key {
        ApiKey::PRODUCE => case(
            produce_request("t", -1, batch(&["a"])),
            topic(),
            &[(TOPIC, WRITE)],
        ),
        ApiKey::FETCH => case(fetch_request("t", 0, 0), topic(), &[(TOPIC, READ)]),
        ApiKey::LIST_OFFSETS => {
            let mut asked = list_offsets::ListOffsetsTopic {
                name: "t".into(),
                ..Default::default()
            };
            asked.partitions.push(list_offsets::ListOffsetsPartition {
                timestamp: -1,
                current_leader_epoch: -1,
                ..Default::default()
            });
            let request = ListOffsetsRequest {
                replica_id: -1,
                topics: vec![asked],
                ..Default::default()
            };
            case(request, topic(), &[(TOPIC, DESCRIBE)])
        }
        ApiKey::METADATA => {
            let asked = metadata::MetadataRequestTopic {
                name: Some("t".into()),
                ..Default::default()
            };
            let request = MetadataRequest {
                topics: Some(vec![asked]),
                ..Default::default()
            };
            case(request, topic(), &[(TOPIC, DESCRIBE)])
        }
        ApiKey::OFFSET_COMMIT => {
            let asked = offset_commit::OffsetCommitRequestTopic {
                name: "t".into(),
                partitions: vec![Default::default()],
                ..Default::default()
            };
            let request = OffsetCommitRequest {
                group_id: "g".into(),
                topics: vec![asked],
                ..Default::default()
            };
            case(request, group(), &[(GROUP, READ), (TOPIC, READ)])
        }
        ApiKey::OFFSET_FETCH => {
            let asked = offset_fetch::OffsetFetchRequestGroup {
                group_id: "g".into(),
                topics: Some(vec![offset_fetch::OffsetFetchRequestTopics {
                    name: "t".into(),
                    partition_indexes: vec![0],
                    ..Default::default()
                }]),
                ..Default::default()
            };
            let request = OffsetFetchRequest {
                groups: vec![asked],
                ..Default::default()
            };
            case(request, group(), &[(GROUP, DESCRIBE), (TOPIC, DESCRIBE)])
        }
        ApiKey::FIND_COORDINATOR => {
            let request = FindCoordinatorRequest {
                coordinator_keys: vec!["g".into()],
                ..Default::default()
            };
            case(request, group(), &[(GROUP, DESCRIBE)])
        }
        ApiKey::JOIN_GROUP => {
            let request = JoinGroupRequest {
                group_id: "g".into(),
                session_timeout_ms: 10_000,
                rebalance_timeout_ms: 10_000,
                protocol_type: "consumer".into(),
                ..Default::default()
            };
            case(request, group(), &[(GROUP, READ)])
        }
        ApiKey::HEARTBEAT => {
            let request = HeartbeatRequest {
                group_id: "g".into(),
                ..Default::default()
            };
            case(request, group(), &[(GROUP, READ)])
        }
        ApiKey::LEAVE_GROUP => {
            let request = LeaveGroupRequest {
                group_id: "g".into(),
                ..Default::default()
            };
            case(request, group(), &[(GROUP, READ)])
        }
        ApiKey::SYNC_GROUP => {
            let request = SyncGroupRequest {
                group_id: "g".into(),
                ..Default::default()
            };
            case(request, group(), &[(GROUP, READ)])
        }
        ApiKey::DESCRIBE_GROUPS => {
            let request = DescribeGroupsRequest {
                groups: vec!["g".into()],
                ..Default::default()
            };
            case(request, group(), &[(GROUP, DESCRIBE)])
        }
        ApiKey::LIST_GROUPS => case(ListGroupsRequest::default(), Hidden, &[(GROUP, DESCRIBE)]),
        ApiKey::SASL_HANDSHAKE => case(
            SaslHandshakeRequest {
                mechanism: "PLAIN".into(),
                ..Default::default()
            },
            Open,
            &[],
        ),
        ApiKey::API_VERSIONS => {
            let request = ApiVersionsRequest {
                client_software_name: "test".into(),
                client_software_version: "1".into(),
                ..Default::default()
            };
            case(request, Open, &[])
        }
        ApiKey::CREATE_TOPICS => {
            let asked = create_topics::CreatableTopic {
                name: "new".into(),
                num_partitions: 1,
                replication_factor: 1,
                ..Default::default()
            };
            let request = CreateTopicsRequest {
                topics: vec![asked],
                validate_only: true,
                ..Default::default()
            };
            case(
                request,
                topic(),
                &[(CLUSTER, CREATE), (TOPIC, DESCRIBE_CONFIGS)],
            )
        }
        ApiKey::DELETE_TOPICS => {
            let asked = delete_topics::DeleteTopicState {
                name: Some("missing".into()),
                ..Default::default()
            };
            let request = DeleteTopicsRequest {
                topics: vec![asked],
                ..Default::default()
            };
            case(request, topic(), &[(TOPIC, DELETE)])
        }
        ApiKey::DELETE_RECORDS => {
            let asked = delete_records::DeleteRecordsTopic {
                name: "t".into(),
                partitions: vec![Default::default()],
                ..Default::default()
            };
            let request = DeleteRecordsRequest {
                topics: vec![asked],
                ..Default::default()
            };
            case(request, topic(), &[(TOPIC, DELETE)])
        }
        ApiKey::INIT_PRODUCER_ID => case(
            InitProducerIdRequest::default(),
            cluster(),
            &[(CLUSTER, IDEMPOTENT_WRITE)],
        ),
        ApiKey::OFFSET_FOR_LEADER_EPOCH => {
            let asked = offset_for_leader_epoch::OffsetForLeaderTopic {
                topic: "t".into(),
                partitions: vec![Default::default()],
                ..Default::default()
            };
            let request = OffsetForLeaderEpochRequest {
                topics: vec![asked],
                ..Default::default()
            };
            case(request, topic(), &[(TOPIC, DESCRIBE)])
        }
        // As brokers ask it; a producer's is older.
        ApiKey::ADD_PARTITIONS_TO_TXN => {
            let asked = add_partitions_to_txn::AddPartitionsToTxnTransaction {
                transactional_id: "x".into(),
                ..Default::default()
            };
            let request = AddPartitionsToTxnRequest {
                transactions: vec![asked],
                ..Default::default()
            };
            case(request, cluster(), &[(CLUSTER, CLUSTER_ACTION)])
        }
        ApiKey::ADD_OFFSETS_TO_TXN => {
            let request = AddOffsetsToTxnRequest {
                transactional_id: "x".into(),
                group_id: "g".into(),
                ..Default::default()
            };
            case(
                request,
                transaction(),
                &[(TRANSACTIONAL_ID, WRITE), (GROUP, READ)],
            )
        }
        ApiKey::END_TXN => {
            let request = EndTxnRequest {
                transactional_id: "x".into(),
                ..Default::default()
            };
            case(request, transaction(), &[(TRANSACTIONAL_ID, WRITE)])
        }
        ApiKey::WRITE_TXN_MARKERS => {
            let asked = write_txn_markers::WritableTxnMarkerTopic {
                name: "t".into(),
                partition_indexes: vec![0],
                ..Default::default()
            };
            let marker = write_txn_markers::WritableTxnMarker {
                topics: vec![asked],
                ..Default::default()
            };
            let request = WriteTxnMarkersRequest {
                markers: vec![marker],
                ..Default::default()
            };
            case(request, cluster(), &[(CLUSTER, CLUSTER_ACTION)])
        }
        ApiKey::TXN_OFFSET_COMMIT => {
            let asked = txn_offset_commit::TxnOffsetCommitRequestTopic {
                name: "t".into(),
                partitions: vec![Default::default()],
                ..Default::default()
            };
            let request = TxnOffsetCommitRequest {
                transactional_id: "x".into(),
                group_id: "g".into(),
                topics: vec![asked],
                ..Default::default()
            };
            let grants = &[(TRANSACTIONAL_ID, WRITE), (GROUP, READ), (TOPIC, READ)];
            case(request, transaction(), grants)
        }
        ApiKey::DESCRIBE_ACLS => case(everything(), cluster(), &[(CLUSTER, DESCRIBE)]),
        ApiKey::CREATE_ACLS => {
            let creation = creation(TOPIC, LITERAL, "other", "User:bert", READ, ALLOW);
            let request = CreateAclsRequest {
                creations: vec![creation],
                ..Default::default()
            };
            case(request, cluster(), &[(CLUSTER, ALTER)])
        }
        ApiKey::DELETE_ACLS => {
            let filter = filter("User:bert");
            let request = DeleteAclsRequest {
                filters: vec![filter],
                ..Default::default()
            };
            case(request, cluster(), &[(CLUSTER, ALTER)])
        }
        ApiKey::DESCRIBE_CONFIGS => {
            let asked = describe_configs::DescribeConfigsResource {
                resource_type: TOPIC,
                resource_name: "t".into(),
                ..Default::default()
            };
            let request = DescribeConfigsRequest {
                resources: vec![asked],
                ..Default::default()
            };
            case(request, topic(), &[(TOPIC, DESCRIBE_CONFIGS)])
        }
        ApiKey::ALTER_CONFIGS => {
            let asked = alter_configs::AlterConfigsResource {
                resource_type: TOPIC,
                resource_name: "t".into(),
                ..Default::default()
            };
            let request = AlterConfigsRequest {
                resources: vec![asked],
                validate_only: true,
                ..Default::default()
            };
            case(request, topic(), &[(TOPIC, ALTER_CONFIGS)])
        }
        ApiKey::DESCRIBE_LOG_DIRS => case(
            DescribeLogDirsRequest::default(),
            cluster(),
            &[(CLUSTER, DESCRIBE)],
        ),
        ApiKey::SASL_AUTHENTICATE => case(SaslAuthenticateRequest::default(), Open, &[]),
        ApiKey::CREATE_PARTITIONS => {
            let asked = create_partitions::CreatePartitionsTopic {
                name: "t".into(),
                count: 2,
                assignments: None,
                ..Default::default()
            };
            let request = CreatePartitionsRequest {
                topics: vec![asked],
                validate_only: true,
                ..Default::default()
            };
            case(request, topic(), &[(TOPIC, ALTER)])
        }
        ApiKey::DELETE_GROUPS => {
            let request = DeleteGroupsRequest {
                groups_names: vec!["other".into()],
                ..Default::default()
            };
            case(request, group(), &[(GROUP, DELETE)])
        }
        ApiKey::ELECT_LEADERS => case(
            ElectLeadersRequest::default(),
            cluster(),
            &[(CLUSTER, ALTER)],
        ),
        ApiKey::INCREMENTAL_ALTER_CONFIGS => {
            let asked = incremental_alter_configs::AlterConfigsResource {
                resource_type: TOPIC,
                resource_name: "t".into(),
                ..Default::default()
            };
            let request = IncrementalAlterConfigsRequest {
                resources: vec![asked],
                validate_only: true,
                ..Default::default()
            };
            case(request, topic(), &[(TOPIC, ALTER_CONFIGS)])
        }
        ApiKey::ALTER_PARTITION_REASSIGNMENTS => {
            let asked = alter_partition_reassignments::ReassignableTopic {
                name: "t".into(),
                partitions: vec![Default::default()],
                ..Default::default()
            };
            let request = AlterPartitionReassignmentsRequest {
                topics: vec![asked],
                ..Default::default()
            };
            case(request, cluster(), &[(CLUSTER, ALTER)])
        }
        ApiKey::LIST_PARTITION_REASSIGNMENTS => case(
            ListPartitionReassignmentsRequest::default(),
            cluster(),
            &[(CLUSTER, DESCRIBE)],
        ),
        ApiKey::OFFSET_DELETE => {
            let asked = offset_delete::OffsetDeleteRequestTopic {
                name: "t".into(),
                partitions: vec![Default::default()],
                ..Default::default()
            };
            let request = OffsetDeleteRequest {
                group_id: "g".into(),
                topics: vec![asked],
                ..Default::default()
            };
            case(request, group(), &[(GROUP, DELETE), (TOPIC, READ)])
        }
        ApiKey::DESCRIBE_CLIENT_QUOTAS => case(
            DescribeClientQuotasRequest::default(),
            cluster(),
            &[(CLUSTER, DESCRIBE_CONFIGS)],
        ),
        ApiKey::ALTER_CLIENT_QUOTAS => {
            let request = AlterClientQuotasRequest {
                entries: vec![Default::default()],
                validate_only: true,
                ..Default::default()
            };
            case(request, cluster(), &[(CLUSTER, ALTER_CONFIGS)])
        }
        ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS => case(
            DescribeUserScramCredentialsRequest::default(),
            cluster(),
            &[(CLUSTER, DESCRIBE)],
        ),
        ApiKey::ALTER_USER_SCRAM_CREDENTIALS => {
            let deletion = alter_user_scram_credentials::ScramCredentialDeletion {
                name: "nobody".into(),
                mechanism: 1,
                ..Default::default()
            };
            let request = AlterUserScramCredentialsRequest {
                deletions: vec![deletion],
                ..Default::default()
            };
            case(request, cluster(), &[(CLUSTER, ALTER)])
        }
        ApiKey::DESCRIBE_CLUSTER => {
            let request = DescribeClusterRequest {
                endpoint_type: 1,
                ..Default::default()
            };
            case(request, Open, &[])
        }
        ApiKey::DESCRIBE_PRODUCERS => {
            let asked = describe_producers::TopicRequest {
                name: "t".into(),
                partition_indexes: vec![0],
                ..Default::default()
            };
            let request = DescribeProducersRequest {
                topics: vec![asked],
                ..Default::default()
            };
            case(request, topic(), &[(TOPIC, READ)])
        }
        ApiKey::DESCRIBE_TRANSACTIONS => {
            let request = DescribeTransactionsRequest {
                transactional_ids: vec!["x".into()],
                ..Default::default()
            };
            case(request, transaction(), &[(TRANSACTIONAL_ID, DESCRIBE)])
        }
        ApiKey::LIST_TRANSACTIONS => {
            let request = ListTransactionsRequest {
                duration_filter: -1,
                ..Default::default()
            };
            case(request, Hidden, &[(TRANSACTIONAL_ID, DESCRIBE)])
        }
        ApiKey::CONSUMER_GROUP_HEARTBEAT => {
            let request = ConsumerGroupHeartbeatRequest {
                group_id: "new".into(),
                member_id: "AAAAAAAAAAAAAAAAAAAAAA".into(),
                rebalance_timeout_ms: 10_000,
                subscribed_topic_names: Some(vec!["t".into()]),
                topic_partitions: Some(vec![]),
                ..Default::default()
            };
            case(request, group(), &[(GROUP, READ), (TOPIC, DESCRIBE)])
        }
        ApiKey::CONSUMER_GROUP_DESCRIBE => {
            let request = ConsumerGroupDescribeRequest {
                group_ids: vec!["g".into()],
                ..Default::default()
            };
            case(request, group(), &[(GROUP, DESCRIBE)])
        }
        ApiKey::DESCRIBE_TOPIC_PARTITIONS => {
            let asked = describe_topic_partitions::TopicRequest {
                name: "t".into(),
                ..Default::default()
            };
            let request = DescribeTopicPartitionsRequest {
                topics: vec![asked],
                response_partition_limit: 10,
                ..Default::default()
            };
            case(request, topic(), &[(TOPIC, DESCRIBE)])
        }
        other => panic!("{other} is served, and this test doesn't know who may use it"),
    }
}

fn everything() -> DescribeAclsRequest {
    DescribeAclsRequest {
        resource_type_filter: 1,
        pattern_type_filter: 1,
        operation: 1,
        permission_type: 1,
        ..Default::default()
    }
}

fn filter(principal: &str) -> DeleteAclsFilter {
    DeleteAclsFilter {
        resource_type_filter: 1,
        pattern_type_filter: 1,
        principal_filter: Some(principal.into()),
        operation: 1,
        permission_type: 1,
        ..Default::default()
    }
}

fn creation(
    resource_type: i8,
    pattern: i8,
    name: &str,
    principal: &str,
    operation: i8,
    permission: i8,
) -> AclCreation {
    AclCreation {
        resource_type,
        resource_name: name.into(),
        resource_pattern_type: pattern,
        principal: principal.into(),
        host: "*".into(),
        operation,
        permission_type: permission,
        ..Default::default()
    }
}

fn name_of(resource_type: i8) -> &'static str {
    match resource_type {
        CLUSTER => "kafka-cluster",
        _ => "*",
    }
}

fn logged_in(server: &Server, user: &str, password: &str) -> Client {
    let mut client = server.client();
    assert_eq!(client.plain(user, password).error_code, ErrorCode::NONE);
    client
}

fn allow(admin: &mut Client, creations: Vec<AclCreation>) {
    let answer = admin.call(
        &CreateAclsRequest {
            creations,
            ..Default::default()
        },
        3,
    );
    let bad = answer
        .results
        .iter()
        .find(|result| !result.error_code.is_none());
    assert_eq!(bad, None);
}

fn forget(admin: &mut Client, principal: &str) -> usize {
    let request = DeleteAclsRequest {
        filters: vec![filter(principal)],
        ..Default::default()
    };
    let answer = admin.call(&request, 3);
    assert_eq!(answer.filter_results[0].error_code, ErrorCode::NONE);
    answer.filter_results[0].matching_acls.len()
}

/// A server with a topic, a group, a transactional id, and a user who may do nothing.
fn prepared() -> (Server, Client) {
    let users = support::folder();
    let path = users.path().join("users");
    std::fs::write(&path, "anna:a\nbert:b\n").unwrap();
    let users_path = format!("--sasl-users-path={}", path.display());
    let server = start(&flags(
        "SASL_PLAINTEXT://127.0.0.1:0",
        &["--sasl-plain-unencrypted=true", &users_path],
    ));
    let mut admin = logged_in(&server, ADMIN.0, ADMIN.1);
    admin.metadata("t");
    assert_eq!(
        admin.produce("t", batch(&["secret"])).error_code,
        ErrorCode::NONE
    );
    let committed = offset_commit::OffsetCommitRequestTopic {
        name: "t".into(),
        partitions: vec![Default::default()],
        ..Default::default()
    };
    let commit = OffsetCommitRequest {
        group_id: "g".into(),
        generation_id_or_member_epoch: -1,
        topics: vec![committed],
        ..Default::default()
    };
    let answer = admin.call(&commit, 8);
    assert_eq!(answer.topics[0].partitions[0].error_code, ErrorCode::NONE);
    let begin = InitProducerIdRequest {
        transactional_id: Some("x".into()),
        transaction_timeout_ms: 10_000,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    };
    assert_eq!(admin.call(&begin, 4).error_code, ErrorCode::NONE);
    (server, admin)
}

#[test]
fn every_api_asks_before_it_answers() {
    let (server, mut admin) = prepared();
    let served = admin.call(&ApiVersionsRequest::default(), 0).api_keys;
    assert!(served.len() > 40, "{served:?}");
    let failures = [
        ErrorCode::TOPIC_AUTHORIZATION_FAILED,
        ErrorCode::GROUP_AUTHORIZATION_FAILED,
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
        ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    ]
    .map(|error| format!("{error:?}"));
    for api in served {
        let key = ApiKey(api.api_key);
        let Case {
            request,
            denied,
            grants,
        } = case_of(key);
        // By name, where later versions ask by an id that nobody knows here.
        let version = if key == ApiKey::FETCH {
            12
        } else {
            api.max_version
        };
        let mut anna = logged_in(&server, "anna", "a");
        let told = format!("{:?}", anna.ask(&request, version));
        match denied {
            Denied::Open => assert!(
                !failures.iter().any(|error| told.contains(error)),
                "{key}: {told}"
            ),
            Denied::Error(error) => {
                assert!(told.contains(&format!("{error:?}")), "{key}: {told}");
            }
            Denied::Hidden => {
                assert!(
                    !told.contains("\"g\"") && !told.contains("\"x\""),
                    "{key}: {told}"
                );
            }
        }
        if grants.is_empty() {
            continue;
        }
        // Each one that is missing is missed.
        for missing in 0..=grants.len() {
            let given = (0..).zip(grants).filter(|(at, _)| *at != missing);
            let given: Vec<_> = given
                .map(|(_, (resource, operation))| {
                    creation(
                        *resource,
                        LITERAL,
                        name_of(*resource),
                        "User:anna",
                        *operation,
                        ALLOW,
                    )
                })
                .collect();
            let all = given.len() == grants.len();
            allow(&mut admin, given);
            let mut anna = logged_in(&server, "anna", "a");
            let told = format!("{:?}", anna.ask(&request, version));
            let fails = failures.iter().any(|error| told.contains(error));
            match denied {
                Denied::Hidden => assert_eq!(
                    told.contains("\"g\"") || told.contains("\"x\""),
                    all,
                    "{key}: {told}"
                ),
                _ => assert_eq!(
                    fails, !all,
                    "{key} with {missing} of {grants:?} missing: {told}"
                ),
            }
            forget(&mut admin, "User:anna");
        }
    }
}

#[test]
fn a_producer_adds_to_its_transaction_what_it_may_write_to() {
    let (server, mut admin) = prepared();
    let mut anna = logged_in(&server, "anna", "a");
    let asked = add_partitions_to_txn::AddPartitionsToTxnTopic {
        name: "t".into(),
        partitions: vec![0],
        ..Default::default()
    };
    let request = AddPartitionsToTxnRequest {
        v3_and_below_transactional_id: "x".into(),
        v3_and_below_producer_id: i64::MAX,
        v3_and_below_topics: vec![asked],
        ..Default::default()
    };
    let grants = [
        (
            TRANSACTIONAL_ID,
            ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        ),
        (TOPIC, ErrorCode::TOPIC_AUTHORIZATION_FAILED),
    ];
    let mut ask = || {
        let answer = anna.call(&request, 3);
        answer.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code
    };
    for (resource, missed) in grants {
        assert_eq!(ask(), missed);
        let name = name_of(resource);
        let grant = creation(resource, LITERAL, name, "User:anna", WRITE, ALLOW);
        allow(&mut admin, vec![grant]);
    }
    // It may, but isn't the producer.
    assert_eq!(ask(), ErrorCode::INVALID_PRODUCER_ID_MAPPING);
}

#[test]
fn what_may_not_be_described_looks_the_same_whether_or_not_it_exists() {
    let (server, _admin) = prepared();
    let mut anna = logged_in(&server, "anna", "a");
    let mut seen = Vec::new();
    for topic in ["t", "missing"] {
        let metadata = anna.metadata(topic).topics;
        let fetched = anna.fetch(topic, 0, 5_000);
        let produced = anna.produce(topic, batch(&["a"]));
        seen.push(
            format!("{metadata:?} {fetched:?} {produced:?}").replace(&format!("{topic:?}"), "?"),
        );
    }
    assert_eq!(seen[0], seen[1]);
    let all = anna.call(
        &MetadataRequest {
            topics: None,
            ..Default::default()
        },
        12,
    );
    assert_eq!(all.topics, []);
    // Not even as where the next page of topics begins.
    let request = DescribeTopicPartitionsRequest {
        response_partition_limit: 1,
        ..Default::default()
    };
    let page = anna.call(&request, 0);
    assert_eq!((page.topics, page.next_cursor), (vec![], None));
    // And none was created.
    let (_, page) = server.get("/topics");
    assert!(!page.contains("missing"), "{page}");
}

/// What was allowed when a fetch session began is asked again at each of its answers.
#[test]
fn a_fetch_session_ends_with_the_permission() {
    let (server, mut admin) = prepared();
    for topic in ["kept", "taken"] {
        admin.metadata(topic);
        assert_eq!(
            admin.produce(topic, batch(&["first"])).error_code,
            ErrorCode::NONE
        );
    }
    let read = |topic: &str| creation(TOPIC, LITERAL, topic, "User:anna", READ, ALLOW);
    allow(&mut admin, vec![read("kept"), read("taken")]);
    let mut anna = logged_in(&server, "anna", "a");
    let mut begin = fetch_request("kept", 1, 0);
    begin.topics.extend(fetch_request("taken", 1, 0).topics);
    begin.session_epoch = 0;
    let begun = anna.call(&begin, 12);
    assert_eq!(begun.error_code, ErrorCode::NONE);
    assert!(begun.session_id > 0);
    let mut filter = filter("User:anna");
    filter.resource_name_filter = Some("taken".into());
    let request = DeleteAclsRequest {
        filters: vec![filter],
        ..Default::default()
    };
    let answer = admin.call(&request, 3);
    assert_eq!(answer.filter_results[0].matching_acls.len(), 1);
    for topic in ["kept", "taken"] {
        admin.produce(topic, batch(&["secret"]));
    }
    // The session knows both by itself.
    let mut next = fetch_request("kept", 1, 0);
    next.topics.clear();
    (next.session_id, next.session_epoch) = (begun.session_id, 1);
    let answer = anna.call(&next, 12);
    assert_eq!(answer.error_code, ErrorCode::NONE);
    let told: Vec<_> = answer
        .responses
        .iter()
        .map(|topic| {
            let data = &topic.partitions[0];
            let bytes = data.records.as_ref().map_or(0, |records| records.len());
            (topic.topic.to_string(), data.error_code, bytes > 0)
        })
        .collect();
    let denied = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    assert_eq!(
        told,
        [
            ("kept".to_owned(), ErrorCode::NONE, true),
            ("taken".to_owned(), denied, false)
        ]
    );
}

#[test]
fn prefixes_denials_and_groups_of_operations() {
    let (server, mut admin) = prepared();
    for topic in ["log-a", "log-b", "other"] {
        admin.metadata(topic);
    }
    allow(
        &mut admin,
        vec![
            creation(TOPIC, PREFIXED, "log-", "User:*", WRITE, ALLOW),
            creation(TOPIC, LITERAL, "log-b", "User:anna", WRITE, DENY),
            creation(TOPIC, LITERAL, "other", "User:bert", READ, ALLOW),
        ],
    );
    let write = |user: &str, password: &str, topic: &str| {
        let mut client = logged_in(&server, user, password);
        client.produce(topic, batch(&["a"])).error_code
    };
    let denied = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    assert_eq!(write("anna", "a", "log-a"), ErrorCode::NONE);
    assert_eq!(write("anna", "a", "log-b"), denied);
    assert_eq!(write("bert", "b", "log-b"), ErrorCode::NONE);
    assert_eq!(write("bert", "b", "other"), denied);
    // Who may write may look; what may be done is told as bits.
    let mut anna = logged_in(&server, "anna", "a");
    let request = MetadataRequest {
        topics: None,
        include_topic_authorized_operations: true,
        ..Default::default()
    };
    let topics = anna.call(&request, 10).topics;
    let told: Vec<_> = topics
        .iter()
        .map(|topic| {
            let name = topic.name.as_deref().unwrap_or_default().to_owned();
            (name, topic.topic_authorized_operations)
        })
        .collect();
    // A denial of writing leaves the looking that writing elsewhere allows.
    assert_eq!(
        told,
        [
            ("log-a".to_owned(), 1 << WRITE | 1 << DESCRIBE),
            ("log-b".to_owned(), 1 << DESCRIBE)
        ]
    );
}

/// A pattern matches what is made later, too, and the answers tell of it.
#[test]
fn a_pattern_needs_the_right_to_describe_every_topic() {
    let (server, mut admin) = prepared();
    admin.metadata("secret");
    let group = creation(GROUP, LITERAL, "*", "User:anna", READ, ALLOW);
    let some = creation(TOPIC, PREFIXED, "log-", "User:anna", READ, ALLOW);
    allow(&mut admin, vec![group, some]);
    let mut anna = logged_in(&server, "anna", "a");
    let request = ConsumerGroupHeartbeatRequest {
        group_id: "new".into(),
        member_id: "AAAAAAAAAAAAAAAAAAAAAA".into(),
        rebalance_timeout_ms: 10_000,
        subscribed_topic_regex: Some(".*".into()),
        topic_partitions: Some(vec![]),
        ..Default::default()
    };
    let denied = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    let answer = anna.call(&request, 1);
    assert_eq!((answer.error_code, answer.assignment), (denied, None));
    let every = creation(TOPIC, LITERAL, "*", "User:anna", DESCRIBE, ALLOW);
    let but_one = creation(TOPIC, LITERAL, "secret", "User:anna", DESCRIBE, DENY);
    allow(&mut admin, vec![every.clone(), but_one]);
    assert_eq!(anna.call(&request, 1).error_code, denied);
    forget(&mut admin, "User:anna");
    let group = creation(GROUP, LITERAL, "*", "User:anna", READ, ALLOW);
    allow(&mut admin, vec![group, every]);
    assert_eq!(anna.call(&request, 1).error_code, ErrorCode::NONE);

    // Nor does a group tell of topics to whom may describe it alone.
    let bert = creation(GROUP, LITERAL, "*", "User:bert", DESCRIBE, ALLOW);
    allow(&mut admin, vec![bert]);
    let mut bert = logged_in(&server, "bert", "b");
    let request = ConsumerGroupDescribeRequest {
        group_ids: vec!["new".into()],
        ..Default::default()
    };
    let group = bert.call(&request, 1).groups.remove(0);
    assert_eq!((group.error_code, group.members.len()), (denied, 0));
    let group = anna.call(&request, 1).groups.remove(0);
    assert_eq!(
        (group.error_code, group.members.len()),
        (ErrorCode::NONE, 1)
    );
}

#[test]
fn entries_are_kept_listed_and_taken() {
    let (server, mut admin) = prepared();
    let wanted = vec![
        creation(TOPIC, LITERAL, "a", "User:anna", READ, ALLOW),
        creation(TOPIC, LITERAL, "a", "User:bert", READ, ALLOW),
        creation(GROUP, PREFIXED, "g-", "User:anna", READ, DENY),
    ];
    allow(&mut admin, wanted.clone());
    // Again: nothing changes.
    allow(&mut admin, wanted);
    let bad = [
        creation(CLUSTER, LITERAL, "other", "User:anna", ALTER, ALLOW),
        creation(TOPIC, 1, "a", "User:anna", READ, ALLOW),
        creation(TOPIC, LITERAL, "", "User:anna", READ, ALLOW),
        creation(TOPIC, LITERAL, "a", "anna", READ, ALLOW),
        creation(TOPIC, LITERAL, "a", "User:anna", 1, ALLOW),
        creation(TOPIC, LITERAL, "a", "User:anna", READ, 0),
        creation(99, LITERAL, "a", "User:anna", READ, ALLOW),
    ];
    let answer = admin.call(
        &CreateAclsRequest {
            creations: bad.into(),
            ..Default::default()
        },
        3,
    );
    for result in &answer.results {
        assert_eq!(result.error_code, ErrorCode::INVALID_REQUEST, "{result:?}");
    }
    let listed = |admin: &mut Client| {
        let answer = admin.call(&everything(), 3);
        let resources = answer.resources.iter();
        resources
            .map(|resource| (resource.resource_name.to_string(), resource.acls.len()))
            .collect::<Vec<_>>()
    };
    let expected = [("a".to_owned(), 2), ("g-".to_owned(), 1)];
    assert_eq!(listed(&mut admin), expected);
    let data = server.kill();
    let arguments = flags(
        "SASL_PLAINTEXT://127.0.0.1:0",
        &["--sasl-plain-unencrypted=true"],
    );
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let server = Server::start_in(data, &arguments);
    let mut admin = logged_in(&server, ADMIN.0, ADMIN.1);
    assert_eq!(listed(&mut admin), expected);
    assert_eq!(forget(&mut admin, "User:anna"), 2);
    assert_eq!(listed(&mut admin), [("a".to_owned(), 1)]);
}

/// Without logins nothing is asked; and nobody can shut everybody out with a first entry.
#[test]
fn a_server_without_logins_stays_open() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.metadata("t");
    let request = CreateAclsRequest {
        creations: vec![creation(TOPIC, LITERAL, "t", "User:ANONYMOUS", READ, ALLOW)],
        ..Default::default()
    };
    let disabled = ErrorCode::SECURITY_DISABLED;
    assert_eq!(client.call(&request, 3).results[0].error_code, disabled);
    assert_eq!(client.call(&everything(), 3).error_code, disabled);
    let request = DeleteAclsRequest {
        filters: vec![filter("User:ANONYMOUS")],
        ..Default::default()
    };
    assert_eq!(
        client.call(&request, 3).filter_results[0].error_code,
        disabled
    );
    assert_eq!(
        client.produce("t", batch(&["a"])).error_code,
        ErrorCode::NONE
    );
    assert_eq!(client.values("t", 0).len(), 1);
}

#[test]
fn no_more_entries_than_there_may_be() {
    let server = Server::start(&[
        "--acl-entries-max=2",
        "--acl-enforced=always",
        "--acl-super-users=User:ANONYMOUS",
    ]);
    let mut client = server.client();
    let entry = |name: &str| creation(TOPIC, LITERAL, name, "User:anna", READ, ALLOW);
    let request = CreateAclsRequest {
        creations: vec![entry("a"), entry("b"), entry("c"), entry("a")],
        ..Default::default()
    };
    let codes: Vec<_> = client
        .call(&request, 3)
        .results
        .iter()
        .map(|result| result.error_code)
        .collect();
    let (ok, full) = (ErrorCode::NONE, ErrorCode::POLICY_VIOLATION);
    assert_eq!(codes, [ok, ok, full, ok]);
}
