//! Writing one Parquet data file.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_schema::{Fields, SchemaRef};
use iceberg::spec::{DataFile, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use uuid::Uuid;

use crate::catalog::location;
use crate::stats::{self, Written};
use crate::{TableError, lineage, schema};

/// All our data files are called so; nothing else is ever deleted from a data folder.
pub(crate) const PREFIX: &str = "fletch-";
/// Ending of a file that is being written. Not `.parquet`, so that nobody reads it.
pub(crate) const UNFINISHED: &str = ".unfinished";

/// Rows in one data page at most: what a reader decodes at least to reach one row.
const PAGE_ROWS_MAX: usize = 20_000;
/// zstd's fastest ordinary level; higher ones cost far more time than they save space here.
const ZSTD_LEVEL: i32 = 1;

/// What a table's metadata and configuration say about its files.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// The table's `data` folder.
    pub folder: PathBuf,
    pub schema: Arc<Schema>,
    pub partition_spec_id: i32,
    /// Id of the sort order (partition, offset), if the table has it.
    pub sort_order_id: Option<i32>,
    pub row_group_bytes_max: usize,
}

/// A data file being written. Dropped unfinished, it removes itself.
pub(crate) struct DataFileWriter {
    writer: Option<ArrowWriter<File>>,
    layout: Layout,
    path: PathBuf,
    unfinished: PathBuf,
    /// (partition, offset) of the last row, while all rows came in that order.
    last: Option<(i32, i64)>,
    sorted: bool,
    partition_at: usize,
    offset_at: usize,
    rows: u64,
}

impl DataFileWriter {
    /// Starts a file for record batches of the given fields.
    pub(crate) fn create(layout: Layout, fields: &Fields) -> Result<Self, TableError> {
        let name = format!("{PREFIX}{}.parquet", Uuid::new_v4());
        let path = layout.folder.join(&name);
        let unfinished = layout.folder.join(format!("{name}{UNFINISHED}"));
        fs::create_dir_all(&layout.folder)
            .map_err(TableError::io("create folder", &layout.folder))?;
        let written: SchemaRef =
            arrow_schema::Schema::new(schema::write_fields(&layout.schema, fields)?).into();
        let options = ArrowWriterOptions::new()
            .with_properties(properties(&written))
            .with_skip_arrow_metadata(true);
        let lineage_at = |name| written.index_of(name).map_err(TableError::from);
        let (partition_at, offset_at) = (
            lineage_at(lineage::PARTITION)?,
            lineage_at(lineage::OFFSET)?,
        );
        let file = File::create(&unfinished).map_err(TableError::io("create", &unfinished))?;
        let writer = ArrowWriter::try_new_with_options(file, written, options)
            .map_err(TableError::parquet(&unfinished))?;
        Ok(Self {
            writer: Some(writer),
            layout,
            path,
            unfinished,
            last: None,
            sorted: true,
            partition_at,
            offset_at,
            rows: 0,
        })
    }

    /// Adds rows, which must be in order of partition and offset among themselves.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), TableError> {
        let rows = batch.num_rows();
        if rows == 0 {
            return Ok(());
        }
        let partitions = batch.column(self.partition_at).as_primitive::<Int32Type>();
        let offsets = batch.column(self.offset_at).as_primitive::<Int64Type>();
        let first = (partitions.value(0), offsets.value(0));
        self.sorted &= self.last.is_none_or(|last| last < first);
        self.last = Some((partitions.value(rows - 1), offsets.value(rows - 1)));
        self.rows += rows as u64;
        let failed = TableError::parquet(&self.unfinished);
        let writer = self.writer.as_mut().ok_or(TableError::Closed)?;
        writer.write(batch).map_err(&failed)?;
        if writer.in_progress_size() >= self.layout.row_group_bytes_max {
            writer.flush().map_err(&failed)?;
        }
        Ok(())
    }

    /// Bytes the file has, and would about get if it were finished now.
    pub(crate) fn bytes(&self) -> u64 {
        let of = |writer: &ArrowWriter<File>| writer.bytes_written() + writer.in_progress_size();
        self.writer.as_ref().map_or(0, of) as u64
    }

    /// Rows written so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Ends the file and makes it durable under its name. A file without rows is removed.
    pub(crate) fn finish(mut self) -> Result<Option<DataFile>, TableError> {
        let Some(mut writer) = self.writer.take() else {
            return Ok(None);
        };
        if self.rows == 0 {
            return Ok(None);
        }
        let footer = writer
            .finish()
            .map_err(TableError::parquet(&self.unfinished))?;
        let file = writer.inner();
        file.sync_all()
            .map_err(TableError::io("sync", &self.unfinished))?;
        let bytes = file
            .metadata()
            .map_err(TableError::io("measure", &self.unfinished))?
            .len();
        fs::rename(&self.unfinished, &self.path)
            .map_err(TableError::io("rename", &self.unfinished))?;
        sync_folder(&self.layout.folder)?;
        let written = Written {
            location: location(&self.path),
            bytes,
            sort_order_id: self.layout.sort_order_id.filter(|_| self.sorted),
            partition_spec_id: self.layout.partition_spec_id,
            footer: &footer,
        };
        stats::data_file(&self.layout.schema, written).map(Some)
    }
}

impl Drop for DataFileWriter {
    fn drop(&mut self) {
        // Gone already if the file was finished; what can't be removed is swept at the next start.
        let _ = fs::remove_file(&self.unfinished);
    }
}

/// Makes a folder's entries durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), TableError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(TableError::io("sync folder", folder))
}

fn properties(schema: &SchemaRef) -> WriterProperties {
    let zstd = ZstdLevel::try_new(ZSTD_LEVEL).map(Compression::ZSTD);
    let mut properties = WriterProperties::builder()
        .set_compression(zstd.unwrap_or(Compression::SNAPPY))
        .set_created_by(concat!("fletch version ", env!("CARGO_PKG_VERSION")).into())
        .set_data_page_row_count_limit(PAGE_ROWS_MAX)
        .set_max_row_group_row_count(None)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_statistics_truncate_length(Some(16));
    for field in schema.fields() {
        let path = || ColumnPath::from(field.name().as_str());
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
            _ => properties,
        };
    }
    properties.build()
}
