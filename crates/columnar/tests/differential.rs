//! Held against `apache-avro` (values, acceptance, resolution) and `arrow-avro` (values), over
//! random schemas and random bodies.

mod common;

use apache_avro::types::Value as Avro;
use common::{Rng, SchemaMaker, Shape, body, spell_array, spell_avro, spell_row};
use fletch_columnar::avro::Schema;
use fletch_columnar::{Decoded, Decoder, InstructionSet, Options, Reason};
use proptest::prelude::*;
use serde_json::{Value, json};

const EVERYTHING: Shape = Shape {
    general_unions: true,
    durations: true,
    decimals: true,
    depth: 3,
};

/// Random schemas a test. Miri takes a thousand times as long.
const CASES: u32 = if cfg!(miri) { 2 } else { 400 };

fn decode(writer: &str, reader: &str, bodies: &[Vec<u8>]) -> Decoded {
    let writer = Schema::parse(writer, &[]).expect("a schema of ours");
    let reader = Schema::parse(reader, &[]).expect("a schema of ours");
    let mut decoder = Decoder::new(&reader, Options::default()).expect("a layout");
    decoder.add_writer(1, &writer).expect("a plan");
    let refs: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
    // The portable kernels are the specification: every instruction set does what they do.
    let mut all = InstructionSet::available().into_iter().map(|set| {
        decoder.use_instruction_set(set);
        decoder.decode(&refs)
    });
    let portable = all.next().expect("the portable set");
    for other in all {
        assert_eq!(portable.errors, other.errors);
        assert_eq!(portable.batch, other.batch);
    }
    portable
}

/// What `apache-avro` makes of a body, if it takes all of it.
fn apache(schema: &apache_avro::Schema, body: &[u8]) -> Option<Avro> {
    let mut rest = body;
    let value = apache_avro::from_avro_datum(schema, &mut rest, None).ok()?;
    // It reads past a missing end as nulls.
    (rest.is_empty() && value.validate(schema)).then_some(value)
}

fn random(seed: u64, shape: Shape, rows: usize) -> (String, Vec<Vec<u8>>) {
    let mut rng = Rng(seed);
    let schema = SchemaMaker::new(&mut rng, shape).record(0);
    let bodies = (0..rows)
        .map(|_| {
            let mut out = Vec::new();
            body(&schema, &mut rng, &mut out);
            out
        })
        .collect();
    (schema.to_string(), bodies)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    /// Good rows: the same values as `apache-avro` reads.
    #[test]
    fn values_are_those_of_apache_avro(seed: u64, rows in 0usize..300) {
        let (schema, bodies) = random(seed, EVERYTHING, rows);
        let decoded = decode(&schema, &schema, &bodies);
        prop_assert!(decoded.errors.is_empty(), "{schema}\n{:?}", decoded.errors);
        for column in decoded.batch.columns() {
            prop_assert!(column.to_data().validate_full().is_ok(), "{:?}", column.to_data().validate_full());
        }
        let parsed = apache_avro::Schema::parse_str(&schema).unwrap();
        for (row, body) in bodies.iter().enumerate() {
            let theirs = apache_avro::from_avro_datum(&parsed, &mut body.as_slice(), None).unwrap();
            prop_assert_eq!(spell_row(&decoded.batch, row), spell_avro(&theirs), "{}", schema);
        }
    }

    /// Spoilt rows: refused where `apache-avro` refuses, and the others come through.
    #[test]
    fn spoilt_rows_are_refused_alone(seed: u64) {
        let (schema, mut bodies) = random(seed, EVERYTHING, 200);
        let mut rng = Rng(!seed);
        for body in &mut bodies {
            if rng.chance(70) || body.is_empty() {
                continue;
            }
            let at = rng.below(body.len());
            match rng.below(5) {
                0 => body.truncate(at),
                1 => body[at] = rng.next() as u8,
                2 => body[at] = *rng.pick(&[0x80, 0xff, 0x7f, 0, 1, 2, 3]),
                3 => body.insert(at, rng.next() as u8),
                _ => { body.remove(at); }
            }
        }
        let decoded = decode(&schema, &schema, &bodies);
        let parsed = apache_avro::Schema::parse_str(&schema).unwrap();
        let mut errors = decoded.errors.iter().peekable();
        let mut good = 0;
        for (row, body) in bodies.iter().enumerate() {
            if let Some(error) = errors.next_if(|e| e.row == row) {
                prop_assert!(error.position <= body.len());
                match error.reason {
                    // It takes these, out of leniency or for want of a precision to hold to; and
                    // the lengths it isn't asked about, for it would allocate them.
                    Reason::UnexpectedEnd { .. } | Reason::LengthPastEnd { .. }
                    | Reason::VarintTooLong | Reason::DecimalOutOfRange { .. }
                    | Reason::DurationOutOfRange(_) | Reason::TooManyItems(_)
                    | Reason::NegativeLength(_) | Reason::InvalidUuid => {}
                    Reason::Inconsistent => prop_assert!(false, "{schema}: {error}"),
                    _ => prop_assert!(apache(&parsed, body).is_none(), "{schema}: {error}"),
                }
                continue;
            }
            let theirs = apache(&parsed, body);
            prop_assert!(theirs.is_some(), "{schema}: apache-avro refuses row {row}: {body:?}");
            let ours = spell_row(&decoded.batch, good);
            prop_assert_eq!(ours, spell_avro(&theirs.unwrap()), "{}", schema);
            good += 1;
        }
        prop_assert_eq!(good, decoded.batch.num_rows());
    }

    /// A reader schema that grew out of the writer's: the values `apache-avro` resolves to.
    /// (Decimals aside: it finds 18 digits too few for six bytes.)
    #[test]
    fn resolution_is_that_of_apache_avro(seed: u64, rows in 1usize..100) {
        let shape = Shape { general_unions: false, durations: false, decimals: false, depth: 3 };
        let (writer, bodies) = random(seed, shape, rows);
        let mut rng = Rng(seed ^ 0x5555);
        let mut reader: Value = serde_json::from_str(&writer).unwrap();
        evolve(&mut reader, &mut rng);
        let reader = reader.to_string();
        let decoded = decode(&writer, &reader, &bodies);
        prop_assert!(decoded.errors.is_empty(), "{writer}\n{reader}\n{:?}", decoded.errors);
        let w = apache_avro::Schema::parse_str(&writer).unwrap();
        let r = apache_avro::Schema::parse_str(&reader).unwrap();
        for (row, body) in bodies.iter().enumerate() {
            let theirs = apache_avro::from_avro_datum(&w, &mut body.as_slice(), Some(&r));
            prop_assert!(theirs.is_ok(), "{writer}\n{reader}\n{theirs:?}");
            prop_assert_eq!(
                spell_row(&decoded.batch, row), spell_avro(&theirs.unwrap()),
                "{}\n{}", writer, reader
            );
        }
    }

    /// Two writers, changing at random, with refused rows among them: every row as if alone.
    #[test]
    fn rows_do_not_depend_on_their_neighbours(seed: u64) {
        let shape = Shape { general_unions: true, durations: true, decimals: true, depth: 3 };
        let (writer, bodies) = random(seed, shape, 150);
        let mut rng = Rng(seed ^ 0xaaaa);
        let mut reader: Value = serde_json::from_str(&writer).unwrap();
        evolve(&mut reader, &mut rng);
        let reader = reader.to_string();
        let (writer, reader) =
            (Schema::parse(&writer, &[]).unwrap(), Schema::parse(&reader, &[]).unwrap());
        let options = Options { all_nullable: true, ..Options::default() };
        let mut decoder = Decoder::new(&reader, options).unwrap();
        decoder.add_writer(1, &writer).unwrap();
        decoder.add_writer(2, &writer).unwrap();
        // And one that begins alike and sends more.
        let mut more: Value = serde_json::from_str(&writer.json()).unwrap();
        let fields = more["fields"].as_array_mut().unwrap();
        fields.push(json!({"name": "more", "type": "string"}));
        decoder.add_writer(3, &Schema::parse(&more.to_string(), &[]).unwrap()).unwrap();
        // Strips without null rows and unknown writers are decoded another way.
        let odd = if rng.chance(50) { 10 } else { 0 };
        let mut bodies = bodies;
        let writers: Vec<u32> = bodies.iter_mut().map(|body| {
            let writer = 1 + rng.below(3) as u32;
            if writer == 3 {
                body.extend([4, b'o', b'k']);
            }
            if rng.chance(odd) { 9 } else { writer }
        }).collect();
        let rows: Vec<fletch_columnar::Row<'_>> = bodies.iter().zip(writers).map(|(body, writer)| {
            let end = if rng.chance(10) { body.len() / 2 } else { body.len() };
            fletch_columnar::Row { writer, body: (!rng.chance(odd)).then_some(&body[..end]) }
        }).collect();
        let together = decoder.decode_rows(&rows);
        prop_assert_eq!(together.batch.num_rows() + together.errors.len(), rows.len());
        let mut good = 0;
        for (i, row) in rows.iter().enumerate() {
            let alone = decoder.decode_rows(&[*row]);
            if let Some(error) = alone.errors.first() {
                let same = together.errors.iter().find(|e| e.row == i).expect("refused together");
                prop_assert_eq!(
                    (&error.path, error.position, error.reason),
                    (&same.path, same.position, same.reason)
                );
                continue;
            }
            prop_assert_eq!(spell_row(&alone.batch, 0), spell_row(&together.batch, good));
            good += 1;
        }
    }

    /// Where `arrow-avro` knows the types: the same arrays.
    #[test]
    fn values_are_those_of_arrow_avro(seed: u64, rows in 1usize..100) {
        let shape = Shape { general_unions: false, durations: false, decimals: true, depth: 3 };
        let (schema, bodies) = random(seed, shape, rows);
        let decoded = decode(&schema, &schema, &bodies);
        prop_assert!(decoded.errors.is_empty());
        let Some(theirs) = arrow_avro(&schema, &bodies) else { return Ok(()) };
        for (i, field) in theirs.schema().fields().iter().enumerate() {
            let ours = decoded.batch.column_by_name(field.name()).expect("the same columns");
            // Its UUIDs and 128-bit limits are its own affair.
            for row in 0..rows {
                let (a, b) = (spell_array(ours, row), spell_array(theirs.column(i), row));
                prop_assert_eq!(a, b, "{} {}", schema, field.name());
            }
        }
    }
}

/// `arrow-avro`'s batch, or `None` where it doesn't take the schema or the rows.
fn arrow_avro(schema: &str, bodies: &[Vec<u8>]) -> Option<arrow_array::RecordBatch> {
    use arrow_avro::schema::{AvroSchema, Fingerprint, FingerprintAlgorithm, SchemaStore};
    let mut store = SchemaStore::new_with_type(FingerprintAlgorithm::Id);
    let id = Fingerprint::Id(1);
    store.set(id, AvroSchema::new(schema.to_owned())).ok()?;
    let mut decoder = arrow_avro::reader::ReaderBuilder::new()
        .with_batch_size(bodies.len())
        .with_writer_schema_store(store)
        .with_active_fingerprint(id)
        .build_decoder()
        .ok()?;
    for body in bodies {
        let mut message = vec![0, 0, 0, 0, 1];
        message.extend_from_slice(body);
        let mut rest = message.as_slice();
        while !rest.is_empty() {
            let n = decoder.decode(rest).ok()?;
            if n == 0 {
                return None;
            }
            rest = &rest[n..];
        }
    }
    decoder.flush().ok()?
}

/// Changes a schema into one that still reads the old one's rows.
fn evolve(schema: &mut Value, rng: &mut Rng) {
    match schema {
        // Only a sole member besides null: promotions among many would be ambiguous.
        Value::Array(members) if members.len() == 2 && members.contains(&json!("null")) => {
            members.iter_mut().for_each(|m| evolve(m, rng));
        }
        Value::Object(o) => match o["type"].as_str() {
            Some("record") => {
                let fields = o["fields"].as_array_mut().expect("fields");
                if fields.len() > 1 && rng.chance(30) {
                    fields.remove(rng.below(fields.len()));
                }
                if rng.chance(40) {
                    let (a, b) = (rng.below(fields.len()), rng.below(fields.len()));
                    fields.swap(a, b);
                }
                for field in fields.iter_mut() {
                    evolve(&mut field["type"], rng);
                    // Alone in a field, a value may become optional.
                    if !field["type"].is_array() && rng.chance(15) {
                        field["type"] = json!(["null", field["type"].take()]);
                    }
                }
                if rng.chance(50) {
                    let added = [
                        json!({"name": "added", "type": "int", "default": -5}),
                        json!({"name": "added", "type": "string", "default": "déjà"}),
                        json!({"name": "added", "type": ["null", "long"], "default": null}),
                        json!({"name": "added", "type": "double", "default": 1.5}),
                        json!({"name": "added", "type": "boolean", "default": true}),
                        json!({"name": "added", "type": {"type": "array", "items": "int"}, "default": [1, 2]}),
                        json!({"name": "added", "type": {"type": "map", "values": "int"}, "default": {"a": 2}}),
                    ];
                    let at = rng.below(fields.len() + 1);
                    fields.insert(at, rng.pick(&added).clone());
                }
            }
            Some("array") => evolve(o.get_mut("items").expect("items"), rng),
            Some("map") => evolve(o.get_mut("values").expect("values"), rng),
            Some("enum") => {
                let symbols = o["symbols"].as_array_mut().expect("symbols");
                if rng.chance(50) {
                    symbols.insert(0, json!("NEW"));
                }
            }
            _ => {}
        },
        Value::String(name) => {
            let to: &[&str] = match name.as_str() {
                "int" => &["int", "long", "float", "double"],
                "long" => &["long", "float", "double"],
                "float" => &["float", "double"],
                // Random bytes aren't text, so only this way round.
                "string" => &["string", "bytes"],
                _ => return,
            };
            *schema = json!(*rng.pick(to));
        }
        _ => {}
    }
}

#[test]
fn a_decoder_may_move_between_threads() {
    let schema = Schema::parse("\"string\"", &[]).unwrap();
    let mut decoder = Decoder::new(&schema, Options::default()).unwrap();
    decoder.add_writer(0, &schema).unwrap();
    let rows = std::thread::spawn(move || decoder.decode(&[&[2, b'x']]).batch.num_rows());
    assert_eq!(rows.join().unwrap(), 1);
}
