//! Record batches: what is built is read, what a broker must refuse is refused with Kafka's code, and
//! what it corrects is corrected.

use bytes::Bytes;
use fletch_wire::{
    BatchFault, Error, ErrorCode, Limits,
    records::{
        Batch, BatchBuilder, Compression, CompressionFault, HEADER_BYTES, RecordFault,
        TimestampType, admit, patch,
    },
};
use proptest::prelude::*;

#[derive(Debug, Clone)]
struct Input {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

fn input() -> impl Strategy<Value = Input> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..200);
    let optional = || proptest::option::of(bytes());
    let header = (bytes(), optional());
    let timestamp = prop_oneof![any::<i32>().prop_map(i64::from), 0..i64::MAX / 2];
    (
        timestamp,
        optional(),
        optional(),
        proptest::collection::vec(header, 0..4),
    )
        .prop_map(|(timestamp, key, value, headers)| Input {
            timestamp,
            key,
            value,
            headers,
        })
}

fn codec() -> impl Strategy<Value = Compression> {
    proptest::sample::select(Compression::ALL.to_vec())
}

fn append(builder: &mut BatchBuilder, input: &Input) {
    let headers = input
        .headers
        .iter()
        .map(|(key, value)| (&key[..], value.as_deref()));
    builder
        .append_with(
            input.timestamp,
            input.key.as_deref(),
            input.value.as_deref(),
            headers,
        )
        .unwrap();
}

fn batch_of(values: &[&str]) -> Batch {
    let mut builder = BatchBuilder::new(Compression::None);
    for (timestamp, value) in (1000..).zip(values) {
        builder
            .append(timestamp, None, Some(value.as_bytes()), &[])
            .unwrap();
    }
    builder.finish().unwrap()
}

/// A batch with bytes of its header overwritten and the CRC set right again.
fn overwritten(batch: &Batch, at: usize, bytes: &[u8]) -> Bytes {
    let mut changed = batch.bytes().to_vec();
    changed[at..at + bytes.len()].copy_from_slice(bytes);
    patch::crc(&mut changed);
    changed.into()
}

/// A batch of one record whose encoding, after its length, is given.
fn with_record(record: &[u8]) -> Bytes {
    let mut bytes = batch_of(&["x"]).bytes()[..HEADER_BYTES].to_vec();
    bytes.push((record.len() * 2) as u8);
    bytes.extend_from_slice(record);
    let length = (bytes.len() - 12) as i32;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    patch::crc(&mut bytes);
    bytes.into()
}

fn refused(payload: Bytes) -> (ErrorCode, Error) {
    let error = admit(payload, &Limits::default()).unwrap_err();
    (error.code(), error)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_built_is_read(inputs in proptest::collection::vec(input(), 1..30), codec in codec()) {
        let mut builder = BatchBuilder::new(codec).producer(5, 1, 7).base_offset(100).leader_epoch(3);
        inputs.iter().for_each(|input| append(&mut builder, input));
        let batch = builder.finish().unwrap();
        prop_assert_eq!(batch.check(), Ok(()));
        prop_assert_eq!(
            (batch.base_offset, batch.leader_epoch, batch.producer_id, batch.producer_epoch),
            (100, 3, 5, 1)
        );
        prop_assert_eq!((batch.base_sequence, batch.record_count), (7, inputs.len() as i32));
        prop_assert_eq!(batch.last_offset(), 99 + inputs.len() as i64);
        let records = batch.records(&Limits::default()).unwrap();
        prop_assert_eq!(records.len(), inputs.len());
        for ((index, input), record) in (0..).zip(&inputs).zip(&records) {
            let record = record.unwrap();
            prop_assert_eq!((record.offset, record.timestamp), (100 + index, input.timestamp));
            prop_assert_eq!(record.key, input.key.as_deref());
            prop_assert_eq!(record.value, input.value.as_deref());
            let headers: Vec<_> =
                record.headers.map(|h| (h.key.to_vec(), h.value.map(<[u8]>::to_vec))).collect();
            prop_assert_eq!(&headers, &input.headers);
        }
    }

    #[test]
    fn what_is_right_is_admitted_untouched(
        inputs in proptest::collection::vec(input(), 1..30),
        codecs in proptest::collection::vec(codec(), 1..4),
    ) {
        let mut payload = Vec::new();
        for codec in &codecs {
            let mut builder = BatchBuilder::new(*codec);
            inputs.iter().for_each(|input| append(&mut builder, input));
            payload.extend_from_slice(builder.finish().unwrap().bytes());
        }
        let payload = Bytes::from(payload);
        let admitted = admit(payload.clone(), &Limits::default()).unwrap();
        let highest = inputs.iter().map(|input| input.timestamp).max().unwrap().max(-1);
        let first = inputs.iter().position(|input| input.timestamp == highest).unwrap_or(0);
        prop_assert_eq!(admitted.len(), codecs.len());
        let mut position = payload.as_ptr();
        for admitted in admitted {
            prop_assert_eq!(admitted.batch.bytes().as_ptr(), position);
            position = position.wrapping_add(admitted.batch.bytes().len());
            prop_assert_eq!(admitted.records.len(), inputs.len());
            prop_assert_eq!(admitted.max_timestamp, highest);
            prop_assert_eq!(admitted.max_timestamp_index as usize, first);
        }
    }

    #[test]
    fn a_cut_batch_is_refused(inputs in proptest::collection::vec(input(), 1..4), codec in codec()) {
        let mut builder = BatchBuilder::new(codec);
        inputs.iter().for_each(|input| append(&mut builder, input));
        let bytes = builder.finish().unwrap().into_bytes();
        for end in 1..bytes.len() {
            let (code, error) = refused(bytes.slice(..end));
            prop_assert_eq!(code, ErrorCode::CORRUPT_MESSAGE, "cut at {}: {}", end, error);
        }
    }

    #[test]
    fn a_changed_byte_is_refused(
        inputs in proptest::collection::vec(input(), 1..4),
        codec in codec(),
        at: proptest::sample::Index,
        change in 1u8..,
    ) {
        let mut builder = BatchBuilder::new(codec);
        inputs.iter().for_each(|input| append(&mut builder, input));
        let mut bytes = builder.finish().unwrap().bytes().to_vec();
        // The base offset and the leader epoch are the broker's to set, and not covered.
        let at = at.index(bytes.len());
        prop_assume!(!(0..8).contains(&at) && !(12..16).contains(&at));
        bytes[at] ^= change;
        prop_assert!(admit(bytes.into(), &Limits::default()).is_err());
    }

    #[test]
    fn noise_with_a_right_crc_never_panics(
        header in proptest::collection::vec(any::<u8>(), HEADER_BYTES),
        body in proptest::collection::vec(any::<u8>(), 0..300),
        codec in codec(),
        count in 0i32..40,
    ) {
        let mut bytes = [header, body].concat();
        let length = (bytes.len() - 12) as i32;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        bytes[16] = 2;
        bytes[21..23].copy_from_slice(&(codec as i16).to_be_bytes());
        bytes[57..61].copy_from_slice(&count.to_be_bytes());
        bytes[23..27].copy_from_slice(&(count - 1).to_be_bytes());
        patch::crc(&mut bytes);
        let batch = Batch::try_from(Bytes::from(bytes)).unwrap();
        if let Ok(records) = batch.records(&Limits::default()) {
            let read = records.iter().filter(Result::is_ok).count();
            prop_assert!(read <= records.len());
        }
        let _ = admit(batch.into_bytes(), &Limits::default());
    }
}

#[test]
fn faults_of_the_header_have_kafkas_codes() {
    let good = batch_of(&["a", "b"]);
    let code = |at, bytes: &[u8]| refused(overwritten(&good, at, bytes)).0;
    // More or fewer than the offsets span, none, less than none.
    for count in [3i32, 1, 0, -1, i32::MAX] {
        assert_eq!(code(57, &count.to_be_bytes()), ErrorCode::INVALID_RECORD);
    }
    assert_eq!(code(23, &i32::MAX.to_be_bytes()), ErrorCode::INVALID_RECORD);
    // A control batch; no codec of this number; the broker's timestamps.
    assert_eq!(code(21, &0x20i16.to_be_bytes()), ErrorCode::INVALID_RECORD);
    assert_eq!(
        code(21, &5i16.to_be_bytes()),
        ErrorCode::UNSUPPORTED_COMPRESSION_TYPE
    );
    assert_eq!(code(21, &8i16.to_be_bytes()), ErrorCode::INVALID_TIMESTAMP);
    // A producer id without a sequence; a transaction without a producer.
    assert_eq!(code(43, &9i64.to_be_bytes()), ErrorCode::INVALID_RECORD);
    assert_eq!(code(21, &0x10i16.to_be_bytes()), ErrorCode::INVALID_RECORD);
    // Not compressed as it claims.
    for codec in 1..=4i16 {
        assert_eq!(
            code(21, &codec.to_be_bytes()),
            ErrorCode::INVALID_RECORD,
            "{codec}"
        );
    }
    // Another format, another length.
    assert_eq!(code(16, &[3]), ErrorCode::INVALID_RECORD);
    assert_eq!(code(8, &[0; 4]), ErrorCode::CORRUPT_MESSAGE);
    assert_eq!(code(8, &[0xff; 4]), ErrorCode::CORRUPT_MESSAGE);
    assert_eq!(code(8, &i32::MAX.to_be_bytes()), ErrorCode::CORRUPT_MESSAGE);

    assert_eq!(refused(Bytes::new()).1, Error::Batch(BatchFault::Empty));
    let mut wrong_crc = good.bytes().to_vec();
    wrong_crc[17] ^= 1;
    assert_eq!(refused(wrong_crc.into()).0, ErrorCode::CORRUPT_MESSAGE);
}

#[test]
fn faults_of_a_record_say_which_and_what() {
    // Attributes, timestamp delta, offset delta, key, value, headers.
    let good = [0, 0, 0, 1, 2, b'v', 0];
    assert!(admit(with_record(&good), &Limits::default()).is_ok());
    let fault = |record: &[u8]| match refused(with_record(record)) {
        (
            code,
            Error::Record {
                index: 0,
                position: 0,
                fault,
            },
        ) => {
            assert_eq!(code, ErrorCode::INVALID_RECORD);
            fault
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(
        fault(&[0, 0, 0, 1, 2, b'v', 0, 9, 9]),
        RecordFault::Unused { left: 2 }
    );
    assert_eq!(
        fault(&[0, 0, 0, 1, 2, b'v', 1]),
        RecordFault::HeaderCount { count: -1, left: 0 }
    );
    assert_eq!(
        fault(&[0, 0, 0, 1, 2, b'v', 0xfe, 0xff, 0xff, 0xff, 0x0f]),
        RecordFault::HeaderCount {
            count: i32::MAX,
            left: 0
        }
    );
    assert_eq!(
        fault(&[0, 0, 0, 1, 2, b'v', 2, 1, 1]),
        RecordFault::HeaderKey
    );
    assert!(matches!(
        fault(&[0, 0, 0, 1, 60, b'v', 0]),
        RecordFault::Malformed(_)
    ));
    assert!(
        matches!(fault(&[0, 0, 0, 3, 2, b'v', 0]), RecordFault::Malformed(_)),
        "length -2"
    );
    let long = [
        0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 1, 1, 0,
    ];
    assert!(
        matches!(fault(&long), RecordFault::Malformed(_)),
        "a varint of 70 bits"
    );

    // A second record where one is announced.
    let mut bytes = batch_of(&["a", "b"]).bytes().to_vec();
    bytes[57..61].copy_from_slice(&1i32.to_be_bytes());
    bytes[23..27].copy_from_slice(&0i32.to_be_bytes());
    patch::crc(&mut bytes);
    let error = refused(bytes.into()).1;
    assert!(
        matches!(error, Error::Batch(BatchFault::TrailingBytes { .. })),
        "{error}"
    );
}

#[test]
fn an_offset_or_timestamp_beyond_64_bits_is_a_fault() {
    let mut bytes = batch_of(&["a", "b"]).bytes().to_vec();
    patch::base_offset(&mut bytes, i64::MAX);
    let records = Batch::try_from(Bytes::from(bytes))
        .unwrap()
        .records(&Limits::default())
        .unwrap();
    let results: Vec<_> = records.iter().collect();
    assert!(results[0].is_ok());
    assert_eq!(
        results[1],
        Err(Error::Record {
            index: 1,
            position: 8,
            fault: RecordFault::Delta {
                base: i64::MAX,
                delta: 1
            }
        })
    );
    assert_eq!(results.len(), 2, "nothing comes after an error");
}

#[test]
fn an_unset_highest_timestamp_is_set() {
    // As Sarama sends it.
    let bytes = overwritten(&batch_of(&["a", "b", "c"]), 35, &(-1i64).to_be_bytes());
    let admitted = admit(bytes, &Limits::default()).unwrap().remove(0);
    assert_eq!(
        (admitted.max_timestamp, admitted.max_timestamp_index),
        (1002, 2)
    );
    assert_eq!(admitted.batch, batch_of(&["a", "b", "c"]));
}

#[test]
fn offsets_that_do_not_count_up_are_renumbered() {
    for codec in Compression::ALL {
        // Two records, both at delta 0.
        let record = |value| [14, 0, 0, 0, 1, 2, value, 0];
        let body = codec
            .compress(&[record(b'a'), record(b'b')].concat())
            .unwrap();
        let mut bytes = batch_of(&["x", "y"]).bytes()[..HEADER_BYTES].to_vec();
        bytes.extend_from_slice(&body);
        let length = (bytes.len() - 12) as i32;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        bytes[21..23].copy_from_slice(&(codec as i16 | 0x10).to_be_bytes());
        bytes[43..51].copy_from_slice(&77i64.to_be_bytes());
        bytes[51..53].copy_from_slice(&1i16.to_be_bytes());
        bytes[53..57].copy_from_slice(&5i32.to_be_bytes());
        patch::crc(&mut bytes);
        let admitted = admit(bytes.into(), &Limits::default()).unwrap().remove(0);
        admitted.batch.check().unwrap();
        for records in [
            admitted.records,
            admitted.batch.records(&Limits::default()).unwrap(),
        ] {
            let read: Vec<_> = records
                .iter()
                .map(|r| r.map(|r| (r.offset, r.value.unwrap()[0])).unwrap())
                .collect();
            assert_eq!(read, [(0, b'a'), (1, b'b')]);
        }
        let header = &admitted.batch;
        assert_eq!(
            (
                header.producer_id,
                header.producer_epoch,
                header.base_sequence
            ),
            (77, 1, 5)
        );
        assert!(header.attributes.is_transactional());
        assert_eq!(header.attributes.compression(), Ok(codec));
    }
}

#[test]
fn patches_change_what_they_say_and_nothing_else() {
    let batch = batch_of(&["a", "b"]);
    let mut bytes = batch.bytes().to_vec();
    patch::base_offset(&mut bytes, 41);
    patch::leader_epoch(&mut bytes, 6);
    let patched = Batch::try_from(Bytes::from(bytes)).unwrap();
    patched.verify_crc().unwrap();
    assert_eq!(
        (
            patched.base_offset,
            patched.leader_epoch,
            patched.last_offset()
        ),
        (41, 6, 42)
    );
    assert_eq!(patched.bytes()[16..], batch.bytes()[16..]);

    let admitted = admit(patched.into_bytes(), &Limits::default())
        .unwrap()
        .remove(0);
    let stamped = admitted.with_log_append_time(99_000).unwrap();
    stamped.verify_crc().unwrap();
    assert_eq!(
        stamped.attributes.timestamp_type(),
        TimestampType::LogAppendTime
    );
    let records = stamped.records(&Limits::default()).unwrap();
    let times: Vec<_> = records
        .iter()
        .map(|record| record.unwrap().timestamp)
        .collect();
    assert_eq!(times, [99_000, 99_000]);
    let places: Vec<_> = admitted
        .records
        .at(7)
        .iter()
        .map(|record| record.unwrap().offset)
        .collect();
    assert_eq!(places, [7, 8]);

    let mut short = [0; 20];
    patch::base_offset(&mut short, 1);
    patch::leader_epoch(&mut short, 1);
    patch::timestamps(&mut short, TimestampType::LogAppendTime, 1);
    assert_eq!(short, [0; 20]);
}

#[test]
fn the_limit_is_the_whole_payloads() {
    let mut builder = BatchBuilder::new(Compression::Zstd);
    builder.append(0, None, Some(&[0; 600_000]), &[]).unwrap();
    let batch = builder.finish().unwrap().into_bytes();
    let limits = Limits {
        decompressed_bytes_max: 1_000_000,
        ..Limits::default()
    };
    assert!(admit(batch.clone(), &limits).is_ok());
    let error = admit([&batch[..], &batch[..]].concat().into(), &limits).unwrap_err();
    assert_eq!(error.code(), ErrorCode::MESSAGE_TOO_LARGE);
    let left = 1_000_000 - batch_body_bytes(600_000);
    let expected = CompressionFault::TooLarge { bytes_max: left };
    assert!(
        matches!(&error, Error::Compression { fault, .. } if *fault == expected),
        "{error}"
    );
}

/// Bytes of one record with so many zeros as its value.
fn batch_body_bytes(value_bytes: usize) -> usize {
    let mut builder = BatchBuilder::new(Compression::None);
    builder
        .append(0, None, Some(&vec![0; value_bytes]), &[])
        .unwrap();
    builder.finish().unwrap().body().len()
}
