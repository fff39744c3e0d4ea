//! JoinGroup: a member waits until its group's next generation begins.

use fletch_wire::messages::{JoinGroupRequest, JoinGroupResponse};
use fletch_wire::{ErrorCode, ResponseBody, Str};

use super::Context;

/// The first version that may leave the protocol out.
const NULLABLE_PROTOCOL: i16 = 7;

pub(crate) async fn handle(context: &Context<'_>, request: JoinGroupRequest) -> ResponseBody {
    let groups = &context.broker.groups;
    let answer = groups
        .wait(context, |groups, now_ms, caller, out| {
            groups.join_group(now_ms, caller, &request, out);
        })
        .await;
    let answer = answer.unwrap_or_else(|_| {
        JoinGroupResponse {
            error_code: ErrorCode::COORDINATOR_NOT_AVAILABLE,
            protocol_name: (context.version() < NULLABLE_PROTOCOL).then(Str::default),
            member_id: request.member_id.clone(),
            ..Default::default()
        }
        .into()
    });
    if let ResponseBody::JoinGroup(joined) = &answer {
        context.count(joined.error_code);
    }
    answer
}
