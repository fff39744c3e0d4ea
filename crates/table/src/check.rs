//! Records looked at before they are acknowledged, for topics that refuse what can't be read.
//!
//! A topic's checker reads records as its worker will, into columns of its own that grow as the
//! table's will. Nothing is kept of them but what is wrong.

use std::collections::HashMap;
use std::sync::Arc;

use fletch_columnar::avro;
use fletch_store::Topic;
use fletch_wire::records::Records;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::convert::detect::Role;
use crate::convert::payloads::Want;
use crate::convert::{Converter, Need, TableSchemas};
use crate::dead_letter::{DeadLetter, Reason, Refusal};
use crate::schemas::{Answer, Named, Schemas};
use crate::settings::{OnInvalid, TopicSettings};
use crate::worker::House;
use crate::{TableError, home};

/// A record that can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// Which of the batch's records, from 0.
    pub record: usize,
    /// Why not, in words.
    pub message: String,
}

/// The checkers of all topics that have been asked about.
#[derive(Default)]
pub(crate) struct Checkers(std::sync::Mutex<HashMap<Uuid, Arc<Mutex<Checker>>>>);

struct Checker {
    settings: TopicSettings,
    /// What the table's columns held when last looked at.
    basis: TableSchemas,
    /// None while it is at work, and after that was interrupted.
    converter: Option<Converter>,
    schemas: Schemas,
}

impl Checkers {
    /// What is wrong with a batch's records, if the topic refuses those that can't be read. The
    /// table's columns are those of `tables`.
    pub(crate) async fn check(
        &self,
        house: &House,
        topic: &Topic,
        tables: TableSchemas,
        records: Records,
    ) -> Result<Vec<Invalid>, TableError> {
        let settings = TopicSettings::of(topic).map_err(TableError::TopicConfig)?;
        if settings.on_invalid != OnInvalid::Reject {
            return Ok(Vec::new());
        }
        let checker = self.of(house, topic, &settings);
        let mut checker = checker.lock().await;
        if checker.settings != settings {
            *checker = Checker::new(house, settings);
        }
        checker.catch_up(house, tables)?;
        checker.check(house, records).await
    }

    fn of(&self, house: &House, topic: &Topic, settings: &TopicSettings) -> Arc<Mutex<Checker>> {
        let mut checkers = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // Those of topics that are gone.
        checkers.retain(|id, _| house.store.topic_by_id(*id).is_some());
        let new = || Arc::new(Mutex::new(Checker::new(house, settings.clone())));
        checkers.entry(topic.id).or_insert_with(new).clone()
    }
}

impl Checker {
    fn new(house: &House, settings: TopicSettings) -> Self {
        let schemas = Schemas::new(house.source.clone(), &house.config, &settings);
        Self {
            settings,
            basis: TableSchemas::default(),
            converter: None,
            schemas,
        }
    }

    /// Takes over what the table's columns became, beside what they will become for records that
    /// were checked and aren't in the table yet.
    fn catch_up(&mut self, house: &House, tables: TableSchemas) -> Result<(), TableError> {
        let converter = match &self.converter {
            Some(_) if self.basis.is_as(&tables) => return Ok(()),
            converter => converter.as_ref(),
        };
        let own = converter.map(Converter::tables).unwrap_or_default();
        let both = |table: &Option<avro::Schema>, own: Option<avro::Schema>| match (table, own) {
            (Some(table), Some(own)) => {
                let grown = avro::grow(Some(table), &own);
                Some(grown.map_or_else(|_| table.clone(), |grown| grown.schema))
            }
            (table, own) => table.clone().or(own),
        };
        let columns = TableSchemas {
            value: both(&tables.value, own.value),
            key: both(&tables.key, own.key),
        };
        let config = &house.config;
        self.converter = Some(Converter::new(
            &self.settings,
            columns,
            config.batch_records_max,
            config.faults.clone(),
        )?);
        self.basis = tables;
        Ok(())
    }

    async fn check(&mut self, house: &House, records: Records) -> Result<Vec<Invalid>, TableError> {
        self.schemas.look_again();
        while let Some(answer) = self.schemas.ready() {
            self.learn(answer)?;
        }
        for (role, reference) in self.schemas.forget_unknown() {
            if let Some(payloads) = self.converter()?.payloads(role) {
                payloads.forget(reference);
            }
        }
        let (mut invalid, mut from) = (Vec::new(), 0);
        loop {
            let mut converter = self.converter.take().ok_or(TableError::Closed)?;
            let part = records.clone();
            let (converter, output) = tokio::task::spawn_blocking(move || {
                let output = converter.examine(part, from);
                (converter, output)
            })
            .await
            .map_err(|error| TableError::Store(format!("checking ended early: {error}")))?;
            self.converter = Some(converter);
            let output = output?;
            invalid.extend(output.dead.into_iter().map(Invalid::from));
            let Some(stopped) = output.stopped else {
                invalid.sort_by_key(|invalid: &Invalid| invalid.record);
                return Ok(invalid);
            };
            from = output.next.values().copied().max().unwrap_or(from);
            let Need { role, want } = stopped.need;
            match want {
                Want::Columns => self.grow(house, role).await?,
                Want::Schema(reference) => self.find(house, (role, reference)).await?,
            }
        }
    }

    async fn grow(&mut self, house: &House, role: Role) -> Result<(), TableError> {
        let converter = self.converter()?;
        let possible = match converter.growth(role, &house.config) {
            Ok((_, columns)) => home::ensure(None, &columns, None).await,
            Err(error) => Err(error),
        };
        match possible {
            Ok(()) => converter.grow(role),
            Err(TableError::Column { path, why }) => {
                if let Some(payloads) = converter.payloads(role) {
                    payloads.refuse_growth(Refusal {
                        reason: Reason::IncompatibleSchema,
                        message: format!("column {path}: {why}"),
                        path,
                    });
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Asks for a schema, and waits as long as a record may be held up for one.
    async fn find(&mut self, house: &House, wanted: Named) -> Result<(), TableError> {
        self.schemas.ask(wanted);
        let deadline = Instant::now() + house.config.schema_not_found_wait * 2;
        loop {
            let answer = timeout_at(deadline, self.schemas.answered()).await;
            let Ok(answer) = answer else {
                return Err(TableError::NoRegistry);
            };
            if self.learn(answer)? == Some(wanted) {
                return Ok(());
            }
        }
    }

    /// Takes note of an answer; says which schema it is about.
    fn learn(&mut self, answer: Answer) -> Result<Option<Named>, TableError> {
        let Answer::Is(named, text) = answer else {
            return Ok(None);
        };
        let (role, reference) = named;
        if let Some(payloads) = self.converter()?.payloads(role) {
            payloads.know(reference, text);
        }
        Ok(Some(named))
    }

    fn converter(&mut self) -> Result<&mut Converter, TableError> {
        self.converter.as_mut().ok_or(TableError::Closed)
    }
}

impl From<DeadLetter> for Invalid {
    fn from(letter: DeadLetter) -> Self {
        let Refusal {
            reason,
            message,
            path,
        } = letter.refusal;
        let place = if path.is_empty() {
            String::new()
        } else {
            format!(" at {path}")
        };
        Self {
            record: usize::try_from(letter.offset).unwrap_or(0),
            message: format!("{}{place}: {message}", reason.as_str()),
        }
    }
}
