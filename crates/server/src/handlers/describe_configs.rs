//! DescribeConfigs: of topics, and of this broker.

use fletch_store::validate_topic_name;
use fletch_wire::messages::describe_configs::{
    DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResult,
    DescribeConfigsSynonym,
};
use fletch_wire::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use fletch_wire::{ErrorCode, Str};

use super::Context;
use crate::broker::NODE_ID;
use crate::topic_config::{ConfigType, TOPIC_CONFIGS};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

const FROM_TOPIC: i8 = 1;
const FROM_BROKER_FILE: i8 = 4;
const FROM_DEFAULT: i8 = 5;

/// One config of a resource, before a request's wishes are applied.
struct Entry {
    name: &'static str,
    value: String,
    read_only: bool,
    kind: ConfigType,
    about: &'static str,
    /// Where values come from, the one in force first: source, name there, value there.
    sources: Vec<(i8, &'static str, String)>,
}

pub(crate) fn handle(
    context: &Context<'_>,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let (synonyms, documentation) = (request.include_synonyms, request.include_documentation);
    let describe = |resource: DescribeConfigsResource| {
        let keys = resource.configuration_keys.as_deref().unwrap_or_default();
        // No keys at all ask for every config, as a null list of them does.
        let wanted = |entry: &Entry| keys.is_empty() || keys.iter().any(|key| &**key == entry.name);
        let (error_code, error_message, entries) = match entries(context, &resource) {
            Ok(entries) => (ErrorCode::NONE, Some(Str::from_static("")), entries),
            Err((error, words)) => (context.count(error), Some(words.into()), Vec::new()),
        };
        let configs = entries
            .into_iter()
            .filter(wanted)
            .map(|entry| describe_entry(context, entry, synonyms, documentation));
        DescribeConfigsResult {
            error_code,
            error_message,
            configs: configs.collect(),
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
            ..Default::default()
        }
    };
    DescribeConfigsResponse {
        results: request.resources.into_iter().map(describe).collect(),
        ..Default::default()
    }
}

fn entries(
    context: &Context<'_>,
    resource: &DescribeConfigsResource,
) -> Result<Vec<Entry>, (ErrorCode, String)> {
    let name = &*resource.resource_name;
    match resource.resource_type {
        TOPIC => match context.broker.topic(name) {
            Some(topic) => Ok(TOPIC_CONFIGS
                .iter()
                .map(|config| {
                    let default = config.default(&context.broker.config);
                    let set = topic.configs.get(config.name);
                    let own = set.map(|value| (FROM_TOPIC, config.name, value.clone()));
                    let fallback = (FROM_DEFAULT, config.broker_name, default.clone());
                    Entry {
                        name: config.name,
                        value: set.cloned().unwrap_or(default),
                        read_only: false,
                        kind: config.kind,
                        about: config.about,
                        sources: own.into_iter().chain([fallback]).collect(),
                    }
                })
                .collect()),
            None if validate_topic_name(name).is_err() => {
                let error = ErrorCode::INVALID_TOPIC_EXCEPTION;
                Err((error, error.message().to_owned()))
            }
            None => {
                let error = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
                Err((error, error.message().to_owned()))
            }
        },
        // The default of all brokers: what was set at run time, which is nothing.
        BROKER if name.is_empty() => Ok(Vec::new()),
        BROKER if name == NODE_ID.to_string() => Ok(broker_entries(context)),
        BROKER => Err((
            ErrorCode::INVALID_REQUEST,
            format!(
                "Unexpected broker id, expected {NODE_ID} or empty string, but received {name}"
            ),
        )),
        other => Err((
            ErrorCode::INVALID_REQUEST,
            format!("Unsupported resource type: {other}"),
        )),
    }
}

/// This broker's settings, under the names that Kafka's tools know.
fn broker_entries(context: &Context<'_>) -> Vec<Entry> {
    let config = &context.broker.config;
    let endpoint = context.endpoint();
    let own = |name, kind, value: String, about| Entry {
        name,
        sources: vec![(FROM_BROKER_FILE, name, value.clone())],
        value,
        read_only: true,
        kind,
        about,
    };
    let mut entries = vec![
        own(
            "node.id",
            ConfigType::Int,
            NODE_ID.to_string(),
            "The id of this broker, which is the only one.",
        ),
        own(
            "advertised.listeners",
            ConfigType::String,
            format!("PLAINTEXT://{}:{}", endpoint.host, endpoint.port),
            "kafka.advertised_address, or the address at which this client came in.",
        ),
        own(
            "auto.create.topics.enable",
            ConfigType::Boolean,
            config.topics.auto_create.to_string(),
            "topics.auto_create",
        ),
        own(
            "connections.max.idle.ms",
            ConfigType::Long,
            config.kafka.idle_timeout_ms.to_string(),
            "kafka.idle_timeout_ms",
        ),
        own(
            "default.replication.factor",
            ConfigType::Int,
            "1".to_owned(),
            "There is one broker.",
        ),
        own(
            "delete.topic.enable",
            ConfigType::Boolean,
            "true".to_owned(),
            "Topics can be deleted.",
        ),
        own(
            "fetch.max.bytes",
            ConfigType::Int,
            config.kafka.fetch_bytes_max.to_string(),
            "kafka.fetch_bytes_max",
        ),
        own(
            "max.connections",
            ConfigType::Int,
            config.kafka.connections_max.to_string(),
            "kafka.connections_max",
        ),
        own(
            "num.partitions",
            ConfigType::Int,
            config.topics.partitions.to_string(),
            "topics.partitions",
        ),
        own(
            "socket.request.max.bytes",
            ConfigType::Int,
            config.kafka.request_bytes_max.to_string(),
            "kafka.request_bytes_max",
        ),
    ];
    entries.extend(TOPIC_CONFIGS.iter().map(|topic| Entry {
        name: topic.broker_name,
        value: topic.default(config),
        read_only: true,
        kind: topic.kind,
        about: topic.about,
        sources: vec![(FROM_DEFAULT, topic.broker_name, topic.default(config))],
    }));
    entries
}

fn describe_entry(
    context: &Context<'_>,
    entry: Entry,
    synonyms: bool,
    documentation: bool,
) -> DescribeConfigsResourceResult {
    let source = entry
        .sources
        .first()
        .map_or(FROM_DEFAULT, |(source, ..)| *source);
    let synonym = |(source, name, value): (i8, &'static str, String)| DescribeConfigsSynonym {
        name: Str::from_static(name),
        value: Some(value.into()),
        source,
        ..Default::default()
    };
    DescribeConfigsResourceResult {
        name: Str::from_static(entry.name),
        value: Some(entry.value.into()),
        read_only: entry.read_only,
        // Version 0 says less; the later ones must not say this.
        is_default: context.version() == 0 && source == FROM_DEFAULT,
        config_source: source,
        synonyms: if synonyms {
            entry.sources.into_iter().map(synonym).collect()
        } else {
            Vec::new()
        },
        config_type: entry.kind as i8,
        documentation: documentation.then(|| Str::from_static(entry.about)),
        ..Default::default()
    }
}
