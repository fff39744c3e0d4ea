//! Heartbeat: a member is there, and hears whether its generation still holds.

use fletch_wire::ErrorCode;
use fletch_wire::messages::{HeartbeatRequest, HeartbeatResponse};

use super::Context;

pub(crate) async fn handle(context: &Context<'_>, request: HeartbeatRequest) -> HeartbeatResponse {
    let groups = &context.broker.groups;
    let answer = groups
        .ask(|groups, now_ms, out| groups.heartbeat(now_ms, &request, out))
        .await
        .unwrap_or_else(|_| HeartbeatResponse {
            error_code: ErrorCode::COORDINATOR_NOT_AVAILABLE,
            ..Default::default()
        });
    context.count(answer.error_code);
    answer
}
