//! What is committed to a topic's table, read by Iceberg's own reading of its metadata.

use std::fs::File;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use iceberg::io::FileIO;
use iceberg::spec::ManifestStatus;
use iceberg::table::StaticTable;
use iceberg::{NamespaceIdent, TableIdent};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// A row by its lineage, and its `value` column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) value: String,
}

/// Every committed row of a topic's table, in order.
pub(crate) fn rows(data: &Path, topic: &str) -> Vec<Row> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let mut rows: Vec<Row> = runtime
        .block_on(files(data, topic))
        .iter()
        .flat_map(|file| rows_of(Path::new(file)))
        .collect();
    rows.sort_unstable();
    rows
}

/// The live data files of the table's current snapshot.
async fn files(data: &Path, topic: &str) -> Vec<String> {
    let metadata = data.join("warehouse/default").join(topic).join("metadata");
    let version = std::fs::read_to_string(metadata.join("version-hint.text")).expect("a table");
    let file = metadata.join(format!("v{}.metadata.json", version.trim()));
    let name = TableIdent::new(NamespaceIdent::new("default".into()), topic.into());
    let table =
        StaticTable::from_metadata_file(file.to_str().expect("UTF-8"), name, FileIO::new_with_fs())
            .await
            .expect("metadata")
            .into_table();
    let Some(snapshot) = table.metadata().current_snapshot() else {
        return Vec::new();
    };
    let list = table
        .manifest_list_reader(snapshot)
        .load()
        .await
        .expect("a manifest list");
    let mut files = Vec::new();
    for manifest in list.entries() {
        let manifest = manifest
            .load_manifest(table.file_io())
            .await
            .expect("a manifest");
        let live = manifest
            .entries()
            .iter()
            .filter(|entry| entry.status != ManifestStatus::Deleted);
        files.extend(live.map(|entry| entry.file_path().trim_start_matches("file://").to_owned()));
    }
    files
}

fn rows_of(file: &Path) -> Vec<Row> {
    let file = File::open(file).expect("a data file");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .expect("Parquet")
        .build()
        .expect("a reader");
    reader
        .flat_map(|batch| rows_in(&batch.expect("rows")))
        .collect()
}

fn rows_in(batch: &RecordBatch) -> Vec<Row> {
    let column = |name| {
        batch
            .column_by_name(name)
            .unwrap_or_else(|| panic!("no column {name}"))
    };
    let partitions = column("kafka_partition").as_primitive::<Int32Type>();
    let offsets = column("kafka_offset").as_primitive::<Int64Type>();
    let values = column("value").as_string::<i32>();
    (0..batch.num_rows())
        .map(|at| {
            assert!(
                values.is_valid(at),
                "a row without a value at {}",
                offsets.value(at)
            );
            Row {
                partition: partitions.value(at),
                offset: offsets.value(at),
                value: values.value(at).to_owned(),
            }
        })
        .collect()
}
