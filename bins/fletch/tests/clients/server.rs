//! The server of one test, and the folder it and its clients work in.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::support;
use crate::workload::PARTITIONS;

/// The folder of schema files, in the test's.
const SCHEMAS: &str = "schemas";

/// A running `fletch` with its data in the folder's `data`; dropped, it is killed and the folder
/// removed.
pub(crate) struct Server {
    process: support::Server,
    /// `host:port` for Kafka clients.
    pub(crate) kafka: String,
    /// URL of the embedded registry.
    pub(crate) registry: String,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_in(support::folder())
    }

    fn start_in(folder: TempDir) -> Self {
        let partitions = PARTITIONS.to_string();
        let schemas = folder.path().join(SCHEMAS);
        fs::create_dir_all(&schemas).expect("a folder for schemas");
        let schemas = schemas.display().to_string();
        let flags = [
            "--topics-partitions",
            &partitions,
            "--table-schemas-path",
            &schemas,
        ];
        let process = support::Server::start_in(folder, &flags);
        let addresses = fs::read(process.data().join("addresses.json")).expect("its addresses");
        let addresses: serde_json::Value = serde_json::from_slice(&addresses).expect("JSON");
        Self {
            kafka: process.kafka.to_string(),
            registry: addresses["registry"].as_str().expect("a URL").to_owned(),
            process,
        }
    }

    /// Kills it without warning, and starts another in its place, at other addresses.
    pub(crate) fn killed_and_started(self) -> Self {
        Self::start_in(self.process.kill())
    }

    /// A folder of the test's own, above the server's data.
    pub(crate) fn folder(&self) -> PathBuf {
        self.process.data().parent().expect("a folder").to_owned()
    }

    /// The folder of schema files that topics may name.
    pub(crate) fn schemas(&self) -> PathBuf {
        self.folder().join(SCHEMAS)
    }

    /// Where its tables are, as `check.py` wants to be told.
    pub(crate) fn table_arguments(&self) -> [String; 4] {
        let data = self.process.data();
        [
            "--catalog".to_owned(),
            // SQLAlchemy's form: three slashes, then the path, which begins with one of its own.
            format!("sqlite:///{}", data.join("catalog.db").display()),
            "--warehouse".to_owned(),
            format!("file://{}", data.join("warehouse").display()),
        ]
    }

    /// Ends it as an operator would, and expects it to end well.
    pub(crate) fn stop(self) {
        let (status, took, folder) = self.process.terminate();
        let log = fs::read_to_string(folder.path().join("server.log")).unwrap_or_default();
        assert!(
            status.success(),
            "ended with {status} after {took:?}\n{log}"
        );
    }

    /// Fails the test, and keeps the folder as evidence.
    pub(crate) fn fail(self, reason: &str) -> ! {
        let log = self.process.log();
        let kept = self.process.kill().keep();
        panic!(
            "{reason}\nthe server's log:\n{log}\nall of it is in {}",
            kept.display()
        );
    }
}
