use bytes::Bytes;

use crate::{
    Fault, Limits, Result, Str, Version,
    primitives::{self, Parsed},
};

/// Reads a frame from its front to its end, never beyond it, and hands out slices of it.
#[derive(Debug, Clone)]
pub struct Reader {
    frame: Bytes,
    position: usize,
    /// Where reading stops: the frame's end, or that of the tagged field being read.
    end: usize,
    vectors_bytes_left: usize,
    unknown_tags_bytes_left: usize,
    trailing_bytes_max: usize,
}

impl Reader {
    /// Reads from the start of the bytes.
    pub fn new(frame: Bytes, limits: &Limits) -> Self {
        Self {
            end: frame.len(),
            frame,
            position: 0,
            vectors_bytes_left: limits.vectors_bytes_max,
            unknown_tags_bytes_left: limits.unknown_tags_bytes_max,
            trailing_bytes_max: limits.trailing_bytes_max,
        }
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Bytes that are left.
    pub fn left(&self) -> usize {
        self.end - self.position
    }

    /// Succeeds if no more is left than [`Limits::trailing_bytes_max`].
    ///
    /// # Errors
    /// [`Fault::TrailingBytes`] if there is.
    pub fn finish(&self) -> Result<()> {
        match self.left() {
            left if left <= self.trailing_bytes_max => Ok(()),
            left => Err(Fault::TrailingBytes { left }.at(self.position)),
        }
    }

    #[inline]
    pub(crate) fn parse<'a, O: 'a>(
        &'a mut self,
        parser: impl Fn(&'a [u8]) -> Parsed<'a, O>,
    ) -> Result<O> {
        let input = self.frame.get(self.position..self.end).unwrap_or_default();
        match primitives::run(input, parser) {
            Ok((rest, value)) => {
                self.position = self.end - rest.len();
                Ok(value)
            }
            Err(fault) => Err(fault.at(self.position)),
        }
    }

    /// A slice of the frame. Shares its memory.
    pub(crate) fn slice(&mut self, length: usize) -> Result<Bytes> {
        let start = self.position;
        self.parse(primitives::bytes(length))?;
        Ok(self.frame.slice(start..start + length))
    }

    pub(crate) fn string(&mut self, length: usize) -> Result<Str> {
        let start = self.position;
        // Compact lengths could say more, but no string may be longer than a legacy length says.
        let bytes_max = i16::MAX as usize;
        if length > bytes_max {
            return Err(Fault::StringTooLong {
                bytes: length,
                bytes_max,
            }
            .at(start));
        }
        let slice = self.slice(length)?;
        Str::try_from(slice).map_err(|_| self.not_utf8(start, length))
    }

    #[cold]
    fn not_utf8(&self, start: usize, bytes: usize) -> crate::Error {
        let text = self.frame.get(start..start + bytes).unwrap_or_default();
        let valid_up_to = std::str::from_utf8(text)
            .err()
            .map_or(bytes, |e| e.valid_up_to());
        Fault::NotUtf8 { bytes, valid_up_to }.at(start)
    }

    /// The length of a string, of bytes or of an array whose legacy length field is read by the
    /// parser; `None` is null.
    #[inline]
    pub(crate) fn length<I: Into<i64>>(
        &mut self,
        version: Version,
        legacy: impl for<'a> Fn(&'a [u8]) -> Parsed<'a, I>,
    ) -> Result<Option<usize>> {
        let start = self.position;
        let length = if version.flexible {
            // Compact lengths are one more than the length, so that 0 is null.
            i64::from(self.parse(primitives::unsigned_varint)?) - 1
        } else {
            self.parse(legacy)?.into()
        };
        match usize::try_from(length) {
            Ok(length) => Ok(Some(length)),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(Fault::NegativeLength(length).at(start)),
        }
    }

    /// Admits a vector: its elements must fit in the bytes that are left, and its memory in the
    /// limit.
    pub(crate) fn admit(
        &mut self,
        count: usize,
        element_bytes_min: usize,
        element_memory: usize,
    ) -> Result<()> {
        let left = self.left();
        if count
            .checked_mul(element_bytes_min.max(1))
            .is_none_or(|needed| needed > left)
        {
            return Err(Fault::CountTooLarge {
                count,
                element_bytes_min,
                left,
            }
            .at(self.position));
        }
        // Not more than `left` times the size of a structure: no overflow.
        let needed = count * element_memory;
        match self.vectors_bytes_left.checked_sub(needed) {
            Some(left) => self.vectors_bytes_left = left,
            None => {
                let left = self.vectors_bytes_left;
                return Err(Fault::VectorsTooLarge { needed, left }.at(self.position));
            }
        }
        Ok(())
    }

    /// Admits an unknown tagged field of so many bytes.
    pub(crate) fn admit_unknown_tag(&mut self, bytes: usize) -> Result<()> {
        // A field costs its place in the vector too.
        let cost = bytes.saturating_add(size_of::<(u32, Bytes)>());
        match self.unknown_tags_bytes_left.checked_sub(cost) {
            Some(left) => self.unknown_tags_bytes_left = left,
            None => {
                let left = self.unknown_tags_bytes_left;
                return Err(Fault::UnknownTagsTooLarge { bytes, left }.at(self.position));
            }
        }
        Ok(())
    }

    /// Reads a tagged field of a known size, which must be used up.
    pub(crate) fn within<T>(
        &mut self,
        tag: u32,
        size: usize,
        read: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let left = self.left();
        if size > left {
            return Err(Fault::Truncated { needed: size, left }.at(self.position));
        }
        let outer = std::mem::replace(&mut self.end, self.position + size);
        let value = read(self);
        let unused = self.left();
        self.end = outer;
        let value = value?;
        if unused > 0 {
            return Err(Fault::TagSize {
                tag,
                size,
                left: unused,
            }
            .at(self.position));
        }
        Ok(value)
    }
}
