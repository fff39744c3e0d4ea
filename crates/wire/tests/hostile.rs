//! Bytes that lie about how much they are: counts, lengths, claims in the headers of codecs, bombs.
//! Each is refused, and memory stays flat.

mod support;

use bytes::{Bytes, BytesMut};
use fletch_wire::{
    Error, Fault, FrameDecoder, Limits, TaggedFields, decode_request, decode_response,
    messages::{APIS, DeleteTopicsRequest, DescribeClusterRequest, Message},
    records::{Batch, BatchBuilder, BatchHeader, Compression, CompressionFault, Records, admit},
};
use peak_alloc::PeakAlloc;
use support::Choices;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// What is allocated at most at once while this runs, beyond what was before.
fn peak<T>(run: impl FnOnce() -> T) -> (usize, T) {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let result = run();
    (MEMORY.peak_usage().saturating_sub(before), result)
}

/// The allocator counts for the whole process, so there is one test, of many.
#[test]
fn memory_stays_flat() {
    counts_and_lengths();
    small_elements_of_large_vectors();
    unknown_tags();
    frames();
    bombs();
    claims_of_codecs();
    windows_of_zstd();
    counts_of_batches();
}

/// Every place of every message, overwritten with the largest count.
fn counts_and_lengths() {
    let noise: Vec<u8> = (0..300u32).map(|i| ((i * i * 31) >> 3) as u8).collect();
    for api in APIS {
        for version in api.versions.iter() {
            let request = support::request(api.key.0, &api.request, version, &mut Choices(&noise));
            let response =
                support::response(api.key.0, &api.response, version, &mut Choices(&noise));
            for lie in [
                &[0x7f, 0xff, 0xff, 0xff][..],
                &[0xff, 0xff, 0xff, 0xff, 0x0f],
                &[0xff; 5],
            ] {
                let lies = |bytes: &[u8], at: usize| -> Bytes {
                    let end = (at + lie.len()).min(bytes.len());
                    [&bytes[..at], lie, &bytes[end..]].concat().into()
                };
                for at in 8..request.len() {
                    let bytes = lies(&request, at);
                    let (peak, _) = peak(|| decode_request(bytes, &Limits::default()).is_ok());
                    assert!(peak < 64 * KIB, "{} {version} at {at}: {peak}", api.key);
                }
                for at in 4..response.len() {
                    let bytes = lies(&response, at);
                    let (peak, _) = peak(|| {
                        decode_response(bytes, api.key, version, &Limits::default()).is_ok()
                    });
                    assert!(peak < 64 * KIB, "{} {version} at {at}: {peak}", api.key);
                }
            }
        }
    }
}

/// A megabyte of empty strings is 32 of vector.
fn small_elements_of_large_vectors() {
    let mut bytes = BytesMut::new();
    bytes.extend_from_slice(&[0x81, 0x80, 0x40]); // 2^20 elements, plus one
    bytes.resize(3 + MIB, 1);
    bytes.extend_from_slice(&[0; 5]);
    let bytes = bytes.freeze();
    let limits = Limits {
        vectors_bytes_max: 2 * MIB,
        ..Limits::default()
    };
    let (used, result) = peak(|| DeleteTopicsRequest::from_bytes(bytes.clone(), 5, &limits));
    assert!(
        matches!(
            result,
            Err(Error::Malformed {
                fault: Fault::VectorsTooLarge { .. },
                ..
            })
        ),
        "{result:?}"
    );
    assert!(used < 64 * KIB, "{used}");
    let (used, result) = peak(|| {
        DeleteTopicsRequest::from_bytes(bytes, 5, &Limits::default()).map(|r| r.topic_names.len())
    });
    assert_eq!(result, Ok(MIB));
    assert!((32 * MIB..40 * MIB).contains(&used), "{used}");
}

fn unknown_tags() {
    let mut request = DescribeClusterRequest::default();
    let mut tags = TaggedFields::default();
    (0..100).for_each(|tag| tags.insert(tag, Bytes::from(vec![7; KIB])));
    request.unknown_tagged_fields = tags;
    let bytes = request.to_bytes(1).unwrap();
    let result = DescribeClusterRequest::from_bytes(bytes.clone(), 1, &Limits::default());
    assert!(
        matches!(
            result,
            Err(Error::Malformed {
                fault: Fault::UnknownTagsTooLarge { .. },
                ..
            })
        ),
        "{result:?}"
    );
    let limits = Limits {
        unknown_tags_bytes_max: MIB,
        ..Limits::default()
    };
    assert_eq!(
        DescribeClusterRequest::from_bytes(bytes, 1, &limits),
        Ok(request)
    );

    // Four billion of them, and two out of order.
    let read = |section: &[u8]| {
        let bytes = [&[0, 1][..], section].concat();
        DescribeClusterRequest::from_bytes(bytes.into(), 1, &Limits::default())
    };
    let (used, result) = peak(|| read(&[0xff, 0xff, 0xff, 0xff, 0x0f]));
    assert!(result.is_err() && used < KIB, "{used} {result:?}");
    let result = read(&[2, 9, 0, 9, 0]);
    let fault = Fault::TagOrder {
        tag: 9,
        previous: 9,
    };
    assert!(
        matches!(result, Err(Error::Malformed { fault: f, .. }) if f == fault),
        "{result:?}"
    );
}

fn frames() {
    for length in [i32::MAX, i32::MIN, -1, (100 << 20) + 1] {
        let mut buffer = BytesMut::from(&length.to_be_bytes()[..]);
        let decoder = FrameDecoder::new(&Limits::default());
        let (used, result) = peak(|| decoder.decode(&mut buffer));
        assert!(result.is_err() && used < KIB, "{length}: {used} {result:?}");
    }
    // One that is allowed is not paid for before it comes.
    let mut buffer = BytesMut::from(&(100i32 << 20).to_be_bytes()[..]);
    let (used, result) = peak(|| FrameDecoder::new(&Limits::default()).decode(&mut buffer));
    assert!(result == Ok(None) && used < 2 * MIB, "{used} {result:?}");
}

/// Zeros, compressed, in all codecs, against both limits.
fn bombs() {
    let zeros = vec![0u8; 48 * MIB];
    for codec in Compression::ALL {
        let bomb = Bytes::from(codec.compress(&zeros).unwrap());
        let size = Limits {
            decompressed_bytes_max: 2 * MIB,
            ..Limits::default()
        };
        let size = Limits {
            decompression_ratio_max: usize::MAX,
            ..size
        };
        let (used, result) = peak(|| codec.decompress(&bomb, &size));
        let fault = CompressionFault::TooLarge { bytes_max: 2 * MIB };
        assert_eq!(result, Err(Error::Compression { codec, fault }));
        assert!(used < 9 * MIB, "{codec}: {used}");

        let ratio = Limits {
            decompression_ratio_max: 2,
            ..Limits::default()
        };
        let (used, result) = peak(|| codec.decompress(&bomb, &ratio));
        if codec == Compression::None {
            assert!(result.is_ok());
            continue;
        }
        let fault = CompressionFault::Bomb {
            bytes: bomb.len(),
            ratio_max: 2,
        };
        assert_eq!(result, Err(Error::Compression { codec, fault }));
        let allowed = (bomb.len() * 2).max(MIB);
        assert!(used < 4 * allowed + 5 * MIB, "{codec}: {used}");

        let all = codec.decompress(
            &bomb,
            &Limits {
                decompression_ratio_max: usize::MAX,
                ..Limits::default()
            },
        );
        assert_eq!(all.unwrap().len(), zeros.len());
        // A megabyte of zeros is no bomb, whatever the ratio.
        let small = Bytes::from(codec.compress(&zeros[..MIB]).unwrap());
        assert_eq!(codec.decompress(&small, &ratio).unwrap().len(), MIB);
    }
}

/// Headers that claim gigabytes.
fn claims_of_codecs() {
    let refused = |codec: Compression, bytes: &[u8]| {
        let bytes = Bytes::copy_from_slice(bytes);
        let (used, result) = peak(|| codec.decompress(&bytes, &Limits::default()));
        assert!(result.is_err(), "{codec} {bytes:?}");
        assert!(used < 512 * KIB, "{codec}: {used}");
    };
    // Raw snappy of 4 GiB, and the same as a block, and a block of 4 GiB of input.
    let claim = [0xff, 0xff, 0xff, 0xff, 0x0f];
    refused(Compression::Snappy, &claim);
    let xerial = Compression::Snappy.compress(&[]).unwrap();
    refused(
        Compression::Snappy,
        &[&xerial[..], &[0, 0, 0, 5], &claim].concat(),
    );
    refused(
        Compression::Snappy,
        &[&xerial[..], &[0xff, 0xff, 0xff, 0xff], &claim].concat(),
    );
    refused(Compression::Snappy, &xerial[..10]);

    let gzip = Compression::Gzip.compress(b"x").unwrap();
    refused(
        Compression::Gzip,
        &[&gzip[..gzip.len() - 4], &[0xff; 4]].concat(),
    );

    // LZ4: a content size of 2^64 - 1, with blocks of 4 MiB, one of which is there.
    let mut descriptor = vec![0x68, 0x70];
    descriptor.extend([0xff; 8]);
    let checksum = (twox_hash::XxHash32::oneshot(0, &descriptor) >> 8) as u8;
    let frame = [
        &[0x04, 0x22, 0x4d, 0x18][..],
        &descriptor,
        &[checksum],
        &[4, 0, 0, 0],
        &[0xf0, 255, 255, 255],
        &[0; 4],
    ];
    refused(Compression::Lz4, &frame.concat());

    // Zstandard: a frame with an 8-byte content size, single segment.
    let frame = [
        &[0x28, 0xb5, 0x2f, 0xfd, 0xe0][..],
        &[0xff; 7],
        &[0x0f],
        &[1, 0, 0],
    ];
    refused(Compression::Zstd, &frame.concat());

    for codec in &Compression::ALL[1..] {
        refused(*codec, &[]);
        for noise in 0..=255u8 {
            let bytes: Vec<u8> = (0..40).map(|i| noise.wrapping_mul(i ^ 0x5a)).collect();
            let bytes = Bytes::from(bytes);
            let (used, _) = peak(|| codec.decompress(&bytes, &Limits::default()).is_ok());
            assert!(used < 512 * KIB, "{codec}: {used}");
        }
    }
}

/// Zstandard's own memory isn't counted by the allocator: the process's high-water mark is.
fn windows_of_zstd() {
    let resident_max = || -> Option<usize> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
        line.split_whitespace()
            .nth(1)?
            .parse::<usize>()
            .ok()
            .map(|kib| kib * KIB)
    };
    let Some(before) = resident_max() else {
        println!("skipped: no /proc/self/status to read the resident memory from");
        return;
    };
    // A window of 128 MiB, and one of 2 GiB, for a raw block of one byte.
    for (window, accepted) in [(0x88, true), (0xa8, false)] {
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, window, 0x09, 0x00, 0x00, b'x'];
        let result = Compression::Zstd.decompress(&Bytes::from(frame.to_vec()), &Limits::default());
        assert_eq!(result.is_ok(), accepted, "{result:?}");
    }
    let grown = resident_max().unwrap_or_default() - before;
    assert!(grown < 4 * MIB, "{grown}");
}

fn counts_of_batches() {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(0, None, Some(b"x"), &[]).unwrap();
    let batch = builder.finish().unwrap();
    for count in [i32::MAX, i32::MIN, -1, 1000] {
        let header = BatchHeader {
            record_count: count,
            ..*batch
        };
        let (used, result) = peak(|| Records::new(&header, batch.body()).is_ok());
        assert!(!result && used < KIB, "{count}: {used}");
    }
    // A payload of nothing but batch headers.
    let mut empty = batch.bytes()[..61].to_vec();
    empty[8..12].copy_from_slice(&49i32.to_be_bytes());
    let payload = Bytes::from(empty.repeat(1000));
    let (used, result) = peak(|| admit(payload.clone(), &Limits::default()).is_ok());
    assert!(!result && used < KIB * 8, "{used}");
    assert_eq!(
        Batch::parse_all(payload).filter(Result::is_ok).count(),
        1000
    );
}
