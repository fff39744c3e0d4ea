//! How each column of a data file is encoded.
//!
//! A dictionary pays where values repeat; where they don't, building one costs more than all other
//! encoding and is thrown away in the end. So the first rows of a file are looked at.

use std::collections::HashSet;
use std::hash::Hash;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, SchemaRef};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::data_file::CREATED_BY;
use crate::lineage;

/// Rows in one data page at most: what a reader decodes at least to reach one row.
const PAGE_ROWS_MAX: usize = 20_000;
/// zstd's fastest ordinary level; higher ones cost far more time than they save space here.
const ZSTD_LEVEL: i32 = 1;
/// Values of a column that are looked at.
const SAMPLE_ROWS: usize = 1024;
/// With fewer values than this nothing can be said.
const SAMPLE_ROWS_MIN: usize = 128;

/// The settings of a file of these columns whose first rows are these.
pub(crate) fn properties(schema: &SchemaRef, first: &RecordBatch) -> WriterProperties {
    let zstd = ZstdLevel::try_new(ZSTD_LEVEL).map(Compression::ZSTD);
    let mut properties = WriterProperties::builder()
        .set_compression(zstd.unwrap_or(Compression::SNAPPY))
        .set_created_by(CREATED_BY.into())
        .set_data_page_row_count_limit(PAGE_ROWS_MAX)
        .set_max_row_group_row_count(None)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_statistics_truncate_length(Some(16));
    for (field, column) in schema.fields().iter().zip(first.columns()) {
        let path = || ColumnPath::from(vec![field.name().clone()]);
        properties = match field.name().as_str() {
            // Rising steadily: the differences are tiny, the values are all different. Page
            // statistics let a reader find a range of either within the file.
            lineage::OFFSET | lineage::TIMESTAMP => properties
                .set_column_dictionary_enabled(path(), false)
                .set_column_encoding(path(), Encoding::DELTA_BINARY_PACKED)
                .set_column_statistics_enabled(path(), EnabledStatistics::Page),
            lineage::PARTITION => {
                properties.set_column_statistics_enabled(path(), EnabledStatistics::Page)
            }
            _ if repeats(column) => properties,
            _ if is_integer(column.data_type()) => properties
                .set_column_dictionary_enabled(path(), false)
                .set_column_encoding(path(), Encoding::DELTA_BINARY_PACKED),
            _ => properties.set_column_dictionary_enabled(path(), false),
        };
    }
    properties.build()
}

/// Stored in Parquet as 32 or 64-bit integers, as they are.
fn is_integer(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int32
            | DataType::Int64
            | DataType::Date32
            | DataType::Time64(_)
            | DataType::Timestamp(_, _)
    )
}

/// Do values come again so often that a dictionary is worth while? Yes if it can't be told.
fn repeats(column: &ArrayRef) -> bool {
    let column = column.slice(0, column.len().min(SAMPLE_ROWS));
    let data = column.to_data();
    match column.data_type() {
        DataType::Int32 | DataType::Date32 | DataType::Float32 => {
            few(&column, data.buffer::<u32>(0))
        }
        DataType::Int64 | DataType::Time64(_) | DataType::Timestamp(_, _) | DataType::Float64 => {
            few(&column, data.buffer::<u64>(0))
        }
        DataType::Decimal128(_, _) => few(&column, data.buffer::<i128>(0)),
        DataType::Utf8 => {
            let values: Vec<&str> = column
                .as_string::<i32>()
                .iter()
                .map(Option::unwrap_or_default)
                .collect();
            few(&column, &values)
        }
        DataType::Binary => {
            let values: Vec<&[u8]> = column
                .as_binary::<i32>()
                .iter()
                .map(Option::unwrap_or_default)
                .collect();
            few(&column, &values)
        }
        _ => true,
    }
}

/// Is at most half of the values that aren't null different from those before?
fn few<T: Hash + Eq>(column: &ArrayRef, values: &[T]) -> bool {
    let mut seen = HashSet::with_capacity(SAMPLE_ROWS);
    let mut count = 0;
    for (row, value) in values.iter().take(column.len()).enumerate() {
        if column.is_valid(row) {
            count += 1;
            seen.insert(value);
        }
    }
    count < SAMPLE_ROWS_MIN || seen.len() * 2 <= count
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Int64Array, StringArray};
    use std::sync::Arc;

    #[test]
    fn dictionaries_are_for_values_that_repeat() {
        let ints = |from: i64, modulus: i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(
                (0..5000).map(|n| from + n % modulus),
            ))
        };
        assert!(repeats(&ints(0, 10)));
        assert!(!repeats(&ints(1 << 40, 5000)));
        // A slice is looked at where it begins.
        assert!(!repeats(&ints(0, 5000).slice(4000, 1000)));
        let mostly_null: ArrayRef = Arc::new(Int64Array::from_iter(
            (0..5000).map(|n| (n % 100 == 0).then_some(n)),
        ));
        assert!(repeats(&mostly_null));
        let words: ArrayRef = Arc::new(StringArray::from_iter_values(
            (0..5000).map(|n| format!("w{}", n % 7)),
        ));
        assert!(repeats(&words));
        let keys: ArrayRef = Arc::new(StringArray::from_iter_values(
            (0..5000).map(|n| format!("key {n}")),
        ));
        assert!(!repeats(&keys));
        assert!(repeats(&keys.slice(0, 20)));
    }
}
