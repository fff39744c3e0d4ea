//! Protobuf's wire format: varints, tags, lengths, and what is skipped.
//!
//! <https://protobuf.dev/programming-guides/encoding/>

use super::fault::{Stop, fault};
use crate::transcode::{CONTINUED, close_up};

/// The wire types, as the lowest three bits of a tag have them.
pub(super) const VARINT: u32 = 0;
pub(super) const I64: u32 = 1;
pub(super) const LEN: u32 = 2;
pub(super) const GROUP: u32 = 3;
pub(super) const GROUP_END: u32 = 4;
pub(super) const I32: u32 = 5;

/// A message's bytes and how far they have been read. `bytes` starts where the payload does, so
/// that positions are the payload's, and ends where the message does.
#[derive(Clone, Copy)]
pub(super) struct Wire<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Wire<'a> {
    #[inline]
    pub(super) fn done(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, Stop> {
        match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Stop> {
        let mut value = 0;
        let bytes = self.bytes.get(self.at..).unwrap_or_default();
        if let Some(word) = bytes.first_chunk() {
            let word = u64::from_le_bytes(*word);
            let ends = !word & CONTINUED;
            if ends != 0 {
                // Up to the first byte that isn't continued, all at once.
                let last = ends.trailing_zeros();
                self.at += last as usize / 8 + 1;
                return Ok(close_up(word & (u64::MAX >> (63 - last))));
            }
        }
        for (i, &byte) in bytes.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                if i == 9 && byte > 1 {
                    break;
                }
                self.at += i + 1;
                return Ok(value);
            }
        }
        Err(fault(
            self.at,
            if bytes.len() < 10 {
                "the message ends inside a number"
            } else {
                "a number of more than 64 bits"
            },
        ))
    }

    /// A field's number and wire type, still in one.
    #[inline]
    pub(super) fn tag(&mut self) -> Result<u32, Stop> {
        let at = self.at;
        let tag = self.varint()?;
        match u32::try_from(tag) {
            Ok(tag) if tag >> 3 != 0 => Ok(tag),
            _ => Err(fault(at, format!("{tag} is no field's tag"))),
        }
    }

    /// `N` bytes.
    #[inline]
    pub(super) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        match self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) {
            Some(&bytes) => {
                self.at += N;
                Ok(bytes)
            }
            None => Err(self.short(N as u64)),
        }
    }

    /// Where a length says that its value ends.
    #[inline]
    pub(super) fn length(&mut self) -> Result<usize, Stop> {
        let length = self.varint()?;
        if length > self.left() as u64 {
            return Err(self.short(length));
        }
        Ok(self.at + length as usize)
    }

    #[cold]
    fn short(&self, length: u64) -> Stop {
        let left = self.left();
        fault(
            self.at,
            format!("a length of {length} with {left} bytes left"),
        )
    }

    /// A value with its length before it, as a message of its own; this one goes on behind it.
    #[inline]
    pub(super) fn sub(&mut self) -> Result<Wire<'a>, Stop> {
        let end = self.length()?;
        let sub = Wire {
            bytes: &self.bytes[..end],
            at: self.at,
        };
        self.at = end;
        Ok(sub)
    }

    /// The value after a tag, as a message of its own; this one goes on behind it. Of what has a
    /// length, that is what follows it, or, with `whole`, the length too; of a group, what precedes
    /// its end.
    pub(super) fn value(&mut self, tag: u32, whole: bool, depth: usize) -> Result<Wire<'a>, Stop> {
        let mut at = self.at;
        let end = match tag & 7 {
            GROUP => self.group(tag >> 3, depth)?,
            LEN => {
                let end = self.length()?;
                if !whole {
                    at = self.at;
                }
                self.at = end;
                end
            }
            _ => {
                self.skip(tag, depth)?;
                self.at
            }
        };
        Ok(Wire {
            bytes: &self.bytes[..end],
            at,
        })
    }

    /// Skips the value after a tag. Groups may nest `depth` deep.
    pub(super) fn skip(&mut self, tag: u32, depth: usize) -> Result<(), Stop> {
        match tag & 7 {
            VARINT => {
                self.varint()?;
            }
            I64 => {
                self.fixed::<8>()?;
            }
            I32 => {
                self.fixed::<4>()?;
            }
            LEN => self.at = self.length()?,
            GROUP => {
                self.group(tag >> 3, depth)?;
            }
            GROUP_END => {
                let number = tag >> 3;
                let why = format!("an end of group {number}, which isn't open");
                return Err(fault(self.at, why));
            }
            unknown => {
                let why = format!("field {} has the wire type {unknown}", tag >> 3);
                return Err(fault(self.at, why));
            }
        }
        Ok(())
    }

    /// Skips to behind a group's end; where that end's tag begins.
    pub(super) fn group(&mut self, number: u32, depth: usize) -> Result<usize, Stop> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(fault(self.at, "groups nested too deep"));
        };
        loop {
            let at = self.at;
            let tag = self.tag()?;
            if tag == number << 3 | GROUP_END {
                return Ok(at);
            }
            self.skip(tag, depth)?;
        }
    }
}

/// What a zigzag number stands for.
#[inline]
pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}
