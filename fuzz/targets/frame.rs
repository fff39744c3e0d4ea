//! A stream cut anywhere gives the same frames as the whole, and none beyond the limit.

#![no_main]

use bytes::{Bytes, BytesMut};
use fletch_wire::{FrameDecoder, Result};
use libfuzzer_sys::fuzz_target;

fn frames(stream: &[u8], read_bytes: usize) -> Result<Vec<Bytes>> {
    let decoder = FrameDecoder::new(&fletch_fuzz::limits());
    let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
    for read in stream.chunks(read_bytes.max(1)) {
        buffer.extend_from_slice(read);
        while let Some(frame) = decoder.decode(&mut buffer)? {
            assert!(frame.len() <= fletch_fuzz::limits().frame_bytes_max);
            frames.push(frame);
        }
    }
    decoder.finish(&buffer)?;
    Ok(frames)
}

fuzz_target!(|input: &[u8]| {
    let Some((&read_bytes, stream)) = input.split_first() else { return };
    let whole = frames(stream, usize::MAX);
    assert_eq!(frames(stream, read_bytes.into()), whole);
    if let Ok(frames) = whole {
        let lengths: usize = frames.iter().map(|frame| frame.len() + 4).sum();
        assert_eq!(lengths, stream.len());
    }
});
