//! Consumer groups over raw sockets: error codes, members that wait, and what a restart keeps.

mod support;

use std::time::{Duration, Instant};

use fletch_wire::messages::join_group::JoinGroupRequestProtocol;
use fletch_wire::messages::offset_commit::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use fletch_wire::messages::sync_group::SyncGroupRequestAssignment;
use fletch_wire::messages::{
    DeleteGroupsRequest, DeleteTopicsRequest, DescribeGroupsRequest, HeartbeatRequest,
    JoinGroupRequest, LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest,
    OffsetFetchRequest, SyncGroupRequest,
};
use fletch_wire::{ErrorCode, ResponseBody};
use support::{Client, Server, batch};

/// So that a group of one need not wait for others.
const AT_ONCE: [&str; 2] = ["--kafka-group-initial-rebalance-delay-ms", "0"];

fn join_request(group: &str, member: &str) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol {
        name: "range".into(),
        ..Default::default()
    };
    JoinGroupRequest {
        group_id: group.into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        member_id: member.into(),
        protocol_type: "consumer".into(),
        protocols: vec![protocol],
        ..Default::default()
    }
}

/// Joins an empty group and assigns to itself: the member's id, and its generation.
fn join(client: &mut Client, group: &str) -> (String, i32) {
    let asked = client.call(&join_request(group, ""), 5);
    assert_eq!(asked.error_code, ErrorCode::MEMBER_ID_REQUIRED);
    let joined = client.call(&join_request(group, &asked.member_id), 5);
    assert_eq!(joined.error_code, ErrorCode::NONE);
    assert_eq!(joined.leader, joined.member_id);
    let assignment = SyncGroupRequestAssignment {
        member_id: joined.member_id.clone(),
        assignment: "everything".into(),
        ..Default::default()
    };
    let sync = SyncGroupRequest {
        group_id: group.into(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        assignments: vec![assignment],
        ..Default::default()
    };
    assert_eq!(client.call(&sync, 3).assignment, "everything");
    (joined.member_id.to_string(), joined.generation_id)
}

fn heartbeat(client: &mut Client, group: &str, member: &str, generation_id: i32) -> ErrorCode {
    let request = HeartbeatRequest {
        group_id: group.into(),
        generation_id,
        member_id: member.into(),
        ..Default::default()
    };
    client.call(&request, 3).error_code
}

fn commit(client: &mut Client, topic: &str, offset: i64, metadata: &str) -> ErrorCode {
    let partition = OffsetCommitRequestPartition {
        committed_offset: offset,
        committed_metadata: Some(metadata.into()),
        ..Default::default()
    };
    let topic = OffsetCommitRequestTopic {
        name: topic.into(),
        partitions: vec![partition],
        ..Default::default()
    };
    let request = OffsetCommitRequest {
        group_id: "g".into(),
        topics: vec![topic],
        ..Default::default()
    };
    client.call(&request, 7).topics[0].partitions[0].error_code
}

/// Everything that the group has committed: topic, offset, metadata.
fn committed(client: &mut Client) -> Vec<(String, i64, String)> {
    let request = OffsetFetchRequest {
        group_id: "g".into(),
        topics: None,
        ..Default::default()
    };
    let topics = client.call(&request, 5).topics.into_iter();
    let offsets = topics.map(|topic| {
        let partition = &topic.partitions[0];
        let metadata = partition.metadata.as_deref().unwrap_or_default();
        let (offset, metadata) = (partition.committed_offset, metadata.to_owned());
        (topic.name.to_string(), offset, metadata)
    });
    offsets.collect()
}

#[test]
fn errors_are_those_of_kafka() {
    let server = Server::start(&AT_ONCE);
    let mut client = server.client();
    let refused = client.call(&join_request("", ""), 5);
    assert_eq!(refused.error_code, ErrorCode::INVALID_GROUP_ID);
    let refused = client.call(&join_request("g", "nobody"), 5);
    assert_eq!(refused.error_code, ErrorCode::UNKNOWN_MEMBER_ID);
    let hasty = JoinGroupRequest {
        session_timeout_ms: 1,
        ..join_request("g", "")
    };
    let refused = client.call(&hasty, 5);
    assert_eq!(refused.error_code, ErrorCode::INVALID_SESSION_TIMEOUT);

    let (member, generation) = join(&mut client, "g");
    let beat = heartbeat(&mut client, "g", &member, generation);
    assert_eq!(beat, ErrorCode::NONE);
    let beat = heartbeat(&mut client, "g", &member, generation + 1);
    assert_eq!(beat, ErrorCode::ILLEGAL_GENERATION);
    let beat = heartbeat(&mut client, "g", "nobody", generation);
    assert_eq!(beat, ErrorCode::UNKNOWN_MEMBER_ID);
    let delete = DeleteGroupsRequest {
        groups_names: vec!["g".into(), "none".into()],
        ..Default::default()
    };
    let results = client.call(&delete, 1).results;
    let errors: Vec<_> = results.iter().map(|result| result.error_code).collect();
    let expected = [ErrorCode::NON_EMPTY_GROUP, ErrorCode::GROUP_ID_NOT_FOUND];
    assert_eq!(errors, expected);

    let described = DescribeGroupsRequest {
        groups: vec!["g".into(); 3],
        ..Default::default()
    };
    let groups = client.call(&described, 4).groups;
    assert_eq!(groups.len(), 1, "a group is described once");
    assert_eq!(&*groups[0].group_state, "Stable");
    assert_eq!(&*groups[0].members[0].client_host, "/127.0.0.1");
    let listed = client.call(&ListGroupsRequest::default(), 4).groups;
    assert_eq!(&*listed[0].group_id, "g");
    assert_eq!(server.metric("kafka_group_generations"), 1.0);
}

#[test]
fn offsets_are_kept_over_a_kill_and_go_with_their_topic() {
    let server = Server::start(&["--kafka-offset-metadata-bytes-max", "4"]);
    let mut client = server.client();
    for topic in ["kept", "dropped"] {
        client.metadata(topic);
        client.produce(topic, batch(&["a"]));
        assert_eq!(commit(&mut client, topic, 1, "note"), ErrorCode::NONE);
    }
    let refused = commit(&mut client, "kept", 2, "notes");
    assert_eq!(refused, ErrorCode::OFFSET_METADATA_TOO_LARGE);
    let refused = commit(&mut client, "nowhere", 2, "");
    assert_eq!(refused, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let offset = |topic: &str| (topic.to_owned(), 1, "note".to_owned());
    assert_eq!(committed(&mut client), [offset("dropped"), offset("kept")]);

    let server = Server::start_in(server.kill(), &[]);
    let mut client = server.client();
    assert_eq!(committed(&mut client), [offset("dropped"), offset("kept")]);
    let delete = DeleteTopicsRequest {
        topic_names: vec!["dropped".into()],
        timeout_ms: 1000,
        ..Default::default()
    };
    client.call(&delete, 3);
    assert_eq!(committed(&mut client), [offset("kept")]);
}

#[test]
fn members_survive_a_restart_and_leave() {
    let server = Server::start(&AT_ONCE);
    let (member, generation) = join(&mut server.client(), "g");
    let server = Server::start_in(server.kill(), &AT_ONCE);
    let mut client = server.client();
    let beat = heartbeat(&mut client, "g", &member, generation);
    assert_eq!(beat, ErrorCode::NONE);
    let leave = LeaveGroupRequest {
        group_id: "g".into(),
        member_id: member.as_str().into(),
        ..Default::default()
    };
    assert_eq!(client.call(&leave, 2).error_code, ErrorCode::NONE);
    let beat = heartbeat(&mut client, "g", &member, generation);
    assert_eq!(beat, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_member_that_waits_hears_of_the_others_and_holds_nobody_up() {
    let server = Server::start(&AT_ONCE);
    let (mut first, mut second) = (server.client(), server.client());
    let (member, generation) = join(&mut first, "g");
    let asked = second.call(&join_request("g", ""), 5);
    // What comes after a request that waits is answered after it.
    second.send(&join_request("g", &asked.member_id), 5);
    second.send(&ListGroupsRequest::default(), 4);
    assert!(second.is_silent(Duration::from_millis(300)));
    assert_eq!(server.metric("kafka_group_waiting_members"), 1.0);
    let beat = heartbeat(&mut first, "g", &member, generation);
    assert_eq!(beat, ErrorCode::REBALANCE_IN_PROGRESS);
    let joined = first.call(&join_request("g", &member), 5);
    assert_eq!(joined.error_code, ErrorCode::NONE);
    assert_eq!(joined.members.len(), 2);
    let ResponseBody::JoinGroup(follower) = second.receive() else {
        panic!("not JoinGroup")
    };
    assert_eq!(follower.generation_id, joined.generation_id);
    assert_eq!(follower.leader, joined.member_id);
    assert!(matches!(second.receive(), ResponseBody::ListGroups(_)));
}

#[test]
fn a_wait_ends_with_its_connection_and_with_the_server() {
    let server = Server::start(&["--kafka-group-initial-rebalance-delay-ms", "60000"]);
    let waiting = |server: &Server| {
        let mut client = server.client();
        let asked = client.call(&join_request("g", ""), 5);
        client.send(&join_request("g", &asked.member_id), 5);
        client
    };
    let mut client = waiting(&server);
    assert!(client.is_silent(Duration::from_millis(200)));
    drop(client);
    let deadline = Instant::now() + Duration::from_secs(10);
    while server.metric("kafka_group_waiting_members") != 0.0 {
        assert!(Instant::now() < deadline, "it still waits");
    }
    let mut client = waiting(&server);
    assert!(client.is_silent(Duration::from_millis(200)));
    let (status, took, _folder) = server.terminate();
    assert!(
        status.success() && took < Duration::from_secs(5),
        "{took:?}"
    );
    let ResponseBody::JoinGroup(answer) = client.receive() else {
        panic!("not JoinGroup")
    };
    assert_eq!(answer.error_code, ErrorCode::COORDINATOR_NOT_AVAILABLE);
}
