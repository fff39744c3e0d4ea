//! Avro rows of a random schema: the portable kernels against every other instruction set, and
//! both against `apache-avro`, in what they take and in what they read.
//!
//! The first eight bytes choose the schema and good bodies for it; the rest says how those are
//! spoilt, or is taken for bodies itself.

#![no_main]

#[path = "../../crates/columnar/tests/common/mod.rs"]
mod common;

use common::{Rng, SchemaMaker, Shape, body, spell_avro, spell_row};
use fletch_columnar::avro::Schema;
use fletch_columnar::{Decoder, InstructionSet, Options, Reason};
use libfuzzer_sys::fuzz_target;

const EVERYTHING: Shape = Shape {
    general_unions: true,
    durations: true,
    decimals: true,
    depth: 3,
};

fuzz_target!(|input: &[u8]| {
    let Some((seed, rest)) = input.split_first_chunk::<8>() else {
        return;
    };
    let mut rng = Rng(u64::from_le_bytes(*seed));
    let schema = SchemaMaker::new(&mut rng, EVERYTHING).record(0);
    let mut bodies = bodies(&schema, &mut rng, rest);
    bodies.truncate(64);
    let text = schema.to_string();
    let ours = Schema::parse(&text, &[]).expect("a schema that was made right");
    let theirs = apache_avro::Schema::parse_str(&text).expect("a schema that was made right");

    let mut decoder = Decoder::new(&ours, Options::default()).expect("a layout");
    decoder.add_writer(0, &ours).expect("a plan");
    let refs: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
    let mut all = InstructionSet::available().into_iter().map(|set| {
        decoder.use_instruction_set(set);
        decoder.decode(&refs)
    });
    let portable = all.next().expect("the portable set");
    for other in all {
        assert_eq!(portable.errors, other.errors);
        assert_eq!(portable.batch, other.batch);
    }

    let mut errors = portable.errors.iter().peekable();
    let mut good = 0;
    for (row, body) in bodies.iter().enumerate() {
        if let Some(error) = errors.next_if(|e| e.row == row) {
            match error.reason {
                // It reads past a missing end as nulls, holds no decimal to its precision, and
                // would allocate what a length asks for.
                Reason::UnexpectedEnd { .. }
                | Reason::LengthPastEnd { .. }
                | Reason::NegativeLength(_)
                | Reason::VarintTooLong
                | Reason::DecimalOutOfRange { .. }
                | Reason::DurationOutOfRange(_)
                | Reason::TooManyItems(_)
                | Reason::InvalidUuid => {}
                Reason::Inconsistent => panic!("{text}: {error}"),
                _ => assert!(apache(&theirs, body).is_none(), "{text}: {error}"),
            }
            continue;
        }
        let value = apache(&theirs, body).unwrap_or_else(|| panic!("{text}: taken: {body:?}"));
        assert_eq!(spell_row(&portable.batch, good), spell_avro(&value), "{text}");
        good += 1;
    }
    assert_eq!(good, portable.batch.num_rows());
});

/// Good bodies, spoilt as `rest` says: each three bytes of it are a row, a place and a byte to put
/// there. The last body is `rest` itself.
fn bodies(schema: &serde_json::Value, rng: &mut Rng, rest: &[u8]) -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> = (0..20)
        .map(|_| {
            let mut out = Vec::new();
            body(schema, rng, &mut out);
            out
        })
        .collect();
    let (spoils, _) = rest.as_chunks::<3>();
    for &[row, place, byte] in spoils.iter().take(40) {
        let count = bodies.len();
        let body = &mut bodies[usize::from(row) % count];
        if body.is_empty() {
            body.push(byte);
            continue;
        }
        let place = usize::from(place) % body.len();
        match row / 64 {
            0 => body[place] = byte,
            1 => body.insert(place, byte),
            2 => body.truncate(place),
            _ => {
                body.remove(place);
            }
        }
    }
    bodies.push(rest.to_vec());
    bodies
}

/// What `apache-avro` makes of a body, if it takes all of it.
fn apache(schema: &apache_avro::Schema, body: &[u8]) -> Option<apache_avro::types::Value> {
    let mut rest = body;
    let value = apache_avro::from_avro_datum(schema, &mut rest, None).ok()?;
    (rest.is_empty() && value.validate(schema)).then_some(value)
}
