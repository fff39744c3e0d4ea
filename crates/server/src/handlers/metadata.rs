//! Metadata: this broker, and topics, created if they are missing and may be.

use std::collections::HashSet;
use std::sync::Arc;

use fletch_store::{Topic, validate_topic_name};
use fletch_wire::messages::metadata::{
    MetadataRequestTopic, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use fletch_wire::messages::{MetadataRequest, MetadataResponse};
use fletch_wire::{ErrorCode, Str, Uuid};
use tracing::{info, warn};

use super::{Context, create_error_code};
use crate::broker::{LEADER_EPOCH, NODE_ID};

/// Every operation on a topic that Kafka knows, as bits: read, write, create, delete, alter,
/// describe, describe configs, alter configs.
pub(super) const TOPIC_OPERATIONS: i32 = 0b1101_1111_1000;
/// Every operation on a cluster: create, alter, describe, cluster action, describe configs, alter
/// configs, idempotent write.
pub(super) const CLUSTER_OPERATIONS: i32 = 0b1_1111_1010_0000;

pub(crate) async fn handle(context: &Context<'_>, request: MetadataRequest) -> MetadataResponse {
    let with_operations = request.include_topic_authorized_operations;
    let topics = match request.topics {
        // Version 0 has no null: its empty list asks for all.
        None => all(context),
        Some(topics) if topics.is_empty() && context.version() == 0 => all(context),
        Some(topics) => {
            let may_create =
                request.allow_auto_topic_creation && context.broker.config.topics.auto_create;
            let mut answers = Vec::with_capacity(topics.len());
            let mut seen = HashSet::with_capacity(topics.len());
            for topic in topics {
                // A topic that is named twice is answered once.
                if seen.insert((topic.name.clone(), topic.topic_id)) {
                    answers.push(one(context, topic, may_create).await);
                }
            }
            answers
        }
    };
    let endpoint = context.endpoint();
    MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id: NODE_ID,
            host: endpoint.host,
            port: endpoint.port,
            ..Default::default()
        }],
        cluster_id: Some(Str::from(context.broker.store.cluster_id())),
        controller_id: NODE_ID,
        topics: topics
            .into_iter()
            .map(|mut topic| {
                // Of a topic that isn't there, too: what could be done with it.
                if with_operations && topic.name.is_some() {
                    topic.topic_authorized_operations = TOPIC_OPERATIONS;
                }
                topic
            })
            .collect(),
        cluster_authorized_operations: match request.include_cluster_authorized_operations {
            true => CLUSTER_OPERATIONS,
            false => i32::MIN,
        },
        ..Default::default()
    }
}

fn all(context: &Context<'_>) -> Vec<MetadataResponseTopic> {
    context
        .broker
        .store
        .topics()
        .iter()
        .map(described)
        .collect()
}

async fn one(
    context: &Context<'_>,
    asked: MetadataRequestTopic,
    may_create: bool,
) -> MetadataResponseTopic {
    let broker = context.broker;
    // Who asks by id leaves the name null or, as Java's admin client does, empty.
    let name = asked.name.filter(|_| asked.topic_id == Uuid::nil());
    let Some(name) = name else {
        return match broker.topic_by_id(asked.topic_id) {
            Some(topic) => described(&topic),
            None => missing(context, ErrorCode::UNKNOWN_TOPIC_ID, None, asked.topic_id),
        };
    };
    if let Some(topic) = broker.topic(&name) {
        return described(&topic);
    }
    if validate_topic_name(&name).is_err() {
        return missing(
            context,
            ErrorCode::INVALID_TOPIC_EXCEPTION,
            Some(name),
            Uuid::nil(),
        );
    }
    if !may_create {
        return missing(
            context,
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            Some(name),
            Uuid::nil(),
        );
    }
    match broker.topic_or_create(&name).await {
        Ok(topic) => {
            info!(topic = %topic.name, partitions = topic.partitions, "topic created because a client named it");
            described(&topic)
        }
        Err(error) => {
            warn!(topic = %&*name, %error, "a topic that a client named can't be created");
            missing(context, create_error_code(&error), Some(name), Uuid::nil())
        }
    }
}

fn described(topic: &Arc<Topic>) -> MetadataResponseTopic {
    let partition = |index| MetadataResponsePartition {
        partition_index: index,
        leader_id: NODE_ID,
        leader_epoch: LEADER_EPOCH,
        replica_nodes: vec![NODE_ID],
        isr_nodes: vec![NODE_ID],
        ..Default::default()
    };
    MetadataResponseTopic {
        name: Some(Str::from(topic.name.as_str())),
        topic_id: topic.id,
        partitions: (0..topic.partitions).map(partition).collect(),
        ..Default::default()
    }
}

fn missing(
    context: &Context<'_>,
    error: ErrorCode,
    name: Option<Str>,
    topic_id: Uuid,
) -> MetadataResponseTopic {
    // A name can be null from version 12 on; ids are taken from then on, too.
    let name = name.or_else(|| (context.version() < 12).then(Str::default));
    MetadataResponseTopic {
        error_code: context.count(error),
        name,
        topic_id,
        ..Default::default()
    }
}
