//! CreateTopics: topics with their partitions and configs, checked as a one-node Kafka checks them.

use std::collections::{BTreeMap, HashMap};

use fletch_store::{NewTopic, StoreError, validate_topic_name};
use fletch_wire::messages::create_topics::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult,
};
use fletch_wire::messages::{CreateTopicsRequest, CreateTopicsResponse};
use fletch_wire::{ErrorCode, Str, Uuid};
use tracing::info;

use super::{Context, create_error_code};
use crate::broker::{CreateError, NODE_ID};
use crate::topic_config::{TOPIC_CONFIGS, validate};

/// "The broker's default", for partitions and replicas.
const DEFAULT: i32 = -1;
/// Where a config's value comes from, in Kafka's numbers.
const FROM_TOPIC: i8 = 1;
const FROM_DEFAULT: i8 = 5;

/// What is wrong with a topic that was asked for: the code and the words.
type Refusal = (ErrorCode, String);

pub(crate) async fn handle(
    context: &Context<'_>,
    request: CreateTopicsRequest,
) -> CreateTopicsResponse {
    let mut times = HashMap::new();
    for topic in &request.topics {
        *times.entry(topic.name.clone()).or_insert(0) += 1;
    }
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let result = match times.get(&topic.name) {
            // A name that comes twice is answered once, as wrong.
            Some(0) => continue,
            Some(1) => create(context, topic, request.validate_only).await,
            _ => {
                times.insert(topic.name.clone(), 0);
                Err((
                    ErrorCode::INVALID_REQUEST,
                    "Duplicate topic name.".to_owned(),
                ))
            }
        };
        results.push(
            result.unwrap_or_else(|(error, words)| CreatableTopicResult {
                name: topic.name.clone(),
                error_code: context.count(error),
                error_message: Some(words.into()),
                configs: Some(Vec::new()),
                ..Default::default()
            }),
        );
    }
    CreateTopicsResponse {
        topics: results,
        ..Default::default()
    }
}

async fn create(
    context: &Context<'_>,
    asked: &CreatableTopic,
    validate_only: bool,
) -> Result<CreatableTopicResult, Refusal> {
    let broker = context.broker;
    let store_refusal = |error: StoreError| refusal(CreateError::Store(error));
    validate_topic_name(&asked.name).map_err(store_refusal)?;
    if broker.topic(&asked.name).is_some() {
        return Err(store_refusal(StoreError::TopicExists {
            name: asked.name.to_string(),
        }));
    }
    let partitions = partitions(asked, broker.config.topics.partitions)?;
    let pairs = asked
        .configs
        .iter()
        .map(|config| (&*config.name, config.value.as_deref()));
    let configs =
        validate(&broker.config, pairs).map_err(|problem| (ErrorCode::INVALID_CONFIG, problem))?;
    let result = CreatableTopicResult {
        name: asked.name.clone(),
        num_partitions: partitions,
        replication_factor: 1,
        configs: Some(described(context, &configs)),
        ..Default::default()
    };
    if validate_only {
        broker.check_topic_limits(partitions).map_err(refusal)?;
        return Ok(CreatableTopicResult {
            topic_id: Uuid::nil(),
            ..result
        });
    }
    let topic = NewTopic {
        name: asked.name.to_string(),
        partitions,
        configs,
    };
    let topic = broker.create_topic(topic).await.map_err(refusal)?;
    info!(topic = %topic.name, by = %context.principal, partitions, "topic created on request");
    Ok(CreatableTopicResult {
        topic_id: topic.id,
        ..result
    })
}

/// How many partitions are asked for, with or without an assignment of replicas.
fn partitions(asked: &CreatableTopic, default: u64) -> Result<i32, Refusal> {
    let invalid = |error, words: &str| Err((error, words.to_owned()));
    if !asked.assignments.is_empty() {
        if i32::from(asked.replication_factor) != DEFAULT {
            return invalid(
                ErrorCode::INVALID_REQUEST,
                "A manual partition assignment was specified, but replication factor was not set to -1.",
            );
        }
        if asked.num_partitions != DEFAULT {
            return invalid(
                ErrorCode::INVALID_REQUEST,
                "A manual partition assignment was specified, but numPartitions was not set to -1.",
            );
        }
        let mut indexes: Vec<_> = asked
            .assignments
            .iter()
            .map(|assignment| assignment.partition_index)
            .collect();
        indexes.sort_unstable();
        if !(0..)
            .zip(&indexes)
            .all(|(expected, index)| expected == *index)
        {
            return invalid(
                ErrorCode::INVALID_REPLICA_ASSIGNMENT,
                "partitions should be a consecutive 0-based integer sequence",
            );
        }
        if asked
            .assignments
            .iter()
            .any(|assignment| assignment.broker_ids != [NODE_ID])
        {
            return invalid(
                ErrorCode::INVALID_REPLICA_ASSIGNMENT,
                "The manual partition assignment names brokers that are not this one, or one twice.",
            );
        }
        return i32::try_from(indexes.len()).or(invalid(
            ErrorCode::INVALID_PARTITIONS,
            "Too many partitions.",
        ));
    }
    match i32::from(asked.replication_factor) {
        DEFAULT | 1 => {}
        ..1 => {
            return invalid(
                ErrorCode::INVALID_REPLICATION_FACTOR,
                "Replication factor must be larger than 0, or -1 to use the default value.",
            );
        }
        many => {
            let words = format!(
                "Unable to replicate the partition {many} time(s): The target replication factor of {many} cannot \
                 be reached because only 1 broker(s) are registered."
            );
            return Err((ErrorCode::INVALID_REPLICATION_FACTOR, words));
        }
    }
    match asked.num_partitions {
        DEFAULT => Ok(i32::try_from(default).unwrap_or(i32::MAX)),
        ..1 => invalid(
            ErrorCode::INVALID_PARTITIONS,
            "Number of partitions was set to an invalid non-positive value.",
        ),
        partitions => Ok(partitions),
    }
}

fn refusal(error: CreateError) -> Refusal {
    let words = match &error {
        CreateError::Store(StoreError::TopicExists { name }) => {
            format!("Topic '{name}' already exists.")
        }
        other => other.to_string(),
    };
    (create_error_code(&error), words)
}

fn described(
    context: &Context<'_>,
    configs: &BTreeMap<String, String>,
) -> Vec<CreatableTopicConfigs> {
    let entry = |config: &crate::topic_config::TopicConfig| {
        let set = configs.get(config.name);
        let value = set
            .cloned()
            .unwrap_or_else(|| config.default(&context.broker.config));
        CreatableTopicConfigs {
            name: Str::from_static(config.name),
            value: Some(value.into()),
            config_source: if set.is_some() {
                FROM_TOPIC
            } else {
                FROM_DEFAULT
            },
            ..Default::default()
        }
    };
    TOPIC_CONFIGS.iter().map(entry).collect()
}
