//! The columns of a dead-letter topic's table: why, and where from, as its records' headers say it.

use std::sync::{Arc, LazyLock};

use arrow_array::ArrayRef;
use arrow_array::builder::{Int32Builder, Int64Builder, StringBuilder};
use arrow_schema::{DataType, Field, Fields};
use fletch_wire::records::Headers;

use crate::dead_letter as dl;

/// The columns, and the headers they are made of.
const TEXTS: [(&str, &str); 6] = [
    ("reason", dl::HEADER_REASON),
    ("message", dl::HEADER_MESSAGE),
    ("path", dl::HEADER_PATH),
    ("decoder", dl::HEADER_DECODER),
    ("source_topic", dl::HEADER_TOPIC),
    ("source_topic_id", dl::HEADER_TOPIC_ID),
];
const PARTITION: &str = "source_partition";
const OFFSET: &str = "source_offset";
const SCHEMA_ID: &str = "source_schema_id";

/// The columns, as Arrow fields. Others may write to such a topic, too: all can be null.
pub(crate) fn fields() -> &'static Fields {
    static FIELDS: LazyLock<Fields> = LazyLock::new(|| {
        let texts = TEXTS
            .iter()
            .map(|(name, _)| Field::new(*name, DataType::Utf8, true));
        let numbers = [
            Field::new(PARTITION, DataType::Int32, true),
            Field::new(OFFSET, DataType::Int64, true),
            Field::new(SCHEMA_ID, DataType::Int32, true),
        ];
        texts.chain(numbers).collect()
    });
    &FIELDS
}

/// Collects them.
#[derive(Default)]
pub(crate) struct LettersBuilder {
    texts: [StringBuilder; TEXTS.len()],
    partitions: Int32Builder,
    offsets: Int64Builder,
    schema_ids: Int32Builder,
}

impl LettersBuilder {
    /// Adds a row. A record that was a dead letter before has the headers twice: what counts begins with the
    /// last reason.
    pub(crate) fn push(&mut self, headers: Headers<'_>) {
        let (mut texts, mut partition, mut offset, mut schema_id) =
            ([None; TEXTS.len()], None, None, None);
        for header in headers {
            let key = header.key;
            if key == dl::HEADER_REASON.as_bytes() {
                (texts, partition, offset, schema_id) = ([None; TEXTS.len()], None, None, None);
            }
            let of_text = TEXTS.iter().position(|(_, name)| key == name.as_bytes());
            if let Some(text) = of_text.and_then(|at| texts.get_mut(at)) {
                *text = header.value;
            } else if key == dl::HEADER_PARTITION.as_bytes() {
                partition = header.value;
            } else if key == dl::HEADER_OFFSET.as_bytes() {
                offset = header.value;
            } else if key == dl::HEADER_SCHEMA_ID.as_bytes() {
                schema_id = header.value;
            }
        }
        for (builder, text) in self.texts.iter_mut().zip(texts) {
            builder.append_option(text.map(String::from_utf8_lossy));
        }
        self.partitions.append_option(number(partition));
        self.offsets.append_option(number(offset));
        // As in other tables: what a frame has are 32 bits, and registries hand out positive numbers.
        let schema_id = number::<u32>(schema_id).map(u32::cast_signed);
        self.schema_ids.append_option(schema_id);
    }

    /// The columns of the rows so far, in the order of [`fields`]; it then begins anew.
    pub(crate) fn finish(&mut self) -> Vec<ArrayRef> {
        let texts = self.texts.iter_mut();
        let texts = texts.map(|text| Arc::new(text.finish()) as ArrayRef);
        let numbers: [ArrayRef; 3] = [
            Arc::new(self.partitions.finish()),
            Arc::new(self.offsets.finish()),
            Arc::new(self.schema_ids.finish()),
        ];
        texts.chain(numbers).collect()
    }
}

fn number<T: std::str::FromStr>(value: Option<&[u8]>) -> Option<T> {
    std::str::from_utf8(value?).ok()?.parse().ok()
}
