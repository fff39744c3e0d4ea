//! Resident memory: idle, and after each of many equal loads, where a leak would show as a slope.

use crate::avro;
use crate::broker::Place;
use crate::catalog::Catalog;
use crate::client::Producer;
use clap::Args;
use std::time::Duration;

#[derive(Args)]
pub struct Options {
    /// Equal loads, one after the other.
    #[arg(long, default_value_t = 10)]
    rounds: u64,
    /// Records a load.
    #[arg(long, default_value_t = 3_000_000)]
    records: u64,
    /// Further settings of the server.
    #[arg(long, value_delimiter = ' ', default_value = "--topics-partitions 4")]
    server: Vec<String>,
}

pub fn run(place: &Place, options: &Options) {
    let server: Vec<&str> = options.server.iter().map(String::as_str).collect();
    let broker = place.start(&server);
    std::thread::sleep(Duration::from_secs(3));
    println!(
        "memory: idle {:.1} MiB, ready in {:.0} ms",
        broker.rss_mib(),
        broker.ready_in.as_secs_f64() * 1e3
    );
    let topic = "memory";
    let messages = avro::messages(avro::register(&broker, topic), 200_000);
    let settings = [
        ("acks", "all"),
        ("compression.type", "lz4"),
        ("bootstrap.servers", broker.kafka.as_str()),
    ];
    let producer = Producer::new(&settings, topic, false);
    let catalog = Catalog::new(&broker.data);
    for round in 1..=options.rounds {
        for n in 0..options.records {
            producer.send(&messages[n as usize % messages.len()]);
            if n % 1024 == 0 {
                producer.poll(Duration::ZERO);
            }
        }
        producer.flush();
        while catalog.records(topic) < round * options.records {
            std::thread::sleep(Duration::from_millis(50));
        }
        std::thread::sleep(Duration::from_secs(1));
        println!(
            "  after load {round}: {:.0} MiB resident, peak so far {:.0} MiB",
            broker.rss_mib(),
            broker.rss_peak_mib()
        );
    }
}
