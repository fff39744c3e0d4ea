//! A segment whose checksums are right and whose entries are anything: recovered, read, recovered
//! again. The input is a list of frames; a few of them are torn, damaged or aimed at topics that
//! exist, so that entries have something to do with each other.

#![no_main]

mod log;

use libfuzzer_sys::fuzz_target;
use log::{Disk, Files, crc32c, frame, look_through, segment_header};

const PRODUCED: u8 = 3;

fuzz_target!(|input: &[u8]| {
    let mut segment = segment_header(1);
    // The log's own first entry, as every log has.
    let mut flush_start = segment.len() as u32;
    segment.extend(frame(1, flush_start, 0, &log::CLUSTER));
    let mut rest = input;
    while let Some(([kind, style, time, length], after)) = rest.split_first_chunk() {
        let length = (*length as usize * if style & 1 == 0 { 1 } else { 4 }).min(after.len());
        let (payload, after) = after.split_at(length);
        rest = after;
        let mut payload = payload.to_vec();
        aim(&mut payload, style >> 1 & 3);
        if *kind == PRODUCED {
            mend_batch(&mut payload);
        }
        if style & 8 == 0 {
            flush_start = segment.len() as u32;
        }
        let mut frame = frame(*kind, flush_start, i64::from(*time) * 1000, &payload);
        if style & 0xf0 == 0xf0 {
            let last = frame.len() - 1;
            frame[last.min(payload.len())] ^= 1;
        }
        segment.extend(frame);
    }
    let mut files = Files::default();
    files.segments.insert(1, segment);
    look_through(&Disk::new(files));
});

/// Most entries begin with a topic's id: one of four, or what the input says.
fn aim(payload: &mut [u8], topic: u8) {
    if topic > 0
        && let Some(id) = payload.first_chunk_mut::<16>()
    {
        *id = [topic; 16];
    }
}

/// Makes a batch's length, format and CRC right.
fn mend_batch(payload: &mut [u8]) {
    let Some(batch) = payload.get_mut(20..).filter(|batch| batch.len() >= 61) else {
        return;
    };
    let length = batch.len() as u32 - 12;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[16] = 2;
    let crc = crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}
