//! SyncGroup: a member waits until the leader of its group has assigned.

use fletch_wire::messages::{SyncGroupRequest, SyncGroupResponse};
use fletch_wire::{ErrorCode, ResponseBody};

use super::Context;

pub(crate) async fn handle(context: &Context<'_>, request: SyncGroupRequest) -> ResponseBody {
    let groups = &context.broker.groups;
    let answer = groups
        .wait(context, |groups, now_ms, caller, out| {
            groups.sync_group(now_ms, caller, &request, out);
        })
        .await;
    let answer = answer.unwrap_or_else(|_| {
        SyncGroupResponse {
            error_code: ErrorCode::COORDINATOR_NOT_AVAILABLE,
            ..Default::default()
        }
        .into()
    });
    if let ResponseBody::SyncGroup(synced) = &answer {
        context.count(synced.error_code);
    }
    answer
}
