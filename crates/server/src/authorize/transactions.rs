//! Requests of producers with ids.

use fletch_wire::messages::add_partitions_to_txn::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopic, AddPartitionsToTxnTopicResult,
};
use fletch_wire::messages::describe_transactions::TransactionState;
use fletch_wire::messages::txn_offset_commit::{
    TxnOffsetCommitRequestTopic, TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use fletch_wire::messages::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerPartitionResult, WritableTxnMarkerResult,
    WritableTxnMarkerTopic, WritableTxnMarkerTopicResult,
};
use fletch_wire::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse, DescribeTransactionsRequest, EndTxnRequest, EndTxnResponse,
    InitProducerIdRequest, InitProducerIdResponse, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
    WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};
use fletch_wire::{ErrorCode, ResponseBody};

use super::{CLUSTER_DENIED, GROUP, TOPIC, TRANSACTIONAL_ID, Verdict, take_refused};
use crate::auth::acl::{CLUSTER, Operation, ResourceType};
use crate::handlers::Context;

fn may_use_id(context: &Context<'_>, id: &str) -> bool {
    context.may_use(ResourceType::TransactionalId, id)
}

pub(super) fn init_producer_id(context: &Context<'_>, request: &InitProducerIdRequest) -> Verdict {
    let error = match request.transactional_id.as_deref() {
        Some(id) if may_use_id(context, id) => return Verdict::as_it_is(),
        Some(_) => TRANSACTIONAL_ID,
        None if may_write_idempotently(context) => return Verdict::as_it_is(),
        None => CLUSTER_DENIED,
    };
    Verdict::refuse(InitProducerIdResponse {
        error_code: context.refuse(error),
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    })
}

/// Who may write to any topic may do so idempotently (KIP-679).
fn may_write_idempotently(context: &Context<'_>) -> bool {
    let (acls, host) = (&context.broker.acls, context.peer.ip());
    context.may_use(ResourceType::Cluster, CLUSTER)
        || acls.allow_any(
            context.principal,
            host,
            Operation::Write,
            ResourceType::Topic,
        )
}

fn added(
    context: &Context<'_>,
    topic: AddPartitionsToTxnTopic,
    error: ErrorCode,
) -> AddPartitionsToTxnTopicResult {
    let partitions = topic.partitions.iter();
    let partitions = partitions.map(|partition| AddPartitionsToTxnPartitionResult {
        partition_index: *partition,
        partition_error_code: context.refuse(error),
        ..Default::default()
    });
    AddPartitionsToTxnTopicResult {
        results_by_partition: partitions.collect(),
        name: topic.name,
        ..Default::default()
    }
}

/// The first version of AddPartitionsToTxn that is one broker's to another.
const ADD_PARTITIONS_BATCHED: i16 = 4;

/// AddPartitionsToTxn: a producer's is all or nothing, so where one topic is refused the others are told that
/// they weren't tried.
pub(super) fn add_partitions(
    context: &Context<'_>,
    request: &mut AddPartitionsToTxnRequest,
) -> Verdict {
    if context.version() >= ADD_PARTITIONS_BATCHED {
        return match context.may_use(ResourceType::Cluster, CLUSTER) {
            true => Verdict::as_it_is(),
            false => Verdict::refuse(AddPartitionsToTxnResponse {
                error_code: context.refuse(CLUSTER_DENIED),
                ..Default::default()
            }),
        };
    }
    let may_use_id = may_use_id(context, &request.v3_and_below_transactional_id);
    let topics = &mut request.v3_and_below_topics;
    let all_may = topics
        .iter()
        .all(|topic| context.may_use_topic(&topic.name));
    if may_use_id && all_may {
        return Verdict::as_it_is();
    }
    let error = |topic: &AddPartitionsToTxnTopic| {
        if !may_use_id {
            TRANSACTIONAL_ID
        } else if context.may_use_topic(&topic.name) {
            ErrorCode::OPERATION_NOT_ATTEMPTED
        } else {
            TOPIC
        }
    };
    let topics = std::mem::take(topics).into_iter();
    let results = topics.map(|topic| {
        let error = error(&topic);
        added(context, topic, error)
    });
    Verdict::refuse(AddPartitionsToTxnResponse {
        results_by_topic_v3_and_below: results.collect(),
        ..Default::default()
    })
}

pub(super) fn add_offsets(context: &Context<'_>, request: &AddOffsetsToTxnRequest) -> Verdict {
    let error = if !may_use_id(context, &request.transactional_id) {
        TRANSACTIONAL_ID
    } else if !context.may_use_group(&request.group_id) {
        GROUP
    } else {
        return Verdict::as_it_is();
    };
    Verdict::refuse(AddOffsetsToTxnResponse {
        error_code: context.refuse(error),
        ..Default::default()
    })
}

pub(super) fn end(context: &Context<'_>, request: &EndTxnRequest) -> Verdict {
    match may_use_id(context, &request.transactional_id) {
        true => Verdict::as_it_is(),
        false => Verdict::refuse(EndTxnResponse {
            error_code: context.refuse(TRANSACTIONAL_ID),
            ..Default::default()
        }),
    }
}

fn committed(
    context: &Context<'_>,
    topic: TxnOffsetCommitRequestTopic,
    error: ErrorCode,
) -> TxnOffsetCommitResponseTopic {
    let partitions = topic.partitions.iter();
    let partitions = partitions.map(|partition| TxnOffsetCommitResponsePartition {
        partition_index: partition.partition_index,
        error_code: context.refuse(error),
        ..Default::default()
    });
    TxnOffsetCommitResponseTopic {
        partitions: partitions.collect(),
        name: topic.name,
        ..Default::default()
    }
}

pub(super) fn offset_commit(
    context: &Context<'_>,
    request: &mut TxnOffsetCommitRequest,
) -> Verdict {
    let whole = if !may_use_id(context, &request.transactional_id) {
        Some(TRANSACTIONAL_ID)
    } else if !context.may_use_group(&request.group_id) {
        Some(GROUP)
    } else {
        None
    };
    if let Some(error) = whole {
        let topics = std::mem::take(&mut request.topics).into_iter();
        return Verdict::refuse(TxnOffsetCommitResponse {
            topics: topics
                .map(|topic| committed(context, topic, error))
                .collect(),
            ..Default::default()
        });
    }
    let refused = take_refused(&mut request.topics, |topic| {
        context.may_use_topic(&topic.name)
    });
    Verdict::amend(move |context, answer| {
        if let ResponseBody::TxnOffsetCommit(answer) = answer {
            let refused = refused.into_iter();
            let refused = refused.map(|topic| committed(context, topic, TOPIC));
            answer.topics.extend(refused);
        }
    })
}

pub(super) fn describe(
    context: &Context<'_>,
    request: &mut DescribeTransactionsRequest,
) -> Verdict {
    let refused = take_refused(&mut request.transactional_ids, |id| may_use_id(context, id));
    Verdict::amend(move |context, answer| {
        let ResponseBody::DescribeTransactions(answer) = answer else {
            return;
        };
        for transaction in &mut answer.transaction_states {
            transaction
                .topics
                .retain(|topic| context.may_see_topic(&topic.topic));
        }
        let refused = refused
            .into_iter()
            .map(|transactional_id| TransactionState {
                error_code: context.refuse(TRANSACTIONAL_ID),
                transactional_id,
                ..Default::default()
            });
        answer.transaction_states.extend(refused);
    })
}

/// ListTransactions: those that may be described.
pub(super) fn list() -> Verdict {
    Verdict::amend(|context, answer| {
        if let ResponseBody::ListTransactions(answer) = answer {
            let states = &mut answer.transaction_states;
            states.retain(|transaction| may_use_id(context, &transaction.transactional_id));
        }
    })
}

pub(super) fn write_markers(context: &Context<'_>, request: &WriteTxnMarkersRequest) -> Verdict {
    if context.may_use(ResourceType::Cluster, CLUSTER) {
        return Verdict::as_it_is();
    }
    let partition = |partition_index: &i32| WritableTxnMarkerPartitionResult {
        partition_index: *partition_index,
        error_code: context.refuse(CLUSTER_DENIED),
        ..Default::default()
    };
    let topic = |topic: &WritableTxnMarkerTopic| WritableTxnMarkerTopicResult {
        name: topic.name.clone(),
        partitions: topic.partition_indexes.iter().map(partition).collect(),
        ..Default::default()
    };
    let marker = |marker: &WritableTxnMarker| WritableTxnMarkerResult {
        producer_id: marker.producer_id,
        topics: marker.topics.iter().map(topic).collect(),
        ..Default::default()
    };
    Verdict::refuse(WriteTxnMarkersResponse {
        markers: request.markers.iter().map(marker).collect(),
        ..Default::default()
    })
}
