//! Ack latency at a fixed rate, beside what a bare fdatasync takes on the same disk.

use crate::broker::{Place, quantile};
use crate::client::Producer;
use clap::Args;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

#[derive(Args)]
pub struct Options {
    /// Records a second; one run for each.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 20_000])]
    rates: Vec<u64>,
    /// Seconds a run, after two of warm-up.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Bytes a value.
    #[arg(long, default_value_t = 100)]
    value_bytes: usize,
    /// Further settings of the server.
    #[arg(long, value_delimiter = ' ', default_value = "--table-enabled false")]
    server: Vec<String>,
}

fn print(what: &str, mut samples: Vec<u64>) {
    samples.sort_unstable();
    let ms = |share| quantile(&samples, share) as f64 / 1e6;
    println!(
        "{what}: p50 {:.3} ms, p90 {:.3} ms, p99 {:.3} ms, p99.9 {:.3} ms, max {:.3} ms ({} samples)",
        ms(0.5),
        ms(0.9),
        ms(0.99),
        ms(0.999),
        ms(1.0),
        samples.len()
    );
}

/// The floor: overwriting 4 KiB of an allocated file and waiting for the disk.
fn bare_fdatasync(place: &Place) {
    std::fs::create_dir_all(&place.data).expect("data directory");
    let path = place.data.join("fdatasync.probe");
    let file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .open(&path)
        .expect("probe file");
    let block = [7_u8; 4096];
    for n in 0..256 {
        file.write_all_at(&block, n * 4096).expect("probe write");
    }
    file.sync_all().expect("probe sync");
    let mut samples = Vec::new();
    for n in 0..2000_u64 {
        let started = Instant::now();
        file.write_all_at(&block, (n % 256) * 4096)
            .expect("probe write");
        file.sync_data().expect("probe sync");
        samples.push(started.elapsed().as_nanos() as u64);
        std::thread::sleep(Duration::from_micros(500));
    }
    print("a bare 4 KiB write and fdatasync", samples);
    let _ = std::fs::remove_file(path);
}

fn rate(options: &Options, bootstrap: Option<&str>, rate: u64) {
    let mut settings = vec![("acks", "all"), ("linger.ms", "0")];
    match bootstrap {
        Some(address) => settings.push(("bootstrap.servers", address)),
        None => settings.push(("test.mock.num.brokers", "1")),
    }
    let producer = Producer::new(&settings, "latency", true);
    let value = vec![b'x'; options.value_bytes];
    producer.send(&value);
    producer.flush();
    let gap = Duration::from_nanos(1_000_000_000 / rate);
    let warm_up = Duration::from_secs(2);
    let end = warm_up + Duration::from_secs(options.seconds);
    let records = (end.as_nanos() / gap.as_nanos()) as u64;
    let mut warm = false;
    // One thread sends on time and sleeps in between, this one waits for the reports: neither takes
    // from the server what it doesn't need.
    std::thread::scope(|scope| {
        let sender = producer.sender();
        scope.spawn(move || {
            let started = Instant::now();
            for n in 0..records {
                let due = gap * n as u32;
                if let Some(early) = due.checked_sub(started.elapsed()) {
                    std::thread::sleep(early);
                }
                while !sender.send(&value) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
        let started = Instant::now();
        let reported = || {
            let deliveries = producer.deliveries();
            deliveries.acknowledged + deliveries.failed
        };
        while reported() < records + 1 {
            producer.poll(Duration::from_millis(100));
            if !warm && started.elapsed() >= warm_up {
                warm = true;
                producer.deliveries().latencies_ns.clear();
            }
        }
    });
    let mut deliveries = producer.flush();
    assert_eq!(deliveries.failed, 0, "{:?}", deliveries.last_error);
    let name = if bootstrap.is_some() {
        "fletch, durable"
    } else {
        "mock, in memory"
    };
    print(
        &format!("{name}, {rate} records/s"),
        std::mem::take(&mut deliveries.latencies_ns),
    );
}

pub fn run(place: &Place, options: &Options) {
    let server: Vec<&str> = options.server.iter().map(String::as_str).collect();
    let broker = place.start(&server);
    bare_fdatasync(place);
    for &records in &options.rates {
        rate(options, None, records);
        rate(options, Some(&broker.kafka), records);
    }
}
