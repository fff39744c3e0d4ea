//! AlterPartitionReassignments: a partition can be moved to the broker it is on, and no other.

use fletch_wire::ErrorCode;
use fletch_wire::messages::alter_partition_reassignments::{
    ReassignablePartition, ReassignablePartitionResponse, ReassignableTopicResponse,
};
use fletch_wire::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
};

use super::Context;
use crate::broker::NODE_ID;

pub(crate) fn handle(
    context: &Context<'_>,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let result = |topic: &str, asked: &ReassignablePartition| {
        let error = match asked.replicas.as_deref() {
            _ if !context.broker.has_partition(topic, asked.partition_index) => {
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            }
            Some([NODE_ID]) => ErrorCode::NONE,
            Some(_) => ErrorCode::INVALID_REPLICA_ASSIGNMENT,
            None => ErrorCode::NO_REASSIGNMENT_IN_PROGRESS,
        };
        ReassignablePartitionResponse {
            partition_index: asked.partition_index,
            error_code: context.count(error),
            error_message: (!error.is_none()).then(|| error.message().into()),
            ..Default::default()
        }
    };
    AlterPartitionReassignmentsResponse {
        responses: request
            .topics
            .into_iter()
            .map(|topic| ReassignableTopicResponse {
                partitions: topic
                    .partitions
                    .iter()
                    .map(|partition| result(&topic.name, partition))
                    .collect(),
                name: topic.name,
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    }
}
