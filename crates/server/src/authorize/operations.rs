//! What a client may do, as bits, where it asks for that (KIP-430).

use fletch_wire::ResponseBody;

use super::Verdict;
use crate::auth::acl::{CLUSTER, Operation, ResourceType};
use crate::handlers::Context;

/// Not asked for.
const OMITTED: i32 = i32::MIN;

/// The operations that the client may do to a resource: a bit for each, by its number.
pub(super) fn allowed(context: &Context<'_>, resource_type: ResourceType, name: &str) -> i32 {
    let may = |operation: &&Operation| context.may(**operation, resource_type, name);
    let operations = Operation::of(resource_type).iter().filter(may);
    operations.fold(0, |bits, operation| bits | 1 << operation.number())
}

/// Puts what the client may do in place of what anybody might, if it was asked for.
pub(super) fn narrow(
    context: &Context<'_>,
    bits: &mut i32,
    resource_type: ResourceType,
    name: &str,
) {
    if *bits != OMITTED {
        *bits = allowed(context, resource_type, name);
    }
}

/// DescribeCluster tells of the cluster what everybody who is let in may know.
pub(super) fn describe_cluster() -> Verdict {
    Verdict::amend(|context, answer| {
        if let ResponseBody::DescribeCluster(answer) = answer {
            let bits = &mut answer.cluster_authorized_operations;
            narrow(context, bits, ResourceType::Cluster, CLUSTER);
        }
    })
}
