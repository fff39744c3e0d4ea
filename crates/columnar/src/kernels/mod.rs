//! The loops that decode one field of many rows. `read` is the specification of each value,
//! `scalar` runs it row by row, and the instruction sets' own kernels must agree with it.

mod lanes;
pub(crate) mod read;
pub(crate) mod scalar;

use std::sync::Arc;

pub(crate) use lanes::{Lanes, TAIL};

use crate::avro::resolve::Scalar;
use crate::layout::ColId;

/// One value that is read from each row and kept in one store (or skipped).
#[derive(Debug)]
pub(crate) struct Leaf {
    pub(crate) kind: LeafKind,
    /// The writer sends a union of this value and one other member.
    pub(crate) nulls: Option<Nulls>,
    pub(crate) col: Option<ColId>,
    pub(crate) valid: Option<ColId>,
}

/// The member indices of a union of two, as the single bytes they are sent as.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nulls {
    pub(crate) value: u8,
    pub(crate) null: u8,
    /// Whether the reader can hold the other member as a null.
    pub(crate) allowed: bool,
}

#[derive(Debug)]
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
#[derive(Debug, Clone)]
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

/// Decodes one leaf of every lane.
///
/// # Safety
///
/// * The rows behind `lanes` are borrowed, each with [`TAIL`] bytes before its end.
/// * Every place of `lanes` is within the stores behind `out`, whose types are those of `leaf`.
/// * `dead` covers every root of `lanes`.
#[expect(unsafe_code)]
pub(crate) unsafe fn leaf(leaf: &Leaf, lanes: &mut Lanes, out: Out, dead: &mut [u8]) {
    let range = lanes.all();
    // SAFETY: the caller's promises are the callee's conditions.
    unsafe { scalar::leaf::<read::Swar>(leaf, lanes, range, out, dead) }
}
