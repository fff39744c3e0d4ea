//! Holds our batches against `arrow-avro`'s, value by value, before anything is timed.

use arrow_array_60::RecordBatch as Batch60;
use arrow_cast_60::display::{ArrayFormatter, FormatOptions};
use fletch_columnar::Decoder;

use crate::contenders::ArrowAvro;

/// The batch as the peers' Arrow version has it.
fn convert(batch: &arrow_array::RecordBatch) -> Batch60 {
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

/// # Panics
///
/// If a single value differs.
pub fn same(name: &str, ours: &mut Decoder, theirs: &mut ArrowAvro, messages: &[&[u8]]) {
    let decoded = ours.decode_framed(messages);
    assert!(decoded.errors.is_empty(), "{name}: {:?}", decoded.errors);
    let ours = convert(&decoded.batch);
    let mut batches = Vec::new();
    theirs.decode(messages, |batch| batches.push(batch));
    let rows: usize = batches.iter().map(Batch60::num_rows).sum();
    assert_eq!(ours.num_rows(), rows, "{name}");
    let options = FormatOptions::new().with_null("null");
    let mut first = 0;
    for theirs in &batches {
        let ours = ours.slice(first, theirs.num_rows());
        first += theirs.num_rows();
        for (i, field) in theirs.schema().fields().iter().enumerate() {
            let mine = ours.column_by_name(field.name()).expect("the same columns");
            let mine = ArrayFormatter::try_new(mine, &options).expect("a printable column");
            let other =
                ArrayFormatter::try_new(theirs.column(i), &options).expect("a printable column");
            for row in 0..theirs.num_rows() {
                let (a, b) = (mine.value(row).to_string(), other.value(row).to_string());
                assert_eq!(a, b, "{name}: column {}, row {row}", field.name());
            }
        }
    }
}
