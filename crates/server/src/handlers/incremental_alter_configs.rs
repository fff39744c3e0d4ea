//! IncrementalAlterConfigs: changes single configs of a topic; the others stay.

use std::collections::BTreeMap;

use fletch_wire::ErrorCode;
use fletch_wire::messages::incremental_alter_configs::{
    AlterConfigsResourceResponse, AlterableConfig,
};
use fletch_wire::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use super::Context;
use crate::alter_config::{Refusal, Resource, twice};
use crate::topic_config::{ConfigType, TopicConfig, validate};

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

pub(crate) async fn handle(
    context: &Context<'_>,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let named = request
        .resources
        .iter()
        .map(|resource| Resource::new(resource.resource_type, &resource.resource_name));
    let twice = twice(named);
    let mut responses = Vec::with_capacity(request.resources.len());
    for asked in &request.resources {
        let resource = Resource::new(asked.resource_type, &asked.resource_name);
        let change = |before: BTreeMap<String, String>| {
            let after = changed(context, before, &asked.configs)?;
            let after = after.iter().map(|(name, value)| (&**name, Some(&**value)));
            let valid = validate(&context.broker.config, after);
            valid.map_err(|words| (ErrorCode::INVALID_CONFIG, words))
        };
        let (error_code, error_message) = resource
            .alter(context, &twice, request.validate_only, change)
            .await;
        responses.push(AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type: asked.resource_type,
            resource_name: asked.resource_name.clone(),
            ..Default::default()
        });
    }
    IncrementalAlterConfigsResponse {
        responses,
        ..Default::default()
    }
}

/// The configs after these changes; they aren't checked.
fn changed(
    context: &Context<'_>,
    mut configs: BTreeMap<String, String>,
    changes: &[AlterableConfig],
) -> Result<BTreeMap<String, String>, Refusal> {
    let invalid_config = |words: String| (ErrorCode::INVALID_CONFIG, words);
    let invalid_request = |words: String| (ErrorCode::INVALID_REQUEST, words);
    for (at, change) in changes.iter().enumerate() {
        let name = &*change.name;
        let earlier = changes.get(..at).unwrap_or_default();
        if earlier.iter().any(|earlier| *earlier.name == *name) {
            let words = format!("{name} is changed more than once");
            return Err(invalid_request(words));
        }
        let config = TopicConfig::find(name)
            .ok_or_else(|| invalid_config(format!("there is no topic config {name}")))?;
        let value = || {
            let value = change.value.as_deref();
            value.ok_or_else(|| {
                let words = format!("{name} has no value");
                invalid_request(words)
            })
        };
        match change.config_operation {
            SET => {
                configs.insert(name.to_owned(), value()?.to_owned());
            }
            DELETE => {
                configs.remove(name);
            }
            operation @ (APPEND | SUBTRACT) => {
                if config.kind != ConfigType::List {
                    let words = format!("{name} is not a list: it can be set and deleted");
                    return Err(invalid_config(words));
                }
                let now = configs.remove(name);
                let now = now.unwrap_or_else(|| config.default(&context.broker.config));
                configs.insert(name.to_owned(), edited(&now, value()?, operation == APPEND));
            }
            other => {
                let words = format!("{other} is not an operation on {name}");
                return Err(invalid_config(words));
            }
        }
    }
    Ok(configs)
}

/// A list's text with the items of `change` added, or taken away.
fn edited(list: &str, change: &str, add: bool) -> String {
    let items = |text| {
        str::split(text, ',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
    };
    let mut kept: Vec<&str> = items(list).collect();
    for item in items(change) {
        kept.retain(|kept| *kept != item);
        if add {
            kept.push(item);
        }
    }
    kept.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_gain_and_lose_items() {
        assert_eq!(edited("delete", "compact", true), "delete,compact");
        assert_eq!(edited("delete, compact", "delete", true), "compact,delete");
        assert_eq!(edited("delete,compact", " delete ", false), "compact");
        assert_eq!(edited("", "", true), "");
    }
}
