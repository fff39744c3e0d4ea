//! Random messages of random schemas, held against `prost-reflect`: what is taken, and what is read.

mod common;
#[path = "common/proto.rs"]
mod proto;

use common::{Rng, spell_row};
use fletch_columnar::{Transcoder, Types};
use proptest::prelude::*;
use prost_reflect::prost::Message;
use proto::{compare, read, sides};

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
