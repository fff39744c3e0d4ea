//! Avro records at a fixed rate for a while: how far the committed table falls behind, how soon it
//! catches up, what it costs, and what files it leaves.

use crate::avro;
use crate::broker::Place;
use crate::catalog::Catalog;
use crate::client::Producer;
use clap::Args;
use std::time::{Duration, Instant};

#[derive(Args)]
pub struct Options {
    /// Records a second offered.
    #[arg(long, default_value_t = 1_000_000)]
    rate: u64,
    /// Seconds of load.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Further settings of the server.
    #[arg(long, value_delimiter = ' ', default_value = "--topics-partitions 1")]
    server: Vec<String>,
}

pub fn run(place: &Place, options: &Options) {
    let server: Vec<&str> = options.server.iter().map(String::as_str).collect();
    let broker = place.start(&server);
    let topic = "table";
    let messages = avro::messages(avro::register(&broker, topic), 200_000);
    let settings = [
        ("acks", "all"),
        ("compression.type", "lz4"),
        ("bootstrap.servers", broker.kafka.as_str()),
        ("queue.buffering.max.messages", "1000000"),
    ];
    let producer = Producer::new(&settings, topic, false);
    let catalog = Catalog::new(&broker.data);
    let total = options.rate * options.seconds;
    let burst = (options.rate / 1000).max(1);
    let before = broker.cpu_seconds();
    let started = Instant::now();
    let (mut sent, mut lag_max, mut next_look) = (0_u64, 0_u64, Duration::from_secs(5));
    while sent < total {
        let due = (started.elapsed().as_secs_f64() * options.rate as f64) as u64;
        while sent < due.min(total) {
            for _ in 0..burst.min(total - sent) {
                producer.send(&messages[(sent % messages.len() as u64) as usize]);
                sent += 1;
            }
            producer.poll(Duration::ZERO);
        }
        producer.poll(Duration::from_millis(1));
        if started.elapsed() >= next_look {
            let acknowledged = producer.deliveries().acknowledged;
            let lag = acknowledged.saturating_sub(catalog.records(topic));
            lag_max = lag_max.max(lag);
            println!(
                "  {:>3.0} s: {:.2} M acknowledged, {:.2} M in the table, lag {:.2} M, memory {:.0} MiB",
                started.elapsed().as_secs_f64(),
                acknowledged as f64 / 1e6,
                (acknowledged - lag) as f64 / 1e6,
                lag as f64 / 1e6,
                broker.rss_mib()
            );
            next_look += Duration::from_secs(5);
        }
    }
    let failed = producer.flush().failed;
    let load_seconds = started.elapsed().as_secs_f64();
    assert_eq!(failed, 0, "{:?}", producer.deliveries().last_error);
    let ended = Instant::now();
    while catalog.records(topic) < total {
        assert!(
            ended.elapsed() < Duration::from_secs(300),
            "the table stopped at {} of {total} records",
            catalog.records(topic)
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    let caught_up = ended.elapsed().as_secs_f64();
    let cpu = broker.cpu_seconds() - before;
    let files = catalog.data_files(topic);
    println!(
        "table: {:.3} M records/s acknowledged over {load_seconds:.0} s (asked for {:.3}); committed at \
         {:.3} M records/s; highest lag {:.2} M records; table complete {caught_up:.1} s after the last \
         ack; {:.3} CPU-s per M records; {} files, {:.1} MB in all; peak memory {:.0} MiB",
        total as f64 / load_seconds / 1e6,
        options.rate as f64 / 1e6,
        total as f64 / (load_seconds + caught_up) / 1e6,
        lag_max as f64 / 1e6,
        cpu / (total as f64 / 1e6),
        files.0,
        files.1 as f64 / 1e6,
        broker.rss_peak_mib()
    );
}
