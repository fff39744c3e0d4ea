//! DescribeProducers: the producers that partitions remember (KIP-664).

use std::collections::HashSet;

use fletch_wire::messages::describe_producers::{
    PartitionResponse, ProducerState, TopicRequest, TopicResponse,
};
use fletch_wire::messages::{DescribeProducersRequest, DescribeProducersResponse};
use fletch_wire::{ErrorCode, Str};

use super::Context;

/// No producer has a transaction here.
const NONE: i64 = -1;
/// There has only ever been one coordinator.
const COORDINATOR_EPOCH: i32 = 0;

pub(crate) fn handle(
    context: &Context<'_>,
    request: &DescribeProducersRequest,
) -> DescribeProducersResponse {
    // What is asked for again and again would make a small question's answer large.
    let mut seen = HashSet::new();
    let topics = request.topics.iter();
    DescribeProducersResponse {
        topics: topics
            .map(|asked| describe(context, asked, &mut seen))
            .collect(),
        ..Default::default()
    }
}

fn describe(
    context: &Context<'_>,
    asked: &TopicRequest,
    seen: &mut HashSet<(Str, i32)>,
) -> TopicResponse {
    let topic = context.broker.topic(&asked.name);
    let store = &context.broker.store;
    let first = asked.partition_indexes.iter();
    let first = first.filter(|index| seen.insert((asked.name.clone(), **index)));
    let partitions = first.map(|&partition_index| {
        let producers = topic.as_ref();
        let producers = producers.and_then(|topic| store.producers(topic.id, partition_index));
        let Some(producers) = producers else {
            let error = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
            return PartitionResponse {
                partition_index,
                error_code: context.count(error),
                error_message: Some(Str::from_static(error.message())),
                ..Default::default()
            };
        };
        let producers = producers.into_iter().map(|producer| ProducerState {
            producer_id: producer.producer_id,
            producer_epoch: producer.epoch.into(),
            last_sequence: producer.last_sequence,
            last_timestamp: producer.seen_ms,
            coordinator_epoch: COORDINATOR_EPOCH,
            current_txn_start_offset: producer.transaction_first_offset.unwrap_or(NONE),
            ..Default::default()
        });
        PartitionResponse {
            partition_index,
            active_producers: producers.collect(),
            ..Default::default()
        }
    });
    TopicResponse {
        name: asked.name.clone(),
        partitions: partitions.collect(),
        ..Default::default()
    }
}
