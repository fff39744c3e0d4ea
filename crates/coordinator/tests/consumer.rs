//! Consumer groups whose partitions the coordinator assigns (KIP-848): what each heartbeat is answered,
//! and lives by seed in which members stall and crash, answers are lost, and the coordinator crashes.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use fletch_coordinator::{GroupConfig, Groups, Output};
use fletch_wire::messages::*;
use fletch_wire::{ErrorCode, Uuid};
use support::assigned::*;
use support::random::Random;
use support::*;

#[test]
fn partitions_change_hands_in_two_steps() {
    let mut world = world();
    let first = send(&mut world, &join("a"));
    let all = told(&first).unwrap();
    assert_eq!((first.member_epoch, all.len()), (1, 7));
    assert_eq!(
        (&first.member_id.unwrap()[..], first.heartbeat_interval_ms),
        ("a", 5_000)
    );
    assert_eq!(state(&world), ("Stable".into(), 1, 1));

    // The second one waits for what the first has, and the first goes on with the rest.
    let second = send(&mut world, &join("b"));
    assert_eq!(
        (second.member_epoch, told(&second)),
        (2, Some(Owned::new()))
    );
    assert_eq!(state(&world).0, "Reconciling");
    let first = send(&mut world, &beat("a", 1));
    let kept = told(&first).unwrap();
    assert_eq!(
        (first.member_epoch, kept.len()),
        (1, 4),
        "it keeps its epoch until it has"
    );
    let second = send(&mut world, &beat("b", 2));
    assert_eq!(told(&second), None, "not yet");
    let first = send(&mut world, &owning("a", 1, &kept));
    assert_eq!((first.member_epoch, told(&first)), (2, None));
    let second = send(&mut world, &beat("b", 2));
    let rest: Owned = all.difference(&kept).copied().collect();
    assert_eq!((second.member_epoch, told(&second)), (2, Some(rest)));
    assert_eq!(state(&world), ("Stable".into(), 2, 2));

    // A restart changes nothing for anybody.
    world.restart();
    put_topics(&mut world.groups);
    for (id, epoch) in [("a", 2), ("b", 2)] {
        let answer = send(&mut world, &beat(id, epoch));
        assert_eq!((answer.error_code, told(&answer)), (ErrorCode::NONE, None));
    }
    // The second one leaves: its partitions are free at once.
    let answer = send(&mut world, &beat("b", -1));
    assert_eq!(
        (answer.error_code, answer.member_epoch),
        (ErrorCode::NONE, -1)
    );
    let epoch = {
        let request = ConsumerGroupDescribeRequest {
            group_ids: vec![GROUP.into()],
            ..Default::default()
        };
        let answer = world.groups.consumer_group_describe(&request);
        answer.groups[0].members[0].member_epoch
    };
    assert_eq!(told(&send(&mut world, &beat("a", epoch))), Some(all));
}

#[test]
fn heartbeats_that_cannot_be() {
    let mut world = world();
    let change = |change: fn(&mut ConsumerGroupHeartbeatRequest)| {
        let mut request = join("a");
        change(&mut request);
        request
    };
    let invalid = ErrorCode::INVALID_REQUEST;
    let cases = [
        (change(|r| r.group_id = "".into()), invalid),
        (change(|r| r.member_id = "".into()), invalid),
        (change(|r| r.instance_id = Some("".into())), invalid),
        (change(|r| r.rack_id = Some("".into())), invalid),
        (change(|r| r.rebalance_timeout_ms = -1), invalid),
        (change(|r| r.subscribed_topic_names = None), invalid),
        (change(|r| r.topic_partitions = None), invalid),
        (change(|r| r.member_epoch = -2), invalid),
        (change(|r| r.member_epoch = -3), invalid),
        (
            change(|r| r.server_assignor = Some("other".into())),
            ErrorCode::UNSUPPORTED_ASSIGNOR,
        ),
        (
            change(|r| r.subscribed_topic_regex = Some("(".into())),
            ErrorCode::INVALID_REGULAR_EXPRESSION,
        ),
        (
            change(|r| r.subscribed_topic_regex = Some("a)|(b".into())),
            ErrorCode::INVALID_REGULAR_EXPRESSION,
        ),
        (
            change(|r| r.subscribed_topic_regex = Some("x".repeat(2 << 20).into())),
            ErrorCode::GROUP_MAX_SIZE_REACHED,
        ),
        (beat("a", 1), ErrorCode::GROUP_ID_NOT_FOUND),
    ];
    for (request, code) in cases {
        assert_eq!(error(&mut world, &request), code, "{request:?}");
    }
    assert!(world.kept.is_empty());
}

#[test]
fn epochs_are_checked() {
    let mut world = world();
    let all = told(&send(&mut world, &join("a"))).unwrap();
    let fenced = ErrorCode::FENCED_MEMBER_EPOCH;
    assert_eq!(
        error(&mut world, &beat("who", 1)),
        ErrorCode::UNKNOWN_MEMBER_ID
    );
    assert_eq!(error(&mut world, &beat("a", 2)), fenced);
    // It hasn't heard the answer that gave it its epoch, and says that it owns nothing.
    let mut request = join("a");
    request.member_epoch = 0;
    assert_eq!(told(&send(&mut world, &request)), Some(all.clone()));
    let mut request = beat("a", 1);
    request.subscribed_topic_names = Some(vec!["apples".into()]);
    let answer = send(&mut world, &request);
    let apples = told(&answer).unwrap();
    assert_eq!((answer.member_epoch, apples.len()), (1, 4));
    let answer = send(&mut world, &owning("a", 1, &apples));
    assert_eq!(answer.member_epoch, 2);
    assert_eq!(
        error(&mut world, &beat("a", 1)),
        fenced,
        "it doesn't say what it owns"
    );
    assert_eq!(
        error(&mut world, &owning("a", 1, &all)),
        fenced,
        "it owns too much"
    );
    assert_eq!(error(&mut world, &owning("a", 1, &apples)), ErrorCode::NONE);
}

#[test]
fn silent_members_are_out_and_so_are_those_who_give_nothing_up() {
    let mut world = world();
    send(&mut world, &join("a"));
    send(&mut world, &join("b"));
    let answer = send(&mut world, &beat("a", 1));
    assert_eq!(told(&answer).unwrap().len(), 4);
    for _ in 0..6 {
        world.wait(4_999);
        assert_eq!(error(&mut world, &beat("a", 1)), ErrorCode::NONE);
        assert_eq!(error(&mut world, &beat("b", 2)), ErrorCode::NONE);
    }
    world.wait(10);
    assert_eq!(
        error(&mut world, &beat("a", 1)),
        ErrorCode::UNKNOWN_MEMBER_ID
    );
    let answer = send(&mut world, &beat("b", 2));
    assert_eq!((answer.member_epoch, told(&answer).unwrap().len()), (3, 7));
    world.wait(45_001);
    assert_eq!(
        error(&mut world, &beat("b", 3)),
        ErrorCode::UNKNOWN_MEMBER_ID
    );
    assert_eq!(state(&world).0, "Empty");
}

#[test]
fn static_members_leave_for_a_while_and_come_back() {
    let mut world = world();
    let named = |id: &str| ConsumerGroupHeartbeatRequest {
        instance_id: Some("one".into()),
        ..join(id)
    };
    let all = told(&send(&mut world, &named("a"))).unwrap();
    assert_eq!(
        error(&mut world, &named("b")),
        ErrorCode::UNRELEASED_INSTANCE_ID
    );
    let mut leaving = named("a");
    leaving.member_epoch = -2;
    let answer = send(&mut world, &leaving);
    assert_eq!(
        (answer.error_code, answer.member_epoch),
        (ErrorCode::NONE, -2)
    );
    let other = send(&mut world, &join("c"));
    assert_eq!(told(&other), Some(Owned::new()), "its place is kept");
    world.restart();
    put_topics(&mut world.groups);
    let answer = send(&mut world, &named("b"));
    assert_eq!(answer.error_code, ErrorCode::NONE);
    assert!(told(&answer).unwrap().is_subset(&all));
    let mut old = beat("a", 1);
    assert_eq!(error(&mut world, &old), ErrorCode::UNKNOWN_MEMBER_ID);
    old.instance_id = Some("one".into());
    assert_eq!(error(&mut world, &old), ErrorCode::FENCED_INSTANCE_ID);
    // Who doesn't come back is out after its session.
    leaving.member_id = "b".into();
    send(&mut world, &leaving);
    world.wait(45_001);
    assert_eq!(error(&mut world, &leaving), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn topics_are_found_by_expression_when_they_come() {
    let mut world = world();
    let mut request = join("a");
    request.subscribed_topic_names = None;
    request.subscribed_topic_regex = Some("p.*|plums".into());
    let answer = send(&mut world, &request);
    let pears: Owned = (0..3).map(|partition| (2, partition)).collect();
    assert_eq!(told(&answer), Some(pears.clone()), "whole names only");
    world.groups.put_topic("plums", Uuid::from_u128(3), 1);
    world.groups.put_topic("pears", Uuid::from_u128(2), 4);
    let answer = send(&mut world, &owning("a", 1, &pears));
    assert_eq!((answer.member_epoch, told(&answer).unwrap().len()), (2, 5));
    let mut out = Output::default();
    world.groups.forget_topic("pears", &mut out);
    world.take(out);
    let answer = send(&mut world, &beat("a", 2));
    assert_eq!(told(&answer), Some([(3, 0)].into()));
}

#[test]
fn the_assignor_that_most_ask_for_assigns() {
    let mut world = world();
    let mut request = join("a");
    request.server_assignor = Some("range".into());
    send(&mut world, &request);
    send(&mut world, &join("b"));
    let answer = send(&mut world, &beat("a", 1));
    let expected = [(1, 0), (1, 1), (2, 0), (2, 1)];
    assert_eq!(told(&answer), Some(expected.into()));
}

#[test]
fn commits_and_fetches_are_checked_by_epoch() {
    let mut world = world();
    send(&mut world, &join("a"));
    assert_eq!(world.commit(&commit_request("a", 1, 7)), ErrorCode::NONE);
    assert_eq!(
        world.commit(&commit_request("a", 0, 8)),
        ErrorCode::STALE_MEMBER_EPOCH
    );
    assert_eq!(
        world.commit(&commit_request("who", 1, 8)),
        ErrorCode::UNKNOWN_MEMBER_ID
    );
    assert_eq!(
        world.commit(&commit_request("", -1, 8)),
        ErrorCode::UNKNOWN_MEMBER_ID
    );
    let mut request = OffsetFetchRequest {
        groups: vec![offset_fetch::OffsetFetchRequestGroup {
            group_id: GROUP.into(),
            member_id: Some("a".into()),
            member_epoch: 1,
            topics: None,
            ..Default::default()
        }],
        ..Default::default()
    };
    let fetch = |world: &World, request: &OffsetFetchRequest| {
        let answer = world.groups.offset_fetch(9, request);
        (answer.groups[0].error_code, answer.groups[0].topics.len())
    };
    assert_eq!(fetch(&world, &request), (ErrorCode::NONE, 1));
    request.groups[0].member_epoch = 0;
    assert_eq!(fetch(&world, &request), (ErrorCode::STALE_MEMBER_EPOCH, 0));
    request.groups[0].member_id = Some("who".into());
    assert_eq!(fetch(&world, &request), (ErrorCode::UNKNOWN_MEMBER_ID, 0));
    request.groups[0].member_id = None;
    request.groups[0].member_epoch = -1;
    assert_eq!(
        fetch(&world, &request),
        (ErrorCode::NONE, 1),
        "an administrator"
    );
}

#[test]
fn an_empty_group_changes_its_kind_and_one_whose_members_say_nonsense_does_not() {
    let mut world = world();
    let (ids, generation) = world.stable(1);
    world.commit(&commit_request(&ids[0], generation, 7));
    assert_eq!(error(&mut world, &join("a")), ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(state(&world).0, "GROUP_ID_NOT_FOUND");
    world.leave(&[(&ids[0], None)]);
    assert_eq!(error(&mut world, &join("a")), ErrorCode::NONE);
    assert_eq!(
        (state(&world).0.as_str(), world.fetch("read", 0)),
        ("Stable", 7)
    );
    assert_eq!(world.state(), "Dead", "to those who ask for the other kind");
    world.restart();
    put_topics(&mut world.groups);
    let ticket = world.join(JOIN_VERSION, &join_request("who"));
    let answer = world.joined(ticket).unwrap();
    assert_eq!(answer.error_code, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    send(&mut world, &beat("a", -1));
    assert_eq!(state(&world).0, "Empty");
    let ticket = world.join(3, &join_request(""));
    assert_eq!(world.joined(ticket).unwrap().error_code, ErrorCode::NONE);
    assert_eq!(
        (state(&world).0.as_str(), world.fetch("read", 0)),
        ("GROUP_ID_NOT_FOUND", 7)
    );
    world.restart();
    assert_eq!(world.state(), "CompletingRebalance");
}

#[test]
fn groups_of_both_kinds_are_listed_and_deleted() {
    let mut world = world();
    send(&mut world, &join("a"));
    let request = ListGroupsRequest {
        types_filter: vec!["consumer".into()],
        states_filter: vec!["stable".into()],
        ..Default::default()
    };
    let listed = world.groups.list_groups(&request).groups;
    assert_eq!(
        (&*listed[0].group_type, &*listed[0].protocol_type),
        ("consumer", "consumer")
    );
    let delete = |world: &mut World| {
        let request = DeleteGroupsRequest {
            groups_names: vec![GROUP.into()],
            ..Default::default()
        };
        let mut out = Output::default();
        let answer = world.groups.delete_groups(world.now_ms, &request, &mut out);
        world.take(out);
        answer.results[0].error_code
    };
    assert_eq!(delete(&mut world), ErrorCode::NON_EMPTY_GROUP);
    send(&mut world, &beat("a", -1));
    assert_eq!(delete(&mut world), ErrorCode::NONE);
    assert!(world.kept.is_empty());
}

/// A member, as it sees itself.
#[derive(Debug, Default)]
struct Client {
    id: String,
    epoch: i32,
    is_running: bool,
    stalls_until_ms: i64,
    owned: Owned,
    /// What it has been told to own, and hasn't come to yet.
    target: Option<Owned>,
    /// Whether it has missed an answer, and so says everything again.
    is_unsure: bool,
}

struct Simulation {
    random: Random,
    now_ms: i64,
    groups: Groups,
    durable: BTreeMap<String, Bytes>,
    clients: Vec<Client>,
    lives: u64,
    moved: usize,
}

impl Simulation {
    fn keep(&mut self, out: &Output) {
        for fact in &out.facts {
            match fact.value.clone() {
                Some(value) => self.durable.insert(fact.key.clone(), value),
                None => self.durable.remove(&fact.key),
            };
        }
    }

    /// The coordinator crashes; of what it said last some is durable.
    fn crash(&mut self, mut out: Output) {
        let some = self.random.below(out.facts.len() as u64 + 1) as usize;
        out.facts.truncate(some);
        self.keep(&out);
        self.groups = Groups::new(GroupConfig::default());
        for (key, value) in &self.durable {
            self.groups.apply(key, Some(value)).expect("a fact of ours");
        }
        put_topics(&mut self.groups);
        self.groups.start(self.now_ms);
    }

    fn act(&mut self, index: usize, faults: bool) {
        let client = &mut self.clients[index];
        if !client.is_running || client.stalls_until_ms > self.now_ms {
            return;
        }
        if let Some(target) = client.target.take() {
            // It takes its time to give up what it owns.
            if self.random.below(3) == 0 {
                self.moved += target.difference(&client.owned).count();
                client.owned = target;
            } else {
                client.target = Some(target);
            }
        }
        let mut request = join(&client.id);
        if client.epoch != 0 {
            request.member_epoch = client.epoch;
            request.topic_partitions = Some(said(&client.owned));
            if !client.is_unsure {
                request.rebalance_timeout_ms = -1;
                request.subscribed_topic_names = None;
            }
        }
        client.is_unsure = true;
        let mut out = Output::default();
        let caller = caller(0);
        let answer = self
            .groups
            .consumer_group_heartbeat(self.now_ms, &caller, &request, &mut out);
        match self.random.below(40) {
            0 if faults => return self.crash(out),
            // The answer is lost.
            1 if faults => return self.keep(&out),
            _ => self.keep(&out),
        }
        let client = &mut self.clients[index];
        client.is_unsure = false;
        match answer.error_code {
            ErrorCode::NONE => {
                client.epoch = answer.member_epoch;
                if let Some(told) = told(&answer) {
                    // What is to be given up is given up before anything else is taken.
                    client.target = Some(told);
                }
            }
            ErrorCode::UNKNOWN_MEMBER_ID
            | ErrorCode::FENCED_MEMBER_EPOCH
            | ErrorCode::GROUP_ID_NOT_FOUND => {
                client.epoch = 0;
                client.owned.clear();
                client.target = None;
            }
            error => panic!("a heartbeat is answered {error}"),
        }
    }

    fn befall(&mut self, index: usize) {
        let (what, ms) = (self.random.below(4), self.random.below(90_000) as i64);
        self.lives += 1;
        let client = &mut self.clients[index];
        if !client.is_running {
            *client = Client {
                id: format!("member-{}", self.lives),
                is_running: true,
                ..Client::default()
            };
            return;
        }
        match what {
            0 => client.is_running = false,
            1 => {
                let request = beat(&client.id, -1);
                client.is_running = false;
                client.owned.clear();
                let mut out = Output::default();
                let now_ms = self.now_ms;
                self.groups
                    .consumer_group_heartbeat(now_ms, &caller(0), &request, &mut out);
                self.keep(&out);
            }
            _ => client.stalls_until_ms = self.now_ms + ms,
        }
    }

    /// No partition is owned by two of those who are members and haven't been given up.
    fn check(&self) {
        let request = ConsumerGroupDescribeRequest {
            group_ids: vec![GROUP.into()],
            ..Default::default()
        };
        let answer = self.groups.consumer_group_describe(&request);
        let members = answer.groups[0].members.iter();
        let members: BTreeSet<&str> = members.map(|member| &*member.member_id).collect();
        let mut owners: BTreeMap<(u128, i32), &str> = BTreeMap::new();
        for client in self
            .clients
            .iter()
            .filter(|client| members.contains(&*client.id))
        {
            for pair in &client.owned {
                let other = owners.insert(*pair, &client.id);
                assert_eq!(other, None, "{pair:?} is owned by {} too", client.id);
            }
        }
    }

    fn run(seed: u64) -> usize {
        let mut groups = Groups::new(GroupConfig::default());
        put_topics(&mut groups);
        groups.start(0);
        let mut simulation = Self {
            random: Random(seed),
            now_ms: 0,
            groups,
            durable: BTreeMap::new(),
            clients: (0..4).map(|_| Client::default()).collect(),
            lives: 0,
            moved: 0,
        };
        for step in 0..1_000 {
            let faults = step < 700;
            simulation.now_ms += 1_000;
            let mut out = Output::default();
            simulation.groups.tick(simulation.now_ms, &mut out);
            simulation.keep(&out);
            for index in 0..simulation.clients.len() {
                if faults && simulation.random.below(60) == 0 {
                    simulation.befall(index);
                }
                if !faults && !simulation.clients[index].is_running {
                    simulation.befall(index);
                }
                if !faults {
                    simulation.clients[index].stalls_until_ms = 0;
                }
                simulation.act(index, faults);
                simulation.check();
            }
        }
        let all = simulation
            .clients
            .iter()
            .flat_map(|client| client.owned.iter().copied());
        let all: Vec<(u128, i32)> = all.collect();
        assert_eq!(
            (all.len(), all.iter().collect::<BTreeSet<_>>().len()),
            (7, 7)
        );
        let loads = simulation.clients.iter().map(|client| client.owned.len());
        assert!(
            loads.clone().max() <= Some(2) && loads.min() >= Some(1),
            "evenly"
        );
        simulation.moved
    }
}

#[test]
fn nothing_is_owned_twice_and_in_the_end_everything_once() {
    let mut moved = 0;
    for seed in 0..100 {
        let run = std::panic::catch_unwind(|| Simulation::run(seed));
        moved += run.unwrap_or_else(|_| panic!("seed {seed}"));
    }
    assert!(moved > 2_500, "{moved}");
}
