//! The protocol's primitive types, as nom parsers over `&[u8]`.
//!
//! Each takes what it needs off the front and says, when there is too little, how much was needed.

use nom::{
    IResult, Parser,
    bytes::complete::take,
    number::complete::{be_f64, be_i8, be_i16, be_i32, be_i64, be_u16, be_u32},
};

use crate::Fault;

pub(crate) type Parsed<'a, O> = IResult<&'a [u8], O, Fault>;

macro_rules! fixed {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $parser:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[inline]
        pub(crate) fn $name(input: &[u8]) -> Parsed<'_, $type> {
            $parser.parse(input).map_err(|_: nom::Err<Fault>| {
                truncated(size_of::<$type>(), input)
            })
        }
    )+};
}

fixed! {
    int8: i8 = be_i8,
    int16: i16 = be_i16,
    int32: i32 = be_i32,
    int64: i64 = be_i64,
    uint16: u16 = be_u16,
    uint32: u32 = be_u32,
    float64: f64 = be_f64,
}

/// So many bytes, as they are.
#[inline]
pub(crate) fn bytes(count: usize) -> impl Fn(&[u8]) -> Parsed<'_, &[u8]> {
    move |input| {
        take(count)
            .parse(input)
            .map_err(|_: nom::Err<Fault>| truncated(count, input))
    }
}

/// An unsigned integer of up to 32 bits, seven a byte, least significant first (`UNSIGNED_VARINT`).
#[inline]
pub(crate) fn unsigned_varint(input: &[u8]) -> Parsed<'_, u32> {
    // Most lengths and deltas are of one or two bytes.
    match input {
        [first @ ..0x80, rest @ ..] => return Ok((rest, u32::from(*first))),
        [first, second @ ..0x80, rest @ ..] => {
            return Ok((rest, u32::from(first & 0x7f) | u32::from(*second) << 7));
        }
        _ => {}
    }
    let mut value = 0u32;
    for (index, &byte) in input.iter().take(5).enumerate() {
        // The fifth byte has room for four more bits.
        if index == 4 && byte > 0x0f {
            break;
        }
        value |= u32::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Ok((input.get(index + 1..).unwrap_or_default(), value));
        }
    }
    Err(varint_fault(input, 32))
}

/// An unsigned integer of up to 64 bits, seven a byte, least significant first.
#[inline]
pub(crate) fn unsigned_varlong(input: &[u8]) -> Parsed<'_, u64> {
    // Most lengths and deltas are of one or two bytes.
    match input {
        [first @ ..0x80, rest @ ..] => return Ok((rest, u64::from(*first))),
        [first, second @ ..0x80, rest @ ..] => {
            return Ok((rest, u64::from(first & 0x7f) | u64::from(*second) << 7));
        }
        _ => {}
    }
    let mut value = 0u64;
    for (index, &byte) in input.iter().take(10).enumerate() {
        // The tenth byte has room for one more bit.
        if index == 9 && byte > 0x01 {
            break;
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Ok((input.get(index + 1..).unwrap_or_default(), value));
        }
    }
    Err(varint_fault(input, 64))
}

/// A signed integer of up to 32 bits, zig-zag (`VARINT`).
#[inline]
pub(crate) fn varint(input: &[u8]) -> Parsed<'_, i32> {
    let (rest, value) = unsigned_varint(input)?;
    Ok((rest, (value >> 1) as i32 ^ -((value & 1) as i32)))
}

/// A signed integer of up to 64 bits, zig-zag (`VARLONG`).
#[inline]
pub(crate) fn varlong(input: &[u8]) -> Parsed<'_, i64> {
    let (rest, value) = unsigned_varlong(input)?;
    Ok((rest, (value >> 1) as i64 ^ -((value & 1) as i64)))
}

/// Bytes after their length; -1 is null.
#[inline]
pub(crate) fn optional_bytes<'a>(
    length: impl Fn(&'a [u8]) -> Parsed<'a, i32>,
) -> impl Fn(&'a [u8]) -> Parsed<'a, Option<&'a [u8]>> {
    move |input| {
        let (input, length) = length(input)?;
        if length == -1 {
            return Ok((input, None));
        }
        let (input, bytes) = bytes(unsigned(length).map_err(nom::Err::Error)?)(input)?;
        Ok((input, Some(bytes)))
    }
}

/// A length that mustn't be negative.
#[inline]
pub(crate) fn unsigned(length: i32) -> Result<usize, Fault> {
    usize::try_from(length).map_err(|_| Fault::NegativeLength(length.into()))
}

/// Runs a parser; what it left and what it made, or its plain fault.
#[inline]
pub(crate) fn run<'a, O>(
    input: &'a [u8],
    parser: impl Fn(&'a [u8]) -> Parsed<'a, O>,
) -> Result<(&'a [u8], O), Fault> {
    parser(input).map_err(|error| match error {
        nom::Err::Error(fault) | nom::Err::Failure(fault) => fault,
        nom::Err::Incomplete(_) => Fault::Truncated {
            needed: input.len() + 1,
            left: input.len(),
        },
    })
}

#[cold]
fn truncated(needed: usize, input: &[u8]) -> nom::Err<Fault> {
    nom::Err::Error(Fault::Truncated {
        needed,
        left: input.len(),
    })
}

#[cold]
fn varint_fault(input: &[u8], bits: u8) -> nom::Err<Fault> {
    let bytes_max = usize::from(bits).div_ceil(7);
    nom::Err::Error(
        if input.len() < bytes_max && input.iter().all(|byte| *byte >= 0x80) {
            Fault::Truncated {
                needed: input.len() + 1,
                left: input.len(),
            }
        } else {
            Fault::VarintTooLong { bits }
        },
    )
}
