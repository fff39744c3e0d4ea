//! ListGroups: all groups, as there is one coordinator.

use fletch_wire::ErrorCode;
use fletch_wire::messages::{ListGroupsRequest, ListGroupsResponse};

use super::Context;

pub(crate) async fn handle(
    context: &Context<'_>,
    request: ListGroupsRequest,
) -> ListGroupsResponse {
    let groups = &context.broker.groups;
    let answer = groups
        .ask(|groups, _, _| groups.list_groups(&request))
        .await
        .unwrap_or_else(|_| ListGroupsResponse {
            error_code: ErrorCode::COORDINATOR_NOT_AVAILABLE,
            ..Default::default()
        });
    context.count(answer.error_code);
    answer
}
