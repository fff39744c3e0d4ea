//! Topics as Iceberg tables: columns to Parquet, committed exactly once.

mod catalog;
mod commit;
mod config;
mod data_file;
mod error;
#[doc(hidden)]
pub mod faults;
mod garbage;
mod hint;
pub mod lineage;
mod manifests;
mod offsets;
mod schema;
mod stats;

pub use config::TableConfig;
pub use error::TableError;
