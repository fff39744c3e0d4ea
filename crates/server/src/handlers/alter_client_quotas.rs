//! AlterClientQuotas: gives users and client ids quotas, and takes them away.

use fletch_wire::messages::AlterClientQuotasRequest;
use fletch_wire::messages::alter_client_quotas::answer::{self, AlterClientQuotasResponse};
use fletch_wire::messages::alter_client_quotas::{EntityData, EntryData, OpData};
use fletch_wire::{ErrorCode, Str};
use tracing::error;

use super::Context;
use super::describe_client_quotas::{CLIENT_ID, USER};
use crate::quotas::{Entity, Kind, Name, QuotaError};

/// The longest name of a user or a client id: as that of a client id in a request's header.
const NAME_BYTES_MAX: usize = i16::MAX as usize;

type Refusal = (ErrorCode, String);

pub(crate) async fn handle(
    context: &Context<'_>,
    request: AlterClientQuotasRequest,
) -> AlterClientQuotasResponse {
    let mut entries = Vec::with_capacity(request.entries.len());
    for entry in request.entries {
        let altered = alter(context, &entry, request.validate_only).await;
        let (error_code, error_message) = match altered {
            Ok(()) => (ErrorCode::NONE, None),
            Err((error, message)) => (context.count(error), Some(Str::from(message))),
        };
        entries.push(answer::EntryData {
            error_code,
            error_message,
            entity: entry.entity,
            ..Default::default()
        });
    }
    AlterClientQuotasResponse {
        entries,
        ..Default::default()
    }
}

async fn alter(
    context: &Context<'_>,
    entry: &EntryData,
    validate_only: bool,
) -> Result<(), Refusal> {
    let entity = entity(&entry.entity)?;
    let changes = changes(&entry.ops)?;
    if validate_only {
        return Ok(());
    }
    let altered = context.broker.quotas.alter(entity, &changes).await;
    altered.map_err(|problem| match &problem {
        QuotaError::TooMany => (ErrorCode::POLICY_VIOLATION, problem.to_string()),
        QuotaError::Store(_) => {
            error!(error = %problem, "a quota can't be changed");
            (ErrorCode::KAFKA_STORAGE_ERROR, problem.to_string())
        }
    })
}

fn entity(parts: &[EntityData]) -> Result<Entity, Refusal> {
    let invalid = |message: &str| Err((ErrorCode::INVALID_REQUEST, message.to_owned()));
    let mut entity = Entity::default();
    for part in parts {
        let place = match &*part.entity_type {
            USER => &mut entity.user,
            CLIENT_ID => &mut entity.client,
            other => {
                // Addresses have quotas in Kafka.
                let error = match other {
                    "ip" => ErrorCode::UNSUPPORTED_VERSION,
                    _ => ErrorCode::INVALID_REQUEST,
                };
                let message = format!("Quotas are for user and client-id, not for {other:?}.");
                return Err((error, message));
            }
        };
        if place.is_some() {
            return invalid("An entity type is given twice.");
        }
        *place = Some(match part.entity_name.as_deref() {
            None => Name::Default,
            Some("") => {
                return invalid(
                    "The name is empty; leave it null to mean all that have no quota of their own.",
                );
            }
            Some(name) if name.len() > NAME_BYTES_MAX => {
                return invalid("An entity name is longer than that of a client may be.");
            }
            Some(name) => Name::Of(name.to_owned()),
        });
    }
    match entity == Entity::default() {
        true => invalid("Invalid empty client quota entity."),
        false => Ok(entity),
    }
}

fn changes(ops: &[OpData]) -> Result<Vec<(Kind, Option<f64>)>, Refusal> {
    let mut changes: Vec<(Kind, Option<f64>)> = Vec::with_capacity(ops.len());
    for op in ops {
        let invalid = |message: String| Err((ErrorCode::INVALID_REQUEST, message));
        let Some(kind) = Kind::named(&op.key) else {
            return invalid(format!("Invalid configuration key {}.", op.key));
        };
        if changes.iter().any(|(other, _)| *other == kind) {
            return invalid(format!("Quota {} is given twice.", op.key));
        }
        if op.remove {
            changes.push((kind, None));
            continue;
        }
        if !(op.value.is_finite() && op.value > 0.0) {
            return invalid(format!("Quota {} must be greater than 0.", op.key));
        }
        if kind != Kind::Request && op.value.fract() != 0.0 {
            return invalid(format!("Quota {} must be a whole number of bytes.", op.key));
        }
        changes.push((kind, Some(op.value)));
    }
    Ok(changes)
}
