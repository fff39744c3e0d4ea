//! DeleteTopics: by name, and from version 6 on by id.

use std::collections::HashSet;
use std::sync::Arc;

use fletch_store::{StoreError, Topic};
use fletch_wire::messages::delete_topics::{DeletableTopicResult, DeleteTopicState};
use fletch_wire::messages::{DeleteTopicsRequest, DeleteTopicsResponse};
use fletch_wire::{ErrorCode, Str, Uuid};
use tracing::{error, info};

use super::Context;

/// The first version that names topics in a structure.
const BY_STATE: i16 = 6;

pub(crate) async fn handle(
    context: &Context<'_>,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let asked = match context.version() >= BY_STATE {
        true => request.topics,
        false => {
            let by_name = |name| DeleteTopicState {
                name: Some(name),
                ..Default::default()
            };
            request.topic_names.into_iter().map(by_name).collect()
        }
    };
    let mut seen = HashSet::new();
    let mut responses = Vec::with_capacity(asked.len());
    for topic in asked {
        responses.push(delete(context, topic, &mut seen).await);
    }
    DeleteTopicsResponse {
        responses,
        ..Default::default()
    }
}

async fn delete(
    context: &Context<'_>,
    asked: DeleteTopicState,
    seen: &mut HashSet<Uuid>,
) -> DeletableTopicResult {
    let refused = |error: ErrorCode, words: &str| DeletableTopicResult {
        // Before version 6 a name can't be null.
        name: asked
            .name
            .clone()
            .or_else(|| (context.version() < BY_STATE).then(Str::default)),
        topic_id: asked.topic_id,
        error_code: context.count(error),
        error_message: Some(words.into()),
        ..Default::default()
    };
    let found: Option<Arc<Topic>> = match (&asked.name, asked.topic_id.is_nil()) {
        (Some(name), true) => context.broker.topic(name),
        (None, false) => context.broker.topic_by_id(asked.topic_id),
        (Some(_), false) => {
            return refused(
                ErrorCode::INVALID_REQUEST,
                "You may not specify both topic name and topic id.",
            );
        }
        (None, true) => {
            return refused(
                ErrorCode::INVALID_REQUEST,
                "Neither topic name nor id were specified.",
            );
        }
    };
    let Some(topic) = found else {
        let error = match asked.name {
            Some(_) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            None => ErrorCode::UNKNOWN_TOPIC_ID,
        };
        return refused(error, error.message());
    };
    if !seen.insert(topic.id) {
        return refused(
            ErrorCode::INVALID_REQUEST,
            "The topic is named more than once.",
        );
    }
    match context.broker.store.delete_topic(&topic.name).await {
        Ok(_) => {
            info!(topic = %topic.name, by = %context.principal, "topic deleted on request");
            context.broker.groups.forget_topic(&topic.name);
            DeletableTopicResult {
                name: Some(topic.name.as_str().into()),
                topic_id: topic.id,
                ..Default::default()
            }
        }
        Err(StoreError::UnknownTopic { .. }) => {
            let error = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
            refused(error, error.message())
        }
        Err(problem) => {
            error!(topic = %topic.name, error = %problem, "a topic can't be deleted");
            refused(ErrorCode::KAFKA_STORAGE_ERROR, &problem.to_string())
        }
    }
}
