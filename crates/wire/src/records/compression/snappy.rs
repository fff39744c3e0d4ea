//! Snappy, raw and in the framing of snappy-java, by which most clients send it.
//!
//! The framing is a magic of eight bytes, two versions of four bytes, and blocks: four bytes of
//! length, big endian, and a raw block.

use super::{Bound, CompressionFault, Room};

const XERIAL_MAGIC: &[u8] = b"\x82SNAPPY\0";
/// The magic and the two versions.
const XERIAL_HEADER_BYTES: usize = 16;
/// Size of the blocks that snappy-java makes.
const XERIAL_BLOCK_BYTES: usize = 32 << 10;

pub(super) fn decompress(bytes: &[u8], bound: &Bound) -> Result<Room, CompressionFault> {
    if !bytes.starts_with(XERIAL_MAGIC) {
        let length = claimed(bytes, 0, bound)?;
        let mut output = Room::new(length);
        decompress_block(bytes, length, &mut output)?;
        return Ok(output);
    }
    let blocks = bytes
        .get(XERIAL_HEADER_BYTES..)
        .ok_or_else(|| CompressionFault::corrupt("the xerial header is cut off"))?;
    // Once to know how long the output is, once to make it.
    let (mut length, mut rest) = (0, blocks);
    while let Some(block) = next_block(&mut rest)? {
        length += claimed(block, length, bound)?;
    }
    let (mut output, mut rest) = (Room::new(length), blocks);
    while let Some(block) = next_block(&mut rest)? {
        let length = claimed(block, output.len(), bound)?;
        decompress_block(block, length, &mut output)?;
    }
    Ok(output)
}

/// Takes a block, with its length before it, off the front.
fn next_block<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, CompressionFault> {
    if rest.is_empty() {
        return Ok(None);
    }
    let cut = || CompressionFault::corrupt("a xerial block is cut off");
    let (length, after) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
    let length = u32::from_be_bytes(*length) as usize;
    let (block, after) = after.split_at_checked(length).ok_or_else(cut)?;
    *rest = after;
    Ok(Some(block))
}

/// The length that a raw block claims to have, if it may come after so many bytes.
fn claimed(block: &[u8], before: usize, bound: &Bound) -> Result<usize, CompressionFault> {
    let length = snap::raw::decompress_len(block).map_err(CompressionFault::corrupt)?;
    // An element of three bytes copies 64 at most: a longer claim is a lie, and isn't allocated.
    if length / 22 > block.len() {
        let bytes = block.len();
        return Err(CompressionFault::corrupt(format_args!(
            "{bytes} bytes claim to be {length}"
        )));
    }
    if length > bound.allowed - before {
        return Err(bound.exceeded());
    }
    Ok(length)
}

fn decompress_block(
    block: &[u8],
    length: usize,
    output: &mut Room,
) -> Result<(), CompressionFault> {
    let (_, space) = output.space(length);
    let written = snap::raw::Decoder::new()
        .decompress(block, space.get_mut(..length).unwrap_or_default())
        .map_err(CompressionFault::corrupt)?;
    output.fill(written);
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
