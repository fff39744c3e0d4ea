//! OffsetCommit: how far a group has read, durable when it is answered.

use fletch_wire::ErrorCode;
use fletch_wire::messages::offset_commit::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use fletch_wire::messages::{OffsetCommitRequest, OffsetCommitResponse};

use super::Context;

pub(crate) async fn handle(
    context: &Context<'_>,
    request: OffsetCommitRequest,
) -> OffsetCommitResponse {
    let (broker, version) = (context.broker, context.version());
    let known = |topic: &str, partition| broker.has_partition(topic, partition);
    let answer = broker
        .groups
        .ask(|groups, now_ms, out| groups.offset_commit(now_ms, version, &request, &known, out))
        .await
        .unwrap_or_else(|_| refused(&request, ErrorCode::COORDINATOR_NOT_AVAILABLE));
    for partition in answer.topics.iter().flat_map(|topic| &topic.partitions) {
        context.count(partition.error_code);
    }
    answer
}

/// The same error for every partition.
fn refused(request: &OffsetCommitRequest, error_code: ErrorCode) -> OffsetCommitResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter();
        let partitions = partitions.map(|partition| OffsetCommitResponsePartition {
            partition_index: partition.partition_index,
            error_code,
            ..Default::default()
        });
        OffsetCommitResponseTopic {
            name: topic.name.clone(),
            partitions: partitions.collect(),
            ..Default::default()
        }
    });
    OffsetCommitResponse {
        topics: topics.collect(),
        ..Default::default()
    }
}
