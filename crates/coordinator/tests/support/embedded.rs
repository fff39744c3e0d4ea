//! The consumers' embedded protocol, as clients write and read it.

use super::World;
use super::assigned::{Owned, TOPICS};
use super::{GROUP, join_request, protocol, sync_request};
use fletch_wire::messages::*;
use fletch_wire::{ErrorCode, Str};

fn name_of(id: u128) -> &'static str {
    let found = TOPICS.iter().find(|(_, topic, _)| *topic == id);
    found.expect("a topic").0
}

fn put_partitions(bytes: &mut Vec<u8>, owned: &Owned) {
    let topics = TOPICS.map(|(_, id, _)| owned.iter().filter(move |(of, _)| *of == id));
    bytes.extend((TOPICS.len() as i32).to_be_bytes());
    for ((name, ..), partitions) in TOPICS.iter().zip(topics) {
        let partitions: Vec<i32> = partitions.map(|(_, partition)| *partition).collect();
        bytes.extend((name.len() as i16).to_be_bytes());
        bytes.extend(name.as_bytes());
        bytes.extend((partitions.len() as i32).to_be_bytes());
        for partition in partitions {
            bytes.extend(partition.to_be_bytes());
        }
    }
}

/// What a consumer says of itself in version 1: that it reads both topics, and what it owns.
pub fn reading(owned: &Owned) -> Vec<u8> {
    let mut bytes = vec![0, 1];
    bytes.extend((TOPICS.len() as i32).to_be_bytes());
    for (name, ..) in TOPICS {
        bytes.extend((name.len() as i16).to_be_bytes());
        bytes.extend(name.as_bytes());
    }
    bytes.extend((-1i32).to_be_bytes());
    put_partitions(&mut bytes, owned);
    bytes
}

/// What a leader assigns.
pub fn assigning(owned: &Owned) -> Vec<u8> {
    let mut bytes = vec![0, 1];
    put_partitions(&mut bytes, owned);
    bytes.extend((-1i32).to_be_bytes());
    bytes
}

/// What is owned by an assignment; or by what [`reading`] says, from behind the topics and the assignor's.
pub fn assigned_in(bytes: &[u8]) -> Owned {
    let mut rest = bytes.get(2..).expect("a version");
    partitions_in(&mut rest)
}

/// What a member says that it owns, in [`reading`].
pub fn owned_in(bytes: &[u8]) -> Owned {
    let mut rest = bytes.get(2..).expect("a version");
    for _ in 0..count(&mut rest) {
        text(&mut rest);
    }
    count(&mut rest);
    partitions_in(&mut rest)
}

fn count(rest: &mut &[u8]) -> i32 {
    let (four, after) = rest.split_first_chunk().expect("a count");
    *rest = after;
    i32::from_be_bytes(*four)
}

fn text<'a>(rest: &mut &'a [u8]) -> &'a str {
    let (two, after) = rest.split_first_chunk().expect("a length");
    let (text, after) = after.split_at(i16::from_be_bytes(*two) as usize);
    *rest = after;
    std::str::from_utf8(text).expect("a name")
}

fn partitions_in(rest: &mut &[u8]) -> Owned {
    let mut owned = Owned::new();
    for _ in 0..count(rest) {
        let name = text(rest);
        let (_, id, _) = TOPICS
            .iter()
            .find(|topic| topic.0 == name)
            .expect("a topic");
        for _ in 0..count(rest) {
            owned.insert((*id, count(rest)));
        }
    }
    owned
}

/// The name of a topic.
pub fn topic(id: u128) -> Str {
    name_of(id).into()
}

/// A request to join by a member that owns something.
pub fn classic(id: &str, owned: &Owned) -> JoinGroupRequest {
    JoinGroupRequest {
        protocols: vec![protocol("range", &reading(owned))],
        ..join_request(id)
    }
}

/// Joins a group that answers at once; gives the answer.
pub fn join_now(world: &mut World, request: &JoinGroupRequest) -> JoinGroupResponse {
    let ticket = world.join(super::JOIN_VERSION, request);
    world.joined(ticket).expect("an answer at once")
}

/// Asks for an assignment that is there; gives it.
pub fn sync_now(world: &mut World, id: &str, generation: i32) -> Result<Owned, ErrorCode> {
    let ticket = world.sync(&sync_request(id, generation));
    let answer = world.synced(ticket).expect("an answer at once");
    match answer.error_code {
        ErrorCode::NONE => Ok(assigned_in(&answer.assignment)),
        error => Err(error),
    }
}

/// Leaves as a member of the new protocol.
pub fn leave_new(world: &mut World, id: &str) {
    let request = super::assigned::beat(id, -1);
    assert_eq!(super::assigned::error(world, &request), ErrorCode::NONE);
}

/// The members of a consumer group by id: what they speak, their epoch.
pub fn spoken(world: &World) -> Vec<(String, i8, i32)> {
    let request = ConsumerGroupDescribeRequest {
        group_ids: vec![GROUP.into()],
        ..Default::default()
    };
    let answer = world.groups.consumer_group_describe(&request);
    let members = answer.groups[0].members.iter();
    let spoken = members.map(|member| {
        let id = member.member_id.to_string();
        (id, member.member_type, member.member_epoch)
    });
    spoken.collect()
}
