//! JSON Schema: a schema text and records, parted by zero bytes. A record that is taken is valid by
//! `jsonschema`; one that is refused is invalid, or doesn't fit a column, and says so. Rows decode.

#![no_main]

use fletch_columnar::json::JsonSchema;
use fletch_columnar::{Decoder, Options, Transcoder};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(32, |&b| b == 0);
    let text = parts.next().and_then(|text| std::str::from_utf8(text).ok());
    let Some(text) = text else { return };
    let Ok(schema) = JsonSchema::parse(text, &[]) else { return };
    let value: Value = serde_json::from_str(text).expect("it was JSON");
    let validator = jsonschema::options()
        .should_validate_formats(false)
        .build(&value)
        .expect("it was a schema");
    let mut writer = schema.writer();
    let mut decoder = Decoder::new(schema.schema(), Options::default()).expect("a schema of ours");
    decoder.add_writer(0, schema.schema()).expect("the same");
    for record in parts {
        let mut row = Vec::new();
        let taken = writer.transcode(record, &mut row);
        match &taken {
            Ok(()) => {
                let decoded = decoder.decode(&[&row]);
                assert_eq!(decoded.errors, [], "{}", schema.schema());
            }
            Err(_) => assert!(row.is_empty()),
        }
        let Ok(record) = serde_json::from_slice::<Value>(record) else {
            // A number beyond a double may stand where nothing looks at it.
            continue;
        };
        match taken {
            Ok(()) => assert!(validator.is_valid(&record), "{record}"),
            Err(misfit) if validator.is_valid(&record) => {
                assert!(misfit.why.starts_with("the column holds"), "{record}: {misfit}");
            }
            Err(_) => {}
        }
    }
});
