//! TxnOffsetCommit: how far a group has read, if the producer's transaction is committed.

use fletch_wire::ErrorCode;
use fletch_wire::messages::txn_offset_commit::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use fletch_wire::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};

use super::Context;
use crate::transactions::as_old_epoch;

pub(crate) async fn handle(
    context: &Context<'_>,
    request: TxnOffsetCommitRequest,
) -> TxnOffsetCommitResponse {
    let broker = context.broker;
    let known = |topic: &str, partition| broker.has_partition(topic, partition);
    let producer = (request.producer_id, request.producer_epoch);
    let committed = broker.groups.commit_in_transaction(
        |transactions| {
            let id = &request.transactional_id;
            transactions.check_offset_commit(id, producer, &request.group_id)
        },
        |groups, now_ms, out| groups.txn_offset_commit(now_ms, &request, &known, out),
    );
    let answer = match committed.await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => refused(&request, as_old_epoch(error)),
        Err(_) => refused(&request, ErrorCode::COORDINATOR_NOT_AVAILABLE),
    };
    for partition in answer.topics.iter().flat_map(|topic| &topic.partitions) {
        context.count(partition.error_code);
    }
    answer
}

/// The same error for every partition.
fn refused(request: &TxnOffsetCommitRequest, error_code: ErrorCode) -> TxnOffsetCommitResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter();
        let partitions = partitions.map(|partition| TxnOffsetCommitResponsePartition {
            partition_index: partition.partition_index,
            error_code,
            ..Default::default()
        });
        TxnOffsetCommitResponseTopic {
            name: topic.name.clone(),
            partitions: partitions.collect(),
            ..Default::default()
        }
    });
    TxnOffsetCommitResponse {
        topics: topics.collect(),
        ..Default::default()
    }
}
