//! Makes a log of some size, as a killed process would leave it, and times its start.
//!
//! `cargo run --release -p fletch-store --example restart -- DIRECTORY GIGABYTES [PARTITIONS]`

use std::collections::VecDeque;
use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use bytes::Bytes;
use fletch_store::{NewTopic, Store, StoreConfig};
use fletch_wire::records::{BatchBuilder, Compression};

const BATCH_BYTES: usize = 64 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments
        .next()
        .ok_or("usage: restart DIRECTORY GIGABYTES [PARTITIONS]")?;
    let gigabytes: f64 = arguments.next().unwrap_or("1".into()).parse()?;
    let partitions: i32 = arguments.next().unwrap_or("100".into()).parse()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()?;
    if let Some(mode) = arguments.next() {
        assert_eq!(mode, "fill");
        return runtime.block_on(fill(Path::new(&directory), gigabytes, partitions));
    }

    // Another process fills the log and aborts: nothing is sealed, no checkpoint is written.
    let filled = Command::new(std::env::current_exe()?)
        .args([
            &directory,
            &gigabytes.to_string(),
            &partitions.to_string(),
            "fill",
        ])
        .status()?;
    println!("filled: {filled}");
    for start in ["after a crash", "after a shutdown"] {
        let begun = Instant::now();
        let store = Store::open(StoreConfig::new(&directory))?;
        let opened = begun.elapsed();
        let topic = store.topic("t").ok_or("the topic is gone")?;
        let begun = Instant::now();
        let read = runtime.block_on(store.read(topic.id, partitions / 2, 0, 1))?;
        println!(
            "{start}: ready in {opened:.1?}; oldest batch of a partition, {} bytes, in {:.1?}; {} KiB resident",
            read.first().map_or(0, |batch| batch.as_sent().len()),
            begun.elapsed(),
            resident_kib()?
        );
        runtime.block_on(store.shutdown())?;
    }
    Ok(())
}

async fn fill(directory: &Path, gigabytes: f64, partitions: i32) -> Result<(), Box<dyn Error>> {
    let store = Store::open(StoreConfig::new(directory))?;
    let topic = store.create_topic(NewTopic::new("t", partitions)).await?;
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(0, None, Some(&vec![b'x'; BATCH_BYTES]), &[])?;
    let batch = builder.finish()?.into_bytes();
    let count = (gigabytes * 1e9) as usize / batch.len();
    let begun = Instant::now();
    let mut flying = VecDeque::new();
    for index in 0..count {
        let partition = (index % partitions as usize) as i32;
        let batch = Bytes::copy_from_slice(&batch);
        flying.push_back(store.append(topic.id, partition, batch).await?);
        if flying.len() > 64
            && let Some(ticket) = flying.pop_front()
        {
            ticket.await?;
        }
    }
    for ticket in flying {
        ticket.await?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{gigabytes} GB over {partitions} partitions in {seconds:.1} s");
    std::process::abort();
}

fn resident_kib() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.ok_or("no VmRSS")?.parse()?)
}
