//! What a reader would see: the table's current snapshot, by way of the catalog.

use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};

pub struct Catalog {
    path: PathBuf,
}

impl Catalog {
    pub fn new(data: &Path) -> Catalog {
        Catalog {
            path: data.join("catalog.db"),
        }
    }

    fn summary(&self, table: &str) -> Option<serde_json::Value> {
        let catalog =
            Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
        let _ = catalog.busy_timeout(std::time::Duration::from_secs(5));
        let location: String = catalog
            .query_row(
                "SELECT metadata_location FROM iceberg_tables WHERE table_name = ?1",
                [table],
                |row| row.get(0),
            )
            .ok()?;
        let path = location.strip_prefix("file://").unwrap_or(&location);
        let metadata: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        let current = &metadata["current-snapshot-id"];
        metadata["snapshots"]
            .as_array()?
            .iter()
            .find(|s| &s["snapshot-id"] == current)
            .map(|s| s["summary"].clone())
    }

    fn total(&self, table: &str, key: &str) -> u64 {
        self.summary(table)
            .and_then(|s| s[key].as_str().and_then(|n| n.parse().ok()))
            .unwrap_or(0)
    }

    /// Records in the current snapshot.
    pub fn records(&self, table: &str) -> u64 {
        self.total(table, "total-records")
    }

    /// Data files of the current snapshot: how many, and their bytes.
    pub fn data_files(&self, table: &str) -> (u64, u64) {
        (
            self.total(table, "total-data-files"),
            self.total(table, "total-files-size"),
        )
    }
}
