//! Schema validation: whether records were written with schemas that their topic's subjects have.
//!
//! A topic that asks for it (`confluent.value.schema.validation`, and likewise for keys) takes a record
//! only if it names a schema and the registry has that under the subject that the topic's strategy
//! says. The payload itself isn't read: that is `fletch.on_invalid=reject`.
//!
//! What was found to be so is kept for a while, and for longer while the registry doesn't answer:
//! producers whose schemas are known go on when it is away.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use fletch_table::{Frame, Invalid, Role, SchemaName, SchemaSourceError};
use fletch_wire::Uuid;
use fletch_wire::records::{Record, Records};
use moka::future::Cache;
use tokio::time::{Instant, timeout};

use crate::registry::Schemas;

/// Topic config: whether values are validated.
pub(crate) const VALUE: &str = "confluent.value.schema.validation";
/// Topic config: whether keys are.
pub(crate) const KEY: &str = "confluent.key.schema.validation";
/// Topic config: how the subjects of values are called.
pub(crate) const VALUE_STRATEGY: &str = "confluent.value.subject.name.strategy";
/// Topic config: how those of keys are.
pub(crate) const KEY_STRATEGY: &str = "confluent.key.subject.name.strategy";

const BY_TOPIC: &str = "io.confluent.kafka.serializers.subject.TopicNameStrategy";
const BY_RECORD: &str = "io.confluent.kafka.serializers.subject.RecordNameStrategy";
const BY_TOPIC_AND_RECORD: &str = "io.confluent.kafka.serializers.subject.TopicRecordNameStrategy";
/// What the strategies may be: the names of Confluent's classes.
pub(crate) const STRATEGIES: &[&str] = &[BY_TOPIC, BY_RECORD, BY_TOPIC_AND_RECORD];

/// A batch's validation takes this long at most; then the registry counts as not answering.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Who uses a schema is asked again after this long.
const FRESH_FOR: Duration = Duration::from_secs(60);
/// That a schema isn't used by a subject is asked again after this long: it may be registered next.
const MISSING_FOR: Duration = Duration::from_secs(1);
/// A registry that didn't answer is asked again after this long, where what is known will do.
const PATIENCE: Duration = Duration::from_secs(5);
/// What was found out is forgotten after this long, whether the registry answers or not.
const KNOWN_FOR: Duration = Duration::from_secs(3600);
/// Schemas remembered.
const SCHEMAS_MAX: u64 = 10_000;
/// Schemas that a batch with bad records makes the registry be asked for: it is refused anyway.
const QUESTIONS_MAX: usize = 16;

/// What a topic wants validated, and under which subjects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Validation {
    value: Option<Strategy>,
    key: Option<Strategy>,
}

/// How the subject of a record is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strategy {
    /// `<topic>-value` or `<topic>-key`.
    Topic,
    /// The name of the record's type.
    Record,
    /// `<topic>-<name of the record's type>`.
    TopicAndRecord,
}

impl Validation {
    /// What a topic's configs ask for.
    pub(crate) fn of(configs: &BTreeMap<String, String>) -> Self {
        let wanted = |switch: &str, strategy: &str| {
            let on = configs.get(switch).is_some_and(|value| value == "true");
            on.then(|| match configs.get(strategy).map(String::as_str) {
                Some(BY_RECORD) => Strategy::Record,
                Some(BY_TOPIC_AND_RECORD) => Strategy::TopicAndRecord,
                _ => Strategy::Topic,
            })
        };
        Self {
            value: wanted(VALUE, VALUE_STRATEGY),
            key: wanted(KEY, KEY_STRATEGY),
        }
    }

    /// Whether anything is validated.
    pub(crate) fn is_on(self) -> bool {
        self != Self::default()
    }

    fn strategy(self, role: Role) -> Option<Strategy> {
        match role {
            Role::Value => self.value,
            Role::Key => self.key,
        }
    }
}

/// Why a batch can be neither taken nor refused for what is in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unable {
    /// There is nobody to ask.
    #[error("the topic validates schemas, and there is no schema registry")]
    NoRegistry,
    /// The registry didn't answer; it may later.
    #[error("schemas can't be validated: {0}")]
    NoAnswer(String),
}

/// Validates the records of all topics.
pub(crate) struct Validator {
    registry: Arc<Schemas>,
    uses: Cache<u32, Uses>,
    ids: Cache<Uuid, u32>,
    names: Cache<(u32, Vec<usize>), Option<Arc<str>>>,
}

/// Who uses a schema.
#[derive(Clone)]
struct Uses {
    /// None if there is no such schema.
    subjects: Option<Arc<[String]>>,
    asked: Instant,
    /// When a subject that is there is to be asked for again.
    again: Instant,
}

impl Uses {
    fn have(&self, subject: &str) -> bool {
        let subjects = self.subjects.as_deref().unwrap_or_default();
        subjects.iter().any(|found| found == subject)
    }
}

/// What is asked about once a batch.
type Question = (Role, SchemaName, Vec<usize>);

impl Validator {
    pub(crate) fn new(registry: Arc<Schemas>) -> Self {
        Self {
            registry,
            uses: kept(),
            ids: kept(),
            names: kept(),
        }
    }

    /// Which of a batch's records, sent to this topic, aren't valid.
    ///
    /// # Errors
    /// [`Unable`] if that can't be found out.
    pub(crate) async fn check(
        &self,
        topic: &str,
        wanted: Validation,
        records: &Records,
    ) -> Result<Vec<Invalid>, Unable> {
        if matches!(*self.registry, Schemas::Nowhere) {
            return Err(Unable::NoRegistry);
        }
        let checked = timeout(ANSWER_TIMEOUT, self.check_all(topic, wanted, records)).await;
        checked.unwrap_or_else(|_| {
            let seconds = ANSWER_TIMEOUT.as_secs();
            let why = format!("the schema registry gave no answer in {seconds} s");
            Err(Unable::NoAnswer(why))
        })
    }

    async fn check_all(
        &self,
        topic: &str,
        wanted: Validation,
        records: &Records,
    ) -> Result<Vec<Invalid>, Unable> {
        let mut invalid = Vec::new();
        let mut judged: HashMap<Question, Result<(), String>> = HashMap::new();
        // What can't be taken apart was found when the batch was admitted.
        for (index, record) in records.iter().flatten().enumerate() {
            for role in [Role::Key, Role::Value] {
                let Some(strategy) = wanted.strategy(role) else {
                    continue;
                };
                if is_null(&record, role) {
                    continue;
                }
                let verdict = match question(&record, role, strategy) {
                    Err(why) => Err(why),
                    Ok(question) => {
                        if judged.len() >= QUESTIONS_MAX && !invalid.is_empty() {
                            return Ok(invalid);
                        }
                        match judged.entry(question) {
                            Entry::Occupied(judged) => judged.get().clone(),
                            Entry::Vacant(new) => {
                                let verdict = self.judge(topic, strategy, new.key()).await?;
                                new.insert(verdict).clone()
                            }
                        }
                    }
                };
                if let Err(message) = verdict {
                    invalid.push(Invalid {
                        record: index,
                        message,
                    });
                    break;
                }
            }
        }
        Ok(invalid)
    }

    async fn judge(
        &self,
        topic: &str,
        strategy: Strategy,
        (role, schema, message): &Question,
    ) -> Result<Result<(), String>, Unable> {
        let part = word(*role);
        let unknown = |schema: &str| format!("the {part}'s schema {schema} isn't in the registry");
        let id = match *schema {
            SchemaName::Id(id) => id,
            SchemaName::Guid(guid) => match self.id(guid).await? {
                Some(id) => id,
                None => return Ok(Err(unknown(&guid.to_string()))),
            },
        };
        let subject = match strategy {
            Strategy::Topic => format!("{topic}-{part}"),
            Strategy::Record | Strategy::TopicAndRecord => {
                let name = match self.name(id, message).await? {
                    Some(Some(name)) => name,
                    Some(None) => {
                        let why = format!("the {part}'s schema {id} gives its records no name");
                        return Ok(Err(why));
                    }
                    None => return Ok(Err(unknown(&id.to_string()))),
                };
                match strategy {
                    Strategy::Record => name.to_string(),
                    _ => format!("{topic}-{name}"),
                }
            }
        };
        let uses = self.uses(id, &subject).await?;
        if uses.have(&subject) {
            return Ok(Ok(()));
        }
        Ok(Err(match uses.subjects {
            None => unknown(&id.to_string()),
            Some(_) => format!("the {part}'s schema {id} isn't registered under subject {subject}"),
        }))
    }

    /// The id of a GUID.
    async fn id(&self, guid: Uuid) -> Result<Option<u32>, Unable> {
        if let Some(id) = self.ids.get(&guid).await {
            return Ok(Some(id));
        }
        let found = known(self.registry.by_guid(guid).await)?;
        let id = found.map(|schema| schema.id);
        if let Some(id) = id {
            self.ids.insert(guid, id).await;
        }
        Ok(id)
    }

    /// The name that a schema has for its records; nothing at all if there is no such schema.
    async fn name(&self, id: u32, message: &[usize]) -> Result<Option<Option<Arc<str>>>, Unable> {
        let key = (id, message.to_vec());
        if let Some(name) = self.names.get(&key).await {
            return Ok(Some(name));
        }
        let Some(schema) = known(self.registry.by_id(id).await)? else {
            return Ok(None);
        };
        let name: Option<Arc<str>> = schema.record_name(message).map(Arc::from);
        self.names.insert(key, name.clone()).await;
        Ok(Some(name))
    }

    /// Who uses a schema, as it was lately found; whether it is this subject should be certain.
    async fn uses(&self, id: u32, subject: &str) -> Result<Uses, Unable> {
        let now = Instant::now();
        let before = self.uses.get(&id).await;
        if let Some(before) = &before {
            let lately = match before.have(subject) {
                true => now < before.again,
                false => now < before.asked + MISSING_FOR,
            };
            if lately {
                return Ok(before.clone());
            }
        }
        let uses = match (known(self.registry.subjects(id).await), before) {
            (Ok(subjects), _) => Uses {
                subjects: subjects.map(Arc::from),
                asked: Instant::now(),
                again: Instant::now() + FRESH_FOR,
            },
            (Err(_), Some(before)) if before.have(subject) => Uses {
                again: Instant::now() + PATIENCE,
                ..before
            },
            (Err(unable), _) => return Err(unable),
        };
        self.uses.insert(id, uses.clone()).await;
        Ok(uses)
    }
}

fn kept<K, V>() -> Cache<K, V>
where
    K: std::hash::Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Cache::builder()
        .max_capacity(SCHEMAS_MAX)
        .time_to_live(KNOWN_FOR)
        .build()
}

/// What the registry has; none if it says that there is none.
fn known<T>(answer: Result<T, SchemaSourceError>) -> Result<Option<T>, Unable> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(SchemaSourceError::NotFound) => Ok(None),
        Err(error) => Err(Unable::NoAnswer(error.to_string())),
    }
}

/// What has to be asked about a part of a record, or what is wrong with it as it is.
fn question(record: &Record<'_>, role: Role, strategy: Strategy) -> Result<Question, String> {
    let frame = Frame::of(record, role)
        .ok_or_else(|| format!("the {} names no schema: it isn't framed", word(role)))?;
    let message = match strategy {
        Strategy::Topic => Vec::new(),
        // What isn't of Protobuf has no such path, and isn't asked for it.
        Strategy::Record | Strategy::TopicAndRecord => frame.message().unwrap_or_default(),
    };
    Ok((role, frame.schema, message))
}

fn is_null(record: &Record<'_>, role: Role) -> bool {
    match role {
        Role::Value => record.value.is_none(),
        Role::Key => record.key.is_none(),
    }
}

fn word(role: Role) -> &'static str {
    match role {
        Role::Value => "value",
        Role::Key => "key",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_says_what_is_validated_and_under_which_subjects() {
        let of = |configs: &[(&str, &str)]| {
            let configs = configs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            Validation::of(&configs.collect())
        };
        assert!(!of(&[]).is_on());
        assert!(!of(&[(VALUE, "false"), (VALUE_STRATEGY, BY_RECORD)]).is_on());
        let value = of(&[(VALUE, "true")]);
        assert_eq!(value.strategy(Role::Value), Some(Strategy::Topic));
        assert_eq!(value.strategy(Role::Key), None);
        let both = of(&[
            (VALUE, "true"),
            (VALUE_STRATEGY, BY_RECORD),
            (KEY, "true"),
            (KEY_STRATEGY, BY_TOPIC_AND_RECORD),
        ]);
        assert_eq!(both.strategy(Role::Value), Some(Strategy::Record));
        assert_eq!(both.strategy(Role::Key), Some(Strategy::TopicAndRecord));
    }
}
