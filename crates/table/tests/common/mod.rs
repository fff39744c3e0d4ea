//! A store, its tables, and what a producer would send.
#![allow(dead_code, unreachable_pub)]

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use fletch_store::{NewTopic, Store, StoreConfig, StoreError, Topic};
use fletch_table::{
    BoxFuture, SchemaKind, SchemaSource, SchemaSourceError, SchemaText, TableConfig, Tables,
};
use fletch_wire::Limits;
use fletch_wire::records::{Batch, BatchBuilder, Compression};
use iceberg::io::LocalFsStorageFactory;
use iceberg::spec::{ManifestStatus, TableMetadata};
use iceberg::table::Table;
use iceberg::{Catalog, CatalogBuilder, NamespaceIdent, TableIdent};
use iceberg_catalog_sql::{SqlBindStyle, SqlCatalogBuilder};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

pub const EVENT: &str = r#"{"type":"record","name":"Event","fields":[
    {"name":"timestamp","type":"long"},{"name":"event","type":"string"},{"name":"user_id","type":"int"}]}"#;

/// Schemas by id, which a test adds as it goes. It can be out of reach.
#[derive(Default)]
pub struct Registry {
    schemas: Mutex<HashMap<u32, Arc<SchemaText>>>,
    guids: Mutex<HashMap<uuid::Uuid, Arc<SchemaText>>>,
    subjects: Mutex<HashMap<String, Arc<SchemaText>>>,
    pub away: std::sync::atomic::AtomicBool,
}

impl Registry {
    pub fn add(&self, id: u32, text: &str) {
        let text = SchemaText {
            id: None,
            kind: SchemaKind::Avro,
            text: text.into(),
            references: vec![],
        };
        self.add_text(id, text);
    }

    pub fn add_text(&self, id: u32, text: SchemaText) {
        self.schemas.lock().unwrap().insert(id, Arc::new(text));
    }

    pub fn add_guid(&self, guid: uuid::Uuid, text: SchemaText) {
        self.guids.lock().unwrap().insert(guid, Arc::new(text));
    }

    pub fn add_latest(&self, subject: &str, text: SchemaText) {
        let text = Arc::new(text);
        self.subjects.lock().unwrap().insert(subject.into(), text);
    }
}

impl SchemaSource for Registry {
    fn schema(&self, id: u32) -> BoxFuture<'_, Result<Arc<SchemaText>, SchemaSourceError>> {
        Box::pin(async move {
            if self.away.load(std::sync::atomic::Ordering::SeqCst) {
                return Err(SchemaSourceError::Unavailable("it is away".into()));
            }
            self.schemas
                .lock()
                .unwrap()
                .get(&id)
                .cloned()
                .ok_or(SchemaSourceError::NotFound)
        })
    }

    fn by_guid(
        &self,
        guid: uuid::Uuid,
    ) -> BoxFuture<'_, Result<Arc<SchemaText>, SchemaSourceError>> {
        let found = self.guids.lock().unwrap().get(&guid).cloned();
        Box::pin(std::future::ready(found.ok_or(SchemaSourceError::NotFound)))
    }

    fn latest<'a>(
        &'a self,
        subject: &'a str,
    ) -> BoxFuture<'a, Result<Arc<SchemaText>, SchemaSourceError>> {
        let found = self.subjects.lock().unwrap().get(subject).cloned();
        Box::pin(std::future::ready(found.ok_or(SchemaSourceError::NotFound)))
    }
}

/// A server's data folder and what runs on it.
pub struct Server {
    pub folder: Arc<tempfile::TempDir>,
    pub store: Store,
    pub tables: Tables,
    pub registry: Arc<Registry>,
    pub config: TableConfig,
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(|config| config.commit_interval = Duration::from_millis(100)).await
    }

    pub async fn start_with(change: impl FnOnce(&mut TableConfig)) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let mut config = TableConfig::new(folder.path());
        config.schema_not_found_wait = Duration::from_millis(300);
        config.delete_after = Duration::ZERO;
        change(&mut config);
        let registry = Arc::new(Registry::default());
        registry.add(1, EVENT);
        Self::on(folder, config, registry).await
    }

    pub async fn on(
        folder: Arc<tempfile::TempDir>,
        config: TableConfig,
        registry: Arc<Registry>,
    ) -> Self {
        let mut settings = StoreConfig::new(folder.path().join("log"));
        settings.tables = true;
        let mut tries = 0;
        let store = loop {
            match Store::open(settings.clone()) {
                Ok(store) => break store,
                // Whoever had it before closes it in the background.
                Err(StoreError::Locked { .. }) if tries < 200 => tries += 1,
                Err(error) => panic!("{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let tables = Tables::start(store.clone(), config.clone(), registry.clone())
            .await
            .unwrap();
        Self {
            folder,
            store,
            tables,
            registry,
            config,
        }
    }

    /// As if the process had been killed: nothing is drained, nothing is finished.
    pub async fn crash_and_restart(self) -> Self {
        self.crash_and_restart_with(|_| {}).await
    }

    pub async fn crash_and_restart_with(self, change: impl FnOnce(&mut TableConfig)) -> Self {
        let Self {
            folder,
            store,
            tables,
            registry,
            mut config,
        } = self;
        drop(tables);
        // Aborted tasks let go of the store when they are next polled.
        tokio::time::sleep(Duration::from_millis(20)).await;
        store.shutdown().await.unwrap();
        drop(store);
        change(&mut config);
        Self::on(folder, config, registry).await
    }

    pub async fn topic(&self, name: &str, partitions: i32) -> Arc<Topic> {
        self.topic_with(name, partitions, &[]).await
    }

    pub async fn topic_with(
        &self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> Arc<Topic> {
        let mut topic = NewTopic::new(name, partitions);
        let configs = configs.iter();
        topic.configs = configs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        self.store.create_topic(topic).await.unwrap()
    }

    pub async fn produce(&self, topic: &Topic, partition: i32, batch: Batch) -> i64 {
        let ticket = self
            .store
            .append(topic.id, partition, batch.into_bytes())
            .await
            .unwrap();
        ticket.await.unwrap().base_offset
    }

    /// Appends events with these user ids.
    pub async fn events(&self, topic: &Topic, partition: i32, users: std::ops::Range<i32>) -> i64 {
        let values: Vec<Option<Vec<u8>>> = users.map(|user| Some(event(1, user))).collect();
        self.produce(topic, partition, batch(&values)).await
    }

    pub async fn rows(&self, table: &str) -> Vec<RecordBatch> {
        rows(&self.config, table).await
    }

    pub async fn metadata(&self, table: &str) -> Option<TableMetadata> {
        let table = load(&self.config, table).await?;
        Some(table.metadata().clone())
    }

    /// All records of a topic's partition 0 as (key, value, headers).
    pub async fn records(&self, topic: &str) -> Vec<Plain> {
        let mut plain = Vec::new();
        let Some(topic) = self.store.topic(topic) else {
            return plain;
        };
        let marks = self.store.watermarks(topic.id, 0).unwrap();
        let mut next = marks.log_start;
        while next < marks.high {
            for stored in self.store.read(topic.id, 0, next, 1 << 20).await.unwrap() {
                next = stored.last_offset() + 1;
                let batch = Batch::try_from(stored.as_sent().clone()).unwrap();
                for record in &batch.records(&Limits::admitted()).unwrap() {
                    let record = record.unwrap();
                    plain.push(Plain {
                        key: record.key.map(<[u8]>::to_vec),
                        value: record.value.map(<[u8]>::to_vec),
                        headers: record
                            .headers
                            .map(|h| {
                                let key = String::from_utf8(h.key.to_vec()).unwrap();
                                (key, h.value.map(<[u8]>::to_vec))
                            })
                            .collect(),
                    });
                }
            }
        }
        plain
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Plain {
    pub fn header(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().rev().find(|(key, _)| key == name)?;
        Some(String::from_utf8(value.clone()?).unwrap())
    }
}

pub fn batch(values: &[Option<Vec<u8>>]) -> Batch {
    let mut builder = BatchBuilder::new(Compression::Lz4);
    for (at, value) in values.iter().enumerate() {
        builder
            .append(1_700_000_000_000 + at as i64, None, value.as_deref(), &[])
            .unwrap();
    }
    builder.finish().unwrap()
}

/// A framed value of the schema [`EVENT`].
pub fn event(id: u32, user: i32) -> Vec<u8> {
    let mut value = frame(id);
    long(&mut value, 1_700_000_000_000 + i64::from(user));
    text(&mut value, if user % 2 == 0 { "click" } else { "scroll" });
    long(&mut value, i64::from(user));
    value
}

pub fn frame(id: u32) -> Vec<u8> {
    let mut value = vec![0];
    value.extend_from_slice(&id.to_be_bytes());
    value
}

/// Avro's int and long.
pub fn long(to: &mut Vec<u8>, n: i64) {
    let mut n = ((n << 1) ^ (n >> 63)).cast_unsigned();
    while n >= 0x80 {
        to.push(n as u8 | 0x80);
        n >>= 7;
    }
    to.push(n as u8);
}

pub fn text(to: &mut Vec<u8>, text: &str) {
    long(to, text.len() as i64);
    to.extend_from_slice(text.as_bytes());
}

pub async fn load(config: &TableConfig, table: &str) -> Option<Table> {
    let catalog = SqlCatalogBuilder::default()
        .uri(format!("sqlite://{}", config.catalog_path.display()))
        .sql_bind_style(SqlBindStyle::QMark)
        .with_storage_factory(Arc::new(LocalFsStorageFactory))
        .load("fletch", HashMap::new())
        .await
        .unwrap();
    let ident = TableIdent::new(NamespaceIdent::new("default".into()), table.into());
    if !catalog.table_exists(&ident).await.unwrap() {
        return None;
    }
    Some(catalog.load_table(&ident).await.unwrap())
}

/// The live data files of a table, by Iceberg's own reading of the metadata.
pub async fn files(config: &TableConfig, table: &str) -> Vec<String> {
    let Some(table) = load(config, table).await else {
        return vec![];
    };
    let Some(snapshot) = table.metadata().current_snapshot() else {
        return vec![];
    };
    let list = table.manifest_list_reader(snapshot).load().await.unwrap();
    let mut files = vec![];
    for manifest in list.entries() {
        let manifest = manifest.load_manifest(table.file_io()).await.unwrap();
        let live = manifest
            .entries()
            .iter()
            .filter(|e| e.status != ManifestStatus::Deleted);
        files.extend(live.map(|e| e.file_path().trim_start_matches("file://").to_owned()));
    }
    files
}

/// Every row, file by file.
pub async fn rows(config: &TableConfig, table: &str) -> Vec<RecordBatch> {
    let mut rows = vec![];
    for file in files(config, table).await {
        let file = std::fs::File::open(Path::new(&file)).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)
            .unwrap()
            .build()
            .unwrap();
        rows.extend(reader.map(Result::unwrap));
    }
    rows
}

/// (partition, offset) of every row, in order.
pub fn places(rows: &[RecordBatch]) -> Vec<(i32, i64)> {
    let mut places = vec![];
    for batch in rows {
        let partitions = batch.column_by_name("kafka_partition").unwrap();
        let offsets = batch.column_by_name("kafka_offset").unwrap();
        let partitions = partitions.as_primitive::<Int32Type>().values();
        let offsets = offsets.as_primitive::<Int64Type>().values();
        places.extend(partitions.iter().copied().zip(offsets.iter().copied()));
    }
    places.sort_unstable();
    places
}

pub fn all(partition: i32, offsets: std::ops::Range<i64>) -> Vec<(i32, i64)> {
    offsets.map(|offset| (partition, offset)).collect()
}

/// Values of an `int` column by place.
pub fn ints(rows: &[RecordBatch], column: &str) -> Vec<((i32, i64), Option<i32>)> {
    let mut ints = vec![];
    for batch in rows {
        let values = batch
            .column_by_name(column)
            .unwrap()
            .as_primitive::<Int32Type>();
        for (row, place) in unsorted_places(batch).into_iter().enumerate() {
            ints.push((place, values.is_valid(row).then(|| values.value(row))));
        }
    }
    ints.sort_unstable();
    ints
}

pub fn unsorted_places(batch: &RecordBatch) -> Vec<(i32, i64)> {
    let partitions = batch.column_by_name("kafka_partition").unwrap();
    let offsets = batch.column_by_name("kafka_offset").unwrap();
    let partitions = partitions.as_primitive::<Int32Type>().values();
    partitions
        .iter()
        .copied()
        .zip(offsets.as_primitive::<Int64Type>().values().iter().copied())
        .collect()
}
