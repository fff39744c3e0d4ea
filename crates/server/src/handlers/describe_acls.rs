//! DescribeAcls: the access control entries that a filter fits, by resource.

use fletch_wire::messages::describe_acls::{AclDescription, DescribeAclsResource};
use fletch_wire::messages::{DescribeAclsRequest, DescribeAclsResponse};
use fletch_wire::{ErrorCode, Str};

use super::Context;
use crate::auth::acl::{Filter, Wanted};

pub(crate) fn handle(context: &Context<'_>, request: &DescribeAclsRequest) -> DescribeAclsResponse {
    let refused = |error: ErrorCode| DescribeAclsResponse {
        error_code: context.count(error),
        error_message: Some(Str::from_static(error.message())),
        ..Default::default()
    };
    if !context.broker.acls.is_open() {
        return refused(ErrorCode::SECURITY_DISABLED);
    }
    let filter = Filter::read(Wanted {
        resource_type: request.resource_type_filter,
        name: request.resource_name_filter.as_deref(),
        pattern: request.pattern_type_filter,
        principal: request.principal_filter.as_deref(),
        host: request.host_filter.as_deref(),
        operation: request.operation,
        permission: request.permission_type,
    });
    let Some(filter) = filter else {
        return refused(ErrorCode::INVALID_REQUEST);
    };
    let mut resources: Vec<DescribeAclsResource> = Vec::new();
    // They come in order, and with it those of one resource together.
    for entry in context.broker.acls.matching(&filter) {
        let (resource_type, pattern_type) = (entry.resource_type.number(), entry.pattern.number());
        let acl = AclDescription {
            principal: entry.principal.into(),
            host: entry.host.into(),
            operation: entry.operation.number(),
            permission_type: entry.permission.number(),
            ..Default::default()
        };
        match resources.last_mut() {
            Some(last)
                if last.resource_type == resource_type
                    && last.pattern_type == pattern_type
                    && *last.resource_name == entry.name =>
            {
                last.acls.push(acl);
            }
            _ => resources.push(DescribeAclsResource {
                resource_type,
                resource_name: entry.name.into(),
                pattern_type,
                acls: vec![acl],
                ..Default::default()
            }),
        }
    }
    DescribeAclsResponse {
        resources,
        ..Default::default()
    }
}
