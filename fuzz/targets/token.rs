//! Tokens and the keys they are checked with. See `fletch_fuzz::server`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fletch_fuzz::server::token(input));
