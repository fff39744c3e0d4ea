//! Batches for tests.

use bytes::Bytes;

/// What a test says about a batch.
#[derive(Debug, Clone, Copy)]
pub struct Produce {
    pub records: i32,
    pub value_bytes: usize,
    pub timestamp: i64,
    pub producer: Option<(i64, i16, i32)>,
}

impl Default for Produce {
    fn default() -> Self {
        Self {
            records: 1,
            value_bytes: 10,
            timestamp: 1_000,
            producer: None,
        }
    }
}

fn varint(out: &mut Vec<u8>, value: i64) {
    let mut value = ((value << 1) ^ (value >> 63)) as u64;
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// An uncompressed batch, built independently of the code under test.
pub fn batch(produce: Produce) -> Bytes {
    let (producer_id, epoch, sequence) = produce.producer.unwrap_or((-1, -1, -1));
    let mut body = Vec::new();
    body.extend(0i16.to_be_bytes());
    body.extend((produce.records - 1).to_be_bytes());
    body.extend(produce.timestamp.to_be_bytes());
    body.extend(produce.timestamp.to_be_bytes());
    body.extend(producer_id.to_be_bytes());
    body.extend(epoch.to_be_bytes());
    body.extend(sequence.to_be_bytes());
    body.extend(produce.records.to_be_bytes());
    for index in 0..produce.records {
        let mut record = vec![0];
        varint(&mut record, 0);
        varint(&mut record, index.into());
        varint(&mut record, -1);
        varint(&mut record, produce.value_bytes as i64);
        record.extend(std::iter::repeat_n(index as u8, produce.value_bytes));
        varint(&mut record, 0);
        varint(&mut body, record.len() as i64);
        body.extend(record);
    }
    let mut out = Vec::new();
    out.extend(0i64.to_be_bytes());
    out.extend((body.len() as i32 + 9).to_be_bytes());
    out.extend((-1i32).to_be_bytes());
    out.push(2);
    out.extend(crc32c::crc32c(&body).to_be_bytes());
    out.extend(body);
    out.into()
}
