//! Changing what topics are configured with, for the two APIs that do.

use std::collections::{BTreeMap, HashSet};

use fletch_store::StoreError;
use fletch_wire::{ErrorCode, Str};
use tracing::{error, info};

use crate::handlers::Context;

const TOPIC: i8 = 2;

/// Why a change isn't made: the code and the words.
pub(crate) type Refusal = (ErrorCode, String);

/// Something that has configs, as requests name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Resource<'a> {
    kind: i8,
    name: &'a str,
}

impl<'a> Resource<'a> {
    pub(crate) fn new(kind: i8, name: &'a str) -> Self {
        Self { kind, name }
    }

    /// Gives a topic the configs that `change` makes of those it has, or only says if it would.
    /// The answer is the error code, and words for it.
    pub(crate) async fn alter(
        self,
        context: &Context<'_>,
        twice: &HashSet<Resource<'_>>,
        validate_only: bool,
        change: impl FnOnce(BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Refusal>,
    ) -> (ErrorCode, Option<Str>) {
        let refused = |error: ErrorCode, words: String| (context.count(error), Some(words.into()));
        if twice.contains(&self) {
            let words = "The resource is named more than once.".to_owned();
            return refused(ErrorCode::INVALID_REQUEST, words);
        }
        if self.kind != TOPIC {
            let words =
                "Only topics are configured this way; a broker reads its settings at start.";
            return refused(ErrorCode::INVALID_REQUEST, words.to_owned());
        }
        if self.name.is_empty() {
            let words = "There are no configs of all topics.".to_owned();
            return refused(ErrorCode::INVALID_REQUEST, words);
        }
        match context
            .broker
            .configure_topic(self.name, validate_only, change)
            .await
        {
            Ok(()) => {
                if !validate_only {
                    info!(topic = self.name, "topic configured on request");
                }
                (ErrorCode::NONE, None)
            }
            Err(ConfigureError::Refused((error, words))) => refused(error, words),
            Err(ConfigureError::Store(StoreError::UnknownTopic { .. })) => {
                let error = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
                refused(error, error.message().to_owned())
            }
            Err(ConfigureError::Store(problem @ StoreError::InvalidSetting { .. })) => {
                refused(ErrorCode::INVALID_CONFIG, problem.to_string())
            }
            Err(ConfigureError::Store(problem)) => {
                error!(topic = self.name, error = %problem, "a topic can't be configured");
                refused(ErrorCode::KAFKA_STORAGE_ERROR, problem.to_string())
            }
        }
    }
}

/// Resources that a request names more than once.
pub(crate) fn twice<'a>(resources: impl Iterator<Item = Resource<'a>>) -> HashSet<Resource<'a>> {
    let mut seen = HashSet::new();
    resources
        .filter(|resource| !seen.insert(*resource))
        .collect()
}

/// Why a topic wasn't configured.
#[derive(Debug)]
pub(crate) enum ConfigureError {
    /// What is wrong with the configs.
    Refused(Refusal),
    /// The store refused.
    Store(StoreError),
}
