//! The codec alone, case by case: `cargo bench -p fletch-wire --bench wire`.

mod workloads;

use divan::{Bencher, counter::BytesCount, counter::ItemsCount};
use fletch_wire::records::{Compression, crc32c};

#[global_allocator]
static ALLOCATIONS: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench]
fn decode_produce_request(bencher: Bencher) {
    let frame = workloads::produce_frame(&workloads::batch(Compression::Lz4, 1000, 100));
    bencher.bench(|| workloads::decode_ours(&frame));
}

#[divan::bench]
fn decode_produce_request_kafka_protocol(bencher: Bencher) {
    let frame = workloads::produce_frame(&workloads::batch(Compression::Lz4, 1000, 100));
    bencher.bench(|| workloads::decode_theirs(&frame));
}

#[divan::bench]
fn encode_produce_request(bencher: Bencher) {
    let frame = workloads::produce_frame(&workloads::batch(Compression::Lz4, 1000, 100));
    bencher.bench(workloads::encode_ours(&frame));
}

#[divan::bench]
fn encode_produce_request_kafka_protocol(bencher: Bencher) {
    let frame = workloads::produce_frame(&workloads::batch(Compression::Lz4, 1000, 100));
    bencher.bench(workloads::encode_theirs(&frame));
}

#[divan::bench(args = Compression::ALL)]
fn read_batch(bencher: Bencher, codec: Compression) {
    let batch = workloads::batch(codec, 1000, 100);
    bencher
        .counter(ItemsCount::new(1000u32))
        .bench(|| workloads::read_ours(&batch));
}

#[divan::bench(args = Compression::ALL)]
fn iterate_records(bencher: Bencher, codec: Compression) {
    let batch = workloads::batch(codec, 1000, 100);
    bencher
        .counter(ItemsCount::new(1000u32))
        .bench(|| workloads::iterate_ours(&batch));
}

#[divan::bench(args = Compression::ALL)]
fn admit_batch(bencher: Bencher, codec: Compression) {
    let batch = workloads::batch(codec, 1000, 100);
    bencher
        .counter(ItemsCount::new(1000u32))
        .bench(|| workloads::admit_ours(&batch));
}

#[divan::bench(args = Compression::ALL)]
fn read_batch_kafka_protocol(bencher: Bencher, codec: Compression) {
    let batch = workloads::batch(codec, 1000, 100);
    bencher
        .counter(ItemsCount::new(1000u32))
        .bench(|| workloads::read_theirs(&batch));
}

#[divan::bench(args = [256, 4 << 10, 64 << 10, 1 << 20])]
fn crc(bencher: Bencher, bytes: usize) {
    let input = workloads::value(1, bytes);
    bencher
        .counter(BytesCount::new(bytes))
        .bench(|| crc32c(divan::black_box(&input)));
}
