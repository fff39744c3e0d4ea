//! How one value is read: the specification that every kernel is held against. Safe code over a
//! slice that starts at the value and ends with the row; each reader returns the value and the
//! bytes it took.

use arrow_buffer::i256;

use crate::error::Reason;

pub(crate) type Read<T> = Result<(T, usize), Reason>;

const CONTINUE: u64 = 0x8080_8080_8080_8080;

/// How the seven-bit groups of a varint become a number, given the eight bytes it starts in.
pub(crate) trait Compact {
    /// `x` has only the value bits set: the low seven of each byte.
    fn compact(x: u64) -> u64;
}

/// Any machine: three rounds of shifting neighbours together.
pub(crate) struct Swar;

impl Compact for Swar {
    #[inline(always)]
    fn compact(x: u64) -> u64 {
        let x = (x & 0x007f_007f_007f_007f) | ((x & 0x7f00_7f00_7f00_7f00) >> 1);
        let x = (x & 0x0000_3fff_0000_3fff) | ((x & 0x3fff_0000_3fff_0000) >> 2);
        (x & 0x0000_0000_0fff_ffff) | ((x & 0x0fff_ffff_0000_0000) >> 4)
    }
}

/// An unsigned varint of at most ten bytes. Overlong forms are taken, as every reader does.
#[inline(always)]
pub(crate) fn varint<C: Compact>(b: &[u8]) -> Read<u64> {
    if let Some(chunk) = b.first_chunk::<8>() {
        let x = u64::from_le_bytes(*chunk);
        if x & 0x80 == 0 {
            return Ok((x & 0x7f, 1));
        }
        let stop = !x & CONTINUE;
        if stop != 0 {
            let mask = stop ^ (stop - 1);
            let bytes = (mask.trailing_ones() / 8) as usize;
            return Ok((C::compact(x & mask & !CONTINUE), bytes));
        }
    }
    varint_slow(b)
}

#[cold]
#[inline(never)]
fn varint_slow(b: &[u8]) -> Read<u64> {
    let mut value = 0u64;
    for (i, &byte) in b.iter().take(10).enumerate() {
        // The tenth byte has room for one bit.
        if i == 9 && byte > 1 {
            return Err(Reason::VarintTooLong);
        }
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Ok((value, i + 1));
        }
    }
    Err(Reason::UnexpectedEnd { missing: 1 })
}

#[inline(always)]
pub(crate) fn unzigzag(z: u64) -> i64 {
    (z >> 1) as i64 ^ -((z & 1) as i64)
}

#[inline(always)]
pub(crate) fn long<C: Compact>(b: &[u8]) -> Read<i64> {
    let (z, n) = varint::<C>(b)?;
    Ok((unzigzag(z), n))
}

#[inline(always)]
pub(crate) fn int<C: Compact>(b: &[u8]) -> Read<i32> {
    let (v, n) = long::<C>(b)?;
    match i32::try_from(v) {
        Ok(v) => Ok((v, n)),
        Err(_) => Err(Reason::IntOutOfRange(v)),
    }
}

#[inline(always)]
pub(crate) fn boolean(b: &[u8]) -> Read<bool> {
    match b.first() {
        Some(&v @ (0 | 1)) => Ok((v == 1, 1)),
        Some(&v) => Err(Reason::BadBoolean(v)),
        None => Err(Reason::UnexpectedEnd { missing: 1 }),
    }
}

#[inline(always)]
pub(crate) fn array<const N: usize>(b: &[u8]) -> Read<[u8; N]> {
    match b.first_chunk::<N>() {
        Some(chunk) => Ok((*chunk, N)),
        None => Err(Reason::UnexpectedEnd {
            missing: N - b.len(),
        }),
    }
}

#[inline(always)]
pub(crate) fn fixed(b: &[u8], size: usize) -> Read<&[u8]> {
    match b.get(..size) {
        Some(bytes) => Ok((bytes, size)),
        None => Err(Reason::UnexpectedEnd {
            missing: size - b.len(),
        }),
    }
}

/// A length, and that many bytes. The bytes taken include the length.
#[inline(always)]
pub(crate) fn bytes<C: Compact>(b: &[u8]) -> Read<&[u8]> {
    let (length, n) = long::<C>(b)?;
    let left = b.len() - n;
    match usize::try_from(length) {
        Ok(l) if l <= left => Ok((&b[n..n + l], n + l)),
        Ok(_) => Err(Reason::LengthPastEnd { length, left }),
        Err(_) => Err(Reason::NegativeLength(length)),
    }
}

/// An index below `symbols`.
#[inline(always)]
pub(crate) fn symbol<C: Compact>(b: &[u8], symbols: usize) -> Read<usize> {
    let (index, n) = long::<C>(b)?;
    match usize::try_from(index) {
        Ok(i) if i < symbols => Ok((i, n)),
        _ => Err(Reason::BadEnumIndex { index, symbols }),
    }
}

/// A union's member index.
#[inline(always)]
pub(crate) fn member<C: Compact>(b: &[u8], members: usize) -> Read<usize> {
    let (index, n) = long::<C>(b)?;
    match usize::try_from(index) {
        Ok(i) if i < members => Ok((i, n)),
        _ => Err(Reason::BadUnionIndex { index, members }),
    }
}

/// The header of a block of array items or map entries: how many (0 ends the array).
#[inline(always)]
pub(crate) fn block<C: Compact>(b: &[u8]) -> Read<u64> {
    let (count, n) = long::<C>(b)?;
    if count >= 0 {
        return Ok((count as u64, n));
    }
    // A negative count is followed by the block's size in bytes, for those who skip.
    let (size, m) = long::<C>(&b[n..])?;
    if size < 0 {
        return Err(Reason::NegativeLength(size));
    }
    Ok((count.unsigned_abs(), n + m))
}

/// Big-endian two's complement, of any length that fits 128 bits after its sign is folded.
/// No bytes at all are a zero, which is how Java's BigInteger readers are fed by some writers.
#[inline]
pub(crate) fn decimal128(b: &[u8], precision: u8) -> Result<i128, Reason> {
    let error = Reason::DecimalOutOfRange { precision };
    let negative = b.first().is_some_and(|&x| x >= 0x80);
    let fill = if negative { 0xff } else { 0 };
    let (head, tail) = b.split_at(b.len().saturating_sub(16));
    if head.iter().any(|&x| x != fill) {
        return Err(error);
    }
    let mut buffer = [fill; 16];
    buffer[16 - tail.len()..].copy_from_slice(tail);
    let value = i128::from_be_bytes(buffer);
    // Folding must not have flipped the sign.
    if (value < 0) != negative || value.unsigned_abs() >= pow10_u128(precision) {
        return Err(error);
    }
    Ok(value)
}

/// As [`decimal128`], for up to 76 digits.
pub(crate) fn decimal256(b: &[u8], precision: u8) -> Result<i256, Reason> {
    let error = Reason::DecimalOutOfRange { precision };
    let negative = b.first().is_some_and(|&x| x >= 0x80);
    let fill = if negative { 0xff } else { 0 };
    let (head, tail) = b.split_at(b.len().saturating_sub(32));
    if head.iter().any(|&x| x != fill) {
        return Err(error);
    }
    let mut buffer = [fill; 32];
    buffer[32 - tail.len()..].copy_from_slice(tail);
    let value = i256::from_be_bytes(buffer);
    let limit = i256::from_i128(10)
        .checked_pow(u32::from(precision))
        .unwrap_or(i256::MAX);
    if value.is_negative() != negative || value >= limit || value <= limit.wrapping_neg() {
        return Err(error);
    }
    Ok(value)
}

/// 10^`precision`, for up to 38 digits.
pub(crate) const fn pow10_u128(precision: u8) -> u128 {
    10u128.pow(if precision > 38 { 38 } else { precision as u32 })
}

/// The 16 bytes of a UUID's text: 36 characters with hyphens, or what others also write:
/// 32 without, in braces, or as a URN.
pub(crate) fn uuid(text: &[u8]) -> Result<[u8; 16], Reason> {
    let inner = match text.len() {
        32 | 36 => text,
        38 if text.starts_with(b"{") && text.ends_with(b"}") => &text[1..37],
        45 if text[..9].eq_ignore_ascii_case(b"urn:uuid:") => &text[9..],
        _ => return Err(Reason::InvalidUuid),
    };
    let hyphens = inner.len() == 36;
    let mut out = [0u8; 16];
    let mut at = 0;
    for (i, byte) in out.iter_mut().enumerate() {
        if hyphens && matches!(i, 4 | 6 | 8 | 10) {
            if inner[at] != b'-' {
                return Err(Reason::InvalidUuid);
            }
            at += 1;
        }
        let digit = |c: u8| (c as char).to_digit(16).ok_or(Reason::InvalidUuid);
        let (high, low) = (digit(inner[at])?, digit(inner[at + 1])?);
        *byte = (high * 16 + low) as u8;
        at += 2;
    }
    Ok(out)
}

/// Avro's duration, as Arrow's months, days and nanoseconds.
#[inline]
pub(crate) fn duration(b: [u8; 12]) -> Result<(i32, i32, i64), Reason> {
    let part = |i: usize| u32::from_le_bytes([b[i], b[i + 1], b[i + 2], b[i + 3]]);
    let whole = |v: u32| i32::try_from(v).map_err(|_| Reason::DurationOutOfRange(v));
    Ok((
        whole(part(0))?,
        whole(part(4))?,
        i64::from(part(8)) * 1_000_000,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(z: u64) -> Vec<u8> {
        let mut z = z;
        let mut out = Vec::new();
        while z >= 0x80 {
            out.push(z as u8 | 0x80);
            z >>= 7;
        }
        out.push(z as u8);
        out
    }

    #[test]
    fn varints_of_every_length_with_and_without_bytes_behind() {
        for bits in 0..64 {
            for z in [1u64 << bits, (1u64 << bits) - 1, !0 >> bits] {
                let exact = put(z);
                assert_eq!(varint::<Swar>(&exact), Ok((z, exact.len())));
                for fill in [0, 0x7f, 0x80, 0xff] {
                    let mut padded = exact.clone();
                    padded.extend([fill; 12]);
                    assert_eq!(varint::<Swar>(&padded), Ok((z, exact.len())));
                }
                for cut in 0..exact.len() {
                    assert_eq!(
                        varint::<Swar>(&exact[..cut]),
                        Err(Reason::UnexpectedEnd { missing: 1 })
                    );
                }
            }
        }
        assert_eq!(varint::<Swar>(&[0x80, 0]), Ok((0, 2)));
        assert_eq!(varint::<Swar>(&[0xff; 12]), Err(Reason::VarintTooLong));
        let mut two = [0xff; 10];
        two[9] = 2;
        assert_eq!(varint::<Swar>(&two), Err(Reason::VarintTooLong));
    }

    #[test]
    fn decimals_fold_their_sign_and_keep_their_precision() {
        assert_eq!(decimal128(&[], 4), Ok(0));
        assert_eq!(decimal128(&[0xff], 4), Ok(-1));
        assert_eq!(decimal128(&[0x27, 0x0f], 4), Ok(9999));
        assert_eq!(
            decimal128(&[0x27, 0x10], 4),
            Err(Reason::DecimalOutOfRange { precision: 4 })
        );
        let mut long = vec![0xff; 40];
        long[39] = 0x85;
        assert_eq!(decimal128(&long, 4), Ok(-123));
        assert_eq!(decimal256(&long, 60), Ok(i256::from_i128(-123)));
        let mut flipped = vec![0u8; 17];
        flipped[1] = 0x80;
        assert!(decimal128(&flipped, 38).is_err());
        assert!(decimal256(&[0x7f; 32], 76).is_err());
    }

    #[test]
    fn uuids_in_their_three_dresses() {
        let want = [
            0x12, 0x3e, 0x45, 0x67, 0xe8, 0x9b, 0x12, 0xd3, 0xa4, 0x56, 0x42, 0x66, 0x14, 0x17,
            0x40, 0x00,
        ];
        for text in [
            "123e4567-e89b-12d3-a456-426614174000",
            "123E4567E89B12D3A456426614174000",
            "{123e4567-e89b-12d3-a456-426614174000}",
            "urn:uuid:123e4567-e89b-12d3-a456-426614174000",
        ] {
            assert_eq!(uuid(text.as_bytes()), Ok(want), "{text}");
        }
        for text in [
            "",
            "123e4567-e89b-12d3-a456-42661417400",
            "123e4567+e89b-12d3-a456-426614174000",
            "123e4567-e89b-12d3-a456-42661417400g",
        ] {
            assert!(uuid(text.as_bytes()).is_err(), "{text}");
        }
    }
}
