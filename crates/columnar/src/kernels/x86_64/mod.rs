//! Kernels for x86-64, chosen at run time.

pub(crate) mod avx512;
pub(crate) mod avx512_skip;
pub(crate) mod bmi2;
