//! Appends beside the disk: latency and throughput of the log, and of bare writes with
//! `fdatasync` to the same file system in the same run, with the ratios between them.
//!
//! `cargo bench -p fletch-store --bench append [-- <directory>]`

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fletch_store::{NewTopic, Store, StoreConfig};
use fletch_wire::records::{BatchBuilder, Compression};

const RECORD_BYTES: usize = 100;

fn main() {
    let directory = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'))
        .map_or_else(std::env::temp_dir, PathBuf::from)
        .join(format!("fletch-store-bench-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();

    println!("latency of one batch at a time, 1,000 a second (microseconds)");
    println!(
        "{:>10} | {:>9} {:>9} | {:>9} {:>9} | ratio p50",
        "bytes", "disk p50", "disk p99", "log p50", "log p99"
    );
    for records in [1, 10, 160] {
        let batch = batch(records);
        let disk = bare_latency(&directory, batch.len(), 3000);
        let log = runtime.block_on(log_latency(&directory, &batch, 3000));
        println!(
            "{:>10} | {:>9.0} {:>9.0} | {:>9.0} {:>9.0} | {:.2}",
            batch.len(),
            percentile(&disk, 50),
            percentile(&disk, 99),
            percentile(&log, 50),
            percentile(&log, 99),
            percentile(&log, 50) / percentile(&disk, 50),
        );
    }

    println!("\nthroughput, 2 GB each, {RECORD_BYTES}-byte records, uncompressed");
    println!(
        "{:>10} | {:>9} | {:>9} {:>9} | {:>10} {:>12} | ratio",
        "batch", "disk MB/s", "log MB/s", "M rec/s", "CPU-s/GB", "CPU-s/M rec"
    );
    for records in [16, 160, 1600, 10_000] {
        let batch = batch(records);
        let total = 2_000_000_000usize.min(batch.len() * 200_000);
        let disk = bare_throughput(&directory, batch.len().max(1 << 20), total);
        let cpu = cpu_seconds();
        let started = Instant::now();
        let count = total / batch.len();
        runtime.block_on(log_throughput(&directory, &batch, count));
        let seconds = started.elapsed().as_secs_f64();
        let cpu = cpu_seconds() - cpu;
        let bytes = (count * batch.len()) as f64;
        let records = (count * records) as f64;
        println!(
            "{:>10} | {:>9.0} | {:>9.0} {:>9.2} | {:>10.3} {:>12.4} | {:.2}",
            batch.len(),
            disk,
            bytes / seconds / 1e6,
            records / seconds / 1e6,
            cpu / (bytes / 1e9),
            cpu / (records / 1e6),
            bytes / seconds / 1e6 / disk,
        );
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

fn batch(records: usize) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    let value = [b'x'; RECORD_BYTES];
    for _ in 0..records {
        builder.append(1_000, None, Some(&value), &[]).unwrap();
    }
    builder.finish().unwrap().into_bytes()
}

fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() - 1) * percent / 100]
}

fn sorted(mut micros: Vec<f64>) -> Vec<f64> {
    micros.sort_by(f64::total_cmp);
    micros
}

/// A preallocated file, written from its start, flushed after each write.
fn bare_file(directory: &Path, bytes: usize) -> (PathBuf, File) {
    let path = directory.join("bare");
    let file = File::create(&path).unwrap();
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes as u64).unwrap();
    file.sync_all().unwrap();
    (path, file)
}

fn bare_latency(directory: &Path, bytes: usize, count: usize) -> Vec<f64> {
    let (path, file) = bare_file(directory, bytes * count);
    let buffer = vec![b'x'; bytes];
    let mut micros = Vec::with_capacity(count);
    let started = Instant::now();
    for index in 0..count {
        pace(started, index);
        let begun = Instant::now();
        file.write_all_at(&buffer, (index * bytes) as u64).unwrap();
        file.sync_data().unwrap();
        micros.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    std::fs::remove_file(path).unwrap();
    sorted(micros)
}

fn pace(started: Instant, index: usize) {
    let due = started + Duration::from_millis(index as u64);
    if let Some(wait) = due.checked_duration_since(Instant::now()) {
        std::thread::sleep(wait);
    }
}

async fn log_latency(directory: &Path, batch: &Bytes, count: usize) -> Vec<f64> {
    let path = directory.join("log");
    let store = Store::open(StoreConfig::new(&path)).unwrap();
    let topic = store.create_topic(NewTopic::new("t", 1)).await.unwrap();
    let mut micros = Vec::with_capacity(count);
    let started = Instant::now();
    for index in 0..count {
        let due = started + Duration::from_millis(index as u64);
        tokio::time::sleep_until(due.into()).await;
        let begun = Instant::now();
        let ticket = store.append(topic.id, 0, batch.clone()).await.unwrap();
        ticket.await.unwrap();
        micros.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    store.shutdown().await.unwrap();
    drop(store);
    std::fs::remove_dir_all(path).unwrap();
    sorted(micros)
}

fn bare_throughput(directory: &Path, write_bytes: usize, total: usize) -> f64 {
    let count = total / write_bytes;
    let (path, file) = bare_file(directory, write_bytes * count);
    let buffer = vec![b'x'; write_bytes];
    let started = Instant::now();
    for index in 0..count {
        file.write_all_at(&buffer, (index * write_bytes) as u64)
            .unwrap();
        file.sync_data().unwrap();
    }
    let seconds = started.elapsed().as_secs_f64();
    std::fs::remove_file(path).unwrap();
    (write_bytes * count) as f64 / seconds / 1e6
}

/// Five batches in flight, as one producer has, from each of four producers.
async fn log_throughput(directory: &Path, batch: &Bytes, count: usize) {
    let path = directory.join("log");
    let store = Store::open(StoreConfig::new(&path)).unwrap();
    let topic = store.create_topic(NewTopic::new("t", 4)).await.unwrap();
    let mut producers = Vec::new();
    for partition in 0..4 {
        let (store, topic, batch) = (store.clone(), topic.id, batch.clone());
        producers.push(tokio::spawn(async move {
            let mut flying = std::collections::VecDeque::new();
            for _ in 0..count / 4 {
                // A copy stands for the socket's buffer.
                let batch = Bytes::copy_from_slice(&batch);
                flying.push_back(store.append(topic, partition, batch).await.unwrap());
                if flying.len() == 5
                    && let Some(ticket) = flying.pop_front()
                {
                    ticket.await.unwrap();
                }
            }
            for ticket in flying {
                ticket.await.unwrap();
            }
        }));
    }
    for producer in producers {
        producer.await.unwrap();
    }
    store.shutdown().await.unwrap();
    drop(store);
    std::fs::remove_dir_all(path).unwrap();
}

/// User and system time of this process so far.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().unwrap())
        .sum();
    ticks as f64 / 100.0
}
