//! DeleteRecords: drops a partition's records up to an offset.

use fletch_store::ReadError;
use fletch_wire::ErrorCode;
use fletch_wire::messages::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use fletch_wire::messages::{DeleteRecordsRequest, DeleteRecordsResponse};
use tracing::error;

use super::Context;

/// In place of an offset: all that there is.
const HIGH_WATERMARK: i64 = -1;

pub(crate) async fn handle(
    context: &Context<'_>,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let index = partition.partition_index;
            let (low_watermark, error_code) =
                match delete(context, &topic.name, index, partition.offset).await {
                    Ok(log_start) => (log_start, ErrorCode::NONE),
                    Err(error) => (-1, context.count(error)),
                };
            partitions.push(DeleteRecordsPartitionResult {
                partition_index: index,
                low_watermark,
                error_code,
                ..Default::default()
            });
        }
        topics.push(DeleteRecordsTopicResult {
            name: topic.name,
            partitions,
            ..Default::default()
        });
    }
    DeleteRecordsResponse {
        topics,
        ..Default::default()
    }
}

async fn delete(
    context: &Context<'_>,
    name: &str,
    partition: i32,
    offset: i64,
) -> Result<i64, ErrorCode> {
    let broker = context.broker;
    let topic = broker
        .topic(name)
        .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let offset = match offset {
        HIGH_WATERMARK => {
            let marks = broker.store.watermarks(topic.id, partition);
            marks.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?.high
        }
        offset => offset,
    };
    let deleted = broker.store.delete_records(topic.id, partition, offset);
    deleted.await.map_err(|problem| match problem {
        ReadError::UnknownPartition { .. } => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ReadError::OffsetOutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
        problem => {
            error!(topic = name, partition, error = %problem, "records can't be deleted");
            ErrorCode::KAFKA_STORAGE_ERROR
        }
    })
}
