//! Every message against the `kafka-protocol` crate, in every version both know: each reads what the
//! other writes, and writes the same bytes.

mod support;

use bytes::{Bytes, BytesMut};
use fletch_wire::{
    ErrorCode, FrameDecoder, Limits, decode_request, decode_response,
    messages::{APIS, Api},
};
use kafka_protocol::{
    error::ResponseError,
    messages::{ApiKey, RequestHeader, RequestKind, ResponseHeader, ResponseKind},
    protocol::{Decodable, Encodable},
};
use proptest::prelude::*;
use support::Choices;

const CASES: u32 = 60;

fn each(test: impl Fn(&Api, ApiKey, i16, &[u8]) -> Result<(), TestCaseError>) {
    let mut versions = 0;
    for api in APIS {
        let key = ApiKey::try_from(api.key.0).expect("a key the other crate knows");
        let theirs = key.valid_versions();
        for version in api
            .versions
            .iter()
            .filter(|v| (theirs.min..=theirs.max).contains(v))
        {
            let config = ProptestConfig {
                cases: CASES,
                failure_persistence: None,
                ..ProptestConfig::default()
            };
            let choices = proptest::collection::vec(any::<u8>(), 0..400);
            proptest::test_runner::TestRunner::new(config)
                .run(&choices, |choices| test(api, key, version, &choices))
                .unwrap_or_else(|error| panic!("{} version {version}: {error}", api.key));
            versions += 1;
        }
    }
    assert!(versions >= 70, "only {versions} versions were compared");
}

fn fail(error: impl std::fmt::Display) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

#[test]
fn requests_are_read_and_written_alike() {
    each(|api, key, version, choices| {
        let bytes: Bytes =
            support::request(api.key.0, &api.request, version, &mut Choices(choices)).into();

        let mut rest = bytes.clone();
        let header_version = key.request_header_version(version);
        let header = RequestHeader::decode(&mut rest, header_version).map_err(fail)?;
        let body = RequestKind::decode(key, &mut rest, version).map_err(fail)?;
        prop_assert!(rest.is_empty(), "they leave {} bytes", rest.len());
        let mut theirs = BytesMut::new();
        header.encode(&mut theirs, header_version).map_err(fail)?;
        body.encode(&mut theirs, version).map_err(fail)?;

        let (header, body) = decode_request(theirs.freeze(), &Limits::default()).map_err(fail)?;
        let frame = body.encode(&header).map_err(fail)?.into_bytes();
        let ours = FrameDecoder::new(&Limits::default()).decode(&mut BytesMut::from(frame));
        prop_assert_eq!(ours.map_err(fail)?, Some(bytes));
        Ok(())
    });
}

#[test]
fn responses_are_read_and_written_alike() {
    each(|api, key, version, choices| {
        let bytes: Bytes =
            support::response(api.key.0, &api.response, version, &mut Choices(choices)).into();

        let mut rest = bytes.clone();
        let header_version = key.response_header_version(version);
        let header = ResponseHeader::decode(&mut rest, header_version).map_err(fail)?;
        let body = ResponseKind::decode(key, &mut rest, version).map_err(fail)?;
        prop_assert!(rest.is_empty(), "they leave {} bytes", rest.len());
        let mut theirs = BytesMut::new();
        header.encode(&mut theirs, header_version).map_err(fail)?;
        body.encode(&mut theirs, version).map_err(fail)?;

        let (header, body) =
            decode_response(theirs.freeze(), api.key, version, &Limits::default()).map_err(fail)?;
        let frame = body.encode(&header, version).map_err(fail)?.into_bytes();
        let ours = FrameDecoder::new(&Limits::default()).decode(&mut BytesMut::from(frame));
        prop_assert_eq!(ours.map_err(fail)?, Some(bytes));
        Ok(())
    });
}

#[test]
fn error_codes_have_the_same_names_and_retries() {
    let camel_case = |name: &str| -> String {
        let words = name.split('_').map(|word| {
            let (first, rest) = word.split_at(1);
            format!("{first}{}", rest.to_lowercase())
        });
        words.collect()
    };
    let mut count = 0;
    for code in ErrorCode::ALL {
        match ResponseError::try_from_code(code.0) {
            None => assert_eq!(*code, ErrorCode::NONE),
            // A code it doesn't know yet.
            Some(ResponseError::Unknown(_)) => {}
            Some(theirs) => {
                let name = format!("{theirs:?}");
                assert_eq!(camel_case(code.name().unwrap()), name, "{}", code.0);
                // Retriable since Kafka 4.0, which the other crate doesn't say yet.
                if *code != ErrorCode::CONCURRENT_TRANSACTIONS {
                    assert_eq!(code.is_retriable(), theirs.is_retriable(), "{name}");
                }
                count += 1;
            }
        }
    }
    assert!(count > 110, "only {count} codes were compared");
}
