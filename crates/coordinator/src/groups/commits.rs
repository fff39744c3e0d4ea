//! OffsetCommit, TxnOffsetCommit, OffsetFetch, OffsetDelete, and the ways offsets go.

use std::collections::BTreeSet;
use std::sync::Arc;

use fletch_wire::messages::offset_commit::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use fletch_wire::messages::offset_delete::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use fletch_wire::messages::offset_fetch::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use fletch_wire::messages::txn_offset_commit::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use fletch_wire::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse,
    OffsetFetchRequest, OffsetFetchResponse, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};
use fletch_wire::{ErrorCode, Str};

use super::{Group, Groups, Kind, offsets};
use crate::fact::{Fact, Key, Offset, Place, Value};
use crate::output::Output;

/// Whether there is such a partition.
pub type Known<'a> = &'a dyn Fn(&str, i32) -> bool;

/// Who commits, by its own account.
struct Committer<'a> {
    member_id: &'a str,
    instance_id: Option<&'a str>,
    generation: i32,
    /// The producer in whose transaction it commits.
    producer: Option<i64>,
}

/// An offset to commit, and when to forget it.
struct Commit<'a> {
    offset: i64,
    leader_epoch: i32,
    metadata: &'a str,
    committed_ms: i64,
    expires_ms: Option<i64>,
}

/// The first version of OffsetCommit that tells a missing group from a wrong generation.
const MISSING_IS_TOLD: i16 = 9;

/// The error of requests that don't tell them apart.
fn untold(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::GROUP_ID_NOT_FOUND => ErrorCode::ILLEGAL_GENERATION,
        error => error,
    }
}

impl Groups {
    /// OffsetCommit.
    pub fn offset_commit(
        &mut self,
        now_ms: i64,
        version: i16,
        request: &OffsetCommitRequest,
        known: Known,
        out: &mut Output,
    ) -> OffsetCommitResponse {
        let committer = Committer {
            member_id: &request.member_id,
            instance_id: request.group_instance_id.as_deref(),
            generation: request.generation_id_or_member_epoch,
            producer: None,
        };
        let allowed = self
            .check_committer(now_ms, &request.group_id, &committer, out)
            .map_err(|error| match version {
                ..MISSING_IS_TOLD => untold(error),
                _ => error,
            });
        let kept_ms = request.retention_time_ms;
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                let commit = Commit {
                    offset: partition.committed_offset,
                    leader_epoch: partition.committed_leader_epoch,
                    metadata: partition.committed_metadata.as_deref().unwrap_or_default(),
                    committed_ms: match partition.commit_timestamp {
                        ..0 => now_ms,
                        timestamp_ms => timestamp_ms,
                    },
                    expires_ms: (kept_ms >= 0).then(|| now_ms.saturating_add(kept_ms)),
                };
                let index = partition.partition_index;
                let place = (&*request.group_id, &*topic.name, index);
                OffsetCommitResponsePartition {
                    partition_index: index,
                    error_code: self.commit(allowed, place, &committer, commit, known, out),
                    ..Default::default()
                }
            });
            OffsetCommitResponseTopic {
                name: topic.name.clone(),
                partitions: partitions.collect(),
                ..Default::default()
            }
        });
        let topics = topics.collect();
        self.settle(&request.group_id);
        OffsetCommitResponse {
            topics,
            ..Default::default()
        }
    }

    /// TxnOffsetCommit. That the transaction is open, and has the group's offsets in it, is to be
    /// made sure of before.
    pub fn txn_offset_commit(
        &mut self,
        now_ms: i64,
        request: &TxnOffsetCommitRequest,
        known: Known,
        out: &mut Output,
    ) -> TxnOffsetCommitResponse {
        let committer = Committer {
            member_id: &request.member_id,
            instance_id: request.group_instance_id.as_deref(),
            generation: request.generation_id,
            producer: Some(request.producer_id),
        };
        let allowed = self
            .check_committer(now_ms, &request.group_id, &committer, out)
            .map_err(untold);
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                let commit = Commit {
                    offset: partition.committed_offset,
                    leader_epoch: partition.committed_leader_epoch,
                    metadata: partition.committed_metadata.as_deref().unwrap_or_default(),
                    committed_ms: now_ms,
                    expires_ms: None,
                };
                let index = partition.partition_index;
                let place = (&*request.group_id, &*topic.name, index);
                TxnOffsetCommitResponsePartition {
                    partition_index: index,
                    error_code: self.commit(allowed, place, &committer, commit, known, out),
                    ..Default::default()
                }
            });
            TxnOffsetCommitResponseTopic {
                name: topic.name.clone(),
                partitions: partitions.collect(),
                ..Default::default()
            }
        });
        let topics = topics.collect();
        self.settle(&request.group_id);
        TxnOffsetCommitResponse {
            topics,
            ..Default::default()
        }
    }

    /// Ends the part that a group has in a producer's transaction.
    pub fn end_transaction(
        &mut self,
        group_id: &str,
        producer_id: i64,
        committed: bool,
        out: &mut Output,
    ) {
        if let Some((id, group)) = self.get_mut(group_id) {
            let facts = &mut out.facts;
            group.offsets.end(&id, producer_id, committed, facts);
        }
        self.settle(group_id);
    }

    fn check_committer(
        &mut self,
        now_ms: i64,
        group_id: &str,
        committer: &Committer,
        out: &mut Output,
    ) -> Result<(), ErrorCode> {
        if !self.groups.contains_key(group_id) {
            if committer.generation >= 0 {
                return Err(ErrorCode::GROUP_ID_NOT_FOUND);
            }
            // Of a consumer that has chosen its partitions by itself.
            return self.create(now_ms, group_id);
        }
        // Not by `with`, which would forget the group that has just been made.
        let Some(group) = self.groups.get_mut(group_id) else {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        };
        let mut env = super::Env {
            config: &self.config,
            timers: &mut self.timers,
            directory: &self.directory,
            out,
            now_ms,
        };
        group.kind.check_commit(
            &mut env,
            committer.member_id,
            committer.instance_id,
            committer.generation,
            committer.producer.is_some(),
        )
    }

    fn commit(
        &mut self,
        allowed: Result<(), ErrorCode>,
        (group_id, topic, partition): (&str, &str, i32),
        committer: &Committer,
        commit: Commit,
        known: Known,
        out: &mut Output,
    ) -> ErrorCode {
        if let Err(error) = allowed {
            return error;
        }
        if !known(topic, partition) {
            return ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        }
        if commit.metadata.len() > self.config.offset_metadata_bytes_max {
            return ErrorCode::OFFSET_METADATA_TOO_LARGE;
        }
        let offsets_max = self.config.group_offsets_max;
        let (bytes, bytes_max) = (self.bytes, self.config.groups_bytes_max);
        let Some((id, group)) = self.get_mut(group_id) else {
            return ErrorCode::UNKNOWN_MEMBER_ID;
        };
        // Of the same transaction, if it is in one: until that has ended, both are kept.
        let before = group.offsets.of(committer.producer, topic, partition);
        if group.offsets.count() >= offsets_max && before.is_none() {
            return ErrorCode::INVALID_COMMIT_OFFSET_SIZE;
        }
        let bytes_of = |offset: &Offset| id.len() + offsets::bytes_of(topic, offset);
        let has = before.map_or(0, bytes_of);
        let offset = Offset {
            offset: commit.offset,
            leader_epoch: commit.leader_epoch,
            metadata: commit.metadata.into(),
            committed_ms: commit.committed_ms,
            expires_ms: commit.expires_ms,
            turn: group.offsets.next_turn(),
        };
        // What of this request came before isn't counted yet.
        let bytes = bytes - group.counted_bytes + group.bytes(&id);
        let more = bytes_of(&offset).saturating_sub(has);
        if more > 0 && bytes.saturating_add(more) > bytes_max {
            return ErrorCode::INVALID_COMMIT_OFFSET_SIZE;
        }
        let place = Place {
            group: id,
            topic: topic.into(),
            partition,
        };
        let value = Some(offset.encode());
        group.offsets.put(committer.producer, &place, offset);
        let key = match committer.producer {
            None => Key::Offset(place),
            Some(producer_id) => Key::Pending { producer_id, place },
        };
        let key = key.text();
        out.facts.push(Fact { key, value });
        ErrorCode::NONE
    }

    /// OffsetFetch.
    pub fn offset_fetch(&self, version: i16, request: &OffsetFetchRequest) -> OffsetFetchResponse {
        let stable = request.require_stable;
        if version < 8 {
            let asked = request.topics.iter().flatten();
            let asked = asked.map(|topic| (&topic.name, &*topic.partition_indexes));
            let all = request.topics.is_none();
            let topics = self.fetch(&request.group_id, all, asked, stable);
            return OffsetFetchResponse {
                topics: topics.into_iter().map(in_old_form).collect(),
                ..Default::default()
            };
        }
        let groups = request.groups.iter().map(|group| {
            let member = group.member_id.as_deref();
            if let Err(error_code) = self.check_reader(&group.group_id, member, group.member_epoch)
            {
                return OffsetFetchResponseGroup {
                    group_id: group.group_id.clone(),
                    error_code,
                    ..Default::default()
                };
            }
            let asked = group.topics.iter().flatten();
            let asked = asked.map(|topic| (&topic.name, &*topic.partition_indexes));
            let all = group.topics.is_none();
            OffsetFetchResponseGroup {
                group_id: group.group_id.clone(),
                topics: self.fetch(&group.group_id, all, asked, stable),
                ..Default::default()
            }
        });
        OffsetFetchResponse {
            groups: groups.collect(),
            ..Default::default()
        }
    }

    /// Whether a member is what it says, if it says something.
    fn check_reader(
        &self,
        group_id: &str,
        member: Option<&str>,
        epoch: i32,
    ) -> Result<(), ErrorCode> {
        match (self.groups.get(group_id).map(|group| &group.kind), member) {
            (Some(Kind::Consumer(group)), Some(member)) => group.check_epoch(member, epoch),
            (Some(Kind::Consumer(group)), None) if epoch >= 0 => group.check_epoch("", epoch),
            _ => Ok(()),
        }
    }

    fn fetch<'a>(
        &self,
        group_id: &str,
        all: bool,
        asked: impl Iterator<Item = (&'a Str, &'a [i32])>,
        stable: bool,
    ) -> Vec<OffsetFetchResponseTopics> {
        let group = self.groups.get(group_id);
        let partition = |topic: &str, partition: i32| fetched(group, topic, partition, stable);
        if !all {
            let topics = asked.map(|(topic, partitions)| OffsetFetchResponseTopics {
                name: topic.clone(),
                partitions: partitions
                    .iter()
                    .map(|&index| partition(topic, index))
                    .collect(),
                ..Default::default()
            });
            return topics.collect();
        }
        let committed = group
            .into_iter()
            .flat_map(|group| group.offsets.committed());
        let topics = committed.map(|(topic, partitions)| OffsetFetchResponseTopics {
            name: Str::from(&**topic),
            partitions: partitions
                .keys()
                .map(|&index| partition(topic, index))
                .collect(),
            ..Default::default()
        });
        topics.collect()
    }

    /// OffsetDelete.
    pub fn offset_delete(
        &mut self,
        request: &OffsetDeleteRequest,
        known: Known,
        out: &mut Output,
    ) -> OffsetDeleteResponse {
        let refused = |error_code| OffsetDeleteResponse {
            error_code,
            ..Default::default()
        };
        let directory = &self.directory;
        let found = self.groups.get_key_value(&*request.group_id);
        let id = found.map(|(id, _)| id.clone());
        let (Some(id), Some(group)) = (id, self.groups.get_mut(&*request.group_id)) else {
            return refused(ErrorCode::GROUP_ID_NOT_FOUND);
        };
        if !group.kind.is_empty() && !group.kind.is_of_consumers() {
            return refused(ErrorCode::NON_EMPTY_GROUP);
        }
        let mut delete = |topic: &Str, partition: i32| {
            if !known(topic, partition) {
                return ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
            }
            if !group.kind.is_empty() && group.kind.reads(directory, topic) {
                return ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC;
            }
            let place = Place {
                group: id.clone(),
                topic: (**topic).into(),
                partition,
            };
            group.offsets.forget(vec![place], &mut out.facts);
            ErrorCode::NONE
        };
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                let partition_index = partition.partition_index;
                OffsetDeleteResponsePartition {
                    partition_index,
                    error_code: delete(&topic.name, partition_index),
                    ..Default::default()
                }
            });
            OffsetDeleteResponseTopic {
                name: topic.name.clone(),
                partitions: partitions.collect(),
                ..Default::default()
            }
        });
        let topics = topics.collect();
        self.settle(&request.group_id);
        OffsetDeleteResponse {
            topics,
            ..Default::default()
        }
    }

    /// Says that a topic is deleted: forgets the offsets in it.
    pub fn forget_topic(&mut self, topic: &str, out: &mut Output) {
        self.directory.remove(topic);
        for (id, group) in &mut self.groups {
            group.offsets.forget_topic(id, topic, &mut out.facts);
        }
        let ids: Vec<Arc<str>> = self.groups.keys().cloned().collect();
        ids.iter().for_each(|id| self.settle(id));
    }

    /// The topics that groups have offsets in.
    pub fn topics_with_offsets(&self) -> BTreeSet<Arc<str>> {
        let groups = self.groups.values();
        groups.flat_map(|group| group.offsets.topics()).collect()
    }

    /// Forgets the offsets that nobody needs any more, and the groups that have none left.
    pub(super) fn expire(&mut self, now_ms: i64, out: &mut Output) {
        let kept_ms = self.config.offsets_retention_ms;
        let ids: Vec<Arc<str>> = self.groups.keys().cloned().collect();
        for id in ids {
            let Some(group) = self.groups.get_mut(&id) else {
                continue;
            };
            let (kind, directory) = (&group.kind, &self.directory);
            let is_old = |topic: &str, offset: &Offset| match offset.expires_ms {
                Some(expires_ms) => expires_ms <= now_ms,
                None => kind
                    .unused_since_ms(directory, topic, offset.committed_ms)
                    .is_some_and(|since_ms| since_ms.saturating_add(kept_ms) <= now_ms),
            };
            group.offsets.expire(&id, is_old, &mut out.facts);
            if group.kind.is_vacant() && group.offsets.is_empty() {
                self.forget_group(now_ms, &id, out);
            } else {
                self.settle(&id);
            }
        }
    }

    fn get_mut(&mut self, id: &str) -> Option<(Arc<str>, &mut Group)> {
        let (id, _) = self.groups.get_key_value(id)?;
        let id = id.clone();
        let group = self.groups.get_mut(&id)?;
        Some((id, group))
    }
}

/// One partition of an answer to OffsetFetch.
fn fetched(
    group: Option<&Group>,
    topic: &str,
    partition_index: i32,
    stable: bool,
) -> OffsetFetchResponsePartitions {
    let none = OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: -1,
        metadata: Some(Str::new()),
        ..Default::default()
    };
    let Some(group) = group else { return none };
    if stable && group.offsets.is_pending(topic, partition_index) {
        return OffsetFetchResponsePartitions {
            error_code: ErrorCode::UNSTABLE_OFFSET_COMMIT,
            ..none
        };
    }
    match group.offsets.get(topic, partition_index) {
        None => none,
        Some(offset) => OffsetFetchResponsePartitions {
            committed_offset: offset.offset,
            committed_leader_epoch: offset.leader_epoch,
            metadata: Some(Str::from(&*offset.metadata)),
            ..none
        },
    }
}

fn in_old_form(topic: OffsetFetchResponseTopics) -> OffsetFetchResponseTopic {
    let partitions = topic.partitions.into_iter();
    let partitions = partitions.map(|partition| OffsetFetchResponsePartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata,
        error_code: partition.error_code,
        ..Default::default()
    });
    OffsetFetchResponseTopic {
        name: topic.name,
        partitions: partitions.collect(),
        ..Default::default()
    }
}
