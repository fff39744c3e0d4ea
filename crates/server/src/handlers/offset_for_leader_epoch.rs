//! OffsetForLeaderEpoch: there is one epoch, and it ends where the log does.

use fletch_wire::ErrorCode;
use fletch_wire::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderPartition, OffsetForLeaderTopicResult,
};
use fletch_wire::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use super::{Context, check_leader_epoch};
use crate::broker::LEADER_EPOCH;

pub(crate) fn handle(
    context: &Context<'_>,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let end = |topic: &str, asked: &OffsetForLeaderPartition| {
        let found = find(context, topic, asked);
        let (leader_epoch, end_offset) = found.unwrap_or((-1, -1));
        EpochEndOffset {
            error_code: context.count(found.err().unwrap_or(ErrorCode::NONE)),
            partition: asked.partition,
            leader_epoch,
            end_offset,
            ..Default::default()
        }
    };
    OffsetForLeaderEpochResponse {
        topics: request
            .topics
            .into_iter()
            .map(|topic| OffsetForLeaderTopicResult {
                partitions: topic
                    .partitions
                    .iter()
                    .map(|partition| end(&topic.topic, partition))
                    .collect(),
                topic: topic.topic,
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    }
}

/// The epoch and where it ends; both -1 for an epoch that never was.
fn find(
    context: &Context<'_>,
    topic: &str,
    asked: &OffsetForLeaderPartition,
) -> Result<(i32, i64), ErrorCode> {
    let broker = context.broker;
    let marks = broker
        .topic(topic)
        .and_then(|topic| broker.store.watermarks(topic.id, asked.partition))
        .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    check_leader_epoch(asked.current_leader_epoch)?;
    Ok(match asked.leader_epoch {
        LEADER_EPOCH => (LEADER_EPOCH, marks.high),
        _ => (-1, -1),
    })
}
