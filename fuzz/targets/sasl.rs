//! Logins by each mechanism, as requests and as frames that are none. See `fletch_fuzz::server`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fletch_fuzz::server::sasl(input));
