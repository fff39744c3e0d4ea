//! Message sets of formats 0 and 1, as they come and with their CRCs made right.

#![no_main]

use bytes::Bytes;
use fletch_wire::records::legacy;
use libfuzzer_sys::fuzz_target;

/// Makes the CRC of every message right, as far as the sizes make sense.
fn with_crcs(input: &[u8]) -> Vec<u8> {
    let mut set = input.to_vec();
    let mut rest = set.as_mut_slice();
    while rest.len() > 17 {
        let size = u32::from_be_bytes([rest[8], rest[9], rest[10], rest[11]]) as usize;
        if size < 5 || size > rest.len() - 12 {
            break;
        }
        let (message, after) = rest.split_at_mut(12 + size);
        message[16] &= 1;
        let crc = crc_fast::crc32_iso_hdlc(&message[16..]);
        message[12..16].copy_from_slice(&crc.to_be_bytes());
        rest = after;
    }
    set
}

fuzz_target!(|input: &[u8]| {
    for set in [input.to_vec(), with_crcs(input)] {
        let set = Bytes::from(set);
        let right = legacy::messages(set.clone()).take_while(Result::is_ok).count();
        assert!(right <= set.len() / 26);
        if let Ok(batch) = legacy::convert(set.clone(), &fletch_fuzz::limits()) {
            batch.verify_crc().expect("a converted batch is right");
            fletch_fuzz::payload(set);
        }
    }
});
