//! What is done with whole columns of a strip or batch: bits are packed, text is gathered.

#![expect(unsafe_code)]

use std::arch::x86_64::*;

use super::avx512::GROUP;
use crate::kernels::{Lanes, Text};

/// Bytes of 0 and 1 to bits, 64 at a time; returns how many are 1.
///
/// # Safety
///
/// The machine has what the attribute lists.
#[target_feature(enable = "popcnt,avx512f,avx512bw")]
pub(crate) unsafe fn pack(bytes: &[[u8; 64]], bits: &mut [u64]) -> usize {
    let mut ones = 0;
    for (chunk, word) in bytes.iter().zip(bits) {
        // SAFETY: a chunk is 64 bytes.
        let v = unsafe { _mm512_loadu_si512(chunk.as_ptr().cast()) };
        *word = _mm512_test_epi8_mask(v, v);
        ones += word.count_ones() as usize;
    }
    ones
}

/// Copies the `lens.len()` slots at `ptrs` one behind the other to `to`, with the offset behind
/// each to `offsets`, the first at `offset`.
///
/// # Safety
///
/// The slots are borrowed and as long as `lens` says; `ptrs` and `offsets` are as long as `lens`;
/// `to` has room for all of it and 64 bytes more.
#[target_feature(
    enable = "avx2,bmi1,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512cd,avx512dq,avx512vl"
)]
pub(crate) unsafe fn copy_slots(
    ptrs: &[*const u8],
    lens: &[u32],
    mut to: *mut u8,
    mut offset: i32,
    offsets: &mut [i32],
) -> Text {
    let mut seen = _mm512_setzero_si512();
    // The least of each byte, with its sign: those that go on a character are the least there are.
    let mut least = _mm_setzero_si128();
    for ((&from, &len), at) in ptrs.iter().zip(lens).zip(offsets) {
        // SAFETY: what the masks leave out isn't touched; stores run at most 64 bytes over.
        unsafe {
            if len <= 32 {
                let mask = _bzhi_u32(!0, len);
                let v = _mm256_maskz_loadu_epi8(mask, from.cast());
                _mm256_storeu_si256(to.cast(), v);
                seen = _mm512_or_si512(seen, _mm512_castsi256_si512(v));
                least = _mm_min_epi8(least, _mm256_castsi256_si128(v));
            } else {
                least = _mm_min_epi8(least, _mm_cvtsi32_si128(i32::from(*from)));
                let mut done = 0;
                while done < len as usize {
                    let mask = _bzhi_u64(!0, (len - done as u32).min(64));
                    let v = _mm512_maskz_loadu_epi8(mask, from.add(done).cast());
                    _mm512_storeu_si512(to.add(done).cast(), v);
                    seen = _mm512_or_si512(seen, v);
                    done += 64;
                }
            }
            to = to.add(len as usize);
        }
        offset += len as i32;
        *at = offset;
    }
    Text {
        ascii: _mm512_movepi8_mask(seen) == 0,
        split: (_mm_cvtsi128_si32(least) as i8) < 0xc0u8 as i8,
    }
}

/// As [`Lanes::fill_part`].
///
/// # Safety
///
/// The machine has what the attribute lists; `parts` are as many as the lanes of `from`.
#[target_feature(enable = "bmi2,popcnt,avx512f,avx512dq,avx512vl")]
pub(crate) unsafe fn fill_part(
    to: &mut Lanes,
    from: &Lanes,
    parts: &[u32],
    part: u32,
    unended: bool,
) {
    let count = from.len();
    to.start_filling(count);
    let part = _mm256_set1_epi32(part as i32);
    let zeros = _mm512_set1_epi64(Lanes::dead_row().1 as i64);
    let mut rows = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    let mut len = 0;
    for first in (0..count).step_by(GROUP) {
        let all = _bzhi_u32(0xff, (count - first).min(GROUP) as u32) as __mmask8;
        // SAFETY: the masked loads stay within the lanes and their parts; there is room for a group
        // behind `count` lanes, and `len` is at most `first`.
        unsafe {
            let of = _mm256_maskz_loadu_epi32(all, parts.as_ptr().add(first).cast());
            let mut these = _mm256_mask_cmpeq_epi32_mask(all, of, part);
            let cur = _mm512_maskz_loadu_epi64(all, from.cur.as_ptr().add(first).cast());
            let end = _mm512_maskz_loadu_epi64(all, from.end.as_ptr().add(first).cast());
            if unended {
                these = _mm512_mask_cmpneq_epi64_mask(these, cur, end);
                these = _mm512_mask_cmpneq_epi64_mask(these, end, zeros);
            }
            if these != 0 {
                let root = _mm256_maskz_loadu_epi32(all, from.root.as_ptr().add(first).cast());
                let cur = _mm512_maskz_compress_epi64(these, cur);
                let end = _mm512_maskz_compress_epi64(these, end);
                let root = _mm256_maskz_compress_epi32(these, root);
                let place = _mm256_maskz_compress_epi32(these, rows);
                _mm512_storeu_epi64(to.cur.as_mut_ptr().add(len).cast(), cur);
                _mm512_storeu_epi64(to.end.as_mut_ptr().add(len).cast(), end);
                _mm256_storeu_epi32(to.root.as_mut_ptr().add(len).cast(), root);
                _mm256_storeu_epi32(to.dst.as_mut_ptr().add(len).cast(), place);
                len += these.count_ones() as usize;
            }
        }
        rows = _mm256_add_epi32(rows, _mm256_set1_epi32(GROUP as i32));
    }
    to.limit(len);
}
