//! Interleaved rounds, medians, and a table of ratios.

use std::time::{Duration, Instant};

use crate::contenders::Contender;

/// What is to be timed under one name.
pub struct Case<'a> {
    pub name: String,
    pub messages: &'a [&'a [u8]],
    pub contender: Contender<'a>,
}

impl<'a> Case<'a> {
    pub fn new(name: &str, messages: &'a [&'a [u8]], contender: Contender<'a>) -> Self {
        Self { name: name.to_owned(), messages, contender }
    }
}

/// What is timed of a case's turn, at least.
const TURN: Duration = Duration::from_millis(5);

/// Runs all cases in turn, again and again, and prints each one's median; `base` is the case that
/// the ratios are to. Returns nanoseconds a record.
///
/// Each case's turn starts with a millisecond that isn't timed, and lasts for five more: a machine
/// needs about half a one to give wide vectors their full speed after other work, and the caches
/// are full of the case before.
pub fn compare(title: &str, base: usize, mut cases: Vec<Case<'_>>) -> Vec<f64> {
    println!("\n{title}");
    println!("{:<34} {:>10} {:>10} {:>10} {:>8}", "", "Mrec/s", "MB/s", "ns/rec", "ratio");
    let mut samples = vec![Vec::new(); cases.len()];
    let mut repeats = vec![1u32; cases.len()];
    for (case, repeats) in cases.iter_mut().zip(&mut repeats) {
        (case.contender)(case.messages);
        (case.contender)(case.messages);
        let start = Instant::now();
        (case.contender)(case.messages);
        (case.contender)(case.messages);
        let once = (start.elapsed() / 2).max(Duration::from_nanos(100));
        *repeats = TURN.as_nanos().div_ceil(once.as_nanos()).clamp(1, 100_000) as u32;
    }
    let deadline = Instant::now() + Duration::from_millis(700 * cases.len() as u64);
    let mut rounds = 0;
    while rounds < 15 || (Instant::now() < deadline && rounds < 400) {
        for (i, case) in cases.iter_mut().enumerate() {
            for _ in 0..repeats[i].div_ceil(5) {
                (case.contender)(case.messages);
            }
            let start = Instant::now();
            for _ in 0..repeats[i] {
                let rows = (case.contender)(case.messages);
                assert_eq!(rows, case.messages.len(), "{}: rows were lost", case.name);
            }
            samples[i].push(start.elapsed().as_secs_f64() / f64::from(repeats[i]));
        }
        rounds += 1;
    }
    let medians: Vec<f64> = samples
        .iter_mut()
        .zip(&cases)
        .map(|(samples, case)| {
            samples.sort_by(f64::total_cmp);
            samples[samples.len() / 2] / case.messages.len() as f64
        })
        .collect();
    for (case, seconds) in cases.iter().zip(&medians) {
        let bytes: usize = case.messages.iter().map(|m| m.len()).sum();
        let bytes = bytes as f64 / case.messages.len() as f64;
        println!(
            "{:<34} {:>10.2} {:>10.0} {:>10.1} {:>7.2}x",
            case.name,
            1e-6 / seconds,
            bytes / seconds * 1e-6,
            seconds * 1e9,
            medians[base] / seconds,
        );
    }
    medians.iter().map(|s| s * 1e9).collect()
}
