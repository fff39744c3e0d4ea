//! DeleteGroups: groups without members are forgotten, with their offsets.

use fletch_wire::ErrorCode;
use fletch_wire::messages::delete_groups::DeletableGroupResult;
use fletch_wire::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

use super::Context;

pub(crate) async fn handle(
    context: &Context<'_>,
    request: DeleteGroupsRequest,
) -> DeleteGroupsResponse {
    let groups = &context.broker.groups;
    let answer = groups
        .ask(|groups, now_ms, out| groups.delete_groups(now_ms, &request, out))
        .await
        .unwrap_or_else(|_| refused(&request, ErrorCode::COORDINATOR_NOT_AVAILABLE));
    for result in &answer.results {
        context.count(result.error_code);
    }
    answer
}

/// The same error for every group.
fn refused(request: &DeleteGroupsRequest, error_code: ErrorCode) -> DeleteGroupsResponse {
    let results = request
        .groups_names
        .iter()
        .map(|group| DeletableGroupResult {
            group_id: group.clone(),
            error_code,
            ..Default::default()
        });
    DeleteGroupsResponse {
        results: results.collect(),
        ..Default::default()
    }
}
