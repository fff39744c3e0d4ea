//! One librdkafka client against Fletch and, in turns within the same run, against librdkafka's own
//! in-memory mock cluster. Every figure is printed beside its peer's, as a ratio where there is one.
//!
//! ```text
//! cargo build --release --manifest-path ../../Cargo.toml
//! cargo run --release -- durable        # records/s, all acks after fdatasync, against the mock
//! cargo run --release -- latency        # ack latency at a fixed rate, against a bare fdatasync
//! cargo run --release -- table          # Avro records into committed Parquet, lag and memory
//! cargo run --release -- visible        # time from ack to the record's snapshot in the catalog
//! cargo run --release -- memory         # idle, and after each of many rounds
//! cargo run --release -- restart        # start to ready with 10 GB of log
//! ```

mod avro;
mod broker;
mod catalog;
mod client;
mod durable;
mod latency;
mod memory;
mod restart;
mod table;
mod visible;

use clap::{Parser, Subcommand};
use std::path::PathBuf;

#[derive(Parser)]
struct Args {
    /// The server to measure.
    #[arg(long, global = true, default_value = "../../target/release/fletch")]
    fletch: PathBuf,
    /// Where the server keeps its data: a directory on the disk to be measured. Emptied first.
    #[arg(long, global = true, default_value = "target/bench-data")]
    data: PathBuf,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Throughput with durable acks, beside an in-memory mock cluster.
    Durable(durable::Options),
    /// Ack latency at a fixed rate, linger 0.
    Latency(latency::Options),
    /// Avro records at a fixed rate into the committed table.
    Table(table::Options),
    /// Time from ack to visible in the committed table.
    Visible(visible::Options),
    /// Resident memory: idle, and flat over repeated loads.
    Memory(memory::Options),
    /// Start to ready over a large log.
    Restart(restart::Options),
}

fn main() {
    let args = Args::parse();
    let place = broker::Place {
        fletch: args.fletch,
        data: args.data,
    };
    match args.what {
        What::Durable(o) => durable::run(&place, &o),
        What::Latency(o) => latency::run(&place, &o),
        What::Table(o) => table::run(&place, &o),
        What::Visible(o) => visible::run(&place, &o),
        What::Memory(o) => memory::run(&place, &o),
        What::Restart(o) => restart::run(&place, &o),
    }
}
