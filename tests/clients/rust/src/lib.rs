//! What the programs of both clients share: their arguments, the workload they send, the rows they write.
//!
//! Each is started in one of two ways:
//!
//! ```text
//! <program> produce --bootstrap host:port --topic name
//! <program> consume --bootstrap host:port --topics a,b --records n --out file
//! ```
//!
//! `produce` reads the lines of a workload (`../python/workload.py` describes them) whose values were made
//! bytes, in base64, and prints a line of what was answered for each record, in order. `consume` reads
//! so many records of all topics, from their beginnings, and writes a row for each
//! (`../../interop/python/rows.py` describes them).

use std::collections::HashMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufWriter, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Whatever went wrong ends the program.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What the program is asked to do.
pub struct Arguments {
    /// `produce` or `consume`.
    pub what: String,
    named: HashMap<String, String>,
}

impl Arguments {
    /// Those of this process.
    pub fn read() -> Result<Self> {
        let mut words = std::env::args().skip(1);
        let what = words.next().ok_or("produce or consume?")?;
        let mut named = HashMap::new();
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(|| format!("{name} what?"))?;
            named.insert(name, value);
        }
        Ok(Self { what, named })
    }

    /// The value of `--name`.
    pub fn get(&self, name: &str) -> Result<&str> {
        let value = self.named.get(&format!("--{name}"));
        Ok(value.ok_or_else(|| format!("--{name} is missing"))?)
    }
}

/// With which settings a producer is opened.
#[derive(Deserialize)]
pub struct Settings {
    /// `0`, `1` or `all`.
    pub acks: String,
    /// `none`, `gzip`, `snappy`, `lz4` or `zstd`.
    pub codec: String,
    /// With a producer id and sequence numbers.
    pub idempotent: bool,
    /// How long a batch waits for more records.
    pub linger_ms: u64,
    /// Requests on their way at a time.
    pub in_flight: u32,
    /// The next record is sent when this one is answered.
    pub wait_each: bool,
    /// One transaction around all records, if any.
    pub transactional_id: Option<String>,
}

/// Bytes, in base64 where they are written down.
pub struct Bytes(pub Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        STANDARD
            .decode(text)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(&self.0))
    }
}

/// A record that is to be sent.
#[derive(Deserialize)]
pub struct Record {
    pub key: Option<Bytes>,
    pub headers: Vec<(String, Option<Bytes>)>,
    /// Milliseconds since 1970.
    pub timestamp: Option<i64>,
    pub partition: Option<i32>,
    pub value: Option<Bytes>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Producer { producer: Settings },
    Record(Record),
}

/// The workload on the standard input: for each producer its records.
pub fn workload() -> Result<Vec<(Settings, Vec<Record>)>> {
    let mut producers: Vec<(Settings, Vec<Record>)> = Vec::new();
    for line in std::io::stdin().lock().lines() {
        match serde_json::from_str(&line?)? {
            Line::Producer { producer } => producers.push((producer, Vec::new())),
            Line::Record(record) => {
                let (_, records) = producers.last_mut().ok_or("a record of no producer")?;
                records.push(record);
            }
        }
    }
    Ok(producers)
}

/// What was answered for a record; nothing where the producer asked for no answers.
#[derive(Serialize, Clone, Copy, Default)]
pub struct Answer {
    pub partition: Option<i32>,
    pub offset: Option<i64>,
    /// Milliseconds since 1970.
    pub timestamp: Option<i64>,
}

/// Prints what was answered, in the order of the records.
pub fn print(answers: &[Answer]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for answer in answers {
        writeln!(out, "{}", serde_json::to_string(answer)?)?;
    }
    Ok(())
}

/// A record that was read.
#[derive(Serialize)]
pub struct Row {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    pub key: Option<Bytes>,
    pub headers: Vec<(String, Option<Bytes>)>,
    pub value: Option<Bytes>,
}

/// Writes what was read.
pub fn write(path: &str, rows: &[Row]) -> Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    for row in rows {
        writeln!(out, "{}", serde_json::to_string(row)?)?;
    }
    Ok(out.flush()?)
}
