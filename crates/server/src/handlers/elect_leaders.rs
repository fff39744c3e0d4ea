//! ElectLeaders: every partition has the only leader there can be, so there is nothing to elect.

use fletch_wire::ErrorCode;
use fletch_wire::messages::elect_leaders::{PartitionResult, ReplicaElectionResult};
use fletch_wire::messages::{ElectLeadersRequest, ElectLeadersResponse};

use super::Context;

pub(crate) fn handle(context: &Context<'_>, request: ElectLeadersRequest) -> ElectLeadersResponse {
    let result = |topic: &str, partition| {
        let error = match context.broker.has_partition(topic, partition) {
            true => ErrorCode::ELECTION_NOT_NEEDED,
            false => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        };
        PartitionResult {
            partition_id: partition,
            error_code: context.count(error),
            error_message: Some(error.message().into()),
            ..Default::default()
        }
    };
    // Who asks for all partitions is told of those that needed it.
    let asked = request.topic_partitions.unwrap_or_default();
    ElectLeadersResponse {
        replica_election_results: asked
            .into_iter()
            .map(|asked| ReplicaElectionResult {
                partition_result: asked
                    .partitions
                    .iter()
                    .map(|partition| result(&asked.topic, *partition))
                    .collect(),
                topic: asked.topic,
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    }
}
