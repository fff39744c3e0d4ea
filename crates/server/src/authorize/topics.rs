//! Requests about topics, and about configs.

use fletch_wire::messages::alter_configs::AlterConfigsResourceResponse;
use fletch_wire::messages::create_partitions::CreatePartitionsTopicResult;
use fletch_wire::messages::create_topics::CreatableTopicResult;
use fletch_wire::messages::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use fletch_wire::messages::delete_topics::{DeletableTopicResult, DeleteTopicState};
use fletch_wire::messages::describe_configs::DescribeConfigsResult;
use fletch_wire::messages::describe_producers::{PartitionResponse, TopicResponse};
use fletch_wire::messages::describe_topic_partitions::{
    DescribeTopicPartitionsResponseTopic, TopicRequest,
};
use fletch_wire::messages::fetch::{FetchTopic, FetchableTopicResponse, PartitionData};
use fletch_wire::messages::list_offsets::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use fletch_wire::messages::metadata::{MetadataRequestTopic, MetadataResponseTopic};
use fletch_wire::messages::offset_for_leader_epoch::{EpochEndOffset, OffsetForLeaderTopicResult};
use fletch_wire::messages::{
    AlterConfigsRequest, CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest,
    DeleteTopicsRequest, DescribeConfigsRequest, DescribeProducersRequest,
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, FetchRequest, FetchResponse,
    IncrementalAlterConfigsRequest, ListOffsetsRequest, MetadataRequest,
    OffsetForLeaderEpochRequest, incremental_alter_configs,
};
use fletch_wire::{ErrorCode, Payload, ResponseBody, Str, Uuid};

use super::{CLUSTER_DENIED, TOPIC, Verdict, operations, take_refused};
use crate::auth::acl::{CLUSTER, Operation, ResourceType};
use crate::handlers::Context;

/// The first version of Fetch that names topics by id.
const FETCH_BY_ID: i16 = 13;
/// The epoch of a Fetch that begins a session, and of one that wants none.
const FIRST_EPOCH: i32 = 0;
const NO_SESSION_EPOCH: i32 = -1;
/// The first version of Metadata whose topics may have no name.
const METADATA_NAMELESS: i16 = 12;
/// The first version of DeleteTopics that names topics in a structure.
const DELETE_BY_STATE: i16 = 6;
/// Config resources, by Kafka's numbers.
const TOPIC_CONFIG: i8 = 2;

/// The name of the topic of an id; none if there is none.
fn name_of(context: &Context<'_>, id: Uuid) -> Option<Str> {
    let topic = context.broker.topic_by_id(id)?;
    Some(topic.name.as_str().into())
}

fn message(error: ErrorCode) -> Option<Str> {
    Some(Str::from_static(error.message()))
}

/// Fetch: what may not be read isn't. A session (KIP-227) is for topics that all may be read: to a request
/// that names another, there is none, and so each answer says again what may not be read. What a session
/// has from before somebody took the permission is taken out of its answers.
pub(super) fn fetch(context: &Context<'_>, request: &mut FetchRequest) -> Verdict {
    let by_id = context.version() >= FETCH_BY_ID;
    let may_read = |topic: &FetchTopic| match by_id {
        // Of a topic that there isn't, its handler says so.
        true => name_of(context, topic.topic_id).is_none_or(|name| context.may_use_topic(&name)),
        false => context.may_use_topic(&topic.topic),
    };
    let refused = take_refused(&mut request.topics, may_read);
    let goes_on = ![FIRST_EPOCH, NO_SESSION_EPOCH].contains(&request.session_epoch);
    if !refused.is_empty() && goes_on {
        return Verdict::refuse(FetchResponse {
            error_code: context.count(ErrorCode::FETCH_SESSION_ID_NOT_FOUND),
            ..Default::default()
        });
    }
    if !refused.is_empty() {
        request.session_epoch = NO_SESSION_EPOCH;
        // What is refused is answered at once.
        request.max_wait_ms = 0;
    }
    Verdict::amend(move |context, answer| {
        let ResponseBody::Fetch(answer) = answer else {
            return;
        };
        for topic in &mut answer.responses {
            let name = match by_id {
                true => name_of(context, topic.topic_id),
                false => Some(topic.topic.clone()),
            };
            if name.is_some_and(|name| !context.may_use_topic(&name)) {
                for partition in &mut topic.partitions {
                    *partition = unread(context, partition.partition_index);
                }
            }
        }
        answer.responses.extend(refused.into_iter().map(|topic| {
            let partitions = topic.partitions.iter();
            FetchableTopicResponse {
                partitions: partitions
                    .map(|partition| unread(context, partition.partition))
                    .collect(),
                topic: topic.topic,
                topic_id: topic.topic_id,
                ..Default::default()
            }
        }));
    })
}

fn unread(context: &Context<'_>, partition_index: i32) -> PartitionData {
    PartitionData {
        partition_index,
        error_code: context.refuse(TOPIC),
        high_watermark: -1,
        last_stable_offset: -1,
        log_start_offset: -1,
        records: Some(Payload::default()),
        ..Default::default()
    }
}

pub(super) fn list_offsets(context: &Context<'_>, request: &mut ListOffsetsRequest) -> Verdict {
    let refused = take_refused(&mut request.topics, |topic| {
        context.may_use_topic(&topic.name)
    });
    Verdict::amend(move |context, answer| {
        let ResponseBody::ListOffsets(answer) = answer else {
            return;
        };
        answer.topics.extend(refused.into_iter().map(|topic| {
            let partitions = topic.partitions.iter();
            let partitions = partitions.map(|partition| ListOffsetsPartitionResponse {
                partition_index: partition.partition_index,
                error_code: context.refuse(TOPIC),
                timestamp: -1,
                offset: -1,
                ..Default::default()
            });
            ListOffsetsTopicResponse {
                partitions: partitions.collect(),
                name: topic.name,
                ..Default::default()
            }
        }));
    })
}

/// Metadata: topics that may be described; others are refused, whether or not they exist. One that is
/// missing, and would be created for who may create it, is refused to others.
pub(super) fn metadata(context: &Context<'_>, request: &mut MetadataRequest) -> Verdict {
    let would_create =
        request.allow_auto_topic_creation && context.broker.config.topics.auto_create;
    let all = match &request.topics {
        None => true,
        Some(topics) => topics.is_empty() && context.version() == 0,
    };
    let passes = |asked: &MetadataRequestTopic| {
        let named = asked.name.as_ref().filter(|_| asked.topic_id.is_nil());
        let Some(name) = named else {
            let name = name_of(context, asked.topic_id);
            return name.is_none_or(|name| context.may_see_topic(&name));
        };
        let is_there = || context.broker.topic(name).is_some();
        context.may_see_topic(name) && (!would_create || is_there() || may_create(context, name))
    };
    let mut refused = Vec::new();
    if !all && let Some(topics) = &mut request.topics {
        refused = take_refused(topics, passes);
        // In version 0 none stands for all.
        if topics.is_empty() && context.version() == 0 {
            topics.push(MetadataRequestTopic::default());
            return Verdict::amend(move |context, answer| {
                if let ResponseBody::Metadata(answer) = answer {
                    answer.topics = refused_topics(context, refused);
                }
            });
        }
    }
    Verdict::amend(move |context, answer| {
        let ResponseBody::Metadata(answer) = answer else {
            return;
        };
        if all {
            let may_see = |topic: &MetadataResponseTopic| {
                topic
                    .name
                    .as_deref()
                    .is_some_and(|name| context.may_see_topic(name))
            };
            answer.topics.retain(may_see);
        }
        for topic in &mut answer.topics {
            let name = topic.name.clone().unwrap_or_default();
            let bits = &mut topic.topic_authorized_operations;
            operations::narrow(context, bits, ResourceType::Topic, &name);
        }
        let bits = &mut answer.cluster_authorized_operations;
        operations::narrow(context, bits, ResourceType::Cluster, CLUSTER);
        answer.topics.extend(refused_topics(context, refused));
    })
}

fn may_create(context: &Context<'_>, name: &str) -> bool {
    context.may(Operation::Create, ResourceType::Cluster, CLUSTER)
        || context.may(Operation::Create, ResourceType::Topic, name)
}

fn refused_topics(
    context: &Context<'_>,
    refused: Vec<MetadataRequestTopic>,
) -> Vec<MetadataResponseTopic> {
    let refused = refused.into_iter().map(|asked| {
        let by_name = asked.topic_id.is_nil();
        let nameless = context.version() >= METADATA_NAMELESS;
        MetadataResponseTopic {
            // Whose id it is isn't for everybody to know.
            error_code: context.refuse(if by_name {
                TOPIC
            } else {
                ErrorCode::UNKNOWN_TOPIC_ID
            }),
            name: asked
                .name
                .filter(|_| by_name)
                .or_else(|| (!nameless).then(Str::default)),
            topic_id: asked.topic_id,
            ..Default::default()
        }
    });
    refused.collect()
}

/// CreateTopics: those that may be created. Their configs are told to who may know them.
pub(super) fn create_topics(context: &Context<'_>, request: &mut CreateTopicsRequest) -> Verdict {
    let refused = take_refused(&mut request.topics, |topic| {
        may_create(context, &topic.name)
    });
    Verdict::amend(move |context, answer| {
        let ResponseBody::CreateTopics(answer) = answer else {
            return;
        };
        for topic in &mut answer.topics {
            let (what, kind) = (Operation::DescribeConfigs, ResourceType::Topic);
            if topic.configs.is_some() && !context.may(what, kind, &topic.name) {
                topic.configs = None;
                topic.topic_config_error_code = TOPIC;
                topic.num_partitions = -1;
                topic.replication_factor = -1;
            }
        }
        answer
            .topics
            .extend(refused.into_iter().map(|topic| CreatableTopicResult {
                name: topic.name,
                error_code: context.refuse(TOPIC),
                error_message: message(TOPIC),
                configs: Some(Vec::new()),
                ..Default::default()
            }));
    })
}

/// DeleteTopics: by name or by id. An id is known to those only who may know the topic.
pub(super) fn delete_topics(context: &Context<'_>, request: &mut DeleteTopicsRequest) -> Verdict {
    let passes = |asked: &DeleteTopicState| match &asked.name {
        Some(name) => context.may_use_topic(name),
        None => {
            let name = name_of(context, asked.topic_id);
            name.is_none_or(|name| context.may_use_topic(&name))
        }
    };
    let mut refused = take_refused(&mut request.topics, passes);
    let names = take_refused(&mut request.topic_names, |name| context.may_use_topic(name));
    refused.extend(names.into_iter().map(|name| DeleteTopicState {
        name: Some(name),
        ..Default::default()
    }));
    Verdict::amend(move |context, answer| {
        let ResponseBody::DeleteTopics(answer) = answer else {
            return;
        };
        answer.responses.extend(refused.into_iter().map(|asked| {
            let hidden = asked.name.is_none()
                && name_of(context, asked.topic_id)
                    .is_none_or(|name| !context.may_see_topic(&name));
            let error = if hidden {
                ErrorCode::UNKNOWN_TOPIC_ID
            } else {
                TOPIC
            };
            let nameless = context.version() >= DELETE_BY_STATE;
            DeletableTopicResult {
                name: asked.name.or_else(|| (!nameless).then(Str::default)),
                topic_id: asked.topic_id,
                error_code: context.refuse(error),
                error_message: message(error),
                ..Default::default()
            }
        }));
    })
}

pub(super) fn delete_records(context: &Context<'_>, request: &mut DeleteRecordsRequest) -> Verdict {
    let refused = take_refused(&mut request.topics, |topic| {
        context.may_use_topic(&topic.name)
    });
    Verdict::amend(move |context, answer| {
        let ResponseBody::DeleteRecords(answer) = answer else {
            return;
        };
        answer.topics.extend(refused.into_iter().map(|topic| {
            let partitions = topic.partitions.iter();
            let partitions = partitions.map(|partition| DeleteRecordsPartitionResult {
                partition_index: partition.partition_index,
                low_watermark: -1,
                error_code: context.refuse(TOPIC),
                ..Default::default()
            });
            DeleteRecordsTopicResult {
                partitions: partitions.collect(),
                name: topic.name,
                ..Default::default()
            }
        }));
    })
}

pub(super) fn leader_epoch(
    context: &Context<'_>,
    request: &mut OffsetForLeaderEpochRequest,
) -> Verdict {
    let refused = take_refused(&mut request.topics, |topic| {
        context.may_use_topic(&topic.topic)
    });
    Verdict::amend(move |context, answer| {
        let ResponseBody::OffsetForLeaderEpoch(answer) = answer else {
            return;
        };
        answer.topics.extend(refused.into_iter().map(|topic| {
            let partitions = topic.partitions.iter();
            let partitions = partitions.map(|partition| EpochEndOffset {
                error_code: context.refuse(TOPIC),
                partition: partition.partition,
                leader_epoch: -1,
                end_offset: -1,
                ..Default::default()
            });
            OffsetForLeaderTopicResult {
                partitions: partitions.collect(),
                topic: topic.topic,
                ..Default::default()
            }
        }));
    })
}

pub(super) fn create_partitions(
    context: &Context<'_>,
    request: &mut CreatePartitionsRequest,
) -> Verdict {
    let refused = take_refused(&mut request.topics, |topic| {
        context.may_use_topic(&topic.name)
    });
    Verdict::amend(move |context, answer| {
        if let ResponseBody::CreatePartitions(answer) = answer {
            answer.results.extend(
                refused
                    .into_iter()
                    .map(|topic| CreatePartitionsTopicResult {
                        name: topic.name,
                        error_code: context.refuse(TOPIC),
                        error_message: message(TOPIC),
                        ..Default::default()
                    }),
            );
        }
    })
}

pub(super) fn describe_producers(
    context: &Context<'_>,
    request: &mut DescribeProducersRequest,
) -> Verdict {
    let refused = take_refused(&mut request.topics, |topic| {
        context.may_use_topic(&topic.name)
    });
    Verdict::amend(move |context, answer| {
        let ResponseBody::DescribeProducers(answer) = answer else {
            return;
        };
        answer.topics.extend(refused.into_iter().map(|topic| {
            let partitions = topic.partition_indexes.iter();
            let partitions = partitions.map(|partition| PartitionResponse {
                partition_index: *partition,
                error_code: context.refuse(TOPIC),
                error_message: message(TOPIC),
                ..Default::default()
            });
            TopicResponse {
                partitions: partitions.collect(),
                name: topic.name,
                ..Default::default()
            }
        }));
    })
}

/// DescribeTopicPartitions: none named stands for all, which are those that may be described: so that not
/// even where the next page begins names another.
pub(super) fn describe_topic_partitions(
    context: &Context<'_>,
    request: &mut DescribeTopicPartitionsRequest,
) -> Verdict {
    let mut refused = Vec::new();
    if request.topics.is_empty() {
        let all = context.broker.store.topics();
        let seen = all
            .iter()
            .filter(|topic| context.may_use_topic(&topic.name));
        request.topics = seen
            .map(|topic| TopicRequest {
                name: topic.name.as_str().into(),
                ..Default::default()
            })
            .collect();
    } else {
        refused = take_refused(&mut request.topics, |topic| {
            context.may_use_topic(&topic.name)
        });
    }
    let refused_topics = move |context: &Context<'_>| {
        let refused = refused.into_iter();
        let refused = refused.map(|topic| DescribeTopicPartitionsResponseTopic {
            error_code: context.refuse(TOPIC),
            name: Some(topic.name),
            ..Default::default()
        });
        refused.collect::<Vec<_>>()
    };
    if request.topics.is_empty() {
        // Which would stand for all.
        return Verdict::refuse(DescribeTopicPartitionsResponse {
            topics: refused_topics(context),
            ..Default::default()
        });
    }
    Verdict::amend(move |context, answer| {
        let ResponseBody::DescribeTopicPartitions(answer) = answer else {
            return;
        };
        for topic in &mut answer.topics {
            let name = topic.name.clone().unwrap_or_default();
            let bits = &mut topic.topic_authorized_operations;
            operations::narrow(context, bits, ResourceType::Topic, &name);
        }
        answer.topics.extend(refused_topics(context));
    })
}

/// Whether the configs of a resource may be used as the API uses them: a topic's, or the cluster's.
fn may_use_configs(context: &Context<'_>, resource_type: i8, name: &str) -> bool {
    match resource_type {
        TOPIC_CONFIG => context.may_use_topic(name),
        _ => context.may_use(ResourceType::Cluster, CLUSTER),
    }
}

fn configs_error(resource_type: i8) -> ErrorCode {
    match resource_type {
        TOPIC_CONFIG => TOPIC,
        _ => CLUSTER_DENIED,
    }
}

pub(super) fn describe_configs(
    context: &Context<'_>,
    request: &mut DescribeConfigsRequest,
) -> Verdict {
    let refused = take_refused(&mut request.resources, |asked| {
        may_use_configs(context, asked.resource_type, &asked.resource_name)
    });
    Verdict::amend(move |context, answer| {
        let ResponseBody::DescribeConfigs(answer) = answer else {
            return;
        };
        answer.results.extend(refused.into_iter().map(|asked| {
            let error = configs_error(asked.resource_type);
            DescribeConfigsResult {
                error_code: context.refuse(error),
                error_message: message(error),
                resource_type: asked.resource_type,
                resource_name: asked.resource_name,
                ..Default::default()
            }
        }));
    })
}

pub(super) fn alter_configs(context: &Context<'_>, request: &mut AlterConfigsRequest) -> Verdict {
    let refused = take_refused(&mut request.resources, |asked| {
        may_use_configs(context, asked.resource_type, &asked.resource_name)
    });
    Verdict::amend(move |context, answer| {
        let ResponseBody::AlterConfigs(answer) = answer else {
            return;
        };
        answer.responses.extend(refused.into_iter().map(|asked| {
            let error = configs_error(asked.resource_type);
            AlterConfigsResourceResponse {
                error_code: context.refuse(error),
                error_message: message(error),
                resource_type: asked.resource_type,
                resource_name: asked.resource_name,
                ..Default::default()
            }
        }));
    })
}

pub(super) fn incremental_alter_configs(
    context: &Context<'_>,
    request: &mut IncrementalAlterConfigsRequest,
) -> Verdict {
    let refused = take_refused(&mut request.resources, |asked| {
        may_use_configs(context, asked.resource_type, &asked.resource_name)
    });
    Verdict::amend(move |context, answer| {
        let ResponseBody::IncrementalAlterConfigs(answer) = answer else {
            return;
        };
        answer.responses.extend(refused.into_iter().map(|asked| {
            let error = configs_error(asked.resource_type);
            incremental_alter_configs::AlterConfigsResourceResponse {
                error_code: context.refuse(error),
                error_message: message(error),
                resource_type: asked.resource_type,
                resource_name: asked.resource_name,
                ..Default::default()
            }
        }));
    })
}
