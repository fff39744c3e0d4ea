//! The schemas of one topic: which ids its records carry, and what the table's columns make of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use fletch_columnar::avro::{self, Schema};
use fletch_columnar::{Decoder, Options, Types};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::TableError;
use crate::dead_letter::{Reason, Refusal};
use crate::source::{SchemaKind, SchemaSource, SchemaSourceError, SchemaText};

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

/// What became of a question.
pub(crate) enum Answer {
    /// It will be asked again.
    Later,
    /// Records with this id are dead letters.
    Refused(u32, Refusal),
    /// The table's schema holds this writer's.
    Fits(u32, Schema),
    /// The table's schema must become this one to hold the writer's.
    Grows {
        id: u32,
        writer: Schema,
        table: Schema,
    },
}

type Asked = (u32, Result<Arc<SchemaText>, SchemaSourceError>);

pub(crate) struct Schemas {
    source: Arc<dyn SchemaSource>,
    not_found_wait: Duration,
    retry_max: Duration,
    /// The table's schema.
    table: Option<Schema>,
    writers: HashMap<u32, Schema>,
    asking: JoinSet<Asked>,
    /// Ids being asked for, and how often the answer was none.
    asked: HashMap<u32, u32>,
    /// Ids that the registry doesn't know, and when to ask again.
    unknown: HashMap<u32, Instant>,
    /// When an id was last found to be unknown that was worth waiting for.
    waiting_since: Option<Instant>,
}

impl Schemas {
    pub(crate) fn new(
        source: Arc<dyn SchemaSource>,
        not_found_wait: Duration,
        retry_max: Duration,
        table: Option<Schema>,
    ) -> Self {
        Self {
            source,
            not_found_wait,
            retry_max,
            table,
            writers: HashMap::new(),
            asking: JoinSet::new(),
            asked: HashMap::new(),
            unknown: HashMap::new(),
            waiting_since: None,
        }
    }

    /// A decoder into the columns of `table` that knows all writers so far.
    pub(crate) fn decoder(&self, table: Option<&Schema>) -> Result<Option<Decoder>, TableError> {
        let Some(table) = table else { return Ok(None) };
        let options = Options {
            profile: Types::Iceberg,
            all_nullable: true,
            ..Options::default()
        };
        let mut decoder = Decoder::new(table, options).map_err(|error| TableError::Column {
            path: String::new(),
            why: error.to_string(),
        })?;
        for (id, writer) in &self.writers {
            decoder
                .add_writer(*id, writer)
                .map_err(|error| TableError::Column {
                    path: error.path.clone(),
                    why: format!(
                        "schema {id} doesn't fit the table's any more: {}",
                        error.why
                    ),
                })?;
        }
        Ok(Some(decoder))
    }

    /// The table's schema.
    pub(crate) fn table(&self) -> Option<&Schema> {
        self.table.as_ref()
    }

    /// Records of this writer are decoded from now on, into a table of this schema.
    pub(crate) fn settle(&mut self, id: u32, writer: Schema, table: Option<Schema>) {
        self.writers.insert(id, writer);
        if let Some(table) = table {
            self.table = Some(table);
        }
    }

    /// Asks for an id, unless it is being asked for.
    pub(crate) fn ask(&mut self, id: u32) {
        if let Entry::Vacant(vacant) = self.asked.entry(id) {
            vacant.insert(0);
            self.question(id, Duration::ZERO);
        }
    }

    fn question(&mut self, id: u32, after: Duration) {
        let source = self.source.clone();
        self.asking.spawn(async move {
            tokio::time::sleep(after).await;
            let asked = tokio::time::timeout(ANSWER_TIMEOUT, source.schema(id)).await;
            let answer = asked.unwrap_or_else(|_| {
                let seconds = ANSWER_TIMEOUT.as_secs();
                Err(SchemaSourceError::Unavailable(format!(
                    "no answer in {seconds} s"
                )))
            });
            (id, answer)
        });
    }

    /// Waits for an answer; for ever if nothing is being asked.
    pub(crate) async fn answered(&mut self) -> Answer {
        match self.asking.join_next().await {
            Some(Ok((id, answer))) => self.judge(id, answer),
            // The question panicked; nobody knows which. All that wait are asked again.
            Some(Err(_)) => {
                let ids: Vec<u32> = self.asked.keys().copied().collect();
                ids.into_iter()
                    .for_each(|id| self.question(id, self.retry_max));
                Answer::Later
            }
            None => std::future::pending().await,
        }
    }

    /// Ids that were unknown for so long that it is worth asking again.
    pub(crate) fn forget_unknown(&mut self) -> Vec<u32> {
        if self.unknown.is_empty() {
            return Vec::new();
        }
        let now = Instant::now();
        let too_many = self.unknown.len() >= UNKNOWN_MAX;
        let due = |until: &Instant| *until <= now || too_many;
        let ids = self
            .unknown
            .iter()
            .filter(|(_, until)| due(until))
            .map(|(id, _)| *id)
            .collect();
        self.unknown.retain(|_, until| !due(until));
        ids
    }

    /// May a schema that the registry doesn't have yet be waited for?
    fn patient(&mut self, now: Instant) -> bool {
        let since = match self.waiting_since {
            Some(since) if now.duration_since(since) < PATIENCE_EVERY => since,
            _ => *self.waiting_since.insert(now),
        };
        now.duration_since(since) < self.not_found_wait
    }

    fn judge(&mut self, id: u32, answer: Result<Arc<SchemaText>, SchemaSourceError>) -> Answer {
        let now = Instant::now();
        let tries = self.asked.get(&id).copied().unwrap_or(0);
        let text = match answer {
            Ok(text) => text,
            Err(error) => {
                let gone = matches!(error, SchemaSourceError::NotFound);
                if gone && !self.patient(now) {
                    self.asked.remove(&id);
                    self.unknown.insert(id, now + UNKNOWN_FOR);
                    return refused(id, Reason::UnknownSchema, "", error.to_string());
                }
                if tries == 0 {
                    tracing::warn!(id, %error, "schema not there; asking again");
                }
                self.asked.insert(id, tries.saturating_add(1));
                let pause = RETRY_FIRST
                    .saturating_mul(1 << tries.min(16))
                    .min(self.retry_max);
                self.question(id, pause);
                return Answer::Later;
            }
        };
        self.asked.remove(&id);
        if text.kind != SchemaKind::Avro {
            let message = format!("schema {id} is {:?}, not Avro", text.kind);
            return refused(id, Reason::UnsupportedSchema, "", message);
        }
        let references: Vec<&str> = text.references.iter().map(String::as_str).collect();
        let writer = match Schema::parse(&text.text, &references) {
            Ok(writer) => writer,
            Err(error) => return refused(id, Reason::InvalidSchema, "", error.to_string()),
        };
        match avro::grow(self.table.as_ref(), &writer) {
            Err(error) => refused(
                id,
                Reason::IncompatibleSchema,
                &error.path,
                error.to_string(),
            ),
            Ok(grown) if grown.changed => Answer::Grows {
                id,
                writer,
                table: grown.schema,
            },
            Ok(_) => Answer::Fits(id, writer),
        }
    }
}

fn refused(id: u32, reason: Reason, path: &str, message: String) -> Answer {
    tracing::warn!(
        id,
        reason = reason.as_str(),
        message,
        "records with this schema are dead letters"
    );
    Answer::Refused(
        id,
        Refusal {
            reason,
            message,
            path: path.to_owned(),
        },
    )
}
