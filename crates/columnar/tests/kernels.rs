//! One suite for every instruction set: each kind of value at each length it can have, in strips of
//! every size around a vector's, alone and behind a union's tag, kept and skipped, at a row's end,
//! before another field and in arrays; and each way in which it can be wrong, in every lane.

mod common;

use common::{spell_array, spell_row};
use fletch_columnar::avro::Schema;
use fletch_columnar::{Decoded, Decoder, InstructionSet, Options, Reason};

/// Stamps the suite on the set that bears `$name`, where the machine has it.
macro_rules! suite {
    ($($module:ident: $name:literal),*) => {$(
        mod $module {
            fn set() -> Option<fletch_columnar::InstructionSet> {
                let all = fletch_columnar::InstructionSet::available();
                all.into_iter().find(|set| format!("{set:?}") == $name)
            }

            #[test]
            fn values_of_every_length() {
                set().into_iter().for_each(super::values_of_every_length);
            }

            #[test]
            fn values_behind_a_tag() {
                set().into_iter().for_each(super::values_behind_a_tag);
            }

            #[test]
            fn skipped_values() {
                set().into_iter().for_each(super::skipped_values);
            }

            #[test]
            fn items_of_arrays() {
                set().into_iter().for_each(super::items_of_arrays);
            }

            #[test]
            fn wrong_values_in_every_lane() {
                set().into_iter().for_each(super::wrong_values_in_every_lane);
            }

            #[test]
            fn rows_cut_anywhere() {
                set().into_iter().for_each(super::rows_cut_anywhere);
            }
        }
    )*};
}

suite!(portable: "Portable", bmi2: "Bmi2", avx512: "Avx512");

/// Rows a strip: around one vector of eight, and around several.
const COUNTS: &[usize] = if cfg!(miri) {
    &[1, 9]
} else {
    &[1, 2, 3, 7, 8, 9, 16, 17, 63, 64, 65, 200]
};

/// A type, and values of it: their bytes, and how they are spelled.
struct Kind {
    ty: String,
    values: Vec<(Vec<u8>, String)>,
}

fn zigzag(v: i64) -> Vec<u8> {
    varint(((v << 1) ^ (v >> 63)) as u64)
}

fn varint(mut z: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while z >= 0x80 {
        out.push(z as u8 | 0x80);
        z >>= 7;
    }
    out.push(z as u8);
    out
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    let mut out = zigzag(bytes.len() as i64);
    out.extend_from_slice(bytes);
    out
}

/// The numbers at which a varint of up to `bits` bits gains a byte, on both sides of zero.
fn edges(bits: u32) -> Vec<i64> {
    let mut all = vec![0, -1, 1];
    for bit in (6..bits - 1).step_by(7).chain([bits - 1]) {
        let edge = 1i128 << bit;
        let around = [-edge - 1, -edge, -edge + 1, edge - 1, edge, edge + 1];
        let fits = |v: &i128| (-(1i128 << (bits - 1))..1i128 << (bits - 1)).contains(v);
        all.extend(around.into_iter().filter(fits).map(|v| v as i64));
    }
    all
}

fn number(ty: &str, bits: u32, spell: impl Fn(i64) -> String) -> Kind {
    let mut values: Vec<_> = edges(bits)
        .into_iter()
        .map(|v| (zigzag(v), spell(v)))
        .collect();
    // Longer than it need be, up to the ten bytes a varint may have.
    for len in 2..=10 {
        let mut bytes = vec![0x80; len];
        bytes[0] = 0x82;
        bytes[len - 1] = 0;
        values.push((bytes, spell(1)));
    }
    Kind {
        ty: ty.to_owned(),
        values,
    }
}

fn kinds() -> Vec<Kind> {
    let plain = |v: i64| v.to_string();
    let mut all = vec![
        number("\"int\"", 32, plain),
        number("\"long\"", 64, plain),
        number(r#"{"type":"int","logicalType":"date"}"#, 32, plain),
        number(
            r#"{"type":"long","logicalType":"timestamp-micros"}"#,
            64,
            plain,
        ),
        Kind {
            ty: "\"boolean\"".into(),
            values: vec![(vec![0], "false".into()), (vec![1], "true".into())],
        },
    ];
    let floats = [0.0, -1.5, f64::MAX, f64::MIN_POSITIVE, f64::INFINITY];
    all.push(Kind {
        ty: "\"double\"".into(),
        values: floats
            .iter()
            .map(|v| (v.to_le_bytes().to_vec(), format!("d{:016x}", v.to_bits())))
            .collect(),
    });
    all.push(Kind {
        ty: "\"float\"".into(),
        values: floats
            .iter()
            .map(|&v| v as f32)
            .map(|v| (v.to_le_bytes().to_vec(), format!("f{:08x}", v.to_bits())))
            .collect(),
    });
    let lengths = (0..=70).chain([127, 128, 300, 8191, 8192, 8193, 70_000]);
    let lengths: Vec<usize> = lengths.filter(|&l| !cfg!(miri) || l < 300).collect();
    let text = |len: usize| -> String {
        let mut text: String = "aé東🦀".chars().cycle().take(len / 2).collect();
        while text.len() > len {
            text.pop();
        }
        text.extend(std::iter::repeat_n('x', len - text.len()));
        text
    };
    all.push(Kind {
        ty: "\"string\"".into(),
        values: lengths
            .iter()
            .map(|&len| {
                let text = text(len);
                (sized(text.as_bytes()), format!("{text:?}"))
            })
            .collect(),
    });
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let noise = |len: usize| -> Vec<u8> { (0..len).map(|i| (i * 37 + len) as u8).collect() };
    all.push(Kind {
        ty: "\"bytes\"".into(),
        values: lengths
            .iter()
            .map(|&len| (sized(&noise(len)), hex(&noise(len))))
            .collect(),
    });
    let sizes: &[usize] = if cfg!(miri) {
        &[1, 16, 31]
    } else {
        &[1, 2, 3, 4, 7, 8, 9, 16, 31, 100]
    };
    for &size in sizes {
        all.push(Kind {
            ty: format!(r#"{{"type":"fixed","name":"F","size":{size}}}"#),
            values: vec![(noise(size), hex(&noise(size)))],
        });
    }
    let symbol_count: i64 = if cfg!(miri) { 65 } else { 300 };
    let symbols: Vec<String> = (0..symbol_count).map(|i| format!("\"S{i}\"")).collect();
    all.push(Kind {
        ty: format!(
            r#"{{"type":"enum","name":"E","symbols":[{}]}}"#,
            symbols.join(",")
        ),
        values: [0, 1, 63, 64, symbol_count - 1]
            .into_iter()
            .map(|i| (zigzag(i), format!("\"S{i}\"")))
            .collect(),
    });
    all.extend([18, 38, 39, 76].map(decimals));
    if cfg!(miri) {
        all.iter_mut().for_each(thin_out);
    }
    all
}

/// Leaves the first, the last and a few between: an interpreter takes seconds for each.
fn thin_out(kind: &mut Kind) {
    let step = kind.values.len().div_ceil(5);
    let last = kind.values.pop();
    kind.values = kind
        .values
        .iter()
        .step_by(step)
        .cloned()
        .chain(last)
        .collect();
}

/// Decimals of every length that fits the precision, and with sign bytes before them.
fn decimals(precision: u8) -> Kind {
    let mut values = Vec::new();
    let most = if precision > 18 {
        i128::MAX >> 1
    } else {
        999_999_999_999_999_999
    };
    for shift in 0..127 {
        let v = (i128::MAX >> shift).min(most) / if precision == 38 { 10 } else { 1 };
        for v in [v, -v] {
            let bytes = v.to_be_bytes();
            let fill = (v >> 127) as u8;
            let redundant = |i: usize| bytes[i] == fill && (bytes[i + 1] ^ fill) < 0x80;
            let first = (0..15).find(|&i| !redundant(i)).unwrap_or(15);
            values.push((sized(&bytes[first..]), format!("n{v}")));
            let mut long = vec![fill; shift % 20];
            long.extend_from_slice(&bytes);
            values.push((sized(&long), format!("n{v}")));
        }
    }
    values.push((sized(&[]), "n0".into()));
    Kind {
        ty: format!(
            r#"{{"type":"bytes","logicalType":"decimal","precision":{precision},"scale":3}}"#
        ),
        values,
    }
}

/// A record of `x`, of the type, and a number behind it that shows where `x` was thought to end.
fn record(ty: &str) -> String {
    format!(
        r#"{{"type":"record","name":"R","fields":[
            {{"name":"x","type":{ty}}},{{"name":"behind","type":"long"}}]}}"#
    )
}

fn last(ty: &str) -> String {
    format!(r#"{{"type":"record","name":"R","fields":[{{"name":"x","type":{ty}}}]}}"#)
}

fn decode(set: InstructionSet, schema: &str, columns: Option<&str>, rows: &[Vec<u8>]) -> Decoded {
    let schema = Schema::parse(schema, &[]).unwrap();
    let options = Options {
        projection: columns.map(|name| vec![name.to_owned()]),
        ..Options::default()
    };
    let mut decoder = Decoder::new(&schema, options).unwrap();
    decoder.use_instruction_set(set);
    decoder.add_writer(1, &schema).unwrap();
    // Each row in an allocation of its own size, so that a sanitizer sees what is read beyond it.
    let rows: Vec<Box<[u8]>> = rows.iter().map(|row| row.as_slice().into()).collect();
    let rows: Vec<&[u8]> = rows.iter().map(|row| &**row).collect();
    decoder.decode(&rows)
}

/// Values in turn, a strip's worth: beginning at another one for each size of strip.
fn some(kind: &Kind, count: usize) -> impl Iterator<Item = (usize, &(Vec<u8>, String))> {
    // Every value is met in some strip; the smallest strips are many.
    let values = kind.values.iter().cycle().skip(count);
    values.take(count.max(kind.values.len())).enumerate()
}

fn check(
    set: InstructionSet,
    kind: &Kind,
    schema: &str,
    columns: Option<&str>,
    rows: &[(Vec<u8>, String)],
    count: usize,
) {
    for strip in rows.chunks(count) {
        let bodies: Vec<Vec<u8>> = strip.iter().map(|(body, _)| body.clone()).collect();
        let decoded = decode(set, schema, columns, &bodies);
        assert_eq!(decoded.errors, [], "{} in strips of {count}", kind.ty);
        for (i, (_, want)) in strip.iter().enumerate() {
            let got = spell_row(&decoded.batch, i);
            assert_eq!(got, *want, "{} in strips of {count}", kind.ty);
        }
        for column in decoded.batch.columns() {
            column.to_data().validate_full().unwrap();
        }
    }
}

fn values_of_every_length(set: InstructionSet) {
    for kind in kinds() {
        for &count in COUNTS {
            let alone: Vec<_> = some(&kind, count)
                .map(|(_, (bytes, want))| (bytes.clone(), format!("{{x:{want}}}")))
                .collect();
            check(set, &kind, &last(&kind.ty), None, &alone, count);
            let before: Vec<_> = some(&kind, count)
                .map(|(i, (bytes, want))| {
                    let body = [bytes.clone(), zigzag(i as i64)].concat();
                    (body, format!("{{x:{want},behind:{i}}}"))
                })
                .collect();
            check(set, &kind, &record(&kind.ty), None, &before, count);
        }
    }
}

/// Rows of a nullable `x`, every third of them a null.
fn tagged(kind: &Kind, count: usize, null: u8) -> Vec<(Vec<u8>, String)> {
    some(kind, count)
        .map(|(i, (bytes, want))| {
            let mut body = Vec::new();
            let is_null = i % 3 == 1;
            let member = if is_null { null } else { 1 - null };
            match i % 7 {
                // The tag, longer than it need be.
                6 => body.extend([(2 * member) | 0x80, 0x80, 0]),
                _ => body.push(2 * member),
            }
            if !is_null {
                body.extend_from_slice(bytes);
            }
            body.extend(zigzag(i as i64));
            let want = if is_null { "null" } else { want };
            (body, format!("{{x:{want},behind:{i}}}"))
        })
        .collect()
}

fn values_behind_a_tag(set: InstructionSet) {
    for kind in kinds() {
        for (null, ty) in [
            (0, format!("[\"null\",{}]", kind.ty)),
            (1, format!("[{},\"null\"]", kind.ty)),
        ] {
            for &count in COUNTS {
                let rows = tagged(&kind, count, null);
                check(set, &kind, &record(&ty), None, &rows, count);
            }
        }
    }
}

fn skipped_values(set: InstructionSet) {
    for kind in kinds() {
        for &count in COUNTS {
            let plain: Vec<_> = some(&kind, count)
                .map(|(i, (bytes, _))| {
                    let body = [bytes.clone(), zigzag(i as i64)].concat();
                    (body, format!("{{behind:{i}}}"))
                })
                .collect();
            let schema = record(&kind.ty);
            check(set, &kind, &schema, Some("behind"), &plain, count);
            let mut tagged = tagged(&kind, count, 0);
            for (i, (_, want)) in tagged.iter_mut().enumerate() {
                *want = format!("{{behind:{i}}}");
            }
            let schema = record(&format!("[\"null\",{}]", kind.ty));
            check(set, &kind, &schema, Some("behind"), &tagged, count);
        }
    }
}

fn items_of_arrays(set: InstructionSet) {
    for kind in kinds() {
        let schema = last(&format!(r#"{{"type":"array","items":{}}}"#, kind.ty));
        for &count in COUNTS {
            let rows: Vec<_> = (0..count)
                .map(|row| {
                    // Of every length; a few are longer than the others.
                    let longest = if cfg!(miri) { 20 } else { 150 };
                    let items = if row % 50 == 3 { longest } else { row * 5 % 11 };
                    let items: Vec<_> = kind.values.iter().cycle().skip(row).take(items).collect();
                    let mut body = Vec::new();
                    if !items.is_empty() {
                        body.extend(zigzag(items.len() as i64));
                    }
                    items.iter().for_each(|(bytes, _)| body.extend(bytes));
                    body.push(0);
                    let want: Vec<&str> = items.iter().map(|(_, want)| want.as_str()).collect();
                    (body, format!("{{x:[{}]}}", want.join(",")))
                })
                .collect();
            check(set, &kind, &schema, None, &rows, count);
        }
    }
}

/// A type, a good value of it, a wrong one, and what is wrong.
fn wrong() -> Vec<(&'static str, Vec<u8>, Vec<u8>, Reason)> {
    let int = i64::from(i32::MAX);
    let index = |index, symbols| Reason::BadEnumIndex { index, symbols };
    let symbols = r#"{"type":"enum","name":"E","symbols":["A","B","C"]}"#;
    let decimal = r#"{"type":"bytes","logicalType":"decimal","precision":4,"scale":0}"#;
    let endless = vec![0xff; 11];
    let too_wide = vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2];
    vec![
        (
            "\"int\"",
            zigzag(int),
            zigzag(int + 1),
            Reason::IntOutOfRange(int + 1),
        ),
        (
            "\"int\"",
            zigzag(-5),
            zigzag(i64::MIN),
            Reason::IntOutOfRange(i64::MIN),
        ),
        (
            "\"int\"",
            zigzag(-5),
            endless.clone(),
            Reason::VarintTooLong,
        ),
        (
            "\"long\"",
            zigzag(-5),
            endless.clone(),
            Reason::VarintTooLong,
        ),
        ("\"long\"", zigzag(-5), too_wide, Reason::VarintTooLong),
        ("\"string\"", sized(b"good"), endless, Reason::VarintTooLong),
        ("\"boolean\"", vec![1], vec![2], Reason::BadBoolean(2)),
        ("\"boolean\"", vec![0], vec![0x81], Reason::BadBoolean(0x81)),
        (
            "\"string\"",
            sized(b"good"),
            zigzag(-1),
            Reason::NegativeLength(-1),
        ),
        (
            "\"bytes\"",
            sized(b"good"),
            zigzag(-9999),
            Reason::NegativeLength(-9999),
        ),
        (
            "\"string\"",
            sized("é".as_bytes()),
            sized(&[0xc3]),
            Reason::InvalidUtf8,
        ),
        (
            "\"string\"",
            sized(b"good"),
            sized(&[0xed, 0xa0, 0x80]),
            Reason::InvalidUtf8,
        ),
        (symbols, zigzag(2), zigzag(3), index(3, 3)),
        (symbols, zigzag(2), zigzag(-1), index(-1, 3)),
        (symbols, zigzag(2), zigzag(1 << 40), index(1 << 40, 3)),
        (
            decimal,
            sized(&[0x27, 0x0f]),
            sized(&[0x27, 0x10]),
            Reason::DecimalOutOfRange { precision: 4 },
        ),
        (
            decimal,
            sized(&[0xd8, 0xf1]),
            sized(&[0xd8, 0xf0]),
            Reason::DecimalOutOfRange { precision: 4 },
        ),
        (
            decimal,
            sized(&[1]),
            sized(&[1; 40]),
            Reason::DecimalOutOfRange { precision: 4 },
        ),
    ]
}

fn wrong_values_in_every_lane(set: InstructionSet) {
    for (ty, good, bad, reason) in wrong() {
        let nullable = format!("[\"null\",{ty}]");
        for (ty, tag) in [(ty, None), (nullable.as_str(), Some(2))] {
            let row = |value: &[u8], i: usize| {
                let mut body: Vec<u8> = tag.into_iter().collect();
                body.extend_from_slice(value);
                body.extend(zigzag(i as i64));
                body
            };
            let count = if cfg!(miri) { 3 } else { 17 };
            for lane in 0..count {
                let rows: Vec<Vec<u8>> = (0..count)
                    .map(|i| row(if i == lane { &bad } else { &good }, i))
                    .collect();
                let decoded = decode(set, &record(ty), None, &rows);
                assert_eq!(decoded.errors.len(), 1, "{ty}, lane {lane}");
                let error = &decoded.errors[0];
                assert_eq!((error.row, error.path.as_str()), (lane, "x"), "{error}");
                assert_eq!(error.reason, reason, "{ty}, lane {lane}");
                let behind = decoded.batch.column(1);
                let left: Vec<String> = (0..behind.len()).map(|i| spell_array(behind, i)).collect();
                let want = (0..count).filter(|&i| i != lane).map(|i| i.to_string());
                assert!(want.eq(left), "{ty}, lane {lane}");
            }
        }
    }
}

fn rows_cut_anywhere(set: InstructionSet) {
    for kind in kinds() {
        let schema = record(&format!("[\"null\",{}]", kind.ty));
        for (bytes, _) in &kind.values {
            if bytes.len() > 80 {
                continue;
            }
            let whole = [vec![2], bytes.clone(), zigzag(77)].concat();
            // All its beginnings; only the last of them is a row.
            let rows: Vec<Vec<u8>> = (0..=whole.len()).map(|n| whole[..n].to_vec()).collect();
            let decoded = decode(set, &schema, None, &rows);
            let refused: Vec<usize> = decoded.errors.iter().map(|e| e.row).collect();
            let want: Vec<usize> = (0..whole.len()).collect();
            assert_eq!(refused, want, "{}: {whole:?}", kind.ty);
            assert!(
                decoded.errors.iter().all(|e| e.position <= e.row),
                "{}",
                kind.ty
            );
        }
    }
}
