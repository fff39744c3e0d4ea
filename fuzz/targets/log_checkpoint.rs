//! A checkpoint whose checksum is right and whose state is anything; or one that is anything.

#![no_main]

mod log;

use libfuzzer_sys::fuzz_target;
use log::{Disk, Files, crc32c, look_through};

fuzz_target!(|input: &[u8]| {
    let Some((raw, body)) = input.split_first() else {
        return;
    };
    let checkpoint = match raw {
        0 => body.to_vec(),
        _ => {
            let mut covered = 1u64.to_le_bytes().to_vec();
            covered.extend(body);
            let mut checkpoint = b"FLETCHCP".to_vec();
            checkpoint.extend(1u32.to_le_bytes());
            checkpoint.extend(crc32c(&covered).to_le_bytes());
            checkpoint.extend(covered);
            checkpoint
        }
    };
    let mut files = Files::default();
    let name = "checkpoint-00000000000000000001".to_owned();
    files.objects.insert(name, checkpoint);
    look_through(&Disk::new(files));
});
