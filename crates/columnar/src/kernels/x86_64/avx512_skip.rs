//! Steps over several values in a row, eight rows at a time: the cursors stay in a register from one
//! value to the next, and nothing is compacted that nobody keeps.

#![expect(unsafe_code)]

use std::arch::x86_64::*;

use super::avx512::{GROUP, odd_lanes};
use super::avx512_values::load;
use crate::kernels::{Lanes, Leaf, LeafKind, Out};

/// As [`crate::kernels::skips`].
///
/// # Safety
///
/// As [`crate::kernels::leaf`]; the machine has what the attribute lists.
#[target_feature(
    enable = "avx2,bmi1,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512cd,avx512dq,avx512vl"
)]
pub(crate) unsafe fn skips(leaves: &[Leaf], lanes: &mut Lanes, dead: &mut [u8]) {
    let count = lanes.len();
    let mut first = 0;
    // SAFETY: the caller's promises are the callees' conditions.
    unsafe {
        while count - first >= 4 * GROUP {
            four_groups(leaves, lanes, first, dead);
            first += 4 * GROUP;
        }
        while first < count {
            one_group(leaves, lanes, first, dead);
            first += GROUP;
        }
    }
}

/// Makes a function that steps groups of lanes, the first at `first`, over all values. Several groups
/// go side by side: a step waits for the loads of the one before it, and in that time the other
/// groups' steps are made. (Not a loop over the groups: their cursors are to stay in registers.)
macro_rules! side_by_side {
    ($name:ident: $($group:literal)*) => {
        /// # Safety
        ///
        /// As [`skips`]; there are lanes in each of the groups, and eight in all but the last.
        #[inline]
        #[target_feature(
            enable = "avx2,bmi1,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512cd,avx512dq,avx512vl"
        )]
        unsafe fn $name(leaves: &[Leaf], lanes: &mut Lanes, first: usize, dead: &mut [u8]) {
            let left = lanes.len() - first;
            let mask: __mmask8 = if left >= GROUP { 0xff } else { (1 << left) - 1 };
            // SAFETY: (all of them) the masked loads and stores stay within the lanes; rows have
            // TAIL bytes before their end, which no cursor has passed; the rest is the caller's.
            unsafe {
                let cur_at = lanes.cur.as_ptr().add(first).cast::<i64>();
                let end_at = lanes.end.as_ptr().add(first).cast::<i64>();
                let mut cur = [$(_mm512_maskz_loadu_epi64(mask, cur_at.add($group * GROUP))),*];
                let mut end = [$(_mm512_maskz_loadu_epi64(mask, end_at.add($group * GROUP))),*];
                for leaf in leaves {
                    lanes.ahead.step();
                    let steps = [$(step(leaf, cur[$group], end[$group], mask)),*];
                    $(cur[$group] = steps[$group].0;)*
                    if $(steps[$group].1)&* == mask {
                        continue;
                    }
                    $(
                        let odd = mask & !steps[$group].1;
                        if odd != 0 {
                            let at = first + $group * GROUP;
                            (cur[$group], end[$group]) =
                                odd_steps(leaf, lanes, at, (mask, odd), cur[$group], dead);
                        }
                    )*
                }
                let to = lanes.cur.as_mut_ptr().add(first).cast::<i64>();
                $(_mm512_mask_storeu_epi64(to.add($group * GROUP), mask, cur[$group]);)*
            }
        }
    };
}

side_by_side!(four_groups: 0 1 2 3);
side_by_side!(one_group: 0);

/// Where the cursors of a group are behind a value, and the lanes for which that is known.
///
/// # Safety
///
/// The rows are borrowed, with TAIL bytes before each `end`, which `cur` hasn't passed.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl")]
unsafe fn step(leaf: &Leaf, cur: __m512i, end: __m512i, mask: __mmask8) -> (__m512i, __mmask8) {
    // SAFETY: the caller's promise.
    let head = unsafe { load(cur, end, mask) };
    let (bytes, present, absent, tag_len) = match leaf.nulls {
        None => (head, mask, 0, _mm512_setzero_si512()),
        Some(nulls) => {
            let tag = _mm512_and_si512(head, _mm512_set1_epi64(0xff));
            let value = _mm512_set1_epi64(i64::from(nulls.value));
            let null = _mm512_set1_epi64(i64::from(nulls.null));
            let unknown = _mm512_set1_epi64(0xff << 56);
            let bytes = _mm512_or_si512(_mm512_srli_epi64::<8>(head), unknown);
            let present = _mm512_mask_cmpeq_epi64_mask(mask, tag, value);
            let absent = _mm512_mask_cmpeq_epi64_mask(mask, tag, null);
            let absent = if nulls.allowed { absent } else { 0 };
            (bytes, present, absent, _mm512_set1_epi64(1))
        }
    };
    let (mut len, mut ok) = length(&leaf.kind, bytes, present);
    let longer = present & !ok;
    if longer != 0 && matches!(leaf.kind, LeafKind::SkipLong) {
        // Behind a tag only seven bytes were there.
        let at = _mm512_add_epi64(cur, tag_len);
        // SAFETY: the caller's promise; a tag is one byte, and `load` takes as much beyond the end.
        let all = unsafe { load(at, end, longer) };
        let (len_all, ok_all) = length(&leaf.kind, all, longer);
        len = _mm512_mask_mov_epi64(len, longer, len_all);
        ok |= ok_all & longer;
    }
    let taken = _mm512_mask_add_epi64(tag_len, present, tag_len, len);
    let good = (ok & present) | absent;
    let good = _mm512_mask_cmple_epu64_mask(good, taken, _mm512_sub_epi64(end, cur));
    (_mm512_mask_add_epi64(cur, good, cur, taken), good)
}

/// Steps the `odd` lanes of a group row by row; returns the group's cursors and ends.
///
/// # Safety
///
/// As [`skips`], for the group at `first`.
#[cold]
#[inline(never)]
#[target_feature(
    enable = "avx2,bmi1,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512cd,avx512dq,avx512vl"
)]
unsafe fn odd_steps(
    leaf: &Leaf,
    lanes: &mut Lanes,
    first: usize,
    (mask, odd): (__mmask8, __mmask8),
    cur: __m512i,
    dead: &mut [u8],
) -> (__m512i, __m512i) {
    let nowhere = Out {
        data: std::ptr::null_mut(),
        lens: std::ptr::null_mut(),
        valid: std::ptr::null_mut(),
    };
    // SAFETY: the masked loads and stores stay within the lanes; skips write nothing; the rest is
    // the caller's promise.
    unsafe {
        _mm512_mask_storeu_epi64(lanes.cur.as_mut_ptr().add(first).cast(), mask, cur);
        odd_lanes(leaf, lanes, first, odd, nowhere, dead);
        (
            _mm512_maskz_loadu_epi64(mask, lanes.cur.as_ptr().add(first).cast()),
            _mm512_maskz_loadu_epi64(mask, lanes.end.as_ptr().add(first).cast()),
        )
    }
}

/// How long the values are, and which lanes' are right.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl")]
fn length(kind: &LeafKind, bytes: __m512i, present: __mmask8) -> (__m512i, __mmask8) {
    let one = _mm512_set1_epi64(1);
    match *kind {
        LeafKind::SkipFixed(size) => (_mm512_set1_epi64(size as i64), 0xff),
        LeafKind::SkipBoolean => {
            let not_boolean = _mm512_set1_epi64(0xfe);
            (one, _mm512_testn_epi64_mask(bytes, not_boolean))
        }
        LeafKind::SkipBytes => {
            // Up to 63 bytes; what is longer is the row-by-row code's.
            let short = _mm512_testn_epi64_mask(bytes, _mm512_set1_epi64(0x81));
            if present & !short == 0 {
                let byte = _mm512_and_si512(bytes, _mm512_set1_epi64(0x7f));
                return (_mm512_add_epi64(_mm512_srli_epi64::<1>(byte), one), short);
            }
            let (mask, len, ok) = varint(bytes);
            // Two bytes of length, then: up to 8,191 bytes.
            let two = _mm512_mask_cmple_epu64_mask(ok, len, _mm512_set1_epi64(2));
            let even = _mm512_testn_epi64_mask(bytes, one);
            let x = _mm512_and_si512(bytes, mask);
            let low = _mm512_and_si512(x, _mm512_set1_epi64(0x7f));
            let high = _mm512_and_si512(x, _mm512_set1_epi64(0x7f00));
            let z = _mm512_or_si512(low, _mm512_srli_epi64::<1>(high));
            (_mm512_add_epi64(_mm512_srli_epi64::<1>(z), len), two & even)
        }
        LeafKind::SkipEnum(count) => {
            let short = _mm512_testn_epi64_mask(bytes, _mm512_set1_epi64(0x81));
            let byte = _mm512_and_si512(bytes, _mm512_set1_epi64(0x7f));
            let limit = _mm512_set1_epi64(2 * count as i64);
            (one, _mm512_mask_cmplt_epu64_mask(short, byte, limit))
        }
        LeafKind::SkipInt => {
            let (mask, len, ok) = varint(bytes);
            // Value bits beyond the 32nd.
            let beyond = _mm512_set1_epi64(0x7f7f_7f70_0000_0000);
            let x = _mm512_and_si512(bytes, mask);
            (len, _mm512_mask_testn_epi64_mask(ok, x, beyond))
        }
        // Longs; everything else is no skip and never comes here.
        _ => {
            let (_, len, ok) = varint(bytes);
            (len, ok)
        }
    }
}

/// The bits of the varint, its length, and the lanes where it ends within the bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq")]
fn varint(bytes: __m512i) -> (__m512i, __m512i, __mmask8) {
    let stop = _mm512_andnot_si512(bytes, _mm512_set1_epi8(i8::MIN));
    let mask = _mm512_xor_si512(stop, _mm512_add_epi64(stop, _mm512_set1_epi64(-1)));
    let bits = _mm512_sub_epi64(_mm512_set1_epi64(64), _mm512_lzcnt_epi64(mask));
    (
        mask,
        _mm512_srli_epi64::<3>(bits),
        _mm512_test_epi64_mask(stop, stop),
    )
}
