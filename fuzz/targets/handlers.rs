//! Requests of any API and version through the whole server, from memory. See `fletch_fuzz::server`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fletch_fuzz::server::handlers(input));
