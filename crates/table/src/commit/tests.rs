//! Commits of hand-made rows.

use super::*;
use crate::data_file::DataFileWriter;
use crate::lineage;
use crate::offsets::{OFFSETS, Offsets};
use arrow_array::{
    Array, ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    new_null_array,
};
use arrow_schema::{DataType, Field, Fields};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

struct Fixture {
    config: TableConfig,
    catalog: Arc<Catalog>,
    _folder: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = TableConfig::new(folder.path());
        config.delete_after = Duration::ZERO;
        let catalog = Arc::new(Catalog::open(&config).await.unwrap());
        Self {
            config,
            catalog,
            _folder: folder,
        }
    }

    async fn create(&self, name: &str, fields: &Fields) -> IcebergTable {
        let columns = crate::schema::grow(None, 0, fields).unwrap().unwrap();
        let folder = self.catalog.table_folder(name);
        let properties = HashMap::from([("a".to_owned(), "b".to_owned())]);
        let options = Options::from(&self.config);
        IcebergTable::create(
            self.catalog.clone(),
            name,
            &folder,
            columns,
            properties,
            options,
        )
        .await
        .unwrap()
    }

    async fn open(&self, name: &str) -> IcebergTable {
        let options = Options::from(&self.config);
        IcebergTable::open(self.catalog.clone(), name, options)
            .await
            .unwrap()
            .unwrap()
    }
}

fn fields() -> Fields {
    let mut fields = vec![
        Arc::new(Field::new("user", DataType::Utf8, true)),
        Arc::new(Field::new("n", DataType::Int32, true)),
    ];
    fields.extend(lineage::fields().iter().cloned());
    fields.into()
}

/// Rows of partition 0 from offset `from` on.
fn rows(from: i64, count: i64) -> RecordBatch {
    let len = count as usize;
    let offsets = Int64Array::from_iter_values(from..from + count);
    let headers = new_null_array(&DataType::List(lineage::header_field().clone()), len);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(
            offsets.values().iter().map(|n| format!("user {n}")),
        )),
        Arc::new(Int32Array::from_iter(
            offsets
                .values()
                .iter()
                .map(|n| (n % 3 != 0).then_some(*n as i32)),
        )),
        Arc::new(Int32Array::from(vec![0; len])),
        Arc::new(offsets.clone()),
        Arc::new(
            TimestampMicrosecondArray::from_iter_values(offsets.values().iter().map(|n| n * 1000))
                .with_timezone("+00:00"),
        ),
        new_null_array(&DataType::Binary, len),
        headers,
        Arc::new(Int32Array::from(vec![7; len])),
        Arc::new(StringArray::from(vec!["avro"; len])),
    ];
    RecordBatch::try_new(arrow_schema::Schema::new(fields()).into(), columns).unwrap()
}

fn write(table: &IcebergTable, from: i64, count: i64) -> DataFile {
    let mut writer = DataFileWriter::create(table.layout(1 << 20), &fields()).unwrap();
    writer.write(&rows(from, count)).unwrap();
    writer.finish().unwrap().unwrap()
}

fn position(next: i64) -> Position {
    let mut offsets = Offsets::default();
    offsets.set(0, next);
    Position {
        offsets,
        dead_letters: 0,
    }
}

fn append(from: i64, next: i64, files: Vec<DataFile>) -> Change {
    Change::Append {
        expected: position(from),
        next: position(next),
        files,
    }
}

/// The offsets the table holds, by reading all its live files.
async fn offsets(table: &IcebergTable) -> Vec<i64> {
    let mut offsets = vec![];
    for manifest in table.current().manifests.iter() {
        for entry in manifests::live_entries(table.file_io(), manifest)
            .await
            .unwrap()
        {
            let file = fs::File::open(local_path(entry.file_path())).unwrap();
            let reader =
                parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file)
                    .unwrap()
                    .build()
                    .unwrap();
            for batch in reader {
                let batch = batch.unwrap();
                let column = batch.column_by_name(lineage::OFFSET).unwrap();
                let column = column.as_any().downcast_ref::<Int64Array>().unwrap();
                offsets.extend(column.values().iter());
            }
        }
    }
    offsets.sort_unstable();
    offsets
}

fn count(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[tokio::test]
async fn appends_add_up_and_files_stay_bounded() {
    let fixture = Fixture::new().await;
    let mut table = fixture.create("events", &fields()).await;
    for round in 0..60 {
        let file = write(&table, round * 10, 10);
        let change = append(round * 10, round * 10 + 10, vec![file]);
        assert_eq!(table.commit(change).await.unwrap(), Outcome::Committed);
    }
    assert_eq!(offsets(&table).await, (0..600).collect::<Vec<_>>());
    assert_eq!(table.files(), 60);
    let summary = &table
        .metadata()
        .current_snapshot()
        .unwrap()
        .summary()
        .additional_properties;
    assert_eq!(summary["total-records"], "600");
    assert_eq!(summary["total-data-files"], "60");
    assert_eq!(summary["added-records"], "10");
    assert_eq!(summary[OFFSETS], "[600]");
    assert_eq!(
        table.metadata().snapshots().len(),
        fixture.config.snapshots_kept
    );
    // 32 snapshots with a list and up to two manifests each, 20 old versions under two names.
    let metadata = local_path(table.metadata().location()).join("metadata");
    assert!(count(&metadata) < 200, "{} files", count(&metadata));
    // The library's own catalog and a fresh look agree.
    let again = fixture.open("events").await;
    assert_eq!(again.position().unwrap(), position(600));
    assert_eq!(offsets(&again).await.len(), 600);
}

#[tokio::test]
async fn a_writer_that_fell_behind_is_fenced() {
    let fixture = Fixture::new().await;
    let mut first = fixture.create("events", &fields()).await;
    let mut second = fixture.open("events").await;
    first
        .commit(append(0, 10, vec![write(&first, 0, 10)]))
        .await
        .unwrap();
    // The second writer lost the race; its change is rebased only if it still continues the
    // recorded offsets, which it doesn't.
    let stale = second
        .commit(append(0, 10, vec![write(&second, 0, 10)]))
        .await;
    assert!(matches!(stale, Err(TableError::Fenced { .. })), "{stale:?}");
    second
        .commit(append(10, 20, vec![write(&second, 10, 10)]))
        .await
        .unwrap();
    // The first lost a race too, but its change fits.
    first.reload().await.unwrap();
    first
        .commit(append(20, 30, vec![write(&first, 20, 10)]))
        .await
        .unwrap();
    assert_eq!(offsets(&first).await, (0..30).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_break_at_any_step_leaves_all_or_nothing() {
    for step in [
        Step::ManifestWritten,
        Step::ManifestListWritten,
        Step::MetadataWritten,
        Step::Swapped,
        Step::Committed,
    ] {
        let mut fixture = Fixture::new().await;
        let armed = Arc::new(AtomicUsize::new(usize::MAX));
        let hook = armed.clone();
        fixture.config.faults = Faults::new(Arc::new(move |_, at| {
            at == step && hook.fetch_sub(1, Ordering::SeqCst) == 0
        }));
        let mut table = fixture.create("events", &fields()).await;
        table
            .commit(append(0, 10, vec![write(&table, 0, 10)]))
            .await
            .unwrap();
        armed.store(0, Ordering::SeqCst);
        let broken = table
            .commit(append(10, 20, vec![write(&table, 10, 10)]))
            .await;
        assert!(matches!(broken, Err(TableError::Injected(at)) if at == step));
        drop(table);
        let mut table = fixture.open("events").await;
        let next = table.position().unwrap().offsets.get(0);
        let done = matches!(step, Step::Swapped | Step::Committed);
        assert_eq!(next, if done { 20 } else { 10 }, "{step:?}");
        table
            .commit(append(next, 30, vec![write(&table, next, 30 - next)]))
            .await
            .unwrap();
        assert_eq!(
            offsets(&table).await,
            (0..30).collect::<Vec<_>>(),
            "{step:?}"
        );
        let data = local_path(table.metadata().location()).join("data");
        assert_eq!(
            count(&data),
            if done { 3 } else { 2 },
            "{step:?}: unreferenced files stay"
        );
    }
}

#[tokio::test]
async fn files_are_replaced_by_others_with_the_same_rows() {
    let fixture = Fixture::new().await;
    let mut table = fixture.create("events", &fields()).await;
    let mut small = vec![];
    for round in 0..20 {
        let file = write(&table, round * 10, 10);
        small.push(file.file_path().to_owned());
        table
            .commit(append(round * 10, round * 10 + 10, vec![file]))
            .await
            .unwrap();
    }
    let replace = Change::Replace {
        removed: small[..15].iter().cloned().collect(),
        added: vec![write(&table, 0, 150)],
    };
    assert_eq!(
        table.commit(replace.clone()).await.unwrap(),
        Outcome::Committed
    );
    assert_eq!(offsets(&table).await, (0..200).collect::<Vec<_>>());
    assert_eq!(table.files(), 6);
    assert_eq!(table.position().unwrap(), position(200));
    let summary = &table
        .metadata()
        .current_snapshot()
        .unwrap()
        .summary()
        .additional_properties;
    assert_eq!(summary["total-records"], "200");
    assert_eq!(summary["deleted-data-files"], "15");
    assert_eq!(summary["total-data-files"], "6");
    // Once more: its files are gone.
    assert_eq!(table.commit(replace).await.unwrap(), Outcome::Overtaken);
    for round in 20..70 {
        let file = write(&table, round * 10, 10);
        table
            .commit(append(round * 10, round * 10 + 10, vec![file]))
            .await
            .unwrap();
    }
    let data = local_path(table.metadata().location()).join("data");
    assert_eq!(count(&data), 56, "replaced files stay");
    assert_eq!(offsets(&table).await, (0..700).collect::<Vec<_>>());
}

#[tokio::test]
async fn iceberg_itself_reads_the_table() {
    use futures_util::TryStreamExt;
    use iceberg::{Catalog as _, CatalogBuilder, NamespaceIdent, TableIdent};
    let fixture = Fixture::new().await;
    let mut table = fixture.create("events", &fields()).await;
    table
        .commit(append(0, 1000, vec![write(&table, 0, 1000)]))
        .await
        .unwrap();
    let catalog = iceberg_catalog_sql::SqlCatalogBuilder::default()
        .uri(format!(
            "sqlite://{}",
            fixture.config.catalog_path.display()
        ))
        .sql_bind_style(iceberg_catalog_sql::SqlBindStyle::QMark)
        .with_storage_factory(Arc::new(iceberg::io::LocalFsStorageFactory))
        .load("fletch", HashMap::new())
        .await
        .unwrap();
    let ident = TableIdent::new(NamespaceIdent::new("default".into()), "events".into());
    let found = catalog.load_table(&ident).await.unwrap();
    let batches: Vec<RecordBatch> = found
        .scan()
        .build()
        .unwrap()
        .to_arrow()
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(
        batches.iter().map(RecordBatch::num_rows).sum::<usize>(),
        1000
    );
    let wanted = rows(0, 1000);
    let got = arrow_select::concat::concat_batches(&batches[0].schema(), &batches).unwrap();
    for name in ["user", "n", lineage::OFFSET, lineage::TIMESTAMP] {
        assert_eq!(
            got.column_by_name(name).unwrap(),
            wanted.column_by_name(name).unwrap(),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_commit_to_a_table_of_ten_thousand_files_is_cheap() {
    use iceberg::spec::{DataContentType, DataFileBuilder, DataFileFormat, Struct};
    let fixture = Fixture::new().await;
    let mut table = fixture.create("events", &fields()).await;
    let made_up = |number: i64| {
        DataFileBuilder::default()
            .content(DataContentType::Data)
            .file_path(format!(
                "{}/data/fletch-{number}.parquet",
                table.metadata().location()
            ))
            .file_format(DataFileFormat::Parquet)
            .partition(Struct::empty())
            .partition_spec_id(0)
            .record_count(1)
            .file_size_in_bytes(1)
            .build()
            .unwrap()
    };
    let files: Vec<DataFile> = (0..10_000).map(made_up).collect();
    let mut next = 0;
    for chunk in files.chunks(200) {
        let change = append(next, next + 200, chunk.to_vec());
        table.commit(change).await.unwrap();
        next += 200;
    }
    let started = std::time::Instant::now();
    const COMMITS: i64 = 40;
    for _ in 0..COMMITS {
        let file = write(&table, next, 1);
        table
            .commit(append(next, next + 1, vec![file]))
            .await
            .unwrap();
        next += 1;
    }
    let each = started.elapsed() / COMMITS as u32;
    println!(
        "{each:?} a commit, {} manifests",
        table.current().manifests.len()
    );
    assert_eq!(table.files(), 10_000 + COMMITS as u64);
    assert!(table.current().manifests.len() < 50);
    // 50 ms unoptimised on a busy machine of two cores; this is to catch what grows with the table.
    assert!(each < Duration::from_secs(2), "{each:?}");
}
