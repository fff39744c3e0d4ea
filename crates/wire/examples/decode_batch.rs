//! Prints the record batches of a file: those of a Produce request, of a Fetch answer, or of a
//! broker's log segment. Message sets of formats 0 and 1 are converted first.
//!
//! ```text
//! cargo run -p fletch-wire --example decode_batch -- crates/wire/tests/data/v2-lz4.batch
//! ```

use std::borrow::Cow;

use bytes::Bytes;
use fletch_wire::{
    Limits,
    records::{Batch, legacy, magic},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: decode_batch FILE")?;
    let bytes = Bytes::from(std::fs::read(path)?);
    let limits = Limits::default();
    if magic(&bytes).is_some_and(|magic| magic < 2) {
        return print(&legacy::convert(bytes, &limits)?, &limits);
    }
    for batch in Batch::parse_all(bytes) {
        print(&batch?, &limits)?;
    }
    Ok(())
}

fn print(batch: &Batch, limits: &Limits) -> Result<(), Box<dyn std::error::Error>> {
    println!("{batch:#?}");
    if let Err(error) = batch.verify_crc() {
        println!("! {error}");
    }
    for record in &batch.records(limits)? {
        let record = record?;
        let (key, value) = (record.key.map(text), record.value.map(text));
        println!(
            "{} at {} ms: {key:?} = {value:?}",
            record.offset, record.timestamp
        );
        for header in record.headers {
            println!("    {} = {:?}", text(header.key), header.value.map(text));
        }
    }
    Ok(())
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
