//! Record batches, as they come and with their length and CRC made right, so that the fuzzer gets
//! past both.

#![no_main]

use bytes::Bytes;
use fletch_wire::records::{Batch, HEADER_BYTES, patch};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    fletch_fuzz::payload(Bytes::copy_from_slice(input));
    for batch in Batch::parse_all(Bytes::copy_from_slice(input)).flatten() {
        if let Ok(records) = batch.records(&fletch_fuzz::limits()) {
            assert!(records.iter().filter(Result::is_ok).count() <= records.len());
        }
    }

    if input.len() >= HEADER_BYTES {
        let mut batch = input.to_vec();
        let length = batch.len() as u32 - 12;
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        batch[16] = 2;
        patch::crc(&mut batch);
        fletch_fuzz::payload(batch.into());
    }
});
