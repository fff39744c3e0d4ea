//! Old data files in the shape of the table's current columns.
//!
//! Columns are matched by field id at every level, as Iceberg has it: a column the file lacks is
//! null, one that was promoted since is widened.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, ListArray, MapArray, RecordBatch, RecordBatchOptions, StructArray,
    new_null_array,
};
use arrow_schema::{DataType, Field, Fields, SchemaRef};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

use crate::TableError;

/// The rows of a data file, as its Parquet reader gives them, in the columns of `target`.
pub(crate) fn adapt(target: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch, TableError> {
    let rows = batch.num_rows();
    let schema = batch.schema();
    let columns = adapt_fields(target.fields(), schema.fields(), batch.columns(), rows)?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(
        target.clone(),
        columns,
        &options,
    )?)
}

fn adapt_fields(
    targets: &Fields,
    sources: &Fields,
    columns: &[ArrayRef],
    rows: usize,
) -> Result<Vec<ArrayRef>, TableError> {
    let find = |target: &Field| {
        let id = id(target)?;
        sources
            .iter()
            .position(|source| self::id(source) == Some(id))
    };
    targets
        .iter()
        .map(
            |target| match find(target).and_then(|at| sources.get(at).zip(columns.get(at))) {
                Some((source, column)) => adapt_column(target, source, column),
                None => Ok(new_null_array(target.data_type(), rows)),
            },
        )
        .collect()
}

fn adapt_column(target: &Field, source: &Field, column: &ArrayRef) -> Result<ArrayRef, TableError> {
    match (target.data_type(), source.data_type()) {
        (DataType::Struct(targets), DataType::Struct(sources)) => {
            let array = column.as_struct();
            let members = adapt_fields(targets, sources, array.columns(), array.len())?;
            let nulls = array.nulls().cloned();
            Ok(Arc::new(StructArray::try_new_with_length(
                targets.clone(),
                members,
                nulls,
                array.len(),
            )?))
        }
        (DataType::List(target), DataType::List(source)) => {
            let array = column.as_list::<i32>();
            let items = adapt_column(target, source, array.values())?;
            let (offsets, nulls) = (array.offsets().clone(), array.nulls().cloned());
            Ok(Arc::new(ListArray::try_new(
                target.clone(),
                offsets,
                items,
                nulls,
            )?))
        }
        (DataType::Map(target, sorted), DataType::Map(source, _)) => {
            let array = column.as_map();
            let entries: ArrayRef = Arc::new(array.entries().clone());
            let entries = adapt_column(target, source, &entries)?;
            let (offsets, nulls) = (array.offsets().clone(), array.nulls().cloned());
            let entries = entries.as_struct().clone();
            Ok(Arc::new(MapArray::try_new(
                target.clone(),
                offsets,
                entries,
                nulls,
                *sorted,
            )?))
        }
        (target, source) if target == source => Ok(column.clone()),
        (target, _) => Ok(arrow_cast::cast(column, target)?),
    }
}

fn id(field: &Field) -> Option<&str> {
    field
        .metadata()
        .get(PARQUET_FIELD_ID_META_KEY)
        .map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Int32Array, Int64Array, StringArray};
    use arrow_buffer::{NullBuffer, OffsetBuffer};
    use std::collections::HashMap;

    fn field(name: &str, id: i32, data_type: DataType) -> Field {
        let id = HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())]);
        Field::new(name, data_type, true).with_metadata(id)
    }

    #[test]
    fn columns_are_found_by_id_at_every_level() {
        let old_item = DataType::Struct(
            vec![
                field("name", 3, DataType::Utf8),
                field("n", 4, DataType::Int32),
            ]
            .into(),
        );
        let old = vec![
            field("a", 1, DataType::Int32),
            field(
                "items",
                2,
                DataType::List(field("element", 5, old_item.clone()).into()),
            ),
        ];
        let DataType::Struct(members) = &old_item else {
            unreachable!()
        };
        let items = StructArray::new(
            members.clone(),
            vec![
                Arc::new(StringArray::from(vec![Some("x"), None, Some("z")])),
                Arc::new(Int32Array::from(vec![Some(1), Some(2), None])),
            ],
            Some(NullBuffer::from(vec![true, true, false])),
        );
        let lists = ListArray::new(
            field("element", 5, old_item).into(),
            OffsetBuffer::from_lengths([2, 0, 1]),
            Arc::new(items),
            Some(NullBuffer::from(vec![true, false, true])),
        );
        let schema = Arc::new(arrow_schema::Schema::new(old));
        let a = Int32Array::from(vec![Some(7), None, Some(i32::MIN)]);
        let batch = RecordBatch::try_new(schema, vec![Arc::new(a), Arc::new(lists)]).unwrap();

        // Renamed, reordered, promoted, and with new columns at the top and within the items.
        let new_item = DataType::Struct(
            vec![
                field("note", 9, DataType::Utf8),
                field("n", 4, DataType::Int64),
                field("called", 3, DataType::Utf8),
            ]
            .into(),
        );
        let target: SchemaRef = arrow_schema::Schema::new(vec![
            field("new", 8, DataType::Int32),
            field(
                "items",
                2,
                DataType::List(field("element", 5, new_item).into()),
            ),
            field("b", 1, DataType::Int64),
        ])
        .into();
        let adapted = adapt(&target, &batch).unwrap();
        assert_eq!(adapted.column(0).null_count(), 3);
        let b = adapted
            .column(2)
            .as_any()
            .downcast_ref::<Int64Array>()
            .unwrap();
        assert_eq!(
            b,
            &Int64Array::from(vec![Some(7), None, Some(i64::from(i32::MIN))])
        );
        let lists = adapted.column(1).as_list::<i32>();
        assert!(lists.is_null(1));
        let first = lists.value(0);
        let first = first.as_struct();
        assert_eq!(first.column(0).null_count(), 2);
        assert_eq!(first.column(2).as_string::<i32>().value(0), "x");
        assert!(lists.value(2).is_null(0));
    }
}
