//! What can keep the server from starting, running or stopping well.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use fletch_registry::RegistryError;
use fletch_store::StoreError;
use fletch_table::TableError;

/// The server can't start, can't go on, or couldn't stop as it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// A listener's address can't be had.
    #[error("{listener} can't listen on {address}: {source} (another port: {key})")]
    Listen {
        /// The section of the listener: `kafka`, `registry` or `http`.
        listener: &'static str,
        /// The configuration key to change.
        key: &'static str,
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Certificates, keys or what goes with them can't be used.
    #[error("TLS can't be served: {0}")]
    Tls(String),
    /// Nobody could log in as configured.
    #[error("logins can't be served: {0}")]
    Logins(String),
    /// The data folder can't be made or written to.
    #[error("the data folder {} can't be used: {source} (another: store.path)", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The threads that serve connections can't be started.
    #[error("the threads for connections can't be started: {0}")]
    Threads(io::Error),
    /// The log can't be opened, written or closed.
    #[error("the log is not usable: {0}")]
    Store(#[from] StoreError),
    /// The embedded registry's facts can't be read.
    #[error("the embedded registry can't be opened: {0}")]
    Registry(String),
    /// The outside registry can't be asked as configured.
    #[error("the outside registry can't be used: {0}")]
    RegistryClient(#[from] RegistryError),
    /// What the log has of consumer groups or transactions isn't understood.
    #[error("the consumer groups and transactions can't be restored: {0}")]
    Groups(#[from] fletch_coordinator::Error),
    /// The tables can't be kept.
    #[error("the tables can't be kept: {0}")]
    Tables(#[from] TableError),
    /// Stopping took longer than it may.
    #[error(
        "stopping took longer than {timeout_ms} ms (shutdown.timeout_ms); what was acknowledged is on disk"
    )]
    ShutdownTimeout {
        /// The time there was.
        timeout_ms: u64,
    },
    /// The configuration contradicts itself.
    #[error("the configuration is not usable: {0}")]
    Config(String),
}
