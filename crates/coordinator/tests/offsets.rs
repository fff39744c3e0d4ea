//! Offsets: who may commit, what is fetched, what a transaction changes, what is forgotten.

mod support;

use fletch_coordinator::{GroupConfig, Output};
use fletch_wire::messages::offset_delete::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use fletch_wire::messages::txn_offset_commit::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use fletch_wire::messages::*;
use fletch_wire::{ErrorCode, Str};
use support::*;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn world() -> World {
    World::new(config())
}

fn commit_in_transaction(world: &mut World, producer_id: i64, offset: i64) -> ErrorCode {
    let request = TxnOffsetCommitRequest {
        group_id: GROUP.into(),
        producer_id,
        topics: vec![TxnOffsetCommitRequestTopic {
            name: "read".into(),
            partitions: vec![TxnOffsetCommitRequestPartition {
                committed_offset: offset,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let mut out = Output::default();
    let answer = world
        .groups
        .txn_offset_commit(world.now_ms, &request, &|_, _| true, &mut out);
    world.take(out);
    answer.topics[0].partitions[0].error_code
}

fn end(world: &mut World, producer_id: i64, committed: bool) {
    let mut out = Output::default();
    world
        .groups
        .end_transaction(GROUP, producer_id, committed, &mut out);
    world.take(out);
}

fn delete(world: &mut World, topic: &str) -> (ErrorCode, ErrorCode) {
    let request = OffsetDeleteRequest {
        group_id: GROUP.into(),
        topics: vec![OffsetDeleteRequestTopic {
            name: topic.into(),
            partitions: vec![OffsetDeleteRequestPartition::default()],
            ..Default::default()
        }],
        ..Default::default()
    };
    let mut out = Output::default();
    let known = |topic: &str, _| topic != "unknown";
    let answer = world.groups.offset_delete(&request, &known, &mut out);
    world.take(out);
    let topics = answer.topics.first();
    (
        answer.error_code,
        topics.map_or(ErrorCode::NONE, |topic| topic.partitions[0].error_code),
    )
}

/// A commit to another topic than the group's members read.
fn commit_elsewhere(id: &str, generation: i32) -> OffsetCommitRequest {
    let mut request = commit_request(id, generation, 5);
    request.topics[0].name = "elsewhere".into();
    request
}

#[test]
fn members_commit_in_their_generation_only() {
    let mut world = world();
    let missing = commit_request("who", 1, 7);
    assert_eq!(world.commit_by(8, &missing), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(world.commit_by(9, &missing), ErrorCode::GROUP_ID_NOT_FOUND);
    let (ids, generation) = world.stable(2);
    let unknown = ErrorCode::UNKNOWN_MEMBER_ID;
    assert_eq!(
        world.commit(&commit_request(&ids[0], generation, 7)),
        ErrorCode::NONE
    );
    assert_eq!(world.commit(&commit_request("who", generation, 8)), unknown);
    let illegal = ErrorCode::ILLEGAL_GENERATION;
    assert_eq!(
        world.commit(&commit_request(&ids[0], generation - 1, 8)),
        illegal
    );
    assert_eq!(world.commit(&commit_request(&ids[0], -1, 8)), illegal);
    assert_eq!(
        world.commit(&commit_request("", -1, 8)),
        unknown,
        "the group has members"
    );
    assert_eq!(world.fetch("read", 0), 7);

    // While the others are waited for, the last generation may commit; then nobody, until it has
    // its assignments.
    let (_, newest) = world.join_new();
    assert_eq!(
        world.commit(&commit_request(&ids[0], generation, 9)),
        ErrorCode::NONE
    );
    ids.iter()
        .for_each(|id| _ = world.join(JOIN_VERSION, &join_request(id)));
    let generation = world.joined(newest).unwrap().generation_id;
    let rebalance = ErrorCode::REBALANCE_IN_PROGRESS;
    assert_eq!(
        world.commit(&commit_request(&ids[0], generation, 10)),
        rebalance
    );
    assert_eq!(world.fetch("read", 0), 9);
}

#[test]
fn a_commit_is_a_sign_of_life() {
    let mut world = world();
    let (ids, generation) = world.stable(1);
    for _ in 0..5 {
        world.wait(9_000);
        assert_eq!(
            world.commit(&commit_request(&ids[0], generation, 7)),
            ErrorCode::NONE
        );
    }
}

#[test]
fn consumers_without_a_group_commit_too() {
    let mut world = world();
    assert_eq!(world.fetch("read", 0), -1);
    assert_eq!(world.commit(&commit_request("", -1, 7)), ErrorCode::NONE);
    assert_eq!(
        (world.fetch("read", 0), world.state().as_str()),
        (7, "Empty")
    );
    assert_eq!(
        world.commit(&commit_request("", -1, 3)),
        ErrorCode::NONE,
        "on purpose, back"
    );
    world.restart();
    assert_eq!(
        (world.fetch("read", 0), world.state().as_str()),
        (3, "Empty")
    );
}

#[test]
fn commits_that_cannot_be_make_nothing() {
    let config = GroupConfig {
        group_offsets_max: 1,
        ..config()
    };
    let mut world = World::new(config);
    let mut request = commit_request("", -1, 7);
    request.topics[0].name = "unknown".into();
    assert_eq!(
        world.commit(&request),
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    let mut request = commit_request("", -1, 7);
    request.topics[0].partitions[0].committed_metadata = Some("x".repeat(4097).into());
    assert_eq!(world.commit(&request), ErrorCode::OFFSET_METADATA_TOO_LARGE);
    assert_eq!((world.state().as_str(), world.kept.len()), ("Dead", 0));
    assert_eq!(world.commit(&commit_request("", -1, 7)), ErrorCode::NONE);
    let elsewhere = commit_elsewhere("", -1);
    assert_eq!(
        world.commit(&elsewhere),
        ErrorCode::INVALID_COMMIT_OFFSET_SIZE
    );
    assert_eq!(world.commit(&commit_request("", -1, 8)), ErrorCode::NONE);
}

#[test]
fn offsets_are_fetched_in_every_version() {
    let mut world = world();
    let mut request = commit_request("", -1, 7);
    request.topics[0].partitions[0].committed_leader_epoch = 3;
    request.topics[0].partitions[0].committed_metadata = Some("note".into());
    world.commit(&request);
    for version in OffsetFetchRequest::VERSIONS.iter() {
        for all in [false, true] {
            let mut request = OffsetFetchRequest {
                group_id: GROUP.into(),
                ..Default::default()
            };
            if version < 8 {
                let topic = offset_fetch::OffsetFetchRequestTopic {
                    name: "read".into(),
                    partition_indexes: vec![0, 1],
                    ..Default::default()
                };
                request.topics = (!all).then(|| vec![topic]);
            } else {
                let topic = offset_fetch::OffsetFetchRequestTopics {
                    name: "read".into(),
                    partition_indexes: vec![0, 1],
                    ..Default::default()
                };
                request.groups = vec![offset_fetch::OffsetFetchRequestGroup {
                    group_id: GROUP.into(),
                    topics: (!all).then(|| vec![topic]),
                    ..Default::default()
                }];
            }
            let answer = world.groups.offset_fetch(version, &request);
            assert!(
                answer.to_bytes(version).is_ok(),
                "it can be written in {version}"
            );
            let offsets: Vec<(i64, i32, Option<Str>)> = if version < 8 {
                let partitions = answer.topics[0].partitions.iter();
                let of = |p: &offset_fetch::OffsetFetchResponsePartition| {
                    (
                        p.committed_offset,
                        p.committed_leader_epoch,
                        p.metadata.clone(),
                    )
                };
                partitions.map(of).collect()
            } else {
                let partitions = answer.groups[0].topics[0].partitions.iter();
                let of = |p: &offset_fetch::OffsetFetchResponsePartitions| {
                    (
                        p.committed_offset,
                        p.committed_leader_epoch,
                        p.metadata.clone(),
                    )
                };
                partitions.map(of).collect()
            };
            let mut expected = vec![(7, 3, Some("note".into())), (-1, -1, Some(Str::new()))];
            expected.truncate(if all { 1 } else { 2 });
            assert_eq!(offsets, expected, "version {version}");
        }
    }
}

#[test]
fn offsets_of_a_transaction_are_there_when_it_is_committed() {
    let mut world = world();
    world.commit(&commit_request("", -1, 7));
    assert_eq!(commit_in_transaction(&mut world, 1, 9), ErrorCode::NONE);
    assert_eq!(world.fetch("read", 0), 7);
    let stable = |world: &World| {
        let request = OffsetFetchRequest {
            group_id: GROUP.into(),
            topics: Some(vec![offset_fetch::OffsetFetchRequestTopic {
                name: "read".into(),
                partition_indexes: vec![0],
                ..Default::default()
            }]),
            require_stable: true,
            ..Default::default()
        };
        let answer = world.groups.offset_fetch(7, &request);
        let partition = &answer.topics[0].partitions[0];
        (partition.error_code, partition.committed_offset)
    };
    assert_eq!(stable(&world), (ErrorCode::UNSTABLE_OFFSET_COMMIT, -1));
    world.restart();
    assert_eq!(stable(&world), (ErrorCode::UNSTABLE_OFFSET_COMMIT, -1));
    end(&mut world, 1, true);
    assert_eq!(stable(&world), (ErrorCode::NONE, 9));

    commit_in_transaction(&mut world, 1, 11);
    end(&mut world, 2, true);
    assert_eq!(
        stable(&world).0,
        ErrorCode::UNSTABLE_OFFSET_COMMIT,
        "another's transaction"
    );
    end(&mut world, 1, false);
    assert_eq!(stable(&world), (ErrorCode::NONE, 9));
    end(&mut world, 1, true);
    assert_eq!(stable(&world), (ErrorCode::NONE, 9), "it has ended");
}

#[test]
fn the_later_commit_counts_whatever_transaction_ends_first() {
    let mut world = world();
    commit_in_transaction(&mut world, 1, 5);
    world.commit(&commit_request("", -1, 7));
    world.restart();
    end(&mut world, 1, true);
    assert_eq!(world.fetch("read", 0), 7);
    commit_in_transaction(&mut world, 1, 8);
    commit_in_transaction(&mut world, 2, 9);
    end(&mut world, 2, true);
    end(&mut world, 1, true);
    assert_eq!(world.fetch("read", 0), 9);
}

#[test]
fn a_members_transaction_is_checked_as_its_commits_are() {
    let mut world = world();
    let (ids, generation) = world.stable(1);
    let mut request = TxnOffsetCommitRequest {
        group_id: GROUP.into(),
        producer_id: 1,
        generation_id: generation - 1,
        member_id: ids[0].clone(),
        topics: vec![TxnOffsetCommitRequestTopic {
            name: "read".into(),
            partitions: vec![TxnOffsetCommitRequestPartition::default()],
            ..Default::default()
        }],
        ..Default::default()
    };
    let mut commit = |request: &TxnOffsetCommitRequest| {
        let mut out = Output::default();
        let answer = world
            .groups
            .txn_offset_commit(0, request, &|_, _| true, &mut out);
        answer.topics[0].partitions[0].error_code
    };
    assert_eq!(commit(&request), ErrorCode::ILLEGAL_GENERATION);
    request.generation_id = generation;
    assert_eq!(commit(&request), ErrorCode::NONE);
    request.member_id = "who".into();
    assert_eq!(commit(&request), ErrorCode::UNKNOWN_MEMBER_ID);
    // A producer of before KIP-447 says nothing of its membership.
    (request.member_id, request.generation_id) = (Str::new(), -1);
    assert_eq!(commit(&request), ErrorCode::NONE);
}

#[test]
fn offsets_are_deleted_that_no_member_uses() {
    let mut world = world();
    let (not_found, subscribed) = (
        ErrorCode::GROUP_ID_NOT_FOUND,
        ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC,
    );
    assert_eq!(delete(&mut world, "read").0, not_found);
    let (ids, generation) = world.stable(1);
    world.commit(&commit_request(&ids[0], generation, 7));
    world.commit(&commit_elsewhere(&ids[0], generation));
    assert_eq!(delete(&mut world, "read"), (ErrorCode::NONE, subscribed));
    assert_eq!(
        delete(&mut world, "unknown").1,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    assert_eq!(
        delete(&mut world, "elsewhere"),
        (ErrorCode::NONE, ErrorCode::NONE)
    );
    assert_eq!(
        (world.fetch("read", 0), world.fetch("elsewhere", 0)),
        (7, -1)
    );
    world.leave(&[(&ids[0], None)]);
    assert_eq!(
        delete(&mut world, "read"),
        (ErrorCode::NONE, ErrorCode::NONE)
    );
    assert_eq!(world.fetch("read", 0), -1);
}

#[test]
fn a_group_that_is_no_consumers_keeps_its_offsets_while_it_has_members() {
    let mut world = world();
    let mut request = join_request("");
    request.protocol_type = "connect".into();
    let ticket = world.join(3, &request);
    let answer = world.joined(ticket).unwrap();
    world.assign(
        std::slice::from_ref(&answer.member_id),
        answer.generation_id,
    );
    assert_eq!(delete(&mut world, "read").0, ErrorCode::NON_EMPTY_GROUP);
}

#[test]
fn offsets_of_a_group_are_forgotten_long_after_its_members_left() {
    let mut world = world();
    let (ids, generation) = world.stable(1);
    world.commit(&commit_request(&ids[0], generation, 7));
    world.commit(&commit_elsewhere(&ids[0], generation));
    for _ in 0..8 * 24 * 400 {
        world.wait(9_000);
        world.heartbeat(&heartbeat_request(&ids[0], generation));
    }
    // What is read is kept for as long as there are members; what isn't, isn't.
    assert_eq!(
        (world.fetch("read", 0), world.fetch("elsewhere", 0)),
        (7, -1)
    );
    world.leave(&[(&ids[0], None)]);
    world.wait(6 * DAY_MS);
    assert_eq!(world.fetch("read", 0), 7);
    world.restart();
    world.wait(DAY_MS + 600_000);
    assert_eq!(
        (world.fetch("read", 0), world.state().as_str()),
        (-1, "Dead")
    );
    assert!(world.kept.is_empty());
}

#[test]
fn offsets_are_kept_for_as_long_as_their_consumer_says() {
    let mut world = world();
    let mut request = commit_request("", -1, 7);
    request.retention_time_ms = DAY_MS;
    world.commit(&request);
    world.commit(&commit_elsewhere("", -1));
    world.wait(DAY_MS + 600_000);
    assert_eq!(
        (world.fetch("read", 0), world.fetch("elsewhere", 0)),
        (-1, 5)
    );
    world.wait(6 * DAY_MS);
    assert_eq!(
        (world.fetch("elsewhere", 0), world.state().as_str()),
        (-1, "Dead")
    );
}

#[test]
fn an_offset_that_a_transaction_will_change_is_not_forgotten() {
    let mut world = world();
    world.commit(&commit_request("", -1, 7));
    commit_in_transaction(&mut world, 1, 9);
    world.wait(30 * DAY_MS);
    assert_eq!(world.fetch("read", 0), 7);
    end(&mut world, 1, false);
    world.wait(600_000);
    assert_eq!(
        (world.fetch("read", 0), world.state().as_str()),
        (-1, "Dead")
    );
}

#[test]
fn a_deleted_topic_takes_its_offsets_along() {
    let mut world = world();
    world.commit(&commit_request("", -1, 7));
    world.commit(&commit_elsewhere("", -1));
    commit_in_transaction(&mut world, 1, 9);
    let mut out = Output::default();
    world.groups.forget_topic("read", &mut out);
    world.take(out);
    end(&mut world, 1, true);
    assert_eq!(
        (world.fetch("read", 0), world.fetch("elsewhere", 0)),
        (-1, 5)
    );
    assert_eq!(world.kept.len(), 1);
}

#[test]
fn a_deleted_group_takes_the_offsets_of_transactions_along() {
    let mut world = world();
    commit_in_transaction(&mut world, 1, 9);
    let request = DeleteGroupsRequest {
        groups_names: vec![GROUP.into()],
        ..Default::default()
    };
    let mut out = Output::default();
    let answer = world.groups.delete_groups(0, &request, &mut out);
    world.take(out);
    assert_eq!(answer.results[0].error_code, ErrorCode::NONE);
    assert!(world.kept.is_empty());
    end(&mut world, 1, true);
    assert_eq!(world.fetch("read", 0), -1);
}

#[test]
fn damaged_facts_are_refused_and_change_nothing() {
    let mut world = world();
    let (ids, generation) = world.stable(2);
    world.commit(&commit_request(&ids[0], generation, 7));
    for (key, value) in world.kept.clone() {
        for end in 0..value.len() {
            assert!(world.groups.apply(&key, Some(&value[..end])).is_err());
        }
        assert!(
            world
                .groups
                .apply(&format!("x{key}"), Some(&value))
                .is_err()
        );
    }
    assert_eq!(world.state(), "Stable");
    assert_eq!(
        world.heartbeat(&heartbeat_request(&ids[0], generation)),
        ErrorCode::NONE
    );
}

#[test]
fn all_groups_together_keep_no_more_bytes_than_they_may() {
    let mut world = World::new(GroupConfig {
        groups_bytes_max: 64 << 10,
        ..config()
    });
    let nothing = world.groups.bytes();
    let (ids, generation) = world.stable(1);
    let commit = |world: &mut World, group: u32, metadata: &str| {
        let mut request = commit_request("", -1, 5);
        request.group_id = format!("other-{group}").into();
        request.topics[0].partitions[0].committed_metadata = Some(metadata.into());
        world.commit(&request)
    };
    let text = "x".repeat(1000);
    let refused = ErrorCode::INVALID_COMMIT_OFFSET_SIZE;
    let first = (0..1000).find(|group| commit(&mut world, *group, &text) == refused);
    let first = first.expect("a group that is refused");
    assert!((30..64).contains(&first), "refused after {first} groups");
    assert!(world.groups.bytes() <= 64 << 10);
    // What is there goes on: as large as it is, or smaller; and a member that comes back as it was.
    assert_eq!(commit(&mut world, 0, &text), ErrorCode::NONE);
    // More than what is left of the bound.
    let long = "x".repeat(4000);
    assert_eq!(commit(&mut world, 0, &long), refused);
    let mut request = commit_request(&ids[0], generation, 7);
    request.topics[0].partitions[0].committed_metadata = Some(long.as_str().into());
    assert_eq!(world.commit(&request), refused);
    let rejoined = world.join(5, &join_request(&ids[0]));
    let rejoined = world.joined(rejoined).expect("a generation");
    assert_eq!(rejoined.error_code, ErrorCode::NONE);
    // A new one would be more.
    let mut large = join_request("");
    large.group_id = "another".into();
    large.protocols[0].metadata = vec![0; 4096].into();
    let large = world.join(5, &large);
    let large = world.joined(large).expect("an answer");
    assert_eq!(large.error_code, ErrorCode::GROUP_MAX_SIZE_REACHED);

    // It is counted alike after a restart, and when all is gone nothing is left of it.
    let before = world.groups.bytes();
    world.restart();
    assert!(world.groups.bytes().abs_diff(before) < 1024);
    assert_eq!(commit(&mut world, first + 1, &long), refused);
    let mut out = Output::default();
    world.groups.forget_topic("read", &mut out);
    world.take(out);
    assert_eq!(commit(&mut world, first + 1, &long), ErrorCode::NONE);
    let mut out = Output::default();
    world.groups.forget_topic("read", &mut out);
    world.take(out);
    assert_eq!(world.leave(&[(&*ids[0], None)]), [ErrorCode::NONE]);
    world.wait(8 * DAY_MS);
    assert_eq!(world.groups.bytes(), nothing);
}

#[test]
fn a_long_name_of_a_group_counts_wherever_it_is_kept() {
    let mut world = World::new(GroupConfig {
        groups_bytes_max: 1 << 20,
        ..config()
    });
    let long = "x".repeat(30_000);
    let commit = |world: &mut World, group: &str, partition| {
        let mut request = commit_request("", -1, 5);
        request.group_id = group.into();
        request.topics[0].partitions[0].partition_index = partition;
        world.commit(&request)
    };
    // Each offset has the name in its key.
    let refused = ErrorCode::INVALID_COMMIT_OFFSET_SIZE;
    let offsets = (0..99).find(|partition| commit(&mut world, &long, *partition) == refused);
    assert!(
        offsets.is_some_and(|offsets| (30..40).contains(&offsets)),
        "{offsets:?}"
    );
    let kept: usize = world.kept.keys().map(String::len).sum();
    assert!(kept <= world.groups.bytes(), "{kept} bytes of keys");
    assert!(world.groups.bytes() <= 1 << 20);
    let (before, mut joining) = (world.groups.bytes(), join_request(""));
    joining.group_id = "y".repeat(30_000).into();
    joining.protocols[0] = protocol("", b"");
    let ticket = world.join(5, &joining);
    let joined = world.joined(ticket).expect("an answer");
    assert_eq!(joined.error_code, ErrorCode::GROUP_MAX_SIZE_REACHED);
    assert_eq!(world.groups.bytes(), before);
}

#[test]
fn offsets_of_open_transactions_count_beside_those_committed() {
    let mut world = World::new(GroupConfig {
        group_offsets_max: 3,
        ..config()
    });
    assert_eq!(world.commit(&commit_request("", -1, 5)), ErrorCode::NONE);
    let full = ErrorCode::INVALID_COMMIT_OFFSET_SIZE;
    // Each of a transaction of its own, in the partition that has an offset already.
    let answers = [1, 2, 3].map(|producer| commit_in_transaction(&mut world, producer, 7));
    assert_eq!(answers, [ErrorCode::NONE, ErrorCode::NONE, full]);
    // What is there goes on.
    assert_eq!(commit_in_transaction(&mut world, 2, 8), ErrorCode::NONE);
    assert_eq!(world.commit(&commit_request("", -1, 6)), ErrorCode::NONE);
}
