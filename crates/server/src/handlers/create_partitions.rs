//! CreatePartitions: more partitions for topics that exist.

use std::collections::HashMap;

use fletch_store::StoreError;
use fletch_wire::ErrorCode;
use fletch_wire::messages::create_partitions::{
    CreatePartitionsTopic, CreatePartitionsTopicResult,
};
use fletch_wire::messages::{CreatePartitionsRequest, CreatePartitionsResponse};
use tracing::info;

use super::{Context, create_error_code};
use crate::broker::{CreateError, NODE_ID};

/// What is wrong with what was asked: the code and the words.
type Refusal = (ErrorCode, String);

pub(crate) async fn handle(
    context: &Context<'_>,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let mut times: HashMap<_, usize> = HashMap::new();
    for topic in &request.topics {
        *times.entry(topic.name.clone()).or_default() += 1;
    }
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let done = match times.insert(topic.name.clone(), 0) {
            // A name that comes twice is answered once, as wrong.
            Some(0) => continue,
            Some(1) => grow(context, topic, request.validate_only).await,
            _ => Err((
                ErrorCode::INVALID_REQUEST,
                "The topic is named more than once.".to_owned(),
            )),
        };
        let (error_code, error_message) = match done {
            Ok(()) => (ErrorCode::NONE, None),
            Err((error, words)) => (context.count(error), Some(words.into())),
        };
        results.push(CreatePartitionsTopicResult {
            name: topic.name.clone(),
            error_code,
            error_message,
            ..Default::default()
        });
    }
    CreatePartitionsResponse {
        results,
        ..Default::default()
    }
}

async fn grow(
    context: &Context<'_>,
    asked: &CreatePartitionsTopic,
    validate_only: bool,
) -> Result<(), Refusal> {
    let broker = context.broker;
    let Some(topic) = broker.topic(&asked.name) else {
        let error = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        return Err((error, error.message().to_owned()));
    };
    let more = i64::from(asked.count) - i64::from(topic.partitions);
    if more <= 0 {
        return Err((
            ErrorCode::INVALID_PARTITIONS,
            format!(
                "The topic has {} partitions; {} are not more.",
                topic.partitions, asked.count
            ),
        ));
    }
    if let Some(assignments) = &asked.assignments {
        if i64::try_from(assignments.len()) != Ok(more) {
            let words = format!(
                "{more} partitions are new; {} are assigned.",
                assignments.len()
            );
            return Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, words));
        }
        if assignments.iter().any(|new| new.broker_ids != [NODE_ID]) {
            let words = format!("There is one broker, {NODE_ID}, for every partition.");
            return Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, words));
        }
    }
    let refused = |error: CreateError| (create_error_code(&error), error.to_string());
    if validate_only {
        return broker
            .check_partitions_limit(i32::try_from(more).unwrap_or(i32::MAX))
            .map_err(refused);
    }
    match broker.add_partitions(&topic.name, asked.count).await {
        Ok(()) => {
            info!(topic = %topic.name, partitions = asked.count, "partitions added on request");
            Ok(())
        }
        // Another client was faster.
        Err(CreateError::Store(StoreError::InvalidPartitions { .. })) => Err((
            ErrorCode::INVALID_PARTITIONS,
            format!(
                "{} partitions are not more than the topic has, or too many.",
                asked.count
            ),
        )),
        Err(error) => Err(refused(error)),
    }
}
