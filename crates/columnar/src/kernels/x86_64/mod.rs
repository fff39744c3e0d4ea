//! Kernels for x86-64, chosen at run time.

pub(crate) mod avx512;
pub(crate) mod avx512_columns;
pub(crate) mod avx512_skip;
mod avx512_values;
pub(crate) mod bmi2;
