//! The data files of one cycle: written while the next rows are being converted.

use arrow_array::RecordBatch;
use arrow_schema::Fields;
use iceberg::spec::DataFile;
use tokio::task::JoinHandle;

use crate::TableError;
use crate::data_file::{DataFileWriter, Layout};

/// A data file being written on another thread, one step behind its caller.
pub(crate) struct Files {
    layout: Layout,
    fields: Fields,
    writing: Option<JoinHandle<Result<DataFileWriter, TableError>>>,
    writer: Option<DataFileWriter>,
    bytes: u64,
}

impl Files {
    /// For rows of the given fields. Nothing is created before the first rows.
    pub(crate) fn new(layout: Layout, fields: Fields) -> Self {
        Self {
            layout,
            fields,
            writing: None,
            writer: None,
            bytes: 0,
        }
    }

    /// Bytes of the file as of the last rows but one.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Starts to write rows, once the rows before are written: at most these are held in memory.
    pub(crate) async fn write(&mut self, rows: Vec<RecordBatch>) -> Result<(), TableError> {
        self.settle().await?;
        let writer = self.writer.take();
        let (layout, fields) = (self.layout.clone(), self.fields.clone());
        self.writing = Some(tokio::task::spawn_blocking(move || {
            let mut writer = match writer {
                Some(writer) => writer,
                None => DataFileWriter::create(layout, &fields)?,
            };
            for batch in &rows {
                writer.write(batch)?;
            }
            Ok(writer)
        }));
        Ok(())
    }

    async fn settle(&mut self) -> Result<(), TableError> {
        if let Some(writing) = self.writing.take() {
            let writer = writing.await.map_err(|_| TableError::Closed)??;
            self.bytes = writer.bytes();
            self.writer = Some(writer);
        }
        Ok(())
    }

    /// Ends the file and makes it durable. None if nothing was written.
    pub(crate) async fn finish(mut self) -> Result<Option<DataFile>, TableError> {
        self.settle().await?;
        let Some(writer) = self.writer else {
            return Ok(None);
        };
        tokio::task::spawn_blocking(move || writer.finish())
            .await
            .map_err(|_| TableError::Closed)?
    }
}
