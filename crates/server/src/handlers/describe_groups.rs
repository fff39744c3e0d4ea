//! DescribeGroups: the members of groups, and what they are assigned.

use std::collections::HashSet;

use fletch_wire::ErrorCode;
use fletch_wire::messages::describe_groups::DescribedGroup;
use fletch_wire::messages::{DescribeGroupsRequest, DescribeGroupsResponse};

use super::Context;

/// Every operation on a group that Kafka knows, as bits: read, delete, describe, describe configs,
/// alter configs.
pub(super) const GROUP_OPERATIONS: i32 = 0b1101_0100_1000;
/// The state of a group that isn't there.
const DEAD: &str = "Dead";

pub(crate) async fn handle(
    context: &Context<'_>,
    mut request: DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let (groups, version) = (&context.broker.groups, context.version());
    // A group that is asked for again and again would make a small question's answer large.
    let mut seen = HashSet::new();
    request.groups.retain(|group| seen.insert(group.clone()));
    let mut answer = groups
        .ask(|groups, _, _| groups.describe_groups(version, &request))
        .await
        .unwrap_or_else(|_| refused(&request, ErrorCode::COORDINATOR_NOT_AVAILABLE));
    for group in &mut answer.groups {
        context.count(group.error_code);
        let there = group.error_code.is_none() && &*group.group_state != DEAD;
        if request.include_authorized_operations && there {
            group.authorized_operations = GROUP_OPERATIONS;
        }
    }
    answer
}

/// The same error for every group.
fn refused(request: &DescribeGroupsRequest, error_code: ErrorCode) -> DescribeGroupsResponse {
    let groups = request.groups.iter().map(|group| DescribedGroup {
        error_code,
        group_id: group.clone(),
        ..Default::default()
    });
    DescribeGroupsResponse {
        groups: groups.collect(),
        ..Default::default()
    }
}
