//! Several data files into one with the same rows.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_schema::SchemaRef;
use arrow_select::interleave::interleave_record_batch;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::DataFile;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;

use crate::adapter::adapt;
use crate::data_file::{DataFileWriter, Layout, RawDataFileWriter};
use crate::{TableError, lineage};

/// Rows of one record batch while merging.
const BATCH_ROWS: usize = 8192;
/// A row group of so many rows, or compressed bytes, is worth keeping as it is.
const KEPT_ROWS_MIN: i64 = 64 * 1024;
const KEPT_BYTES_MIN: i64 = 4 << 20;
/// Files that are smaller than this together, encoded but not compressed, are sorted in memory.
const SORTED_BYTES_MAX: i64 = 32 << 20;

/// A file to be merged.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub path: PathBuf,
}

struct Opened {
    path: PathBuf,
    file: File,
    reader: ArrowReaderMetadata,
}

impl Opened {
    fn footer(&self) -> &Arc<ParquetMetaData> {
        self.reader.metadata()
    }
}

/// Writes one file with the rows of all sources. Blocks for as long as that takes.
pub(crate) fn merge(layout: &Layout, sources: &[Source]) -> Result<DataFile, TableError> {
    let opened: Vec<Opened> = sources.iter().map(open).collect::<Result<_, _>>()?;
    if let Some(groups) = groups_to_keep(&opened) {
        return copy(layout, &opened, groups);
    }
    let arrow = schema_to_arrow_schema(&layout.schema)?;
    let target: SchemaRef = Arc::new(arrow);
    let mut writer = DataFileWriter::create(layout.clone(), target.fields())?;
    let bytes: i64 = opened
        .iter()
        .flat_map(|source| source.footer().row_groups())
        .map(RowGroupMetaData::total_byte_size)
        .sum();
    if bytes <= SORTED_BYTES_MAX {
        let mut rows = Vec::new();
        for source in &opened {
            read(source, &target, |batch| {
                rows.push(batch);
                Ok(())
            })?;
        }
        for batch in sorted(&rows)? {
            writer.write(&batch)?;
        }
    } else {
        // Each source's rows are in order; all together they are only if there is one partition.
        for source in &opened {
            read(source, &target, |batch| writer.write(&batch))?;
        }
    }
    let empty = || TableError::Column {
        path: String::new(),
        why: "nothing to merge".into(),
    };
    writer.finish()?.ok_or_else(empty)
}

fn open(source: &Source) -> Result<Opened, TableError> {
    let path = &source.path;
    let file = File::open(path).map_err(TableError::io("open", path))?;
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
    let reader = ArrowReaderMetadata::load(&file, options).map_err(TableError::parquet(path))?;
    Ok(Opened {
        path: path.clone(),
        file,
        reader,
    })
}

/// Reads a file in the target's columns.
fn read(
    source: &Opened,
    target: &SchemaRef,
    mut each: impl FnMut(RecordBatch) -> Result<(), TableError>,
) -> Result<(), TableError> {
    let path = &source.path;
    let file = source
        .file
        .try_clone()
        .map_err(TableError::io("open", path))?;
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, source.reader.clone())
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(TableError::parquet(path))?;
    for batch in reader {
        each(adapt(target, &batch?)?)?;
    }
    Ok(())
}

/// The rows in order of partition and offset.
fn sorted(batches: &[RecordBatch]) -> Result<Vec<RecordBatch>, TableError> {
    let mut places: Vec<(i32, i64, usize, usize)> = Vec::new();
    for (at, batch) in batches.iter().enumerate() {
        let column = |name| {
            batch
                .column_by_name(name)
                .ok_or_else(|| TableError::Column {
                    path: String::from(name),
                    why: "a data file lacks it".into(),
                })
        };
        let partitions = column(lineage::PARTITION)?.as_primitive::<Int32Type>();
        let offsets = column(lineage::OFFSET)?.as_primitive::<Int64Type>();
        let rows = partitions.values().iter().zip(offsets.values());
        places.extend(rows.enumerate().map(|(row, (p, o))| (*p, *o, at, row)));
    }
    places.sort_unstable();
    let batches: Vec<&RecordBatch> = batches.iter().collect();
    places
        .chunks(BATCH_ROWS)
        .map(|chunk| {
            let rows: Vec<(usize, usize)> =
                chunk.iter().map(|(_, _, at, row)| (*at, *row)).collect();
            Ok(interleave_record_batch(&batches, &rows)?)
        })
        .collect()
}

/// Source and number of each row group, in the order in which they are to be copied; none if it
/// is better to write the rows anew: the columns differ, or the row groups are small.
fn groups_to_keep(sources: &[Opened]) -> Option<Vec<(usize, usize)>> {
    let columns = |source: &Opened| {
        source
            .footer()
            .file_metadata()
            .schema_descr()
            .root_schema_ptr()
    };
    let first = columns(sources.first()?);
    let mut groups = Vec::new();
    for (at, source) in sources.iter().enumerate() {
        if columns(source) != first {
            return None;
        }
        for (number, group) in source.footer().row_groups().iter().enumerate() {
            if group.num_rows() < KEPT_ROWS_MIN && group.compressed_size() < KEPT_BYTES_MIN {
                return None;
            }
            groups.push((span(group).unwrap_or((0, 0, 0, 0)), at, number));
        }
    }
    groups.sort_unstable();
    Some(
        groups
            .into_iter()
            .map(|(_, at, number)| (at, number))
            .collect(),
    )
}

/// Least partition, least offset, greatest partition, greatest offset of a row group.
fn span(group: &RowGroupMetaData) -> Option<(i32, i64, i32, i64)> {
    let column = |name: &str| {
        let column = group
            .columns()
            .iter()
            .find(|column| column.column_path().string() == name);
        column.and_then(|column| column.statistics())
    };
    let (Statistics::Int32(partitions), Statistics::Int64(offsets)) =
        (column(lineage::PARTITION)?, column(lineage::OFFSET)?)
    else {
        return None;
    };
    Some((
        *partitions.min_opt()?,
        *offsets.min_opt()?,
        *partitions.max_opt()?,
        *offsets.max_opt()?,
    ))
}

/// Are row groups with these spans, in this order, one ascending sequence?
fn ascend(spans: &[Option<(i32, i64, i32, i64)>]) -> bool {
    let one_partition = |span: &Option<(i32, i64, i32, i64)>| span.filter(|s| s.0 == s.2);
    let Some(spans) = spans.iter().map(one_partition).collect::<Option<Vec<_>>>() else {
        return false;
    };
    spans.windows(2).all(|pair| match pair {
        [a, b] => (a.2, a.3) < (b.0, b.1),
        _ => true,
    })
}

/// Copies row groups as they are.
fn copy(
    layout: &Layout,
    sources: &[Opened],
    groups: Vec<(usize, usize)>,
) -> Result<DataFile, TableError> {
    let nothing = || TableError::Column {
        path: String::new(),
        why: "nothing to merge".into(),
    };
    let first = sources.first().ok_or_else(nothing)?;
    let columns = first
        .footer()
        .file_metadata()
        .schema_descr()
        .root_schema_ptr();
    let mut writer = RawDataFileWriter::create(layout.clone(), columns)?;
    let mut spans = Vec::with_capacity(groups.len());
    for (at, number) in groups {
        let source = sources.get(at).ok_or_else(nothing)?;
        let footer = source.footer();
        let group = footer.row_groups().get(number).ok_or_else(nothing)?;
        spans.push(span(group));
        let chunks = group
            .columns()
            .iter()
            .enumerate()
            .map(|(column, chunk)| ColumnCloseResult {
                bytes_written: chunk.compressed_size().max(0) as u64,
                rows_written: group.num_rows().max(0) as u64,
                metadata: chunk.clone(),
                bloom_filter: None,
                column_index: footer
                    .column_index()
                    .and_then(|index| index.get(number)?.get(column).cloned()),
                offset_index: footer
                    .offset_index()
                    .and_then(|index| index.get(number)?.get(column).cloned()),
            });
        writer.append(&source.file, chunks)?;
    }
    writer.finish(ascend(&spans))
}
