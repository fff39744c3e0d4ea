//! AlterConfigs: sets all configs of a topic at once; what isn't named gets its default.

use fletch_wire::ErrorCode;
use fletch_wire::messages::alter_configs::AlterConfigsResourceResponse;
use fletch_wire::messages::{AlterConfigsRequest, AlterConfigsResponse};

use super::Context;
use crate::alter_config::{Resource, twice};
use crate::topic_config::validate;

pub(crate) async fn handle(
    context: &Context<'_>,
    request: AlterConfigsRequest,
) -> AlterConfigsResponse {
    let named = request
        .resources
        .iter()
        .map(|resource| Resource::new(resource.resource_type, &resource.resource_name));
    let twice = twice(named);
    let mut responses = Vec::with_capacity(request.resources.len());
    for asked in &request.resources {
        let resource = Resource::new(asked.resource_type, &asked.resource_name);
        let pairs = asked
            .configs
            .iter()
            .map(|config| (&*config.name, config.value.as_deref()));
        let change = |_| {
            if let Some(config) = asked.configs.iter().find(|config| config.value.is_none()) {
                let words = format!("{} has no value", &*config.name);
                return Err((ErrorCode::INVALID_REQUEST, words));
            }
            let valid = validate(&context.broker.config, pairs);
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
    AlterConfigsResponse {
        responses,
        ..Default::default()
    }
}
