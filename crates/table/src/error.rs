use std::io;
use std::path::{Path, PathBuf};

/// What can go wrong between a topic's log and its table.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// A setting that can't be served.
    #[error("setting {setting}: {why}")]
    Config {
        /// The field of [`TableConfig`](crate::TableConfig).
        setting: &'static str,
        /// What is wrong with it, with the numbers.
        why: String,
    },
    /// The catalog database failed.
    #[error("catalog database {path}: {source}")]
    Catalog {
        /// The database file.
        path: PathBuf,
        /// SQLite's or the driver's word.
        source: sqlx::Error,
    },
    /// Iceberg metadata couldn't be read, built or written.
    #[error("iceberg: {0}")]
    Iceberg(#[from] iceberg::Error),
    /// A Parquet file couldn't be read or written.
    #[error("parquet file {path}: {source}")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The Parquet library's word.
        source: parquet::errors::ParquetError,
    },
    /// An Arrow kernel refused its input.
    #[error("arrow: {0}")]
    Arrow(#[from] arrow_schema::ArrowError),
    /// The file system failed.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// The table's recorded offsets aren't the ones this writer continues from: somebody else
    /// wrote to the table, or rolled it back. Nothing was committed.
    #[error("table {table}: expected to continue from {expected}, but the table records {found}")]
    Fenced {
        /// The table.
        table: String,
        /// The next offsets this writer started from.
        expected: String,
        /// The next offsets the table records.
        found: String,
    },
    /// Other writers won every race for the table's next version.
    #[error("table {table}: lost the race for the next version {attempts} times")]
    Contended {
        /// The table.
        table: String,
        /// How often this commit was tried.
        attempts: u32,
    },
    /// A column can't be held by, or can't be reconciled with, the table.
    #[error("column {path}: {why}")]
    Column {
        /// Dotted path of the column.
        path: String,
        /// Why not.
        why: String,
    },
    /// The table holds something this version doesn't understand.
    #[error("table {table}: {why}")]
    Unreadable {
        /// The table.
        table: String,
        /// What it is.
        why: String,
    },
    /// A topic's configs don't say how its records are to be read.
    #[error("topic config {0}")]
    TopicConfig(String),
    /// The commit log refused or failed.
    #[error("commit log: {0}")]
    Store(String),
    /// No such topic, or it has no table.
    #[error("topic {0} has no table")]
    UnknownTopic(String),
    /// What a record was written with can't be found out, for the schema registry doesn't answer.
    #[error("the schema registry does not answer")]
    NoRegistry,
    /// The tables are being shut down.
    #[error("the tables are shut down")]
    Closed,
    /// A step that a test made fail.
    #[error("made to fail at {0:?}")]
    Injected(crate::faults::Step),
}

impl TableError {
    /// For `map_err` on file-system calls.
    pub(crate) fn io<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> TableError + 'a {
        move |source| TableError::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// For `map_err` on Parquet calls.
    pub(crate) fn parquet<'a>(
        path: &'a Path,
    ) -> impl Fn(parquet::errors::ParquetError) -> TableError + 'a {
        move |source| TableError::Parquet {
            path: path.to_owned(),
            source,
        }
    }
}
