//! Row by row, on any machine: [`read`](super::read) in loops.

#![expect(unsafe_code)]

use std::ops::Range;

use super::read::{self, Compact, Read};
use super::{Lanes, Leaf, LeafKind, Nulls, Out, Text, goes_on};
use crate::avro::resolve::Scalar;
use crate::error::Reason;
use crate::layout::NumberOut;

/// Decodes `leaf` for the lanes in `range`; with `RUNS`, as many times each as `left` says.
///
/// # Safety
///
/// As [`super::leaf`].
#[inline(always)]
pub(crate) unsafe fn leaf<C: Compact, const RUNS: bool>(
    leaf: &Leaf,
    lanes: &mut Lanes,
    range: Range<usize>,
    left: &[u32],
    out: Out,
    dead: &mut [u8],
) {
    let mut run = Run::<RUNS> {
        left,
        leaf,
        lanes,
        range,
        out,
        dead,
    };
    // SAFETY: for each of them, `put` writes at the lane's place, which the caller promised is within
    // the store, with the type that the plan gave the store for this kind.
    unsafe {
        match &leaf.kind {
            LeafKind::Scalar(scalar) => run.scalar::<C>(*scalar),
            LeafKind::Keys { count, map: None } => run.each(
                |b| read::symbol::<C>(b, *count),
                |out, d, v| out.put(d, v as i32),
                |out, d| out.put(d, 0i32),
            ),
            LeafKind::Keys {
                count,
                map: Some(map),
            } => run.each(
                |b| {
                    let (index, n) = read::symbol::<C>(b, *count)?;
                    match map[index] {
                        -1 => Err(Reason::UnknownSymbol(index)),
                        key => Ok((key, n)),
                    }
                },
                |out, d, v| out.put(d, v),
                |out, d| out.put(d, 0i32),
            ),
            LeafKind::Symbols(texts) => run.each(
                |b| {
                    let (index, n) = read::symbol::<C>(b, texts.len())?;
                    let symbol = texts[index].as_ref();
                    let symbol = symbol.ok_or(Reason::UnknownSymbol(index))?;
                    Ok((symbol.text().as_bytes(), n))
                },
                |out, d, v| out.put_slot(d, v),
                |out, d| out.put_slot(d, &[]),
            ),
            LeafKind::DurationPart => run.each(
                read::array::<4>,
                |out, d, v| out.put(d, i64::from(u32::from_le_bytes(v))),
                |out, d| out.put(d, 0i64),
            ),
            LeafKind::SkipInt => run.each(|b| read::int::<C>(b), |_, _, _| (), |_, _| ()),
            LeafKind::SkipLong => run.each(|b| read::varint::<C>(b), |_, _, _| (), |_, _| ()),
            LeafKind::SkipBoolean => run.each(read::boolean, |_, _, _| (), |_, _| ()),
            LeafKind::SkipBytes => run.each(|b| read::bytes::<C>(b), |_, _, _| (), |_, _| ()),
            LeafKind::SkipFixed(n) => run.each(|b| read::fixed(b, *n), |_, _, _| (), |_, _| ()),
            LeafKind::SkipEnum(n) => {
                run.each(|b| read::symbol::<C>(b, *n), |_, _, _| (), |_, _| ());
            }
        }
    }
}

impl Out {
    /// # Safety
    ///
    /// `data` is a store of `T`s with room for row `d`.
    #[inline(always)]
    unsafe fn put<T>(&self, d: usize, value: T) {
        // SAFETY: the caller's promise; stores are only as aligned as their batch's buffer.
        unsafe { self.data.cast::<T>().add(d).write_unaligned(value) }
    }

    /// # Safety
    ///
    /// `data` and `lens` are a store of slots with room for row `d`.
    #[inline(always)]
    pub(crate) unsafe fn put_slot(&self, d: usize, bytes: &[u8]) {
        // SAFETY: the caller's promise. No slice is longer than a row, whose length fits u32.
        unsafe {
            self.put(d, bytes.as_ptr());
            self.lens.add(d).write(bytes.len() as u32);
        }
    }
}

struct Run<'a, const RUNS: bool> {
    left: &'a [u32],
    leaf: &'a Leaf,
    lanes: &'a mut Lanes,
    range: Range<usize>,
    out: Out,
    dead: &'a mut [u8],
}

impl<const RUNS: bool> Run<'_, RUNS> {
    /// Reads and keeps a value of every lane, or a null.
    ///
    /// # Safety
    ///
    /// As [`super::leaf`]; `keep` and `null` write at the place they are given and nowhere else.
    #[inline(always)]
    unsafe fn each<'b, T>(
        &mut self,
        read: impl Fn(&'b [u8]) -> Read<T>,
        keep: impl Fn(&Out, usize, T),
        null: impl Fn(&Out, usize),
    ) {
        let out = self.out;
        let nulls = self.leaf.nulls;
        for k in self.range.clone() {
            // SAFETY: the rows are borrowed.
            let mut rest = unsafe { self.lanes.rest(k) };
            let first = self.lanes.place(k);
            let times = if RUNS { self.left[k] as usize } else { 1 };
            for d in first..first + times {
                let taken = match nulls {
                    None => read(rest).map(|(value, n)| {
                        keep(&out, d, value);
                        n
                    }),
                    Some(nulls) => {
                        let (valid, taken) = nullable(rest, nulls, &read);
                        match taken {
                            Ok((Some(value), n)) => {
                                keep(&out, d, value);
                                Ok(n)
                            }
                            Ok((None, n)) => {
                                null(&out, d);
                                Ok(n)
                            }
                            Err(reason) => {
                                null(&out, d);
                                Err(reason)
                            }
                        }
                        .inspect(|_| {
                            if !out.valid.is_null() {
                                // SAFETY: the place is within the store.
                                unsafe { out.valid.add(d).write(u8::from(valid)) };
                            }
                        })
                    }
                };
                match taken {
                    Ok(n) => rest = &rest[n..],
                    Err(_) => {
                        self.lanes.kill(k, self.dead);
                        break;
                    }
                }
            }
            if !self.lanes.is_dead(k) {
                self.lanes.cur[k] = rest.as_ptr();
            }
        }
    }

    /// # Safety
    ///
    /// As [`super::leaf`].
    #[inline(always)]
    unsafe fn scalar<C: Compact>(&mut self, scalar: Scalar) {
        // SAFETY: for each of them, see `leaf`.
        unsafe {
            match scalar {
                Scalar::Boolean => self.each(
                    read::boolean,
                    |out, d, v| out.put(d, u8::from(v)),
                    |out, d| out.put(d, 0u8),
                ),
                Scalar::Number {
                    wide: true,
                    multiply: 1,
                    divide: 1,
                    out: NumberOut::I64,
                } => self.each(
                    |b| read::long::<C>(b),
                    |out, d, v| out.put(d, v),
                    |out, d| out.put(d, 0i64),
                ),
                Scalar::Number {
                    wide: false,
                    multiply: 1,
                    divide: 1,
                    out: NumberOut::I32,
                } => self.each(
                    |b| read::int::<C>(b),
                    |out, d, v| out.put(d, v),
                    |out, d| out.put(d, 0i32),
                ),
                Scalar::Number { out, .. } => match out {
                    NumberOut::I32 => self.each(
                        |b| number::<C>(b, scalar),
                        |out, d, v| out.put(d, v as i32),
                        |out, d| out.put(d, 0i32),
                    ),
                    NumberOut::I64 => self.each(
                        |b| number::<C>(b, scalar),
                        |out, d, v| out.put(d, v),
                        |out, d| out.put(d, 0i64),
                    ),
                    NumberOut::F32 => self.each(
                        |b| number::<C>(b, scalar),
                        |out, d, v| out.put(d, v as f32),
                        |out, d| out.put(d, 0f32),
                    ),
                    NumberOut::F64 => self.each(
                        |b| number::<C>(b, scalar),
                        |out, d, v| out.put(d, v as f64),
                        |out, d| out.put(d, 0f64),
                    ),
                },
                Scalar::Float => self.each(
                    read::array::<4>,
                    |out, d, v| out.put(d, v),
                    |out, d| out.put(d, [0u8; 4]),
                ),
                Scalar::Double => self.each(
                    read::array::<8>,
                    |out, d, v| out.put(d, v),
                    |out, d| out.put(d, [0u8; 8]),
                ),
                Scalar::FloatAsDouble => self.each(
                    read::array::<4>,
                    |out, d, v| out.put(d, f64::from(f32::from_le_bytes(v))),
                    |out, d| out.put(d, 0f64),
                ),
                Scalar::Bytes { .. } => self.each(
                    |b| {
                        let (bytes, n) = read::bytes::<C>(b)?;
                        Ok((bytes, n))
                    },
                    |out, d, v| out.put_slot(d, v),
                    |out, d| out.put_slot(d, &[]),
                ),
                Scalar::Decimal { precision, .. } if precision <= 38 => self.each(
                    |b| {
                        let (bytes, n) = decimal_bytes::<C>(b, scalar)?;
                        Ok((read::decimal128(bytes, precision)?, n))
                    },
                    |out, d, v| out.put(d, v),
                    |out, d| out.put(d, 0i128),
                ),
                Scalar::Decimal { precision, .. } => self.each(
                    |b| {
                        let (bytes, n) = decimal_bytes::<C>(b, scalar)?;
                        Ok((read::decimal256(bytes, precision)?, n))
                    },
                    |out, d, v| out.put(d, v.to_le_bytes()),
                    |out, d| out.put(d, [0u8; 32]),
                ),
                Scalar::UuidText => self.each(
                    |b| {
                        let (text, n) = read::bytes::<C>(b)?;
                        Ok((read::uuid(text)?, n))
                    },
                    |out, d, v| out.put(d, v),
                    |out, d| out.put(d, [0u8; 16]),
                ),
                Scalar::Fixed(0) => self.each(
                    |b| Ok((&b[..0], 0)),
                    |out, d, v| out.put_slot(d, v),
                    |out, d| out.put_slot(d, &[]),
                ),
                Scalar::Fixed(size) => self.each(
                    |b| read::fixed(b, size),
                    |out, d, v| out.data.add(d * size).copy_from(v.as_ptr(), size),
                    |out, d| out.data.add(d * size).write_bytes(0, size),
                ),
                Scalar::Duration => self.each(
                    |b| {
                        let (bytes, n) = read::array::<12>(b)?;
                        Ok((read::duration(bytes)?, n))
                    },
                    |out, d, (months, days, nanos)| {
                        out.put(2 * d, (i64::from(days) << 32) | i64::from(months as u32));
                        out.put(2 * d + 1, nanos);
                    },
                    |out, d| out.put(d, 0i128),
                ),
            }
        }
    }
}

/// Reads a union of a value and one other member: whether it is the value, and the value.
#[inline(always)]
fn nullable<'b, T>(
    b: &'b [u8],
    nulls: Nulls,
    read: &impl Fn(&'b [u8]) -> Read<T>,
) -> (bool, Read<Option<T>>) {
    let (tag, n) = match b.first() {
        Some(&tag) if tag == nulls.value || tag == nulls.null => (tag, 1),
        _ => match read::member::<read::Swar>(b, 2) {
            Ok((index, n)) => (index as u8 * 2, n),
            Err(reason) => return (false, Err(reason)),
        },
    };
    if tag == nulls.value {
        return (true, read(&b[n..]).map(|(value, m)| (Some(value), n + m)));
    }
    match nulls.allowed {
        true => (false, Ok((None, n))),
        false => (false, Err(Reason::UnknownMember(usize::from(tag / 2)))),
    }
}

/// A number that is converted: times by their units.
#[inline(always)]
pub(crate) fn number<C: Compact>(b: &[u8], scalar: Scalar) -> Read<i64> {
    let Scalar::Number {
        wide,
        multiply,
        divide,
        out,
    } = scalar
    else {
        unreachable!("the kind says it is a number")
    };
    let (value, n) = if wide {
        read::long::<C>(b)?
    } else {
        let (value, n) = read::int::<C>(b)?;
        (i64::from(value), n)
    };
    let error = Reason::TimeOutOfRange(value);
    let value = value.checked_mul(multiply).ok_or(error)?;
    let value = if divide == 1 {
        value
    } else {
        value.div_euclid(divide)
    };
    if out == NumberOut::I32 && i32::try_from(value).is_err() {
        return Err(error);
    }
    Ok((value, n))
}

#[inline(always)]
pub(crate) fn decimal_bytes<C: Compact>(b: &[u8], scalar: Scalar) -> Read<&[u8]> {
    match scalar {
        Scalar::Decimal {
            fixed: Some(size), ..
        } => read::fixed(b, size),
        _ => read::bytes::<C>(b),
    }
}

/// As [`super::copy_slots`].
///
/// # Safety
///
/// As [`super::copy_slots`].
pub(crate) unsafe fn copy_slots(
    ptrs: &[*const u8],
    lens: &[u32],
    mut to: *mut u8,
    mut offset: i32,
    offsets: &mut [i32],
) -> Text {
    let mut split = false;
    for ((&from, &len), at) in ptrs.iter().zip(lens).zip(offsets) {
        // SAFETY: the slot is borrowed, and its bytes have room at `to`.
        unsafe {
            copy(from, to, len as usize);
            split |= len > 0 && goes_on(*to);
            to = to.add(len as usize);
        }
        offset += len as i32;
        *at = offset;
    }
    Text {
        ascii: false,
        split,
    }
}

/// Copies `len` bytes: short ones as two moves that overlap, without a call.
///
/// # Safety
///
/// `len` bytes are readable at `from` and writable at `to`, and don't overlap.
#[inline(always)]
unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    /// # Safety
    ///
    /// As [`copy`], of at least `N` and at most `2 * N` bytes.
    #[inline(always)]
    unsafe fn twice<const N: usize>(from: *const u8, to: *mut u8, len: usize) {
        // SAFETY: both moves lie within the `len` bytes.
        unsafe {
            let head = from.cast::<[u8; N]>().read_unaligned();
            let tail = from.add(len - N).cast::<[u8; N]>().read_unaligned();
            to.cast::<[u8; N]>().write_unaligned(head);
            to.add(len - N).cast::<[u8; N]>().write_unaligned(tail);
        }
    }
    // SAFETY: every arm copies exactly `len` bytes.
    unsafe {
        match len {
            0 => {}
            1..=3 => twice_small(from, to, len),
            4..=8 => twice::<4>(from, to, len),
            9..=16 => twice::<8>(from, to, len),
            17..=32 => twice::<16>(from, to, len),
            _ => to.copy_from_nonoverlapping(from, len),
        }
    }
}

/// # Safety
///
/// As [`copy`], of one to three bytes.
#[inline(always)]
unsafe fn twice_small(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: the first, the middle and the last byte, which may be one and the same.
    unsafe {
        for i in [0, len / 2, len - 1] {
            *to.add(i) = *from.add(i);
        }
    }
}

/// As [`super::pack`].
pub(crate) fn pack(bytes: &[[u8; 64]], bits: &mut [u64]) -> usize {
    let mut ones = 0;
    for (chunk, word) in bytes.iter().zip(bits) {
        let (eights, _) = chunk.as_chunks::<8>();
        *word = eights.iter().rev().fold(0, |word, eight| {
            // The low bits of eight bytes, gathered into the product's highest byte.
            word << 8 | u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56
        });
        ones += word.count_ones() as usize;
    }
    ones
}
