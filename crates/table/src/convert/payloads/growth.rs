//! Writers and the columns they need.

use arrow_schema::Fields;
use fletch_columnar::avro::{self, Schema};

use super::{Growth, Known, Payloads, Unfit, Want, WriterKey, decoder};
use crate::TableError;
use crate::convert::beside::beside;
use crate::convert::writers::Writer;
use crate::dead_letter::{Reason, Refusal};
use crate::settings::Evolution;

impl Payloads {
    /// Takes a writer in, if the columns hold what it sends.
    pub(super) fn admit(&mut self, key: WriterKey, mut writer: Writer) -> Result<u32, Unfit> {
        let origin = writer.origin;
        let refused = |path: &str, message: String| {
            let reason = Reason::IncompatibleSchema;
            let path = path.to_owned();
            Unfit::Refused(
                origin.into(),
                Refusal {
                    reason,
                    message,
                    path,
                },
            )
        };
        if let (Evolution::Beside, Some(table)) = (self.settings.evolution, &self.table) {
            writer.schema = beside(&writer.schema, table)
                .map_err(|error| refused(&error.path, error.to_string()))?;
        }
        let grown = avro::grow(self.table.as_ref(), &writer.schema)
            .map_err(|error| refused(&error.path, error.to_string()))?;
        let decoder = match &mut self.decoder {
            Some(decoder) if !grown.changed => decoder,
            _ => {
                self.growth = Some(Growth {
                    table: grown.schema,
                    decoder: None,
                    key,
                });
                return Err(Unfit::Wants(Want::Columns));
            }
        };
        let number = (0..).find(|number| !self.writers.contains_key(number));
        let number = number.unwrap_or(u32::MAX);
        decoder
            .add_writer(number, &writer.schema)
            .map_err(|error| refused(&error.path, error.to_string()))?;
        self.writers.insert(number, writer);
        Ok(number)
    }

    /// The columns as they would be if they grew as asked for.
    pub(crate) fn growth(&mut self) -> Result<(&Schema, Fields), TableError> {
        if let Some(inference) = self.json.inference.take() {
            let refused = |error: avro::Incompatible| TableError::Column {
                path: error.path.clone(),
                why: error.why,
            };
            let key = WriterKey::Json;
            let growth = |table| Growth {
                table,
                decoder: None,
                key,
            };
            // Should it come to nothing, there still is somebody to refuse.
            self.growth = Some(growth(inference.schema()));
            let grown = avro::grow(self.table.as_ref(), &inference.schema()).map_err(refused)?;
            self.growth = Some(growth(grown.schema));
        }
        let growth = self.growth.as_mut().ok_or(TableError::Closed)?;
        let decoder = match &growth.decoder {
            Some(decoder) => decoder,
            None => growth.decoder.insert(decoder(&growth.table)?),
        };
        Ok((&growth.table, decoder.schema().fields().clone()))
    }

    /// The columns are there: payloads that need them can be read.
    pub(crate) fn grow(&mut self) -> Result<(), TableError> {
        let Some(growth) = self.growth.take() else {
            return Ok(());
        };
        // It would ask for columns that there are now.
        if let Some((number, _)) = self.json.writer.take() {
            self.writers.remove(&number);
        }
        let mut grown = match growth.decoder {
            Some(decoder) => decoder,
            None => decoder(&growth.table)?,
        };
        for (number, writer) in &self.writers {
            grown
                .add_writer(*number, &writer.schema)
                .map_err(|error| TableError::Column {
                    path: error.path.clone(),
                    why: format!(
                        "writer {number} doesn't fit the table's columns any more: {}",
                        error.why
                    ),
                })?;
        }
        self.decoder = Some(grown);
        self.table = Some(growth.table);
        Ok(())
    }

    /// The columns can't be had: payloads that need them can't be read.
    pub(crate) fn refuse_growth(&mut self, refusal: Refusal) {
        if let Some(growth) = self.growth.take() {
            self.refuse(growth.key, refusal);
        }
    }

    pub(super) fn refuse(&mut self, key: WriterKey, refusal: Refusal) {
        tracing::warn!(
            writer = ?key,
            reason = refusal.reason.as_str(),
            message = refusal.message,
            "payloads of this writer can't be read"
        );
        match key {
            WriterKey::Schema(reference) => {
                self.schemas.insert(reference, Known::Refused(refusal));
            }
            WriterKey::Message(reference, path) => {
                // It is told wherever it matters.
                let _ = self.know_message(reference, path, Err(refusal));
            }
            WriterKey::Plain(format) => {
                self.plain.insert(format, Err(refusal));
            }
            WriterKey::Json => self.json.refused = Some(refusal),
        }
    }
}
