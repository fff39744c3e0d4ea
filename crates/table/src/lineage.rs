//! Where each row came from: six columns that every table has.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use arrow_schema::{DataType, Field, Fields, TimeUnit};

/// `int`, required: the record's partition.
pub const PARTITION: &str = "kafka_partition";
/// `long`, required: the record's offset in its partition.
pub const OFFSET: &str = "kafka_offset";
/// `timestamptz`: the record's timestamp (create time, or append time where the topic says so).
pub const TIMESTAMP: &str = "kafka_timestamp";
/// `binary`: the record's key, byte for byte; null if it has none.
pub const KEY: &str = "kafka_key";
/// `list<struct<key: string, value: binary>>`: the record's headers in order, repeats kept.
pub const HEADERS: &str = "kafka_headers";
/// `int`: id of the schema the value was written with; null for a null value.
pub const SCHEMA_ID: &str = "kafka_schema_id";

/// All of them, in the order they have in a table.
pub const ALL: [&str; 6] = [PARTITION, OFFSET, TIMESTAMP, KEY, HEADERS, SCHEMA_ID];

/// The columns as Arrow fields.
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
        ])
    });
    &FIELDS
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
