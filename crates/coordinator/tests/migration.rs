//! Groups that are moved from one protocol to the other while they have members (KIP-848): what members
//! of either are answered on the way.

mod support;

use fletch_coordinator::{GroupConfig, MigrationPolicy};
use fletch_wire::ErrorCode;
use fletch_wire::messages::sync_group::SyncGroupRequestAssignment;
use fletch_wire::messages::*;
use support::assigned::*;
use support::embedded::*;
use support::*;

fn nothing_owned() -> Owned {
    Owned::new()
}

fn apples() -> Owned {
    (0..4).map(|partition| (1, partition)).collect()
}

fn pears() -> Owned {
    (0..3).map(|partition| (2, partition)).collect()
}

fn world_of(config: GroupConfig) -> World {
    let mut world = World::new(config);
    put_topics(&mut world.groups);
    world
}

fn restart(world: &mut World) {
    world.restart();
    put_topics(&mut world.groups);
}

/// A classic group of two in a generation: one has the apples, the other the pears.
fn two_classic(world: &mut World) -> ([String; 2], i32) {
    let first = join_now(world, &classic("", &nothing_owned())).member_id;
    let ticket = world.join(JOIN_VERSION, &classic(&first, &nothing_owned()));
    world.joined(ticket).expect("a generation");
    let second = join_now(world, &classic("", &nothing_owned())).member_id;
    let other = world.join(JOIN_VERSION, &classic(&second, &nothing_owned()));
    let ticket = world.join(JOIN_VERSION, &classic(&first, &nothing_owned()));
    let generation = world.joined(ticket).expect("a generation").generation_id;
    world.joined(other).expect("the same");
    let mut request = sync_request(&first, generation);
    let assignment = |id: &str, owned: &Owned| SyncGroupRequestAssignment {
        member_id: id.into(),
        assignment: assigning(owned).into(),
        ..Default::default()
    };
    request.assignments = vec![assignment(&first, &apples()), assignment(&second, &pears())];
    let ticket = world.sync(&request);
    assert_eq!(
        world.synced(ticket).expect("it").error_code,
        ErrorCode::NONE
    );
    assert_eq!(sync_now(world, &second, generation), Ok(pears()));
    ([first.to_string(), second.to_string()], generation)
}

/// A group that such a one and a member of the new protocol have come to rest in.
fn three_mixed(world: &mut World) -> ([String; 2], i32) {
    let (ids, _) = two_classic(world);
    assert_eq!(error(world, &join("new")), ErrorCode::NONE);
    let mut epoch = 0;
    for id in &ids {
        epoch = join_now(world, &classic(id, &nothing_owned())).generation_id;
        sync_now(world, id, epoch).expect("an assignment");
    }
    let answer = send(world, &beat("new", epoch));
    send(world, &owning("new", epoch, &told(&answer).expect("it")));
    assert_eq!(state(world), ("Stable".into(), epoch, epoch));
    (ids, epoch)
}

fn beat_classic(world: &mut World, id: &str, generation: i32) -> ErrorCode {
    world.heartbeat(&heartbeat_request(id, generation))
}

#[test]
fn a_classic_group_becomes_a_consumer_group_when_a_new_member_joins() {
    let mut world = world();
    let ([first, second], generation) = two_classic(&mut world);
    world.commit(&commit_request(&first, generation, 7));
    let answer = send(&mut world, &join("new"));
    let epoch = generation + 1;
    assert_eq!(
        (answer.error_code, answer.member_epoch, told(&answer)),
        (ErrorCode::NONE, epoch, Some(Owned::new())),
        "all of it is owned"
    );
    let mut spoken_now = spoken(&world);
    spoken_now.sort();
    let mut expected = vec![
        (first.clone(), 0, generation),
        (second.clone(), 0, generation),
        ("new".to_owned(), 1, epoch),
    ];
    expected.sort();
    assert_eq!(spoken_now, expected);
    assert_eq!(state(&world), ("Reconciling".into(), epoch, epoch));

    // The old members go on until their next heartbeat, and then join again; nobody waits, or leads.
    let rebalances = ErrorCode::REBALANCE_IN_PROGRESS;
    assert_eq!(beat_classic(&mut world, &first, generation), rebalances);
    assert_eq!(
        world.commit(&commit_request(&first, generation, 8)),
        ErrorCode::NONE
    );
    let joined = join_now(&mut world, &classic(&first, &nothing_owned()));
    assert_eq!(
        (
            joined.error_code,
            joined.generation_id,
            &*joined.leader,
            joined.members.len()
        ),
        (ErrorCode::NONE, epoch, "", 0)
    );
    assert_eq!(joined.protocol_name.as_deref(), Some("range"));
    let owned = sync_now(&mut world, &first, epoch).unwrap();
    assert!(owned.is_subset(&apples()) && owned.len() < 4, "{owned:?}");
    assert_eq!(beat_classic(&mut world, &first, epoch), ErrorCode::NONE);
    let free = told(&send(&mut world, &beat("new", epoch))).unwrap();
    assert!(free.is_disjoint(&owned) && free.is_subset(&apples()));
    assert_eq!(beat_classic(&mut world, &second, generation), rebalances);
    assert_eq!(
        beat_classic(&mut world, &second, epoch),
        ErrorCode::ILLEGAL_GENERATION
    );
    join_now(&mut world, &classic(&second, &nothing_owned()));
    let others = sync_now(&mut world, &second, epoch).unwrap();
    let answer = send(&mut world, &owning("new", epoch, &free));
    let new = told(&answer).unwrap_or(free);
    send(&mut world, &owning("new", epoch, &new));
    let all: Owned = owned.iter().chain(&others).chain(&new).copied().collect();
    assert_eq!((all.len(), owned.len() + others.len() + new.len()), (7, 7));
    assert_eq!(state(&world), ("Stable".into(), epoch, epoch));
    assert_eq!(
        world.state(),
        "Dead",
        "to those who ask for a classic group"
    );
    let before = spoken(&world);
    restart(&mut world);
    assert_eq!((spoken(&world), world.fetch("read", 0)), (before, 8));
    assert_eq!(
        beat_classic(&mut world, &second, generation),
        ErrorCode::ILLEGAL_GENERATION
    );
}

#[test]
fn a_cooperative_member_keeps_reading_while_it_gives_up() {
    let mut world = world();
    let ([first, _], generation) = two_classic(&mut world);
    send(&mut world, &join("new"));
    let joined = join_now(&mut world, &classic(&first, &apples()));
    assert_eq!(joined.generation_id, generation, "it has to give up first");
    let kept = sync_now(&mut world, &first, generation).unwrap();
    assert!(kept.len() < 4 && kept.is_subset(&apples()));
    assert_eq!(
        told(&send(&mut world, &beat("new", generation + 1))),
        None,
        "not yet"
    );
    let rebalances = ErrorCode::REBALANCE_IN_PROGRESS;
    assert_eq!(beat_classic(&mut world, &first, generation), rebalances);
    let joined = join_now(&mut world, &classic(&first, &kept));
    assert_eq!(joined.generation_id, generation + 1);
    assert_eq!(
        sync_now(&mut world, &first, generation + 1),
        Ok(kept.clone())
    );
    let free = told(&send(&mut world, &beat("new", generation + 1))).unwrap();
    assert_eq!(free, &apples() - &kept);
}

#[test]
fn whoever_waits_in_a_rebalance_is_sent_back_to_join_the_new_group() {
    let mut world = world();
    let ([first, _], generation) = two_classic(&mut world);
    let waiting = world.join(JOIN_VERSION, &classic(&first, &nothing_owned()));
    assert_eq!(world.joined(waiting), None);
    send(&mut world, &join("new"));
    let answer = world.joined(waiting).unwrap();
    assert_eq!(answer.error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    let joined = join_now(&mut world, &classic(&first, &nothing_owned()));
    assert_eq!(
        (joined.error_code, joined.generation_id),
        (ErrorCode::NONE, generation + 1)
    );

    let mut world = world_of(config());
    let (first, ticket) = world.join_new();
    let generation = world.joined(ticket).unwrap().generation_id;
    let other = join_now(&mut world, &classic("", &nothing_owned())).member_id;
    let ticket = world.join(JOIN_VERSION, &classic(&other, &nothing_owned()));
    let leads = world.join(JOIN_VERSION, &classic(&first, &nothing_owned()));
    assert_eq!(world.joined(leads).unwrap().generation_id, generation + 1);
    world.joined(ticket).unwrap();
    let waiting = world.sync(&sync_request(&other, generation + 1));
    assert_eq!(world.synced(waiting), None);
    send(&mut world, &join("new"));
    let answer = world.synced(waiting).unwrap();
    assert_eq!(answer.error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(spoken(&world).len(), 3);
}

/// Joins an empty group, and assigns to itself.
fn become_stable(
    world: &mut World,
    request: &JoinGroupRequest,
    assignment: &[u8],
) -> (String, i32) {
    let id = join_now(world, request).member_id;
    let request = JoinGroupRequest {
        member_id: id.clone(),
        ..request.clone()
    };
    let generation = join_now(world, &request).generation_id;
    let mut request = sync_request(&id, generation);
    request.assignments = vec![SyncGroupRequestAssignment {
        member_id: id.clone(),
        assignment: assignment.to_vec().into(),
        ..Default::default()
    }];
    let ticket = world.sync(&request);
    assert_eq!(world.synced(ticket).unwrap().error_code, ErrorCode::NONE);
    (id.to_string(), generation)
}

#[test]
fn what_cannot_be_a_consumer_group_stays_as_it_is() {
    let not_found = ErrorCode::GROUP_ID_NOT_FOUND;
    let alone = |world: &mut World, request: &JoinGroupRequest, assignment: &[u8]| {
        let (id, generation) = become_stable(world, request, assignment);
        assert_eq!(error(world, &join("new")), not_found);
        assert_eq!(beat_classic(world, &id, generation), ErrorCode::NONE);
        assert_eq!(world.state(), "Stable");
    };
    let good = classic("", &nothing_owned());
    let connect = JoinGroupRequest {
        protocol_type: "connect".into(),
        ..good.clone()
    };
    alone(&mut world(), &connect, b"");
    let nonsense = JoinGroupRequest {
        protocols: vec![protocol("range", b"\0\x01\0\0")],
        ..good.clone()
    };
    alone(&mut world(), &nonsense, b"");
    alone(&mut world(), &good, b"nonsense");
    let mut of_assignor = assigning(&apples());
    of_assignor.truncate(of_assignor.len() - 4);
    of_assignor.extend([0, 0, 0, 1, 7]);
    alone(&mut world(), &good, &of_assignor);
    let mut world_of_sticky = world();
    let mut sticky = good.clone();
    sticky.protocols[0].name = "cooperative-sticky".into();
    become_stable(&mut world_of_sticky, &sticky, &of_assignor);
    assert_eq!(error(&mut world_of_sticky, &join("new")), ErrorCode::NONE);
    for migration_policy in [MigrationPolicy::Disabled, MigrationPolicy::Downgrade] {
        let mut world = world_of(GroupConfig {
            migration_policy,
            ..config()
        });
        alone(&mut world, &good, &assigning(&apples()));
    }
    let mut world = world_of(GroupConfig {
        consumer_member_bytes_max: 50,
        ..config()
    });
    alone(&mut world, &good, b"");
    let mut world = world_of(GroupConfig {
        group_members_max: 2,
        ..config()
    });
    two_classic(&mut world);
    assert_eq!(
        error(&mut world, &join("new")),
        ErrorCode::GROUP_MAX_SIZE_REACHED
    );
    assert_eq!(world.state(), "Stable");
}

#[test]
fn what_the_leader_assigned_twice_is_owned_once() {
    let mut world = world();
    let first = join_now(&mut world, &static_classic("", "one")).member_id;
    let second = world.join(JOIN_VERSION, &static_classic("", "two"));
    let leads = world.join(JOIN_VERSION, &static_classic(&first, "one"));
    let generation = world.joined(leads).unwrap().generation_id;
    let second = world.joined(second).unwrap().member_id;
    let mut request = sync_request(&first, generation);
    request.group_instance_id = Some("one".into());
    request.assignments = [&first, &second]
        .map(|id| SyncGroupRequestAssignment {
            member_id: id.clone(),
            assignment: assigning(&apples()).into(),
            ..Default::default()
        })
        .into();
    world.sync(&request);
    send(&mut world, &join("new"));
    let answer = world
        .groups
        .consumer_group_describe(&ConsumerGroupDescribeRequest {
            group_ids: vec![GROUP.into()],
            ..Default::default()
        });
    let members = answer.groups[0].members.iter();
    let owned = members.flat_map(|member| &member.assignment.topic_partitions);
    let apples = owned.filter(|topic| topic.topic_name == "apples");
    let apples: Vec<&[i32]> = apples.map(|topic| &*topic.partitions).collect();
    assert_eq!(apples, [[0, 1, 2, 3]]);
}

fn static_classic(id: &str, name: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_instance_id: Some(name.into()),
        ..classic(id, &nothing_owned())
    }
}

#[test]
fn a_classic_member_joins_a_consumer_group() {
    let mut world = world();
    let all = told(&send(&mut world, &join("new"))).unwrap();
    let answer = join_now(&mut world, &classic("", &nothing_owned()));
    assert_eq!(answer.error_code, ErrorCode::MEMBER_ID_REQUIRED);
    let id = answer.member_id;
    let joined = join_now(&mut world, &classic(&id, &nothing_owned()));
    assert_eq!(
        (joined.error_code, joined.generation_id),
        (ErrorCode::NONE, 2)
    );
    assert_eq!(
        sync_now(&mut world, &id, 2),
        Ok(Owned::new()),
        "nothing is free"
    );
    assert_eq!(beat_classic(&mut world, &id, 2), ErrorCode::NONE);
    let kept = told(&send(&mut world, &beat("new", 1))).unwrap();
    assert_eq!(beat_classic(&mut world, &id, 2), ErrorCode::NONE);
    send(&mut world, &owning("new", 1, &kept));
    assert_eq!(
        beat_classic(&mut world, &id, 2),
        ErrorCode::REBALANCE_IN_PROGRESS
    );
    join_now(&mut world, &classic(&id, &nothing_owned()));
    assert_eq!(sync_now(&mut world, &id, 2), Ok(&all - &kept));
    assert_eq!(beat_classic(&mut world, &id, 2), ErrorCode::NONE);

    let inconsistent = ErrorCode::INCONSISTENT_GROUP_PROTOCOL;
    let mut request = classic("", &nothing_owned());
    request.protocols[0].name = "roundrobin".into();
    assert_eq!(join_now(&mut world, &request).error_code, inconsistent);
    request.protocols.push(protocol("range", b""));
    assert_eq!(
        join_now(&mut world, &request).error_code,
        ErrorCode::MEMBER_ID_REQUIRED
    );
    request.protocol_type = "connect".into();
    assert_eq!(join_now(&mut world, &request).error_code, inconsistent);
    let mut request = classic("other", &nothing_owned());
    request.protocols[0].metadata = b"\0".to_vec().into();
    assert_eq!(join_now(&mut world, &request).error_code, inconsistent);
    let mut request = sync_request(&id, 2);
    request.protocol_name = Some("roundrobin".into());
    let ticket = world.sync(&request);
    assert_eq!(world.synced(ticket).unwrap().error_code, inconsistent);
    // Whoever isn't a member has nothing.
    let answer = join_now(&mut world, &classic("stranger", &all));
    assert_eq!(answer.error_code, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn each_member_is_known_by_its_own_protocol_only() {
    let mut world = world();
    let ([first, _], epoch) = three_mixed(&mut world);
    let unknown = ErrorCode::UNKNOWN_MEMBER_ID;
    assert_eq!(beat_classic(&mut world, "new", epoch), unknown);
    assert_eq!(sync_now(&mut world, "new", epoch), Err(unknown));
    assert_eq!(
        world.leave(&[("new", None), ("who", None)]),
        [unknown, unknown]
    );
    assert_eq!(error(&mut world, &beat(&first, epoch)), unknown);
    assert_eq!(error(&mut world, &beat(&first, -1)), unknown);
    let illegal = ErrorCode::ILLEGAL_GENERATION;
    assert_eq!(sync_now(&mut world, &first, epoch - 1), Err(illegal));
    assert_eq!(
        world.commit(&commit_request(&first, epoch, 1)),
        ErrorCode::NONE
    );
    assert_eq!(world.commit(&commit_request(&first, epoch - 1, 2)), illegal);
    let stale = ErrorCode::STALE_MEMBER_EPOCH;
    assert_eq!(world.commit(&commit_request("new", epoch - 1, 2)), stale);
    // The same member goes on in the new protocol.
    assert_eq!(error(&mut world, &join(&first)), ErrorCode::NONE);
    assert_eq!(beat_classic(&mut world, &first, epoch), unknown);
}

#[test]
fn silent_and_slow_members_of_the_classic_protocol_are_out() {
    let mut world = world();
    let ([first, second], epoch) = three_mixed(&mut world);
    let mut of_new = epoch;
    loop {
        world.wait(5_000);
        of_new = send(&mut world, &beat("new", of_new)).member_epoch;
        if spoken(&world).len() == 2 {
            break;
        }
        assert_eq!(beat_classic(&mut world, &first, epoch), ErrorCode::NONE);
    }
    assert_eq!(world.now_ms, 10_000, "the session of {second}");
    // It is told to join again, and beats on without doing so.
    let rebalances = ErrorCode::REBALANCE_IN_PROGRESS;
    let told_ms = world.now_ms;
    while spoken(&world).iter().any(|(id, ..)| *id == first) {
        assert_eq!(beat_classic(&mut world, &first, epoch), rebalances);
        let answer = send(&mut world, &beat("new", of_new));
        assert_eq!(answer.error_code, ErrorCode::NONE);
        of_new = answer.member_epoch;
        world.wait(5_000);
    }
    assert_eq!(world.now_ms - told_ms, 60_000);

    let mut world = world_of(config());
    send(&mut world, &join("new"));
    let id = join_now(&mut world, &classic("", &nothing_owned())).member_id;
    join_now(&mut world, &classic(&id, &nothing_owned()));
    let kept = told(&send(&mut world, &beat("new", 1))).unwrap();
    assert_eq!(send(&mut world, &owning("new", 1, &kept)).member_epoch, 2);
    for _ in 0..12 {
        let error = beat_classic(&mut world, &id, 2);
        assert_eq!(error, ErrorCode::REBALANCE_IN_PROGRESS, "some is free");
        world.wait(4_900);
        send(&mut world, &beat("new", 2));
    }
    world.wait(1_200);
    assert_eq!(spoken(&world).len(), 1, "the new one");
    let unknown = ErrorCode::UNKNOWN_MEMBER_ID;
    assert_eq!(
        beat_classic(&mut world, &id, 2),
        unknown,
        "it never asked for its assignment"
    );
}

#[test]
fn a_name_passes_from_one_protocol_to_the_other_and_back() {
    let mut world = world();
    let old = join_now(&mut world, &static_classic("", "one"));
    let mut request = sync_request(&old.member_id, old.generation_id);
    request.group_instance_id = Some("one".into());
    request.assignments = vec![SyncGroupRequestAssignment {
        member_id: old.member_id.clone(),
        assignment: assigning(&apples()).into(),
        ..Default::default()
    }];
    world.sync(&request);
    let named = ConsumerGroupHeartbeatRequest {
        instance_id: Some("one".into()),
        ..join("new")
    };
    let answer = send(&mut world, &named);
    assert_eq!(answer.error_code, ErrorCode::NONE);
    assert!(
        apples().is_subset(&told(&answer).unwrap()),
        "it has the place of the old one"
    );
    let mut late = heartbeat_request(&old.member_id, old.generation_id);
    late.group_instance_id = Some("one".into());
    assert_eq!(world.heartbeat(&late), ErrorCode::FENCED_INSTANCE_ID);

    // Back: the last member of the new protocol is replaced, and the group is a classic one.
    assert_eq!(state(&world).0, "Stable");
    let epoch = state(&world).1;
    let back = join_now(&mut world, &static_classic("", "one"));
    assert_eq!(
        (back.error_code, back.generation_id),
        (ErrorCode::NONE, epoch)
    );
    assert_eq!(state(&world).0, "GROUP_ID_NOT_FOUND");
    assert_eq!(world.state(), "PreparingRebalance");
    let again = join_now(&mut world, &static_classic(&back.member_id, "one"));
    assert_eq!(again.leader, again.member_id);
    assert_eq!(world.leave(&[("", Some("one"))]), [ErrorCode::NONE]);
}

#[test]
fn the_group_is_a_classic_one_again_when_its_last_new_member_is_gone() {
    for is_silent in [false, true] {
        let mut world = world();
        let (ids, epoch) = three_mixed(&mut world);
        world.commit(&commit_request(&ids[0], epoch, 7));
        if is_silent {
            for _ in 0..9 {
                world.wait(5_000);
                for id in &ids {
                    beat_classic(&mut world, id, epoch);
                }
            }
            world.wait(1);
        } else {
            leave_new(&mut world, "new");
        }
        assert_eq!(world.state(), "PreparingRebalance");
        restart(&mut world);
        assert_eq!(
            (world.state(), world.fetch("read", 0)),
            ("PreparingRebalance".into(), 7)
        );
        let rebalances = ErrorCode::REBALANCE_IN_PROGRESS;
        assert_eq!(beat_classic(&mut world, &ids[0], epoch), rebalances);
        let tickets = [0, 1].map(|index| {
            let request = classic(&ids[index], &nothing_owned());
            world.join(JOIN_VERSION, &request)
        });
        let answers = tickets.map(|ticket| world.joined(ticket).expect("a generation"));
        assert_eq!(answers[0].generation_id, epoch + 1);
        assert_eq!(
            answers
                .iter()
                .map(|answer| answer.members.len())
                .sum::<usize>(),
            2
        );
        assert_eq!(world.state(), "CompletingRebalance");
        // And once more in the other direction.
        assert_eq!(send(&mut world, &join("newer")).member_epoch, epoch + 2);
    }
}

#[test]
fn a_group_of_classic_members_may_stay_a_consumer_group() {
    let mut world = world_of(GroupConfig {
        migration_policy: MigrationPolicy::Upgrade,
        ..config()
    });
    let (ids, epoch) = three_mixed(&mut world);
    leave_new(&mut world, "new");
    assert_eq!(state(&world).1, epoch + 1);
    let mut all = Owned::new();
    for id in &ids {
        assert_eq!(
            beat_classic(&mut world, id, epoch),
            ErrorCode::REBALANCE_IN_PROGRESS
        );
        join_now(&mut world, &classic(id, &nothing_owned()));
        all.extend(sync_now(&mut world, id, epoch + 1).unwrap());
    }
    for id in &ids {
        if beat_classic(&mut world, id, epoch + 1) == ErrorCode::REBALANCE_IN_PROGRESS {
            join_now(&mut world, &classic(id, &nothing_owned()));
            all.extend(sync_now(&mut world, id, epoch + 1).unwrap());
        }
    }
    assert_eq!((all.len(), state(&world).0.as_str()), (7, "Stable"));
    let left = [(&*ids[0], None), (&*ids[1], None)];
    assert_eq!(world.leave(&left), [ErrorCode::NONE, ErrorCode::NONE]);
    assert_eq!(state(&world).0, "Empty");
}

#[test]
fn what_members_of_both_protocols_keep_is_bounded() {
    let mut world = world_of(GroupConfig {
        groups_bytes_max: 64 << 10,
        ..config()
    });
    send(&mut world, &join("new"));
    let before = world.groups.bytes();
    let mut request = classic("", &nothing_owned());
    request.protocols.push(protocol("large", &[0; 20 << 10]));
    let mut ids = Vec::new();
    let refused = loop {
        let id = join_now(&mut world, &classic("", &nothing_owned())).member_id;
        request.member_id = id.clone();
        let answer = join_now(&mut world, &request);
        if answer.error_code != ErrorCode::NONE {
            break answer.error_code;
        }
        ids.push(id);
    };
    assert_eq!((refused, ids.len()), (ErrorCode::GROUP_MAX_SIZE_REACHED, 2));
    assert!(world.groups.bytes() > 40 << 10);
    // A member that joins again takes no more than it had.
    request.member_id = ids[0].clone();
    assert_eq!(join_now(&mut world, &request).error_code, ErrorCode::NONE);
    let (counted, fresh) = (world.groups.bytes(), {
        restart(&mut world);
        world.groups.bytes()
    });
    assert_eq!(counted, fresh);
    for id in &ids {
        assert_eq!(world.leave(&[(id, None)]), [ErrorCode::NONE]);
    }
    assert!(world.groups.bytes() <= before);

    // What all of them say together must be one fact once the group is a classic one.
    let mut world = world_of(GroupConfig {
        group_bytes_max: 30 << 10,
        ..config()
    });
    send(&mut world, &join("new"));
    for (id, expected) in [
        ("a", ErrorCode::NONE),
        ("b", ErrorCode::GROUP_MAX_SIZE_REACHED),
    ] {
        request.member_id = id.into();
        assert_eq!(join_now(&mut world, &request).error_code, expected);
    }
}
