//! Payloads that are one value each: text, and bytes.

use arrow_schema::DataType;
use fletch_columnar::{Transcoder, avro};

use super::{Payloads, Read, Unfit, WriterKey, refusal};
use crate::Format;
use crate::convert::plain::Plain;
use crate::convert::writers::{Form, Writer, column};
use crate::dead_letter::Reason;
use crate::format::{Origin, Sought};

impl Payloads {
    /// Text, or bytes, as one value.
    pub(super) fn plain<'a>(
        &mut self,
        format: Format,
        payload: &'a [u8],
        arena: &mut Vec<u8>,
    ) -> Result<Read<'a>, Unfit> {
        let writer = match self.plain.get(&format) {
            Some(Ok(writer)) => *writer,
            Some(Err(refusal)) => return Err(Unfit::Refused(Sought::of(format), refusal.clone())),
            None => {
                let column = self.plain_column(format);
                let plain = match format {
                    Format::Text => Plain::text(&column),
                    _ => Plain::binary(&column),
                };
                let invalid = |error: avro::SchemaError| {
                    Unfit::Refused(
                        Sought::of(format),
                        refusal(Reason::InvalidSchema, error.to_string()),
                    )
                };
                let plain = plain.map_err(invalid)?;
                let writer = Writer {
                    schema: plain.schema().clone(),
                    form: Form::Transcoded(Box::new(plain)),
                    origin: Origin {
                        format,
                        schema_id: None,
                    },
                };
                let writer = self.admit(WriterKey::Plain(format), writer)?;
                self.plain.insert(format, Ok(writer));
                writer
            }
        };
        self.row(writer, payload, payload, arena)
    }

    /// The column for text or bytes: where the first choice holds something else, a sibling.
    fn plain_column(&self, format: Format) -> String {
        let (data_type, ending) = match format {
            Format::Text => (DataType::Utf8, "text"),
            _ => (DataType::Binary, "bytes"),
        };
        let fields = self.fields();
        let fits = |name: &str| {
            fields
                .find(name)
                .is_none_or(|(_, field)| *field.data_type() == data_type)
        };
        let mut name = self.column().to_owned();
        if !fits(&name) {
            name = format!("{name}_{ending}");
        }
        while !fits(&name) {
            name.push('_');
        }
        name
    }

    pub(super) fn column(&self) -> &'static str {
        column(self.role)
    }
}
