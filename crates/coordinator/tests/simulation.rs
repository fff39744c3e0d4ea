//! Lives of a classic group, by seed: members join, stall, crash, come back, some with names of their
//! own; the coordinator crashes too, and comes back with what it had made durable.
//!
//! `SIMULATION_SEEDS=0..10000 cargo test -p fletch-coordinator --test simulation` runs more of them.

mod support;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use fletch_coordinator::{Answer, Caller, GroupConfig, Groups, Output, Ticket};
use fletch_wire::messages::sync_group::SyncGroupRequestAssignment;
use fletch_wire::messages::*;
use fletch_wire::{ErrorCode, ResponseBody, Str, Uuid};
use support::random::Random;
use support::*;

const PARTITIONS: u8 = 7;
const CLIENTS: usize = 5;
/// A step of the simulation.
const STEP_MS: i64 = 250;

/// What a client is about.
#[derive(Debug, Clone, PartialEq)]
enum Phase {
    Out,
    Joining(Ticket),
    /// It knows of the generation, and has something to do before it asks for its assignment.
    Joined(Box<SyncGroupRequest>),
    Syncing(Ticket),
    In,
}

#[derive(Debug)]
struct Client {
    /// Its own name, if it has one.
    instance_id: Option<Str>,
    id: Str,
    generation: i32,
    phase: Phase,
    is_running: bool,
    stalls_until_ms: i64,
    beats_at_ms: i64,
    /// The partitions it owns, and where it is in them.
    owned: BTreeMap<u8, i64>,
}

/// An answer that isn't waited for by ticket.
enum Told {
    Heartbeat {
        client: usize,
        id: Str,
        error: ErrorCode,
    },
    Commit {
        client: usize,
        id: Str,
        partition: u8,
        offset: i64,
        error: ErrorCode,
    },
}

/// What the coordinator has said and nobody has heard yet, because it isn't durable.
struct Said {
    out: Output,
    told: Option<Told>,
}

struct Simulation {
    random: Random,
    now_ms: i64,
    groups: Groups,
    config: GroupConfig,
    clients: Vec<Client>,
    said: VecDeque<Said>,
    durable: BTreeMap<String, Bytes>,
    answers: BTreeMap<Ticket, ResponseBody>,
    open: BTreeSet<Ticket>,
    tickets: u64,
    /// Who owned a partition in a generation.
    owners: BTreeMap<(i32, u8), Str>,
    /// The last commit that was answered, by partition.
    committed: BTreeMap<u8, i64>,
    /// How often the group was stable with all its members.
    generations: BTreeSet<i32>,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let config = GroupConfig {
            initial_rebalance_delay_ms: [0, 3_000][random.below(2) as usize],
            group_members_max: 2 * CLIENTS,
            ..GroupConfig::default()
        };
        let clients = (0..CLIENTS).map(|index| Client {
            instance_id: random
                .one_in(3)
                .then(|| Str::from(format!("static-{index}"))),
            id: Str::new(),
            generation: -1,
            phase: Phase::Out,
            is_running: false,
            stalls_until_ms: 0,
            beats_at_ms: 0,
            owned: BTreeMap::new(),
        });
        let clients = clients.collect();
        let mut groups = Groups::new(config.clone());
        groups.start(0);
        Self {
            random,
            now_ms: 0,
            groups,
            config,
            clients,
            said: VecDeque::new(),
            durable: BTreeMap::new(),
            answers: BTreeMap::new(),
            open: BTreeSet::new(),
            tickets: 0,
            owners: BTreeMap::new(),
            committed: BTreeMap::new(),
            generations: BTreeSet::new(),
        }
    }

    /// Asks the coordinator.
    fn ask<R>(
        &mut self,
        ask: impl FnOnce(&mut Groups, i64, &mut Output) -> R,
        told: impl FnOnce(R) -> Option<Told>,
    ) {
        let mut out = Output::default();
        let result = ask(&mut self.groups, self.now_ms, &mut out);
        let told = told(result);
        self.said.push_back(Said { out, told });
    }

    /// Makes some of what was said durable, and delivers it.
    fn flush(&mut self, count: usize) {
        for _ in 0..count {
            let Some(Said { out, told }) = self.said.pop_front() else {
                return;
            };
            self.make_durable(&out);
            for Answer { ticket, body } in out.answers {
                assert!(self.open.remove(&ticket), "{ticket:?} is answered twice");
                self.answers.insert(ticket, body);
            }
            if let Some(told) = told {
                self.hear(told);
            }
        }
    }

    fn make_durable(&mut self, out: &Output) {
        for fact in &out.facts {
            match fact.value.clone() {
                Some(value) => self.durable.insert(fact.key.clone(), value),
                None => self.durable.remove(&fact.key),
            };
        }
    }

    fn hear(&mut self, told: Told) {
        match told {
            Told::Heartbeat { client, id, error } => {
                let client = &mut self.clients[client];
                if client.id != id || client.phase != Phase::In {
                    return;
                }
                match error {
                    ErrorCode::NONE => {}
                    ErrorCode::REBALANCE_IN_PROGRESS => client.lose(),
                    ErrorCode::ILLEGAL_GENERATION | ErrorCode::UNKNOWN_MEMBER_ID => client.forget(),
                    ErrorCode::FENCED_INSTANCE_ID => client.stop(),
                    error => panic!("a heartbeat is answered {error}"),
                }
            }
            Told::Commit {
                client,
                id,
                partition,
                offset,
                error,
            } => match error {
                ErrorCode::NONE => {
                    let before = self.committed.insert(partition, offset);
                    assert!(before.is_none_or(|before| before <= offset), "it goes back");
                }
                error => {
                    let client = &mut self.clients[client];
                    let allowed = [
                        ErrorCode::UNKNOWN_MEMBER_ID,
                        ErrorCode::ILLEGAL_GENERATION,
                        ErrorCode::FENCED_INSTANCE_ID,
                    ];
                    assert!(allowed.contains(&error), "a commit is answered {error}");
                    if client.id == id && client.phase == Phase::In {
                        client.forget();
                    }
                }
            },
        }
    }

    /// The coordinator crashes and comes back: what was being made durable is there or not.
    fn crash(&mut self) {
        let durable = self.random.below(self.said.len() as u64 + 1) as usize;
        for said in self.said.drain(..).take(durable).collect::<Vec<_>>() {
            self.make_durable(&said.out);
        }
        self.groups = Groups::new(self.config.clone());
        for (key, value) in &self.durable {
            self.groups.apply(key, Some(value)).expect("a fact of ours");
        }
        self.groups.start(self.now_ms);
        let facts = self.groups.facts().into_iter();
        let facts: BTreeMap<_, _> = facts.map(|fact| (fact.key, fact.value.unwrap())).collect();
        assert_eq!(facts, self.durable);
        // The connections are gone, and with them the answers.
        self.open.clear();
        for client in &mut self.clients {
            if matches!(client.phase, Phase::Joining(_) | Phase::Syncing(_)) {
                client.lose();
            }
        }
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        self.open.insert(Ticket(self.tickets));
        Ticket(self.tickets)
    }

    fn caller(&mut self) -> Caller<'static> {
        let ticket = self.ticket();
        Caller {
            ticket,
            version: 9,
            client_id: "client",
            client_host: "/127.0.0.1",
            random: Uuid::from_u128(ticket.0.into()),
        }
    }

    /// A client does what it does next.
    fn act(&mut self, index: usize) {
        let client = &self.clients[index];
        if !client.is_running || client.stalls_until_ms > self.now_ms {
            return;
        }
        match client.phase.clone() {
            Phase::Out => self.ask_to_join(index),
            Phase::Joining(ticket) => match self.answers.remove(&ticket) {
                Some(ResponseBody::JoinGroup(answer)) => self.has_joined(index, &answer),
                Some(other) => panic!("{other:?}"),
                // It loses patience, or its connection, and asks again.
                None if self.random.one_in(200) => self.ask_to_join(index),
                None => {}
            },
            Phase::Joined(request) => {
                if self.random.one_in(2) {
                    self.ask_for_assignment(index, &request);
                }
            }
            Phase::Syncing(ticket) => match self.answers.remove(&ticket) {
                Some(ResponseBody::SyncGroup(answer)) => self.has_synced(index, &answer),
                Some(other) => panic!("{other:?}"),
                None => {}
            },
            Phase::In => self.work(index),
        }
    }

    fn ask_to_join(&mut self, index: usize) {
        let caller = self.caller();
        let client = &mut self.clients[index];
        client.phase = Phase::Joining(caller.ticket);
        let mut request = join_request(&client.id);
        request.group_instance_id.clone_from(&client.instance_id);
        request.rebalance_timeout_ms = 10_000;
        if client.instance_id.is_some() {
            // Long enough to sleep through a rebalance and still be a member.
            request.session_timeout_ms = 40_000;
        }
        self.ask(
            |groups, now_ms, out| groups.join_group(now_ms, &caller, &request, out),
            |()| None,
        );
    }

    fn has_joined(&mut self, index: usize, answer: &JoinGroupResponse) {
        let client = &mut self.clients[index];
        match answer.error_code {
            ErrorCode::NONE => {}
            ErrorCode::MEMBER_ID_REQUIRED => {
                client.id = answer.member_id.clone();
                return client.lose();
            }
            ErrorCode::UNKNOWN_MEMBER_ID => return client.forget(),
            ErrorCode::REBALANCE_IN_PROGRESS => return client.lose(),
            ErrorCode::FENCED_INSTANCE_ID => return client.stop(),
            error => panic!("a request to join is answered {error}"),
        }
        client.id = answer.member_id.clone();
        client.generation = answer.generation_id;
        let mut request = sync_request(&client.id, client.generation);
        request.group_instance_id.clone_from(&client.instance_id);
        if answer.leader == answer.member_id && !answer.skip_assignment {
            let count = answer.members.len();
            let assigned = |number: usize| -> Bytes {
                let partitions = 0..PARTITIONS;
                partitions
                    .filter(|partition| usize::from(*partition) % count == number)
                    .collect()
            };
            let members = answer.members.iter().enumerate();
            let assignments = members.map(|(number, member)| SyncGroupRequestAssignment {
                member_id: member.member_id.clone(),
                assignment: assigned(number),
                ..Default::default()
            });
            request.assignments = assignments.collect();
        }
        self.clients[index].phase = Phase::Joined(Box::new(request));
    }

    fn ask_for_assignment(&mut self, index: usize, request: &SyncGroupRequest) {
        let caller = self.caller();
        self.clients[index].phase = Phase::Syncing(caller.ticket);
        self.ask(
            |groups, now_ms, out| groups.sync_group(now_ms, &caller, request, out),
            |()| None,
        );
    }

    fn has_synced(&mut self, index: usize, answer: &SyncGroupResponse) {
        let client = &mut self.clients[index];
        match answer.error_code {
            ErrorCode::NONE => {}
            ErrorCode::REBALANCE_IN_PROGRESS => return client.lose(),
            ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::ILLEGAL_GENERATION => return client.forget(),
            ErrorCode::FENCED_INSTANCE_ID => return client.stop(),
            error => panic!("a request for an assignment is answered {error}"),
        }
        client.phase = Phase::In;
        self.generations.insert(client.generation);
        for partition in &answer.assignment {
            let name = client.instance_id.as_ref().unwrap_or(&client.id);
            let owner = self.owners.entry((client.generation, *partition));
            assert_eq!(
                owner.or_insert_with(|| name.clone()),
                name,
                "two own {partition}"
            );
            let request = OffsetFetchRequest {
                group_id: GROUP.into(),
                topics: Some(vec![offset_fetch::OffsetFetchRequestTopic {
                    name: "read".into(),
                    partition_indexes: vec![(*partition).into()],
                    ..Default::default()
                }]),
                ..Default::default()
            };
            let fetched = self.groups.offset_fetch(7, &request);
            let offset = fetched.topics[0].partitions[0].committed_offset;
            // What was answered is there; what wasn't yet may be.
            assert!(offset >= self.committed.get(partition).copied().unwrap_or(-1));
            client.owned.insert(*partition, offset);
        }
    }

    /// A member sends heartbeats, and reads, and says how far.
    fn work(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let id = client.id.clone();
        if client.beats_at_ms <= self.now_ms {
            client.beats_at_ms = self.now_ms + 3_000;
            let mut request = heartbeat_request(&id, client.generation);
            request.group_instance_id.clone_from(&client.instance_id);
            self.ask(
                |groups, now_ms, out| groups.heartbeat(now_ms, &request, out),
                |answer| {
                    Some(Told::Heartbeat {
                        client: index,
                        id,
                        error: answer.error_code,
                    })
                },
            );
        } else if self.random.one_in(3) && !client.owned.is_empty() {
            let number = self.random.below(client.owned.len() as u64) as usize;
            let Some((partition, position)) = client.owned.iter_mut().nth(number) else {
                return;
            };
            *position += self.random.below(4) as i64;
            let (partition, offset) = (*partition, (*position).max(0));
            let mut request = commit_request(&id, client.generation, offset);
            request.group_instance_id.clone_from(&client.instance_id);
            request.topics[0].partitions[0].partition_index = partition.into();
            self.ask(
                |groups, now_ms, out| groups.offset_commit(now_ms, 9, &request, &|_, _| true, out),
                |answer| {
                    Some(Told::Commit {
                        client: index,
                        id,
                        partition,
                        offset,
                        error: answer.topics[0].partitions[0].error_code,
                    })
                },
            );
        }
    }

    /// Something befalls a client.
    fn befall(&mut self, index: usize) {
        let stall_ms = 20_000;
        let (what, ms) = (self.random.below(4), self.random.below(stall_ms) as i64);
        let now_ms = self.now_ms;
        let client = &mut self.clients[index];
        if !client.is_running {
            // It starts anew, and knows nothing.
            client.is_running = true;
            return client.forget();
        }
        match what {
            0 => client.stop(),
            1 => {
                let request = LeaveGroupRequest {
                    group_id: GROUP.into(),
                    members: vec![leave_group::MemberIdentity {
                        member_id: client.id.clone(),
                        group_instance_id: client.instance_id.clone(),
                        ..Default::default()
                    }],
                    ..Default::default()
                };
                client.stop();
                self.ask(
                    |groups, now_ms, out| groups.leave_group(now_ms, 5, &request, out),
                    |_| None,
                );
            }
            _ => client.stalls_until_ms = now_ms + ms,
        }
    }

    fn step(&mut self, with_faults: bool) {
        self.now_ms += STEP_MS;
        if self
            .groups
            .next_deadline_ms()
            .is_some_and(|due_ms| due_ms <= self.now_ms)
        {
            self.ask(|groups, now_ms, out| groups.tick(now_ms, out), |()| None);
        }
        for index in 0..CLIENTS {
            if with_faults && self.random.one_in(60) {
                self.befall(index);
            }
            self.act(index);
        }
        if with_faults && self.random.one_in(150) {
            self.crash();
        }
        let count = match with_faults && self.random.one_in(4) {
            true => self.random.below(4) as usize,
            false => usize::MAX,
        };
        self.flush(count.min(self.said.len()));
    }

    fn run(&mut self) {
        for _ in 0..600 {
            self.step(true);
        }
        // No more faults: everybody comes to rest.
        for client in &mut self.clients {
            client.stalls_until_ms = 0;
            if !client.is_running {
                client.is_running = true;
                client.forget();
            }
        }
        for _ in 0..800 {
            self.step(false);
        }
        assert_eq!(self.open, BTreeSet::new(), "requests that nobody answers");
        let mut owned = Vec::new();
        for client in &self.clients {
            assert!(client.is_running && client.phase == Phase::In, "{client:?}");
            owned.extend(client.owned.keys().copied());
        }
        owned.sort_unstable();
        assert_eq!(
            owned,
            (0..PARTITIONS).collect::<Vec<u8>>(),
            "each is owned once"
        );
        let request = DescribeGroupsRequest {
            groups: vec![GROUP.into()],
            ..Default::default()
        };
        let answer = self.groups.describe_groups(5, &request);
        let group = &answer.groups[0];
        assert_eq!(
            (&*group.group_state, group.members.len()),
            ("Stable", CLIENTS)
        );
    }
}

impl Client {
    /// It joins again, as the member it is.
    fn lose(&mut self) {
        self.owned.clear();
        self.phase = Phase::Out;
    }

    /// It joins again, as somebody new.
    fn forget(&mut self) {
        self.lose();
        self.id = Str::new();
        self.generation = -1;
    }

    fn stop(&mut self) {
        self.forget();
        self.is_running = false;
    }
}

fn seeds() -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("SIMULATION_SEEDS") else {
        return 0..1000;
    };
    let parse = || {
        let (first, end) = text.split_once("..")?;
        Some(first.parse().ok()?..end.parse().ok()?)
    };
    parse().expect("SIMULATION_SEEDS is FIRST..END")
}

#[test]
fn groups_come_to_rest_whatever_happens() {
    let (mut generations, mut commits) = (0, 0);
    for seed in seeds() {
        let run = std::panic::catch_unwind(|| {
            let mut simulation = Simulation::new(seed);
            simulation.run();
            (simulation.generations.len(), simulation.committed.len())
        });
        let (seen, committed) = run.unwrap_or_else(|_| panic!("seed {seed}"));
        generations += seen;
        commits += committed;
    }
    // The lives are worth living.
    assert!(generations > 5 * seeds().count(), "{generations}");
    assert!(commits > 2 * seeds().count(), "{commits}");
}
