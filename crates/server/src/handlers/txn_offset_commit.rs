//! TxnOffsetCommit: how far a group has read, if the producer's transaction is committed.

use fletch_wire::ErrorCode;
use fletch_wire::messages::txn_offset_commit::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use fletch_wire::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};

use super::Context;
use crate::transactions::as_old_epoch;

/// The first version whose clients know TRANSACTION_ABORTABLE.
const ABORTABLE: i16 = 4;
/// The first version that adds the group to the transaction (KIP-890).
const ADDING: i16 = 5;

pub(crate) async fn handle(
    context: &Context<'_>,
    request: TxnOffsetCommitRequest,
) -> TxnOffsetCommitResponse {
    let broker = context.broker;
    let known = |topic: &str, partition| broker.has_partition(topic, partition);
    let producer = (request.producer_id, request.producer_epoch);
    let version = context.version();
    let (id, group) = (&request.transactional_id, &request.group_id);
    let committed = broker.groups.commit_in_transaction(
        |transactions, now_ms, out| match version {
            ..ADDING => transactions.check_offset_commit(id, producer, group),
            _ => transactions.add_group(now_ms, id, producer, group, out),
        },
        |groups, now_ms, out| groups.txn_offset_commit(now_ms, &request, &known, out),
    );
    let answer = match committed.await {
        Ok(Ok(answer)) => answer,
        Ok(Err(ErrorCode::INVALID_TXN_STATE)) if version >= ABORTABLE => {
            refused(&request, ErrorCode::TRANSACTION_ABORTABLE)
        }
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
