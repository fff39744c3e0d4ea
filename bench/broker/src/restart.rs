//! Start to ready over a large log, after an orderly stop and after a kill.

use crate::broker::Place;
use crate::client::Producer;
use crate::durable::values;
use clap::Args;
use std::time::Duration;

#[derive(Args)]
pub struct Options {
    /// Bytes of values to send first, uncompressed.
    #[arg(long, default_value_t = 10_000_000_000)]
    log_bytes: u64,
    /// Starts, each after a kill and after an orderly stop.
    #[arg(long, default_value_t = 3)]
    starts: usize,
    /// Further settings of the server.
    #[arg(
        long,
        value_delimiter = ' ',
        default_value = "--table-enabled false --topics-partitions 4"
    )]
    server: Vec<String>,
}

pub fn run(place: &Place, options: &Options) {
    let server: Vec<&str> = options.server.iter().map(String::as_str).collect();
    let mut broker = place.start(&server);
    let values = values(16 << 10);
    {
        let settings = [
            ("acks", "all"),
            ("bootstrap.servers", broker.kafka.as_str()),
            ("queue.buffering.max.kbytes", "131072"),
        ];
        let producer = Producer::new(&settings, "restart", false);
        let mut sent = 0;
        for value in values.iter().cycle() {
            if sent >= options.log_bytes {
                break;
            }
            producer.send(value);
            sent += value.len() as u64;
        }
        let deliveries = producer.flush();
        assert_eq!(deliveries.failed, 0, "{:?}", deliveries.last_error);
    }
    for _ in 0..options.starts {
        for (how, kill) in [("a kill", true), ("an orderly stop", false)] {
            broker.stop(kill);
            std::thread::sleep(Duration::from_millis(500));
            broker = place.restart(&server);
            println!(
                "restart after {how}: ready in {:.0} ms with {:.1} GB of log, {:.0} MiB resident",
                broker.ready_in.as_secs_f64() * 1e3,
                broker.log_bytes() as f64 / 1e9,
                broker.rss_mib()
            );
        }
    }
}
