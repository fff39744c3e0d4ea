//! Each Avro type as each profile stores it, and each way in which a row can be wrong.

mod common;

use common::spell_row;
use fletch_columnar::avro::{Schema, grow};
use fletch_columnar::{
    Decoded, Decoder, DecoderError, Limits, Options, Reason, Recursion, Row, Types,
};

fn field(ty: &str) -> String {
    format!(r#"{{"type":"record","name":"R","fields":[{{"name":"x","type":{ty}}}]}}"#)
}

fn decoder(reader: &str, writer: &str, options: Options) -> Decoder {
    let reader = Schema::parse(reader, &[]).unwrap();
    let writer = Schema::parse(writer, &[]).unwrap();
    let mut decoder = Decoder::new(&reader, options).unwrap();
    decoder.add_writer(1, &writer).unwrap();
    decoder
}

fn iceberg() -> Options {
    Options {
        profile: Types::Iceberg,
        all_nullable: true,
        ..Options::default()
    }
}

fn rows(decoded: &Decoded) -> Vec<String> {
    (0..decoded.batch.num_rows())
        .map(|i| spell_row(&decoded.batch, i))
        .collect()
}

#[test]
fn each_type_has_its_arrow_type() {
    let fixed = |n: u32, logical: &str| {
        format!(r#"{{"type":"fixed","name":"F","size":{n},"logicalType":"{logical}"}}"#)
    };
    let logical = |ty: &str, l: &str| format!(r#"{{"type":"{ty}","logicalType":"{l}"}}"#);
    let decimal =
        |p: u8| format!(r#"{{"type":"bytes","logicalType":"decimal","precision":{p},"scale":2}}"#);
    let plain = |t: &str| format!("\"{t}\"");
    let cases: Vec<(String, &str, &str)> = vec![
        (plain("boolean"), "Boolean", "Boolean"),
        (plain("int"), "Int32", "Int32"),
        (plain("long"), "Int64", "Int64"),
        (plain("float"), "Float32", "Float32"),
        (plain("double"), "Float64", "Float64"),
        (plain("bytes"), "Binary", "Binary"),
        (plain("string"), "Utf8", "Utf8"),
        (fixed(5, "none"), "FixedSizeBinary(5)", "FixedSizeBinary(5)"),
        (
            fixed(16, "uuid"),
            "FixedSizeBinary(16)",
            "FixedSizeBinary(16)",
        ),
        (
            logical("string", "uuid"),
            "FixedSizeBinary(16)",
            "FixedSizeBinary(16)",
        ),
        (logical("int", "date"), "Date32", "Date32"),
        (logical("int", "time-millis"), "Time32(ms)", "Time64(µs)"),
        (logical("long", "time-micros"), "Time64(µs)", "Time64(µs)"),
        (
            logical("long", "timestamp-millis"),
            "Timestamp(ms, \"+00:00\")",
            "Timestamp(µs, \"+00:00\")",
        ),
        (
            logical("long", "timestamp-micros"),
            "Timestamp(µs, \"+00:00\")",
            "Timestamp(µs, \"+00:00\")",
        ),
        (
            logical("long", "timestamp-nanos"),
            "Timestamp(ns, \"+00:00\")",
            "Int64",
        ),
        (
            logical("long", "local-timestamp-millis"),
            "Timestamp(ms)",
            "Timestamp(µs)",
        ),
        (
            logical("long", "local-timestamp-micros"),
            "Timestamp(µs)",
            "Timestamp(µs)",
        ),
        (
            logical("long", "local-timestamp-nanos"),
            "Timestamp(ns)",
            "Int64",
        ),
        (decimal(38), "Decimal128(38, 2)", "Decimal128(38, 2)"),
        (decimal(39), "Decimal256(39, 2)", "Utf8"),
        (fixed(12, "duration"), "Interval(MonthDayNano)", "Struct"),
        (
            r#"{"type":"enum","name":"E","symbols":["A"]}"#.into(),
            "Dictionary(Int32, Utf8)",
            "Utf8",
        ),
        (r#"["int","string"]"#.into(), "Union(Sparse", "Struct"),
        (r#"{"type":"array","items":"int"}"#.into(), "List", "List"),
        (r#"{"type":"map","values":"int"}"#.into(), "Map", "Map"),
    ];
    for (avro, arrow, table) in cases {
        for (options, want) in [(Options::default(), arrow), (iceberg(), table)] {
            let decoder = decoder(&field(&avro), &field(&avro), options);
            let got = decoder.schema().field(0).data_type().to_string();
            assert!(got.starts_with(want), "{avro}: {got}, not {want}");
            // What tells a UUID from any 16 bytes.
            let schema = decoder.schema();
            let extension = schema.field(0).metadata().get("ARROW:extension:name");
            let uuid = avro.contains("uuid").then_some("arrow.uuid");
            assert_eq!(extension.map(String::as_str), uuid, "{avro}");
        }
    }
}

#[test]
fn times_are_converted_for_tables_and_between_units() {
    let ms = field(r#"{"type":"long","logicalType":"timestamp-millis"}"#);
    let us = field(r#"{"type":"long","logicalType":"timestamp-micros"}"#);
    let long = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
    let bodies: [&[u8]; 3] = [&[5], &[4], &long];
    let decoded = decoder(&ms, &ms, iceberg()).decode(&bodies);
    assert_eq!(rows(&decoded), ["{x:-3000}", "{x:2000}"]);
    assert_eq!(decoded.errors[0].reason, Reason::TimeOutOfRange(1 << 62));
    let decoded = decoder(&us, &ms, Options::default()).decode(&bodies[..2]);
    assert_eq!(rows(&decoded), ["{x:-3000}", "{x:2000}"]);
    // Down to milliseconds, towards the past.
    let decoded = decoder(&ms, &us, Options::default()).decode(&bodies[..2]);
    assert_eq!(rows(&decoded), ["{x:-1}", "{x:0}"]);
}

#[test]
fn unions_enums_and_durations_as_a_table_stores_them() {
    let union = field(r#"["null","int","string"]"#);
    let decoded = decoder(&union, &union, iceberg()).decode(&[&[0], &[2, 4], &[4, 2, b'a'], &[6]]);
    assert_eq!(
        rows(&decoded),
        [
            "{x:null}",
            "{x:{int:2,string:null}}",
            "{x:{int:null,string:\"a\"}}"
        ]
    );
    assert_eq!(
        decoded.errors[0].reason,
        Reason::BadUnionIndex {
            index: 3,
            members: 3
        }
    );
    let duration = field(r#"{"type":"fixed","name":"D","size":12,"logicalType":"duration"}"#);
    let body = [1, 0, 0, 0, 2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
    let decoded = decoder(&duration, &duration, iceberg()).decode(&[&body]);
    assert_eq!(rows(&decoded), ["{x:{months:1,days:2,millis:4294967295}}"]);
    let symbols = field(r#"["null",{"type":"enum","name":"E","symbols":["A","BC"]}]"#);
    let decoded = decoder(&symbols, &symbols, iceberg()).decode(&[&[2, 2], &[0], &[2, 0], &[2, 4]]);
    assert_eq!(rows(&decoded), ["{x:\"BC\"}", "{x:null}", "{x:\"A\"}"]);
    let big = field(r#"{"type":"bytes","logicalType":"decimal","precision":40,"scale":2}"#);
    let decoded = decoder(&big, &big, iceberg()).decode(&[&[2, 0xfb], &[4, 0x30, 0x39]]);
    assert_eq!(rows(&decoded), ["{x:\"-0.05\"}", "{x:\"123.45\"}"]);
}

#[test]
fn nothing_storable_is_left_out_or_stands_for_its_presence() {
    let text = r#"{"type":"record","name":"R","fields":[
        {"name":"n","type":"null"},
        {"name":"e","type":["null",{"type":"record","name":"E","fields":[]}]},
        {"name":"l","type":{"type":"array","items":"null"}}]}"#;
    let decoded = decoder(text, text, iceberg()).decode(&[&[2, 4, 0], &[0, 0]]);
    assert_eq!(rows(&decoded), ["{e:true,l:[null,null]}", "{e:null,l:[]}"]);
    let decoded = decoder(text, text, Options::default()).decode(&[&[2, 4, 0], &[0, 0]]);
    assert_eq!(
        rows(&decoded),
        ["{n:null,e:{},l:[null,null]}", "{n:null,e:null,l:[]}"]
    );
}

#[test]
fn recursion_becomes_text_or_is_refused() {
    let tree = r#"{"type":"record","name":"Tree","fields":[
        {"name":"v","type":"double"},
        {"name":"kids","type":{"type":"array","items":"Tree"}}]}"#;
    let zero = [0u8; 8];
    let leaf = [&1.5f64.to_le_bytes()[..], &[0]].concat();
    let body = [&zero[..], &[4], &leaf, &leaf, &[0]].concat();
    let mut broken = body.clone();
    broken[26] = 2;
    let decoded = decoder(tree, tree, Options::default()).decode(&[&body, &broken]);
    let kid = r#"{\"v\":1.5,\"kids\":[]}"#;
    assert_eq!(
        rows(&decoded),
        [format!(
            "{{v:d0000000000000000,kids:[\"{kid}\",\"{kid}\"]}}"
        )]
    );
    assert_eq!(decoded.errors[0].path, "kids[1].kids");
    // Deeper than the limit.
    let mut deep = Vec::new();
    for _ in 0..100 {
        deep.extend_from_slice(&zero);
        deep.push(2);
    }
    deep.extend_from_slice(&zero);
    deep.extend_from_slice(&[0; 101]);
    let decoded = decoder(tree, tree, Options::default()).decode(&[&deep]);
    assert_eq!(decoded.errors[0].reason, Reason::TooDeep(64));

    let options = Options {
        recursion: Recursion::Refuse,
        ..Options::default()
    };
    let error = Decoder::new(&Schema::parse(tree, &[]).unwrap(), options).unwrap_err();
    let want = DecoderError::Recursive {
        path: "kids.[]".into(),
        name: "Tree".into(),
    };
    assert_eq!(error, want);
}

#[test]
fn columns_are_projected_in_the_order_asked_for() {
    let text = r#"{"type":"record","name":"R","fields":[
        {"name":"a","type":"int"},
        {"name":"b","type":{"type":"map","values":{"type":"array","items":"string"}}},
        {"name":"c","type":["null","string","int"]},
        {"name":"d","type":{"type":"record","name":"S","fields":[{"name":"e","type":"long"}]}},
        {"name":"f","type":"boolean"}]}"#;
    let body = [2, 2, 2, b'k', 2, 2, b'v', 0, 0, 2, 2, b's', 10, 1];
    for (names, want) in [
        (vec!["f", "a"], "{f:true,a:1}"),
        (vec!["b"], "{b:<\"k\":[\"v\"]>}"),
        (vec![], "{}"),
    ] {
        let options = Options {
            projection: Some(names.into_iter().map(str::to_owned).collect()),
            ..Options::default()
        };
        let mut decoder = decoder(text, text, options);
        let decoded = decoder.decode(&[&body, &body[..13]]);
        assert_eq!(rows(&decoded), [want]);
        assert_eq!(decoded.errors.len(), 1, "what is skipped is still checked");
    }
    let options = Options {
        projection: Some(vec!["z".into()]),
        ..Options::default()
    };
    let error = Decoder::new(&Schema::parse(text, &[]).unwrap(), options).unwrap_err();
    assert_eq!(error, DecoderError::UnknownColumn("z".into()));
}

#[test]
fn a_refused_row_says_where_and_why() {
    let text = r#"{"type":"record","name":"R","fields":[
        {"name":"i","type":"int"},
        {"name":"o","type":["null","string"]},
        {"name":"l","type":{"type":"array","items":{"type":"record","name":"I","fields":[
            {"name":"b","type":"boolean"}]}}},
        {"name":"m","type":{"type":"map","values":"string"}},
        {"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}}]}"#;
    let good: &[u8] = &[2, 2, 2, b'x', 4, 0, 1, 0, 2, 2, b'k', 2, b'v', 0, 2];
    let with = |at: usize, bytes: &[u8]| {
        let mut body = good.to_vec();
        body.splice(at..at + 1, bytes.iter().copied());
        body
    };
    let cases: Vec<(Vec<u8>, &str, usize, Reason)> = vec![
        (
            with(0, &[0xfe, 0xff, 0xff, 0xff, 0x1f]),
            "i",
            0,
            Reason::IntOutOfRange(4_294_967_295),
        ),
        (with(0, &[0xff; 10]), "i", 0, Reason::VarintTooLong),
        (
            with(1, &[4]),
            "o",
            1,
            Reason::BadUnionIndex {
                index: 2,
                members: 2,
            },
        ),
        (with(2, &[1]), "o", 2, Reason::NegativeLength(-1)),
        (
            with(2, &[100]),
            "o",
            2,
            Reason::LengthPastEnd {
                length: 50,
                left: 12,
            },
        ),
        (with(3, &[0xff]), "o", 2, Reason::InvalidUtf8),
        (
            with(4, &[0x80, 0x80, 0x01]),
            "l",
            4,
            Reason::LengthPastEnd {
                length: 8192,
                left: 10,
            },
        ),
        (with(6, &[7]), "l[1].b", 6, Reason::BadBoolean(7)),
        (with(10, &[0xff]), "m", 9, Reason::InvalidUtf8),
        (with(12, &[0xff]), "m{\"k\"}", 11, Reason::InvalidUtf8),
        (
            with(14, &[4]),
            "e",
            14,
            Reason::BadEnumIndex {
                index: 2,
                symbols: 2,
            },
        ),
        (with(14, &[2, 0, 0]), "", 15, Reason::TrailingBytes(2)),
        (
            good[..14].to_vec(),
            "e",
            14,
            Reason::UnexpectedEnd { missing: 1 },
        ),
    ];
    let mut bodies: Vec<&[u8]> = Vec::new();
    for (body, ..) in &cases {
        bodies.extend([good, body]);
    }
    let decoded = decoder(text, text, Options::default()).decode(&bodies);
    assert_eq!(decoded.batch.num_rows(), cases.len());
    let all_good = rows(&decoded);
    assert!(all_good.iter().all(|row| *row == all_good[0]));
    for ((_, path, position, reason), (i, error)) in
        cases.iter().zip(decoded.errors.iter().enumerate())
    {
        assert_eq!(
            (error.row, error.path.as_str(), error.position, error.reason),
            (2 * i + 1, *path, *position, *reason)
        );
    }
}

#[test]
fn frames_and_writers_are_checked() {
    let text = field("\"int\"");
    let mut decoder = decoder(&text, &text, Options::default());
    let messages: [&[u8]; 6] = [
        &[0, 0, 0, 0, 1, 4],
        &[1, 0, 0, 0, 1, 4],
        &[0, 0, 0],
        &[0, 0, 0, 0, 9, 4],
        &[],
        &[0, 0, 0, 0, 1],
    ];
    assert_eq!(decoder.unknown_writers(&messages), [9]);
    let decoded = decoder.decode_framed(&messages);
    assert_eq!(rows(&decoded), ["{x:2}"]);
    let reasons: Vec<Reason> = decoded.errors.iter().map(|e| e.reason).collect();
    assert_eq!(
        reasons,
        [
            Reason::NotFramed,
            Reason::NotFramed,
            Reason::UnknownWriter(9),
            Reason::NotFramed,
            Reason::UnexpectedEnd { missing: 1 },
        ]
    );
    assert_eq!(decoded.errors[4].position, 5);
    assert!(decoder.has_writer(1) && !decoder.has_writer(9));
}

#[test]
fn null_rows_are_stored_where_they_can_be() {
    let text = field("\"int\"");
    let rows_given = [
        Row {
            writer: 1,
            body: Some(&[4]),
        },
        Row {
            writer: 5,
            body: None,
        },
        Row {
            writer: 1,
            body: Some(&[6]),
        },
    ];
    let decoded = decoder(&text, &text, iceberg()).decode_rows(&rows_given);
    assert_eq!(rows(&decoded), ["{x:2}", "{x:null}", "{x:3}"]);
    let decoded = decoder(&text, &text, Options::default()).decode_rows(&rows_given);
    assert_eq!(rows(&decoded), ["{x:2}", "{x:3}"]);
    assert_eq!(decoded.errors[0].reason, Reason::NullRow);
}

#[test]
fn items_without_bytes_are_bounded() {
    let text = field(r#"{"type":"array","items":"null"}"#);
    let mut decoder = decoder(&text, &text, Options::default());
    let mut huge = Vec::new();
    huge.extend([0xfe, 0xff, 0xff, 0xff, 0xff, 0x7f]);
    huge.push(0);
    let decoded = decoder.decode(&[&huge, &[8, 0]]);
    assert_eq!(decoded.errors[0].reason, Reason::TooManyItems(1 << 22));
    assert_eq!(rows(&decoded), ["{x:[null,null,null,null]}"]);

    let text = field(r#"{"type":"array","items":"int"}"#);
    let limits = Limits {
        row_items_max: 3,
        row_bytes_max: 9,
        ..Limits::default()
    };
    let options = Options {
        limits,
        ..Options::default()
    };
    let mut decoder = self::decoder(&text, &text, options);
    let decoded = decoder.decode(&[&[6, 1, 1, 1, 0], &[8, 1, 1, 1, 1, 0], &[0; 10]]);
    assert_eq!(decoded.batch.num_rows(), 1);
    assert_eq!(decoded.errors[0].reason, Reason::TooManyItems(3));
    assert_eq!(decoded.errors[1].reason, Reason::RowTooLarge(10));
}

#[test]
fn what_a_table_grew_to_reads_its_writers() {
    let first = Schema::parse(&field("\"int\""), &[]).unwrap();
    let second = Schema::parse(
        r#"{"type":"record","name":"R","fields":[
            {"name":"y","type":{"type":"array","items":{"type":"record","name":"I","fields":[
                {"name":"q","type":"float"}]}}},
            {"name":"x","type":"long"}]}"#,
        &[],
    )
    .unwrap();
    let table = grow(Some(&first), &second).unwrap().schema;
    let mut decoder = Decoder::new(&table, iceberg()).unwrap();
    decoder.add_writer(1, &first).unwrap();
    decoder.add_writer(2, &second).unwrap();
    let decoded = decoder.decode_rows(&[
        Row {
            writer: 1,
            body: Some(&[2]),
        },
        Row {
            writer: 2,
            body: Some(&[2, 0, 0, 0, 0, 0, 4]),
        },
        Row {
            writer: 1,
            body: Some(&[6]),
        },
    ]);
    assert_eq!(decoded.errors, []);
    assert_eq!(
        rows(&decoded),
        ["{x:1,y:null}", "{x:2,y:[{q:f00000000}]}", "{x:3,y:null}"]
    );
}

#[test]
fn memory_is_taken_back_once_a_batch_is_dropped() {
    let text = field("\"long\"");
    let mut decoder = decoder(&text, &text, Options::default());
    let bodies = vec![&[2u8][..]; 1000];
    let address = |d: &Decoded| d.batch.column(0).to_data().buffers()[0].as_ptr();
    let first = decoder.decode(&bodies);
    let at = address(&first);
    let second = decoder.decode(&bodies);
    assert_ne!(address(&second), at, "the first is still held");
    assert_eq!(rows(&first), rows(&second));
    let at = address(&second);
    drop((first, second));
    assert_eq!(address(&decoder.decode(&bodies)), at);
}

#[test]
fn schemas_that_do_not_meet_say_why() {
    for (writer, reader, why) in [
        ("\"string\"", "\"int\"", "string can't be read as int"),
        ("\"double\"", "\"float\"", "double can't be read as float"),
        (
            r#"{"type":"fixed","name":"F","size":3}"#,
            r#"{"type":"fixed","name":"F","size":4}"#,
            "the sizes differ",
        ),
        (
            r#"{"type":"enum","name":"E","symbols":["A"]}"#,
            r#"{"type":"enum","name":"E","symbols":["B"]}"#,
            "no symbol in common",
        ),
        (
            "[\"string\",\"bytes\"]",
            "\"long\"",
            "string can't be read as long",
        ),
    ] {
        let mut decoder = Decoder::new(
            &Schema::parse(&field(reader), &[]).unwrap(),
            Options::default(),
        )
        .unwrap();
        let writer = Schema::parse(&field(writer), &[]).unwrap();
        let error = decoder.add_writer(1, &writer).unwrap_err();
        assert_eq!(error.path, "x");
        assert!(error.why.contains(why), "{error}");
    }
    let reader = Schema::parse(&field("\"int\"").replace("\"x\"", "\"y\""), &[]).unwrap();
    let mut decoder = Decoder::new(&reader, Options::default()).unwrap();
    let writer = Schema::parse(&field("\"int\""), &[]).unwrap();
    assert!(
        decoder
            .add_writer(1, &writer)
            .unwrap_err()
            .why
            .contains("no default")
    );
}

#[test]
fn members_that_a_reader_lacks_are_refused_row_by_row() {
    let writer = field(r#"["null","int","string"]"#);
    let decoded = decoder(&field("\"long\""), &writer, Options::default()).decode(&[
        &[2, 4],
        &[0],
        &[4, 2, b'a'],
    ]);
    assert_eq!(rows(&decoded), ["{x:2}"]);
    let reasons: Vec<Reason> = decoded.errors.iter().map(|e| e.reason).collect();
    assert_eq!(
        reasons,
        [Reason::UnknownMember(0), Reason::UnknownMember(2)]
    );
    let from = r#"{"type":"enum","name":"E","symbols":["A","B"]}"#;
    let to = r#"{"type":"enum","name":"E","symbols":["B"]}"#;
    let decoded = decoder(&field(to), &field(from), Options::default()).decode(&[&[2], &[0]]);
    assert_eq!(rows(&decoded), ["{x:\"B\"}"]);
    assert_eq!(decoded.errors[0].reason, Reason::UnknownSymbol(0));
    let to = r#"{"type":"enum","name":"E","symbols":["C","B"],"default":"C"}"#;
    let decoded = decoder(&field(to), &field(from), Options::default()).decode(&[&[2], &[0]]);
    assert_eq!(rows(&decoded), ["{x:\"B\"}", "{x:\"C\"}"]);
    let decoded = decoder(&field("\"string\""), &field(from), Options::default()).decode(&[&[2]]);
    assert_eq!(rows(&decoded), ["{x:\"B\"}"]);
}
