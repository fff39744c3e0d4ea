//! Groups with a clock that is turned by hand, and requests that are easy to write.

#![allow(dead_code, unreachable_pub)] // Each test uses a part.

pub mod assigned;
pub mod embedded;
pub mod random;

use std::collections::BTreeMap;

use bytes::Bytes;
use fletch_coordinator::{Caller, Fact, GroupConfig, Groups, Output, Ticket};
use fletch_wire::messages::join_group::JoinGroupRequestProtocol;
use fletch_wire::messages::leave_group::MemberIdentity;
use fletch_wire::messages::offset_commit::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use fletch_wire::messages::sync_group::SyncGroupRequestAssignment;
use fletch_wire::messages::*;
use fletch_wire::{ErrorCode, ResponseBody, Str, Uuid};

pub const GROUP: &str = "group";

/// The version that has everything.
pub const JOIN_VERSION: i16 = 9;

pub fn config() -> GroupConfig {
    GroupConfig {
        initial_rebalance_delay_ms: 0,
        ..GroupConfig::default()
    }
}

/// Groups, the time, what has been kept, and what hasn't been looked at.
pub struct World {
    pub groups: Groups,
    pub now_ms: i64,
    pub kept: BTreeMap<String, Bytes>,
    pub answers: BTreeMap<u64, ResponseBody>,
    pub tickets: u64,
    pub config: GroupConfig,
}

impl World {
    pub fn new(config: GroupConfig) -> Self {
        let mut groups = Groups::new(config.clone());
        groups.start(0);
        Self {
            groups,
            now_ms: 0,
            kept: BTreeMap::new(),
            answers: BTreeMap::new(),
            tickets: 0,
            config,
        }
    }

    /// Keeps the facts, and takes the answers.
    pub fn take(&mut self, out: Output) {
        for Fact { key, value } in out.facts {
            match value {
                Some(value) => self.kept.insert(key, value),
                None => self.kept.remove(&key),
            };
        }
        for answer in out.answers {
            let before = self.answers.insert(answer.ticket.0, answer.body);
            assert_eq!(before, None, "a second answer to {:?}", answer.ticket);
        }
        // What is kept is what a fold over it comes to, at any time.
        let facts = self.groups.facts().into_iter();
        let facts: BTreeMap<String, Bytes> = facts
            .map(|fact| (fact.key, fact.value.expect("a value")))
            .collect();
        let keys = |facts: &BTreeMap<String, Bytes>| facts.keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&facts), keys(&self.kept));
    }

    /// A restart: what waits is lost, and what is kept is all there is.
    pub fn restart(&mut self) {
        self.groups = Groups::new(self.config.clone());
        for (key, value) in &self.kept {
            self.groups.apply(key, Some(value)).expect("a fact of ours");
        }
        self.groups.start(self.now_ms);
        let facts = self.groups.facts().into_iter();
        let facts: BTreeMap<String, Bytes> = facts
            .map(|fact| (fact.key, fact.value.expect("a value")))
            .collect();
        assert_eq!(facts, self.kept, "what was kept is what is there");
    }

    /// Turns the clock to a time, and does what becomes due on the way, when it does.
    pub fn turn_to(&mut self, until_ms: i64) {
        while let Some(due_ms) = self.groups.next_deadline_ms()
            && due_ms <= until_ms
        {
            self.now_ms = self.now_ms.max(due_ms);
            let mut out = Output::default();
            self.groups.tick(self.now_ms, &mut out);
            let next_ms = self.groups.next_deadline_ms();
            assert!(
                next_ms.is_none_or(|next_ms| next_ms > self.now_ms),
                "it goes on"
            );
            self.take(out);
        }
        self.now_ms = until_ms;
    }

    pub fn wait(&mut self, ms: i64) {
        self.turn_to(self.now_ms + ms);
    }

    fn call<R>(&mut self, call: impl FnOnce(&mut Groups, i64, &mut Output) -> R) -> R {
        let mut out = Output::default();
        let answer = call(&mut self.groups, self.now_ms, &mut out);
        self.take(out);
        answer
    }

    fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    /// Asks to join, and gives the ticket of the answer.
    pub fn join(&mut self, version: i16, request: &JoinGroupRequest) -> u64 {
        let ticket = self.ticket();
        let caller = Caller {
            ticket: Ticket(ticket),
            version,
            client_id: "client",
            client_host: "/127.0.0.1",
            random: Uuid::from_u128(ticket.into()),
        };
        self.call(|groups, now_ms, out| groups.join_group(now_ms, &caller, request, out));
        ticket
    }

    pub fn sync(&mut self, request: &SyncGroupRequest) -> u64 {
        let ticket = self.ticket();
        let caller = Caller {
            ticket: Ticket(ticket),
            version: 5,
            client_id: "client",
            client_host: "/127.0.0.1",
            random: Uuid::from_u128(ticket.into()),
        };
        self.call(|groups, now_ms, out| groups.sync_group(now_ms, &caller, request, out));
        ticket
    }

    pub fn heartbeat(&mut self, request: &HeartbeatRequest) -> ErrorCode {
        self.call(|groups, now_ms, out| groups.heartbeat(now_ms, request, out))
            .error_code
    }

    pub fn leave(&mut self, who: &[(&str, Option<&str>)]) -> Vec<ErrorCode> {
        let members = who.iter().map(|(member_id, instance_id)| MemberIdentity {
            member_id: (*member_id).into(),
            group_instance_id: instance_id.map(Str::from),
            ..Default::default()
        });
        let request = LeaveGroupRequest {
            group_id: GROUP.into(),
            members: members.collect(),
            ..Default::default()
        };
        let answer = self.call(|groups, now_ms, out| groups.leave_group(now_ms, 5, &request, out));
        assert_eq!(answer.error_code, ErrorCode::NONE);
        answer
            .members
            .iter()
            .map(|member| member.error_code)
            .collect()
    }

    pub fn commit(&mut self, request: &OffsetCommitRequest) -> ErrorCode {
        self.commit_by(9, request)
    }

    pub fn commit_by(&mut self, version: i16, request: &OffsetCommitRequest) -> ErrorCode {
        let known = |topic: &str, partition| topic != "unknown" && partition < 100;
        let answer = self.call(|groups, now_ms, out| {
            groups.offset_commit(now_ms, version, request, &known, out)
        });
        answer.topics[0].partitions[0].error_code
    }

    pub fn fetch(&self, topic: &str, partition: i32) -> i64 {
        let request = OffsetFetchRequest {
            group_id: GROUP.into(),
            topics: Some(vec![offset_fetch::OffsetFetchRequestTopic {
                name: topic.into(),
                partition_indexes: vec![partition],
                ..Default::default()
            }]),
            ..Default::default()
        };
        let answer = self.groups.offset_fetch(5, &request);
        answer.topics[0].partitions[0].committed_offset
    }

    pub fn joined(&mut self, ticket: u64) -> Option<JoinGroupResponse> {
        match self.answers.remove(&ticket)? {
            ResponseBody::JoinGroup(answer) => {
                // It can be written in every version that its sender may have asked in.
                Some(answer)
            }
            other => panic!("{other:?}"),
        }
    }

    pub fn synced(&mut self, ticket: u64) -> Option<SyncGroupResponse> {
        match self.answers.remove(&ticket)? {
            ResponseBody::SyncGroup(answer) => Some(answer),
            other => panic!("{other:?}"),
        }
    }

    /// Joins as a new dynamic member, with both requests it takes; gives the id and the ticket.
    pub fn join_new(&mut self) -> (Str, u64) {
        let ticket = self.join(JOIN_VERSION, &join_request(""));
        let answer = self.joined(ticket).expect("an id at once");
        assert_eq!(answer.error_code, ErrorCode::MEMBER_ID_REQUIRED);
        let ticket = self.join(JOIN_VERSION, &join_request(&answer.member_id));
        (answer.member_id, ticket)
    }

    /// A group with members in a generation, each with an assignment of its number.
    pub fn stable(&mut self, count: usize) -> (Vec<Str>, i32) {
        let mut ids = vec![self.join_new()];
        for _ in 1..count {
            let newest = self.join_new();
            // All the others must join again.
            for (id, ticket) in &mut ids {
                self.answers.remove(ticket);
                *ticket = self.join(JOIN_VERSION, &join_request(id));
            }
            ids.push(newest);
        }
        let mut generation = -1;
        for (_, ticket) in &ids {
            let answer = self.joined(*ticket).expect("a generation");
            assert_eq!(answer.error_code, ErrorCode::NONE);
            generation = answer.generation_id;
        }
        let ids: Vec<Str> = ids.into_iter().map(|(id, _)| id).collect();
        self.assign(&ids, generation);
        (ids, generation)
    }

    pub fn assign(&mut self, ids: &[Str], generation: i32) {
        let assignments = ids
            .iter()
            .enumerate()
            .map(|(index, id)| SyncGroupRequestAssignment {
                member_id: id.clone(),
                assignment: vec![index as u8].into(),
                ..Default::default()
            });
        let assignments: Vec<_> = assignments.collect();
        let tickets: Vec<u64> = ids
            .iter()
            .rev()
            .map(|id| {
                let mut request = sync_request(id, generation);
                request.assignments.clone_from(&assignments);
                self.sync(&request)
            })
            .collect();
        for (index, ticket) in tickets.into_iter().rev().enumerate() {
            let answer = self.synced(ticket).expect("an assignment");
            let expected = (ErrorCode::NONE, vec![index as u8].into());
            assert_eq!((answer.error_code, answer.assignment), expected);
        }
    }

    pub fn state(&self) -> String {
        let request = DescribeGroupsRequest {
            groups: vec![GROUP.into()],
            ..Default::default()
        };
        self.groups.describe_groups(5, &request).groups[0]
            .group_state
            .to_string()
    }
}

pub fn protocol(name: &str, metadata: &[u8]) -> JoinGroupRequestProtocol {
    JoinGroupRequestProtocol {
        name: name.into(),
        metadata: Bytes::copy_from_slice(metadata),
        ..Default::default()
    }
}

/// What a consumer says of itself: that it reads these topics.
pub fn subscription(topics: &[&str]) -> Vec<u8> {
    let mut bytes = vec![0, 3];
    bytes.extend((topics.len() as i32).to_be_bytes());
    for topic in topics {
        bytes.extend((topic.len() as i16).to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes
}

pub fn join_request(member_id: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: GROUP.into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        member_id: member_id.into(),
        protocol_type: "consumer".into(),
        protocols: vec![protocol("range", &subscription(&["read"]))],
        ..Default::default()
    }
}

pub fn static_request(member_id: &str, instance_id: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_instance_id: Some(instance_id.into()),
        ..join_request(member_id)
    }
}

pub fn sync_request(member_id: &str, generation_id: i32) -> SyncGroupRequest {
    SyncGroupRequest {
        group_id: GROUP.into(),
        generation_id,
        member_id: member_id.into(),
        ..Default::default()
    }
}

pub fn heartbeat_request(member_id: &str, generation_id: i32) -> HeartbeatRequest {
    HeartbeatRequest {
        group_id: GROUP.into(),
        generation_id,
        member_id: member_id.into(),
        ..Default::default()
    }
}

pub fn commit_request(member_id: &str, generation: i32, offset: i64) -> OffsetCommitRequest {
    OffsetCommitRequest {
        group_id: GROUP.into(),
        generation_id_or_member_epoch: generation,
        member_id: member_id.into(),
        topics: vec![OffsetCommitRequestTopic {
            name: "read".into(),
            partitions: vec![OffsetCommitRequestPartition {
                committed_offset: offset,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}
