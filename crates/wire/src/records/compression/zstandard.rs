//! Zstandard, streamed into the output by a context that each thread keeps: making one costs more
//! than decompressing a small batch.

use std::cell::RefCell;

use zstd::zstd_safe::{
    DCtx, InBuffer, OutBuffer, ResetDirective, get_error_name, get_frame_content_size,
};

use super::{Bound, CompressionFault, Room};

/// A context larger than this isn't kept: its window was made for one unusual batch.
const KEPT_BYTES_MAX: usize = 4 << 20;

thread_local! {
    static CONTEXT: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
}

pub(super) fn decompress(bytes: &[u8], bound: &Bound) -> Result<Room, CompressionFault> {
    CONTEXT.with_borrow_mut(|kept| {
        let mut context = match kept.take() {
            Some(context) => context,
            None => DCtx::try_create()
                .ok_or_else(|| CompressionFault::corrupt("no memory for a zstd context"))?,
        };
        let output = stream(&mut context, bytes, bound);
        if output.is_ok() && context.sizeof() <= KEPT_BYTES_MAX {
            *kept = Some(context);
        }
        output
    })
}

fn stream(context: &mut DCtx<'_>, bytes: &[u8], bound: &Bound) -> Result<Room, CompressionFault> {
    let fault = |code| CompressionFault::corrupt(get_error_name(code));
    context.reset(ResetDirective::SessionOnly).map_err(fault)?;
    let claimed = match get_frame_content_size(bytes) {
        Ok(Some(claimed)) => usize::try_from(claimed).unwrap_or(usize::MAX),
        _ => bytes.len().saturating_mul(4),
    };
    let mut output = Room::new(bound.plausible(claimed));
    let mut input = InBuffer::around(bytes);
    loop {
        let (_, space) = output.space(1);
        let mut space = OutBuffer::around(space);
        let frame_ended = context
            .decompress_stream(&mut space, &mut input)
            .map_err(fault)?
            == 0;
        let (written, was_filled) = (space.pos(), space.pos() == space.capacity());
        output.fill(written);
        if output.len() > bound.allowed {
            return Err(bound.exceeded());
        }
        // Frames may follow one another.
        if frame_ended && input.pos() == bytes.len() {
            return Ok(output);
        }
        if !was_filled && input.pos() == bytes.len() {
            return Err(CompressionFault::corrupt("the zstd frame is cut off"));
        }
    }
}
