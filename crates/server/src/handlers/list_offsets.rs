//! ListOffsets: the offset of a time, or of a place that has no time.

use std::sync::Arc;

use fletch_store::Topic;
use fletch_wire::ErrorCode;
use fletch_wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use fletch_wire::messages::{ListOffsetsRequest, ListOffsetsResponse};
use tracing::error;

use super::{Context, READ_COMMITTED, check_leader_epoch};
use crate::broker::LEADER_EPOCH;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

/// No timestamp, or no offset.
const NONE: i64 = -1;

pub(crate) async fn handle(
    context: &Context<'_>,
    request: ListOffsetsRequest,
) -> ListOffsetsResponse {
    let committed = request.isolation_level == READ_COMMITTED;
    let mut topics = Vec::with_capacity(request.topics.len());
    for asked in request.topics {
        let topic = context.broker.topic(&asked.name);
        let mut partitions = Vec::with_capacity(asked.partitions.len());
        for partition in asked.partitions {
            let found = match &topic {
                Some(topic) => find(context, topic, committed, &partition).await,
                None => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            };
            let partition_index = partition.partition_index;
            partitions.push(match found {
                Ok(found) if context.version() == 0 => ListOffsetsPartitionResponse {
                    partition_index,
                    old_style_offsets: old_style(context, &topic, &partition, found),
                    ..Default::default()
                },
                Ok((offset, timestamp)) => ListOffsetsPartitionResponse {
                    partition_index,
                    offset,
                    timestamp,
                    // An offset that doesn't exist was written by nobody.
                    leader_epoch: if offset == NONE || context.version() < 4 {
                        -1
                    } else {
                        LEADER_EPOCH
                    },
                    ..Default::default()
                },
                Err(error) => ListOffsetsPartitionResponse {
                    partition_index,
                    error_code: context.count(error),
                    ..Default::default()
                },
            });
        }
        topics.push(ListOffsetsTopicResponse {
            name: asked.name,
            partitions,
            ..Default::default()
        });
    }
    ListOffsetsResponse {
        topics,
        ..Default::default()
    }
}

/// The answer of version 0: places to begin at, the last first, of which reading brings everything of the
/// asked time and later. On Kafka these are where segments begin; a partition here is as one segment.
fn old_style(
    context: &Context<'_>,
    topic: &Option<Arc<Topic>>,
    asked: &ListOffsetsPartition,
    (found, _): (i64, i64),
) -> Vec<i64> {
    let id = topic.as_ref().map(|topic| topic.id).unwrap_or_default();
    let marks = context.broker.store.watermarks(id, asked.partition_index);
    let Some(marks) = marks else {
        return Vec::new();
    };
    // Of a time after all records only the end is later.
    let found = if found == NONE { marks.high } else { found };
    let mut offsets = vec![found];
    if found > marks.log_start {
        offsets.push(marks.log_start);
    }
    offsets.truncate(usize::try_from(asked.max_num_offsets).unwrap_or(0));
    offsets
}

/// The offset, and the timestamp of the record there; both -1 if there is none. Who asks for committed
/// records finds nothing where a transaction may be open.
async fn find(
    context: &Context<'_>,
    topic: &Topic,
    committed: bool,
    asked: &ListOffsetsPartition,
) -> Result<(i64, i64), ErrorCode> {
    let (store, partition) = (&context.broker.store, asked.partition_index);
    let marks = store
        .watermarks(topic.id, partition)
        .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    check_leader_epoch(asked.current_leader_epoch)?;
    let since = |version| {
        if context.version() >= version {
            Ok(())
        } else {
            Err(ErrorCode::UNSUPPORTED_VERSION)
        }
    };
    let end = if committed { marks.stable } else { marks.high };
    let is_found = |&(offset, _): &(i64, i64)| offset < end;
    let stored = |found: Result<Option<(i64, i64)>, fletch_store::ReadError>| match found {
        Ok(found) => Ok(found.filter(is_found).unwrap_or((NONE, NONE))),
        Err(problem) => {
            error!(topic = %topic.name, partition, error = %problem, "offsets can't be looked up");
            Err(ErrorCode::KAFKA_STORAGE_ERROR)
        }
    };
    match asked.timestamp {
        LATEST => Ok((end, NONE)),
        EARLIEST => Ok((marks.log_start, NONE)),
        MAX_TIMESTAMP => {
            since(7)?;
            stored(store.max_timestamp(topic.id, partition).await)
        }
        EARLIEST_LOCAL => {
            since(8)?;
            Ok((marks.log_start, NONE))
        }
        LATEST_TIERED => {
            since(9)?;
            Ok((NONE, NONE))
        }
        0.. => stored(
            store
                .offset_for_timestamp(topic.id, partition, asked.timestamp)
                .await,
        ),
        _ => Err(ErrorCode::UNSUPPORTED_VERSION),
    }
}
