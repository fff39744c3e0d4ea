use std::path::PathBuf;
use std::time::Duration;

use crate::TableError;
use crate::faults::Faults;

/// How tables are written. [`TableConfig::new`] gives the defaults for a data folder.
#[derive(Debug, Clone)]
pub struct TableConfig {
    /// Folder of the tables: `<warehouse>/<namespace>/<topic>/{data,metadata}`.
    pub warehouse: PathBuf,
    /// SQLite database that names each table's current metadata file.
    pub catalog_path: PathBuf,
    /// Name of the catalog inside the database, as a reader must give it.
    pub catalog_name: String,
    /// Namespace of every table.
    pub namespace: String,
    /// A record is committed at most about this long after its acknowledgement.
    pub commit_interval: Duration,
    /// A data file is closed, and small files are merged, at about this size in bytes.
    pub file_bytes_target: u64,
    /// A row group is closed at about this size in bytes, before compression of its last pages.
    pub row_group_bytes_max: usize,
    /// How many topics may be writing a file at one time; the others wait their turn.
    pub writers_max: usize,
    /// Bytes of log that one writer reads ahead of what it decodes.
    pub read_ahead_bytes_max: usize,
    /// Records decoded into one record batch.
    pub batch_records_max: usize,
    /// Snapshots kept in a table's metadata; older ones are expired.
    pub snapshots_kept: usize,
    /// A file that no snapshot needs any more is deleted after this long, so that a query that
    /// started before can finish.
    pub delete_after: Duration,
    /// Merge small files in the background.
    pub compaction: bool,
    /// Columns of one table, lineage and those within others counted.
    pub columns_max: usize,
    /// How deep braces and brackets may nest in the schemas of records.
    pub schema_depth_max: usize,
    /// How deep columns may lie within each other; a column of a plain type is one level.
    pub column_depth_max: usize,
    /// The folder of the schema files that topics may name; none may without it.
    pub schemas: Option<PathBuf>,
    /// How long a schema id that the registry doesn't know is asked for again before its records
    /// become dead letters.
    pub schema_not_found_wait: Duration,
    /// A schema that a topic names, the latest of a subject or a file's, is looked at again after this
    /// long.
    pub given_schema_for: Duration,
    /// Longest pause between two questions to a registry that doesn't answer.
    pub schema_retry_max: Duration,
    /// Test hooks.
    #[doc(hidden)]
    pub faults: Faults,
}

impl TableConfig {
    /// The defaults, with the warehouse and the catalog inside `data`.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        let data = data.into();
        Self {
            warehouse: data.join("warehouse"),
            catalog_path: data.join("catalog.db"),
            catalog_name: "fletch".into(),
            namespace: "default".into(),
            commit_interval: Duration::from_secs(1),
            file_bytes_target: 128 << 20,
            row_group_bytes_max: 32 << 20,
            writers_max: 4,
            read_ahead_bytes_max: 8 << 20,
            batch_records_max: 10_000,
            snapshots_kept: 32,
            delete_after: Duration::from_secs(600),
            compaction: true,
            columns_max: 5_000,
            schema_depth_max: 127,
            column_depth_max: 64,
            schemas: None,
            schema_not_found_wait: Duration::from_secs(5),
            given_schema_for: Duration::from_secs(30),
            schema_retry_max: Duration::from_secs(10),
            faults: Faults::default(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), TableError> {
        fn refuse(setting: &'static str, why: impl Into<String>) -> Result<(), TableError> {
            Err(TableError::Config {
                setting,
                why: why.into(),
            })
        }
        let name_is_plain = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        if !name_is_plain(&self.catalog_name) {
            return refuse(
                "catalog_name",
                format!("{:?} is not a plain name", self.catalog_name),
            );
        }
        if !name_is_plain(&self.namespace) {
            return refuse(
                "namespace",
                format!("{:?} is not a plain name", self.namespace),
            );
        }
        if self.file_bytes_target < 1 << 16 {
            return refuse(
                "file_bytes_target",
                format!("{} is under the least, 65536 bytes", self.file_bytes_target),
            );
        }
        if self.row_group_bytes_max < 1 << 16 {
            return refuse(
                "row_group_bytes_max",
                format!(
                    "{} is under the least, 65536 bytes",
                    self.row_group_bytes_max
                ),
            );
        }
        if self.writers_max == 0 {
            return refuse("writers_max", "0 writers would write nothing");
        }
        if !(1..=10_000).contains(&self.batch_records_max) {
            return refuse(
                "batch_records_max",
                format!("{} is not within 1 to 10000", self.batch_records_max),
            );
        }
        if self.snapshots_kept < 2 {
            return refuse(
                "snapshots_kept",
                format!("{} is under 2", self.snapshots_kept),
            );
        }
        Ok(())
    }
}
