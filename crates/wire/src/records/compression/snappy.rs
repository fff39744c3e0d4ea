//! Snappy, raw and in the framing of snappy-java, by which most clients send it.
//!
//! The framing is a magic of eight bytes, two versions of four bytes, and blocks: four bytes of
//! length, big endian, and a raw block.

use super::{Bound, CompressionFault};

const XERIAL_MAGIC: &[u8] = b"\x82SNAPPY\0";
/// The magic and the two versions.
const XERIAL_HEADER_BYTES: usize = 16;
/// Size of the blocks that snappy-java makes.
const XERIAL_BLOCK_BYTES: usize = 32 << 10;

pub(super) fn decompress(bytes: &[u8], bound: &Bound) -> Result<Vec<u8>, CompressionFault> {
    let mut output = Vec::new();
    if !bytes.starts_with(XERIAL_MAGIC) {
        block(bytes, bound, &mut output)?;
        return Ok(output);
    }
    let mut rest = bytes
        .get(XERIAL_HEADER_BYTES..)
        .ok_or_else(|| CompressionFault::corrupt("the xerial header is cut off"))?;
    while !rest.is_empty() {
        let cut = || CompressionFault::corrupt("a xerial block is cut off");
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (input, after) = after.split_at_checked(length).ok_or_else(cut)?;
        block(input, bound, &mut output)?;
        rest = after;
    }
    Ok(output)
}

/// Appends the contents of a raw block.
fn block(input: &[u8], bound: &Bound, output: &mut Vec<u8>) -> Result<(), CompressionFault> {
    let length = snap::raw::decompress_len(input).map_err(CompressionFault::corrupt)?;
    // An element of three bytes copies 64 at most: a longer claim is a lie, and isn't allocated.
    if length / 22 > input.len() {
        return Err(CompressionFault::corrupt(format_args!(
            "{} bytes claim to be {length}",
            input.len()
        )));
    }
    let start = output.len();
    if length > bound.allowed - start {
        return Err(bound.exceeded());
    }
    output.resize(start + length, 0);
    let place = output.get_mut(start..).unwrap_or_default();
    snap::raw::Decoder::new()
        .decompress(input, place)
        .map_err(CompressionFault::corrupt)?;
    Ok(())
}

pub(super) fn compress(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut output = XERIAL_MAGIC.to_vec();
    output.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
    let mut encoder = snap::raw::Encoder::new();
    for block in bytes.chunks(XERIAL_BLOCK_BYTES) {
        let block = encoder.compress_vec(block)?;
        output.extend_from_slice(&(block.len() as u32).to_be_bytes());
        output.extend_from_slice(&block);
    }
    Ok(output)
}
