//! Consumer groups over raw sockets: error codes, members that wait, and what a restart keeps.

mod support;

use std::time::{Duration, Instant};

use fletch_wire::messages::join_group::JoinGroupRequestProtocol;
use fletch_wire::messages::offset_commit::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use fletch_wire::messages::offset_delete::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use fletch_wire::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use fletch_wire::messages::sync_group::SyncGroupRequestAssignment;
use fletch_wire::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, DeleteGroupsRequest,
    DeleteTopicsRequest, DescribeGroupsRequest, HeartbeatRequest, JoinGroupRequest,
    LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest, OffsetDeleteRequest,
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

/// A member of a consumer group that joins to read topic `t`.
fn joining(group: &str, member: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: group.into(),
        member_id: member.into(),
        rebalance_timeout_ms: 10_000,
        subscribed_topic_names: Some(vec!["t".into()]),
        topic_partitions: Some(vec![]),
        ..Default::default()
    }
}

/// A member that has nothing new to say.
fn beating(group: &str, member: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: group.into(),
        member_id: member.into(),
        member_epoch: epoch,
        ..Default::default()
    }
}

/// Joins, and says that it has what it was told to have.
fn join_by_epochs(client: &mut Client, group: &str, member: &str) -> i32 {
    let joined = client.call(&joining(group, member), 1);
    assert_eq!(joined.error_code, ErrorCode::NONE);
    joined.member_epoch
}

/// The error for a member's commit of an offset in topic `t`.
fn commit_as(
    client: &mut Client,
    version: i16,
    group: &str,
    member: &str,
    epoch: i32,
) -> ErrorCode {
    let topic = OffsetCommitRequestTopic {
        name: "t".into(),
        partitions: vec![Default::default()],
        ..Default::default()
    };
    let request = OffsetCommitRequest {
        group_id: group.into(),
        member_id: member.into(),
        generation_id_or_member_epoch: epoch,
        topics: vec![topic],
        ..Default::default()
    };
    client.call(&request, version).topics[0].partitions[0].error_code
}

/// The error, and the offset in topic `t`, that a member is told.
fn fetch_as(
    client: &mut Client,
    group: &str,
    member: &str,
    epoch: i32,
) -> (ErrorCode, Option<i64>) {
    let topic = OffsetFetchRequestTopics {
        name: "t".into(),
        partition_indexes: vec![0],
        ..Default::default()
    };
    let asked = OffsetFetchRequestGroup {
        group_id: group.into(),
        member_id: Some(member.into()),
        member_epoch: epoch,
        topics: Some(vec![topic]),
        ..Default::default()
    };
    let request = OffsetFetchRequest {
        groups: vec![asked],
        ..Default::default()
    };
    let group = client.call(&request, 9).groups.remove(0);
    let topic = group.topics.first();
    let offset = topic.map(|topic| topic.partitions[0].committed_offset);
    (group.error_code, offset)
}

#[test]
fn errors_of_consumer_groups_are_those_of_kafka() {
    let server = Server::start(&["--kafka-group-members-max", "2"]);
    let mut client = server.client();
    client.metadata("t");
    let ask = |client: &mut Client, request: ConsumerGroupHeartbeatRequest| {
        let answer = client.call(&request, 1);
        assert_eq!(answer.error_code.is_none(), answer.error_message.is_none());
        answer
    };
    let refused = |client: &mut Client, request: ConsumerGroupHeartbeatRequest| {
        ask(client, request).error_code
    };

    let assignor = ConsumerGroupHeartbeatRequest {
        server_assignor: Some("by hand".into()),
        ..joining("g", "one")
    };
    let error = refused(&mut client, assignor);
    assert_eq!(error, ErrorCode::UNSUPPORTED_ASSIGNOR);
    let regex = ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: None,
        subscribed_topic_regex: Some("(t".into()),
        ..joining("g", "one")
    };
    let error = refused(&mut client, regex);
    assert_eq!(error, ErrorCode::INVALID_REGULAR_EXPRESSION);
    let error = refused(&mut client, beating("g", "one", 3));
    assert_eq!(error, ErrorCode::GROUP_ID_NOT_FOUND);
    let hasty = ConsumerGroupHeartbeatRequest {
        rebalance_timeout_ms: -1,
        ..joining("g", "one")
    };
    assert_eq!(refused(&mut client, hasty), ErrorCode::INVALID_REQUEST);

    let named = |member: &str| ConsumerGroupHeartbeatRequest {
        instance_id: Some("first".into()),
        ..joining("g", member)
    };
    let joined = ask(&mut client, named("one"));
    assert_eq!(joined.error_code, ErrorCode::NONE);
    let epoch = joined.member_epoch;
    // The name is taken for as long as its member hasn't left.
    let error = refused(&mut client, named("other"));
    assert_eq!(error, ErrorCode::UNRELEASED_INSTANCE_ID);
    let fenced = refused(&mut client, beating("g", "one", epoch + 1));
    assert_eq!(fenced, ErrorCode::FENCED_MEMBER_EPOCH);
    let stranger = refused(&mut client, beating("g", "nobody", epoch));
    assert_eq!(stranger, ErrorCode::UNKNOWN_MEMBER_ID);
    join_by_epochs(&mut client, "g", "two");
    let full = refused(&mut client, joining("g", "three"));
    assert_eq!(full, ErrorCode::GROUP_MAX_SIZE_REACHED);

    // Its offsets are those of members in their epochs.
    let heard = ask(&mut client, beating("g", "one", epoch));
    assert_eq!(heard.error_code, ErrorCode::NONE);
    let epoch = heard.member_epoch;
    let stale = ErrorCode::STALE_MEMBER_EPOCH;
    assert_eq!(commit_as(&mut client, 9, "g", "one", epoch + 1), stale);
    let unknown = ErrorCode::UNKNOWN_MEMBER_ID;
    assert_eq!(commit_as(&mut client, 9, "g", "nobody", epoch), unknown);
    assert_eq!(
        commit_as(&mut client, 9, "g", "one", epoch),
        ErrorCode::NONE
    );
    assert_eq!(fetch_as(&mut client, "g", "one", epoch + 1), (stale, None));
    assert_eq!(fetch_as(&mut client, "g", "nobody", epoch), (unknown, None));
    let found = fetch_as(&mut client, "g", "one", epoch);
    assert_eq!(found, (ErrorCode::NONE, Some(0)));
}

#[test]
fn a_group_that_is_not_there_is_said_not_to_be() {
    let server = Server::start(&AT_ONCE);
    let mut client = server.client();
    client.metadata("t");
    let missing = ErrorCode::GROUP_ID_NOT_FOUND;
    join_by_epochs(&mut client, "by epochs", "one");
    let described = DescribeGroupsRequest {
        groups: vec!["none".into(), "by epochs".into()],
        ..Default::default()
    };
    for (version, error) in [(5, ErrorCode::NONE), (6, missing)] {
        for group in client.call(&described, version).groups {
            assert_eq!((&*group.group_state, group.error_code), ("Dead", error));
            assert_eq!(group.error_message.is_some(), version == 6);
        }
    }
    let illegal = ErrorCode::ILLEGAL_GENERATION;
    assert_eq!(commit_as(&mut client, 8, "none", "one", 4), illegal);
    assert_eq!(commit_as(&mut client, 9, "none", "one", 4), missing);
    // Who is nobody's member makes the group.
    assert_eq!(commit_as(&mut client, 9, "made", "", -1), ErrorCode::NONE);
    // Of a group that isn't there nothing is committed.
    let found = fetch_as(&mut client, "none", "one", 4);
    assert_eq!(found, (ErrorCode::NONE, Some(-1)));
}

#[test]
fn administrators_look_after_groups() {
    let server = Server::start(&AT_ONCE);
    let mut client = server.client();
    client.metadata("t");
    client.metadata("unread");
    join(&mut client, "classic");
    let epoch = join_by_epochs(&mut client, "by epochs", "one");
    assert_eq!(
        commit_as(&mut client, 9, "by epochs", "one", epoch),
        ErrorCode::NONE
    );
    assert_eq!(
        commit_as(&mut client, 9, "offsets", "", -1),
        ErrorCode::NONE
    );

    let list = |client: &mut Client, states: &[&str], types: &[&str]| {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).into()).collect();
        let request = ListGroupsRequest {
            states_filter: texts(states),
            types_filter: texts(types),
            ..Default::default()
        };
        let groups = client.call(&request, 5).groups.into_iter();
        let mut groups: Vec<_> = groups
            .map(|group| (group.group_id.to_string(), group.group_type.to_string()))
            .collect();
        groups.sort();
        groups
    };
    let all = [
        ("by epochs".into(), "consumer".into()),
        ("classic".into(), "classic".into()),
        ("offsets".into(), "classic".into()),
    ];
    assert_eq!(list(&mut client, &[], &[]), all);
    assert_eq!(list(&mut client, &[], &["consumer"]), all[..1]);
    assert_eq!(list(&mut client, &["Empty"], &[]), all[2..]);
    assert_eq!(list(&mut client, &["Empty"], &["consumer"]), []);

    let request = ConsumerGroupDescribeRequest {
        group_ids: vec!["by epochs".into(), "classic".into(), "none".into()],
        ..Default::default()
    };
    let described = client.call(&request, 1).groups;
    let errors: Vec<_> = described.iter().map(|group| group.error_code).collect();
    let missing = ErrorCode::GROUP_ID_NOT_FOUND;
    assert_eq!(errors, [ErrorCode::NONE, missing, missing]);
    let member = &described[0].members[0];
    assert_eq!((&*member.member_id, member.member_epoch), ("one", epoch));
    assert_eq!(member.member_type, 1, "of the new protocol");
    assert_eq!(&*member.assignment.topic_partitions[0].topic_name, "t");

    // Offsets in what a member reads stay; others go.
    let delete = |client: &mut Client, group: &str, topic: &str| {
        let partition = OffsetDeleteRequestPartition::default();
        let topic = OffsetDeleteRequestTopic {
            name: topic.into(),
            partitions: vec![partition],
            ..Default::default()
        };
        let request = OffsetDeleteRequest {
            group_id: group.into(),
            topics: vec![topic],
            ..Default::default()
        };
        let answer = client.call(&request, 0);
        match answer.error_code {
            ErrorCode::NONE => answer.topics[0].partitions[0].error_code,
            error => error,
        }
    };
    let read = ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC;
    assert_eq!(delete(&mut client, "by epochs", "t"), read);
    assert_eq!(delete(&mut client, "by epochs", "unread"), ErrorCode::NONE);
    assert_eq!(delete(&mut client, "none", "t"), missing);
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    assert_eq!(delete(&mut client, "offsets", "nowhere"), unknown);
    assert_eq!(fetch_as(&mut client, "offsets", "", -1).1, Some(0));
    assert_eq!(delete(&mut client, "offsets", "t"), ErrorCode::NONE);
    assert_eq!(fetch_as(&mut client, "offsets", "", -1).1, Some(-1));

    let request = DeleteGroupsRequest {
        groups_names: vec!["by epochs".into(), "classic".into()],
        ..Default::default()
    };
    for result in client.call(&request, 2).results {
        assert_eq!(result.error_code, ErrorCode::NON_EMPTY_GROUP);
    }
    // A member that leaves makes room for that.
    let left = client.call(&beating("by epochs", "one", -1), 1);
    assert_eq!(left.error_code, ErrorCode::NONE);
    let results = client.call(&request, 2).results;
    assert_eq!(results[0].error_code, ErrorCode::NONE);
    assert_eq!(fetch_as(&mut client, "by epochs", "", -1).1, Some(-1));
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

/// What a consumer says of itself: that it reads topic `t`, and owns nothing. (Version 0.)
const READS_T: &[u8] = b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff";
/// That partition 0 of topic `t` is assigned. (Version 0.)
const OWNS_T: &[u8] = b"\0\0\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\0\xff\xff\xff\xff";
/// That nothing is.
const OWNS_NOTHING: &[u8] = b"\0\0\0\0\0\0\xff\xff\xff\xff";

fn reading_request(group: &str, member: &str) -> JoinGroupRequest {
    let mut request = join_request(group, member);
    request.protocols[0].metadata = READS_T.into();
    request
}

/// Joins as a member of the classic protocol a group that answers at once, and asks for its assignment.
fn join_and_sync(client: &mut Client, member: &str, assigns: &[u8]) -> (i32, Vec<u8>) {
    let joined = client.call(&reading_request("moved", member), 5);
    assert_eq!(joined.error_code, ErrorCode::NONE);
    let assignment = SyncGroupRequestAssignment {
        member_id: member.into(),
        assignment: assigns.to_vec().into(),
        ..Default::default()
    };
    let sync = SyncGroupRequest {
        group_id: "moved".into(),
        generation_id: joined.generation_id,
        member_id: member.into(),
        assignments: vec![assignment],
        ..Default::default()
    };
    let synced = client.call(&sync, 3);
    assert_eq!(synced.error_code, ErrorCode::NONE);
    (joined.generation_id, synced.assignment.to_vec())
}

/// The id and the generation of the only member of `moved`, which is of the classic protocol and owns all
/// of `t`.
fn reading_alone(client: &mut Client) -> (String, i32) {
    client.metadata("t");
    let answer = client.call(&reading_request("moved", ""), 5);
    let id = answer.member_id.to_string();
    let (generation, owned) = join_and_sync(client, &id, OWNS_T);
    assert_eq!(owned, OWNS_T);
    (id, generation)
}

fn kind_and_state(client: &mut Client) -> (String, String) {
    let listed = client.call(&ListGroupsRequest::default(), 5).groups;
    let group = &listed[0];
    (group.group_type.to_string(), group.group_state.to_string())
}

#[test]
fn a_group_is_moved_to_the_new_protocol_and_back_over_kills() {
    let server = Server::start(&AT_ONCE);
    let mut client = server.client();
    let (old, generation) = reading_alone(&mut client);
    let committed = commit_as(&mut client, 9, "moved", &old, generation);
    assert_eq!(committed, ErrorCode::NONE);

    let joined = client.call(&joining("moved", "new"), 1);
    assert_eq!(
        (joined.error_code, joined.member_epoch),
        (ErrorCode::NONE, generation + 1)
    );
    let server = Server::start_in(server.kill(), &AT_ONCE);
    let mut client = server.client();
    let described = ConsumerGroupDescribeRequest {
        group_ids: vec!["moved".into()],
        ..Default::default()
    };
    let mut members = client.call(&described, 1).groups.remove(0).members;
    members.sort_by_key(|member| member.member_type);
    let types: Vec<(&str, i8)> = members
        .iter()
        .map(|member| (&*member.member_id, member.member_type))
        .collect();
    assert_eq!(types, [(&*old, 0), ("new", 1)]);
    // What it has read it may still commit, in its generation, until it joins again.
    let committed = commit_as(&mut client, 9, "moved", &old, generation);
    assert_eq!(committed, ErrorCode::NONE);
    let beat = heartbeat(&mut client, "moved", &old, generation);
    assert_eq!(beat, ErrorCode::REBALANCE_IN_PROGRESS);
    let (epoch, owned) = join_and_sync(&mut client, &old, b"");
    assert!(epoch > generation);
    let late = commit_as(&mut client, 9, "moved", &old, generation);
    assert_eq!(late, ErrorCode::ILLEGAL_GENERATION);
    let of_new = client
        .call(&joining("moved", "new"), 1)
        .assignment
        .expect("all of it");
    match of_new.topic_partitions.len() {
        0 => assert_eq!(owned, OWNS_T),
        _ => assert_eq!(owned, OWNS_NOTHING),
    }

    client.call(&beating("moved", "new", -1), 1);
    let rebalances = ("classic".to_owned(), "PreparingRebalance".to_owned());
    assert_eq!(kind_and_state(&mut client), rebalances);
    let server = Server::start_in(server.kill(), &AT_ONCE);
    let mut client = server.client();
    assert_eq!(kind_and_state(&mut client), rebalances);
    let beat = heartbeat(&mut client, "moved", &old, epoch);
    assert_eq!(beat, ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(join_and_sync(&mut client, &old, OWNS_T).1, OWNS_T);
    assert_eq!(kind_and_state(&mut client).1, "Stable");
    assert_eq!(
        fetch_as(&mut client, "moved", &old, -1),
        (ErrorCode::NONE, Some(0))
    );
}

#[test]
fn a_group_with_members_stays_what_it_is_if_it_is_told_to() {
    let disabled = ["--kafka-group-consumer-migration-policy", "disabled"];
    let server = Server::start(&[&AT_ONCE[..], &disabled].concat());
    let mut client = server.client();
    reading_alone(&mut client);
    let refused = client.call(&joining("moved", "new"), 1).error_code;
    assert_eq!(refused, ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(kind_and_state(&mut client).0, "classic");
}
