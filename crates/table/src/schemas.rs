//! The schemas that one topic's records name: asked for until there is an answer.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::TableConfig;
use crate::convert::detect::{Role, SchemaRef};
use crate::convert::payloads::refusal;
use crate::dead_letter::{Reason, Refusal};
use crate::schema_files::SchemaFiles;
use crate::settings::{Given, PayloadSettings, TopicSettings};
use crate::source::{SchemaSource, SchemaSourceError, SchemaText};

/// First pause before asking again; it doubles up to the configured one.
const RETRY_FIRST: Duration = Duration::from_millis(50);
/// One question takes this long at most; then the registry counts as not available.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// An id said to be unknown is asked for again after this long, should records still carry it.
const UNKNOWN_FOR: Duration = Duration::from_secs(10);
/// Unknown ids remembered at most; whoever sends more of them makes the registry be asked again.
const UNKNOWN_MAX: usize = 4096;
/// Waiting for ids that the registry doesn't know is allowed once in this time, all ids together:
/// records with made-up ids must not hold up the others for longer.
const PATIENCE_EVERY: Duration = Duration::from_secs(60);

/// A schema that payloads of a role name.
pub(crate) type Named = (Role, SchemaRef);

/// What became of a question.
pub(crate) enum Answer {
    /// It will be asked again.
    Later,
    /// This is the schema, or records that name it can't be read.
    Is(Named, Result<Arc<SchemaText>, Refusal>),
}

type Asked = (Named, Result<Arc<SchemaText>, SchemaSourceError>);

pub(crate) struct Schemas {
    source: Arc<dyn SchemaSource>,
    not_found_wait: Duration,
    depth_max: usize,
    retry_max: Duration,
    /// A schema that the topic names is looked at again after this long.
    given_for: Duration,
    /// How the topic's values and its keys are read: which schemas it names for them.
    value: PayloadSettings,
    key: PayloadSettings,
    files: SchemaFiles,
    asking: JoinSet<Asked>,
    /// Schemas being asked for, and how often the answer was none.
    asked: HashMap<Named, u32>,
    /// Schemas that the registry doesn't know, and when to ask again.
    unknown: HashMap<Named, Instant>,
    /// Schemas that the topic names, and when to look at them again.
    given: HashMap<Named, Instant>,
    /// Those that are being looked at again: nobody waits for them.
    again: HashSet<Named>,
    /// When a schema was last found to be unknown that was worth waiting for.
    waiting_since: Option<Instant>,
    /// Why the registry gave no answer, if it gave none to the last question.
    trouble: Option<String>,
}

impl Schemas {
    pub(crate) fn new(
        source: Arc<dyn SchemaSource>,
        config: &TableConfig,
        settings: &TopicSettings,
    ) -> Self {
        Self {
            source,
            not_found_wait: config.schema_not_found_wait,
            depth_max: config.schema_depth_max,
            retry_max: config.schema_retry_max,
            given_for: config.given_schema_for,
            value: settings.value.clone(),
            key: settings.key.clone().unwrap_or_default(),
            files: SchemaFiles::new(config.schemas.clone()),
            asking: JoinSet::new(),
            asked: HashMap::new(),
            unknown: HashMap::new(),
            given: HashMap::new(),
            again: HashSet::new(),
            waiting_since: None,
            trouble: None,
        }
    }

    /// Why the registry gave no answer to the last question, if it gave none.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Asks for a schema, unless it is being asked for.
    pub(crate) fn ask(&mut self, named: Named) {
        if let Entry::Vacant(vacant) = self.asked.entry(named) {
            vacant.insert(0);
            self.question(named, Duration::ZERO);
        }
    }

    /// Looks again at the schemas that the topic names, where that is due. What they were before goes on
    /// being used until there is an answer, and if there is none.
    pub(crate) fn look_again(&mut self) {
        let now = Instant::now();
        let due = self.given.iter().filter(|(_, until)| **until <= now);
        for named in due.map(|(named, _)| *named).collect::<Vec<_>>() {
            self.given.remove(&named);
            self.again.insert(named);
            self.question(named, Duration::ZERO);
        }
    }

    fn question(&mut self, named: Named, after: Duration) {
        let source = self.source.clone();
        let (role, reference) = named;
        let settings = self.settings(role).clone();
        let files = self.files.clone();
        self.asking.spawn(async move {
            tokio::time::sleep(after).await;
            let question = async move {
                match reference {
                    SchemaRef::Id(id) => source.schema(id).await,
                    SchemaRef::Guid(guid) => source.by_guid(guid).await,
                    SchemaRef::Given => match &settings.given {
                        Some(Given::Subject(subject)) => source.latest(subject).await,
                        Some(Given::File(_)) => load(files, settings).await,
                        None => Err(SchemaSourceError::NotFound),
                    },
                }
            };
            let asked = tokio::time::timeout(ANSWER_TIMEOUT, question).await;
            let answer = asked.unwrap_or_else(|_| {
                let seconds = ANSWER_TIMEOUT.as_secs();
                Err(SchemaSourceError::Unavailable(format!(
                    "no answer in {seconds} s"
                )))
            });
            (named, answer)
        });
    }

    fn settings(&self, role: Role) -> &PayloadSettings {
        match role {
            Role::Value => &self.value,
            Role::Key => &self.key,
        }
    }

    /// An answer, if one is there.
    pub(crate) fn ready(&mut self) -> Option<Answer> {
        let joined = self.asking.try_join_next()?;
        Some(self.joined(joined))
    }

    /// Waits for an answer; for ever if nothing is being asked.
    pub(crate) async fn answered(&mut self) -> Answer {
        match self.asking.join_next().await {
            Some(joined) => self.joined(joined),
            None => std::future::pending().await,
        }
    }

    fn joined(&mut self, joined: Result<Asked, JoinError>) -> Answer {
        match joined {
            Ok((named, answer)) => self.judge(named, answer),
            // The question panicked; nobody knows which. All that wait are asked again.
            Err(_) => {
                let named: Vec<Named> = self.asked.keys().copied().collect();
                named
                    .into_iter()
                    .for_each(|named| self.question(named, self.retry_max));
                Answer::Later
            }
        }
    }

    /// Schemas that were unknown for so long that it is worth asking again.
    pub(crate) fn forget_unknown(&mut self) -> Vec<Named> {
        if self.unknown.is_empty() {
            return Vec::new();
        }
        let now = Instant::now();
        let too_many = self.unknown.len() >= UNKNOWN_MAX;
        let due = |until: &Instant| *until <= now || too_many;
        let named = self
            .unknown
            .iter()
            .filter(|(_, until)| due(until))
            .map(|(named, _)| *named)
            .collect();
        self.unknown.retain(|_, until| !due(until));
        named
    }

    /// May a schema that the registry doesn't have yet be waited for?
    fn patient(&mut self, now: Instant) -> bool {
        let since = match self.waiting_since {
            Some(since) if now.duration_since(since) < PATIENCE_EVERY => since,
            _ => *self.waiting_since.insert(now),
        };
        now.duration_since(since) < self.not_found_wait
    }

    fn judge(
        &mut self,
        named: Named,
        answer: Result<Arc<SchemaText>, SchemaSourceError>,
    ) -> Answer {
        let now = Instant::now();
        let again = self.again.remove(&named);
        if named.1 == SchemaRef::Given && (again || answer.is_ok()) {
            self.given.insert(named, now + self.given_for);
        }
        if again && answer.is_err() {
            return Answer::Later;
        }
        self.trouble = match &answer {
            Err(SchemaSourceError::Unavailable(why)) => Some(why.clone()),
            _ => None,
        };
        let tries = self.asked.get(&named).copied().unwrap_or(0);
        let error = match answer {
            Ok(text) => {
                self.asked.remove(&named);
                return self.admit(named, text, again);
            }
            Err(error) => error,
        };
        let schema = self.describe(named);
        let gone = matches!(error, SchemaSourceError::NotFound);
        if gone && !self.patient(now) {
            self.asked.remove(&named);
            self.unknown.insert(named, now + UNKNOWN_FOR);
            let message = format!("the registry has no {schema}");
            return Answer::Is(named, Err(refusal(Reason::UnknownSchema, message)));
        }
        if tries == 0 {
            tracing::warn!(schema, %error, "schema not there; asking again");
        }
        self.asked.insert(named, tries.saturating_add(1));
        let pause = RETRY_FIRST
            .saturating_mul(1 << tries.min(16))
            .min(self.retry_max);
        self.question(named, pause);
        Answer::Later
    }

    /// A schema that is there, if it may be read.
    fn admit(&self, named: Named, text: Arc<SchemaText>, again: bool) -> Answer {
        if !text.nests_deeper_than(self.depth_max) {
            return Answer::Is(named, Ok(text));
        }
        let message = format!(
            "the {} nests deeper than {} levels (table.schema_depth_max)",
            self.describe(named),
            self.depth_max
        );
        if again {
            tracing::warn!(message, "the schema stays as it was");
            return Answer::Later;
        }
        Answer::Is(named, Err(refusal(Reason::InvalidSchema, message)))
    }

    /// A schema, in words.
    fn describe(&self, (role, reference): Named) -> String {
        match reference {
            SchemaRef::Id(id) => format!("schema {id}"),
            SchemaRef::Guid(guid) => format!("schema {guid}"),
            SchemaRef::Given => match &self.settings(role).given {
                Some(Given::Subject(subject)) => format!("schema of subject {subject}"),
                Some(Given::File(file)) => format!("schema in file {file}"),
                None => "schema for what names none".to_owned(),
            },
        }
    }
}

/// Reads a schema from its file. One that can't be read isn't taken for one that isn't there: records wait,
/// as they do for a registry.
async fn load(
    files: SchemaFiles,
    settings: PayloadSettings,
) -> Result<Arc<SchemaText>, SchemaSourceError> {
    let loaded = tokio::task::spawn_blocking(move || match &settings.given {
        Some(Given::File(name)) => files
            .load(name, &settings)
            .map_err(|error| error.to_string()),
        _ => Err("the topic names no file".to_owned()),
    });
    let loaded = loaded.await.unwrap_or_else(|error| Err(error.to_string()));
    loaded.map(Arc::new).map_err(SchemaSourceError::Unavailable)
}
