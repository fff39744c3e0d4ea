//! Requests about groups.

use fletch_wire::messages::consumer_group_describe;
use fletch_wire::messages::delete_groups::DeletableGroupResult;
use fletch_wire::messages::describe_groups::DescribedGroup;
use fletch_wire::messages::find_coordinator::Coordinator;
use fletch_wire::messages::offset_commit::{
    OffsetCommitRequestTopic, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use fletch_wire::messages::offset_delete::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use fletch_wire::messages::offset_fetch::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use fletch_wire::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
    DeleteGroupsRequest, DescribeGroupsRequest, FindCoordinatorRequest, FindCoordinatorResponse,
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    LeaveGroupResponse, OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest,
    OffsetDeleteResponse, OffsetFetchRequest, OffsetFetchResponse, SyncGroupRequest,
    SyncGroupResponse,
};
use fletch_wire::{ErrorCode, ResponseBody, Str};

use super::{GROUP, TOPIC, TRANSACTIONAL_ID, Verdict, operations, take_refused};
use crate::auth::acl::{CLUSTER, Operation, ResourceType};
use crate::handlers::Context;

/// The first version of OffsetFetch that names groups, and of FindCoordinator that names keys.
const OFFSET_FETCH_BATCHED: i16 = 8;
const FIND_COORDINATOR_BATCHED: i16 = 4;
/// The first version of OffsetFetch that has an error for the group.
const OFFSET_FETCH_GROUP_ERROR: i16 = 2;
/// What FindCoordinator's keys are of.
const OF_GROUP: i8 = 0;
const OF_TRANSACTION: i8 = 1;

macro_rules! members {
    ($($name:ident $Request:ident $Response:ident),+ $(,)?) => {
        $(
            /// What a member of a group asks of its own group.
            pub(super) fn $name(context: &Context<'_>, request: &mut $Request) -> Verdict {
                match context.may_use_group(&request.group_id) {
                    true => Verdict::as_it_is(),
                    false => Verdict::refuse($Response {
                        error_code: context.refuse(GROUP),
                        ..Default::default()
                    }),
                }
            }
        )+
    };
}

members! {
    join_group JoinGroupRequest JoinGroupResponse,
    heartbeat HeartbeatRequest HeartbeatResponse,
    leave_group LeaveGroupRequest LeaveGroupResponse,
    sync_group SyncGroupRequest SyncGroupResponse,
}

/// ConsumerGroupHeartbeat: the group, and every topic that is named. A pattern may come to match any topic, also
/// one that is made later, and the answer tells of it: so it asks for all topics.
pub(super) fn member(context: &Context<'_>, request: &ConsumerGroupHeartbeatRequest) -> Verdict {
    let mut topics = request.subscribed_topic_names.iter().flatten();
    let pattern = request.subscribed_topic_regex.as_deref();
    let (error, words) = if !context.may_use_group(&request.group_id) {
        (GROUP, GROUP.message())
    } else if topics.any(|topic| !context.may_use_topic(topic)) {
        (TOPIC, TOPIC.message())
    } else if pattern.is_some_and(|text| !text.is_empty()) && !context.may_see_every_topic() {
        (
            TOPIC,
            "A pattern needs the right to describe every topic (*).",
        )
    } else {
        return Verdict::as_it_is();
    };
    Verdict::refuse(ConsumerGroupHeartbeatResponse {
        error_code: context.refuse(error),
        error_message: Some(Str::from_static(words)),
        ..Default::default()
    })
}

fn committed(
    context: &Context<'_>,
    topic: OffsetCommitRequestTopic,
    error: ErrorCode,
) -> OffsetCommitResponseTopic {
    let partitions = topic.partitions.iter();
    let partitions = partitions.map(|partition| OffsetCommitResponsePartition {
        partition_index: partition.partition_index,
        error_code: context.refuse(error),
        ..Default::default()
    });
    OffsetCommitResponseTopic {
        partitions: partitions.collect(),
        name: topic.name,
        ..Default::default()
    }
}

pub(super) fn offset_commit(context: &Context<'_>, request: &mut OffsetCommitRequest) -> Verdict {
    if !context.may_use_group(&request.group_id) {
        let topics = std::mem::take(&mut request.topics).into_iter();
        return Verdict::refuse(OffsetCommitResponse {
            topics: topics
                .map(|topic| committed(context, topic, GROUP))
                .collect(),
            ..Default::default()
        });
    }
    let refused = take_refused(&mut request.topics, |topic| {
        context.may_use_topic(&topic.name)
    });
    Verdict::amend(move |context, answer| {
        if let ResponseBody::OffsetCommit(answer) = answer {
            let refused = refused.into_iter();
            let refused = refused.map(|topic| committed(context, topic, TOPIC));
            answer.topics.extend(refused);
        }
    })
}

pub(super) fn offset_delete(context: &Context<'_>, request: &mut OffsetDeleteRequest) -> Verdict {
    if !context.may_use_group(&request.group_id) {
        return Verdict::refuse(OffsetDeleteResponse {
            error_code: context.refuse(GROUP),
            ..Default::default()
        });
    }
    let refused = take_refused(&mut request.topics, |topic| {
        context.may_use_topic(&topic.name)
    });
    Verdict::amend(move |context, answer| {
        let ResponseBody::OffsetDelete(answer) = answer else {
            return;
        };
        for topic in refused {
            let partitions = topic.partitions.iter();
            let partitions = partitions.map(|partition| OffsetDeleteResponsePartition {
                partition_index: partition.partition_index,
                error_code: context.refuse(TOPIC),
                ..Default::default()
            });
            answer.topics.push(OffsetDeleteResponseTopic {
                partitions: partitions.collect(),
                name: topic.name,
                ..Default::default()
            });
        }
    })
}

/// OffsetFetch: of a group that may be described, the topics that may.
pub(super) fn offset_fetch(context: &Context<'_>, request: &mut OffsetFetchRequest) -> Verdict {
    let version = context.version();
    if version >= OFFSET_FETCH_BATCHED {
        return offset_fetch_batched(context, request);
    }
    if !context.may_use_group(&request.group_id) {
        let error_code = context.refuse(GROUP);
        let mut answer = OffsetFetchResponse {
            error_code,
            ..Default::default()
        };
        if version < OFFSET_FETCH_GROUP_ERROR {
            let topics = std::mem::take(&mut request.topics).unwrap_or_default();
            let topics = topics.into_iter();
            answer.topics = topics
                .map(|topic| nothing_fetched(topic.name, &topic.partition_indexes, error_code))
                .collect();
        }
        return Verdict::refuse(answer);
    }
    let named = request.topics.as_mut();
    let refused =
        named.map(|topics| take_refused(topics, |topic| context.may_use_topic(&topic.name)));
    Verdict::amend(move |context, answer| {
        let ResponseBody::OffsetFetch(answer) = answer else {
            return;
        };
        // Where all were asked for, those that may not be known are left out.
        answer
            .topics
            .retain(|topic| context.may_see_topic(&topic.name));
        for topic in refused.into_iter().flatten() {
            let error = context.refuse(TOPIC);
            let topic = nothing_fetched(topic.name, &topic.partition_indexes, error);
            answer.topics.push(topic);
        }
    })
}

fn nothing_fetched(
    name: Str,
    partitions: &[i32],
    error_code: ErrorCode,
) -> OffsetFetchResponseTopic {
    let partitions = partitions.iter();
    let partitions = partitions.map(|partition| OffsetFetchResponsePartition {
        partition_index: *partition,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(Str::default()),
        error_code,
        ..Default::default()
    });
    OffsetFetchResponseTopic {
        name,
        partitions: partitions.collect(),
        ..Default::default()
    }
}

fn offset_fetch_batched(context: &Context<'_>, request: &mut OffsetFetchRequest) -> Verdict {
    let groups = take_refused(&mut request.groups, |group| {
        context.may_use_group(&group.group_id)
    });
    let mut topics = Vec::new();
    for group in &mut request.groups {
        if let Some(named) = &mut group.topics {
            let refused = take_refused(named, |topic| context.may_use_topic(&topic.name));
            topics.push((group.group_id.clone(), refused));
        }
    }
    Verdict::amend(move |context, answer| {
        let ResponseBody::OffsetFetch(answer) = answer else {
            return;
        };
        for group in &mut answer.groups {
            group
                .topics
                .retain(|topic| context.may_see_topic(&topic.name));
        }
        for (group_id, refused) in topics {
            let group = answer
                .groups
                .iter_mut()
                .find(|group| group.group_id == group_id);
            // A group that isn't told of its offsets isn't told of topics either.
            let Some(group) = group.filter(|group| group.error_code.is_none()) else {
                continue;
            };
            group.topics.extend(refused.into_iter().map(|topic| {
                let error_code = context.refuse(TOPIC);
                let partitions = topic.partition_indexes.iter();
                let partitions = partitions.map(|partition| OffsetFetchResponsePartitions {
                    partition_index: *partition,
                    committed_offset: -1,
                    committed_leader_epoch: -1,
                    metadata: Some(Str::default()),
                    error_code,
                    ..Default::default()
                });
                OffsetFetchResponseTopics {
                    partitions: partitions.collect(),
                    name: topic.name,
                    ..Default::default()
                }
            }));
        }
        answer
            .groups
            .extend(groups.into_iter().map(|group| OffsetFetchResponseGroup {
                group_id: group.group_id,
                error_code: context.refuse(GROUP),
                ..Default::default()
            }));
    })
}

pub(super) fn find_coordinator(
    context: &Context<'_>,
    request: &mut FindCoordinatorRequest,
) -> Verdict {
    let (resource_type, error) = match request.key_type {
        OF_GROUP => (ResourceType::Group, GROUP),
        OF_TRANSACTION => (ResourceType::TransactionalId, TRANSACTIONAL_ID),
        // Whose coordinators there are none of.
        _ => return Verdict::as_it_is(),
    };
    let message = Some(Str::from_static(error.message()));
    if context.version() < FIND_COORDINATOR_BATCHED {
        return match context.may_use(resource_type, &request.key) {
            true => Verdict::as_it_is(),
            false => Verdict::refuse(FindCoordinatorResponse {
                error_code: context.refuse(error),
                error_message: message,
                node_id: -1,
                port: -1,
                ..Default::default()
            }),
        };
    }
    let refused = take_refused(&mut request.coordinator_keys, |key| {
        context.may_use(resource_type, key)
    });
    Verdict::amend(move |context, answer| {
        if let ResponseBody::FindCoordinator(answer) = answer {
            answer
                .coordinators
                .extend(refused.into_iter().map(|key| Coordinator {
                    key,
                    node_id: -1,
                    port: -1,
                    error_code: context.refuse(error),
                    error_message: message.clone(),
                    ..Default::default()
                }));
        }
    })
}

pub(super) fn describe_groups(
    context: &Context<'_>,
    request: &mut DescribeGroupsRequest,
) -> Verdict {
    let refused = take_refused(&mut request.groups, |group| context.may_use_group(group));
    Verdict::amend(move |context, answer| {
        let ResponseBody::DescribeGroups(answer) = answer else {
            return;
        };
        for group in &mut answer.groups {
            let (bits, name) = (&mut group.authorized_operations, &group.group_id);
            operations::narrow(context, bits, ResourceType::Group, name);
        }
        answer
            .groups
            .extend(refused.into_iter().map(|group_id| DescribedGroup {
                error_code: context.refuse(GROUP),
                group_id,
                ..Default::default()
            }));
    })
}

pub(super) fn consumer_group_describe(
    context: &Context<'_>,
    request: &mut ConsumerGroupDescribeRequest,
) -> Verdict {
    let refused = take_refused(&mut request.group_ids, |group| context.may_use_group(group));
    let with_operations = request.include_authorized_operations;
    Verdict::amend(move |context, answer| {
        let ResponseBody::ConsumerGroupDescribe(answer) = answer else {
            return;
        };
        for group in &mut answer.groups {
            // What it reads may not be something that may be known.
            let names = group.members.iter().flat_map(|member| {
                let has = [&member.assignment, &member.target_assignment];
                let has = has.into_iter().flat_map(|some| &some.topic_partitions);
                let has = has.map(|topic| &topic.topic_name);
                member.subscribed_topic_names.iter().chain(has)
            });
            if names.into_iter().any(|topic| !context.may_see_topic(topic)) {
                group.error_code = context.refuse(TOPIC);
                group.members.clear();
            }
            if with_operations {
                let name = &group.group_id;
                group.authorized_operations =
                    operations::allowed(context, ResourceType::Group, name);
            }
        }
        let refused = refused.into_iter();
        answer.groups.extend(
            refused.map(|group_id| consumer_group_describe::DescribedGroup {
                error_code: context.refuse(GROUP),
                error_message: Some(Str::from_static(GROUP.message())),
                group_id,
                ..Default::default()
            }),
        );
    })
}

/// ListGroups: those that may be described; all, for who may describe the cluster.
pub(super) fn list_groups(context: &Context<'_>) -> Verdict {
    if context.may(Operation::Describe, ResourceType::Cluster, CLUSTER) {
        return Verdict::as_it_is();
    }
    Verdict::amend(|context, answer| {
        if let ResponseBody::ListGroups(answer) = answer {
            answer
                .groups
                .retain(|group| context.may_use_group(&group.group_id));
        }
    })
}

pub(super) fn delete_groups(context: &Context<'_>, request: &mut DeleteGroupsRequest) -> Verdict {
    let refused = take_refused(&mut request.groups_names, |group| {
        context.may_use_group(group)
    });
    Verdict::amend(move |context, answer| {
        if let ResponseBody::DeleteGroups(answer) = answer {
            answer
                .results
                .extend(refused.into_iter().map(|group_id| DeletableGroupResult {
                    group_id,
                    error_code: context.refuse(GROUP),
                    ..Default::default()
                }));
        }
    })
}
