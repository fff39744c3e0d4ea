//! Lives of a group that is moved between the protocols, by seed: members of the classic protocol, eager
//! and cooperative, and of the new one join, stall, crash and come back in the other protocol, some with
//! names of their own; answers are lost, and the coordinator crashes between any two facts.
//!
//! `SIMULATION_SEEDS=0..10000 cargo test -p fletch-coordinator --test mixed` runs more of them.

mod support;

use std::collections::BTreeMap;

use bytes::Bytes;
use fletch_coordinator::{Caller, GroupConfig, Groups, Output, Ticket};
use fletch_wire::messages::sync_group::SyncGroupRequestAssignment;
use fletch_wire::messages::*;
use fletch_wire::{ErrorCode, ResponseBody, Str, Uuid};
use support::assigned::{Owned, beat, join, owning, put_topics, said, told};
use support::embedded::{assigned_in, assigning, classic, owned_in, topic};
use support::random::Random;
use support::*;

const CLIENTS: usize = 4;
const STEP_MS: i64 = 1_000;
/// With faults, and then without.
const STEPS: [usize; 2] = [500, 250];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Speaks {
    New,
    /// The classic protocol; it gives everything up to join.
    Eager,
    /// The classic protocol; it gives up what it is told to.
    Cooperative,
}

/// What a member of the classic protocol is about.
#[derive(Debug, Clone, PartialEq)]
enum Phase {
    Out,
    Joining(Ticket),
    Joined(Box<SyncGroupRequest>),
    Syncing(Ticket),
    In,
}

#[derive(Debug)]
struct Client {
    speaks: Speaks,
    instance_id: Option<Str>,
    id: Str,
    epoch: i32,
    is_running: bool,
    stalls_until_ms: i64,
    owned: Owned,
    /// Where it is in what it owns.
    positions: BTreeMap<(u128, i32), i64>,
    phase: Phase,
    /// Of a leader: whether it has left something out that a member said it owned. It may have been wrong.
    assigns_again: bool,
    beats_at_ms: i64,
    /// Of the new protocol: what it has been told to own, and hasn't come to yet.
    target: Option<Owned>,
    /// Of the new protocol: whether it has missed an answer, and so says everything again.
    is_unsure: bool,
}

impl Client {
    /// It knows that it isn't a member any more.
    fn forget(&mut self) {
        self.owned.clear();
        self.target = None;
        self.epoch = 0;
        self.phase = Phase::Out;
        if self.speaks != Speaks::New {
            self.id = Str::new();
        }
    }

    /// It is to join again, as the member it is.
    fn rejoin(&mut self) {
        if self.speaks == Speaks::Eager {
            self.owned.clear();
        }
        self.phase = Phase::Out;
    }

    fn stop(&mut self) {
        self.forget();
        self.is_running = false;
    }
}

struct Simulation {
    random: Random,
    now_ms: i64,
    groups: Groups,
    config: GroupConfig,
    durable: BTreeMap<String, Bytes>,
    answers: BTreeMap<Ticket, ResponseBody>,
    tickets: u64,
    clients: Vec<Client>,
    lives: u64,
    committed: BTreeMap<(u128, i32), i64>,
    kind: String,
    /// How often the group has changed its kind while it had members, to the new and to the classic.
    moves: [usize; 2],
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let config = GroupConfig {
            initial_rebalance_delay_ms: [0, 3_000][random.below(2) as usize],
            ..GroupConfig::default()
        };
        let mut groups = Groups::new(config.clone());
        put_topics(&mut groups);
        groups.start(0);
        let clients = (0..CLIENTS).map(|index| Client {
            speaks: Speaks::Eager,
            instance_id: random
                .one_in(3)
                .then(|| Str::from(format!("static-{index}"))),
            id: Str::new(),
            epoch: 0,
            is_running: false,
            stalls_until_ms: 0,
            owned: Owned::new(),
            positions: BTreeMap::new(),
            phase: Phase::Out,
            assigns_again: false,
            beats_at_ms: 0,
            target: None,
            is_unsure: false,
        });
        let clients = clients.collect();
        Self {
            random,
            now_ms: 0,
            groups,
            config,
            durable: BTreeMap::new(),
            answers: BTreeMap::new(),
            tickets: 0,
            clients,
            lives: 0,
            committed: BTreeMap::new(),
            kind: String::new(),
            moves: [0, 0],
        }
    }

    /// Makes what was said durable, and delivers it.
    fn keep(&mut self, out: Output) {
        for fact in out.facts {
            match fact.value {
                Some(value) => self.durable.insert(fact.key, value),
                None => self.durable.remove(&fact.key),
            };
        }
        for answer in out.answers {
            let before = self.answers.insert(answer.ticket, answer.body);
            assert_eq!(before, None, "{:?} is answered twice", answer.ticket);
        }
    }

    /// The coordinator crashes; of what it said last some is durable.
    fn crash(&mut self, mut out: Output) {
        let some = self.random.below(out.facts.len() as u64 + 1) as usize;
        out.facts.truncate(some);
        out.answers.clear();
        self.keep(out);
        self.groups = Groups::new(self.config.clone());
        for (key, value) in &self.durable {
            self.groups.apply(key, Some(value)).expect("a fact of ours");
        }
        put_topics(&mut self.groups);
        self.groups.start(self.now_ms);
        let facts = self.groups.facts().into_iter();
        let facts: BTreeMap<_, _> = facts.map(|fact| (fact.key, fact.value.unwrap())).collect();
        assert_eq!(facts, self.durable);
        // The connections are gone, and with them the answers.
        for client in &mut self.clients {
            if matches!(client.phase, Phase::Joining(_) | Phase::Syncing(_)) {
                client.rejoin();
            }
        }
    }

    /// Asks the coordinator, unless it crashes at that.
    fn ask<R>(
        &mut self,
        faults: bool,
        ask: impl FnOnce(&mut Groups, i64, &mut Output) -> R,
    ) -> Option<R> {
        let mut out = Output::default();
        let answer = ask(&mut self.groups, self.now_ms, &mut out);
        match self.random.below(60) {
            0 if faults => {
                self.crash(out);
                None
            }
            // The answer is lost.
            1 if faults => {
                self.keep(out);
                None
            }
            _ => {
                self.keep(out);
                Some(answer)
            }
        }
    }

    fn caller(&mut self) -> Caller<'static> {
        self.tickets += 1;
        Caller {
            ticket: Ticket(self.tickets),
            version: 9,
            client_id: "client",
            client_host: "/127.0.0.1",
            random: Uuid::from_u128(self.tickets.into()),
        }
    }

    fn act(&mut self, index: usize, faults: bool) {
        let client = &self.clients[index];
        if !client.is_running || client.stalls_until_ms > self.now_ms {
            return;
        }
        match client.speaks {
            Speaks::New => self.act_new(index, faults),
            Speaks::Eager | Speaks::Cooperative => self.act_classic(index, faults),
        }
        if self.random.one_in(4) {
            self.commit(index, faults);
        }
    }

    fn act_new(&mut self, index: usize, faults: bool) {
        if let Some(target) = self.clients[index].target.take() {
            // It takes its time to give up what it owns.
            match self.random.one_in(3) {
                true => self.own(index, target),
                false => self.clients[index].target = Some(target),
            }
        }
        let client = &mut self.clients[index];
        let mut request = join(&client.id);
        request.rebalance_timeout_ms = 15_000;
        if client.epoch != 0 {
            request.member_epoch = client.epoch;
            request.topic_partitions = Some(said(&client.owned));
            if !client.is_unsure {
                request = owning(&client.id, client.epoch, &client.owned);
            }
        }
        request.instance_id.clone_from(&client.instance_id);
        client.is_unsure = true;
        let caller = self.caller();
        let answer = self.ask(faults, |groups, now_ms, out| {
            groups.consumer_group_heartbeat(now_ms, &caller, &request, out)
        });
        let Some(answer) = answer else { return };
        let client = &mut self.clients[index];
        client.is_unsure = false;
        match answer.error_code {
            ErrorCode::NONE => {
                client.epoch = answer.member_epoch;
                client.target = told(&answer).or(client.target.take());
            }
            ErrorCode::UNKNOWN_MEMBER_ID
            | ErrorCode::FENCED_MEMBER_EPOCH
            | ErrorCode::GROUP_ID_NOT_FOUND => client.forget(),
            ErrorCode::UNRELEASED_INSTANCE_ID => {}
            ErrorCode::FENCED_INSTANCE_ID => client.stop(),
            error => panic!("a heartbeat of the new protocol is answered {error}"),
        }
    }

    fn act_classic(&mut self, index: usize, faults: bool) {
        match self.clients[index].phase.clone() {
            Phase::Out => self.ask_to_join(index, faults),
            Phase::Joining(ticket) => match self.answers.remove(&ticket) {
                Some(ResponseBody::JoinGroup(answer)) => self.has_joined(index, &answer),
                Some(other) => panic!("{other:?}"),
                // It loses patience, or its connection, and asks again.
                None if self.random.one_in(40) => self.ask_to_join(index, faults),
                None => {}
            },
            Phase::Joined(request) => {
                let caller = self.caller();
                self.clients[index].phase = Phase::Syncing(caller.ticket);
                self.ask(faults, |groups, now_ms, out| {
                    groups.sync_group(now_ms, &caller, &request, out);
                });
            }
            Phase::Syncing(ticket) => match self.answers.remove(&ticket) {
                Some(ResponseBody::SyncGroup(answer)) => self.has_synced(index, &answer),
                Some(other) => panic!("{other:?}"),
                None => {}
            },
            Phase::In => self.beat(index, faults),
        }
    }

    fn ask_to_join(&mut self, index: usize, faults: bool) {
        let caller = self.caller();
        let client = &mut self.clients[index];
        client.rejoin();
        client.phase = Phase::Joining(caller.ticket);
        let mut request = classic(&client.id, &client.owned);
        request.group_instance_id.clone_from(&client.instance_id);
        request.rebalance_timeout_ms = 15_000;
        self.ask(faults, |groups, now_ms, out| {
            groups.join_group(now_ms, &caller, &request, out);
        });
    }

    fn has_joined(&mut self, index: usize, answer: &JoinGroupResponse) {
        let client = &mut self.clients[index];
        match answer.error_code {
            ErrorCode::NONE => {}
            ErrorCode::MEMBER_ID_REQUIRED => {
                client.id = answer.member_id.clone();
                return client.rejoin();
            }
            ErrorCode::UNKNOWN_MEMBER_ID => return client.forget(),
            ErrorCode::REBALANCE_IN_PROGRESS => return client.rejoin(),
            ErrorCode::FENCED_INSTANCE_ID => return client.stop(),
            error => panic!("a request to join is answered {error}"),
        }
        client.id = answer.member_id.clone();
        client.epoch = answer.generation_id;
        let mut request = sync_request(&client.id, client.epoch);
        request.group_instance_id.clone_from(&client.instance_id);
        if answer.leader == answer.member_id && !answer.skip_assignment {
            let (assignments, is_all) = assign(answer);
            request.assignments = assignments;
            client.assigns_again = !is_all;
        }
        client.phase = Phase::Joined(Box::new(request));
    }

    fn has_synced(&mut self, index: usize, answer: &SyncGroupResponse) {
        let client = &mut self.clients[index];
        match answer.error_code {
            ErrorCode::NONE => {}
            ErrorCode::REBALANCE_IN_PROGRESS => return client.rejoin(),
            ErrorCode::ILLEGAL_GENERATION => {
                client.owned.clear();
                return client.rejoin();
            }
            ErrorCode::UNKNOWN_MEMBER_ID => return client.forget(),
            ErrorCode::FENCED_INSTANCE_ID => return client.stop(),
            error => panic!("a request for an assignment is answered {error}"),
        }
        let target = match answer.assignment.is_empty() {
            true => Owned::new(),
            false => assigned_in(&answer.assignment),
        };
        client.phase = Phase::In;
        client.beats_at_ms = self.now_ms + 3_000;
        let rejoins = !client.owned.is_subset(&target) || std::mem::take(&mut client.assigns_again);
        self.own(index, target);
        if rejoins {
            // Others wait for it.
            self.clients[index].rejoin();
        }
    }

    fn beat(&mut self, index: usize, faults: bool) {
        let client = &mut self.clients[index];
        if client.beats_at_ms > self.now_ms {
            return;
        }
        client.beats_at_ms = self.now_ms + 3_000;
        let mut request = heartbeat_request(&client.id, client.epoch);
        request.group_instance_id.clone_from(&client.instance_id);
        let answer = self.ask(faults, |groups, now_ms, out| {
            groups.heartbeat(now_ms, &request, out).error_code
        });
        let client = &mut self.clients[index];
        match answer {
            None | Some(ErrorCode::NONE) => {}
            Some(ErrorCode::REBALANCE_IN_PROGRESS) => client.rejoin(),
            Some(ErrorCode::ILLEGAL_GENERATION) => {
                client.owned.clear();
                client.rejoin();
            }
            Some(ErrorCode::UNKNOWN_MEMBER_ID) => client.forget(),
            Some(ErrorCode::FENCED_INSTANCE_ID) => client.stop(),
            Some(error) => panic!("a heartbeat is answered {error}"),
        }
    }

    /// A client owns something from now on; what is new to it it reads from where the group is.
    fn own(&mut self, index: usize, owned: Owned) {
        for pair in owned.difference(&self.clients[index].owned.clone()) {
            let request = OffsetFetchRequest {
                group_id: GROUP.into(),
                topics: Some(vec![offset_fetch::OffsetFetchRequestTopic {
                    name: topic(pair.0),
                    partition_indexes: vec![pair.1],
                    ..Default::default()
                }]),
                ..Default::default()
            };
            let fetched = self.groups.offset_fetch(7, &request);
            let offset = fetched.topics[0].partitions[0].committed_offset;
            assert!(
                offset >= self.committed.get(pair).copied().unwrap_or(-1),
                "it is lost"
            );
            self.clients[index].positions.insert(*pair, offset);
        }
        self.clients[index].owned = owned;
    }

    fn commit_request(
        &self,
        index: usize,
        (of, partition): (u128, i32),
        offset: i64,
    ) -> OffsetCommitRequest {
        let client = &self.clients[index];
        let mut request = commit_request(&client.id, client.epoch, offset);
        request.group_instance_id.clone_from(&client.instance_id);
        request.topics[0].name = topic(of);
        request.topics[0].partitions[0].partition_index = partition;
        request
    }

    /// A member reads on, and says how far.
    fn commit(&mut self, index: usize, faults: bool) {
        let client = &self.clients[index];
        if client.owned.is_empty() || !client.is_running || client.epoch == 0 {
            return;
        }
        let number = self.random.below(client.owned.len() as u64) as usize;
        let Some(pair) = self.clients[index].owned.iter().nth(number).copied() else {
            return;
        };
        let more = self.random.below(4) as i64;
        let position = self.clients[index].positions.entry(pair).or_default();
        *position = (*position).max(0) + more;
        let offset = *position;
        let request = self.commit_request(index, pair, offset);
        let answer = self.ask(faults, |groups, now_ms, out| {
            let answer = groups.offset_commit(now_ms, 9, &request, &|_, _| true, out);
            answer.topics[0].partitions[0].error_code
        });
        // Who may not will hear why.
        if answer == Some(ErrorCode::NONE) {
            let before = self.committed.insert(pair, offset);
            assert!(before.is_none_or(|before| before <= offset), "it goes back");
        }
    }

    /// Whether the group would take a commit of a client's now.
    fn may_commit(&mut self, index: usize, pair: (u128, i32)) -> bool {
        let request = self.commit_request(index, pair, 0);
        let mut out = Output::default();
        // Of a partition that isn't there nothing is kept.
        let none = &|_: &str, _: i32| false;
        let answer = self
            .groups
            .offset_commit(self.now_ms, 9, &request, none, &mut out);
        self.keep(out);
        answer.topics[0].partitions[0].error_code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    }

    /// Of two who think that they own a partition, one at most is a member in its epoch.
    fn check(&mut self) {
        let mut claims: BTreeMap<(u128, i32), Vec<usize>> = BTreeMap::new();
        for (index, client) in self.clients.iter().enumerate() {
            let reads = client.is_running
                && client.epoch != 0
                && (client.speaks == Speaks::New || client.phase == Phase::In);
            for pair in client.owned.iter().filter(|_| reads) {
                claims.entry(*pair).or_default().push(index);
            }
        }
        for (pair, of) in claims.into_iter().filter(|(_, of)| of.len() > 1) {
            let owners = of.iter().filter(|index| self.may_commit(**index, pair));
            let owners: Vec<usize> = owners.copied().collect();
            assert!(
                owners.len() < 2,
                "{pair:?} is owned by {owners:?}: {:#?}",
                self.clients
            );
        }
    }

    /// What kind of group it is, and whether it has changed while it had members.
    fn look(&mut self) {
        let listed = self
            .groups
            .list_groups(&ListGroupsRequest::default())
            .groups;
        let Some(group) = listed.first() else { return };
        let kind = group.group_type.to_string();
        if kind != self.kind && &*group.group_state != "Empty" {
            self.moves[usize::from(kind == "classic")] += usize::from(!self.kind.is_empty());
        }
        self.kind = kind;
    }

    /// Something befalls a client.
    fn befall(&mut self, index: usize, era: usize, faults: bool) {
        let (what, ms) = (self.random.below(4), self.random.below(40_000) as i64);
        if !self.clients[index].is_running {
            return self.start(index, era);
        }
        let client = &self.clients[index];
        let (id, instance_id) = (client.id.clone(), client.instance_id.clone());
        let speaks = client.speaks;
        match what {
            0 => self.clients[index].stop(),
            1 => {
                self.clients[index].stop();
                let caller = self.caller();
                if speaks == Speaks::New {
                    let mut request = beat(&id, [-1, -2][usize::from(instance_id.is_some())]);
                    request.instance_id = instance_id;
                    self.ask(faults, |groups, now_ms, out| {
                        groups.consumer_group_heartbeat(now_ms, &caller, &request, out)
                    });
                } else {
                    let request = LeaveGroupRequest {
                        group_id: GROUP.into(),
                        members: vec![leave_group::MemberIdentity {
                            member_id: id,
                            group_instance_id: instance_id,
                            ..Default::default()
                        }],
                        ..Default::default()
                    };
                    self.ask(faults, |groups, now_ms, out| {
                        groups.leave_group(now_ms, 5, &request, out)
                    });
                }
            }
            _ => self.clients[index].stalls_until_ms = self.now_ms + ms,
        }
    }

    /// A client starts anew: by the classic protocol in the first era, by the new one in the next, by the
    /// classic one in the last, and now and then by another.
    fn start(&mut self, index: usize, era: usize) {
        self.lives += 1;
        let classic = match self.random.one_in(2) {
            true => Speaks::Eager,
            false => Speaks::Cooperative,
        };
        let is_new = (era == 1) != self.random.one_in(5);
        let client = &mut self.clients[index];
        client.speaks = match is_new {
            true => Speaks::New,
            false => classic,
        };
        client.forget();
        client.is_running = true;
        client.is_unsure = false;
        client.stalls_until_ms = 0;
        client.positions.clear();
        if is_new {
            client.id = format!("member-{}", self.lives).into();
        }
    }

    fn run(&mut self) {
        for step in 0..STEPS.iter().sum() {
            let (faults, era) = (step < STEPS[0], 3 * step / STEPS[0]);
            self.now_ms += STEP_MS;
            self.ask(faults, |groups, now_ms, out| groups.tick(now_ms, out));
            self.look();
            for index in 0..CLIENTS {
                if faults && self.random.one_in(40) {
                    self.befall(index, era, faults);
                }
                if !faults {
                    self.clients[index].stalls_until_ms = 0;
                    if !self.clients[index].is_running {
                        self.start(index, era);
                    }
                }
                self.act(index, faults);
                self.look();
                self.check();
            }
        }
        let mut owned = Owned::new();
        for client in &self.clients {
            let is_in = client.speaks == Speaks::New || client.phase == Phase::In;
            assert!(client.is_running && is_in, "{client:#?}");
            assert!(owned.is_disjoint(&client.owned), "{:#?}", self.clients);
            owned.extend(&client.owned);
        }
        assert_eq!(owned.len(), 7, "{:#?}", self.clients);
        let is_new = |client: &Client| client.speaks == Speaks::New;
        let kind = ["classic", "consumer"][usize::from(self.clients.iter().any(is_new))];
        assert_eq!(self.kind, kind);
        let listed = self
            .groups
            .list_groups(&ListGroupsRequest::default())
            .groups;
        assert_eq!(&*listed[0].group_state, "Stable");
    }
}

/// What a leader assigns: as evenly as may be, and nothing that somebody else hasn't given up yet; and
/// whether that is all there is.
fn assign(answer: &JoinGroupResponse) -> (Vec<SyncGroupRequestAssignment>, bool) {
    let mut owners: BTreeMap<(u128, i32), usize> = BTreeMap::new();
    for (number, member) in answer.members.iter().enumerate() {
        for pair in owned_in(&member.metadata) {
            owners.entry(pair).or_insert(number);
        }
    }
    let count = answer.members.len();
    let all = support::assigned::TOPICS.iter();
    let all = all.flat_map(|(_, id, partitions)| (0..*partitions).map(|one| (*id, one)));
    let mut assigned = vec![Owned::new(); count];
    for (number, pair) in all.enumerate() {
        let to = number % count;
        if owners.get(&pair).is_none_or(|owner| *owner == to) {
            assigned[to].insert(pair);
        }
    }
    let is_all = assigned.iter().map(Owned::len).sum::<usize>() == 7;
    let members = answer.members.iter().zip(assigned);
    let assignments = members.map(|(member, owned)| SyncGroupRequestAssignment {
        member_id: member.member_id.clone(),
        assignment: assigning(&owned).into(),
        ..Default::default()
    });
    (assignments.collect(), is_all)
}

fn seeds() -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("SIMULATION_SEEDS") else {
        return 0..200;
    };
    let parse = || {
        let (first, end) = text.split_once("..")?;
        Some(first.parse().ok()?..end.parse().ok()?)
    };
    parse().expect("SIMULATION_SEEDS is FIRST..END")
}

#[test]
fn a_group_is_moved_to_and_fro_and_nothing_is_owned_twice_or_lost() {
    let (mut moves, mut commits) = ([0, 0], 0);
    for seed in seeds() {
        let run = std::panic::catch_unwind(|| {
            let mut simulation = Simulation::new(seed);
            simulation.run();
            (simulation.moves, simulation.committed.len())
        });
        let (moved, committed) = run.unwrap_or_else(|_| panic!("seed {seed}"));
        moves = [moves[0] + moved[0], moves[1] + moved[1]];
        commits += committed;
    }
    println!("{moves:?} {commits}");
    // The lives are worth living.
    let count = seeds().count();
    assert!(moves.iter().all(|moves| *moves > count), "{moves:?}");
    assert!(commits > 5 * count, "{commits}");
}
