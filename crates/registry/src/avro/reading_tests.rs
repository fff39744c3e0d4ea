//! What is said to fit is read, by an implementation that knows nothing of the rules here.

use std::collections::HashMap;

use apache_avro::schema::{Name, NamesRef, ResolvedSchema};
use apache_avro::types::Value;
use apache_avro::{Schema, from_avro_datum, to_avro_datum};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

use super::compatibility::incompatibilities;
use super::parse;

/// A random value of a schema, unless it would go too deep.
fn value(rng: &mut TestRng, schema: &Schema, names: &NamesRef<'_>, depth: u32) -> Option<Value> {
    let deeper = depth.checked_sub(1)?;
    let pick = |rng: &mut TestRng, below: usize| (rng.next_u32() as usize) % below.max(1);
    Some(match schema {
        Schema::Null => Value::Null,
        Schema::Boolean => Value::Boolean(rng.next_u32().is_multiple_of(2)),
        Schema::Int => Value::Int(rng.next_u32() as i32),
        Schema::Long => Value::Long(rng.next_u64() as i64),
        Schema::Float => Value::Float(rng.next_u32() as f32),
        Schema::Double => Value::Double(rng.next_u64() as f64),
        // Bytes that are read as a text have to be one.
        Schema::Bytes => Value::Bytes(b"bytes".to_vec()),
        Schema::String => Value::String("text".into()),
        Schema::Fixed(fixed) => Value::Fixed(fixed.size, vec![7; fixed.size]),
        Schema::Enum(symbols) => {
            let at = pick(rng, symbols.symbols.len());
            Value::Enum(at as u32, symbols.symbols[at].clone())
        }
        Schema::Array(array) => {
            let items = (0..pick(rng, 3)).filter_map(|_| value(rng, &array.items, names, deeper));
            Value::Array(items.collect())
        }
        Schema::Map(map) => {
            let values = (0..pick(rng, 3))
                .filter_map(|at| Some((at.to_string(), value(rng, &map.types, names, deeper)?)));
            Value::Map(values.collect::<HashMap<_, _>>())
        }
        Schema::Union(union) => {
            let first = pick(rng, union.variants().len());
            let tries =
                (0..union.variants().len()).map(|step| (first + step) % union.variants().len());
            let mut found = None;
            for at in tries {
                found = value(rng, &union.variants()[at], names, deeper)
                    .map(|value| Value::Union(at as u32, Box::new(value)));
                if found.is_some() {
                    break;
                }
            }
            found?
        }
        Schema::Record(record) => {
            let fields = record.fields.iter().map(|field| {
                Some((
                    field.name.clone(),
                    value(rng, &field.schema, names, deeper)?,
                ))
            });
            Value::Record(fields.collect::<Option<Vec<_>>>()?)
        }
        Schema::Ref { name } => value(rng, by_name(names, name)?, names, deeper)?,
        other => panic!("no such type is made: {other:?}"),
    })
}

fn by_name<'a>(names: &NamesRef<'a>, name: &Name) -> Option<&'a Schema> {
    names.get(name).copied()
}

#[test]
fn what_fits_is_read() {
    let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let own = include_str!("../../tests/data/avro-java/pairs.jsonl");
    let (mut pairs, mut read) = (0, 0);
    for line in own.lines() {
        let pair: serde_json::Value = serde_json::from_str(line).unwrap();
        let (Some(reader), Some(writer)) =
            (pair["readerText"].as_str(), pair["writerText"].as_str())
        else {
            continue;
        };
        // Which this implementation doesn't look at.
        if reader.contains("aliases") {
            continue;
        }
        let (Ok(our_reader), Ok(our_writer)) = (parse(reader, &[]), parse(writer, &[])) else {
            continue;
        };
        if !incompatibilities(&our_reader, &our_writer).is_empty() {
            continue;
        }
        // Nor does it find a name of the null namespace from within another.
        let (Ok(reader_schema), Ok(writer_schema)) =
            (Schema::parse_str(reader), Schema::parse_str(writer))
        else {
            continue;
        };
        let resolved = ResolvedSchema::try_from(&writer_schema).unwrap();
        pairs += 1;
        for _ in 0..8 {
            let Some(value) = value(&mut rng, &writer_schema, resolved.get_names(), 12) else {
                continue;
            };
            let bytes = to_avro_datum(&writer_schema, value.clone()).unwrap();
            let outcome =
                from_avro_datum(&writer_schema, &mut bytes.as_slice(), Some(&reader_schema));
            assert!(
                outcome.is_ok(),
                "{reader}\n{writer}\n{value:?}\n{outcome:?}"
            );
            read += 1;
        }
    }
    assert!(pairs > 50 && read > 300, "{pairs} pairs, {read} values");
}
