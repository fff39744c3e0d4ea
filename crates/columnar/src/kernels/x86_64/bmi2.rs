//! The row-by-row loops compiled for BMI2, whose `pext` compacts a varint in one instruction.

#![expect(unsafe_code)]

use std::arch::x86_64::_pext_u64;
use std::ops::Range;

use crate::kernels::read::Compact;
use crate::kernels::{Lanes, Leaf, Out, scalar};

/// The machine's own instruction.
struct Pext;

impl Compact for Pext {
    #[inline(always)]
    fn compact(x: u64) -> u64 {
        // SAFETY: `Pext` is named in this file only, by functions that are compiled for BMI2 and
        // whose callers promise that the machine has it.
        unsafe { _pext_u64(x, 0x7f7f_7f7f_7f7f_7f7f) }
    }
}

/// # Safety
///
/// As [`crate::kernels::leaf`]; the machine has BMI1, BMI2, LZCNT, POPCNT and AVX2.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(crate) unsafe fn leaf(
    leaf: &Leaf,
    lanes: &mut Lanes,
    range: Range<usize>,
    out: Out,
    dead: &mut [u8],
) {
    // SAFETY: the caller's promises are the callee's conditions.
    unsafe { scalar::leaf::<Pext, false>(leaf, lanes, range, &[], out, dead) }
}

/// # Safety
///
/// As [`crate::kernels::leaf_runs`]; the machine has what [`leaf`] asks for.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(crate) unsafe fn leaf_runs(
    leaf: &Leaf,
    lanes: &mut Lanes,
    left: &[u32],
    out: Out,
    dead: &mut [u8],
) {
    let range = lanes.all();
    // SAFETY: the caller's promises are the callee's conditions.
    unsafe { scalar::leaf::<Pext, true>(leaf, lanes, range, left, out, dead) }
}
