//! How eight values are read at a time: from the bytes that a group's rows hold to numbers, lengths
//! and addresses in vectors, and the lanes for which that holds.

#![expect(unsafe_code)]

use std::arch::x86_64::*;

use crate::kernels::read;

/// What a group's rows hold where the value begins (behind the union's tag, if there is one).
pub(super) struct Group {
    /// The next bytes, low byte first: eight where the kernel asked for all, else at least seven,
    /// and what wasn't loaded looks like a varint going on.
    pub(super) bytes: __m512i,
    /// The value's address.
    pub(super) at: __m512i,
    /// One past the row's last byte.
    pub(super) end: __m512i,
    /// The lanes that have a value.
    pub(super) present: __mmask8,
}

/// What a kernel made of a group.
pub(super) struct Value {
    /// The bytes the value takes.
    pub(super) len: __m512i,
    /// The lanes that are served.
    pub(super) ok: __mmask8,
    pub(super) low: __m512i,
    pub(super) high: __m512i,
}

/// The eight bytes at each address, zeros from the row's end on.
///
/// # Safety
///
/// For the lanes of `mask`: `at` is at most nine past `end - 8`, from where to `end` is borrowed.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
pub(super) unsafe fn load(at: __m512i, end: __m512i, mask: __mmask8) -> __m512i {
    let last = _mm512_sub_epi64(end, _mm512_set1_epi64(8));
    // SAFETY: every address that is loaded from is at most `end - 8`, and no row begins later
    // than eight bytes before its end.
    unsafe {
        if _mm512_mask_cmpgt_epu64_mask(mask, at, last) == 0 {
            return gather(at, mask);
        }
        // In range: the eight bytes that end where the row does, shifted down.
        let from = _mm512_min_epu64(at, last);
        let over = _mm512_slli_epi64::<3>(_mm512_sub_epi64(at, from));
        _mm512_srlv_epi64(gather(from, mask), over)
    }
}

/// # Safety
///
/// Eight bytes are borrowed at each address of `mask`.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn gather(at: __m512i, mask: __mmask8) -> __m512i {
    // SAFETY: the caller's promise; the addresses are absolute, their base is zero.
    unsafe { _mm512_mask_i64gather_epi64::<1>(_mm512_setzero_si512(), mask, at, std::ptr::null()) }
}

/// Compacts seven-bit groups: neighbours are joined by multiplying and adding.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn compact(x: __m512i) -> __m512i {
    // 7 and 7 bits to 14, 14 and 14 to 28, and 28 and 28 to 56.
    let x = _mm512_maddubs_epi16(_mm512_set1_epi16(i16::from_le_bytes([1, 128])), x);
    let x = _mm512_madd_epi16(x, _mm512_set1_epi32(0x4000_0001));
    let low = _mm512_and_si512(x, _mm512_set1_epi64(0x0fff_ffff));
    let high = _mm512_and_si512(
        _mm512_srli_epi64::<4>(x),
        _mm512_set1_epi64(0x0fff_ffff << 28),
    );
    _mm512_or_si512(low, high)
}

/// An unsigned varint up to `most`, of no more bytes than were loaded.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl")]
pub(super) fn varint(g: &Group, most: u64) -> Value {
    let go_on = _mm512_set1_epi8(i8::MIN);
    let stop = _mm512_andnot_si512(g.bytes, go_on);
    let mask = _mm512_xor_si512(stop, _mm512_add_epi64(stop, _mm512_set1_epi64(-1)));
    let bits = _mm512_sub_epi64(_mm512_set1_epi64(64), _mm512_lzcnt_epi64(mask));
    let low = compact(_mm512_andnot_si512(go_on, _mm512_and_si512(g.bytes, mask)));
    let mut ok = _mm512_test_epi64_mask(stop, stop);
    if most != u64::MAX {
        ok = _mm512_mask_cmple_epu64_mask(ok, low, _mm512_set1_epi64(most as i64));
    }
    Value {
        len: _mm512_srli_epi64::<3>(bits),
        ok,
        low,
        high: g.at,
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn unzigzag(z: __m512i) -> __m512i {
    let sign = _mm512_and_si512(z, _mm512_set1_epi64(1));
    let sign = _mm512_sub_epi64(_mm512_setzero_si512(), sign);
    _mm512_xor_si512(_mm512_srli_epi64::<1>(z), sign)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl")]
pub(super) fn signed(g: &Group, most: u64) -> Value {
    let v = varint(g, most);
    Value {
        low: unzigzag(v.low),
        ..v
    }
}

/// A long of up to ten bytes: what goes on behind the eighth is loaded where there is any.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl")]
pub(super) fn signed_wide(g: &Group) -> Value {
    let v = varint(g, u64::MAX);
    let longer = g.present & !v.ok;
    if longer == 0 {
        return Value {
            low: unzigzag(v.low),
            ..v
        };
    }
    let eight = _mm512_set1_epi64(8);
    let at = _mm512_add_epi64(g.at, eight);
    // A row that ends before has no more: its lane stays unserved.
    let longer = _mm512_mask_cmplt_epu64_mask(longer, at, g.end);
    // SAFETY: `at` lies within the row, which is borrowed.
    let more = unsafe { load(at, g.end, longer) };
    let ninth = _mm512_and_si512(more, _mm512_set1_epi64(0xff));
    let tenth = _mm512_and_si512(_mm512_srli_epi64::<8>(more), _mm512_set1_epi64(0xff));
    let nine = _mm512_mask_cmplt_epu64_mask(longer, ninth, _mm512_set1_epi64(0x80));
    let ten = _mm512_mask_cmple_epu64_mask(longer & !nine, tenth, _mm512_set1_epi64(1));
    let seven = _mm512_and_si512(ninth, _mm512_set1_epi64(0x7f));
    let low = _mm512_mask_or_epi64(v.low, nine | ten, v.low, _mm512_slli_epi64::<56>(seven));
    let low = _mm512_mask_or_epi64(low, ten, low, _mm512_slli_epi64::<63>(tenth));
    let len = _mm512_mask_mov_epi64(v.len, nine, _mm512_set1_epi64(9));
    let len = _mm512_mask_mov_epi64(len, ten, _mm512_set1_epi64(10));
    Value {
        low: unzigzag(low),
        len,
        ok: v.ok | nine | ten,
        high: v.high,
    }
}

/// So many bytes, the first of which are the value.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn fixed(g: &Group, size: usize) -> Value {
    Value {
        len: _mm512_set1_epi64(size as i64),
        ok: 0xff,
        low: g.bytes,
        high: g.at,
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn boolean(g: &Group) -> Value {
    let one = _mm512_set1_epi64(1);
    let low = _mm512_and_si512(g.bytes, _mm512_set1_epi64(0xff));
    Value {
        len: one,
        ok: _mm512_cmple_epu64_mask(low, one),
        low,
        high: g.at,
    }
}

/// An index below `count`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl")]
pub(super) fn symbol(g: &Group, count: usize) -> Value {
    let v = unsigned(g);
    let known = _mm512_cmplt_epu64_mask(v.low, _mm512_set1_epi64(count as i64));
    Value {
        ok: v.ok & known,
        ..v
    }
}

/// A number that isn't negative: a length or an index, nearly always of one byte.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl")]
fn unsigned(g: &Group) -> Value {
    let sign_or_more = _mm512_set1_epi64(0x81);
    if _mm512_mask_test_epi64_mask(g.present, g.bytes, sign_or_more) == 0 {
        let byte = _mm512_and_si512(g.bytes, _mm512_set1_epi64(0x7f));
        return Value {
            len: _mm512_set1_epi64(1),
            ok: 0xff,
            low: _mm512_srli_epi64::<1>(byte),
            high: g.at,
        };
    }
    let v = varint(g, u64::MAX);
    let even = _mm512_testn_epi64_mask(v.low, _mm512_set1_epi64(1));
    Value {
        low: _mm512_srli_epi64::<1>(v.low),
        ok: v.ok & even,
        ..v
    }
}

/// A length (`low`) and that many bytes, at `high`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl")]
pub(super) fn bytes(g: &Group) -> Value {
    let v = unsigned(g);
    Value {
        len: _mm512_add_epi64(v.len, v.low),
        high: _mm512_add_epi64(g.at, v.len),
        ..v
    }
}

/// A decimal of one to eight bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl")]
pub(super) fn decimal(g: &Group, precision: u8) -> Value {
    let v = bytes(g);
    let eight = _mm512_set1_epi64(8);
    let short = _mm512_mask_cmple_epu64_mask(v.ok & g.present, v.low, eight);
    let short = _mm512_mask_test_epi64_mask(short, v.low, v.low);
    let end = _mm512_add_epi64(g.at, v.len);
    let short = _mm512_mask_cmple_epu64_mask(short, end, g.end);
    // SAFETY: the digits lie within the row.
    let digits = unsafe { load(v.high, g.end, short) };
    let swap = _mm512_set4_epi64(
        0x0809_0a0b_0c0d_0e0f,
        0x0001_0203_0405_0607,
        0x0809_0a0b_0c0d_0e0f,
        0x0001_0203_0405_0607,
    );
    let big = _mm512_shuffle_epi8(digits, swap);
    let unused = _mm512_slli_epi64::<3>(_mm512_sub_epi64(eight, v.low));
    let low = _mm512_srav_epi64(big, unused);
    let limit = i64::try_from(read::pow10_u128(precision)).unwrap_or(i64::MAX);
    let limit = _mm512_set1_epi64(limit);
    let ok = if precision <= 18 {
        _mm512_mask_cmplt_epu64_mask(short, _mm512_abs_epi64(low), limit)
    } else {
        short
    };
    Value { low, ok, ..v }
}
