//! Schema texts: what parses is written and parses again alike, grows by itself without change,
//! and makes a decoder that takes any bytes without harm. Two texts, split at a zero byte, are a
//! writer's and a reader's.

#![no_main]

use fletch_columnar::avro::{Schema, grow};
use fletch_columnar::{Decoder, Limits, Options, Types};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(3, |&b| b == 0);
    let mut schema = || {
        let text = std::str::from_utf8(parts.next()?).ok()?;
        Schema::parse(text, &[]).ok()
    };
    let Some(writer) = schema() else { return };
    let reader = schema().unwrap_or_else(|| writer.clone());
    let body = parts.next().unwrap_or_default();

    let text = writer.json();
    let again = Schema::parse(&text, &[]).expect("what we write is a schema");
    assert_eq!(text, again.json());

    if let Ok(grown) = grow(Some(&reader), &writer) {
        let schema = grown.schema;
        assert!(!grow(Some(&schema), &writer).expect("it grew by this").changed);
        decode(&writer, &schema, body);
        decode(&reader, &schema, body);
    }
    decode(&writer, &reader, body);
});

fn decode(writer: &Schema, reader: &Schema, body: &[u8]) {
    for profile in [Types::Arrow, Types::Iceberg] {
        let options = Options {
            profile,
            all_nullable: profile == Types::Iceberg,
            limits: Limits {
                row_items_max: 1 << 12,
                ..Limits::default()
            },
            ..Options::default()
        };
        let Ok(mut decoder) = Decoder::new(reader, options) else {
            continue;
        };
        if decoder.add_writer(0, writer).is_ok() {
            let decoded = decoder.decode(&[body, &[], body]);
            assert_eq!(decoded.batch.num_rows() + decoded.errors.len(), 3);
        }
    }
}
