//! ConsumerGroupHeartbeat: a member of a group whose partitions the coordinator assigns joins, says what
//! it owns, hears what it is to own, and leaves (KIP-848).

use fletch_wire::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use fletch_wire::{ErrorCode, Str};

use super::Context;

pub(crate) async fn handle(
    context: &Context<'_>,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    let error = ErrorCode::COORDINATOR_NOT_AVAILABLE;
    let groups = &context.broker.groups;
    let answer = groups.heard_of(context, &request).await;
    let answer = answer.unwrap_or_else(|_| ConsumerGroupHeartbeatResponse {
        error_code: error,
        error_message: Some(Str::from_static(error.message())),
        ..Default::default()
    });
    context.count(answer.error_code);
    answer
}
