//! The catalog: a SQLite database that names each table's current metadata file.
//!
//! `iceberg-catalog-sql` lays the database out and creates namespaces and tables, so that any
//! reader of SQL (JDBC) catalogs finds them. A table's *next version* is put in place here, by
//! one compare-and-swap whose outcome is always known: that crate's own commit is neither fenced
//! nor does it report a failed SQLite commit.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use iceberg::io::{FileIO, LocalFsStorageFactory};
use iceberg::spec::TableMetadata;
use iceberg::{Catalog as _, CatalogBuilder, NamespaceIdent, TableCreation, TableIdent};
use iceberg_catalog_sql::{SqlBindStyle, SqlCatalog, SqlCatalogBuilder};
use sqlx::ConnectOptions;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use crate::{TableConfig, TableError};

/// Another process may be reading or writing the catalog: wait this long for its lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// A table's current metadata and the file that holds it.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub location: String,
    pub metadata: Arc<TableMetadata>,
}

/// The outcome of a compare-and-swap.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Swap {
    /// The table now has the new version.
    Done,
    /// The table had another version than the expected one, or none; it still has it.
    Lost,
}

#[derive(Debug)]
pub(crate) struct Catalog {
    iceberg: SqlCatalog,
    pool: SqlitePool,
    path: PathBuf,
    name: String,
    namespace: NamespaceIdent,
    warehouse: PathBuf,
    file_io: FileIO,
}

impl Catalog {
    /// Opens the catalog, creating database, layout and namespace as needed.
    pub(crate) async fn open(config: &TableConfig) -> Result<Self, TableError> {
        let path = absolute(&config.catalog_path)?;
        let warehouse = absolute(&config.warehouse)?;
        for folder in [path.parent(), Some(warehouse.as_path())]
            .into_iter()
            .flatten()
        {
            std::fs::create_dir_all(folder).map_err(TableError::io("create folder", folder))?;
        }
        let failed = |source| TableError::Catalog {
            path: path.clone(),
            source,
        };
        // WAL: readers in other processes neither block a commit nor are blocked by it. FULL: a
        // commit that was answered survives a power failure; the log is trimmed on that promise.
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options.clone())
            .await
            .map_err(failed)?;
        let iceberg = SqlCatalogBuilder::default()
            .uri(options.to_url_lossy().to_string())
            .warehouse_location(location(&warehouse))
            .sql_bind_style(SqlBindStyle::QMark)
            .prop("pool.max-connections", "1")
            .with_storage_factory(Arc::new(LocalFsStorageFactory))
            .load(config.catalog_name.as_str(), HashMap::new())
            .await?;
        let namespace = NamespaceIdent::new(config.namespace.clone());
        if !iceberg.namespace_exists(&namespace).await? {
            iceberg.create_namespace(&namespace, HashMap::new()).await?;
            if !iceberg.namespace_exists(&namespace).await? {
                return Err(TableError::Catalog {
                    path,
                    source: sqlx::Error::Protocol("the new namespace was not kept".into()),
                });
            }
        }
        Ok(Self {
            iceberg,
            pool,
            path,
            name: config.catalog_name.clone(),
            namespace,
            warehouse,
            file_io: FileIO::new_with_fs(),
        })
    }

    pub(crate) fn file_io(&self) -> &FileIO {
        &self.file_io
    }

    /// Folder of a table called `folder`.
    pub(crate) fn table_folder(&self, folder: &str) -> PathBuf {
        self.warehouse.join(self.namespace.join("/")).join(folder)
    }

    /// The table's current version, if there is such a table.
    pub(crate) async fn load(&self, table: &str) -> Result<Option<Version>, TableError> {
        let Some(location) = self.current(table).await? else {
            return Ok(None);
        };
        let metadata = TableMetadata::read_from(&self.file_io, &location).await?;
        Ok(Some(Version {
            location,
            metadata: Arc::new(metadata),
        }))
    }

    /// Creates the table, and reads back that it is there.
    pub(crate) async fn create(&self, creation: TableCreation) -> Result<Version, TableError> {
        let ident = self.ident(&creation.name);
        self.iceberg.create_table(&self.namespace, creation).await?;
        let found = self.load(ident.name()).await?;
        found.ok_or_else(|| TableError::Catalog {
            path: self.path.clone(),
            source: sqlx::Error::Protocol(format!("the new table {} was not kept", ident.name())),
        })
    }

    /// Gives the table another name, keeping its files where they are.
    pub(crate) async fn rename(&self, from: &str, to: &str) -> Result<(), TableError> {
        sqlx::query(
            "UPDATE iceberg_tables SET table_name = ? \
             WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?",
        )
        .bind(to)
        .bind(&self.name)
        .bind(self.namespace.join("."))
        .bind(from)
        .execute(&self.pool)
        .await
        .map_err(|source| self.failed(source))?;
        Ok(())
    }

    /// Makes `next` the table's metadata file if `expected` still is.
    ///
    /// An error means that nothing is known to have changed *and* that reading back failed or
    /// showed the old version; the caller may try again.
    pub(crate) async fn swap(
        &self,
        table: &str,
        expected: &str,
        next: &str,
    ) -> Result<Swap, TableError> {
        let swapped = sqlx::query(
            "UPDATE iceberg_tables SET metadata_location = ?, previous_metadata_location = ? \
             WHERE catalog_name = ? AND table_namespace = ? AND table_name = ? \
             AND metadata_location = ?",
        )
        .bind(next)
        .bind(expected)
        .bind(&self.name)
        .bind(self.namespace.join("."))
        .bind(table)
        .bind(expected)
        .execute(&self.pool)
        .await;
        match swapped {
            Ok(done) if done.rows_affected() == 1 => Ok(Swap::Done),
            Ok(_) => Ok(Swap::Lost),
            // The statement may or may not have taken effect: only the database can tell.
            Err(source) => match self.current(table).await?.as_deref() {
                Some(current) if current == next => Ok(Swap::Done),
                Some(current) if current == expected => Err(self.failed(source)),
                _ => Ok(Swap::Lost),
            },
        }
    }

    /// Where the table's current metadata is.
    pub(crate) async fn current(&self, table: &str) -> Result<Option<String>, TableError> {
        sqlx::query_scalar(
            "SELECT metadata_location FROM iceberg_tables \
             WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?",
        )
        .bind(&self.name)
        .bind(self.namespace.join("."))
        .bind(table)
        .fetch_optional(&self.pool)
        .await
        .map_err(|source| self.failed(source))
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    fn ident(&self, table: &str) -> TableIdent {
        TableIdent::new(self.namespace.clone(), table.to_owned())
    }

    fn failed(&self, source: sqlx::Error) -> TableError {
        TableError::Catalog {
            path: self.path.clone(),
            source,
        }
    }
}

/// The URI under which Iceberg metadata names a local path.
pub(crate) fn location(path: &Path) -> String {
    format!("file://{}", path.display())
}

/// The local path of a URI made by [`location`], or of a plain path.
pub(crate) fn local_path(location: &str) -> PathBuf {
    PathBuf::from(location.strip_prefix("file://").unwrap_or(location))
}

fn absolute(path: &Path) -> Result<PathBuf, TableError> {
    let path = std::path::absolute(path).map_err(TableError::io("resolve", path))?;
    if path.to_str().is_none() {
        // Iceberg metadata is JSON and Avro: a path in it must be text.
        return Err(TableError::Io {
            action: "use",
            path,
            source: std::io::Error::other("the path isn't valid UTF-8"),
        });
    }
    Ok(path)
}
