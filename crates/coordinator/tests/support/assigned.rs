//! Members whose partitions the coordinator assigns, of the new protocol.

use std::collections::{BTreeMap, BTreeSet};

use fletch_coordinator::{Caller, Groups, Output, Ticket};
use fletch_wire::messages::consumer_group_heartbeat::TopicPartitions;
use fletch_wire::messages::*;
use fletch_wire::{ErrorCode, Str, Uuid};

use super::{GROUP, World, config};

pub const TOPICS: [(&str, u128, i32); 2] = [("apples", 1, 4), ("pears", 2, 3)];

pub type Owned = BTreeSet<(u128, i32)>;

pub fn put_topics(groups: &mut Groups) {
    for (name, id, partitions) in TOPICS {
        groups.put_topic(name, Uuid::from_u128(id), partitions);
    }
}

pub fn world() -> World {
    let mut world = World::new(config());
    put_topics(&mut world.groups);
    world
}

pub fn caller(random: u64) -> Caller<'static> {
    Caller {
        ticket: Ticket(0),
        version: 1,
        client_id: "client",
        client_host: "/127.0.0.1",
        random: Uuid::from_u128(random.into()),
    }
}

pub fn said(owned: &Owned) -> Vec<TopicPartitions> {
    let mut topics: BTreeMap<u128, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in owned {
        topics.entry(*topic).or_default().push(*partition);
    }
    let topics = topics
        .into_iter()
        .map(|(topic, partitions)| TopicPartitions {
            topic_id: Uuid::from_u128(topic),
            partitions,
            ..Default::default()
        });
    topics.collect()
}

pub fn told(answer: &ConsumerGroupHeartbeatResponse) -> Option<Owned> {
    let topics = &answer.assignment.as_ref()?.topic_partitions;
    let pairs = topics.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter();
        partitions.map(|partition| (topic.topic_id.as_u128(), *partition))
    });
    Some(pairs.collect())
}

pub fn beat(id: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: GROUP.into(),
        member_id: id.into(),
        member_epoch: epoch,
        ..Default::default()
    }
}

pub fn join(id: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        rebalance_timeout_ms: 30_000,
        subscribed_topic_names: Some(TOPICS.map(|(name, ..)| Str::from(name)).into()),
        topic_partitions: Some(Vec::new()),
        ..beat(id, 0)
    }
}

pub fn owning(id: &str, epoch: i32, owned: &Owned) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        topic_partitions: Some(said(owned)),
        ..beat(id, epoch)
    }
}

pub fn send(
    world: &mut World,
    request: &ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    let mut out = Output::default();
    let caller = caller(world.tickets);
    let answer = world
        .groups
        .consumer_group_heartbeat(world.now_ms, &caller, request, &mut out);
    assert!(answer.to_bytes(1).is_ok());
    world.take(out);
    answer
}

pub fn error(world: &mut World, request: &ConsumerGroupHeartbeatRequest) -> ErrorCode {
    send(world, request).error_code
}

pub fn state(world: &World) -> (String, i32, i32) {
    let request = ConsumerGroupDescribeRequest {
        group_ids: vec![GROUP.into()],
        ..Default::default()
    };
    let group = &world.groups.consumer_group_describe(&request).groups[0];
    let state = match group.error_code {
        ErrorCode::NONE => group.group_state.to_string(),
        error => error.to_string(),
    };
    (state, group.group_epoch, group.assignment_epoch)
}
