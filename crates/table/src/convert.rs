//! Batches of the log to record batches of the table.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch};
use arrow_schema::{Field, Fields, SchemaRef};
use bytes::Bytes;
use fletch_columnar::avro::Schema;
use fletch_columnar::{self as decoder, Decoder, Row};
use fletch_store::StoredBatch;
use fletch_wire::Limits;
use fletch_wire::records::{Batch, Record, Records};

use crate::TableError;
use crate::dead_letter::{DeadLetter, Reason, Refusal};
use crate::lineage::{self, LineageBuilder};

/// Decompressed bytes of log that become one record batch at most, unless one log batch is larger.
const WINDOW_BYTES_MAX: usize = 16 << 20;

/// Batches of one partition, in order, of which records from offset `from` on are wanted.
#[derive(Debug)]
pub(crate) struct Input {
    pub partition: i32,
    pub from: i64,
    pub batches: Vec<StoredBatch>,
}

/// What became of the inputs.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// Rows, in order of the inputs.
    pub rows: Vec<RecordBatch>,
    /// Records that are no rows.
    pub dead: Vec<DeadLetter>,
    /// Next offset of each partition that got further.
    pub next: HashMap<i32, i64>,
    /// Records taken, dead letters included.
    pub records: u64,
    /// A partition whose next record needs a schema that isn't known yet. Later inputs weren't
    /// looked at.
    pub stopped: Option<Stopped>,
}

/// Where a schema is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stopped {
    pub partition: i32,
    pub schema_id: u32,
}

/// Decodes values with the table's schema, and adds the lineage columns.
pub(crate) struct Converter {
    /// None until the first schema: only rows with null values, which have no value columns.
    decoder: Option<Decoder>,
    /// Ids whose records can be decoded, or never will.
    known: HashMap<u32, Result<(), Refusal>>,
    schema: SchemaRef,
    limits: Limits,
    batch_records_max: usize,
}

impl Converter {
    /// A converter into the columns of `decoder`, which knows the schemas of `known`.
    pub(crate) fn new(
        decoder: Option<Decoder>,
        known: HashMap<u32, Result<(), Refusal>>,
        batch_records_max: usize,
    ) -> Self {
        let schema = Arc::new(arrow_schema::Schema::new(columns(decoder.as_ref())));
        Self {
            decoder,
            known,
            schema,
            limits: Limits::default(),
            batch_records_max,
        }
    }

    /// The columns of the rows it makes.
    pub(crate) fn fields(&self) -> &Fields {
        self.schema.fields()
    }

    /// What it knows about schema ids, for the converter that takes its place.
    pub(crate) fn into_known(self) -> HashMap<u32, Result<(), Refusal>> {
        self.known
    }

    /// Records with this id are decodable (its schema was added to the decoder) or never will be.
    pub(crate) fn learn(&mut self, id: u32, known: Result<(), Refusal>) {
        self.known.insert(id, known);
    }

    /// Forgets what was said about an id.
    pub(crate) fn forget(&mut self, id: u32) {
        self.known.remove(&id);
    }

    /// Adds a writer's schema to the decoder, if it has one that can take it.
    pub(crate) fn add_writer(&mut self, id: u32, writer: &Schema) -> Result<(), Refusal> {
        let refusal = |path: String, message: String| Refusal {
            reason: Reason::IncompatibleSchema,
            message,
            path,
        };
        let known = match &mut self.decoder {
            None => Err(refusal(String::new(), "the table has no schema yet".into())),
            Some(decoder) => decoder
                .add_writer(id, writer)
                .map_err(|error| refusal(error.path.clone(), error.to_string())),
        };
        self.learn(id, known.clone());
        known
    }

    /// Takes batches apart, as far as their schemas are known. Blocks for as long as it computes.
    pub(crate) fn convert(&mut self, inputs: Vec<Input>) -> Result<Output, TableError> {
        let mut output = Output::default();
        let mut window = Window::default();
        for input in inputs {
            for stored in input.batches {
                window.add(input.partition, input.from, stored, &self.limits);
                if window.records >= self.batch_records_max || window.bytes >= WINDOW_BYTES_MAX {
                    self.flush(std::mem::take(&mut window), &mut output)?;
                    if output.stopped.is_some() {
                        return Ok(output);
                    }
                }
            }
        }
        self.flush(window, &mut output)?;
        Ok(output)
    }

    fn flush(&mut self, window: Window, output: &mut Output) -> Result<(), TableError> {
        let capacity = window.records.min(self.batch_records_max);
        let mut rows: Vec<Row<'_>> = Vec::with_capacity(capacity);
        let mut lineage = LineageBuilder::with_capacity(capacity);
        // Records of one schema come in long runs: the table of schemas is asked once for each.
        let mut run = None;
        for piece in &window.pieces {
            let partition = piece.partition;
            let records = match &piece.records {
                Ok(Some(records)) => records,
                Ok(None) => {
                    output.next.insert(partition, piece.next);
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
                match self.classify(&record, &mut run) {
                    Ok(row) => {
                        lineage.push(partition, &record, row.body.map(|_| row.writer));
                        rows.push(row);
                    }
                    Err(Unfit::Unknown(schema_id)) => {
                        output.next.insert(partition, record.offset);
                        output.stopped = Some(Stopped {
                            partition,
                            schema_id,
                        });
                        return self.decode(&rows, &lineage.finish(), &window, output);
                    }
                    Err(Unfit::Refused(schema_id, refusal)) => {
                        output
                            .dead
                            .push(letter(partition, &record, schema_id, refusal));
                    }
                }
                output.records += 1;
                output.next.insert(partition, record.offset + 1);
                if rows.len() == self.batch_records_max {
                    self.decode(&rows, &lineage.finish(), &window, output)?;
                    rows.clear();
                }
            }
            output.next.insert(partition, piece.next);
        }
        self.decode(&rows, &lineage.finish(), &window, output)
    }

    /// What a record is to the decoder. `run` is the last id that was found to be decodable.
    fn classify<'a>(&self, record: &Record<'a>, run: &mut Option<u32>) -> Result<Row<'a>, Unfit> {
        for header in record.headers {
            if let Err(error) = std::str::from_utf8(header.key) {
                let message = format!("a header's key is not UTF-8: {error}");
                return Err(Unfit::Refused(
                    None,
                    refusal(Reason::InvalidHeader, message),
                ));
            }
        }
        let Some(value) = record.value else {
            return Ok(Row {
                writer: 0,
                body: None,
            });
        };
        let Some(([0, id @ ..], body)) = value.split_first_chunk::<5>() else {
            let message = format!(
                "a zero byte and a four-byte schema id are expected; the {} bytes begin with {:02x?}",
                value.len(),
                value.get(..5).unwrap_or(value)
            );
            return Err(Unfit::Refused(None, refusal(Reason::NotFramed, message)));
        };
        let writer = u32::from_be_bytes(*id);
        if *run == Some(writer) {
            return Ok(Row {
                writer,
                body: Some(body),
            });
        }
        match self.known.get(&writer) {
            Some(Ok(())) => {
                *run = Some(writer);
                Ok(Row {
                    writer,
                    body: Some(body),
                })
            }
            Some(Err(refusal)) => Err(Unfit::Refused(Some(writer), refusal.clone())),
            None => Err(Unfit::Unknown(writer)),
        }
    }

    /// Decodes rows whose lineage columns these are; those that don't fit their schema become
    /// dead letters.
    fn decode(
        &mut self,
        rows: &[Row<'_>],
        lineage: &[ArrayRef],
        window: &Window,
        output: &mut Output,
    ) -> Result<(), TableError> {
        if rows.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        let (mut columns, errors) = match &mut self.decoder {
            None => (Vec::new(), Vec::new()),
            Some(decoder) => {
                let decoded = decoder.decode_rows(rows);
                (decoded.batch.columns().to_vec(), decoded.errors)
            }
        };
        let full = errors
            .iter()
            .any(|error| error.reason == decoder::Reason::ColumnFull);
        if full && rows.len() > 1 {
            let half = rows.len() / 2;
            let part = |from: usize, len: usize| -> Vec<ArrayRef> {
                lineage
                    .iter()
                    .map(|column| column.slice(from, len))
                    .collect()
            };
            self.decode(&rows[..half], &part(0, half), window, output)?;
            return self.decode(
                &rows[half..],
                &part(half, rows.len() - half),
                window,
                output,
            );
        }
        if errors.is_empty() {
            columns.extend_from_slice(lineage);
        } else {
            let mut good = vec![true; rows.len()];
            let mut bad = HashMap::with_capacity(errors.len());
            for error in errors {
                let Some(row) = good.get_mut(error.row) else {
                    continue;
                };
                *row = false;
                let refusal = Refusal {
                    reason: Reason::InvalidValue,
                    // The decoder counts from the first byte after the frame.
                    message: format!("{} at byte {}", error.reason, error.position + FRAME_BYTES),
                    path: error.path,
                };
                let writer = rows.get(error.row).map(|row| row.writer);
                bad.insert(lineage::place(lineage, error.row), (writer, refusal));
            }
            window.letters(bad, &mut output.dead);
            let good = BooleanArray::from(good);
            for column in lineage {
                columns.push(arrow_select::filter::filter(column, &good)?);
            }
        }
        let batch = RecordBatch::try_new(self.schema.clone(), columns)?;
        metrics::histogram!("kafka_conversion_duration_seconds").record(started.elapsed());
        metrics::histogram!("kafka_batch_size").record(batch.num_rows() as f64);
        if batch.num_rows() > 0 {
            output.rows.push(batch);
        }
        Ok(())
    }
}

/// A zero byte and a schema id.
const FRAME_BYTES: usize = 5;

/// Why a record isn't a row.
enum Unfit {
    /// Nothing is known about its schema yet.
    Unknown(u32),
    /// It is a dead letter.
    Refused(Option<u32>, Refusal),
}

/// Decompressed batches that are being taken apart together.
#[derive(Default)]
struct Window {
    pieces: Vec<Piece>,
    records: usize,
    bytes: usize,
}

/// A batch of the log.
struct Piece {
    partition: i32,
    /// Records below this offset have been taken before.
    from: i64,
    /// The offset after the batch.
    next: i64,
    stored: StoredBatch,
    /// Nothing for a control batch, which has no records of a producer; what is wrong if it can't
    /// be taken apart.
    records: Result<Option<Records>, String>,
}

impl Window {
    fn add(&mut self, partition: i32, from: i64, stored: StoredBatch, limits: &Limits) {
        let read = || -> fletch_wire::Result<Option<Records>> {
            let batch = Batch::try_from(stored.as_sent().clone())?;
            if batch.attributes.is_control() {
                return Ok(None);
            }
            Ok(Some(batch.records(limits)?.at(stored.base_offset())))
        };
        let records = read().map_err(|error| error.to_string());
        if let Ok(Some(records)) = &records {
            self.records += records.len();
            self.bytes += records.bytes().len();
        }
        let from = from.max(stored.base_offset());
        let next = stored.last_offset() + 1;
        self.pieces.push(Piece {
            partition,
            from,
            next,
            stored,
            records,
        });
    }

    /// Makes dead letters of the records at these places.
    fn letters(
        &self,
        mut bad: HashMap<(i32, i64), (Option<u32>, Refusal)>,
        dead: &mut Vec<DeadLetter>,
    ) {
        for piece in &self.pieces {
            let Ok(Some(records)) = &piece.records else {
                continue;
            };
            for record in records.iter().flatten() {
                if bad.is_empty() {
                    return;
                }
                if let Some((schema_id, refusal)) = bad.remove(&(piece.partition, record.offset)) {
                    dead.push(letter(piece.partition, &record, schema_id, refusal));
                }
            }
        }
    }
}

impl Output {
    /// A batch, or what is left of it from offset `from` on, is lost to the table.
    fn unreadable(&mut self, piece: &Piece, from: i64, message: String) {
        let last = piece.next - 1;
        self.dead.push(DeadLetter {
            partition: piece.partition,
            offset: from,
            timestamp: -1,
            key: None,
            value: Some(piece.stored.as_sent().clone()),
            headers: Vec::new(),
            schema_id: None,
            refusal: refusal(
                Reason::UnreadableBatch,
                format!("offsets {from} to {last} can't be read: {message}"),
            ),
        });
        self.records += u64::try_from(piece.next - from).unwrap_or(0);
        self.next.insert(piece.partition, piece.next);
    }
}

fn refusal(reason: Reason, message: String) -> Refusal {
    Refusal {
        reason,
        message,
        path: String::new(),
    }
}

/// The bytes are copied: a dead letter outlives the batch it was in.
fn letter(
    partition: i32,
    record: &Record<'_>,
    schema_id: Option<u32>,
    refusal: Refusal,
) -> DeadLetter {
    DeadLetter {
        partition,
        offset: record.offset,
        timestamp: record.timestamp,
        key: record.key.map(Bytes::copy_from_slice),
        value: record.value.map(Bytes::copy_from_slice),
        headers: record
            .headers
            .map(|header| {
                let value = header.value.map(Bytes::copy_from_slice);
                (Bytes::copy_from_slice(header.key), value)
            })
            .collect(),
        schema_id,
        refusal,
    }
}

/// The columns of rows made by this decoder: its own, under the names they have in a table, and
/// the lineage.
pub(crate) fn columns(decoder: Option<&Decoder>) -> Fields {
    let values = decoder
        .map(|decoder| decoder.schema().fields().clone())
        .unwrap_or_default();
    let renamed = values.iter().map(|field| {
        let name = lineage::column_name(field.name());
        Arc::new(Field::clone(field).with_name(name))
    });
    renamed.chain(lineage::fields().iter().cloned()).collect()
}
