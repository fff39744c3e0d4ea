//! ConsumerGroupDescribe: the members of groups whose partitions the coordinator assigns (KIP-848).

use std::collections::HashSet;

use fletch_wire::ErrorCode;
use fletch_wire::messages::consumer_group_describe::DescribedGroup;
use fletch_wire::messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};

use super::Context;
use super::describe_groups::GROUP_OPERATIONS;

pub(crate) async fn handle(
    context: &Context<'_>,
    mut request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    // A group that is asked for again and again would make a small question's answer large.
    let mut seen = HashSet::new();
    request.group_ids.retain(|group| seen.insert(group.clone()));
    let groups = &context.broker.groups;
    let mut answer = groups
        .ask(|groups, _, _| groups.consumer_group_describe(&request))
        .await
        .unwrap_or_else(|_| refused(&request, ErrorCode::COORDINATOR_NOT_AVAILABLE));
    for group in &mut answer.groups {
        context.count(group.error_code);
        if request.include_authorized_operations && group.error_code.is_none() {
            group.authorized_operations = GROUP_OPERATIONS;
        }
    }
    answer
}

/// The same error for every group.
fn refused(
    request: &ConsumerGroupDescribeRequest,
    error_code: ErrorCode,
) -> ConsumerGroupDescribeResponse {
    let groups = request.group_ids.iter().map(|group| DescribedGroup {
        error_code,
        group_id: group.clone(),
        ..Default::default()
    });
    ConsumerGroupDescribeResponse {
        groups: groups.collect(),
        ..Default::default()
    }
}
