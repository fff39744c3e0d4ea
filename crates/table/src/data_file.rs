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
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::TypePtr;
use uuid::Uuid;

use crate::catalog::location;
use crate::stats::{self, Written};
use crate::{TableError, encodings, lineage, schema};

/// All our data files are called so; nothing else is ever deleted from a data folder.
pub(crate) const PREFIX: &str = "fletch-";
/// Ending of a file that is being written. Not `.parquet`, so that nobody reads it.
pub(crate) const UNFINISHED: &str = ".unfinished";

/// What the files say about who wrote them.
pub(crate) const CREATED_BY: &str = concat!("fletch version ", env!("CARGO_PKG_VERSION"));

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
    columns: SchemaRef,
    /// What is to become of the file before the first rows, which decide about its encodings.
    fresh: Option<File>,
    writer: Option<ArrowWriter<File>>,
    place: Place,
    /// (partition, offset) of the last row, while all rows came in that order.
    last: Option<(i32, i64)>,
    sorted: bool,
    partition_at: usize,
    offset_at: usize,
}

impl DataFileWriter {
    /// Starts a file for record batches of the given fields.
    pub(crate) fn create(layout: Layout, fields: &Fields) -> Result<Self, TableError> {
        let written: SchemaRef =
            arrow_schema::Schema::new(schema::write_fields(&layout.schema, fields)?).into();
        let (partition_at, offset_at) = (
            written.index_of(lineage::PARTITION)?,
            written.index_of(lineage::OFFSET)?,
        );
        let (place, file) = Place::create(layout)?;
        Ok(Self {
            columns: written,
            fresh: Some(file),
            writer: None,
            place,
            last: None,
            sorted: true,
            partition_at,
            offset_at,
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
        let failed = TableError::parquet(&self.place.unfinished);
        let writer = match (&mut self.writer, self.fresh.take()) {
            (Some(writer), _) => writer,
            (writer, file) => {
                let options = ArrowWriterOptions::new()
                    .with_properties(encodings::properties(&self.columns, batch))
                    .with_skip_arrow_metadata(true);
                let file = file.ok_or(TableError::Closed)?;
                let columns = self.columns.clone();
                writer.insert(
                    ArrowWriter::try_new_with_options(file, columns, options).map_err(&failed)?,
                )
            }
        };
        writer.write(batch).map_err(&failed)?;
        if writer.in_progress_size() >= self.place.layout.row_group_bytes_max {
            writer.flush().map_err(&failed)?;
        }
        Ok(())
    }

    /// Bytes the file would about have if it were finished now.
    pub(crate) fn bytes(&self) -> u64 {
        let of = |writer: &ArrowWriter<File>| writer.bytes_written() + writer.in_progress_size();
        self.writer.as_ref().map_or(0, of) as u64
    }

    /// Ends the file and makes it durable under its name. A file without rows is removed.
    pub(crate) fn finish(mut self) -> Result<Option<DataFile>, TableError> {
        let Some(mut writer) = self.writer.take() else {
            return Ok(None);
        };
        let failed = TableError::parquet(&self.place.unfinished);
        let footer = writer.finish().map_err(failed)?;
        self.place
            .keep(writer.inner(), &footer, self.sorted)
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
