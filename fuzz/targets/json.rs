//! Raw JSON: texts parted by zero bytes come to a table in their order. What is JSON is what
//! `serde_json` says; every text that is has a row, and the table's text columns hold JSON texts or
//! strings that were sent.

#![no_main]

use fletch_columnar::avro::{Schema, grow};
use fletch_columnar::json::{Inference, Limits, Unknown, Writer};
use fletch_columnar::{Decoder, Options, Reason, Transcoder, Types};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// `serde_json` has the same word on what is JSON, but for numbers beyond a double.
fn is_json(text: &[u8]) -> Option<bool> {
    match serde_json::from_slice::<Value>(text) {
        Ok(_) => Some(true),
        Err(error) if error.to_string().starts_with("number out of range") => None,
        Err(_) => Some(false),
    }
}

fuzz_target!(|input: &[u8]| {
    let (&choice, rest) = input.split_first().unwrap_or((&0, &[]));
    let small = usize::from(choice % 8);
    let limits = match choice {
        0..128 => Limits::default(),
        _ => Limits { columns_max: small, struct_columns_max: small / 2, depth_max: small / 2 },
    };
    let records: Vec<&[u8]> = rest.split(|&b| b == 0).take(32).collect();

    let mut schemas = vec![Inference::new(None, limits).schema()];
    let mut writer = Writer::new(&schemas[0], Unknown::Grow);
    let mut rows: Vec<Vec<u8>> = Vec::new();
    for (i, record) in records.iter().enumerate() {
        let mut grown = false;
        loop {
            let mut row = vec![0];
            row.extend((schemas.len() as u32 - 1).to_be_bytes());
            let taken = writer.transcode(record, &mut row);
            if taken.is_err() && writer.needs_growth() {
                assert!(!grown, "grown in vain");
                grown = true;
                let table = schemas.last().expect("the first");
                let mut seen = Inference::new(Some(table), limits);
                for record in &records[i..] {
                    let _ = seen.see(record);
                }
                assert!(seen.changed());
                let schema = grow(Some(table), &seen.schema()).expect("it only adds").schema;
                let schema = Schema::parse(&schema.json(), &[]).expect("what we write");
                writer = Writer::new(&schema, Unknown::Grow);
                schemas.push(schema);
                continue;
            }
            if let Some(expected) = is_json(record) {
                assert_eq!(taken.is_ok(), expected, "{taken:?}");
            }
            if taken.is_ok() {
                rows.push(row);
            } else {
                assert_eq!(row.len(), 5, "a refused record leaves nothing");
            }
            break;
        }
    }

    let table = schemas.last().expect("the first");
    let rows: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
    for profile in [Types::Arrow, Types::Iceberg] {
        let options = Options { profile, ..Options::default() };
        let mut decoder = Decoder::new(table, options).expect("a table's schema");
        for (id, schema) in schemas.iter().enumerate() {
            decoder.add_writer(id as u32, schema).expect("a former schema");
        }
        let decoded = decoder.decode_framed(&rows);
        assert_eq!(decoded.errors, []);
    }

    // Any schema takes any JSON, or says why not; a schema of the first text itself does.
    if let Some(schema) = records.first().and_then(|text| std::str::from_utf8(text).ok())
        && let Ok(schema) = Schema::parse(schema, &[])
    {
        let mut writer = Writer::new(&schema, Unknown::Ignore);
        let mut decoder = Decoder::new(&schema, Options::default()).ok();
        if let Some(decoder) = &mut decoder {
            let _ = decoder.add_writer(0, &schema);
        }
        for record in &records[1..] {
            let mut row = Vec::new();
            if writer.transcode(record, &mut row).is_ok()
                && let Some(decoder) = &mut decoder
            {
                // Recursive values have a limit of their own, and times that of their column.
                let known = |reason| matches!(reason, Reason::TooDeep(_) | Reason::TimeOutOfRange(_));
                for error in decoder.decode(&[&row]).errors {
                    assert!(known(error.reason), "{schema}: {error}");
                }
            }
        }
    }
});
