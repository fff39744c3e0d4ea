//! Payloads that are one value each: text, and bytes.

use fletch_columnar::avro::{Schema, SchemaError};
use fletch_columnar::{Misfit, Transcoder};

/// A payload as the only field of a record, an Avro `string` or `bytes`.
pub(crate) struct Plain {
    schema: Schema,
    text: bool,
}

impl Plain {
    /// UTF-8 in this column.
    pub(crate) fn text(column: &str) -> Result<Self, SchemaError> {
        Self::new(column, true)
    }

    /// Any bytes, in this column.
    pub(crate) fn binary(column: &str) -> Result<Self, SchemaError> {
        Self::new(column, false)
    }

    fn new(column: &str, text: bool) -> Result<Self, SchemaError> {
        let kind = Schema::parse(if text { "string" } else { "bytes" }, &[])?;
        let schema = as_field(column, &kind)?;
        Ok(Self { schema, text })
    }
}

impl Transcoder for Plain {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn transcode(&mut self, payload: &[u8], row: &mut Vec<u8>) -> Result<(), Misfit> {
        if self.text
            && let Err(error) = std::str::from_utf8(payload)
        {
            return Err(Misfit {
                path: String::new(),
                position: error.valid_up_to(),
                why: "text that is not UTF-8".into(),
            });
        }
        put_length(row, payload.len());
        row.extend_from_slice(payload);
        Ok(())
    }
}

/// A record of one field, of this schema. A record's bytes are those of its fields one after the
/// other, so whatever was written with the schema can be read with the record.
pub(crate) fn as_field(name: &str, schema: &Schema) -> Result<Schema, SchemaError> {
    // The record has no namespace, which the names within would take over.
    let record = format!(
        r#"{{"type":"record","name":"FletchRow","fields":[{{"name":{},"type":{}}}]}}"#,
        serde_json::Value::from(name),
        schema.json()
    );
    Schema::parse(&record, &[])
}

/// Appends a length as an Avro `long`: zigzag, then seven bits a byte, the lowest first.
fn put_length(row: &mut Vec<u8>, length: usize) {
    let mut rest = (length as u64) << 1;
    while rest >= 0x80 {
        row.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    row.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::cast::AsArray;
    use fletch_columnar::{Decoder, Options};

    #[test]
    fn every_length_of_text_comes_back() {
        let mut plain = Plain::text("value").unwrap();
        let mut decoder = Decoder::new(plain.schema(), Options::default()).unwrap();
        decoder.add_writer(0, plain.schema()).unwrap();
        for length in [0, 1, 63, 64, 8191, 8192, 70_000] {
            let text = "é".repeat(length);
            let mut row = Vec::new();
            plain.transcode(text.as_bytes(), &mut row).unwrap();
            let decoded = decoder.decode(&[&row]);
            assert_eq!(decoded.batch.column(0).as_string::<i32>().value(0), text);
        }
    }

    #[test]
    fn what_is_not_text_says_where() {
        let mut row = vec![9];
        let misfit = Plain::text("value").unwrap().transcode(b"ab\xff", &mut row);
        assert_eq!(misfit.unwrap_err().position, 2);
        assert_eq!(row, [9]);
        Plain::binary("value")
            .unwrap()
            .transcode(b"ab\xff", &mut row)
            .unwrap();
        assert_eq!(row, [9, 6, b'a', b'b', 0xff]);
    }

    #[test]
    fn a_field_keeps_the_names_within() {
        let inner = Schema::parse(r#"{"type":"enum","name":"a.b.E","symbols":["X"]}"#, &[]);
        let wrapped = as_field("kafka \"key\"", &inner.unwrap()).unwrap();
        assert!(wrapped.json().contains("a.b"), "{wrapped}");
    }
}
