//! Rows to come, brought near while others are decoded.

/// The bytes that a machine's caches keep together.
const LINE: usize = 64;
/// Of each row, at most so many lines: of longer ones, the machine's own prefetcher brings the rest.
const LINES_MAX: usize = 8;

/// Lines of the next strip, asked for a few at a time: a core has room for a dozen or two that are
/// on their way, and waits when it is asked for more, whatever else there would be to do.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    lines: Vec<*const u8>,
    /// The first that hasn't been asked for.
    next: usize,
    /// How many to ask for at a step.
    step: usize,
}

impl Ahead {
    /// Sets out to bring rows of about `bytes` bytes near within `steps` steps. Without a branch on
    /// a row's own length, which couldn't be foretold.
    pub(crate) fn plan<'a>(
        &mut self,
        rows: impl Iterator<Item = &'a [u8]>,
        bytes: usize,
        steps: usize,
    ) {
        self.lines.clear();
        self.next = 0;
        match bytes.div_ceil(LINE).min(LINES_MAX) {
            0 => {}
            // So few that to put them off costs as much as to wait for them.
            1 => rows.for_each(|row| prefetch(row.as_ptr())),
            lines => rows.for_each(|row| {
                let line = |i: usize| row.as_ptr().wrapping_add((LINE * i).min(row.len()));
                self.lines.extend((0..lines).map(line));
            }),
        }
        self.step = self.lines.len().div_ceil(steps.max(1));
    }

    /// Asks for the next few lines. Portable kernels don't: theirs are all asked for at the end.
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code))]
    #[inline(always)]
    pub(crate) fn step(&mut self) {
        let to = (self.next + self.step).min(self.lines.len());
        self.lines[self.next..to]
            .iter()
            .for_each(|&at| prefetch(at));
        self.next = to;
    }

    /// Asks for all that are left.
    pub(crate) fn finish(&mut self) {
        self.lines.drain(..).skip(self.next).for_each(prefetch);
        self.next = 0;
    }
}

#[inline(always)]
#[cfg_attr(all(target_arch = "x86_64", not(miri)), expect(unsafe_code))]
fn prefetch(at: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of x86-64, and a prefetch reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }
    let _ = at;
}
