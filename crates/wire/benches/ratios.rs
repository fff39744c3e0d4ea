//! This codec against its peers, as ratios: `cargo bench -p fletch-wire --bench ratios`.
//!
//! Each pair runs in turns within one process, so that what slows the machine slows both; the
//! figures are medians.

mod workloads;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use fletch_wire::records::{Compression, crc32c};

const TURNS: usize = 41;
const TURN: Duration = Duration::from_millis(20);

/// Nanoseconds of one run: the median of the turns.
struct Timed {
    runs: usize,
    turns: Vec<f64>,
}

impl Timed {
    fn new(run: &dyn Fn()) -> Self {
        let start = Instant::now();
        let mut runs = 0;
        while start.elapsed() < TURN {
            run();
            runs += 1;
        }
        Self {
            runs,
            turns: Vec::new(),
        }
    }

    fn turn(&mut self, run: &dyn Fn()) {
        let start = Instant::now();
        (0..self.runs).for_each(|_| run());
        self.turns
            .push(start.elapsed().as_nanos() as f64 / self.runs as f64);
    }

    fn median(&mut self) -> f64 {
        self.turns.sort_by(f64::total_cmp);
        self.turns[self.turns.len() / 2]
    }
}

fn compare(name: &str, peer: &str, count: u64, unit: &str, ours: &dyn Fn(), theirs: &dyn Fn()) {
    let (mut own, mut other) = (Timed::new(ours), Timed::new(theirs));
    for _ in 0..TURNS {
        own.turn(ours);
        other.turn(theirs);
    }
    let (own, other) = (own.median(), other.median());
    println!(
        "{name:<34} {:>9.1} M {unit}/s {:>9.1} ns   {peer:<15} {:>9.1} ns   {:>6.2} times as fast",
        count as f64 * 1e3 / own,
        own,
        other,
        other / own,
    );
}

fn main() {
    // `cargo test --benches` runs it too, with this.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let batch = workloads::batch(Compression::Lz4, 1000, 100);
    let frame = workloads::produce_frame(&batch);
    let peer = "kafka-protocol";
    compare(
        "decode a Produce request",
        peer,
        1,
        "requests",
        &|| workloads::decode_ours(&frame),
        &|| workloads::decode_theirs(&frame),
    );
    let (ours, theirs) = (
        workloads::encode_ours(&frame),
        workloads::encode_theirs(&frame),
    );
    compare(
        "encode a Produce request",
        peer,
        1,
        "requests",
        &ours,
        &theirs,
    );
    for value_bytes in [100, 1024] {
        for codec in Compression::ALL {
            let batch = workloads::batch(codec, 1000, value_bytes);
            let name = format!("read 1000 records of {value_bytes} B, {codec}");
            let ours = || workloads::read_ours(&batch);
            let theirs = || workloads::read_theirs(&batch);
            compare(&name, peer, 1000, "records", &ours, &theirs);
        }
    }
    let plain = workloads::batch(Compression::None, 1000, 100);
    compare(
        "iterate 1000 records",
        "admit them",
        1000,
        "records",
        &|| workloads::iterate_ours(&plain),
        &|| workloads::admit_ours(&plain),
    );
    for bytes in [256usize, 1 << 10, 16 << 10, 1 << 20] {
        let input = workloads::value(1, bytes);
        let name = format!("CRC-32C of {bytes} B");
        let ours = || {
            black_box(crc32c(black_box(&input)));
        };
        let theirs = || {
            black_box(::crc32c::crc32c(black_box(&input)));
        };
        compare(&name, "crc32c", bytes as u64, "bytes", &ours, &theirs);
    }
}
