//! CreateAcls: more access control entries.

use fletch_wire::ErrorCode;
use fletch_wire::messages::create_acls::{AclCreation, AclCreationResult};
use fletch_wire::messages::{CreateAclsRequest, CreateAclsResponse};
use tracing::{error, info};

use super::Context;
use crate::auth::acl::{
    AclsError, Entry, EntryError, Operation, Pattern, Permission, ResourceType,
};

pub(crate) async fn handle(
    context: &Context<'_>,
    request: CreateAclsRequest,
) -> CreateAclsResponse {
    let mut results = Vec::with_capacity(request.creations.len());
    for asked in &request.creations {
        let (error_code, error_message) = match create(context, asked).await {
            Ok(()) => (ErrorCode::NONE, None),
            Err((error, words)) => (context.count(error), Some(words.into())),
        };
        results.push(AclCreationResult {
            error_code,
            error_message,
            ..Default::default()
        });
    }
    CreateAclsResponse {
        results,
        ..Default::default()
    }
}

async fn create(context: &Context<'_>, asked: &AclCreation) -> Result<(), (ErrorCode, String)> {
    if !context.broker.acls.is_open() {
        let error = ErrorCode::SECURITY_DISABLED;
        return Err((error, error.message().to_owned()));
    }
    let entry =
        entry(asked).map_err(|problem| (ErrorCode::INVALID_REQUEST, problem.to_string()))?;
    let told = entry.clone();
    match context.broker.acls.add(entry).await {
        Ok(()) => {
            info!(entry = ?told, by = %context.principal, "access control entry added");
            Ok(())
        }
        Err(problem @ AclsError::TooMany(_)) => {
            Err((ErrorCode::POLICY_VIOLATION, problem.to_string()))
        }
        Err(problem) => {
            error!(error = %problem, "an access control entry can't be kept");
            Err((ErrorCode::KAFKA_STORAGE_ERROR, problem.to_string()))
        }
    }
}

fn entry(asked: &AclCreation) -> Result<Entry, EntryError> {
    let entry = Entry {
        resource_type: ResourceType::of_number(asked.resource_type)
            .ok_or(EntryError::Number("resource type"))?,
        pattern: Pattern::of_number(asked.resource_pattern_type)
            .ok_or(EntryError::Number("pattern type"))?,
        name: asked.resource_name.to_string(),
        principal: asked.principal.to_string(),
        host: asked.host.to_string(),
        operation: Operation::of_number(asked.operation).ok_or(EntryError::Number("operation"))?,
        permission: Permission::of_number(asked.permission_type)
            .ok_or(EntryError::Number("permission type"))?,
    };
    entry.check()?;
    Ok(entry)
}
