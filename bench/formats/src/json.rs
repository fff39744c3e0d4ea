//! Raw JSON beside `arrow-json`; JSON Schema beside `serde_json`, `jsonschema` and `arrow-json`
//! together. Values are compared before anything is timed.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array_60::RecordBatch as Batch60;
use arrow_json::reader::{Decoder as ArrowJson, ReaderBuilder};
use fletch_columnar::json::{Inference, JsonSchema, Limits, Unknown, Writer};
use fletch_columnar::{Decoder, Options, Transcoder};

use crate::BATCH;
use crate::contenders::Contender;
use crate::json_data::{self as data, Shape};
use crate::measure::{Case, compare};

/// A transcoder and the decoder of its rows.
struct Ours<T> {
    writer: T,
    decoder: Decoder,
    rows: Vec<u8>,
    ends: Vec<usize>,
}

impl<T: Transcoder> Ours<T> {
    fn new(writer: T) -> Self {
        let mut decoder =
            Decoder::new(writer.schema(), Options::default()).expect("a benchmark reader");
        decoder.add_writer(0, writer.schema()).expect("a benchmark writer");
        Self { writer, decoder, rows: Vec::new(), ends: Vec::new() }
    }

    fn decode(&mut self, messages: &[&[u8]]) -> RecordBatch {
        self.rows.clear();
        self.ends.clear();
        for message in messages {
            self.writer.transcode(message, &mut self.rows).expect("a benchmark record");
            self.ends.push(self.rows.len());
        }
        let mut rows = Vec::with_capacity(messages.len());
        let mut start = 0;
        for &end in &self.ends {
            rows.push(&self.rows[start..end]);
            start = end;
        }
        let decoded = self.decoder.decode(&rows);
        assert!(decoded.errors.is_empty());
        decoded.batch
    }
}

fn ours<'a>(mut ours: Ours<impl Transcoder + 'a>) -> Contender<'a> {
    Box::new(move |messages| ours.decode(messages).num_rows())
}

/// The batch as the peers' Arrow version has it.
fn convert(batch: &RecordBatch) -> Batch60 {
    let mut bytes = Vec::new();
    let mut writer = arrow_ipc::writer::StreamWriter::try_new(&mut bytes, &batch.schema())
        .expect("an IPC stream");
    writer.write(batch).expect("an IPC batch");
    writer.finish().expect("an IPC end");
    drop(writer);
    let mut reader = arrow_ipc_60::reader::StreamReader::try_new(bytes.as_slice(), None)
        .expect("an IPC stream");
    reader.next().expect("one batch").expect("an IPC batch")
}

/// `arrow-json`'s decoder for columns like ours.
fn arrow_json(like: &Batch60) -> ArrowJson {
    ReaderBuilder::new(like.schema())
        .with_batch_size(BATCH)
        .build_decoder()
        .expect("a benchmark reader")
}

fn arrow_json_batch(decoder: &mut ArrowJson, messages: &[&[u8]]) -> Batch60 {
    for message in messages {
        let taken = decoder.decode(message).expect("a benchmark record");
        assert_eq!(taken, message.len());
    }
    decoder.flush().expect("benchmark records").expect("a batch")
}

fn refs(messages: &[Vec<u8>]) -> Vec<&[u8]> {
    messages.iter().map(Vec::as_slice).collect()
}

pub fn raw() {
    for Shape { name, messages, .. } in data::shapes(BATCH) {
        let messages = refs(&messages);
        let mut seen = Inference::new(None, Limits::default());
        for message in &messages {
            seen.see(message).expect("a benchmark record");
        }
        let schema = seen.schema();
        let writer = || Writer::new(&schema, Unknown::Grow);
        let mut mine = Ours::new(writer());
        let batch = convert(&mine.decode(&messages));
        let mut theirs = arrow_json(&batch);
        assert!(arrow_json_batch(&mut theirs, &messages) == batch, "{name}: values differ");
        let mut transcoding = Ours::new(writer());
        let cases = vec![
            Case::new(
                "arrow-json",
                &messages,
                Box::new(move |m| arrow_json_batch(&mut theirs, m).num_rows()),
            ),
            Case::new("fletch-columnar", &messages, ours(mine)),
            Case::new(
                "... its text to rows alone",
                &messages,
                Box::new(move |messages| {
                    transcoding.rows.clear();
                    for message in messages {
                        let taken = transcoding.writer.transcode(message, &mut transcoding.rows);
                        taken.expect("a benchmark record");
                    }
                    messages.len()
                }),
            ),
        ];
        compare(&format!("Raw JSON, {name}"), 0, cases);
    }
}

pub fn schema() {
    for Shape { name, messages, schema } in data::shapes(BATCH) {
        let messages = refs(&messages);
        // The same with a rule that can't be seen from writing a row.
        let ruled = schema.replacen("\"properties\"", "\"minProperties\":1,\"properties\"", 1);
        let value: serde_json::Value = serde_json::from_str(&schema).expect("a benchmark schema");
        let validator = Arc::new(jsonschema::validator_for(&value).expect("a benchmark schema"));
        let parse = |text: &str| JsonSchema::parse(text, &[]).expect("a benchmark schema").writer();
        let mut mine = Ours::new(parse(&schema));
        let batch = convert(&mine.decode(&messages));
        let mut theirs = arrow_json(&batch);
        assert!(arrow_json_batch(&mut theirs, &messages) == batch, "{name}: values differ");
        let cases = vec![
            Case::new(
                "serde_json, jsonschema, arrow-json",
                &messages,
                Box::new(move |messages| {
                    for message in messages {
                        let value = serde_json::from_slice(message).expect("a benchmark record");
                        assert!(validator.is_valid(&value));
                    }
                    arrow_json_batch(&mut theirs, messages).num_rows()
                }),
            ),
            Case::new("fletch-columnar", &messages, ours(mine)),
            Case::new("... with a rule for jsonschema", &messages, ours(Ours::new(parse(&ruled)))),
        ];
        compare(&format!("JSON Schema, {name}"), 0, cases);
    }
}
