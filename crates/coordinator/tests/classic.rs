//! The classic protocol: what each request is answered in each state of its group.

mod support;

use fletch_coordinator::GroupConfig;
use fletch_wire::messages::join_group::JoinGroupResponseMember;
use fletch_wire::messages::*;
use fletch_wire::{ErrorCode, Str};
use support::*;

fn world() -> World {
    World::new(config())
}

fn error_of_join(world: &mut World, request: &JoinGroupRequest) -> ErrorCode {
    let ticket = world.join(JOIN_VERSION, request);
    world.joined(ticket).expect("an answer at once").error_code
}

fn error_of_sync(world: &mut World, request: &SyncGroupRequest) -> ErrorCode {
    let ticket = world.sync(request);
    world.synced(ticket).expect("an answer at once").error_code
}

#[test]
fn a_new_member_is_given_an_id_to_join_with() {
    let mut world = world();
    let ticket = world.join(4, &join_request(""));
    let answer = world.joined(ticket).unwrap();
    assert_eq!(answer.error_code, ErrorCode::MEMBER_ID_REQUIRED);
    assert!(answer.member_id.starts_with("client-"));
    assert_eq!(
        (answer.generation_id, answer.protocol_name),
        (-1, Some(Str::new()))
    );

    let ticket = world.join(4, &join_request(&answer.member_id));
    let joined = world.joined(ticket).unwrap();
    assert_eq!(joined.error_code, ErrorCode::NONE);
    assert_eq!(
        (joined.generation_id, &joined.leader),
        (1, &answer.member_id)
    );
    let member = JoinGroupResponseMember {
        member_id: answer.member_id,
        metadata: subscription(&["read"]).into(),
        ..Default::default()
    };
    assert_eq!(joined.members, [member]);
    assert_eq!(joined.protocol_name.as_deref(), Some("range"));
    assert_eq!(world.state(), "CompletingRebalance");
}

#[test]
fn an_old_client_joins_at_once() {
    let mut world = world();
    let ticket = world.join(3, &join_request(""));
    let joined = world.joined(ticket).unwrap();
    assert_eq!(
        (joined.error_code, joined.generation_id),
        (ErrorCode::NONE, 1)
    );
}

#[test]
fn an_id_that_is_not_used_is_forgotten_with_its_group() {
    let mut world = world();
    let ticket = world.join(JOIN_VERSION, &join_request(""));
    let id = world.joined(ticket).unwrap().member_id;
    assert_eq!(world.state(), "Empty");
    world.wait(10_001);
    assert_eq!(world.state(), "Dead");
    let unknown = ErrorCode::UNKNOWN_MEMBER_ID;
    assert_eq!(error_of_join(&mut world, &join_request(&id)), unknown);
}

#[test]
fn requests_to_join_that_cannot_be() {
    let mut world = world();
    let join = |change: fn(&mut JoinGroupRequest)| {
        let mut request = join_request("");
        change(&mut request);
        request
    };
    let invalid_timeout = ErrorCode::INVALID_SESSION_TIMEOUT;
    let cases = [
        (
            join(|r| r.group_id = "".into()),
            ErrorCode::INVALID_GROUP_ID,
        ),
        (join(|r| r.session_timeout_ms = 5_999), invalid_timeout),
        (join(|r| r.session_timeout_ms = 1_800_001), invalid_timeout),
        (
            join(|r| r.member_id = "who".into()),
            ErrorCode::UNKNOWN_MEMBER_ID,
        ),
        (
            join(|r| r.protocols.clear()),
            ErrorCode::INCONSISTENT_GROUP_PROTOCOL,
        ),
        (
            join(|r| r.protocol_type = "".into()),
            ErrorCode::INCONSISTENT_GROUP_PROTOCOL,
        ),
    ];
    for (request, error) in cases {
        assert_eq!(error_of_join(&mut world, &request), error);
    }
    assert_eq!(world.state(), "Dead", "none of them has made a group");

    world.stable(1);
    let cases = [
        (
            join(|r| r.member_id = "who".into()),
            ErrorCode::UNKNOWN_MEMBER_ID,
        ),
        (
            join(|r| r.protocols[0].name = "other".into()),
            ErrorCode::INCONSISTENT_GROUP_PROTOCOL,
        ),
        (
            join(|r| r.protocol_type = "connect".into()),
            ErrorCode::INCONSISTENT_GROUP_PROTOCOL,
        ),
    ];
    for (request, error) in cases {
        assert_eq!(error_of_join(&mut world, &request), error);
    }
    assert_eq!(world.state(), "Stable");
}

#[test]
fn a_group_has_a_largest_size() {
    let config = GroupConfig {
        group_members_max: 2,
        ..config()
    };
    let mut world = World::new(config);
    let (ids, generation) = world.stable(2);
    let full = ErrorCode::GROUP_MAX_SIZE_REACHED;
    assert_eq!(error_of_join(&mut world, &join_request("")), full);
    // Those who are in it stay in it.
    assert_eq!(
        world.heartbeat(&heartbeat_request(&ids[0], generation)),
        ErrorCode::NONE
    );
    let ticket = world.join(JOIN_VERSION, &join_request(&ids[1]));
    assert_eq!(world.joined(ticket).unwrap().error_code, ErrorCode::NONE);
}

#[test]
fn a_group_has_a_largest_size_in_bytes() {
    let config = GroupConfig {
        group_bytes_max: 1000,
        ..config()
    };
    let mut world = World::new(config);
    let mut request = join_request("");
    request.protocols[0].metadata = vec![0; 1001].into();
    let full = ErrorCode::GROUP_MAX_SIZE_REACHED;
    assert_eq!(error_of_join(&mut world, &request), full);
    let (ids, _) = world.stable(1);
    let ticket = world.join(JOIN_VERSION, &join_request(&ids[0]));
    let generation = world.joined(ticket).unwrap().generation_id;
    let mut request = sync_request(&ids[0], generation);
    request
        .assignments
        .push(sync_group::SyncGroupRequestAssignment {
            member_id: ids[0].clone(),
            assignment: vec![0; 1000].into(),
            ..Default::default()
        });
    assert_eq!(error_of_sync(&mut world, &request), full);
}

#[test]
fn heartbeats() {
    let mut world = world();
    let unknown = ErrorCode::UNKNOWN_MEMBER_ID;
    assert_eq!(world.heartbeat(&heartbeat_request("who", 1)), unknown);
    let mut nameless = heartbeat_request("who", 1);
    nameless.group_id = "".into();
    assert_eq!(world.heartbeat(&nameless), ErrorCode::INVALID_GROUP_ID);

    let (ids, generation) = world.stable(2);
    assert_eq!(
        world.heartbeat(&heartbeat_request(&ids[0], generation)),
        ErrorCode::NONE
    );
    assert_eq!(
        world.heartbeat(&heartbeat_request("who", generation)),
        unknown
    );
    let illegal = ErrorCode::ILLEGAL_GENERATION;
    for wrong in [generation - 1, generation + 1, -1] {
        assert_eq!(world.heartbeat(&heartbeat_request(&ids[0], wrong)), illegal);
    }
    // Somebody comes: the others are asked to join again, until they have.
    let (_, newest) = world.join_new();
    let rebalance = ErrorCode::REBALANCE_IN_PROGRESS;
    assert_eq!(
        world.heartbeat(&heartbeat_request(&ids[0], generation)),
        rebalance
    );
    let tickets: Vec<u64> = ids
        .iter()
        .map(|id| world.join(JOIN_VERSION, &join_request(id)))
        .collect();
    for ticket in [newest, tickets[0], tickets[1]] {
        assert_eq!(world.joined(ticket).unwrap().generation_id, generation + 1);
    }
    // In the new generation, and not yet with an assignment.
    assert_eq!(
        world.heartbeat(&heartbeat_request(&ids[0], generation + 1)),
        ErrorCode::NONE
    );
    assert_eq!(
        world.heartbeat(&heartbeat_request(&ids[0], generation)),
        illegal
    );
}

#[test]
fn assignments() {
    let mut world = world();
    let unknown = ErrorCode::UNKNOWN_MEMBER_ID;
    assert_eq!(error_of_sync(&mut world, &sync_request("who", 1)), unknown);
    let (ids, generation) = world.stable(2);
    assert_eq!(
        error_of_sync(&mut world, &sync_request("who", generation)),
        unknown
    );
    let illegal = ErrorCode::ILLEGAL_GENERATION;
    assert_eq!(
        error_of_sync(&mut world, &sync_request(&ids[0], generation + 1)),
        illegal
    );
    let inconsistent = ErrorCode::INCONSISTENT_GROUP_PROTOCOL;
    let mut request = sync_request(&ids[0], generation);
    request.protocol_name = Some("other".into());
    assert_eq!(error_of_sync(&mut world, &request), inconsistent);
    request.protocol_name = Some("range".into());
    request.protocol_type = Some("other".into());
    assert_eq!(error_of_sync(&mut world, &request), inconsistent);
    request.protocol_type = Some("consumer".into());
    // Who asks again is told again.
    let ticket = world.sync(&request);
    assert_eq!(&*world.synced(ticket).unwrap().assignment, &[0]);
    // While others are waited for, there is no assignment.
    world.join_new();
    let rebalance = ErrorCode::REBALANCE_IN_PROGRESS;
    assert_eq!(error_of_sync(&mut world, &request), rebalance);
}

#[test]
fn followers_wait_for_the_leader_and_are_told_when_it_is_in_vain() {
    let mut world = world();
    let (leader, _) = world.join_new();
    let (follower, ticket) = world.join_new();
    let again = world.join(JOIN_VERSION, &join_request(&leader));
    let generation = world.joined(ticket).unwrap().generation_id;
    assert_eq!(world.joined(again).unwrap().leader, leader);
    let waiting = world.sync(&sync_request(&follower, generation));
    assert_eq!(world.synced(waiting), None);
    // The leader joins with another subscription instead of assigning.
    let mut request = join_request(&leader);
    request.protocols[0].metadata = subscription(&["other"]).into();
    let joining = world.join(JOIN_VERSION, &request);
    let answer = world.synced(waiting).unwrap();
    assert_eq!(answer.error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(world.joined(joining), None, "the follower is waited for");
    world.join(JOIN_VERSION, &join_request(&follower));
    assert_eq!(world.joined(joining).unwrap().generation_id, generation + 1);
}

#[test]
fn who_asks_twice_gets_two_answers() {
    let mut world = world();
    let (ids, _) = world.stable(2);
    let (_, waiting) = world.join_new();
    let first = world.join(JOIN_VERSION, &join_request(&ids[0]));
    let second = world.join(JOIN_VERSION, &join_request(&ids[0]));
    let answer = world.joined(first).unwrap();
    assert_eq!(answer.error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(world.joined(second), None);
    world.join(JOIN_VERSION, &join_request(&ids[1]));
    assert_eq!(world.joined(second).unwrap().error_code, ErrorCode::NONE);
    let generation = world.joined(waiting).unwrap().generation_id;
    let follower = match world.heartbeat(&heartbeat_request(&ids[1], generation)) {
        ErrorCode::NONE => &ids[1],
        error => panic!("{error}"),
    };
    let first = world.sync(&sync_request(follower, generation));
    let second = world.sync(&sync_request(follower, generation));
    let answer = world.synced(first).unwrap();
    assert_eq!(answer.error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(world.synced(second), None);
}

#[test]
fn the_first_members_of_a_group_are_waited_for() {
    let config = GroupConfig {
        initial_rebalance_delay_ms: 3_000,
        ..config()
    };
    let mut world = World::new(config);
    let (_, first) = world.join_new();
    world.wait(2_000);
    let (_, second) = world.join_new();
    world.wait(1_500);
    assert_eq!(
        world.joined(first),
        None,
        "somebody came: it waits a little longer"
    );
    world.wait(2_500);
    let answers = [first, second].map(|ticket| world.joined(ticket).unwrap());
    assert_eq!(answers.map(|answer| answer.generation_id), [1, 1]);
}

#[test]
fn the_wait_for_the_first_members_ends() {
    let config = GroupConfig {
        initial_rebalance_delay_ms: 3_000,
        ..config()
    };
    let mut world = World::new(config);
    let (_, first) = world.join_new();
    for _ in 0..60 {
        world.join_new();
        world.wait(999);
    }
    assert_eq!(world.joined(first), None);
    world.wait(1_000);
    assert_eq!(
        world.joined(first).unwrap().generation_id,
        1,
        "at the rebalance timeout"
    );
}

#[test]
fn silent_members_are_out_after_their_session() {
    let mut world = world();
    let (ids, generation) = world.stable(2);
    world.wait(6_000);
    assert_eq!(
        world.heartbeat(&heartbeat_request(&ids[0], generation)),
        ErrorCode::NONE
    );
    world.wait(6_000);
    let rebalance = ErrorCode::REBALANCE_IN_PROGRESS;
    assert_eq!(
        world.heartbeat(&heartbeat_request(&ids[0], generation)),
        rebalance
    );
    let unknown = ErrorCode::UNKNOWN_MEMBER_ID;
    assert_eq!(
        world.heartbeat(&heartbeat_request(&ids[1], generation)),
        unknown
    );
    let ticket = world.join(JOIN_VERSION, &join_request(&ids[0]));
    let answer = world.joined(ticket).unwrap();
    assert_eq!(
        (answer.generation_id, &answer.leader),
        (generation + 1, &ids[0])
    );
    world.wait(100_000);
    assert_eq!(world.state(), "Empty");
}

#[test]
fn who_does_not_join_again_in_time_is_out() {
    let mut world = world();
    let (ids, generation) = world.stable(3);
    let (_, newest) = world.join_new();
    let ticket = world.join(JOIN_VERSION, &join_request(&ids[2]));
    // They are there, but they don't join.
    for _ in 0..11 {
        world.wait(5_000);
        for id in &ids[..2] {
            world.heartbeat(&heartbeat_request(id, generation));
        }
        assert_eq!(world.joined(newest), None);
    }
    world.wait(5_000);
    let answer = world.joined(newest).unwrap();
    let leader = world.joined(ticket).unwrap();
    assert_eq!(
        (answer.generation_id, leader.generation_id),
        (generation + 1, generation + 1)
    );
    let members = [answer.members.len(), leader.members.len()];
    assert_eq!(
        members.into_iter().sum::<usize>(),
        2,
        "the leader, who has joined, sees both"
    );
    let unknown = ErrorCode::UNKNOWN_MEMBER_ID;
    assert_eq!(
        world.heartbeat(&heartbeat_request(&ids[0], generation + 1)),
        unknown
    );
}

#[test]
fn who_does_not_ask_for_its_assignment_in_time_is_out() {
    let mut world = world();
    let (leader, _) = world.join_new();
    let (follower, ticket) = world.join_new();
    world.join(JOIN_VERSION, &join_request(&leader));
    let generation = world.joined(ticket).unwrap().generation_id;
    let waiting = world.sync(&sync_request(&follower, generation));
    for _ in 0..11 {
        world.wait(5_000);
        let beat = world.heartbeat(&heartbeat_request(&leader, generation));
        assert_eq!(beat, ErrorCode::NONE);
    }
    world.wait(5_000);
    let answer = world.synced(waiting).unwrap();
    assert_eq!(answer.error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    let ticket = world.join(JOIN_VERSION, &join_request(&follower));
    let answer = world.joined(ticket).unwrap();
    assert_eq!((answer.leader, answer.members.len()), (follower, 1));
}

#[test]
fn members_leave_several_at_once() {
    let mut world = world();
    let none: Option<&str> = None;
    assert_eq!(
        world.leave(&[("who", none)]),
        [ErrorCode::UNKNOWN_MEMBER_ID]
    );
    let (ids, generation) = world.stable(3);
    let left = world.leave(&[
        (&ids[0], none),
        ("who", none),
        (&ids[1], none),
        (&ids[0], none),
    ]);
    let (ok, unknown) = (ErrorCode::NONE, ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(left, [ok, unknown, ok, unknown]);
    let ticket = world.join(JOIN_VERSION, &join_request(&ids[2]));
    let answer = world.joined(ticket).unwrap();
    assert_eq!(
        (answer.generation_id, answer.members.len()),
        (generation + 1, 1)
    );
    assert_eq!(world.leave(&[(&ids[2], none)]), [ok]);
    assert_eq!(world.state(), "Empty");
    // Old clients say it for themselves, and hear it at the top.
    let request = LeaveGroupRequest {
        group_id: GROUP.into(),
        member_id: ids[2].clone(),
        ..Default::default()
    };
    let mut out = Default::default();
    let answer = world.groups.leave_group(0, 2, &request, &mut out);
    assert_eq!((answer.error_code, answer.members.len()), (unknown, 0));
}

#[test]
fn a_static_member_comes_back_without_a_rebalance() {
    let mut world = world();
    let ticket = world.join(JOIN_VERSION, &static_request("", "one"));
    let first = world.joined(ticket).unwrap();
    assert_eq!(
        (first.error_code, first.generation_id),
        (ErrorCode::NONE, 1)
    );
    world.assign(std::slice::from_ref(&first.member_id), 1);

    // It comes back without its id.
    let ticket = world.join(JOIN_VERSION, &static_request("", "one"));
    let second = world.joined(ticket).unwrap();
    assert_eq!(
        (second.error_code, second.generation_id),
        (ErrorCode::NONE, 1)
    );
    assert!(second.skip_assignment && second.leader == second.member_id);
    assert_ne!(first.member_id, second.member_id);
    let ticket = world.sync(&sync_request(&second.member_id, 1));
    assert_eq!(&*world.synced(ticket).unwrap().assignment, &[0]);

    // Whoever had its place before is fenced, and may not do anything.
    let fenced = ErrorCode::FENCED_INSTANCE_ID;
    let mut beat = heartbeat_request(&first.member_id, 1);
    assert_eq!(world.heartbeat(&beat), ErrorCode::UNKNOWN_MEMBER_ID);
    beat.group_instance_id = Some("one".into());
    assert_eq!(world.heartbeat(&beat), fenced);
    let mut sync = sync_request(&first.member_id, 1);
    sync.group_instance_id = Some("one".into());
    assert_eq!(error_of_sync(&mut world, &sync), fenced);
    let join = static_request(&first.member_id, "one");
    assert_eq!(error_of_join(&mut world, &join), fenced);
    let mut commit = commit_request(&first.member_id, 1, 7);
    commit.group_instance_id = Some("one".into());
    assert_eq!(world.commit(&commit), fenced);
    assert_eq!(world.leave(&[(&first.member_id, Some("one"))]), [fenced]);
    let stranger = static_request("who", "two");
    assert_eq!(
        error_of_join(&mut world, &stranger),
        ErrorCode::UNKNOWN_MEMBER_ID
    );

    // An older client must not think that it leads, or it would assign.
    let ticket = world.join(8, &static_request("", "one"));
    let third = world.joined(ticket).unwrap();
    assert_eq!((third.leader, third.members.len()), (second.member_id, 0));
    assert!(!third.skip_assignment);
    // Its name is enough to take it out.
    assert_eq!(
        world.leave(&[("", Some("one")), ("", Some("two"))]),
        [ErrorCode::NONE, ErrorCode::UNKNOWN_MEMBER_ID]
    );
    assert_eq!(world.state(), "Empty");
}

#[test]
fn a_static_member_with_another_protocol_causes_a_rebalance() {
    let mut world = world();
    let ticket = world.join(JOIN_VERSION, &static_request("", "one"));
    let first = world.joined(ticket).unwrap();
    world.assign(std::slice::from_ref(&first.member_id), 1);
    let mut request = static_request("", "one");
    request.protocols.insert(0, protocol("sticky", b""));
    request.protocols[1].name = "roundrobin".into();
    // It shares no protocol with itself.
    assert_eq!(
        error_of_join(&mut world, &request),
        ErrorCode::INCONSISTENT_GROUP_PROTOCOL
    );
    request.protocols[1].name = "range".into();
    let ticket = world.join(JOIN_VERSION, &request);
    let answer = world.joined(ticket).unwrap();
    assert_eq!(
        (answer.generation_id, answer.protocol_name.as_deref()),
        (2, Some("sticky"))
    );
}

#[test]
fn a_static_member_that_waits_is_told_when_it_is_replaced() {
    let mut world = world();
    let (ids, _) = world.stable(1);
    let joining = world.join(JOIN_VERSION, &static_request("", "one"));
    assert_eq!(world.joined(joining), None, "the other is waited for");
    let again = world.join(JOIN_VERSION, &static_request("", "one"));
    assert_eq!(
        world.joined(joining).unwrap().error_code,
        ErrorCode::FENCED_INSTANCE_ID
    );
    world.join(JOIN_VERSION, &join_request(&ids[0]));
    let answer = world.joined(again).unwrap();
    assert_eq!(answer.error_code, ErrorCode::NONE);
    // And while it waits for its assignment.
    let waiting = world.sync(&sync_request(&answer.member_id, answer.generation_id));
    assert_eq!(world.synced(waiting), None);
    world.join(JOIN_VERSION, &static_request("", "one"));
    assert_eq!(
        world.synced(waiting).unwrap().error_code,
        ErrorCode::FENCED_INSTANCE_ID
    );
    assert_eq!(world.state(), "PreparingRebalance");
}

#[test]
fn a_static_member_keeps_its_place_through_a_rebalance_until_its_session_ends() {
    let mut world = world();
    let mut request = static_request("", "one");
    request.session_timeout_ms = 120_000;
    let ticket = world.join(JOIN_VERSION, &request);
    let one = world.joined(ticket).unwrap();
    world.assign(std::slice::from_ref(&one.member_id), 1);
    let joining = world.join(JOIN_VERSION, &static_request("", "two"));
    world.wait(60_000);
    let answer = world.joined(joining).unwrap();
    assert_eq!((answer.generation_id, answer.members.len()), (2, 2));
    assert_eq!(answer.leader, answer.member_id, "one that has joined leads");
    world.wait(60_001);
    assert_ne!(world.state(), "CompletingRebalance");
}

#[test]
fn the_protocol_that_all_can_use_and_most_like_best_is_chosen() {
    let mut world = world();
    let request = |id: &str, names: &[&str]| {
        let mut request = join_request(id);
        request.protocols = names
            .iter()
            .map(|name| protocol(name, name.as_bytes()))
            .collect();
        request
    };
    let preferences: [&[&str]; 3] = [&["a", "b", "c"], &["c", "b"], &["b", "c"]];
    let mut ids: Vec<(Str, u64)> = Vec::new();
    for names in preferences {
        let ticket = world.join(JOIN_VERSION, &request("", names));
        let id = world.joined(ticket).unwrap().member_id;
        let ticket = world.join(JOIN_VERSION, &request(&id, names));
        for (index, (id, ticket)) in ids.iter_mut().enumerate() {
            world.answers.remove(ticket);
            *ticket = world.join(JOIN_VERSION, &request(id, preferences[index]));
        }
        ids.push((id, ticket));
    }
    let answer = world.joined(ids[2].1).unwrap();
    assert_eq!(
        answer.protocol_name.as_deref(),
        Some("b"),
        "`a` isn't common, `b` has two votes"
    );
    let inconsistent = ErrorCode::INCONSISTENT_GROUP_PROTOCOL;
    assert_eq!(
        error_of_join(&mut world, &request("", &["a"])),
        inconsistent
    );
}

#[test]
fn a_restart_keeps_members_generation_and_assignments() {
    let mut world = world();
    let (ids, generation) = world.stable(3);
    world.wait(5_000);
    world.restart();
    assert_eq!(world.state(), "Stable");
    world.wait(9_000);
    for id in &ids {
        assert_eq!(
            world.heartbeat(&heartbeat_request(id, generation)),
            ErrorCode::NONE
        );
    }
    let ticket = world.sync(&sync_request(&ids[1], generation));
    assert_eq!(&*world.synced(ticket).unwrap().assignment, &[1]);
    // A follower that joins as it is, is told of the generation it is in.
    let follower = ids
        .iter()
        .map(|id| world.join(JOIN_VERSION, &join_request(id)))
        .max();
    assert!(world.joined(follower.unwrap()).is_some() || world.state() == "PreparingRebalance");
    world.restart();
    world.wait(10_001);
    assert_ne!(world.state(), "Stable", "nobody was heard of");
}

#[test]
fn a_restart_goes_on_with_a_generation_that_is_not_assigned() {
    let mut world = world();
    let (leader, _) = world.join_new();
    let (follower, ticket) = world.join_new();
    world.join(JOIN_VERSION, &join_request(&leader));
    let generation = world.joined(ticket).unwrap().generation_id;
    world.restart();
    assert_eq!(world.state(), "CompletingRebalance");
    let beat = heartbeat_request(&follower, generation);
    assert_eq!(world.heartbeat(&beat), ErrorCode::NONE);
    // The leader's connection broke: it asks again, and is told again.
    let ticket = world.join(JOIN_VERSION, &join_request(&leader));
    let answer = world.joined(ticket).unwrap();
    assert_eq!(
        (answer.generation_id, answer.members.len()),
        (generation, 2)
    );
    world.assign(&[leader, follower], generation);
    world.restart();
    assert_eq!(world.state(), "Stable");
}

#[test]
fn groups_are_listed_described_and_deleted() {
    let mut world = world();
    let list = |world: &World, states: &[&str], types: &[&str]| {
        let request = ListGroupsRequest {
            states_filter: states.iter().map(|&name| Str::from(name)).collect(),
            types_filter: types.iter().map(|&name| Str::from(name)).collect(),
            ..Default::default()
        };
        let answer = world.groups.list_groups(&request);
        let group = |group: &list_groups::ListedGroup| {
            (
                group.group_state.to_string(),
                group.protocol_type.to_string(),
            )
        };
        answer.groups.iter().map(group).collect::<Vec<_>>()
    };
    let delete = |world: &mut World| {
        let request = DeleteGroupsRequest {
            groups_names: vec![GROUP.into()],
            ..Default::default()
        };
        let mut out = Default::default();
        let answer = world.groups.delete_groups(world.now_ms, &request, &mut out);
        world.take(out);
        answer.results[0].error_code
    };
    assert!(list(&world, &[], &[]).is_empty());
    assert_eq!(delete(&mut world), ErrorCode::GROUP_ID_NOT_FOUND);

    let (ids, generation) = world.stable(2);
    world.commit(&commit_request(&ids[0], generation, 7));
    let stable = [("Stable".to_owned(), "consumer".to_owned())];
    assert_eq!(list(&world, &[], &[]), stable);
    assert_eq!(list(&world, &["stable", "Empty"], &["Classic"]), stable);
    assert!(
        list(&world, &["Empty"], &[]).is_empty() && list(&world, &[], &["consumer"]).is_empty()
    );
    let request = DescribeGroupsRequest {
        groups: vec![GROUP.into(), "none".into()],
        ..Default::default()
    };
    let answer = world.groups.describe_groups(5, &request);
    let [group, none] = &answer.groups[..] else {
        panic!("{answer:?}")
    };
    assert_eq!(
        (&*group.protocol_data, &*group.protocol_type),
        ("range", "consumer")
    );
    assert_eq!(
        (&*none.group_state, none.error_code),
        ("Dead", ErrorCode::NONE)
    );
    let answer = world.groups.describe_groups(6, &request);
    let none = &answer.groups[1];
    assert_eq!(
        (&*none.group_state, none.error_code),
        ("Dead", ErrorCode::GROUP_ID_NOT_FOUND)
    );
    assert!(none.error_message.is_some() && answer.groups[0].error_message.is_none());
    assert_eq!(group.members.len(), 2);
    for member in &group.members {
        assert_eq!(
            (&*member.client_id, &*member.client_host),
            ("client", "/127.0.0.1")
        );
        assert_eq!(member.member_metadata, subscription(&["read"]));
        assert_eq!(member.member_assignment.len(), 1);
    }
    assert_eq!(delete(&mut world), ErrorCode::NON_EMPTY_GROUP);
    world.wait(100_000);
    assert_eq!(list(&world, &["Empty"], &[]).len(), 1);
    assert_eq!(delete(&mut world), ErrorCode::NONE);
    assert!(world.kept.is_empty() && list(&world, &[], &[]).is_empty());
}

#[test]
fn there_are_only_so_many_groups_and_ids_to_join_with() {
    let config = GroupConfig {
        groups_max: 2,
        group_members_max: 3,
        ..config()
    };
    let mut world = World::new(config);
    for _ in 0..3 {
        let required = ErrorCode::MEMBER_ID_REQUIRED;
        assert_eq!(error_of_join(&mut world, &join_request("")), required);
    }
    let full = ErrorCode::GROUP_MAX_SIZE_REACHED;
    assert_eq!(error_of_join(&mut world, &join_request("")), full);
    let mut other = join_request("");
    other.group_id = "second".into();
    assert_eq!(
        error_of_join(&mut world, &other),
        ErrorCode::MEMBER_ID_REQUIRED
    );
    other.group_id = "third".into();
    assert_eq!(
        error_of_join(&mut world, &other),
        ErrorCode::POLICY_VIOLATION
    );
    world.wait(10_001);
    assert_eq!(
        error_of_join(&mut world, &other),
        ErrorCode::MEMBER_ID_REQUIRED
    );
}

/// What a cooperative consumer says of itself: its topics, and the partitions it goes on owning.
fn cooperative(id: &str, owned: &[u8]) -> JoinGroupRequest {
    let mut metadata = subscription(&["read"]);
    metadata.extend(owned);
    let mut request = join_request(id);
    request.protocols = vec![protocol("cooperative-sticky", &metadata)];
    request
}

#[test]
fn a_cooperative_group_rebalances_twice_while_its_members_go_on() {
    let mut world = world();
    let ticket = world.join(3, &cooperative("", &[]));
    let first = world.joined(ticket).unwrap().member_id;
    world.assign(std::slice::from_ref(&first), 1);

    // The second one comes; the first joins with all it owns, and doesn't stop to commit.
    let newest = world.join(3, &cooperative("", &[]));
    let rebalance = ErrorCode::REBALANCE_IN_PROGRESS;
    assert_eq!(world.heartbeat(&heartbeat_request(&first, 1)), rebalance);
    assert_eq!(world.commit(&commit_request(&first, 1, 5)), ErrorCode::NONE);
    let ticket = world.join(3, &cooperative(&first, &[0, 1]));
    let second = world.joined(newest).unwrap().member_id;
    let members = world.joined(ticket).unwrap().members;
    let of_first = members.iter().find(|member| member.member_id == first);
    assert!(
        of_first.unwrap().metadata.ends_with(&[0, 1]),
        "the leader sees what it owns"
    );
    let both = [first.clone(), second.clone()];
    world.assign(&both, 2);

    // It has given up what it was to, and joins once more by itself: that is a rebalance, too.
    let ticket = world.join(3, &cooperative(&first, &[0]));
    assert_eq!(world.joined(ticket), None);
    assert_eq!(world.heartbeat(&heartbeat_request(&second, 2)), rebalance);
    assert_eq!(
        world.commit(&commit_request(&second, 2, 6)),
        ErrorCode::NONE
    );
    world.join(3, &cooperative(&second, &[]));
    assert_eq!(world.joined(ticket).unwrap().generation_id, 3);
    world.assign(&both, 3);
    assert_eq!(
        (world.state().as_str(), world.fetch("read", 0)),
        ("Stable", 6)
    );
}
