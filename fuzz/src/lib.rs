//! What the targets share.

use bytes::Bytes;
use fletch_wire::{
    Limits,
    records::{Admitted, Compression, admit},
};

/// Messages made from their declarations; the tests of the crate use it too.
#[path = "../../crates/wire/tests/support/mod.rs"]
pub mod sample;
#[cfg(feature = "server")]
pub mod server;

/// Limits small enough for the fuzzer to reach them.
pub fn limits() -> Limits {
    Limits {
        frame_bytes_max: 1 << 16,
        vectors_bytes_max: 1 << 20,
        unknown_tags_bytes_max: 1 << 10,
        trailing_bytes_max: 4,
        decompressed_bytes_max: 1 << 20,
        decompression_ratio_max: 100,
    }
}

/// What decompresses stays within the limits, and comes back the same when it is compressed.
pub fn codec(codec: Compression, input: &[u8]) {
    let Ok(output) = codec.decompress(&Bytes::copy_from_slice(input), &limits()) else { return };
    assert!(output.len() <= limits().decompressed_bytes_max);
    let again = Bytes::from(codec.compress(&output).expect("compresses"));
    // Compressed anew it may exceed the ratio, which the limit on the size stands in for.
    let limits = Limits { decompression_ratio_max: usize::MAX, ..limits() };
    assert_eq!(codec.decompress(&again, &limits), Ok(output));
}

/// What is admitted holds what it promises, and is admitted again as it is.
pub fn payload(payload: Bytes) {
    let Ok(admitted) = admit(payload, &limits()) else { return };
    for admitted in admitted {
        let Admitted { batch, records, max_timestamp, max_timestamp_index, most_headers, .. } = admitted;
        let mut headers = Vec::new();
        batch.check().expect("an admitted batch is right");
        let timestamps: Vec<i64> = records
            .iter()
            .enumerate()
            .map(|(index, record)| {
                let record = record.expect("an admitted record is right");
                assert_eq!(record.offset - batch.base_offset, index as i64);
                assert_eq!(record.headers.count(), record.headers.len());
                headers.push(record.headers.len());
                record.timestamp
            })
            .collect();
        assert_eq!(timestamps.len(), batch.record_count as usize);
        assert_eq!(headers.iter().copied().max().unwrap_or(0), most_headers.count);
        if most_headers.count > 0 {
            assert_eq!(headers[most_headers.record as usize], most_headers.count);
        }
        assert_eq!(timestamps.iter().copied().max().unwrap_or(-1).max(-1), max_timestamp);
        if max_timestamp >= 0 {
            assert_eq!(timestamps[max_timestamp_index as usize], max_timestamp);
        }
        let limits = Limits { decompression_ratio_max: usize::MAX, ..limits() };
        let again = admit(batch.bytes().clone(), &limits).expect("it was admitted before");
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].batch, batch);
    }
}
