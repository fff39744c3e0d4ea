//! Batches, message sets and compressed bytes that others wrote, and ours read by others.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use fletch_wire::{
    Error, ErrorCode, Limits,
    records::{
        Batch, BatchBuilder, Compression, HEADER_BYTES, RecordFault, Records, TimestampType, admit,
        legacy,
    },
};
use kafka_protocol::records::{
    Compression as TheirCompression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID,
    Record as TheirRecord, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions,
    TimestampType as TheirTimestampType,
};
use proptest::prelude::*;

/// A file of `tests/data`; `make.py` there says how it was made.
fn data(name: &str) -> Bytes {
    let path = format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{path}: {error}"))
        .into()
}

/// Checks that these are the five records that `make.py` writes.
fn assert_five(records: &Records, with_timestamps: bool, with_headers: bool) {
    let records: Vec<_> = records.iter().map(|record| record.unwrap()).collect();
    assert_eq!(records.len(), 5);
    for (index, record) in (0..).zip(records) {
        assert_eq!(record.offset, index);
        let timestamp = if with_timestamps {
            1_600_000_000_000 + 10 * index
        } else {
            -1
        };
        assert_eq!(record.timestamp, timestamp);
        let key = format!("key-{index}");
        assert_eq!(record.key, (index > 0).then_some(key.as_bytes()));
        let value = format!("value {index} ").repeat(20);
        assert_eq!(record.value, (index < 4).then_some(value.as_bytes()));
        let headers: Vec<_> = record
            .headers
            .map(|header| (header.key, header.value))
            .collect();
        let expected: &[(&[u8], Option<&[u8]>)] = if with_headers && index == 2 {
            &[(b"h", Some(b"1")), (b"h", None)]
        } else {
            &[]
        };
        assert_eq!(headers, expected);
    }
}

#[test]
fn batches_of_kafka_python_are_read() {
    for codec in Compression::ALL {
        let payload = data(&format!("v2-{codec}.batch"));
        let admitted = admit(payload.clone(), &Limits::default())
            .unwrap()
            .remove(0);
        assert_eq!(
            admitted.batch.bytes(),
            &payload,
            "nothing to correct in {codec}"
        );
        assert_eq!(admitted.batch.attributes.compression(), Ok(codec));
        let header = &admitted.batch;
        assert_eq!(
            (
                header.producer_id,
                header.producer_epoch,
                header.base_sequence
            ),
            (4000, 3, 17)
        );
        assert_five(&admitted.records, true, true);
    }
}

#[test]
fn message_sets_of_kafka_python_become_batches() {
    for magic in [0, 1] {
        for codec in &Compression::ALL[..4] {
            let set = data(&format!("v{magic}-{codec}.set"));
            let admitted = admit(set.clone(), &Limits::default()).unwrap().remove(0);
            admitted.batch.check().unwrap();
            assert_eq!(admitted.batch.attributes.compression(), Ok(*codec));
            assert_five(&admitted.records, magic == 1, false);
            assert_five(
                &admitted.batch.records(&Limits::default()).unwrap(),
                magic == 1,
                false,
            );
            let highest = if magic == 1 { 1_600_000_000_040 } else { -1 };
            assert_eq!(
                (admitted.max_timestamp, admitted.batch.max_timestamp),
                (highest, highest)
            );
            assert_eq!(legacy::convert(set, &Limits::default()), Ok(admitted.batch));
        }
    }
}

#[test]
fn a_message_set_cut_or_changed_anywhere_is_refused() {
    for name in [
        "v0-none.set",
        "v1-none.set",
        "v0-lz4.set",
        "v1-gzip.set",
        "v1-snappy.set",
    ] {
        let set = data(name);
        // Between messages a set may end: the first is 12 bytes and its size long.
        let mut ends = vec![0];
        for message in legacy::messages(set.clone()) {
            let size = ends.last().unwrap() + 8;
            message.unwrap();
            let size_bytes = set[size..size + 4].try_into().unwrap();
            ends.push(size + 4 + i32::from_be_bytes(size_bytes) as usize);
        }
        for end in 1..set.len() {
            let result = admit(set.slice(..end), &Limits::default());
            assert_eq!(result.is_ok(), ends.contains(&end), "{name} cut at {end}");
        }
        for at in 8..set.len() {
            // The offsets are the broker's to assign.
            let in_offset = ends.iter().any(|start| (*start..start + 8).contains(&at));
            let mut changed = set.to_vec();
            changed[at] ^= 0x15;
            let result = admit(changed.into(), &Limits::default());
            assert_eq!(result.is_ok(), in_offset, "{name} changed at {at}");
        }
    }
}

/// A message of format 1 with the CRC it should have.
fn message(attributes: u8, value: &[u8]) -> Vec<u8> {
    let mut checked = vec![1, attributes];
    checked.extend(5i64.to_be_bytes());
    checked.extend((-1i32).to_be_bytes());
    checked.extend((value.len() as i32).to_be_bytes());
    checked.extend(value);
    let mut message = 0i64.to_be_bytes().to_vec();
    message.extend((checked.len() as i32 + 4).to_be_bytes());
    message.extend(crc_fast::crc32_iso_hdlc(&checked).to_be_bytes());
    message.extend(checked);
    message
}

#[test]
fn messages_wrap_messages_once() {
    let wrapped = |set: &[u8]| message(1, &Compression::Gzip.compress(set).unwrap());
    let once = wrapped(&[message(0, b"a"), message(0, b"b")].concat());
    let twice = wrapped(&once);
    let admitted = admit(
        [&once[..], &message(0, b"c")[..]].concat().into(),
        &Limits::default(),
    )
    .unwrap();
    let values: Vec<_> = admitted[0]
        .records
        .iter()
        .map(|record| record.unwrap().value.unwrap()[0])
        .collect();
    assert_eq!(values, *b"abc");
    let error = admit(twice.into(), &Limits::default()).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Record {
                fault: RecordFault::Nested,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.code(), ErrorCode::INVALID_RECORD);
    let empty = admit(wrapped(&[]).into(), &Limits::default()).unwrap_err();
    assert_eq!(empty.code(), ErrorCode::INVALID_RECORD);
    let broker_time = admit(message(8, b"a").into(), &Limits::default()).unwrap_err();
    assert_eq!(broker_time.code(), ErrorCode::INVALID_TIMESTAMP);
}

#[test]
fn old_formats_have_no_zstd() {
    let zstd = Compression::Zstd.compress(&message(0, b"a")).unwrap();
    let error = admit(message(4, &zstd).into(), &Limits::default()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
}

#[test]
fn linked_lz4_blocks_with_all_checksums_are_read() {
    let lines: String = (0..40_000u64)
        .map(|i| format!("line {}\n", i * i % 977))
        .collect();
    let frame = data("linked.lz4");
    let limits = Limits::default();
    assert_eq!(
        Compression::Lz4.decompress(&frame, &limits).unwrap(),
        lines.as_bytes()
    );
    let two = Bytes::from([&frame[..], &frame[..]].concat());
    assert_eq!(
        Compression::Lz4.decompress(&two, &limits).unwrap(),
        lines.repeat(2).as_bytes()
    );
    for end in (0..frame.len()).step_by(101) {
        assert!(
            Compression::Lz4
                .decompress(&frame.slice(..end), &limits)
                .is_err(),
            "{end}"
        );
    }
    // Every byte is under some checksum. (Some of the bytes will do: the frame is long.)
    for at in (0..frame.len()).step_by(211) {
        let mut changed = frame.to_vec();
        changed[at] ^= 1;
        assert!(
            Compression::Lz4
                .decompress(&changed.into(), &limits)
                .is_err(),
            "{at}"
        );
    }
}

#[test]
fn lz4_with_the_header_checksum_of_old_clients_is_read() {
    let set = data("v0-lz4.set");
    let frame = legacy::messages(set)
        .next()
        .unwrap()
        .unwrap()
        .value
        .unwrap();
    // The magic, the descriptor of two bytes, and a checksum that isn't the descriptor's.
    let mut strict = lz4_flex::frame::FrameDecoder::new(&frame[..]);
    assert!(
        std::io::copy(&mut strict, &mut std::io::sink()).is_err(),
        "the checksum is wrong"
    );
    assert!(
        Compression::Lz4
            .decompress(&frame, &Limits::default())
            .is_ok()
    );
    let mut other = frame.to_vec();
    other[6] ^= 1;
    assert!(
        Compression::Lz4
            .decompress(&other.into(), &Limits::default())
            .is_err()
    );
}

#[test]
fn raw_snappy_is_read() {
    let text = "as librdkafka and franz-go send it ".repeat(100);
    let raw = snap::raw::Encoder::new()
        .compress_vec(text.as_bytes())
        .unwrap();
    let read = Compression::Snappy
        .decompress(&raw.into(), &Limits::default())
        .unwrap();
    assert_eq!(read, text.as_bytes());
}

#[test]
fn gzip_of_several_members_is_read() {
    let one = Compression::Gzip.compress(b"one ").unwrap();
    let two = Compression::Gzip.compress(b"two").unwrap();
    let both = Bytes::from([one, two].concat());
    assert_eq!(
        Compression::Gzip
            .decompress(&both, &Limits::default())
            .unwrap(),
        &b"one two"[..]
    );
}

fn their_compression(codec: Compression) -> TheirCompression {
    match codec {
        Compression::None => TheirCompression::None,
        Compression::Gzip => TheirCompression::Gzip,
        Compression::Snappy => TheirCompression::Snappy,
        Compression::Lz4 => TheirCompression::Lz4,
        Compression::Zstd => TheirCompression::Zstd,
    }
}

#[derive(Debug, Clone)]
struct Input {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    // The peer takes headers for a map with keys of text.
    headers: BTreeMap<String, Option<Vec<u8>>>,
}

fn inputs() -> impl Strategy<Value = Vec<Input>> {
    let optional = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..100));
    let headers = proptest::collection::btree_map("[a-z]{1,5}", optional(), 0..3);
    let input = (0i64..1 << 40, optional(), optional(), headers).prop_map(
        |(timestamp, key, value, headers)| Input {
            timestamp,
            key,
            value,
            headers,
        },
    );
    proptest::collection::vec(input, 1..20)
}

fn their_record(index: usize, input: &Input) -> TheirRecord {
    TheirRecord {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        timestamp_type: TheirTimestampType::Creation,
        offset: index as i64,
        sequence: index as i32 - 1,
        timestamp: input.timestamp,
        key: input.key.clone().map(Bytes::from),
        value: input.value.clone().map(Bytes::from),
        headers: input
            .headers
            .iter()
            .map(|(key, value)| (key.clone().into(), value.clone().map(Bytes::from)))
            .collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ours_is_read_by_kafka_protocol(
        inputs in inputs(),
        codec in proptest::sample::select(Compression::ALL.to_vec()),
    ) {
        let mut builder = BatchBuilder::new(codec);
        for input in &inputs {
            let headers =
                input.headers.iter().map(|(key, value)| (key.as_bytes(), value.as_deref()));
            builder
                .append_with(
                    input.timestamp, input.key.as_deref(), input.value.as_deref(), headers,
                )
                .unwrap();
        }
        let bytes = builder.finish().unwrap().into_bytes();
        let theirs = RecordBatchDecoder::decode(&mut bytes.clone())
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(theirs.compression, their_compression(codec));
        prop_assert_eq!(theirs.records.len(), inputs.len());
        for ((index, input), theirs) in inputs.iter().enumerate().zip(&theirs.records) {
            prop_assert_eq!(theirs, &TheirRecord {
                sequence: theirs.sequence,
                ..their_record(index, input)
            });
        }
    }

    #[test]
    fn theirs_is_read_by_us(
        inputs in inputs(),
        codec in proptest::sample::select(Compression::ALL.to_vec()),
    ) {
        let records: Vec<TheirRecord> =
            inputs.iter().enumerate().map(|(index, input)| their_record(index, input)).collect();
        let mut bytes = BytesMut::new();
        let options =
            RecordEncodeOptions { version: 2, compression: their_compression(codec) };
        RecordBatchEncoder::encode(&mut bytes, &records, &options)
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        let bytes = bytes.freeze();
        let batch = Batch::try_from(bytes.clone()).unwrap();
        prop_assert_eq!(batch.verify_crc(), Ok(()));
        prop_assert_eq!(batch.attributes.timestamp_type(), TimestampType::CreateTime);
        let admitted = admit(bytes.clone(), &Limits::default()).unwrap().remove(0);
        prop_assert_eq!(admitted.batch.bytes(), &bytes);
        for ((index, input), record) in (0..).zip(&inputs).zip(&admitted.records) {
            let record = record.unwrap();
            prop_assert_eq!((record.offset, record.timestamp), (index, input.timestamp));
            prop_assert_eq!(record.key, input.key.as_deref());
            prop_assert_eq!(record.value, input.value.as_deref());
            let headers: BTreeMap<_, _> = record
                .headers
                .map(|header| {
                    let key = String::from_utf8(header.key.to_vec()).unwrap();
                    (key, header.value.map(<[u8]>::to_vec))
                })
                .collect();
            prop_assert_eq!(&headers, &input.headers);
        }
        prop_assert!(bytes.len() > HEADER_BYTES);
    }
}
