//! The fuzz targets of the server, with the seeds they are committed with, as they are and spoilt: what `fuzz/run`
//! looks for at length, without a fuzzer.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[path = "../../wire/tests/support/mod.rs"]
#[allow(dead_code)] // Requests are all that is asked of it here.
mod sample;
#[path = "../../../fuzz/src/server.rs"]
mod targets;

/// Spoilt seeds of each target.
const SPOILT: usize = 1500;
/// Where the machine is slow, fewer.
const TIME_MAX: Duration = Duration::from_secs(15);

/// A small generator of noise, the same at every run.
struct Noise(u64);

impl Noise {
    fn below(&mut self, bound: usize) -> usize {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap_or(0) % bound.max(1)
    }
}

/// Changes a few bytes: flipped, replaced, taken out, repeated, or a part of another seed in their place.
fn spoil(input: &mut Vec<u8>, other: &[u8], noise: &mut Noise) {
    for _ in 0..=noise.below(4) {
        let at = noise.below(input.len() + 1);
        match noise.below(6) {
            0 if at < input.len() => input[at] ^= 1 << noise.below(8),
            1 if at < input.len() => input[at] = noise.below(256) as u8,
            2 => input.truncate(at),
            3 if at < input.len() => drop(input.remove(at)),
            4 => input.insert(at, noise.below(256) as u8),
            _ => {
                let from = noise.below(other.len() + 1);
                let to = from + noise.below(other.len() - from + 1).min(64);
                input.splice(at..at, other[from..to].iter().copied());
            }
        }
    }
}

fn run(name: &str, target: fn(&[u8])) {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds")).join(name);
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a file").path())
        .collect();
    paths.sort();
    let seeds: Vec<Vec<u8>> = paths
        .iter()
        .map(|path| fs::read(path).expect("a seed"))
        .collect();
    assert!(!seeds.is_empty());
    let begun = Instant::now();
    for seed in &seeds {
        target(seed);
    }
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    for _ in 0..SPOILT {
        if begun.elapsed() > TIME_MAX {
            break;
        }
        let mut input = seeds[noise.below(seeds.len())].clone();
        let other = &seeds[noise.below(seeds.len())];
        spoil(&mut input, other, &mut noise);
        target(&input);
    }
}

#[test]
fn handlers() {
    run("handlers", targets::handlers);
}

#[test]
fn sasl() {
    run("sasl", targets::sasl);
}

#[test]
fn token() {
    run("token", targets::token);
}

#[test]
fn names() {
    run("names", targets::names);
}

#[test]
fn configuration() {
    run("configuration", targets::configuration);
}
