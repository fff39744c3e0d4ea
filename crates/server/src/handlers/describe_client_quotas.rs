//! DescribeClientQuotas: which users and client ids have quotas.

use fletch_wire::messages::describe_client_quotas::{
    ComponentData, EntityData, EntryData, ValueData,
};
use fletch_wire::messages::{DescribeClientQuotasRequest, DescribeClientQuotasResponse};
use fletch_wire::{ErrorCode, Str};

use super::Context;
use crate::quotas::{Entity, Name};

pub(crate) const USER: &str = "user";
pub(crate) const CLIENT_ID: &str = "client-id";

/// How a component matches.
const EXACTLY: i8 = 0;
const DEFAULT: i8 = 1;
const ANY: i8 = 2;

pub(crate) fn handle(
    context: &Context<'_>,
    request: &DescribeClientQuotasRequest,
) -> DescribeClientQuotasResponse {
    let filters = match filters(&request.components) {
        Ok(filters) => filters,
        Err((error, message)) => {
            return DescribeClientQuotasResponse {
                error_code: context.count(error),
                error_message: Some(message.into()),
                entries: None,
                ..Default::default()
            };
        }
    };
    let all = context.broker.quotas.all();
    let is_asked = |entity: &Entity| {
        let parts = [(USER, &entity.user), (CLIENT_ID, &entity.client)];
        parts.iter().all(|(kind, part)| {
            match filters.iter().find(|filter| filter.kind == *kind) {
                Some(filter) => filter.takes(part.as_ref()),
                // Strictly: who has a part that isn't asked for is somebody else.
                None => !request.strict || part.is_none(),
            }
        })
    };
    let entries = all
        .iter()
        .filter(|(entity, _)| is_asked(entity))
        .map(|(entity, limits)| EntryData {
            entity: parts(entity),
            values: limits
                .iter()
                .map(|(key, value)| ValueData {
                    key: key.as_str().into(),
                    value: *value,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        });
    DescribeClientQuotasResponse {
        entries: Some(entries.collect()),
        ..Default::default()
    }
}

struct Filter<'a> {
    kind: &'a str,
    how: i8,
    name: Option<&'a str>,
}

impl Filter<'_> {
    fn takes(&self, part: Option<&Name>) -> bool {
        match (self.how, part) {
            (EXACTLY, Some(Name::Of(name))) => self.name == Some(name),
            (DEFAULT, Some(Name::Default)) | (ANY, Some(_)) => true,
            _ => false,
        }
    }
}

fn filters(components: &[ComponentData]) -> Result<Vec<Filter<'_>>, (ErrorCode, String)> {
    let mut filters: Vec<Filter<'_>> = Vec::with_capacity(components.len());
    for component in components {
        let kind = &*component.entity_type;
        let invalid = |message: String| Err((ErrorCode::INVALID_REQUEST, message));
        if ![USER, CLIENT_ID].contains(&kind) {
            let error = match kind {
                "" => ErrorCode::INVALID_REQUEST,
                _ => ErrorCode::UNSUPPORTED_VERSION,
            };
            let message = format!("Quotas are for user and client-id, not for {kind:?}.");
            return Err((error, message));
        }
        if filters.iter().any(|filter| filter.kind == kind) {
            return invalid(format!("The filter names {kind} twice."));
        }
        let how = component.match_type;
        if !(EXACTLY..=ANY).contains(&how) {
            return invalid(format!("Unexpected match type: {how}"));
        }
        if (how == EXACTLY) != component.r#match.is_some() {
            return invalid(format!(
                "A match type of {how} and a name don't go together."
            ));
        }
        filters.push(Filter {
            kind,
            how,
            name: component.r#match.as_deref(),
        });
    }
    Ok(filters)
}

fn parts(entity: &Entity) -> Vec<EntityData> {
    let part = |(kind, part): (&'static str, &Option<Name>)| {
        let entity_name: Option<Str> = match part.as_ref()? {
            Name::Default => None,
            Name::Of(name) => Some(name.as_str().into()),
        };
        Some(EntityData {
            entity_type: Str::from_static(kind),
            entity_name,
            ..Default::default()
        })
    };
    let parts = [(USER, &entity.user), (CLIENT_ID, &entity.client)];
    parts.into_iter().filter_map(part).collect()
}
