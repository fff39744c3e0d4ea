//! Rows whose writers are known, decoded into a record batch of the table.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::{ArrayRef, BinaryArray, BooleanArray, RecordBatch};
use arrow_schema::{Field, Fields};
use arrow_select::filter::filter;
use fletch_columnar::{Reason as Why, Row, RowError};

use super::detect::Role;
use super::payloads::{Payloads, refusal};
use super::window::{Fault, Window};
use super::{Beside, Converter, Output};
use crate::dead_letter::Reason;
use crate::format::Sought;
use crate::{TableError, letters, lineage};

/// Rows in their order, by column group.
#[derive(Clone, Copy)]
pub(super) struct Batch<'r> {
    pub(super) values: &'r [Row<'r>],
    /// Of a topic whose keys are read; as many.
    pub(super) keys: Option<&'r [Row<'r>]>,
    /// Of a topic that keeps what can't be read.
    pub(super) raw: Option<Raw<'r>>,
    pub(super) lineage: &'r [ArrayRef],
}

/// Values as they were sent, of rows that may turn out to be nothing else.
#[derive(Clone, Copy)]
pub(super) struct Raw<'r> {
    pub(super) payloads: &'r [Option<&'r [u8]>],
    /// Which of them can't be read.
    pub(super) refused: &'r [bool],
}

/// Columns as decoded: of the good rows only, and what is wrong with the others.
struct Decoded {
    columns: Vec<ArrayRef>,
    errors: Vec<RowError>,
}

impl Converter {
    /// Decodes rows; those that don't fit their schema become dead letters.
    pub(super) fn decode(
        &mut self,
        batch: Batch<'_>,
        window: &Window,
        output: &mut Output,
    ) -> Result<(), TableError> {
        let rows = batch.values.len();
        if rows == 0 {
            return Ok(());
        }
        let started = Instant::now();
        let values = decoded(&mut self.value, batch.values);
        let keys = match (&mut self.key, batch.keys) {
            (Some(payloads), Some(rows)) => decoded(payloads, rows),
            _ => Decoded {
                columns: Vec::new(),
                errors: Vec::new(),
            },
        };
        let full = |error: &RowError| error.reason == Why::ColumnFull;
        if rows > 1 && values.errors.iter().chain(&keys.errors).any(full) {
            let half = rows / 2;
            let (first, second) = (self.part(batch, 0, half), self.part(batch, half, rows));
            for (part, lineage) in [first, second] {
                let lineage = &lineage;
                self.decode(Batch { lineage, ..part }, window, output)?;
            }
            return Ok(());
        }
        let columns = if values.errors.is_empty() && keys.errors.is_empty() {
            let decoded = values.columns.into_iter().chain(keys.columns);
            let decoded = decoded.chain(batch.lineage.iter().cloned());
            decoded.chain(batch.raw.map(Raw::column)).collect()
        } else if let Some(raw) = batch.raw {
            return self.keep_raw(batch, raw, (&values.errors, &keys.errors), window, output);
        } else {
            self.without_bad(batch, values, keys, window, output)?
        };
        let batch = RecordBatch::try_new(self.schema.clone(), columns)?;
        metrics::histogram!("kafka_conversion_duration_seconds").record(started.elapsed());
        metrics::histogram!("kafka_batch_size").record(batch.num_rows() as f64);
        if batch.num_rows() > 0 {
            output.rows.push(batch);
        }
        Ok(())
    }

    /// Some of the rows. Their lineage is given beside them, for it is made here.
    fn part<'r>(&self, batch: Batch<'r>, from: usize, until: usize) -> (Batch<'r>, Vec<ArrayRef>) {
        let slice = |rows: &'r [Row<'r>]| rows.get(from..until).unwrap_or_default();
        let lineage = batch.lineage.iter();
        let lineage = lineage.map(|column| column.slice(from, until - from));
        let part = Batch {
            values: slice(batch.values),
            keys: batch.keys.map(slice),
            raw: batch.raw.map(|raw| Raw {
                payloads: raw.payloads.get(from..until).unwrap_or_default(),
                refused: raw.refused.get(from..until).unwrap_or_default(),
            }),
            lineage: &[],
        };
        (part, lineage.collect())
    }

    /// Decodes again with nulls in the place of what doesn't fit, which is kept as it is.
    fn keep_raw(
        &mut self,
        batch: Batch<'_>,
        raw: Raw<'_>,
        (values, keys): (&[RowError], &[RowError]),
        window: &Window,
        output: &mut Output,
    ) -> Result<(), TableError> {
        let mut refused = raw.refused.to_vec();
        for error in values {
            if let Some(refused) = refused.get_mut(error.row) {
                *refused = true;
            }
        }
        *output.raw.entry(Reason::InvalidValue.as_str()).or_default() +=
            (values.len() + keys.len()) as u64;
        let values = emptied(batch.values, values);
        let keys = batch.keys.map(|rows| emptied(rows, keys));
        let again = Batch {
            values: &values,
            keys: keys.as_deref(),
            raw: Some(Raw {
                refused: &refused,
                ..raw
            }),
            lineage: batch.lineage,
        };
        self.decode(again, window, output)
    }

    /// The columns of the rows that are good in every group; the others become dead letters.
    fn without_bad(
        &self,
        batch: Batch<'_>,
        values: Decoded,
        keys: Decoded,
        window: &Window,
        output: &mut Output,
    ) -> Result<Vec<ArrayRef>, TableError> {
        let rows = batch.values.len();
        let mut bad = HashMap::new();
        let mut good = vec![true; rows];
        let groups = [
            (Role::Key, self.key.as_ref(), batch.keys, &keys.errors),
            (
                Role::Value,
                Some(&self.value),
                Some(batch.values),
                &values.errors,
            ),
        ];
        // Values come last: where both are at fault, the value's is told.
        for (role, payloads, rows, errors) in groups {
            for error in errors {
                let (Some(is_good), Some(row)) = (
                    good.get_mut(error.row),
                    rows.and_then(|rows| rows.get(error.row)),
                ) else {
                    continue;
                };
                *is_good = false;
                let place = lineage::place(batch.lineage, error.row);
                bad.insert(place, fault(role, payloads, row, error));
            }
        }
        window.letters(bad, &mut output.dead);
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for decoded in [values, keys] {
            let mut here = vec![true; rows];
            for error in &decoded.errors {
                if let Some(here) = here.get_mut(error.row) {
                    *here = false;
                }
            }
            // Rows that only the other group refused.
            let kept = here.iter().zip(&good).filter(|(here, _)| **here);
            let kept = BooleanArray::from_iter(kept.map(|(_, good)| Some(*good)));
            for column in &decoded.columns {
                columns.push(filter(column, &kept)?);
            }
        }
        let good = BooleanArray::from(good);
        for column in batch.lineage {
            columns.push(filter(column, &good)?);
        }
        Ok(columns)
    }
}

impl Raw<'_> {
    /// The payloads that can't be read, and nulls.
    fn column(self) -> ArrayRef {
        let kept = self.payloads.iter().zip(self.refused);
        let kept = kept.map(|(payload, refused)| payload.filter(|_| *refused));
        Arc::new(BinaryArray::from_iter(kept))
    }
}

/// The rows, with nulls in the place of those that don't fit.
fn emptied<'r>(rows: &[Row<'r>], errors: &[RowError]) -> Vec<Row<'r>> {
    let mut rows = rows.to_vec();
    for error in errors {
        if let Some(row) = rows.get_mut(error.row) {
            row.body = None;
        }
    }
    rows
}

fn decoded(payloads: &mut Payloads, rows: &[Row<'_>]) -> Decoded {
    match payloads.decoder() {
        None => Decoded {
            columns: Vec::new(),
            errors: Vec::new(),
        },
        Some(decoder) => {
            let decoded = decoder.decode_rows(rows);
            Decoded {
                columns: decoded.batch.columns().to_vec(),
                errors: decoded.errors,
            }
        }
    }
}

fn fault(role: Role, payloads: Option<&Payloads>, row: &Row<'_>, error: &RowError) -> Fault {
    let origin = payloads.and_then(|payloads| payloads.origin(row.writer));
    let (origin, as_sent) = match origin {
        Some((origin, as_sent)) => (Some(origin), as_sent),
        None => (None, false),
    };
    let mut refusal = refusal(Reason::InvalidValue, error.reason.to_string());
    refusal.path.clone_from(&error.path);
    Fault {
        role,
        sought: origin.map(Sought::from).unwrap_or_default(),
        refusal,
        // A transcoded row's bytes aren't the payload's.
        from_end: row
            .body
            .filter(|_| as_sent)
            .and_then(|body| body.len().checked_sub(error.position)),
    }
}

/// The columns of rows: those of the values and of the keys, under the names they have in a
/// table, the lineage, and what the topic has beside it.
pub(super) fn columns(values: &Fields, keys: &Fields, beside: Beside) -> Fields {
    let renamed = values.iter().map(|field| {
        let name = lineage::column_name(field.name());
        Arc::new(Field::clone(field).with_name(name))
    });
    let keys = keys.iter().cloned();
    let lineage = lineage::fields().iter().cloned();
    let more = match beside {
        Beside::Nothing => Fields::empty(),
        Beside::Raw => Fields::from(vec![lineage::raw_field()]),
        Beside::Letters => letters::fields().clone(),
    };
    let more = more.iter().cloned();
    renamed.chain(keys).chain(lineage).chain(more).collect()
}
