//! The lz4 codec.

#![no_main]

use fletch_wire::records::Compression;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fletch_fuzz::codec(Compression::Lz4, input));
