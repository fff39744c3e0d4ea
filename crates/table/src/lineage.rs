//! Where each row came from: seven columns that every table has, and some that a topic asks for.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use arrow_array::builder::{BinaryBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{
    ArrayRef, Int32Array, Int64Array, ListArray, StringArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer, OffsetBufferBuilder};
use arrow_schema::{DataType, Field, Fields, TimeUnit};
use fletch_wire::records::Record;

use crate::Format;
use crate::format::Origin;
use crate::letters::LettersBuilder;

/// `int`, required: the record's partition.
pub const PARTITION: &str = "kafka_partition";
/// `long`, required: the record's offset in its partition.
pub const OFFSET: &str = "kafka_offset";
/// `timestamptz`: the record's timestamp (create time, or append time where the topic says so);
/// null if it has none, or one that microseconds since 1970 can't express in 64 bits.
pub const TIMESTAMP: &str = "kafka_timestamp";
/// `binary`: the record's key, byte for byte; null if it has none.
pub const KEY: &str = "kafka_key";
/// `list<struct<key: string, value: binary>>`: the record's headers in order, repeats kept.
pub const HEADERS: &str = "kafka_headers";
/// `int`: id of the schema the value was written with; null if it names none, and for a null value.
pub const SCHEMA_ID: &str = "kafka_schema_id";
/// `string`: what the value was taken for, one of the words of [`Format`]; null for a null value.
pub const FORMAT: &str = "kafka_format";
/// The key as the topic's `fletch.key.format` reads it, in a column of whatever type that gives.
pub const KEY_VALUE: &str = "kafka_key_value";
/// Keys found to be text where [`KEY_VALUE`] is something else.
pub const KEY_VALUE_TEXT: &str = "kafka_key_value_text";
/// Keys found to be bytes where [`KEY_VALUE`] is something else.
pub const KEY_VALUE_BYTES: &str = "kafka_key_value_bytes";
/// `binary`: a value that can't be read, byte for byte, in the tables of topics that keep those;
/// null for the others.
pub const RAW: &str = "kafka_raw";

/// All of them. The first seven are in every table, in this order.
pub const ALL: [&str; 11] = [
    PARTITION,
    OFFSET,
    TIMESTAMP,
    KEY,
    HEADERS,
    SCHEMA_ID,
    FORMAT,
    KEY_VALUE,
    KEY_VALUE_TEXT,
    KEY_VALUE_BYTES,
    RAW,
];

/// The columns of every table, as Arrow fields.
pub(crate) fn fields() -> &'static Fields {
    static FIELDS: LazyLock<Fields> = LazyLock::new(|| {
        Fields::from(vec![
            Field::new(PARTITION, DataType::Int32, false),
            Field::new(OFFSET, DataType::Int64, false),
            Field::new(
                TIMESTAMP,
                DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
                true,
            ),
            Field::new(KEY, DataType::Binary, true),
            Field::new(HEADERS, DataType::List(header_field().clone()), true),
            Field::new(SCHEMA_ID, DataType::Int32, true),
            Field::new(FORMAT, DataType::Utf8, true),
        ])
    });
    &FIELDS
}

/// [`RAW`] as an Arrow field.
pub(crate) fn raw_field() -> Arc<Field> {
    Arc::new(Field::new(RAW, DataType::Binary, true))
}

/// The element of [`HEADERS`].
pub(crate) fn header_field() -> &'static Arc<Field> {
    static FIELD: LazyLock<Arc<Field>> = LazyLock::new(|| {
        let members = vec![
            Field::new("key", DataType::Utf8, true),
            Field::new("value", DataType::Binary, true),
        ];
        Field::new("element", DataType::Struct(members.into()), true).into()
    });
    &FIELD
}

/// Is this the name of a lineage column?
pub(crate) fn is_lineage(name: &str) -> bool {
    ALL.contains(&name)
}

/// The column that a payload field is stored in.
///
/// A field named like a lineage column, in whatever case and followed by any number of
/// underscores, gets one more underscore: `kafka_offset` is stored in `kafka_offset_`,
/// `kafka_offset_` in `kafka_offset__`. So no two fields ever share a column, and a field's
/// column doesn't depend on which other fields there are or come later.
pub fn column_name(field: &str) -> Cow<'_, str> {
    let stem = field.trim_end_matches('_');
    if ALL.iter().any(|name| name.eq_ignore_ascii_case(stem)) {
        Cow::Owned(format!("{field}_"))
    } else {
        Cow::Borrowed(field)
    }
}

/// The partition and offset of a row, from its lineage columns.
pub(crate) fn place(columns: &[ArrayRef], row: usize) -> (i32, i64) {
    match columns {
        [partitions, offsets, ..] => (
            partitions.as_primitive::<Int32Type>().value(row),
            offsets.as_primitive::<Int64Type>().value(row),
        ),
        _ => (-1, -1),
    }
}

/// Collects the lineage of rows.
pub(crate) struct LineageBuilder {
    capacity: usize,
    partitions: Vec<i32>,
    offsets: Vec<i64>,
    timestamps: Vec<i64>,
    timestamp_nulls: NullBufferBuilder,
    keys: BinaryBuilder,
    headers: HeadersBuilder,
    schema_ids: Vec<i32>,
    schema_id_nulls: NullBufferBuilder,
    formats: Vec<Option<Format>>,
    /// Of a dead-letter topic.
    letters: Option<LettersBuilder>,
}

/// Headers of rows; most topics have none, so nothing is built before the first.
struct HeadersBuilder {
    lengths: Vec<usize>,
    keys: StringBuilder,
    values: BinaryBuilder,
}

impl LineageBuilder {
    /// A builder for so many rows; of a dead-letter topic, with the columns that those have.
    pub(crate) fn with_capacity(rows: usize, letters: bool) -> Self {
        Self {
            letters: letters.then(LettersBuilder::default),
            capacity: rows,
            partitions: Vec::with_capacity(rows),
            offsets: Vec::with_capacity(rows),
            timestamps: Vec::with_capacity(rows),
            timestamp_nulls: NullBufferBuilder::new(rows),
            keys: BinaryBuilder::with_capacity(rows, 0),
            headers: HeadersBuilder {
                lengths: Vec::new(),
                keys: StringBuilder::new(),
                values: BinaryBuilder::new(),
            },
            schema_ids: Vec::with_capacity(rows),
            schema_id_nulls: NullBufferBuilder::new(rows),
            formats: Vec::with_capacity(rows),
        }
    }

    /// Adds a row, whose value came from there. The headers' keys have been found to be UTF-8, but for those
    /// of dead letters.
    pub(crate) fn push(&mut self, partition: i32, record: &Record<'_>, origin: Option<Origin>) {
        let row = self.offsets.len();
        self.partitions.push(partition);
        self.offsets.push(record.offset);
        // -1 is Kafka's way of saying that there is none.
        let micros = record
            .timestamp
            .checked_mul(1000)
            .filter(|_| record.timestamp != -1);
        self.timestamps.push(micros.unwrap_or(0));
        self.timestamp_nulls.append(micros.is_some());
        self.keys.append_option(record.key);
        if let Some(letters) = &mut self.letters {
            letters.push(record.headers);
        }
        if !record.headers.is_empty() {
            self.headers.lengths.resize(row, 0);
            self.headers.lengths.push(record.headers.len());
            for header in record.headers {
                self.headers
                    .keys
                    .append_value(String::from_utf8_lossy(header.key));
                self.headers.values.append_option(header.value);
            }
        }
        // Registries hand out positive 32-bit ids; the frame has 32 bits.
        let schema_id = origin.and_then(|origin| origin.schema_id);
        self.schema_ids
            .push(schema_id.map_or(0, |id| id.cast_signed()));
        self.schema_id_nulls.append(schema_id.is_some());
        self.formats.push(origin.map(|origin| origin.format));
    }

    /// The columns of the rows so far, in the order of [`fields`], and a dead-letter topic's; it then
    /// begins anew.
    pub(crate) fn finish(&mut self) -> Vec<ArrayRef> {
        let rows = self.offsets.len();
        let fresh = Self::with_capacity(self.capacity, self.letters.is_some());
        let done = std::mem::replace(self, fresh);
        let Self {
            mut headers,
            mut keys,
            mut letters,
            ..
        } = done;
        let letters = letters.as_mut().map(LettersBuilder::finish);
        let mut timestamp_nulls = done.timestamp_nulls;
        let mut schema_id_nulls = done.schema_id_nulls;
        let lineage: [ArrayRef; 7] = [
            Arc::new(Int32Array::from(done.partitions)),
            Arc::new(Int64Array::from(done.offsets)),
            Arc::new(
                TimestampMicrosecondArray::new(done.timestamps.into(), timestamp_nulls.finish())
                    .with_timezone("+00:00"),
            ),
            Arc::new(keys.finish()),
            Arc::new(headers.finish(rows)),
            Arc::new(Int32Array::new(
                done.schema_ids.into(),
                schema_id_nulls.finish(),
            )),
            Arc::new(StringArray::from_iter(
                done.formats.iter().map(|format| format.map(Format::as_str)),
            )),
        ];
        lineage
            .into_iter()
            .chain(letters.into_iter().flatten())
            .collect()
    }
}

impl HeadersBuilder {
    fn finish(&mut self, rows: usize) -> ListArray {
        let DataType::Struct(members) = header_field().data_type() else {
            unreachable!("headers are structs")
        };
        let entries: Vec<ArrayRef> =
            vec![Arc::new(self.keys.finish()), Arc::new(self.values.finish())];
        let entries = StructArray::new(members.clone(), entries, None);
        let offsets = if self.lengths.is_empty() {
            OffsetBuffer::new_zeroed(rows)
        } else {
            self.lengths.resize(rows, 0);
            let mut offsets = OffsetBufferBuilder::new(rows);
            self.lengths
                .iter()
                .for_each(|length| offsets.push_length(*length));
            offsets.finish()
        };
        ListArray::new(header_field().clone(), offsets, Arc::new(entries), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_payload_field_takes_a_lineage_column() {
        for name in ALL {
            let mut field = name.to_owned();
            for _ in 0..3 {
                let column = column_name(&field).into_owned();
                assert_eq!(column, format!("{field}_"));
                field = column;
            }
        }
        assert_eq!(column_name("Kafka_Key"), "Kafka_Key_");
        assert_eq!(column_name("kafka_keys"), "kafka_keys");
        assert_eq!(column_name("id_"), "id_");
        assert_eq!(column_name("___"), "___");
    }
}
