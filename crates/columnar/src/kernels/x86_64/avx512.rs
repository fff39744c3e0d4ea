//! Eight rows at a time: their next bytes are gathered into one register, the varints in it found,
//! compacted and unzigzagged without a branch, and the values stored together.
//!
//! A lane that the straight way doesn't serve (a number of more bytes than were loaded, an error,
//! a tag in an overlong form) is left to the row-by-row code, which also decides what is wrong.

#![expect(unsafe_code)]

use std::arch::x86_64::*;

use super::avx512_values::{
    Group, Value, boolean, bytes, decimal, fixed, load, signed, signed_wide, symbol, varint,
};
use super::bmi2;
use crate::avro::resolve::Scalar;
use crate::kernels::{Lanes, Leaf, LeafKind, Out};
use crate::layout::NumberOut;

/// Lanes in a group.
pub(crate) const GROUP: usize = 8;

/// Where a group's values go.
struct Place {
    /// The first lane's row, if the rows follow one another.
    dense: bool,
    first: usize,
    rows: __m256i,
    mask: __mmask8,
}

/// As [`crate::kernels::leaf`].
///
/// # Safety
///
/// As [`crate::kernels::leaf`]; the machine has what the attribute lists.
#[target_feature(
    enable = "avx2,bmi1,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512cd,avx512dq,avx512vl"
)]
pub(crate) unsafe fn leaf(leaf: &Leaf, lanes: &mut Lanes, out: Out, dead: &mut [u8]) {
    // SAFETY: (all of them) the closures store where `drive` says the lanes' places are.
    unsafe {
        let none = |_: &Place, _: Value| {};
        match &leaf.kind {
            LeafKind::Scalar(scalar) => match *scalar {
                Scalar::Number {
                    wide,
                    multiply,
                    divide: 1,
                    out: to,
                } => {
                    number(leaf, lanes, out, dead, (wide, multiply, to));
                }
                Scalar::Double => drive::<true>(
                    leaf,
                    lanes,
                    out,
                    dead,
                    |g| fixed(g, 8),
                    |p, v| {
                        put64(out.data, p, v.low);
                    },
                ),
                Scalar::Float => drive::<false>(
                    leaf,
                    lanes,
                    out,
                    dead,
                    |g| fixed(g, 4),
                    |p, v| {
                        put32(out.data, p, v.low);
                    },
                ),
                Scalar::Boolean => drive::<false>(
                    leaf,
                    lanes,
                    out,
                    dead,
                    |g| boolean(g),
                    |p, v| {
                        put8(out.data, p, _mm512_test_epi64_mask(v.low, v.low));
                    },
                ),
                Scalar::Bytes { .. } => {
                    drive::<false>(
                        leaf,
                        lanes,
                        out,
                        dead,
                        |g| bytes(g),
                        |p, v| {
                            put64(out.data, p, v.high);
                            put32(out.lens.cast(), p, v.low);
                        },
                    );
                }
                Scalar::Decimal {
                    fixed: None,
                    precision,
                    ..
                } if precision <= 38 => {
                    drive::<false>(
                        leaf,
                        lanes,
                        out,
                        dead,
                        |g| decimal(g, precision),
                        |p, v| {
                            put128(out.data, p, v.low);
                        },
                    );
                }
                _ => bmi2::leaf(leaf, lanes, lanes.all(), out, dead),
            },
            LeafKind::Keys { count, map: None } => {
                drive::<false>(
                    leaf,
                    lanes,
                    out,
                    dead,
                    |g| symbol(g, *count),
                    |p, v| {
                        put32(out.data, p, v.low);
                    },
                );
            }
            LeafKind::Keys {
                count,
                map: Some(map),
            } => {
                let read = |g: &Group| {
                    let v = symbol(g, *count);
                    // The lanes that are read are below `count`, the map's length.
                    let keys = _mm512_mask_i64gather_epi32::<4>(
                        _mm256_setzero_si256(),
                        v.ok & g.present,
                        v.low,
                        map.as_ptr(),
                    );
                    let low = _mm512_cvtepi32_epi64(keys);
                    let known = _mm512_cmpge_epi64_mask(low, _mm512_setzero_si512());
                    Value {
                        low,
                        ok: v.ok & known,
                        ..v
                    }
                };
                drive::<false>(leaf, lanes, out, dead, read, |p, v| {
                    put32(out.data, p, v.low)
                });
            }
            LeafKind::SkipInt => {
                drive::<false>(
                    leaf,
                    lanes,
                    out,
                    dead,
                    |g| varint(g, u64::from(u32::MAX)),
                    none,
                );
            }
            LeafKind::SkipLong => {
                drive::<false>(leaf, lanes, out, dead, |g| varint(g, u64::MAX), none);
            }
            LeafKind::SkipBoolean => drive::<false>(leaf, lanes, out, dead, |g| boolean(g), none),
            LeafKind::SkipBytes => drive::<false>(leaf, lanes, out, dead, |g| bytes(g), none),
            LeafKind::SkipFixed(size) => {
                drive::<false>(leaf, lanes, out, dead, |g| fixed(g, *size), none);
            }
            LeafKind::SkipEnum(count) => {
                drive::<false>(leaf, lanes, out, dead, |g| symbol(g, *count), none);
            }
            LeafKind::Symbols(_) | LeafKind::DurationPart => {
                bmi2::leaf(leaf, lanes, lanes.all(), out, dead);
            }
        }
    }
}

/// Numbers of every width, kept as `to`.
///
/// # Safety
///
/// As [`leaf`].
#[inline]
#[target_feature(
    enable = "avx2,bmi1,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512cd,avx512dq,avx512vl"
)]
unsafe fn number(
    leaf: &Leaf,
    lanes: &mut Lanes,
    out: Out,
    dead: &mut [u8],
    (wide, multiply, to): (bool, i64, NumberOut),
) {
    let most = if wide { u64::MAX } else { u64::from(u32::MAX) };
    // SAFETY: (all of them) as in `leaf`.
    unsafe {
        match (to, multiply) {
            (NumberOut::I32, 1) if !wide => {
                drive::<false>(
                    leaf,
                    lanes,
                    out,
                    dead,
                    |g| signed(g, most),
                    |p, v| {
                        put32(out.data, p, v.low);
                    },
                );
            }
            (NumberOut::I64, 1) if wide => {
                drive::<true>(
                    leaf,
                    lanes,
                    out,
                    dead,
                    |g| signed_wide(g),
                    |p, v| {
                        put64(out.data, p, v.low);
                    },
                );
            }
            (NumberOut::I64, 1) => {
                drive::<false>(
                    leaf,
                    lanes,
                    out,
                    dead,
                    |g| signed(g, most),
                    |p, v| {
                        put64(out.data, p, v.low);
                    },
                );
            }
            (NumberOut::I64, _) => {
                let factor = _mm512_set1_epi64(multiply);
                let limit = _mm512_set1_epi64(i64::MAX / multiply);
                let read = |g: &Group| {
                    let v = signed(g, most);
                    let fits = _mm512_cmple_epu64_mask(_mm512_abs_epi64(v.low), limit);
                    Value {
                        ok: v.ok & fits,
                        low: _mm512_mullo_epi64(v.low, factor),
                        ..v
                    }
                };
                drive::<false>(leaf, lanes, out, dead, read, |p, v| {
                    put64(out.data, p, v.low)
                });
            }
            (NumberOut::F32, 1) => {
                drive::<false>(
                    leaf,
                    lanes,
                    out,
                    dead,
                    |g| signed(g, most),
                    |p, v| {
                        let narrow = _mm512_cvtepi64_ps(v.low);
                        put32_half(out.data, p, _mm256_castps_si256(narrow));
                    },
                );
            }
            (NumberOut::F64, 1) => {
                drive::<false>(
                    leaf,
                    lanes,
                    out,
                    dead,
                    |g| signed(g, most),
                    |p, v| {
                        put64(out.data, p, _mm512_castpd_si512(_mm512_cvtepi64_pd(v.low)));
                    },
                );
            }
            _ => bmi2::leaf(leaf, lanes, lanes.all(), out, dead),
        }
    }
}

/// Runs a kernel over all lanes: `read` takes a group's values apart, `store` puts them away.
/// `ALL_BYTES` has eight bytes of the value loaded even behind a tag.
///
/// # Safety
///
/// As [`leaf`]; `store` writes at the places it is given and nowhere else.
#[inline]
#[target_feature(
    enable = "avx2,bmi1,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512cd,avx512dq,avx512vl"
)]
unsafe fn drive<const ALL_BYTES: bool>(
    leaf: &Leaf,
    lanes: &mut Lanes,
    out: Out,
    dead: &mut [u8],
    read: impl Fn(&Group) -> Value,
    store: impl Fn(&Place, Value),
) {
    let count = lanes.len();
    let mut first = 0;
    while first < count {
        lanes.ahead.step();
        let left = count - first;
        let mask: __mmask8 = if left >= GROUP { 0xff } else { (1 << left) - 1 };
        // SAFETY: the masked loads and stores stay within the vectors' `count` elements; `load`
        // is given rows with TAIL bytes before their end; the places are the caller's.
        let odd = unsafe {
            let cur_at = lanes.cur.as_mut_ptr().add(first).cast::<i64>();
            let cur = _mm512_maskz_loadu_epi64(mask, cur_at);
            let end = _mm512_maskz_loadu_epi64(mask, lanes.end.as_ptr().add(first).cast());
            let place = Place {
                dense: lanes.dense,
                first,
                rows: if lanes.dense {
                    _mm256_setzero_si256()
                } else {
                    let dst = _mm256_maskz_loadu_epi32(mask, lanes.dst.as_ptr().add(first).cast());
                    _mm256_add_epi32(dst, _mm256_set1_epi32(lanes.shift as i32))
                },
                mask,
            };
            let (good, present, taken, mut value);
            if let Some(nulls) = leaf.nulls {
                let one = _mm512_set1_epi64(1);
                let head = load(cur, end, mask);
                let tag = _mm512_and_si512(head, _mm512_set1_epi64(0xff));
                present = _mm512_mask_cmpeq_epi64_mask(
                    mask,
                    tag,
                    _mm512_set1_epi64(i64::from(nulls.value)),
                );
                let absent = _mm512_mask_cmpeq_epi64_mask(
                    mask,
                    tag,
                    _mm512_set1_epi64(i64::from(nulls.null)),
                );
                let at = _mm512_add_epi64(cur, one);
                let bytes = if ALL_BYTES {
                    load(at, end, present)
                } else {
                    let unknown = _mm512_set1_epi64(0xff << 56);
                    _mm512_or_si512(_mm512_srli_epi64::<8>(head), unknown)
                };
                value = read(&Group {
                    bytes,
                    at,
                    end,
                    present,
                });
                taken = _mm512_mask_add_epi64(one, present, value.len, one);
                let absent = if nulls.allowed { absent } else { 0 };
                good = (value.ok & present) | absent;
                value.low = _mm512_maskz_mov_epi64(present, value.low);
            } else {
                present = mask;
                let bytes = load(cur, end, mask);
                value = read(&Group {
                    bytes,
                    at: cur,
                    end,
                    present,
                });
                taken = value.len;
                good = value.ok & mask;
            }
            let rest = _mm512_sub_epi64(end, cur);
            let good = _mm512_mask_cmple_epu64_mask(good, taken, rest);
            store(&place, value);
            if !out.valid.is_null() {
                put8(out.valid, &place, present);
            }
            _mm512_mask_storeu_epi64(cur_at, mask, _mm512_mask_add_epi64(cur, good, cur, taken));
            mask & !good
        };
        if odd != 0 {
            // SAFETY: as this function's.
            unsafe { odd_lanes(leaf, lanes, first, odd, out, dead) };
        }
        first += GROUP;
    }
}

/// The lanes of a group that the kernel left.
///
/// # Safety
///
/// As [`leaf`].
#[cold]
#[inline(never)]
#[target_feature(
    enable = "avx2,bmi1,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512cd,avx512dq,avx512vl"
)]
pub(super) unsafe fn odd_lanes(
    leaf: &Leaf,
    lanes: &mut Lanes,
    first: usize,
    mut odd: __mmask8,
    out: Out,
    dead: &mut [u8],
) {
    while odd != 0 {
        let k = first + odd.trailing_zeros() as usize;
        odd &= odd - 1;
        // SAFETY: the caller's promises are the callee's conditions.
        unsafe { bmi2::leaf(leaf, lanes, k..k + 1, out, dead) };
    }
}

/// # Safety
///
/// `to` is a store of 64-bit values with room for the places.
#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
unsafe fn put64(to: *mut u8, place: &Place, v: __m512i) {
    let to = to.cast::<i64>();
    // SAFETY: the caller's promise.
    unsafe {
        if place.dense {
            _mm512_mask_storeu_epi64(to.add(place.first), place.mask, v);
        } else {
            _mm512_mask_i32scatter_epi64::<8>(to, place.mask, place.rows, v);
        }
    }
}

/// # Safety
///
/// `to` is a store of 32-bit values with room for the places.
#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
unsafe fn put32(to: *mut u8, place: &Place, v: __m512i) {
    // SAFETY: the caller's promise.
    unsafe { put32_half(to, place, _mm512_cvtepi64_epi32(v)) }
}

/// # Safety
///
/// As [`put32`].
#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
unsafe fn put32_half(to: *mut u8, place: &Place, v: __m256i) {
    let to = to.cast::<i32>();
    // SAFETY: the caller's promise.
    unsafe {
        if place.dense {
            _mm256_mask_storeu_epi32(to.add(place.first), place.mask, v);
        } else {
            _mm256_mask_i32scatter_epi32::<4>(to, place.mask, place.rows, v);
        }
    }
}

/// Sign-extends to 128 bits.
///
/// # Safety
///
/// `to` is a store of 128-bit values with room for the places.
#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
unsafe fn put128(to: *mut u8, place: &Place, v: __m512i) {
    let to = to.cast::<i64>();
    let high = _mm512_srai_epi64::<63>(v);
    // SAFETY: the caller's promise.
    unsafe {
        if place.dense {
            let to = to.add(2 * place.first);
            let spread = |bits: u8| _pdep_u32(u32::from(bits), 0x55) as u8 * 3;
            let order = _mm512_set_epi64(11, 3, 10, 2, 9, 1, 8, 0);
            let four = _mm512_set1_epi64(4);
            let first = _mm512_permutex2var_epi64(v, order, high);
            let second = _mm512_permutex2var_epi64(v, _mm512_add_epi64(order, four), high);
            _mm512_mask_storeu_epi64(to, spread(place.mask & 0xf), first);
            _mm512_mask_storeu_epi64(to.add(8), spread(place.mask >> 4), second);
        } else {
            let rows = _mm256_slli_epi32::<1>(place.rows);
            _mm512_mask_i32scatter_epi64::<8>(to, place.mask, rows, v);
            _mm512_mask_i32scatter_epi64::<8>(to.add(1), place.mask, rows, high);
        }
    }
}

/// One byte a lane: whether its bit is set.
///
/// # Safety
///
/// `to` is a store of bytes with room for the places, and for a whole group behind the first.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi2")]
unsafe fn put8(to: *mut u8, place: &Place, bits: __mmask8) {
    // SAFETY: the caller's promise.
    unsafe {
        if place.dense {
            let bytes = _pdep_u64(u64::from(bits), 0x0101_0101_0101_0101);
            let bytes = _mm_cvtsi64_si128(bytes as i64);
            _mm_mask_storeu_epi8(to.add(place.first).cast(), u16::from(place.mask), bytes);
        } else {
            let mut rows = [0u32; GROUP];
            _mm256_storeu_si256(rows.as_mut_ptr().cast(), place.rows);
            let mut left = place.mask;
            while left != 0 {
                let lane = left.trailing_zeros();
                left &= left - 1;
                to.add(rows[lane as usize] as usize).write(bits >> lane & 1);
            }
        }
    }
}
