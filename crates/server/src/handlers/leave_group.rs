//! LeaveGroup: members leave without waiting for their sessions to end.

use fletch_wire::ErrorCode;
use fletch_wire::messages::{LeaveGroupRequest, LeaveGroupResponse};

use super::Context;

pub(crate) async fn handle(
    context: &Context<'_>,
    request: LeaveGroupRequest,
) -> LeaveGroupResponse {
    let (groups, version) = (&context.broker.groups, context.version());
    let answer = groups
        .ask(|groups, now_ms, out| groups.leave_group(now_ms, version, &request, out))
        .await
        .unwrap_or_else(|_| LeaveGroupResponse {
            error_code: ErrorCode::COORDINATOR_NOT_AVAILABLE,
            ..Default::default()
        });
    context.count(answer.error_code);
    for member in &answer.members {
        context.count(member.error_code);
    }
    answer
}
