//! Every message in every version: what is written from the declaration is read, and written again
//! byte for byte; whatever else comes is refused without a panic.

mod support;

use bytes::{Bytes, BytesMut};
use fletch_wire::{
    ApiKey, Error, Fault, Frame, FrameDecoder, Limits, RequestHeader, ResponseHeader,
    decode_request, decode_response,
    messages::{APIS, Api},
};
use proptest::prelude::*;
use support::Choices;

/// Runs a test on every API and version, with a few hundred random choices each.
fn each(cases: u32, test: impl Fn(&Api, i16, &[u8]) -> Result<(), TestCaseError>) {
    for api in APIS {
        for version in api.versions.iter() {
            let config = ProptestConfig {
                cases,
                failure_persistence: None,
                ..Default::default()
            };
            let choices = proptest::collection::vec(any::<u8>(), 0..400);
            proptest::test_runner::TestRunner::new(config)
                .run(&choices, |choices| test(api, version, &choices))
                .unwrap_or_else(|error| panic!("{} version {version}: {error}", api.key));
        }
    }
}

/// A frame's bytes without its length, which must be right.
fn without_length(frame: Frame) -> Bytes {
    let mut buffer = BytesMut::from(&frame.into_bytes()[..]);
    let frame = FrameDecoder::new(&Limits::default())
        .decode(&mut buffer)
        .unwrap()
        .unwrap();
    assert!(buffer.is_empty());
    frame
}

/// Nothing may follow a message.
fn strict() -> Limits {
    Limits {
        trailing_bytes_max: 0,
        ..Limits::default()
    }
}

fn read_request(bytes: &[u8]) -> fletch_wire::Result<Bytes> {
    let (header, body) = decode_request(Bytes::copy_from_slice(bytes), &strict())?;
    assert_eq!(body.key(), header.api_key);
    Ok(without_length(body.encode(&header)?))
}

fn read_response(api: &Api, version: i16, bytes: &[u8]) -> fletch_wire::Result<Bytes> {
    let bytes = Bytes::copy_from_slice(bytes);
    let (header, body) = decode_response(bytes, api.key, version, &strict())?;
    assert_eq!(body.key(), api.key);
    Ok(without_length(body.encode(&header, version)?))
}

#[test]
fn requests_are_written_as_they_were_read() {
    each(100, |api, version, choices| {
        let bytes = support::request(api.key.0, &api.request, version, &mut Choices(choices));
        prop_assert_eq!(read_request(&bytes), Ok(Bytes::from(bytes)));
        Ok(())
    });
}

#[test]
fn responses_are_written_as_they_were_read() {
    each(100, |api, version, choices| {
        let bytes = support::response(api.key.0, &api.response, version, &mut Choices(choices));
        prop_assert_eq!(read_response(api, version, &bytes), Ok(Bytes::from(bytes)));
        Ok(())
    });
}

#[test]
fn what_is_cut_off_or_goes_on_is_refused() {
    each(8, |api, version, choices| {
        let request = support::request(api.key.0, &api.request, version, &mut Choices(choices));
        let response = support::response(api.key.0, &api.response, version, &mut Choices(choices));
        for end in 0..request.len() {
            prop_assert!(
                read_request(&request[..end]).is_err(),
                "request cut at {}",
                end
            );
        }
        for end in 0..response.len() {
            prop_assert!(
                read_response(api, version, &response[..end]).is_err(),
                "cut at {}",
                end
            );
        }
        let trailing = |result| match result {
            Err(Error::Malformed {
                fault: Fault::TrailingBytes { left: 1 },
                ..
            }) => Ok(()),
            other => Err(TestCaseError::fail(format!("{other:?}"))),
        };
        trailing(read_request(&[&request[..], &[0]].concat()))?;
        trailing(read_response(api, version, &[&response[..], &[0]].concat()))
    });
}

#[test]
fn changed_bytes_are_read_or_refused_and_what_is_read_is_stable() {
    each(60, |api, version, choices| {
        let mut choices = Choices(choices);
        let mut bytes = support::response(api.key.0, &api.response, version, &mut choices);
        for _ in 0..1 + choices.below(3) {
            let at = choices.below(bytes.len() as u64) as usize;
            bytes[at] = choices.below(256) as u8;
        }
        // Other bytes may come out (a boolean of 2 becomes 1), but then they stay.
        if let Ok(once) = read_response(api, version, &bytes) {
            prop_assert_eq!(read_response(api, version, &once), Ok(once));
        }
        let mut bytes = support::request(api.key.0, &api.request, version, &mut choices);
        let at = 4 + choices.below(bytes.len() as u64 - 4) as usize;
        bytes[at] = bytes[at].wrapping_add(1 + choices.below(255) as u8);
        if let Ok(once) = read_request(&bytes) {
            prop_assert_eq!(read_request(&once), Ok(once));
        }
        Ok(())
    });
}

#[test]
fn random_bytes_never_panic() {
    each(60, |api, version, noise| {
        let mut bytes = Vec::from(api.key.0.to_be_bytes());
        bytes.extend(version.to_be_bytes());
        bytes.extend(noise);
        let _ = read_request(&bytes);
        let _ = read_response(api, version, noise);
        let _ = read_request(noise);
        Ok(())
    });
}

#[test]
fn unknown_apis_and_versions_say_so() {
    let mut bytes = Vec::from(ApiKey::PRODUCE.0.to_be_bytes());
    bytes.extend([0, 99, 0, 0, 0, 7]);
    let error = read_request(&bytes).unwrap_err();
    let known = Api::find(ApiKey::PRODUCE).unwrap().versions;
    let (key, version, correlation_id) = (ApiKey::PRODUCE, 99, 7);
    assert_eq!(
        error,
        Error::UnknownRequest {
            key,
            version,
            correlation_id,
            known
        }
    );
    let header = RequestHeader::peek(&Bytes::from(bytes)).unwrap();
    assert_eq!(
        (header.api_key, header.api_version, header.correlation_id),
        (key, 99, 7)
    );
    assert!(read_request(&[0x03, 0xe8, 0, 0, 0, 0, 0, 1]).is_err());
    assert!(RequestHeader::peek(&Bytes::from_static(&[0; 7])).is_err());
}

#[test]
fn only_the_answer_to_api_versions_has_no_tagged_fields_in_its_header() {
    for api in APIS {
        let version = api.versions.last;
        let frame = support::response(api.key.0, &api.response, version, &mut Choices(&[]));
        let (header, body) =
            decode_response(frame.into(), api.key, version, &Limits::default()).unwrap();
        assert_eq!(header, ResponseHeader::new(0));
        let bytes = without_length(body.encode(&header, version).unwrap());
        let legacy_header = support::response(18, &api.response, version, &mut Choices(&[]));
        let flexible = api.response.flexible.contains(version);
        let tags_bytes = usize::from(flexible && api.key != ApiKey::API_VERSIONS);
        assert_eq!(bytes.len(), legacy_header.len() + tags_bytes, "{}", api.key);
    }
}
