//! Bytes written by hand from the protocol's description, byte for byte.

use bytes::Bytes;
use fletch_wire::{
    ApiKey, Error, ErrorCode, Fault, Limits, Payload, RequestBody, RequestHeader, ResponseBody,
    ResponseHeader, Str, Uuid, decode_request, decode_response, encode_request, encode_response,
    messages::{
        ApiVersionsRequest, ApiVersionsResponse, FetchRequest, FetchResponse, Message,
        MetadataRequest, MetadataResponse, ProduceRequest, ProduceResponse,
        api_versions::ApiVersion,
        fetch::{FetchableTopicResponse, PartitionData},
        metadata::MetadataRequestTopic,
        produce::{
            LeaderIdAndEpoch, PartitionProduceData, PartitionProduceResponse, TopicProduceData,
            TopicProduceResponse,
        },
    },
};

/// Bytes from parts: numbers in hexadecimal and texts in quotes.
fn bytes(parts: &[&str]) -> Bytes {
    let mut bytes = Vec::new();
    for part in parts {
        match part
            .strip_prefix('"')
            .and_then(|part| part.strip_suffix('"'))
        {
            Some(text) => bytes.extend_from_slice(text.as_bytes()),
            None => {
                let digits: String = part.chars().filter(|c| !c.is_whitespace()).collect();
                for index in (0..digits.len()).step_by(2) {
                    bytes.push(u8::from_str_radix(&digits[index..index + 2], 16).unwrap());
                }
            }
        }
    }
    bytes.into()
}

fn header(api_key: ApiKey, api_version: i16, client_id: &'static str) -> RequestHeader {
    let client_id = Some(Str::from_static(client_id));
    RequestHeader {
        client_id,
        ..RequestHeader::new(api_key, api_version, 7)
    }
}

fn produce_request() -> ProduceRequest {
    ProduceRequest {
        transactional_id: None,
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: "hits".into(),
            partition_data: vec![PartitionProduceData {
                index: 2,
                records: Some(Payload::from(Bytes::from_static(b"xyz"))),
                ..PartitionProduceData::default()
            }],
            ..TopicProduceData::default()
        }],
        ..ProduceRequest::default()
    }
}

#[test]
fn a_produce_request_of_version_3() {
    let expected = bytes(&[
        "0000002f", // length
        "0000 0003 00000007",
        "0004",
        "\"kcat\"",
        "ffff",     // no transaction
        "ffff",     // all replicas
        "00007530", // 30 s
        "00000001",
        "0004",
        "\"hits\"",
        "00000001",
        "00000002",
        "00000003",
        "\"xyz\"",
    ]);
    let header = header(ApiKey::PRODUCE, 3, "kcat");
    let frame = encode_request(&header, &produce_request()).unwrap();
    assert_eq!(frame.into_bytes(), expected);
    let (read_header, body) = decode_request(expected.slice(4..), &Limits::default()).unwrap();
    assert_eq!(
        (read_header, body),
        (header, RequestBody::Produce(produce_request()))
    );
}

#[test]
fn a_produce_request_of_version_9_is_flexible() {
    let expected = bytes(&[
        "00000028",
        "0000 0009 00000007",
        "0004", // the client id keeps its two bytes of length
        "\"kcat\"",
        "00", // no tagged fields in the header
        "00", // no transaction
        "ffff",
        "00007530",
        "02", // one topic
        "05",
        "\"hits\"",
        "02",
        "00000002",
        "04",
        "\"xyz\"",
        "00 00 00", // no tagged fields: partition, topic, request
    ]);
    let header = header(ApiKey::PRODUCE, 9, "kcat");
    let frame = encode_request(&header, &produce_request()).unwrap();
    assert_eq!(frame.into_bytes(), expected);
    let (read_header, body) = decode_request(expected.slice(4..), &Limits::default()).unwrap();
    assert_eq!(
        (read_header, body),
        (header, RequestBody::Produce(produce_request()))
    );
}

#[test]
fn payloads_and_strings_are_slices_of_the_frame() {
    let frame = encode_request(&header(ApiKey::PRODUCE, 9, "kcat"), &produce_request()).unwrap();
    let frame = frame.into_bytes().slice(4..);
    let within = |slice: &[u8]| frame.as_ptr_range().contains(&slice.as_ptr());
    let (header, body) = decode_request(frame.clone(), &Limits::default()).unwrap();
    let RequestBody::Produce(request) = body else {
        panic!("{body:?}")
    };
    assert!(within(header.client_id.unwrap().as_bytes()));
    assert!(within(request.topic_data[0].name.as_bytes()));
    let payload = request.topic_data[0].partition_data[0]
        .records
        .clone()
        .unwrap();
    assert!(within(&payload.to_bytes()));
}

#[test]
fn a_produce_response_with_a_tagged_leader() {
    let response = ProduceResponse {
        responses: vec![TopicProduceResponse {
            name: "hits".into(),
            partition_responses: vec![PartitionProduceResponse {
                index: 2,
                error_code: ErrorCode::NOT_LEADER_OR_FOLLOWER,
                base_offset: -1,
                current_leader: LeaderIdAndEpoch {
                    leader_id: 3,
                    leader_epoch: 9,
                    ..Default::default()
                },
                ..PartitionProduceResponse::default()
            }],
            ..TopicProduceResponse::default()
        }],
        ..ProduceResponse::default()
    };
    let expected = bytes(&[
        "0000003e",
        "00000007",
        "00",
        "02",
        "05",
        "\"hits\"",
        "02",
        "00000002",
        "0006",
        "ffffffffffffffff",
        "ffffffffffffffff",
        "ffffffffffffffff",
        "01", // no record errors
        "00", // no message
        "01", // one tagged field: tag 0, of nine bytes
        "00 09",
        "00000003 00000009 00",
        "00", // topic
        "00000000",
        "00", // response
    ]);
    let header = ResponseHeader::new(7);
    let frame = encode_response::<ProduceRequest>(&header, 10, &response).unwrap();
    assert_eq!(frame.into_bytes(), expected);
    let (_, body) =
        decode_response(expected.slice(4..), ApiKey::PRODUCE, 10, &Limits::default()).unwrap();
    assert_eq!(body, ResponseBody::Produce(response.clone()));

    // Version 9 has no place for the leader, and it must not get lost in silence.
    let error = encode_response::<ProduceRequest>(&header, 9, &response).unwrap_err();
    let field = "PartitionProduceResponse.current_leader";
    assert_eq!(error, Error::FieldNotInVersion { field, version: 9 });
}

#[test]
fn the_answer_to_api_versions_has_the_legacy_header() {
    let api = |key: ApiKey, min_version, max_version| ApiVersion {
        api_key: key.0,
        min_version,
        max_version,
        ..ApiVersion::default()
    };
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        api_keys: vec![api(ApiKey::PRODUCE, 0, 11), api(ApiKey::API_VERSIONS, 0, 4)],
        ..ApiVersionsResponse::default()
    };
    let encode = |version| {
        encode_response::<ApiVersionsRequest>(&ResponseHeader::new(7), version, &response)
            .unwrap()
            .into_bytes()
    };
    let zero = ["0000 0000 000b", "0012 0000 0004"];
    assert_eq!(
        encode(0),
        bytes(&["00000016", "00000007", "0023", "00000002", zero[0], zero[1]])
    );
    assert_eq!(
        encode(3),
        // No tagged fields after the correlation id, but one section for each structure.
        bytes(&[
            "0000001a",
            "00000007",
            "0023",
            "03",
            zero[0],
            "00",
            zero[1],
            "00",
            "00000000 00"
        ])
    );
}

#[test]
fn all_topics_are_asked_for_by_null_or_in_version_0_by_none() {
    let all = MetadataRequest {
        topics: None,
        ..MetadataRequest::default()
    };
    let none = MetadataRequest {
        topics: Some(Vec::new()),
        ..MetadataRequest::default()
    };
    assert_eq!(all.to_bytes(1).unwrap(), bytes(&["ffffffff"]));
    assert_eq!(none.to_bytes(0).unwrap(), bytes(&["00000000"]));
    assert_eq!(none.to_bytes(1).unwrap(), bytes(&["00000000"]));
    let field = "MetadataRequest.topics";
    assert_eq!(
        all.to_bytes(0),
        Err(Error::NullNotInVersion { field, version: 0 })
    );
    let read =
        |version, text| MetadataRequest::from_bytes(bytes(&[text]), version, &Limits::default());
    assert_eq!(read(1, "ffffffff"), Ok(all));
    assert_eq!(read(0, "00000000"), Ok(none));
    assert_eq!(
        read(0, "ffffffff"),
        Err(Error::Malformed {
            place: field,
            position: 0,
            fault: Fault::Null
        })
    );
}

#[test]
fn all_topics_as_librdkafka_asks_for_them() {
    // Four bytes are kept free for a count that takes one, so that three follow the request.
    let frame = bytes(&[
        "0003 000d 00000004",
        "0007",
        "\"rdkafka\"",
        "00",
        "00 00 00 00",
        "01 00 00",
    ]);
    let (_, body) = decode_request(frame.clone(), &Limits::default()).unwrap();
    let expected = MetadataRequest {
        allow_auto_topic_creation: false,
        ..MetadataRequest::default()
    };
    assert_eq!(body, RequestBody::Metadata(expected));
    let limits = Limits {
        trailing_bytes_max: 2,
        ..Limits::default()
    };
    let (place, fault) = ("MetadataRequest", Fault::TrailingBytes { left: 3 });
    let error = Error::Malformed {
        place,
        position: 22,
        fault,
    };
    assert_eq!(decode_request(frame, &limits), Err(error));
}

#[test]
fn a_topic_asked_for_by_id() {
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            topic_id: Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10),
            name: None,
            ..MetadataRequestTopic::default()
        }]),
        ..MetadataRequest::default()
    };
    let expected = bytes(&[
        "02",
        "0102030405060708090a0b0c0d0e0f10",
        "00",
        "00",
        "01",
        "00",
        "00",
    ]);
    assert_eq!(request.to_bytes(12).unwrap(), expected);
    assert_eq!(
        MetadataRequest::from_bytes(expected, 12, &Limits::default()),
        Ok(request)
    );
}

#[test]
fn version_13_of_metadata_ends_with_an_error() {
    let response = MetadataResponse {
        error_code: ErrorCode::REBOOTSTRAP_REQUIRED,
        ..MetadataResponse::default()
    };
    let expected = bytes(&["00000000", "01", "00", "ffffffff", "01", "0081", "00"]);
    assert_eq!(response.to_bytes(13).unwrap(), expected);
    assert_eq!(
        response.to_bytes(12).unwrap(),
        expected
            .slice(..11)
            .iter()
            .copied()
            .chain([0])
            .collect::<Bytes>()
    );
}

#[test]
fn a_string_is_no_longer_than_a_legacy_length_says() {
    let request = |bytes: usize| ApiVersionsRequest {
        client_software_name: "x".repeat(bytes).into(),
        ..ApiVersionsRequest::default()
    };
    let longest = request(32_767);
    let bytes = longest.to_bytes(3).unwrap();
    let limits = Limits::default();
    assert_eq!(
        ApiVersionsRequest::from_bytes(bytes.clone(), 3, &limits),
        Ok(longest)
    );
    let (length, length_max) = (32_768, 32_767);
    assert_eq!(
        request(length).to_bytes(3),
        Err(Error::TooLong { length, length_max })
    );
    // One byte more, in the length (which is one more than it) and in the text.
    let longer = [&[0x81, 0x80, 0x02, b'x'][..], &bytes[3..]].concat().into();
    let place = "ApiVersionsRequest.client_software_name";
    let fault = Fault::StringTooLong {
        bytes: length,
        bytes_max: length_max,
    };
    let error = Error::Malformed {
        place,
        position: 3,
        fault,
    };
    assert_eq!(
        ApiVersionsRequest::from_bytes(longer, 3, &limits),
        Err(error)
    );
}

#[test]
fn fetched_batches_are_sent_without_being_joined() {
    let batches = [vec![1u8; 10_000], vec![2; 10], vec![3; 10_000]].map(Bytes::from);
    let response = FetchResponse {
        responses: vec![FetchableTopicResponse {
            partitions: vec![PartitionData {
                records: Some(Payload::from(batches.to_vec())),
                ..PartitionData::default()
            }],
            ..FetchableTopicResponse::default()
        }],
        ..FetchResponse::default()
    };
    let frame = encode_response::<FetchRequest>(&ResponseHeader::new(1), 13, &response).unwrap();
    let mut slices = [std::io::IoSlice::new(&[]); 8];
    let count = bytes::Buf::chunks_vectored(&frame, &mut slices);
    // What comes before, the first batch, the second (small, copied), the third, what comes after.
    assert_eq!(count, 5);
    assert_eq!(slices[1].as_ptr(), batches[0].as_ptr());
    assert_eq!(slices[3].as_ptr(), batches[2].as_ptr());
    let bytes = frame.into_bytes().slice(4..);
    let (_, body) = decode_response(bytes, ApiKey::FETCH, 13, &Limits::default()).unwrap();
    assert_eq!(body, ResponseBody::Fetch(response));
}
