//! Requests of every API and version: from bytes as they come, and from a declaration with the bytes
//! as its choices.

#![no_main]

use bytes::Bytes;
use fletch_fuzz::{limits, sample};
use fletch_wire::{RequestHeader, RequestBody, decode_request, messages::APIS};
use libfuzzer_sys::fuzz_target;

fn encode((header, body): &(RequestHeader, RequestBody)) -> Bytes {
    body.encode(header).expect("what was read can be written").into_bytes().slice(4..)
}

fuzz_target!(|input: &[u8]| {
    if let Ok(request) = decode_request(Bytes::copy_from_slice(input), &limits()) {
        let bytes = encode(&request);
        assert_eq!(decode_request(bytes, &limits()), Ok(request));
    }

    let mut choices = sample::Choices(input);
    let api = &APIS[choices.below(APIS.len() as u64) as usize];
    let versions = api.versions;
    let version = versions.first
        + choices.below((versions.last - versions.first) as u64 + 1) as i16;
    let bytes = sample::request(api.key.0, &api.request, version, &mut choices);
    let request = decode_request(bytes.clone().into(), &limits()).expect("a right request");
    assert_eq!(encode(&request), bytes);
});
