//! DescribeTopicPartitions: topics and their partitions, a page at a time.

use std::collections::BTreeSet;

use fletch_store::Topic;
use fletch_wire::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use fletch_wire::messages::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};
use fletch_wire::{ErrorCode, Str};

use super::Context;
use super::metadata::TOPIC_OPERATIONS;
use crate::broker::{LEADER_EPOCH, NODE_ID};

/// A page has so many partitions at most, whatever is asked for.
const PAGE_PARTITIONS_MAX: i32 = 2000;

pub(crate) fn handle(
    context: &Context<'_>,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    // Pages are in order of the names, so that a cursor means the same in the next request.
    let mut names: BTreeSet<Str> = request.topics.into_iter().map(|topic| topic.name).collect();
    if names.is_empty() {
        let all = context.broker.store.topics();
        names = all.iter().map(|topic| topic.name.as_str().into()).collect();
    }
    let (first_name, first_partition) = request.cursor.map_or((None, 0), |cursor| {
        (Some(cursor.topic_name), cursor.partition_index.max(0))
    });
    let mut room = request
        .response_partition_limit
        .clamp(1, PAGE_PARTITIONS_MAX);
    let mut topics = Vec::new();
    let mut next_cursor = None;
    for name in names {
        if first_name.as_ref().is_some_and(|first| name < *first) {
            continue;
        }
        let Some(topic) = context.broker.topic(&name) else {
            topics.push(missing(context, name));
            continue;
        };
        let begin = match first_name.as_ref() == Some(&name) {
            true => first_partition.min(topic.partitions),
            false => 0,
        };
        let end = begin.saturating_add(room).min(topic.partitions);
        if room > 0 {
            topics.push(described(&topic, begin..end));
        }
        room -= end - begin;
        if end < topic.partitions {
            next_cursor = Some(Cursor {
                topic_name: name,
                partition_index: end,
                ..Default::default()
            });
            break;
        }
    }
    DescribeTopicPartitionsResponse {
        topics,
        next_cursor,
        ..Default::default()
    }
}

fn described(
    topic: &Topic,
    partitions: std::ops::Range<i32>,
) -> DescribeTopicPartitionsResponseTopic {
    let partition = |index| DescribeTopicPartitionsResponsePartition {
        partition_index: index,
        leader_id: NODE_ID,
        leader_epoch: LEADER_EPOCH,
        replica_nodes: vec![NODE_ID],
        isr_nodes: vec![NODE_ID],
        // Java's admin client takes null for a broker that failed.
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
        ..Default::default()
    };
    DescribeTopicPartitionsResponseTopic {
        name: Some(topic.name.as_str().into()),
        topic_id: topic.id,
        partitions: partitions.map(partition).collect(),
        topic_authorized_operations: TOPIC_OPERATIONS,
        ..Default::default()
    }
}

fn missing(context: &Context<'_>, name: Str) -> DescribeTopicPartitionsResponseTopic {
    let error = match fletch_store::validate_topic_name(&name) {
        Ok(()) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        Err(_) => ErrorCode::INVALID_TOPIC_EXCEPTION,
    };
    DescribeTopicPartitionsResponseTopic {
        error_code: context.count(error),
        name: Some(name),
        ..Default::default()
    }
}
