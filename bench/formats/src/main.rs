//! Measures other formats than Avro to Arrow, ours beside others', in one run.
//!
//! `cargo run --release -- [section ...]`; without sections, all of them.

mod json;
mod json_data;
#[path = "../../avro/src/measure.rs"]
mod measure;
mod protobuf;

/// What `measure` runs.
mod contenders {
    /// Decodes a batch, drops it, and says how many rows it had.
    pub type Contender<'a> = Box<dyn FnMut(&[&[u8]]) -> usize + 'a>;
}

/// Messages a batch.
const BATCH: usize = 10_000;

const SECTIONS: [(&str, fn()); 3] = [
    ("json", json::raw),
    ("json-schema", json::schema),
    ("protobuf", protobuf::run),
];

fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    for (name, section) in SECTIONS {
        if chosen.is_empty() || chosen.iter().any(|c| c == name) {
            section();
        }
    }
}
