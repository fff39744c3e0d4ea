//! Avro messages from a file into a printed batch: `cargo run --example decode -- SCHEMA MESSAGES`.
//!
//! SCHEMA is an Avro schema file; MESSAGES holds Confluent-framed messages, each behind its length
//! as four big-endian bytes. Without arguments, three messages made here are decoded, one of them
//! broken.

use std::{env, fs};

use fletch_columnar::avro::Schema;
use fletch_columnar::{Decoder, Options};

const SCHEMA: &str = r#"{"type":"record","name":"Click","fields":[
    {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"page","type":"string"},
    {"name":"seconds","type":["null","double"],"default":null}]}"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (schema, bytes) = match arguments.as_slice() {
        [schema, messages] => (fs::read_to_string(schema)?, fs::read(messages)?),
        _ => (SCHEMA.to_owned(), sample()),
    };
    let schema = Schema::parse(&schema, &[])?;
    let mut decoder = Decoder::new(&schema, Options::default())?;
    // One writer, under every id that the messages name.
    let messages = split(&bytes);
    for message in &messages {
        if let Some(id) = message.get(1..5).and_then(|id| id.try_into().ok()) {
            decoder.add_writer(u32::from_be_bytes(id), &schema)?;
        }
    }
    let decoded = decoder.decode_framed(&messages);
    for (field, column) in decoded
        .batch
        .schema()
        .fields()
        .iter()
        .zip(decoded.batch.columns())
    {
        println!("{}: {column:?}", field.name());
    }
    for error in &decoded.errors {
        println!("{error}");
    }
    Ok(())
}

/// The messages, each behind its length. What is cut short at the end is left out.
fn split(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let Some((message, rest)) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)
        else {
            break;
        };
        messages.push(message);
        bytes = rest;
    }
    messages
}

fn sample() -> Vec<u8> {
    let messages: [&[u8]; 3] = [
        &[0, 0, 0, 0, 1, 2, 4, b'/', b'a', 0],
        &[0, 0, 0, 0, 1, 4, 4, b'/', 0xff, 0],
        &[0, 0, 0, 0, 1, 6, 2, b'/', 2, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f],
    ];
    let mut bytes = Vec::new();
    for message in messages {
        bytes.extend_from_slice(&(message.len() as u32).to_be_bytes());
        bytes.extend_from_slice(message);
    }
    bytes
}
