//! Time from a record's ack to its being in the table's current snapshot.

use crate::avro;
use crate::broker::{Place, quantile};
use crate::catalog::Catalog;
use crate::client::Producer;
use clap::Args;
use std::time::{Duration, Instant};

#[derive(Args)]
pub struct Options {
    /// Records, one after the other.
    #[arg(long, default_value_t = 50)]
    records: u64,
    /// Further settings of the server.
    #[arg(long, value_delimiter = ' ', default_value = "--topics-partitions 1")]
    server: Vec<String>,
}

pub fn run(place: &Place, options: &Options) {
    let server: Vec<&str> = options.server.iter().map(String::as_str).collect();
    let broker = place.start(&server);
    let topic = "visible";
    let messages = avro::messages(avro::register(&broker, topic), 1024);
    let settings = [
        ("acks", "all"),
        ("linger.ms", "0"),
        ("bootstrap.servers", broker.kafka.as_str()),
    ];
    let producer = Producer::new(&settings, topic, false);
    let catalog = Catalog::new(&broker.data);
    let mut waits = Vec::new();
    for n in 0..options.records {
        producer.send(&messages[n as usize % messages.len()]);
        producer.flush();
        let acknowledged = Instant::now();
        while catalog.records(topic) <= n {
            assert!(
                acknowledged.elapsed() < Duration::from_secs(60),
                "record {n} never came"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        waits.push(acknowledged.elapsed().as_nanos() as u64);
        // Out of step with the commit interval, or every record would wait for a whole one.
        std::thread::sleep(Duration::from_millis(137 * (n % 7)));
    }
    waits.sort_unstable();
    let ms = |share| quantile(&waits, share) as f64 / 1e6;
    println!(
        "visible: ack to committed table p50 {:.0} ms, p90 {:.0} ms, max {:.0} ms ({} records)",
        ms(0.5),
        ms(0.9),
        ms(1.0),
        waits.len()
    );
}
