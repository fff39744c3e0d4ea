//! Random messages of random schemas, held against `prost-reflect`: what is taken, and what is read.

mod common;
#[path = "common/proto.rs"]
mod proto;

use common::{Rng, spell_row};
use fletch_columnar::protobuf::{MessagePath, Schema, Writer};
use fletch_columnar::{Decoder, Limits, Options, Transcoder, Types};
use proptest::prelude::*;
use prost_reflect::prost::Message;
use prost_reflect::{DescriptorPool, MessageDescriptor};

/// The schema's row message, as both sides have it.
fn sides(text: &str) -> (Writer, MessageDescriptor) {
    let ours = Schema::parse(text, &[]).unwrap_or_else(|error| panic!("{text}: {error}"));
    let writer = ours
        .writer(MessagePath::FIRST, Limits::default())
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    (writer, descriptor(text))
}

fn descriptor(text: &str) -> MessageDescriptor {
    let file = protox_file(text);
    file.get_message_by_name("M0").expect("the row")
}

fn protox_file(text: &str) -> DescriptorPool {
    struct One(String);
    impl protox::file::FileResolver for One {
        fn open_file(&self, name: &str) -> Result<protox::file::File, protox::Error> {
            match name {
                "one.proto" => protox::file::File::from_source(name, &self.0),
                _ => protox::file::GoogleFileResolver::new().open_file(name),
            }
        }
    }
    let mut compiler = protox::Compiler::with_file_resolver(One(text.to_owned()));
    compiler.open_file("one.proto").expect("a file");
    compiler.descriptor_pool()
}

/// Transcodes payloads, and spells what the columns say of those that are taken.
fn read(writer: &mut Writer, payloads: &[Vec<u8>], profile: Types) -> Vec<Result<String, String>> {
    let options = Options {
        profile,
        ..Options::default()
    };
    let mut decoder = Decoder::new(writer.schema(), options).expect("a layout");
    decoder.add_writer(0, writer.schema()).expect("a plan");
    let mut rows = Vec::new();
    let mut results = Vec::new();
    for payload in payloads {
        let mut row = Vec::new();
        match writer.transcode(payload, &mut row) {
            Ok(()) => {
                results.push(Ok(String::new()));
                rows.push(row);
            }
            Err(misfit) => results.push(Err(misfit.to_string())),
        }
    }
    let refs: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
    let decoded = decoder.decode(&refs);
    assert_eq!(decoded.errors, [], "a row that its own schema doesn't read");
    for (row, result) in results
        .iter_mut()
        .filter_map(|r| r.as_mut().ok())
        .enumerate()
    {
        *result = proto::normalize(&spell_row(&decoded.batch, row));
    }
    results
}

fn compare(text: &str, payloads: &[Vec<u8>]) -> (usize, usize) {
    let (mut writer, descriptor) = sides(text);
    let (mut compared, mut refused) = (0, 0);
    let ours = read(&mut writer, payloads, Types::Arrow);
    for (payload, ours) in payloads.iter().zip(ours) {
        let theirs = proto::oracle(&descriptor, payload);
        match (ours, theirs) {
            (Ok(ours), Some(theirs)) => {
                if let Some(theirs) = proto::spell(&theirs) {
                    assert_eq!(ours, proto::normalize(&theirs), "{text}\n{payload:02x?}");
                    compared += 1;
                }
            }
            (Err(_), None) => refused += 1,
            (Err(why), Some(_)) if proto::is_mistyped_map(text, &why) => {}
            // Times that their types don't allow.
            (Err(why), Some(theirs)) => {
                assert!(
                    proto::spell(&theirs).is_none(),
                    "{text}\n{payload:02x?}\nrefused: {why}"
                );
            }
            (Ok(ours), None) => panic!("{text}\n{payload:02x?}\ntaken: {ours}"),
        }
    }
    (compared, refused)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Messages sent as serializers do, and in every other legal way.
    #[test]
    fn messages_are_read_alike(seed: u64) {
        let mut rng = Rng(seed);
        let text = proto::file(&mut rng);
        let (_, descriptor) = sides(&text);
        let mut payloads = Vec::new();
        for _ in 0..8 {
            let bytes = proto::value(&mut rng, &descriptor, 4).encode_to_vec();
            payloads.push(proto::scramble(&mut rng, &descriptor, &bytes));
            payloads.push([&bytes[..], payloads.last().unwrap()].concat());
            payloads.push(bytes);
        }
        let (_, refused) = compare(&text, &payloads);
        assert_eq!(refused, 0, "{text}");
    }

    /// Messages that were spoilt are refused alike, or read alike.
    #[test]
    fn what_is_spoilt_is_judged_alike(seed: u64) {
        let mut rng = Rng(seed);
        let text = proto::file(&mut rng);
        let (_, descriptor) = sides(&text);
        let payloads: Vec<_> = (0..24)
            .map(|_| {
                let bytes = proto::value(&mut rng, &descriptor, 3).encode_to_vec();
                let mut bytes = proto::scramble(&mut rng, &descriptor, &bytes);
                proto::spoil(&mut rng, &mut bytes);
                bytes
            })
            .collect();
        compare(&text, &payloads);
    }

    /// A table takes in every schema: its columns are those of Iceberg, too.
    #[test]
    fn rows_fit_both_profiles(seed: u64) {
        let mut rng = Rng(seed);
        let text = proto::file(&mut rng);
        let (mut writer, descriptor) = sides(&text);
        let payloads: Vec<_> = (0..4)
            .map(|_| proto::value(&mut rng, &descriptor, 3).encode_to_vec())
            .collect();
        for row in read(&mut writer, &payloads, Types::Iceberg) {
            prop_assert!(row.is_ok());
        }
        // The schema survives being stored, and is its own when it comes again.
        let schema = writer.schema().json();
        let stored = fletch_columnar::avro::Schema::parse(&schema, &[]).expect("our own text");
        prop_assert_eq!(stored.json(), schema);
        let again = writer.aligned(&stored);
        prop_assert!(!fletch_columnar::avro::grow(Some(&stored), again.schema()).unwrap().changed);
    }
}
