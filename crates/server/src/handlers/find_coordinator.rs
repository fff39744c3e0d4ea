//! FindCoordinator: this broker, for whatever is coordinated.

use fletch_wire::messages::find_coordinator::Coordinator;
use fletch_wire::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use fletch_wire::{ErrorCode, Str};

use super::Context;
use crate::broker::NODE_ID;

/// The first version that asks for several keys at once.
const BATCHED: i16 = 4;
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

pub(crate) fn handle(
    context: &Context<'_>,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let key_type = request.key_type;
    if context.version() >= BATCHED {
        let coordinators = request
            .coordinator_keys
            .into_iter()
            .map(|key| find(context, key_type, key));
        return FindCoordinatorResponse {
            coordinators: coordinators.collect(),
            ..Default::default()
        };
    }
    let found = find(context, key_type, request.key);
    FindCoordinatorResponse {
        error_code: found.error_code,
        error_message: found.error_message,
        node_id: found.node_id,
        host: found.host,
        port: found.port,
        ..Default::default()
    }
}

fn find(context: &Context<'_>, key_type: i8, key: Str) -> Coordinator {
    let error = match key_type {
        GROUP | TRANSACTION => ErrorCode::NONE,
        _ => ErrorCode::INVALID_REQUEST,
    };
    if !error.is_none() {
        return Coordinator {
            key,
            node_id: -1,
            port: -1,
            error_code: context.count(error),
            error_message: Some(Str::from_static(error.message())),
            ..Default::default()
        };
    }
    let endpoint = context.endpoint();
    Coordinator {
        key,
        node_id: NODE_ID,
        host: endpoint.host,
        port: endpoint.port,
        ..Default::default()
    }
}
