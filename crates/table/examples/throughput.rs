//! Records a second from the log into committed Parquet.
//!
//! ```text
//! cargo run --release -p fletch-table --example throughput -- [million records] [partitions]
//! ```
//!
//! A log is filled with events (`{timestamp long, event string, user_id int}`, lz4 batches as
//! librdkafka makes them), then its table is built and the time it takes is measured, commits and
//! fdatasync included. CPU seconds are the process's own, user and system.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fletch_store::{NewTopic, Store, StoreConfig};
use fletch_table::{
    BoxFuture, SchemaKind, SchemaSource, SchemaSourceError, SchemaText, TableConfig, Tables,
};
use fletch_wire::records::{BatchBuilder, Compression};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const SCHEMA: &str = r#"{"type":"record","name":"Event","fields":[
    {"name":"timestamp","type":"long"},{"name":"event","type":"string"},{"name":"user_id","type":"int"}]}"#;
const EVENTS: [&str; 12] = [
    "click",
    "page_view",
    "add_to_cart",
    "purchase",
    "login",
    "logout",
    "search",
    "scroll",
    "video_play",
    "checkout_started",
    "signup_completed",
    "notification_opened",
];
const BATCH_RECORDS: usize = 10_000;

struct OneSchema;

impl SchemaSource for OneSchema {
    fn schema(&self, _: u32) -> BoxFuture<'_, Result<Arc<SchemaText>, SchemaSourceError>> {
        Box::pin(async {
            let text = SCHEMA.to_owned();
            Ok(Arc::new(SchemaText {
                id: None,
                kind: SchemaKind::Avro,
                text,
                references: vec![],
            }))
        })
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |default: usize| -> Result<usize, std::num::ParseIntError> {
        arguments.next().map_or(Ok(default), |text| text.parse())
    };
    let (millions, partitions) = (argument(10)?, argument(1)?);
    let folder =
        std::env::var_os("FLETCH_BENCH_FOLDER").map_or_else(std::env::temp_dir, Into::into);
    let folder = folder.join(format!("fletch-throughput-{}", std::process::id()));

    let mut settings = StoreConfig::new(folder.join("log"));
    settings.tables = true;
    let store = Store::open(settings)?;
    let topic = store
        .create_topic(NewTopic::new("events", i32::try_from(partitions)?))
        .await?;
    let mut random = StdRng::seed_from_u64(1);
    let mut tickets = Vec::new();
    for number in 0..millions * 1_000_000 / BATCH_RECORDS {
        let partition = i32::try_from(number % partitions)?;
        let bytes = batch(&mut random, 1_700_000_000_000 + number as i64)?;
        tickets.push(store.append(topic.id, partition, bytes).await?);
    }
    for ticket in tickets {
        ticket.await?;
    }
    println!("{millions} million records in the log, {partitions} partitions");

    let started = (Instant::now(), cpu_seconds());
    let mut config = TableConfig::new(&folder);
    config.compaction = std::env::var_os("FLETCH_BENCH_COMPACTION").is_some();
    let tables = Tables::start(store.clone(), config, Arc::new(OneSchema)).await?;
    let waiting = async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            println!("  {:?}", tables.status());
        }
    };
    tokio::select! {
        flushed = tables.flush("events") => flushed?,
        () = waiting => {}
    }
    let (seconds, cpu) = (started.0.elapsed().as_secs_f64(), cpu_seconds() - started.1);
    let status = tables.status();
    println!(
        "{:.2} M records/s, {:.2} CPU-s per million records, {} files, {} commits",
        millions as f64 / seconds,
        cpu / millions as f64,
        status.first().map_or(0, |status| status.files),
        status.first().map_or(0, |status| status.commits),
    );
    tables.shutdown().await;
    let data: u64 = walk(&folder.join("warehouse"))?;
    println!(
        "{:.1} bytes of table per record",
        data as f64 / (millions as f64 * 1e6)
    );
    if std::env::var_os("FLETCH_BENCH_KEEP").is_none() {
        std::fs::remove_dir_all(folder)?;
    } else {
        println!("kept {}", folder.display());
    }
    Ok(())
}

fn batch(random: &mut StdRng, at: i64) -> Result<bytes::Bytes, fletch_wire::Error> {
    let mut builder = BatchBuilder::new(Compression::Lz4);
    let mut value = Vec::new();
    for _ in 0..BATCH_RECORDS {
        value.clear();
        value.extend_from_slice(&[0, 0, 0, 0, 42]);
        long(
            &mut value,
            1_700_000_000_000 + random.random_range(0..60_000_000_000i64),
        );
        let event = EVENTS[random.random_range(0..EVENTS.len())];
        long(&mut value, event.len() as i64);
        value.extend_from_slice(event.as_bytes());
        long(&mut value, random.random_range(0..10_000_000));
        builder.append(at, None, Some(&value), &[])?;
    }
    Ok(builder.finish()?.into_bytes())
}

fn long(to: &mut Vec<u8>, n: i64) {
    let mut n = ((n << 1) ^ (n >> 63)).cast_unsigned();
    while n >= 0x80 {
        to.push(n as u8 | 0x80);
        n >>= 7;
    }
    to.push(n as u8);
}

/// User and system time of this process so far.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |at: usize| {
        fields
            .get(at)
            .and_then(|text| text.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    (ticks(11) + ticks(12)) / 100.0
}

fn walk(folder: &std::path::Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() {
            walk(&entry.path())?
        } else {
            entry.metadata()?.len()
        };
    }
    Ok(bytes)
}
