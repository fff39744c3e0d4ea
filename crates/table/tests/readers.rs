//! Tables as PyIceberg, DuckDB, Polars and pyarrow read them: every Avro type, every value.
//!
//! The values are made and encoded by Python, and compared there, so that nothing of ours is on both
//! sides (`tests/readers/` at the top of the repository). What Python needs is installed once into
//! the target folder. Without Python the test is skipped, unless `FLETCH_REQUIRE_CLIENTS` is set.

mod common;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::*;
use fletch_wire::records::{BatchBuilder, Compression};

const RECORDS: usize = 900;

#[tokio::test(flavor = "multi_thread")]
async fn every_reader_sees_every_value() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let seed = rand::random::<u32>();
    println!("seed {seed}");
    let arguments = [RECORDS.to_string(), seed.to_string()];
    run(Command::new(&python)
        .arg(scripts().join("make.py"))
        .arg(folder.path())
        .args(arguments));

    let server = Server::start_with(|config| config.compaction = false).await;
    for id in [1, 2] {
        let text = fs::read_to_string(folder.path().join(format!("{id}.avsc"))).unwrap();
        server.registry.add(id, &text);
    }
    let topic = server.topic("everything", 3).await;
    let records = fs::read_to_string(folder.path().join("records.jsonl")).unwrap();
    let records: Vec<serde_json::Value> = records
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let codecs = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];
    for (round, chunk) in records.chunks(60).enumerate() {
        for partition in 0..3 {
            let mut builder = BatchBuilder::new(codecs[round % codecs.len()]);
            for record in chunk
                .iter()
                .filter(|record| record["partition"] == partition)
            {
                let headers: Vec<(Vec<u8>, Option<Vec<u8>>)> = record["headers"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|header| {
                        (
                            header[0].as_str().unwrap().as_bytes().to_vec(),
                            header[1].as_str().map(hex),
                        )
                    })
                    .collect();
                let headers: Vec<(&[u8], Option<&[u8]>)> = headers
                    .iter()
                    .map(|(key, value)| (&key[..], value.as_deref()))
                    .collect();
                let key = record["key"].as_str().map(hex);
                let value = record["framed"].as_str().map(base64);
                let timestamp = record["timestamp"].as_i64().unwrap();
                builder
                    .append(timestamp, key.as_deref(), value.as_deref(), &headers)
                    .unwrap();
            }
            if !builder.is_empty() {
                server
                    .produce(&topic, partition, builder.finish().unwrap())
                    .await;
            }
        }
        if round % 2 == 0 {
            server.tables.flush("everything").await.unwrap();
        }
    }
    server.tables.flush("everything").await.unwrap();
    assert!(server.records("everything.dead-letters").await.is_empty());
    check(&python, &server, folder.path());

    // The same after merging, which rewrites rows of the old columns into the new ones.
    let before = files(&server.config, "everything").await.len();
    let server = server
        .crash_and_restart_with(|config| config.compaction = true)
        .await;
    server.tables.flush("everything").await.unwrap();
    for _ in 0..200 {
        if files(&server.config, "everything").await.len() * 2 < before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(files(&server.config, "everything").await.len() * 2 < before);
    check(&python, &server, folder.path());
}

fn check(python: &Path, server: &Server, folder: &Path) {
    let mut command = Command::new(python);
    command.arg(scripts().join("check.py"));
    command.args([&server.config.catalog_path, &server.config.warehouse]);
    println!("{}", run(command.arg("everything").arg(folder)));
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/readers")
}

/// The interpreter of an environment with the readers, made anew when their list has changed.
fn python() -> Option<PathBuf> {
    let supported = "import ensurepip, sys, venv; assert sys.version_info >= (3, 10)";
    let probe = Command::new("python3").args(["-c", supported]).output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        let required = std::env::var("FLETCH_REQUIRE_CLIENTS").is_ok_and(|set| set == "1");
        assert!(!required, "Python 3.10 or later with venv is missing");
        println!("skipped: Python 3.10 or later with venv is missing");
        return None;
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    fs::create_dir_all(target.join("clients")).unwrap();
    // Held until the end of this function, while another test process waits.
    let lock = File::create(target.join("clients/readers.lock")).unwrap();
    lock.lock().unwrap();
    let list = scripts().join("requirements.txt");
    let environment = target.join("clients/readers");
    let installed = environment.join("installed.txt");
    let python = environment.join("bin/python");
    let wanted = fs::read(&list).unwrap();
    if fs::read(&installed).is_ok_and(|had| had == wanted) {
        return Some(python);
    }
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&environment));
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--only-binary=:all:",
        "-r",
    ];
    run(Command::new(&python).args(pip).arg(&list));
    fs::write(installed, wanted).unwrap();
    Some(python)
}

fn run(command: &mut Command) -> String {
    let done = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let printed = String::from_utf8_lossy(&done.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success(),
        "{command:?} failed\n{printed}\n{complaint}"
    );
    printed
}

fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn base64(text: &str) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |byte: &u8| {
        alphabet
            .iter()
            .position(|known| known == byte)
            .map(|at| at as u32)
    };
    let mut bytes = Vec::new();
    for four in text.as_bytes().chunks(4) {
        let digits: Vec<u32> = four.iter().filter_map(digit).collect();
        let number =
            digits.iter().fold(0, |number, digit| number << 6 | digit) << (6 * (4 - digits.len()));
        bytes.extend_from_slice(&number.to_be_bytes()[1..digits.len()]);
    }
    bytes
}
