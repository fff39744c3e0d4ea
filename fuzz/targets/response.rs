//! Answers of every API and version: from bytes as they come, and from a declaration with the bytes
//! as its choices.

#![no_main]

use bytes::Bytes;
use fletch_fuzz::{limits, sample};
use fletch_wire::{decode_response, messages::APIS};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut choices = sample::Choices(input);
    let api = &APIS[choices.below(APIS.len() as u64) as usize];
    let versions = api.versions;
    let version = versions.first
        + choices.below((versions.last - versions.first) as u64 + 1) as i16;
    let decode = |bytes: Bytes| decode_response(bytes, api.key, version, &limits());

    if let Ok((header, body)) = decode(Bytes::copy_from_slice(choices.0)) {
        let bytes = body.encode(&header, version).expect("what was read can be written");
        assert_eq!(decode(bytes.into_bytes().slice(4..)), Ok((header, body)));
    }

    let bytes = sample::response(api.key.0, &api.response, version, &mut choices);
    let (header, body) = decode(bytes.clone().into()).expect("a right answer");
    let again = body.encode(&header, version).expect("what was read can be written");
    assert_eq!(again.into_bytes().slice(4..), bytes);
});
