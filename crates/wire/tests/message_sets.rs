//! Batches become message sets for readers of older formats: beside those that kafka-python writes, and
//! read back by our own reader.

use bytes::Bytes;
use fletch_wire::{
    ErrorCode, Limits,
    records::{
        Attributes, Batch, BatchBuilder, Compression, TimestampType,
        legacy::{self, Format, Message},
        patch,
    },
};
use proptest::prelude::*;

const FORMATS: [Format; 2] = [Format::V0, Format::V1];

fn data(name: &str) -> Bytes {
    let path = format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{path}: {error}"))
        .into()
}

fn convert(batch: &Batch, base_offset: i64, from: i64, format: Format) -> Bytes {
    legacy::message_set(batch, base_offset, from, format, &Limits::default())
        .unwrap()
        .into()
}

fn messages(set: Bytes) -> Vec<Message> {
    legacy::messages(set).map(Result::unwrap).collect()
}

/// The codec of a set, and the messages within.
fn unwrapped(set: Bytes) -> (Compression, Option<Message>, Bytes) {
    let first = messages(set.clone()).remove(0);
    match first.attributes.compression().unwrap() {
        Compression::None => (Compression::None, None, set),
        codec => {
            let wrapped = first.value.clone().unwrap();
            let inner = codec.decompress(&wrapped, &Limits::default()).unwrap();
            (codec, Some(first), inner)
        }
    }
}

/// The batches and the sets in `tests/data` hold the same five records.
#[test]
fn kafka_python_writes_the_same() {
    for format in FORMATS {
        for codec in &Compression::ALL[..4] {
            let batch = Batch::try_from(data(&format!("v2-{codec}.batch"))).unwrap();
            let ours = unwrapped(convert(&batch, 0, 0, format));
            let theirs = unwrapped(data(&format!("v{}-{codec}.set", format as u8)));
            assert_eq!((ours.0, ours.2), (theirs.0, theirs.2), "{format:?} {codec}");
            let (Some(ours), Some(theirs)) = (ours.1, theirs.1) else {
                continue;
            };
            assert_eq!(ours.magic, theirs.magic);
            assert_eq!(ours.attributes, theirs.attributes);
            assert_eq!((ours.offset, ours.key), (4, None));
            if format == Format::V1 {
                assert_eq!(ours.timestamp, 1_600_000_000_040);
            }
            if *codec == Compression::Lz4 {
                // The descriptor and its checksum.
                let value = ours.value.unwrap();
                let is_read = lz4_flex::frame::FrameDecoder::new(&value[..]);
                let is_read = std::io::copy(&mut { is_read }, &mut std::io::sink()).is_ok();
                assert_eq!(
                    is_read,
                    format == Format::V1,
                    "format 0 has another checksum"
                );
            }
        }
    }
}

#[test]
fn what_older_formats_have_no_room_for() {
    let zstd = Batch::try_from(data("v2-zstd.batch")).unwrap();
    for format in FORMATS {
        let error = legacy::message_set(&zstd, 0, 0, format, &Limits::default()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
    }
    // A marker is for nobody who doesn't know transactions.
    let batch = Batch::try_from(data("v2-none.batch")).unwrap();
    let mut marker = batch.bytes().to_vec();
    let attributes = Attributes::default().with_control(true);
    marker[21..23].copy_from_slice(&attributes.0.to_be_bytes());
    patch::crc(&mut marker);
    let marker = Batch::try_from(Bytes::from(marker)).unwrap();
    assert!(convert(&marker, 0, 0, Format::V1).is_empty());
    // The broker's time, in format 1 alone.
    let mut stamped = batch.bytes().to_vec();
    patch::timestamps(&mut stamped, TimestampType::LogAppendTime, 77);
    let stamped = Batch::try_from(Bytes::from(stamped)).unwrap();
    for message in messages(convert(&stamped, 0, 0, Format::V1)) {
        assert_eq!(message.timestamp, 77);
        assert_eq!(
            message.attributes.timestamp_type(),
            TimestampType::LogAppendTime
        );
    }
    for message in messages(convert(&stamped, 0, 0, Format::V0)) {
        assert_eq!(message.attributes, Attributes::default());
    }
}

type Input = (i64, Option<Vec<u8>>, Option<Vec<u8>>);

proptest! {
    /// Every record is there, at its own offset, whatever the codec.
    #[test]
    fn records_keep_their_offsets(
        inputs in proptest::collection::vec(
            (0..1_i64 << 50, any::<Option<Vec<u8>>>(), any::<Option<Vec<u8>>>()), 1..40),
        codec in 0..4_usize,
        base_offset in 0..1_i64 << 60,
        skipped in 0..50_i64,
        format in proptest::sample::select(&FORMATS[..]),
    ) {
        let codec = Compression::ALL[codec];
        let mut builder = BatchBuilder::new(codec);
        for (timestamp, key, value) in &inputs {
            builder.append(*timestamp, key.as_deref(), value.as_deref(), &[(b"h", None)]).unwrap();
        }
        let batch = builder.finish().unwrap();
        let from = base_offset + skipped;
        let set = convert(&batch, base_offset, from, format);
        let all = (base_offset..).zip(inputs);
        let expected: Vec<(i64, Input)> = match codec {
            Compression::None => all.filter(|(offset, _)| *offset >= from).collect(),
            _ => all.collect(),
        };
        if expected.is_empty() {
            prop_assert!(set.is_empty());
            return Ok(());
        }
        let (read, wrapper, inner) = unwrapped(set);
        prop_assert_eq!(read, codec);
        let inner = messages(inner);
        // As readers of format 1 find the offsets of wrapped messages.
        let shift = match (&wrapper, format) {
            (Some(wrapper), Format::V1) => wrapper.offset - inner.last().unwrap().offset,
            _ => 0,
        };
        let found: Vec<(i64, Input)> = inner
            .into_iter()
            .map(|message| {
                let timestamp = message.timestamp;
                let owned = |bytes: Option<Bytes>| bytes.map(|bytes| bytes.to_vec());
                (message.offset + shift, (timestamp, owned(message.key), owned(message.value)))
            })
            .collect();
        let expected: Vec<(i64, Input)> = expected
            .into_iter()
            .map(|(offset, (timestamp, key, value))| {
                let timestamp = if format == Format::V0 { -1 } else { timestamp };
                (offset, (timestamp, key, value))
            })
            .collect();
        prop_assert_eq!(found, expected);
    }
}
