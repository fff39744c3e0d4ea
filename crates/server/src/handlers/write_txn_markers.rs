//! WriteTxnMarkers: the ends of transactions, written into partitions as other brokers' coordinators ask for
//! it, and administrators who abort what hangs (KIP-664).
//!
//! The coordinator here isn't told: as on Kafka, whoever asks answers for it.

use fletch_wire::messages::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerPartitionResult, WritableTxnMarkerResult,
    WritableTxnMarkerTopic, WritableTxnMarkerTopicResult,
};
use fletch_wire::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use fletch_wire::{ErrorCode, Str};
use futures_util::future::join_all;
use tracing::warn;

use super::{Context, produce};

pub(crate) async fn handle(
    context: &Context<'_>,
    request: WriteTxnMarkersRequest,
) -> WriteTxnMarkersResponse {
    // In the order in which they are asked for: two of one producer are about the same partition.
    let mut markers = Vec::with_capacity(request.markers.len());
    for marker in request.markers {
        markers.push(write(context, marker).await);
    }
    WriteTxnMarkersResponse {
        markers,
        ..Default::default()
    }
}

async fn write(context: &Context<'_>, marker: WritableTxnMarker) -> WritableTxnMarkerResult {
    let end = End {
        producer: (marker.producer_id, marker.producer_epoch),
        committed: marker.transaction_result,
        coordinator_epoch: marker.coordinator_epoch,
    };
    let topics = marker.topics.into_iter();
    WritableTxnMarkerResult {
        producer_id: marker.producer_id,
        topics: join_all(topics.map(|topic| write_topic(context, end, topic))).await,
        ..Default::default()
    }
}

/// How a transaction ends, and who says so.
#[derive(Clone, Copy)]
struct End {
    producer: (i64, i16),
    committed: bool,
    coordinator_epoch: i32,
}

async fn write_topic(
    context: &Context<'_>,
    end: End,
    topic: WritableTxnMarkerTopic,
) -> WritableTxnMarkerTopicResult {
    let partitions = topic.partition_indexes.iter();
    let results = partitions.map(async |&partition_index| {
        let written = write_partition(context, end, &topic.name, partition_index).await;
        WritableTxnMarkerPartitionResult {
            partition_index,
            error_code: context.count(written.err().unwrap_or(ErrorCode::NONE)),
            ..Default::default()
        }
    });
    WritableTxnMarkerTopicResult {
        partitions: join_all(results).await,
        name: topic.name,
        ..Default::default()
    }
}

async fn write_partition(
    context: &Context<'_>,
    end: End,
    topic: &Str,
    partition: i32,
) -> Result<(), ErrorCode> {
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let topic = context.broker.topic(topic).ok_or(unknown)?;
    if !(0..topic.partitions).contains(&partition) {
        return Err(unknown);
    }
    // The coordinator here has epoch 0, as DescribeProducers says.
    if end.coordinator_epoch < 0 {
        return Err(ErrorCode::TRANSACTION_COORDINATOR_FENCED);
    }
    let End {
        producer,
        committed,
        ..
    } = end;
    let store = &context.broker.store;
    let ended = store.end_transaction(topic.id, partition, producer, committed);
    let ended = ended
        .await
        .map_err(|problem| produce::append_error(&topic, &problem))?;
    if let Some(offset) = ended {
        let (producer_id, _) = producer;
        warn!(topic = %topic.name, partition, producer_id, committed, offset, principal = %context.principal, "a transaction is ended by a request");
    }
    Ok(())
}
