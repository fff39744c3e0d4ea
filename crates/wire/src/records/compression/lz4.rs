//! LZ4 frames.
//!
//! Read here rather than by `lz4_flex::frame`, for three reasons: blocks decompress straight into
//! the output, which serves linked blocks as their dictionary; nothing is allocated by what a frame
//! descriptor claims; and the header checksum of old clients, which hashed the magic number too
//! (KAFKA-3160), is accepted.

use std::io::Write;

use twox_hash::XxHash32;

use super::{Bound, CompressionFault, Room};

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
/// How far back a match may reach.
const WINDOW_BYTES: usize = 64 << 10;

pub(super) fn decompress(bytes: &[u8], bound: &Bound) -> Result<Room, CompressionFault> {
    let mut output = Room::new(bound.plausible(bytes.len().saturating_mul(4)));
    let mut rest = bytes;
    // Frames may follow one another.
    loop {
        rest = frame(rest, bound, &mut output)?;
        if rest.is_empty() {
            return Ok(output);
        }
    }
}

struct Descriptor {
    independent_blocks: bool,
    block_checksums: bool,
    content_checksum: bool,
    content_size: Option<u64>,
    block_bytes_max: usize,
}

fn cut() -> CompressionFault {
    CompressionFault::corrupt("the frame is cut off")
}

fn checksum(bytes: &[u8]) -> u32 {
    XxHash32::oneshot(0, bytes)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], CompressionFault> {
    let (taken, rest) = bytes.split_first_chunk::<N>().ok_or_else(cut)?;
    *bytes = rest;
    Ok(*taken)
}

fn descriptor(bytes: &mut &[u8]) -> Result<Descriptor, CompressionFault> {
    let frame = *bytes;
    if take::<4>(bytes)? != MAGIC {
        return Err(CompressionFault::corrupt("not an LZ4 frame"));
    }
    let [flags, block] = take::<2>(bytes)?;
    if flags >> 6 != 1 {
        return Err(CompressionFault::corrupt(
            "not version 1 of the LZ4 frame format",
        ));
    }
    if flags & 0b11 != 0 {
        return Err(CompressionFault::corrupt(
            "an LZ4 frame with a dictionary or a reserved flag",
        ));
    }
    let block_bytes_max = match block {
        0x40 => 64 << 10,
        0x50 => 256 << 10,
        0x60 => 1 << 20,
        0x70 => 4 << 20,
        _ => {
            return Err(CompressionFault::corrupt(
                "an LZ4 block size that isn't defined",
            ));
        }
    };
    let content_size = match flags & 0b1000 {
        0 => None,
        _ => Some(u64::from_le_bytes(take(bytes)?)),
    };
    let described = frame.len() - bytes.len();
    let [stored] = take(bytes)?;
    let right = checksum(frame.get(4..described).unwrap_or_default());
    let legacy = checksum(frame.get(..described).unwrap_or_default());
    if stored != (right >> 8) as u8 && stored != (legacy >> 8) as u8 {
        return Err(CompressionFault::corrupt(
            "the LZ4 header checksum is wrong",
        ));
    }
    Ok(Descriptor {
        independent_blocks: flags & 0b10_0000 != 0,
        block_checksums: flags & 0b1_0000 != 0,
        content_checksum: flags & 0b100 != 0,
        content_size,
        block_bytes_max,
    })
}

/// Appends the contents of the frame at the front; answers what follows it.
fn frame<'a>(
    mut bytes: &'a [u8],
    bound: &Bound,
    output: &mut Room,
) -> Result<&'a [u8], CompressionFault> {
    let descriptor = descriptor(&mut bytes)?;
    let start = output.len();
    loop {
        let size = u32::from_le_bytes(take(&mut bytes)?);
        if size == 0 {
            break;
        }
        // The highest bit says that the block isn't compressed.
        let (size, compressed) = ((size & 0x7fff_ffff) as usize, size >> 31 == 0);
        if size > descriptor.block_bytes_max {
            return Err(CompressionFault::corrupt(
                "an LZ4 block longer than its frame allows",
            ));
        }
        let (block, rest) = bytes.split_at_checked(size).ok_or_else(cut)?;
        bytes = rest;
        if descriptor.block_checksums && u32::from_le_bytes(take(&mut bytes)?) != checksum(block) {
            return Err(CompressionFault::corrupt("an LZ4 block checksum is wrong"));
        }
        if compressed {
            compressed_block(block, &descriptor, start, bound, output)?;
        } else if block.len() > bound.allowed - output.len() {
            return Err(bound.exceeded());
        } else {
            output.push(block);
        }
    }
    let contents = output.filled().get(start..).unwrap_or_default();
    if descriptor
        .content_size
        .is_some_and(|size| size != contents.len() as u64)
    {
        return Err(CompressionFault::corrupt("the LZ4 content size is wrong"));
    }
    if descriptor.content_checksum && u32::from_le_bytes(take(&mut bytes)?) != checksum(contents) {
        return Err(CompressionFault::corrupt(
            "the LZ4 content checksum is wrong",
        ));
    }
    Ok(bytes)
}

fn compressed_block(
    block: &[u8],
    descriptor: &Descriptor,
    frame_start: usize,
    bound: &Bound,
    output: &mut Room,
) -> Result<(), CompressionFault> {
    // A byte of a block stands for 255 at most, so the room is bounded by what is really there.
    let room = descriptor
        .block_bytes_max
        .min(block.len().saturating_mul(255));
    let allowed = bound.allowed - output.len();
    let start = output.len();
    let (before, space) = output.space(room.min(allowed));
    let place = space.get_mut(..room.min(allowed)).unwrap_or_default();
    let written = if descriptor.independent_blocks {
        lz4_flex::block::decompress_into(block, place)
    } else {
        let window_start = frame_start.max(start.saturating_sub(WINDOW_BYTES));
        let window = before.get(window_start..).unwrap_or_default();
        lz4_flex::block::decompress_into_with_dict(block, place, window)
    }
    .map_err(|error| match error {
        lz4_flex::block::DecompressError::OutputTooSmall { .. } if room > allowed => {
            bound.exceeded()
        }
        error => CompressionFault::corrupt(error),
    })?;
    output.fill(written);
    Ok(())
}

pub(super) fn compress(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let info = lz4_flex::frame::FrameInfo::new()
        .block_size(lz4_flex::frame::BlockSize::Max64KB)
        .block_mode(lz4_flex::frame::BlockMode::Independent);
    let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

/// Gives a frame of [`compress`] the header checksum that clients of message format 0 expect, which is
/// over the magic number too (KAFKA-3160).
pub(super) fn with_old_checksum(frame: &mut [u8]) {
    // The magic number, flags and block size; the checksum comes after them.
    const DESCRIBED: usize = 6;
    if let Some((described, rest)) = frame.split_at_mut_checked(DESCRIBED)
        && let Some(stored) = rest.first_mut()
    {
        *stored = (checksum(described) >> 8) as u8;
    }
}
