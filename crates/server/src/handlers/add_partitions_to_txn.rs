//! AddPartitionsToTxn: partitions become part of a producer's transaction; or, as brokers ask each other,
//! whether they are.

use fletch_wire::ErrorCode;
use fletch_wire::messages::add_partitions_to_txn::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopic,
    AddPartitionsToTxnTopicResult,
};
use fletch_wire::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};

use super::Context;

pub(crate) async fn handle(
    context: &Context<'_>,
    request: AddPartitionsToTxnRequest,
) -> AddPartitionsToTxnResponse {
    let (broker, version) = (context.broker, context.version());
    let known = |topic: &str, partition| broker.has_partition(topic, partition);
    let answer = broker
        .groups
        .transact(context, |transactions, now_ms, out| {
            transactions.add_partitions(now_ms, version, &request, &known, out)
        })
        .await
        .unwrap_or_else(|_| refused(&request, ErrorCode::COORDINATOR_NOT_AVAILABLE));
    let batched = answer.results_by_transaction.iter();
    let batched = batched.flat_map(|transaction| &transaction.topic_results);
    let topics = answer.results_by_topic_v3_and_below.iter().chain(batched);
    for partition in topics.flat_map(|topic| &topic.results_by_partition) {
        context.count(partition.partition_error_code);
    }
    answer
}

/// The same error for every partition.
fn refused(request: &AddPartitionsToTxnRequest, error: ErrorCode) -> AddPartitionsToTxnResponse {
    let transactions = request.transactions.iter();
    AddPartitionsToTxnResponse {
        results_by_topic_v3_and_below: all(&request.v3_and_below_topics, error),
        results_by_transaction: transactions
            .map(|transaction| AddPartitionsToTxnResult {
                transactional_id: transaction.transactional_id.clone(),
                topic_results: all(&transaction.topics, error),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    }
}

fn all(
    topics: &[AddPartitionsToTxnTopic],
    partition_error_code: ErrorCode,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let topic = |topic: &AddPartitionsToTxnTopic| {
        let partitions = topic.partitions.iter();
        let partition = |&partition_index: &i32| AddPartitionsToTxnPartitionResult {
            partition_index,
            partition_error_code,
            ..Default::default()
        };
        AddPartitionsToTxnTopicResult {
            name: topic.name.clone(),
            results_by_partition: partitions.map(partition).collect(),
            ..Default::default()
        }
    };
    topics.iter().map(topic).collect()
}
