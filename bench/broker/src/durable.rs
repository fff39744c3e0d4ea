//! Throughput: the same producer in turns against an in-memory mock cluster and against Fletch.

use crate::broker::{Broker, Place, median};
use crate::client::Producer;
use clap::Args;
use std::time::Instant;

#[derive(Args)]
pub struct Options {
    /// Bytes a value.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1024])]
    value_bytes: Vec<usize>,
    /// Bytes of values a round.
    #[arg(long, default_value_t = 1_500_000_000)]
    round_bytes: usize,
    /// Rounds of each contender.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Passed to the client.
    #[arg(long, default_value = "lz4")]
    compression: String,
    /// Further settings of the server.
    #[arg(
        long,
        value_delimiter = ' ',
        default_value = "--table-enabled false --topics-partitions 4"
    )]
    server: Vec<String>,
}

/// Values that compress about as well as log lines do: words drawn from a short list.
pub fn values(value_bytes: usize) -> Vec<Vec<u8>> {
    const WORDS: [&str; 16] = [
        "alpha", "harbor", "stone", "river", "market", "blue", "quartz", "signal", "north",
        "paper", "velvet", "ember", "cloud", "404", "200", "GET",
    ];
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    (0..4096)
        .map(|_| {
            let mut value = Vec::with_capacity(value_bytes + 16);
            while value.len() < value_bytes {
                value.extend_from_slice(WORDS[(next() % 16) as usize].as_bytes());
                value.extend_from_slice(format!(" {:x} ", next() % 100_000).as_bytes());
            }
            value.truncate(value_bytes);
            value
        })
        .collect()
}

fn round(bootstrap: Option<&str>, options: &Options, values: &[Vec<u8>], records: usize) -> f64 {
    let mut settings = vec![
        ("acks", "all"),
        ("compression.type", options.compression.as_str()),
    ];
    match bootstrap {
        Some(address) => settings.push(("bootstrap.servers", address)),
        None => settings.push(("test.mock.num.brokers", "1")),
    }
    let producer = Producer::new(&settings, "durable", false);
    // The connection, the metadata and the topic's creation are not what is measured.
    producer.send(&values[0]);
    producer.flush();
    let started = Instant::now();
    for n in 0..records {
        producer.send(&values[n % values.len()]);
        if n % 1024 == 0 {
            producer.poll(std::time::Duration::ZERO);
        }
    }
    let deliveries = producer.flush();
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!(
        (deliveries.acknowledged, deliveries.failed),
        (records as u64 + 1, 0),
        "not every record was acknowledged: {:?}",
        deliveries.last_error
    );
    records as f64 / seconds
}

pub fn run(place: &Place, options: &Options) {
    for &value_bytes in &options.value_bytes {
        let values = values(value_bytes);
        let records = options.round_bytes / value_bytes;
        let server: Vec<&str> = options.server.iter().map(String::as_str).collect();
        let broker: Broker = place.start(&server);
        round(None, options, &values, records / 10);
        round(Some(&broker.kafka), options, &values, records / 10);
        let (mut mock, mut fletch, mut ratio, mut cpu) = (vec![], vec![], vec![], vec![]);
        for n in 1..=options.rounds {
            let m = round(None, options, &values, records);
            let before = broker.cpu_seconds();
            let f = round(Some(&broker.kafka), options, &values, records);
            let c = (broker.cpu_seconds() - before) / (records as f64 / 1e6);
            println!(
                "  round {n}: mock {:.3} M/s, fletch {:.3} M/s, ratio {:.3}, broker {c:.3} CPU-s per M records",
                m / 1e6,
                f / 1e6,
                f / m
            );
            mock.push(m);
            fletch.push(f);
            ratio.push(f / m);
            cpu.push(c);
        }
        println!(
            "durable, {value_bytes}-byte values, {}: mock {:.3} M records/s, fletch {:.3} M records/s \
             ({:.0} MB/s), ratio {:.3}; broker {:.3} CPU-s per M records, peak memory {:.0} MiB",
            options.compression,
            median(mock) / 1e6,
            median(fletch.clone()) / 1e6,
            median(fletch) * value_bytes as f64 / 1e6,
            median(ratio),
            median(cpu),
            broker.rss_peak_mib()
        );
    }
}
