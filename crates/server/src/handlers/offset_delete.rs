//! OffsetDelete: a group forgets offsets in topics that it doesn't read any more.

use fletch_wire::ErrorCode;
use fletch_wire::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use super::Context;

pub(crate) async fn handle(
    context: &Context<'_>,
    request: OffsetDeleteRequest,
) -> OffsetDeleteResponse {
    let broker = context.broker;
    let known = |topic: &str, partition| broker.has_partition(topic, partition);
    let answer = broker
        .groups
        .ask(|groups, _, out| groups.offset_delete(&request, &known, out))
        .await
        .unwrap_or_else(|_| OffsetDeleteResponse {
            error_code: ErrorCode::COORDINATOR_NOT_AVAILABLE,
            ..Default::default()
        });
    context.count(answer.error_code);
    for partition in answer.topics.iter().flat_map(|topic| &topic.partitions) {
        context.count(partition.error_code);
    }
    answer
}
