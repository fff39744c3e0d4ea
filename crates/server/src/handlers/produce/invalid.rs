//! Records that are refused for what they say: by a topic that wants registered schemas, or one that
//! refuses what its table can't read.

use fletch_store::Topic;
use fletch_table::{Invalid, TableError};
use fletch_wire::ErrorCode;
use fletch_wire::records::Records;
use tracing::error;

use super::Refusal;
use crate::handlers::Context;
use crate::topic_config::TopicSettings;
use crate::validation::Unable;

/// Records of one batch that are told of each: an answer has to stay small.
pub(super) const TOLD_MAX: usize = 1000;

/// Whether all records of a batch are what the topic takes.
pub(super) async fn check(
    context: &Context<'_>,
    settings: &TopicSettings,
    topic: &Topic,
    records: &Records,
) -> Result<(), Refusal> {
    if settings.validation.is_on() {
        check_schemas(context, settings, topic, records).await?;
    }
    if settings.refuses_invalid {
        check_readable(context, topic, records).await?;
    }
    Ok(())
}

/// Whether every record was written with a schema of the topic's subject.
async fn check_schemas(
    context: &Context<'_>,
    settings: &TopicSettings,
    topic: &Topic,
    records: &Records,
) -> Result<(), Refusal> {
    let validator = &context.broker.validator;
    let checked = validator.check(&topic.name, settings.validation, records);
    match checked.await {
        Ok(invalid) => refuse(invalid, "aren't valid"),
        // The producer may try again; by then the registry may answer.
        Err(problem @ Unable::NoAnswer(_)) => {
            Err(Refusal::new(ErrorCode::REQUEST_TIMED_OUT, problem))
        }
        Err(problem @ Unable::NoRegistry) => Err(Refusal::new(ErrorCode::INVALID_CONFIG, problem)),
    }
}

/// Whether the topic's table could read every record.
async fn check_readable(
    context: &Context<'_>,
    topic: &Topic,
    records: &Records,
) -> Result<(), Refusal> {
    let Some(tables) = &context.broker.tables else {
        return Ok(());
    };
    match tables.check(topic, records.clone()).await {
        Ok(invalid) => refuse(invalid, "can't be read"),
        // As above.
        Err(problem @ TableError::NoRegistry) => {
            Err(Refusal::new(ErrorCode::REQUEST_TIMED_OUT, problem))
        }
        Err(problem) => {
            error!(topic = %topic.name, error = %problem, "a batch can't be checked");
            Err(Refusal::new(ErrorCode::UNKNOWN_SERVER_ERROR, problem))
        }
    }
}

/// Refuses a batch for its invalid records, if it has some.
fn refuse(invalid: Vec<Invalid>, what: &str) -> Result<(), Refusal> {
    let Some(first) = invalid.first() else {
        return Ok(());
    };
    let message = match invalid.len() {
        1 => format!("Record {}: {}", first.record, first.message),
        more => format!(
            "{more} records {what}, the first of them record {}: {}",
            first.record, first.message
        ),
    };
    let records = invalid.into_iter().take(TOLD_MAX).filter_map(|invalid| {
        let index = i32::try_from(invalid.record).ok()?;
        Some((index, Some(invalid.message.into())))
    });
    Err(Refusal {
        records: records.collect(),
        ..Refusal::new(ErrorCode::INVALID_RECORD, message)
    })
}
