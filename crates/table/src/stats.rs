//! A data file's entry in the manifest, from the Parquet footer.

use std::collections::HashMap;

use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, Datum, PrimitiveType, Schema,
    Struct, Type,
};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;

use crate::{TableError, lineage};

/// Value columns with counts and bounds in the manifest. Every data file pays for each of them
/// in every manifest it passes through; lineage columns always have them.
const COLUMNS_MAX: usize = 64;

/// Where a file is, how large, and whether its rows are in the table's sort order.
pub(crate) struct Written<'a> {
    pub location: String,
    pub bytes: u64,
    pub sort_order_id: Option<i32>,
    pub partition_spec_id: i32,
    pub footer: &'a ParquetMetaData,
}

/// The manifest entry of a file that was written with `schema`.
pub(crate) fn data_file(schema: &Schema, written: Written<'_>) -> Result<DataFile, TableError> {
    let footer = written.footer;
    let (mut sizes, mut values, mut nulls) = (HashMap::new(), HashMap::new(), HashMap::new());
    let (mut lower, mut upper) = (HashMap::<i32, Datum>::new(), HashMap::<i32, Datum>::new());
    for (leaf, column) in footer
        .file_metadata()
        .schema_descr()
        .columns()
        .iter()
        .enumerate()
    {
        let info = column.self_type().get_basic_info();
        // Inside lists and maps neither counts nor bounds help a reader to skip the file.
        if column.max_rep_level() > 0 || !info.has_id() {
            continue;
        }
        let name = column.path().parts().first().map_or("", String::as_str);
        if !lineage::is_lineage(name) && sizes.len() >= COLUMNS_MAX {
            continue;
        }
        let id = info.id();
        let Some(Type::Primitive(primitive)) =
            schema.field_by_id(id).map(|f| f.field_type.as_ref())
        else {
            continue;
        };
        let mut bounds: Option<(Datum, Datum)> = None;
        let (mut bytes, mut rows, mut null_rows) = (0u64, 0u64, 0u64);
        // Bounds hold for the file only if every row group that has values has bounds.
        let (mut counted, mut bounded) = (true, true);
        for group in footer.row_groups() {
            let chunk = group.column(leaf);
            bytes += chunk.compressed_size().max(0) as u64;
            rows += chunk.num_values().max(0) as u64;
            let statistics = chunk.statistics();
            match statistics.and_then(Statistics::null_count_opt) {
                Some(nulls) => null_rows += nulls,
                None => counted = false,
            }
            let all_null = statistics
                .and_then(Statistics::null_count_opt)
                .is_some_and(|nulls| nulls == chunk.num_values().max(0) as u64);
            match statistics.and_then(|statistics| bounds_of(primitive, statistics)) {
                _ if all_null => {}
                None => bounded = false,
                Some((low, high)) => {
                    bounds = Some(match bounds.take() {
                        None => (low, high),
                        Some((l, h)) => (
                            if low < l { low } else { l },
                            if high > h { high } else { h },
                        ),
                    });
                }
            }
        }
        sizes.insert(id, bytes);
        values.insert(id, rows);
        if counted {
            nulls.insert(id, null_rows);
        }
        if let (true, Some((low, high))) = (bounded, bounds) {
            lower.insert(id, low);
            upper.insert(id, high);
        }
    }
    let splits = footer
        .row_groups()
        .iter()
        .filter_map(|group| group.file_offset())
        .collect();
    let mut builder = DataFileBuilder::default();
    builder
        .content(DataContentType::Data)
        .file_path(written.location)
        .file_format(DataFileFormat::Parquet)
        .partition(Struct::empty())
        .partition_spec_id(written.partition_spec_id)
        .record_count(footer.file_metadata().num_rows().max(0) as u64)
        .file_size_in_bytes(written.bytes)
        .column_sizes(sizes)
        .value_counts(values)
        .null_value_counts(nulls)
        .lower_bounds(lower)
        .upper_bounds(upper)
        .split_offsets(Some(splits));
    if let Some(id) = written.sort_order_id {
        builder.sort_order_id(id);
    }
    builder.build().map_err(|error| {
        iceberg::Error::new(iceberg::ErrorKind::DataInvalid, error.to_string()).into()
    })
}

/// Least and greatest value as Iceberg writes them. Strings may be shortened: Parquet shortens
/// the least downwards and the greatest upwards, so both remain bounds.
fn bounds_of(primitive: &PrimitiveType, statistics: &Statistics) -> Option<(Datum, Datum)> {
    let datum = |bytes: &[u8]| Datum::try_from_bytes(bytes, primitive.clone()).ok();
    let decimal = matches!(primitive, PrimitiveType::Decimal { .. });
    match statistics {
        Statistics::Boolean(s) => Some((Datum::bool(*s.min_opt()?), Datum::bool(*s.max_opt()?))),
        Statistics::Int32(s) if decimal => Some((
            datum(&i128::from(*s.min_opt()?).to_be_bytes())?,
            datum(&i128::from(*s.max_opt()?).to_be_bytes())?,
        )),
        Statistics::Int32(s) => Some((
            datum(&s.min_opt()?.to_le_bytes())?,
            datum(&s.max_opt()?.to_le_bytes())?,
        )),
        Statistics::Int64(s) if decimal => Some((
            datum(&i128::from(*s.min_opt()?).to_be_bytes())?,
            datum(&i128::from(*s.max_opt()?).to_be_bytes())?,
        )),
        Statistics::Int64(s) => Some((
            datum(&s.min_opt()?.to_le_bytes())?,
            datum(&s.max_opt()?.to_le_bytes())?,
        )),
        Statistics::Float(s) => {
            let (min, max) = (*s.min_opt()?, *s.max_opt()?);
            (!min.is_nan() && !max.is_nan())
                .then(|| Some((datum(&min.to_le_bytes())?, datum(&max.to_le_bytes())?)))?
        }
        Statistics::Double(s) => {
            let (min, max) = (*s.min_opt()?, *s.max_opt()?);
            (!min.is_nan() && !max.is_nan())
                .then(|| Some((datum(&min.to_le_bytes())?, datum(&max.to_le_bytes())?)))?
        }
        Statistics::ByteArray(s)
            if matches!(primitive, PrimitiveType::String | PrimitiveType::Binary) =>
        {
            Some((datum(s.min_opt()?.data())?, datum(s.max_opt()?.data())?))
        }
        Statistics::FixedLenByteArray(s) if decimal || *primitive == PrimitiveType::Uuid => {
            Some((datum(s.min_opt()?.data())?, datum(s.max_opt()?.data())?))
        }
        _ => None,
    }
}
