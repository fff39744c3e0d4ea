//! The loops that decode one field of many rows. `read` is the specification of each value,
//! `scalar` runs it row by row, and the instruction sets' own kernels must agree with it.

mod ahead;
mod lanes;
pub(crate) mod read;
pub(crate) mod scalar;
mod special;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use std::sync::Arc;

pub(crate) use lanes::{Lanes, TAIL};
pub(crate) use special::special_bytes;

use crate::avro::resolve::Scalar;
use crate::layout::ColId;

/// One value that is read from each row and kept in one store (or skipped).
#[derive(Debug, PartialEq)]
pub(crate) struct Leaf {
    pub(crate) kind: LeafKind,
    /// The writer sends a union of this value and one other member.
    pub(crate) nulls: Option<Nulls>,
    pub(crate) col: Option<ColId>,
    pub(crate) valid: Option<ColId>,
}

impl Leaf {
    /// The bytes of a value that is kept as it is sent, if it is one.
    pub(crate) fn copied(&self) -> Option<usize> {
        match self.kind {
            _ if self.nulls.is_some() => None,
            LeafKind::Scalar(Scalar::Float) => Some(4),
            LeafKind::Scalar(Scalar::Double) => Some(8),
            LeafKind::Scalar(Scalar::Fixed(size)) if size > 0 => Some(size),
            _ => None,
        }
    }
}

/// The member indices of a union of two, as the single bytes they are sent as.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Nulls {
    pub(crate) value: u8,
    pub(crate) null: u8,
    /// Whether the reader can hold the other member as a null.
    pub(crate) allowed: bool,
}

#[derive(Debug, PartialEq)]
pub(crate) enum LeafKind {
    /// Read, converted and kept: see [`Scalar`].
    Scalar(Scalar),
    /// An enum's symbol as an `i32` key.
    Keys {
        count: usize,
        map: Option<Arc<[i32]>>,
    },
    /// An enum's symbol as text; `None` for a symbol the reader has no place for.
    Symbols(Vec<Option<Symbol>>),
    /// One of a duration's three numbers, as a `long`.
    DurationPart,
    /// Read and dropped.
    SkipInt,
    SkipLong,
    SkipBoolean,
    SkipBytes,
    SkipFixed(usize),
    SkipEnum(usize),
}

/// A symbol's text, shared with the graph it came from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Symbol {
    pub(crate) symbols: Arc<[String]>,
    pub(crate) index: usize,
}

impl Symbol {
    pub(crate) fn text(&self) -> &str {
        &self.symbols[self.index]
    }
}

/// Where a leaf writes: the first row of the strip in each store. Null where there is no store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Out {
    /// Fixed-width values, or the slots' addresses.
    pub(crate) data: *mut u8,
    /// The slots' lengths.
    pub(crate) lens: *mut u32,
    /// One byte a row.
    pub(crate) valid: *mut u8,
}

/// Which instructions the kernels use. Every decoder takes the best the machine has; the others
/// are for tests and measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstructionSet {
    /// Nothing but Rust: the specification of the others.
    Portable,
    /// Row by row with BMI2's bit extraction, on x86-64 with AVX2.
    #[cfg(target_arch = "x86_64")]
    Bmi2,
    /// Eight rows at a time, on x86-64 with AVX-512 F, BW, CD, DQ and VL.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl InstructionSet {
    /// All that this machine has, the best last.
    pub fn available() -> Vec<Self> {
        let portable = std::iter::once(Self::Portable);
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        {
            let bmi2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("lzcnt")
                && is_x86_feature_detected!("popcnt");
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512cd")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            portable
                .chain(bmi2.then_some(Self::Bmi2))
                .chain((bmi2 && avx512).then_some(Self::Avx512))
                .collect()
        }
        #[cfg(not(all(target_arch = "x86_64", not(miri))))]
        portable.collect()
    }

    /// How many rows the kernels decode between two steps of [`Lanes::ahead`]; `None` if they take
    /// none.
    pub(crate) fn rows_a_step(self) -> Option<usize> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Some(x86_64::avx512::GROUP),
            _ => None,
        }
    }

    pub(crate) fn best() -> Self {
        Self::available().last().copied().unwrap_or(Self::Portable)
    }
}

/// Decodes one leaf of every lane.
///
/// # Safety
///
/// * The machine has `set`.
/// * The rows behind `lanes` are borrowed, each with [`TAIL`] bytes before its end.
/// * Every place of `lanes` is within the stores behind `out`, whose types are those of `leaf`.
/// * `dead` covers every root of `lanes`.
#[expect(unsafe_code)]
pub(crate) unsafe fn leaf(
    set: InstructionSet,
    leaf: &Leaf,
    lanes: &mut Lanes,
    out: Out,
    dead: &mut [u8],
) {
    let range = lanes.all();
    // SAFETY: the caller's promises are the callees' conditions.
    unsafe {
        match set {
            InstructionSet::Portable => {
                scalar::leaf::<read::Swar, false>(leaf, lanes, range, &[], out, dead)
            }
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Bmi2 => x86_64::bmi2::leaf(leaf, lanes, range, out, dead),
            // A group of one or two is slower than two rows.
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 if range.len() < 3 => {
                x86_64::bmi2::leaf(leaf, lanes, range, out, dead);
            }
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => x86_64::avx512::leaf(leaf, lanes, out, dead),
        }
    }
}

/// Steps every lane over several values that are dropped.
///
/// # Safety
///
/// As [`leaf`]; all leaves are skips.
#[expect(unsafe_code)]
pub(crate) unsafe fn skips(
    set: InstructionSet,
    leaves: &[Leaf],
    lanes: &mut Lanes,
    dead: &mut [u8],
) {
    let nowhere = Out {
        data: std::ptr::null_mut(),
        lens: std::ptr::null_mut(),
        valid: std::ptr::null_mut(),
    };
    // SAFETY: the caller's promises are the callees' conditions; skips write nothing.
    unsafe {
        match set {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => x86_64::avx512_skip::skips(leaves, lanes, dead),
            _ => leaves
                .iter()
                .for_each(|one| leaf(set, one, lanes, nowhere, dead)),
        }
    }
}

/// Decodes one leaf of every lane, `left` times each, one after the other.
///
/// # Safety
///
/// As [`leaf`], and so for the places that follow each lane's.
#[expect(unsafe_code)]
pub(crate) unsafe fn leaf_runs(
    set: InstructionSet,
    leaf: &Leaf,
    lanes: &mut Lanes,
    left: &[u32],
    out: Out,
    dead: &mut [u8],
) {
    let range = lanes.all();
    // SAFETY: the caller's promises are the callees' conditions.
    unsafe {
        match set {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Bmi2 | InstructionSet::Avx512 => {
                x86_64::bmi2::leaf_runs(leaf, lanes, left, out, dead);
            }
            InstructionSet::Portable => {
                scalar::leaf::<read::Swar, true>(leaf, lanes, range, left, out, dead);
            }
        }
    }
}

/// Makes `to` the rows of `from` whose entry in `parts` is `part`; with `unended`, only those that go
/// on. Each row's place is its index.
///
/// # Safety
///
/// The machine has `set`.
#[expect(unsafe_code)]
pub(crate) unsafe fn fill_part(
    set: InstructionSet,
    to: &mut Lanes,
    from: &Lanes,
    parts: &[u32],
    part: u32,
    unended: bool,
) {
    assert_eq!(parts.len(), from.len());
    match set {
        // SAFETY: the caller's promise; there are as many parts as lanes.
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 => unsafe {
            x86_64::avx512_columns::fill_part(to, from, parts, part, unended);
        },
        _ => to.fill_part(from, parts, part, unended),
    }
}

/// What is known of some text without having decoded it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text {
    /// All of it is ASCII; if not, it wasn't looked at, or isn't.
    pub(crate) ascii: bool,
    /// A slot begins with a byte that only goes on a character.
    pub(crate) split: bool,
}

/// Whether a byte only goes on a character of UTF-8.
pub(crate) fn goes_on(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// Copies slots one behind the other to `to`, with the offset behind each to `offsets`, the first
/// at `offset`.
///
/// # Safety
///
/// * The machine has `set`.
/// * The slots are borrowed and as long as `lens` says; `ptrs` and `offsets` are as long as `lens`.
/// * `to` has room for all of it and 64 bytes more.
#[expect(unsafe_code)]
pub(crate) unsafe fn copy_slots(
    set: InstructionSet,
    ptrs: &[*const u8],
    lens: &[u32],
    to: *mut u8,
    offset: i32,
    offsets: &mut [i32],
) -> Text {
    debug_assert!(ptrs.len() == lens.len() && offsets.len() == lens.len());
    // SAFETY: the caller's promises are the callees' conditions.
    unsafe {
        match set {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => {
                x86_64::avx512_columns::copy_slots(ptrs, lens, to, offset, offsets)
            }
            _ => scalar::copy_slots(ptrs, lens, to, offset, offsets),
        }
    }
}

/// Bytes of 0 and 1 to bits, 64 at a time, the first in the lowest bit. Returns how many are 1.
///
/// # Safety
///
/// The machine has `set`.
#[expect(unsafe_code)]
pub(crate) unsafe fn pack(set: InstructionSet, bytes: &[[u8; 64]], bits: &mut [u64]) -> usize {
    debug_assert_eq!(bytes.len(), bits.len());
    match set {
        // SAFETY: the caller's promise.
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 => unsafe { x86_64::avx512_columns::pack(bytes, bits) },
        _ => scalar::pack(bytes, bits),
    }
}
