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
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, TypePtr};
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
const CREATED_BY: &str = concat!("fletch version ", env!("CARGO_PKG_VERSION"));
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

/// Where a data file is written, and where it is once it is finished. Dropped before that, it
/// removes what there is.
struct Place {
    layout: Layout,
    path: PathBuf,
    unfinished: PathBuf,
}

impl Place {
    fn create(layout: Layout) -> Result<(Self, File), TableError> {
        let name = format!("{PREFIX}{}.parquet", Uuid::new_v4());
        let path = layout.folder.join(&name);
        let unfinished = layout.folder.join(format!("{name}{UNFINISHED}"));
        fs::create_dir_all(&layout.folder)
            .map_err(TableError::io("create folder", &layout.folder))?;
        let file = File::create(&unfinished).map_err(TableError::io("create", &unfinished))?;
        Ok((
            Self {
                layout,
                path,
                unfinished,
            },
            file,
        ))
    }

    /// Makes the file durable under its name.
    fn keep(
        self,
        file: &File,
        footer: &ParquetMetaData,
        sorted: bool,
    ) -> Result<DataFile, TableError> {
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
            sort_order_id: self.layout.sort_order_id.filter(|_| sorted),
            partition_spec_id: self.layout.partition_spec_id,
            footer,
        };
        stats::data_file(&self.layout.schema, written)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Gone already if the file was finished; what can't be removed is swept at the next start.
        let _ = fs::remove_file(&self.unfinished);
    }
}

/// A data file being written from rows.
pub(crate) struct DataFileWriter {
    writer: ArrowWriter<File>,
    place: Place,
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
        let written: SchemaRef =
            arrow_schema::Schema::new(schema::write_fields(&layout.schema, fields)?).into();
        let options = ArrowWriterOptions::new()
            .with_properties(properties(&written))
            .with_skip_arrow_metadata(true);
        let (partition_at, offset_at) = (
            written.index_of(lineage::PARTITION)?,
            written.index_of(lineage::OFFSET)?,
        );
        let (place, file) = Place::create(layout)?;
        let writer = ArrowWriter::try_new_with_options(file, written, options)
            .map_err(TableError::parquet(&place.unfinished))?;
        Ok(Self {
            writer,
            place,
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
        let failed = TableError::parquet(&self.place.unfinished);
        self.writer.write(batch).map_err(&failed)?;
        if self.writer.in_progress_size() >= self.place.layout.row_group_bytes_max {
            self.writer.flush().map_err(&failed)?;
        }
        Ok(())
    }

    /// Bytes the file would about have if it were finished now.
    pub(crate) fn bytes(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    /// Ends the file and makes it durable under its name. A file without rows is removed.
    pub(crate) fn finish(mut self) -> Result<Option<DataFile>, TableError> {
        if self.rows == 0 {
            return Ok(None);
        }
        let failed = TableError::parquet(&self.place.unfinished);
        let footer = self.writer.finish().map_err(failed)?;
        self.place
            .keep(self.writer.inner(), &footer, self.sorted)
            .map(Some)
    }
}

/// A data file being put together from row groups of others.
pub(crate) struct RawDataFileWriter {
    writer: SerializedFileWriter<File>,
    place: Place,
}

impl RawDataFileWriter {
    /// Starts a file with the given Parquet columns.
    pub(crate) fn create(layout: Layout, columns: TypePtr) -> Result<Self, TableError> {
        let (place, file) = Place::create(layout)?;
        let properties = WriterProperties::builder()
            .set_created_by(CREATED_BY.into())
            .build();
        let writer = SerializedFileWriter::new(file, columns, properties.into())
            .map_err(TableError::parquet(&place.unfinished))?;
        Ok(Self { writer, place })
    }

    /// Copies a row group, given the column chunks that it has in `source`.
    pub(crate) fn append(
        &mut self,
        source: &File,
        chunks: impl Iterator<Item = ColumnCloseResult>,
    ) -> Result<(), TableError> {
        let append = || {
            let mut group = self.writer.next_row_group()?;
            for chunk in chunks {
                group.append_column(source, chunk)?;
            }
            group.close().map(drop)
        };
        append().map_err(TableError::parquet(&self.place.unfinished))
    }

    /// Ends the file and makes it durable under its name.
    pub(crate) fn finish(mut self, sorted: bool) -> Result<DataFile, TableError> {
        let failed = TableError::parquet(&self.place.unfinished);
        let footer = self.writer.finish().map_err(failed)?;
        self.place.keep(self.writer.inner(), &footer, sorted)
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
        .set_created_by(CREATED_BY.into())
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
