//! Single values, from their wire form to Avro's.

use super::fault::{Stop, fault, unfit};
use super::plan::{Known, Scalar, Symbols};
use super::wire::{VARINT, Wire, unzigzag};
use crate::transcode::{put_bytes, put_long};

/// Writes a number, a boolean, text or bytes.
#[inline(always)]
pub(super) fn put_scalar(
    scalar: Scalar,
    wire: &mut Wire<'_>,
    row: &mut Vec<u8>,
) -> Result<(), Stop> {
    match scalar {
        Scalar::Int32 => put_long(row, i64::from(wire.varint()? as i32)),
        Scalar::Int64 => put_long(row, wire.varint()?.cast_signed()),
        Scalar::Uint32 => put_long(row, i64::from(wire.varint()? as u32)),
        Scalar::Uint64 => put_unsigned(row, wire.varint()?),
        Scalar::Sint32 => put_long(row, unzigzag(u64::from(wire.varint()? as u32))),
        Scalar::Sint64 => put_long(row, unzigzag(wire.varint()?)),
        Scalar::Fixed32 => put_long(row, i64::from(u32::from_le_bytes(wire.fixed()?))),
        Scalar::Fixed64 => put_unsigned(row, u64::from_le_bytes(wire.fixed()?)),
        Scalar::Sfixed32 => put_long(row, i64::from(i32::from_le_bytes(wire.fixed()?))),
        Scalar::Sfixed64 => put_long(row, i64::from_le_bytes(wire.fixed()?)),
        Scalar::Float => row.extend_from_slice(&wire.fixed::<4>()?),
        Scalar::Double => row.extend_from_slice(&wire.fixed::<8>()?),
        Scalar::Bool => row.push(u8::from(wire.varint()? != 0)),
        Scalar::String => put_bytes(row, text(wire)?.as_bytes()),
        Scalar::Bytes => {
            let sub = wire.sub()?;
            put_bytes(row, &sub.bytes[sub.at..]);
        }
    }
    Ok(())
}

/// Text, checked to be UTF-8.
#[inline]
pub(super) fn text<'a>(wire: &mut Wire<'a>) -> Result<&'a str, Stop> {
    let sub = wire.sub()?;
    let bytes = &sub.bytes[sub.at..];
    simdutf8::basic::from_utf8(bytes).map_err(|_| fault(sub.at, "text that is not UTF-8"))
}

/// A number without a sign, as a decimal: nine bytes hold any, and a fixed length costs least.
#[inline]
fn put_unsigned(row: &mut Vec<u8>, value: u64) {
    let mut bytes = [0; 10];
    bytes[0] = 18;
    bytes[2..].copy_from_slice(&value.to_be_bytes());
    row.extend_from_slice(&bytes);
}

/// What a scalar is if it isn't sent.
pub(super) fn put_zero(scalar: Scalar, row: &mut Vec<u8>) {
    match scalar {
        Scalar::Float => row.extend_from_slice(&[0; 4]),
        Scalar::Double => row.extend_from_slice(&[0; 8]),
        Scalar::Uint64 | Scalar::Fixed64 => put_unsigned(row, 0),
        // Nothing counted, nothing long: one byte.
        _ => row.push(0),
    }
}

/// Writes a map's key as text.
pub(super) fn put_key(scalar: Scalar, wire: &mut Wire<'_>, row: &mut Vec<u8>) -> Result<(), Stop> {
    match scalar {
        Scalar::String => put_bytes(row, text(wire)?.as_bytes()),
        Scalar::Bool => {
            let text = if wire.varint()? != 0 { "true" } else { "false" };
            put_bytes(row, text.as_bytes());
        }
        Scalar::Int32 => put_digits(row, i128::from(wire.varint()? as i32)),
        Scalar::Int64 => put_digits(row, i128::from(wire.varint()?.cast_signed())),
        Scalar::Uint32 => put_digits(row, i128::from(wire.varint()? as u32)),
        Scalar::Uint64 => put_digits(row, i128::from(wire.varint()?)),
        Scalar::Sint32 => {
            let value = u64::from(wire.varint()? as u32);
            put_digits(row, i128::from(unzigzag(value)));
        }
        Scalar::Sint64 => put_digits(row, i128::from(unzigzag(wire.varint()?))),
        Scalar::Fixed32 => put_digits(row, i128::from(u32::from_le_bytes(wire.fixed()?))),
        Scalar::Fixed64 => put_digits(row, i128::from(u64::from_le_bytes(wire.fixed()?))),
        Scalar::Sfixed32 => put_digits(row, i128::from(i32::from_le_bytes(wire.fixed()?))),
        Scalar::Sfixed64 => put_digits(row, i128::from(i64::from_le_bytes(wire.fixed()?))),
        Scalar::Float | Scalar::Double | Scalar::Bytes => {
            return Err(fault(wire.at, "a map's key of a type that no key has"));
        }
    }
    Ok(())
}

/// What a map's key is if it isn't sent.
pub(super) fn put_zero_key(scalar: Scalar, row: &mut Vec<u8>) {
    let text = match scalar {
        Scalar::String => "",
        Scalar::Bool => "false",
        _ => "0",
    };
    put_bytes(row, text.as_bytes());
}

/// Writes a number of 64 bits as text.
fn put_digits(row: &mut Vec<u8>, value: i128) {
    let mut digits = [0; 24];
    let mut first = digits.len();
    let mut rest = value.unsigned_abs() as u64;
    loop {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        first -= 1;
        digits[first] = b'-';
    }
    put_bytes(row, &digits[first..]);
}

/// Writes an enum's value as its name, or its digits if it has none. Whether it did: not if the
/// enum is closed and the number unknown.
#[inline]
pub(super) fn put_symbol(
    symbols: &Symbols,
    optional: bool,
    wire: &mut Wire<'_>,
    row: &mut Vec<u8>,
) -> Result<bool, Stop> {
    let number = wire.varint()? as i32;
    let name = symbols.name(number);
    if name.is_none() && symbols.closed {
        return Ok(false);
    }
    if optional {
        row.push(PRESENT);
    }
    match name {
        Some(name) => row.extend_from_slice(name),
        None => put_digits(row, i128::from(number)),
    }
    Ok(true)
}

/// The second member of a union of null and something.
pub(super) const PRESENT: u8 = 2;

/// `google.protobuf.Timestamp`: from the first second of the year 1 to the last of 9999.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// `google.protobuf.Duration`: about 10,000 years either way.
const SPAN_SECONDS_MAX: u64 = 315_576_000_000;
pub(super) const NANOS: i64 = 1_000_000_000;

/// Writes a well-known type from the parts of a message, which are merged. `depth` is how deep
/// unknown groups may nest; `lenient` if the value is going to be thrown away, and what it says
/// matters to nobody.
pub(super) fn put_known<'a>(
    known: Known,
    parts: impl Iterator<Item = Wire<'a>>,
    depth: usize,
    lenient: bool,
    row: &mut Vec<u8>,
) -> Result<(), Stop> {
    match known {
        Known::Wrapper(scalar) => put_wrapped(scalar, parts, depth, row),
        Known::Timestamp => {
            let (seconds, nanos, position) = seconds_nanos(parts, depth)?;
            if !lenient {
                check_timestamp(seconds, nanos, position)?;
            }
            put_long(
                row,
                seconds.wrapping_mul(1_000_000).wrapping_add(nanos / 1_000),
            );
            Ok(())
        }
        Known::Duration => {
            let (seconds, nanos, position) = seconds_nanos(parts, depth)?;
            if !lenient {
                check_duration(seconds, nanos, position)?;
            }
            let value = i128::from(seconds) * i128::from(NANOS) + i128::from(nanos);
            // 21 digits and a sign: nine bytes.
            row.push(18);
            row.extend_from_slice(&value.to_be_bytes()[7..]);
            Ok(())
        }
    }
}

/// Refuses what `google.protobuf.Timestamp` doesn't allow.
pub(super) fn check_timestamp(seconds: i64, nanos: i64, position: usize) -> Result<(), Stop> {
    if SECONDS.contains(&seconds) && (0..NANOS).contains(&nanos) {
        return Ok(());
    }
    let why = format!("no timestamp has {seconds} seconds and {nanos} nanoseconds");
    Err(unfit(position, why))
}

/// Refuses what `google.protobuf.Duration` doesn't allow.
pub(super) fn check_duration(seconds: i64, nanos: i64, position: usize) -> Result<(), Stop> {
    let alike = seconds == 0 || nanos == 0 || (seconds < 0) == (nanos < 0);
    if seconds.unsigned_abs() <= SPAN_SECONDS_MAX && nanos.abs() < NANOS && alike {
        return Ok(());
    }
    let why = format!("no duration has {seconds} seconds and {nanos} nanoseconds");
    Err(unfit(position, why))
}

/// The two fields of timestamps and durations, and where the message begins.
pub(super) fn seconds_nanos<'a>(
    parts: impl Iterator<Item = Wire<'a>>,
    depth: usize,
) -> Result<(i64, i64, usize), Stop> {
    let (mut seconds, mut nanos, mut position) = (0, 0, 0);
    for mut wire in parts {
        position = wire.at;
        while !wire.done() {
            let at = wire.at;
            let tag = wire.tag()?;
            match tag {
                0x08 => {
                    seconds = wire
                        .varint()
                        .map_err(|s| s.in_field("seconds"))?
                        .cast_signed()
                }
                0x10 => {
                    let value = wire.varint().map_err(|s| s.in_field("nanos"))?;
                    nanos = i64::from(value as i32);
                }
                _ if tag >> 3 <= 2 => return Err(mistyped(tag, VARINT, at)),
                _ => wire.skip(tag, depth)?,
            }
        }
    }
    Ok((seconds, nanos, position))
}

fn put_wrapped<'a>(
    scalar: Scalar,
    parts: impl Iterator<Item = Wire<'a>>,
    depth: usize,
    row: &mut Vec<u8>,
) -> Result<(), Stop> {
    let start = row.len();
    let expected = 1 << 3 | scalar.wire_type();
    for mut wire in parts {
        while !wire.done() {
            let at = wire.at;
            let tag = wire.tag()?;
            if tag == expected {
                row.truncate(start);
                put_scalar(scalar, &mut wire, row).map_err(|s| s.in_field("value"))?;
            } else if tag >> 3 == 1 {
                return Err(mistyped(tag, scalar.wire_type(), at));
            } else {
                wire.skip(tag, depth)?;
            }
        }
    }
    if row.len() == start {
        put_zero(scalar, row);
    }
    Ok(())
}

#[cold]
fn mistyped(tag: u32, expected: u32, position: usize) -> Stop {
    let found = tag & 7;
    let number = tag >> 3;
    let why = format!("field {number} of the wire type {found}, but its is {expected}");
    fault(position, why)
}

/// What a well-known type is if it is there without any fields.
pub(super) fn put_zero_known(known: Known, row: &mut Vec<u8>) {
    match known {
        Known::Timestamp => row.push(0),
        Known::Duration => row.extend_from_slice(&[2, 0]),
        Known::Wrapper(scalar) => put_zero(scalar, row),
    }
}
