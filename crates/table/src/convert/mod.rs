//! Batches of the log to record batches of the table.

mod aliases;
mod beside;
mod decode;
pub(crate) mod detect;
mod guard;
mod json;
mod output;
pub(crate) mod payloads;
mod pending;
mod plain;
mod rows;
mod window;
mod writers;

use std::sync::Arc;

use arrow_schema::{Fields, SchemaRef};
use fletch_columnar::avro::Schema;
use fletch_store::StoredBatch;
use fletch_wire::Limits;
use fletch_wire::records::{Record, Records};

use self::decode::{Batch, Raw};
use self::detect::Role;
use self::payloads::{Payloads, Read, Unfit, Want, refusal};
use self::pending::{Pending, Readings};
use self::rows::Rows;
use self::window::{Window, letter};
use crate::dead_letter::Reason;
use crate::faults::Faults;
use crate::format::Sought;
use crate::schema::check_bounds;
use crate::settings::{OnInvalid, TopicSettings};
use crate::{TableConfig, TableError};

pub(crate) use self::output::{Need, Output, Stopped};
pub(crate) use self::plain::as_field;
pub(crate) use self::writers::check_schema;

/// Decompressed bytes of log that become one record batch at most, unless one log batch is larger.
const WINDOW_BYTES_MAX: usize = 16 << 20;

/// Batches of one partition, in order, of which the records from offset `from` on are wanted, and
/// before `until`.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub partition: i32,
    pub from: i64,
    pub until: i64,
    pub batches: Vec<StoredBatch>,
}

/// The schemas that a table's columns hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct TableSchemas {
    pub value: Option<Schema>,
    pub key: Option<Schema>,
}

impl TableSchemas {
    /// Are these the same schemas, and not just equal ones?
    pub(crate) fn is_as(&self, other: &Self) -> bool {
        let same = |a: &Option<Schema>, b: &Option<Schema>| match (a, b) {
            (Some(a), Some(b)) => a.json() == b.json(),
            (None, None) => true,
            _ => false,
        };
        same(&self.value, &other.value) && same(&self.key, &other.key)
    }
}

/// Decodes values, and keys if that is asked for, and adds the lineage columns.
pub(crate) struct Converter {
    value: Payloads,
    key: Option<Payloads>,
    schema: SchemaRef,
    limits: Limits,
    batch_records_max: usize,
    beside: Beside,
    faults: Faults,
}

/// What rows have beside values, keys and lineage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    /// What can't be read is kept in a column.
    Raw,
    /// The records are dead letters, which say why.
    Letters,
}

impl Converter {
    /// A converter into columns of these schemas.
    pub(crate) fn new(
        settings: &TopicSettings,
        tables: TableSchemas,
        batch_records_max: usize,
        faults: Faults,
    ) -> Result<Self, TableError> {
        let value = Payloads::new(Role::Value, settings.value.clone(), tables.value)?;
        let key = match &settings.key {
            Some(key) => Some(Payloads::new(Role::Key, key.clone(), tables.key)?),
            None => None,
        };
        let mut converter = Self {
            value,
            key,
            schema: Arc::new(arrow_schema::Schema::empty()),
            limits: Limits::admitted(),
            batch_records_max,
            beside: match (settings.letters, settings.on_invalid) {
                (true, _) => Beside::Letters,
                (false, OnInvalid::Raw) => Beside::Raw,
                (false, OnInvalid::DeadLetter | OnInvalid::Reject) => Beside::Nothing,
            },
            faults,
        };
        converter.take_columns();
        Ok(converter)
    }

    fn take_columns(&mut self) {
        let keys = self.key.as_ref().map(Payloads::fields).unwrap_or_default();
        let columns = decode::columns(&self.value.fields(), &keys, self.beside);
        self.schema = Arc::new(arrow_schema::Schema::new(columns));
    }

    /// The columns of the rows it makes.
    pub(crate) fn fields(&self) -> &Fields {
        self.schema.fields()
    }

    /// The schemas of those columns.
    pub(crate) fn tables(&self) -> TableSchemas {
        TableSchemas {
            value: self.value.table().cloned(),
            key: self.key.as_ref().and_then(|key| key.table().cloned()),
        }
    }

    /// How payloads of a role are read, if they are.
    pub(crate) fn payloads(&mut self, role: Role) -> Option<&mut Payloads> {
        match role {
            Role::Value => Some(&mut self.value),
            Role::Key => self.key.as_mut(),
        }
    }

    /// The schemas and the columns there will be once what a role asked for is granted.
    pub(crate) fn growth(
        &mut self,
        role: Role,
        config: &TableConfig,
    ) -> Result<(TableSchemas, Fields), TableError> {
        let (mut tables, mut values) = (self.tables(), self.value.fields());
        let mut keys = self.key.as_ref().map(Payloads::fields).unwrap_or_default();
        let beside = self.beside;
        let payloads = self.payloads(role).ok_or(TableError::Closed)?;
        let (schema, fields) = payloads.growth()?;
        match role {
            Role::Value => (tables.value, values) = (Some(schema.clone()), fields),
            Role::Key => (tables.key, keys) = (Some(schema.clone()), fields),
        }
        let columns = decode::columns(&values, &keys, beside);
        check_bounds(&columns, config)?;
        Ok((tables, columns))
    }

    /// What a role asked for is granted.
    pub(crate) fn grow(&mut self, role: Role) -> Result<(), TableError> {
        self.payloads(role).map_or(Ok(()), Payloads::grow)?;
        self.take_columns();
        Ok(())
    }

    /// Makes everything that was compiled anew.
    fn reset(&mut self) -> Result<(), TableError> {
        self.value.reset()?;
        self.key.as_mut().map_or(Ok(()), Payloads::reset)
    }

    /// Reads the records of a batch from one of them on, numbered from 0, to see what is wrong.
    pub(crate) fn examine(&mut self, records: Records, from: i64) -> Result<Output, TableError> {
        let mut output = Output::default();
        self.flush(&Window::of(records, from), &mut output)?;
        Ok(output)
    }

    fn convert_all(&mut self, inputs: &[Input]) -> Result<Output, TableError> {
        let mut output = Output::default();
        let mut window = Window::default();
        for input in inputs {
            for stored in &input.batches {
                window.add(input, stored, &self.limits);
                if window.records >= self.batch_records_max || window.bytes >= WINDOW_BYTES_MAX {
                    self.flush(&std::mem::take(&mut window), &mut output)?;
                    if output.stopped.is_some() {
                        return Ok(output);
                    }
                }
            }
        }
        self.flush(&window, &mut output)?;
        Ok(output)
    }

    fn flush(&mut self, window: &Window, output: &mut Output) -> Result<(), TableError> {
        let mut pending = Pending::new(
            window.records.min(self.batch_records_max),
            self.key.is_some(),
            self.beside,
        );
        'all: for (at, piece) in window.pieces.iter().enumerate() {
            let partition = piece.partition;
            let records = match &piece.records {
                Ok(Some(records)) => records,
                Ok(None) => {
                    output.next.insert(partition, piece.until);
                    continue;
                }
                Err(message) => {
                    output.unreadable(piece, piece.from, message.clone());
                    continue;
                }
            };
            for record in records {
                let record = match record {
                    Ok(record) => record,
                    Err(error) => {
                        // What follows can't be found: the batch as a whole is kept as evidence.
                        let from = output.next.get(&partition).copied().unwrap_or(piece.from);
                        output.unreadable(piece, from, error.to_string());
                        break;
                    }
                };
                if record.offset < piece.from {
                    continue;
                }
                if record.offset >= piece.until {
                    break;
                }
                match self.read(&record, &mut pending, output) {
                    Ok(row) => pending.push(partition, &record, row),
                    Err((role, Unfit::Wants(want))) => {
                        output.next.insert(partition, record.offset);
                        let need = Need { role, want };
                        if want == Want::Columns {
                            self.look_ahead(role, window, at, record.offset);
                        }
                        output.stopped = Some(Stopped { partition, need });
                        break 'all;
                    }
                    Err((role, Unfit::Refused(sought, refusal))) => {
                        // What is wrong with a header isn't said by either decoder.
                        let by =
                            (refusal.reason != Reason::InvalidHeader).then_some((role, sought));
                        let letter = letter(partition, &record, by, refusal);
                        output.dead.push(letter);
                    }
                }
                output.records += 1;
                output.next.insert(partition, record.offset + 1);
                if pending.values.len() == self.batch_records_max {
                    self.decode_pending(&mut pending, window, output)?;
                }
            }
            output.next.insert(partition, piece.until);
        }
        self.decode_pending(&mut pending, window, output)
    }

    /// Shows a role, which asked for columns, all that comes after that offset of a piece: it may
    /// ask for more of them at once.
    fn look_ahead(&mut self, role: Role, window: &Window, piece: usize, offset: i64) {
        let Some(payloads) = self.payloads(role) else {
            return;
        };
        let mut from = Some(offset);
        for piece in window.pieces.iter().skip(piece) {
            let from = from.take().unwrap_or(piece.from);
            let records = piece.records.iter().flatten().flatten().flatten();
            for record in records.filter(|record| record.offset >= from) {
                let payload = match role {
                    Role::Value => record.value,
                    Role::Key => record.key,
                };
                payloads.look_ahead(payload, record.headers);
            }
        }
    }

    /// How a record's value and its key are read.
    fn read<'a>(
        &mut self,
        record: &Record<'a>,
        pending: &mut Pending<'a>,
        output: &mut Output,
    ) -> Result<Readings<'a>, (Role, Unfit)> {
        // Dead letters aren't refused again, for this or anything else.
        let looked_at = (self.beside != Beside::Letters).then_some(record.headers);
        for header in looked_at.into_iter().flatten() {
            if let Err(error) = std::str::from_utf8(header.key) {
                let message = format!("a header's key is not UTF-8: {error}");
                let refusal = refusal(Reason::InvalidHeader, message);
                return Err((Role::Value, Unfit::Refused(Sought::default(), refusal)));
            }
        }
        if let Some(value) = record.value {
            self.faults.look_at(value);
        }
        let keeps_raw = self.beside == Beside::Raw;
        let mut keep = |read: Result<Read<'a>, Unfit>| match read {
            Ok(read) => Ok(Some(read)),
            Err(Unfit::Refused(_, refusal)) if keeps_raw => {
                *output.raw.entry(refusal.reason.as_str()).or_default() += 1;
                Ok(None)
            }
            Err(unfit) => Err(unfit),
        };
        let arena = &mut pending.values.arena;
        let value = keep(self.value.read(record.value, record.headers, arena))
            .map_err(|unfit| (Role::Value, unfit))?;
        let key = match (&mut self.key, &mut pending.keys) {
            (Some(payloads), Some(keys)) => {
                keep(payloads.read(record.key, record.headers, &mut keys.arena))
                    .map_err(|unfit| (Role::Key, unfit))?
            }
            _ => None,
        };
        Ok(Readings {
            refused: value.is_none(),
            value: value.unwrap_or(Read::NULL),
            key: key.unwrap_or(Read::NULL),
        })
    }

    fn decode_pending(
        &mut self,
        pending: &mut Pending<'_>,
        window: &Window,
        output: &mut Output,
    ) -> Result<(), TableError> {
        let lineage = pending.lineage.finish();
        let keys = pending.keys.as_ref().map(Rows::view);
        let batch = Batch {
            values: &pending.values.view(),
            keys: keys.as_deref(),
            raw: (self.beside == Beside::Raw).then_some(Raw {
                payloads: &pending.payloads,
                refused: &pending.refused,
            }),
            lineage: &lineage,
        };
        self.decode(batch, window, output)?;
        drop(keys);
        pending.payloads.clear();
        pending.refused.clear();
        pending.values.clear();
        if let Some(keys) = &mut pending.keys {
            keys.clear();
        }
        Ok(())
    }
}
