//! DescribeCluster: this broker, which is all there is.

use fletch_wire::messages::describe_cluster::DescribeClusterBroker;
use fletch_wire::messages::{DescribeClusterRequest, DescribeClusterResponse};
use fletch_wire::{ErrorCode, Str};

use super::{Context, metadata::CLUSTER_OPERATIONS};
use crate::broker::NODE_ID;

/// The endpoints of brokers; those of controllers (2) are asked of controllers only.
const ENDPOINTS_OF_BROKERS: i8 = 1;
const ENDPOINTS_OF_CONTROLLERS: i8 = 2;

pub(crate) fn handle(
    context: &Context<'_>,
    request: &DescribeClusterRequest,
) -> DescribeClusterResponse {
    let refused = match request.endpoint_type {
        ENDPOINTS_OF_BROKERS => None,
        ENDPOINTS_OF_CONTROLLERS => Some(ErrorCode::MISMATCHED_ENDPOINT_TYPE),
        _ => Some(ErrorCode::UNSUPPORTED_ENDPOINT_TYPE),
    };
    if let Some(error) = refused {
        return DescribeClusterResponse {
            error_code: context.count(error),
            error_message: Some(Str::from_static(error.message())),
            ..Default::default()
        };
    }
    let endpoint = context.endpoint();
    DescribeClusterResponse {
        cluster_id: Str::from(context.broker.store.cluster_id()),
        controller_id: NODE_ID,
        brokers: vec![DescribeClusterBroker {
            broker_id: NODE_ID,
            host: endpoint.host,
            port: endpoint.port,
            ..Default::default()
        }],
        cluster_authorized_operations: match request.include_cluster_authorized_operations {
            true => CLUSTER_OPERATIONS,
            false => i32::MIN,
        },
        ..Default::default()
    }
}
