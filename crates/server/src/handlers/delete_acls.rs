//! DeleteAcls: takes the access control entries that filters fit.

use fletch_wire::messages::delete_acls::{
    DeleteAclsFilter, DeleteAclsFilterResult, DeleteAclsMatchingAcl,
};
use fletch_wire::messages::{DeleteAclsRequest, DeleteAclsResponse};
use fletch_wire::{ErrorCode, Str};
use tracing::{error, info};

use super::Context;
use crate::auth::acl::{Entry, Filter, Wanted};

pub(crate) async fn handle(
    context: &Context<'_>,
    request: DeleteAclsRequest,
) -> DeleteAclsResponse {
    let mut filter_results = Vec::with_capacity(request.filters.len());
    for asked in &request.filters {
        filter_results.push(delete(context, asked).await);
    }
    DeleteAclsResponse {
        filter_results,
        ..Default::default()
    }
}

async fn delete(context: &Context<'_>, asked: &DeleteAclsFilter) -> DeleteAclsFilterResult {
    let refused = |error: ErrorCode| DeleteAclsFilterResult {
        error_code: context.count(error),
        error_message: Some(Str::from_static(error.message())),
        ..Default::default()
    };
    if !context.broker.acls.is_open() {
        return refused(ErrorCode::SECURITY_DISABLED);
    }
    let filter = Filter::read(Wanted {
        resource_type: asked.resource_type_filter,
        name: asked.resource_name_filter.as_deref(),
        pattern: asked.pattern_type_filter,
        principal: asked.principal_filter.as_deref(),
        host: asked.host_filter.as_deref(),
        operation: asked.operation,
        permission: asked.permission_type,
    });
    let Some(filter) = filter else {
        return refused(ErrorCode::INVALID_REQUEST);
    };
    match context.broker.acls.remove(&filter).await {
        Ok(taken) => {
            for entry in &taken {
                info!(?entry, by = %context.principal, "access control entry removed");
            }
            DeleteAclsFilterResult {
                matching_acls: taken.into_iter().map(told).collect(),
                ..Default::default()
            }
        }
        Err(problem) => {
            error!(error = %problem, "access control entries can't be removed");
            refused(ErrorCode::KAFKA_STORAGE_ERROR)
        }
    }
}

fn told(entry: Entry) -> DeleteAclsMatchingAcl {
    DeleteAclsMatchingAcl {
        resource_type: entry.resource_type.number(),
        resource_name: entry.name.into(),
        pattern_type: entry.pattern.number(),
        principal: entry.principal.into(),
        host: entry.host.into(),
        operation: entry.operation.number(),
        permission_type: entry.permission.number(),
        ..Default::default()
    }
}
