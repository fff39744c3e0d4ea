//! Protobuf messages to columns: each type, each rule of the wire format, each refusal.

mod common;

use common::spell_row;
use fletch_columnar::avro::grow;
use fletch_columnar::protobuf::{MessagePath, Schema, SchemaError, Writer};
use fletch_columnar::{Decoder, Limits, Misfit, Options, Transcoder};

fn schema(text: &str) -> Schema {
    Schema::parse(text, &[]).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn proto3(body: &str) -> Schema {
    let imports = [
        "timestamp",
        "duration",
        "wrappers",
        "struct",
        "any",
        "field_mask",
        "empty",
    ]
    .map(|name| format!("import \"google/protobuf/{name}.proto\";"))
    .concat();
    schema(&format!("syntax = \"proto3\"; {imports} {body}"))
}

fn proto2(body: &str) -> Schema {
    schema(&format!("syntax = \"proto2\"; {body}"))
}

fn writer(schema: &Schema) -> Writer {
    schema
        .writer(MessagePath::FIRST, Limits::default())
        .unwrap()
}

/// What the columns say of a payload.
fn columns(writer: &mut Writer, payload: &[u8]) -> Result<String, Misfit> {
    let mut row = b"before".to_vec();
    writer
        .transcode(payload, &mut row)
        .inspect_err(|_| assert_eq!(row, b"before"))?;
    let mut decoder = Decoder::new(writer.schema(), Options::default()).unwrap();
    decoder.add_writer(0, writer.schema()).unwrap();
    let decoded = decoder.decode(&[&row[6..]]);
    assert_eq!(decoded.errors, []);
    Ok(spell_row(&decoded.batch, 0))
}

fn read(schema: &Schema, payload: &[u8]) -> String {
    columns(&mut writer(schema), payload).unwrap_or_else(|misfit| panic!("{misfit}"))
}

fn refused(schema: &Schema, payload: &[u8]) -> String {
    columns(&mut writer(schema), payload)
        .unwrap_err()
        .to_string()
}

#[test]
fn every_scalar_has_its_column() {
    let schema = proto3(
        "message M { int32 a = 1; int64 b = 2; uint32 c = 3; uint64 d = 4; sint32 e = 5; sint64 f = 6;
           fixed32 g = 7; fixed64 h = 8; sfixed32 i = 9; sfixed64 j = 10; float k = 11; double l = 12;
           bool m = 13; string n = 14; bytes o = 15; E p = 16; }
         enum E { ZERO = 0; ONE = 1; UNE = -5; }",
    );
    let sent = [
        &[
            0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
        ][..],
        &[
            0x10, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01,
        ],
        &[0x18, 0xff, 0xff, 0xff, 0xff, 0x0f],
        &[
            0x20, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
        ],
        &[0x28, 0x03, 0x30, 0x04],
        &[0x3d, 0xff, 0xff, 0xff, 0xff],
        &[0x41, 0, 0, 0, 0, 0, 0, 0, 0x80],
        &[0x4d, 0xfe, 0xff, 0xff, 0xff],
        &[0x51, 0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x5d, 0, 0, 0x80, 0x3f],
        &[0x61, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f],
        &[0x68, 0x02, 0x72, 2, 0xc3, 0xa9, 0x7a, 1, 0xff],
        &[
            0x80, 0x01, 0xfb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
        ],
    ]
    .concat();
    assert_eq!(
        read(&schema, &sent),
        "{a:-1,b:-9223372036854775808,c:4294967295,d:n18446744073709551615,e:-2,f:2,g:4294967295,\
         h:n9223372036854775808,i:-2,j:-3,k:f3f800000,l:d3ff0000000000000,m:true,n:\"é\",o:ff,\
         p:\"UNE\"}"
    );
    assert_eq!(
        read(&schema, &[]),
        "{a:0,b:0,c:0,d:n0,e:0,f:0,g:0,h:n0,i:0,j:0,k:f00000000,l:d0000000000000000,m:false,\
         n:\"\",o:,p:\"ZERO\"}"
    );
    // An open enum's number without a name.
    assert!(read(&schema, &[0x80, 0x01, 9]).ends_with("p:\"9\"}"));
}

#[test]
fn absence_is_null_where_it_can_be_told() {
    let schema = proto3(
        "message M { int32 a = 1; optional int32 b = 2; oneof o { string c = 3; N d = 4; } N e = 5;
           repeated int32 f = 6; map<int32, string> g = 7; }
         message N { bool x = 1; }",
    );
    assert_eq!(
        read(&schema, &[]),
        "{a:0,b:null,c:null,d:null,e:null,f:[],g:<>}"
    );
    assert_eq!(
        read(&schema, &[0x10, 0, 0x1a, 0, 0x2a, 0]),
        "{a:0,b:0,c:\"\",d:null,e:{x:false},f:[],g:<>}"
    );
}

#[test]
fn lists_are_packed_or_not_and_both() {
    let schema = proto3("message M { repeated sint32 a = 1; repeated string b = 2; int32 c = 3; }");
    let both = [
        0x08, 1, 0x0a, 2, 2, 3, 0x08, 4, 0x12, 1, b'x', 0x12, 0, 0x18, 1,
    ];
    assert_eq!(read(&schema, &both), "{a:[-1,1,-2,2],b:[\"x\",\"\"],c:1}");
    // The same with other fields between.
    let mixed = [
        0x12, 1, b'x', 0x08, 1, 0x18, 1, 0x0a, 2, 2, 3, 0x12, 0, 0x08, 4,
    ];
    assert_eq!(read(&schema, &mixed), read(&schema, &both));
    // Counts of one byte, of two, of three.
    for count in [63, 64, 8191, 8192_usize] {
        let payload: Vec<u8> = [0x12, 0].repeat(count);
        let expected = format!("{{a:[],b:[{}],c:0}}", vec!["\"\""; count].join(","));
        assert_eq!(read(&schema, &payload), expected);
    }
}

#[test]
fn a_maps_key_is_there_once() {
    let schema = proto3("message M { map<string, int32> m = 1; } ");
    let entry = |key: &str, value: u8| {
        [
            &[0x0a, 4 + key.len() as u8, 0x0a, key.len() as u8],
            key.as_bytes(),
            &[0x10, value],
        ]
        .concat()
    };
    for keys in [
        vec!["a", "b", "a"],
        vec!["b", "a", "a"],
        "a b c d e f g h i j a k".split(' ').collect(),
    ] {
        let payload: Vec<u8> = (1..)
            .zip(&keys)
            .flat_map(|(i, key)| entry(key, i))
            .collect();
        let mut writer = writer(&schema);
        let mut row = Vec::new();
        writer.transcode(&payload, &mut row).unwrap();
        // One entry fewer: a count, the entries, an end.
        let entries = keys.len() - 1;
        assert_eq!(usize::from(row[0] / 2), entries);
        assert_eq!(row.len(), 2 + entries * 3);
        let last = keys.iter().rposition(|&key| key == "a").unwrap() + 1;
        assert!(
            columns(&mut writer, &payload)
                .unwrap()
                .contains(&format!("\"a\":{last}"))
        );
    }
    // Keys and values may be missing, come twice, or the other way round.
    for (bytes, expected) in [
        (&[0x0a, 0][..], "{m:<\"\":0>}"),
        (&[0x0a, 5, 0x10, 7, 0x0a, 1, b'k'], "{m:<\"k\":7>}"),
        (&[0x0a, 7, 0x10, 7, 0x0a, 1, b'k', 0x10, 8], "{m:<\"k\":8>}"),
    ] {
        assert_eq!(read(&schema, bytes), expected);
    }
    let keys = proto3(
        "message M { map<sint64, bool> a = 1; map<bool, bytes> b = 2; map<fixed64, N> c = 3; }
         message N { int32 x = 1; }",
    );
    let payload = [
        &[0x0a, 4, 0x08, 3, 0x10, 1, 0x12, 2, 0x08, 1][..],
        &[
            0x1a, 9, 0x09, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        ],
    ]
    .concat();
    assert_eq!(
        read(&keys, &payload),
        "{a:<\"-2\":true>,b:<\"true\":>,c:<\"18446744073709551615\":{x:0}>}"
    );
}

#[test]
fn parts_are_merged() {
    let schema = proto3(
        "message M { int32 a = 1; N n = 2; oneof o { N x = 3; int32 y = 4; } }
         message N { int32 b = 1; repeated int32 c = 2; N2 d = 3; }
         message N2 { optional int32 e = 1; optional int32 f = 2; }",
    );
    // The last number; the fields of both parts; the items of both parts.
    let payload = [
        &[0x08, 1, 0x12, 8, 0x08, 5, 0x10, 6, 0x1a, 2, 0x08, 1][..],
        &[0x08, 2, 0x12, 6, 0x10, 7, 0x1a, 2, 0x10, 9],
    ]
    .concat();
    assert_eq!(
        read(&schema, &payload),
        "{a:2,n:{b:5,c:[6,7],d:{e:1,f:9}},x:null,y:null}"
    );
    // Of a oneof, the last member; what it was before another member took over is gone.
    let (x, y) = ([0x1a, 2, 0x08, 5], [0x20, 3]);
    assert!(read(&schema, &[&x[..], &y].concat()).ends_with("x:null,y:3}"));
    assert!(read(&schema, &[&y[..], &x].concat()).ends_with("x:{b:5,c:[],d:null},y:null}"));
    let again = [0x1a, 2, 0x10, 1];
    assert!(
        read(&schema, &[&x[..], &y, &again].concat()).ends_with("x:{b:0,c:[1],d:null},y:null}")
    );
    assert!(read(&schema, &[&x[..], &again].concat()).ends_with("x:{b:5,c:[1],d:null},y:null}"));
    // What is gone must be well-formed all the same.
    let error = refused(&schema, &[&[0x1a, 1, 0x08][..], &y].concat());
    assert_eq!(error, "x.b, byte 3: the message ends inside a number");
}

#[test]
fn the_second_version_of_the_language_has_its_rules() {
    let schema = proto2(
        "message M { required int32 a = 1; optional E e = 2; repeated E r = 3 [packed = true];
           optional group G = 4 { optional int32 x = 1; } map<int32, E> m = 5;
           optional string s = 6 [default = \"d\"]; oneof o { E p = 7; int32 q = 8; } }
         enum E { ONE = 1; TWO = 2; }",
    );
    let error = refused(&schema, &[0x10, 1]);
    assert_eq!(error, "a, byte 2: required field 1 is missing");
    assert_eq!(
        read(
            &schema,
            &[0x08, 1, 0x10, 2, 0x1a, 1, 1, 0x23, 0x08, 7, 0x24]
        ),
        "{a:1,e:\"TWO\",r:[\"ONE\"],g:{x:7},m:<>,s:null,p:null,q:null}"
    );
    // Numbers that a closed enum hasn't got are unknown fields: nothing was said.
    let unknown = [
        &[0x08, 1, 0x10, 2, 0x10, 9, 0x1a, 3, 1, 9, 2, 0x18, 9][..],
        &[
            0x2a, 4, 0x08, 1, 0x10, 9, 0x2a, 4, 0x08, 2, 0x10, 2, 0x40, 5, 0x38, 9,
        ],
    ]
    .concat();
    assert_eq!(
        read(&schema, &unknown),
        "{a:1,e:\"TWO\",r:[\"ONE\",\"TWO\"],g:null,m:<\"2\":\"TWO\">,s:null,p:null,q:5}"
    );
    // What one part lacks, another may have.
    let held = proto2(
        "message M { optional N n = 1; } message N { required int32 a = 1; optional int32 b = 2; }",
    );
    assert_eq!(
        read(&held, &[0x0a, 2, 0x10, 1, 0x0a, 2, 0x08, 2]),
        "{n:{a:2,b:1}}"
    );
    assert_eq!(
        refused(&held, &[0x0a, 2, 0x10, 1]),
        "n.a, byte 4: required field 1 is missing"
    );
    // A group's parts are merged like a message's, and its end must be its own.
    let parts = [0x08, 1, 0x23, 0x08, 7, 0x24, 0x08, 2, 0x23, 0x24];
    assert!(read(&schema, &parts).contains("g:{x:7}"));
    assert!(refused(&schema, &[0x08, 1, 0x23, 0x2c]).contains("byte 4"));
    assert!(refused(&schema, &[0x08, 1, 0x23]).contains("ends inside a group"));
    assert!(refused(&schema, &[0x08, 1, 0x24]).contains("byte 2"));
}

#[test]
fn well_known_types_have_columns_of_their_own() {
    let schema = proto3(
        "message M { google.protobuf.Timestamp t = 1; google.protobuf.Duration d = 2;
           google.protobuf.Int64Value w = 3; google.protobuf.StringValue s = 4;
           repeated google.protobuf.Timestamp l = 5; google.protobuf.Empty e = 6; }",
    );
    assert_eq!(
        read(&schema, &[]),
        "{t:null,d:null,w:null,s:null,l:[],e:null}"
    );
    // The epoch, no time, 0, nothing: all there.
    assert_eq!(
        read(
            &schema,
            &[0x0a, 0, 0x12, 0, 0x1a, 0, 0x22, 0, 0x2a, 0, 0x32, 0]
        ),
        "{t:0,d:n0,w:0,s:\"\",l:[0],e:{}}"
    );
    // 1 s and 1,999 ns; -1 s and -1 ns.
    let minus = [0xff; 9];
    let span = [
        &[0x12, 22, 0x08][..],
        &minus,
        &[0x01, 0x10],
        &minus,
        &[0x01],
    ]
    .concat();
    let payload = [
        &[0x0a, 5, 0x08, 1, 0x10, 0xcf, 0x0f][..],
        &span,
        &[0x1a, 2, 0x08, 9],
    ]
    .concat();
    assert_eq!(
        read(&schema, &payload),
        "{t:1000001,d:n-1000000001,w:9,s:null,l:[],e:null}"
    );
    // Merged, they have the fields of both.
    assert!(
        read(&schema, &[0x0a, 2, 0x08, 1, 0x0a, 3, 0x10, 0xe8, 0x07]).starts_with("{t:1000001,")
    );
    assert!(
        refused(
            &schema,
            &[
                0x0a, 11, 0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1
            ]
        )
        .contains("no timestamp has 0 seconds and -1 nanoseconds")
    );
    assert!(
        refused(
            &schema,
            &[0x0a, 7, 0x08, 0x80, 0x83, 0xd1, 0xff, 0xaf, 0x07]
        )
        .contains("no timestamp has")
    );
    assert!(
        refused(
            &schema,
            &[
                0x12, 13, 0x08, 1, 0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1
            ]
        )
        .contains("no duration has 1 seconds and -1 nanoseconds")
    );
}

#[test]
fn what_has_no_column_is_json() {
    let schema = proto3(
        "message M { google.protobuf.Struct s = 1; google.protobuf.Any a = 2;
           google.protobuf.FieldMask f = 3; N n = 4; google.protobuf.Value v = 5; }
         message N { int64 big_number = 1; N next = 2; float f = 3; bytes b = 4; map<int32, E> m = 5;
           google.protobuf.Timestamp t = 6; google.protobuf.Duration d = 7; }
         enum E { ZERO = 0; ONE = 1; }",
    );
    // {"k": [null, 1.5]}
    let number = [0x11, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f];
    let list = [&[0x0a, 2, 0x08, 0, 0x0a, 9][..], &number].concat();
    let value = [&[0x32, list.len() as u8][..], &list].concat();
    let entry = [&[0x0a, 1, b'k', 0x12, value.len() as u8][..], &value].concat();
    let payload = [
        &[0x0a, 2 + entry.len() as u8, 0x0a, entry.len() as u8][..],
        &entry,
    ]
    .concat();
    assert!(read(&schema, &payload).contains(r#"s:"{\"k\":[null,1.5]}""#));
    assert!(read(&schema, &[0x2a, 0]).ends_with(r#"v:"null"}"#));
    // An `Any` of a type that is known, and one of a type that isn't.
    let any = |name: &str, value: &[u8]| {
        let url = format!("x/{name}");
        let held = [
            &[0x0a, url.len() as u8],
            url.as_bytes(),
            &[0x12, value.len() as u8],
            value,
        ]
        .concat();
        [&[0x12, held.len() as u8][..], &held].concat()
    };
    assert!(
        read(&schema, &any("N", &[0x08, 7]))
            .contains(r#"a:"{\"@type\":\"x/N\",\"bigNumber\":\"7\"}""#)
    );
    assert!(
        read(&schema, &any("google.protobuf.Duration", &[0x08, 7]))
            .contains(r#"\"value\":\"7s\"}""#)
    );
    for unknown in [any("Q", &[8]), any("N", &[8])] {
        assert!(read(&schema, &unknown).contains(r#"\"value\":\"CA==\"}""#));
    }
    let mask = [
        0x1a, 10, 0x0a, 3, b'a', b'_', b'b', 0x0a, 3, b'c', b'.', b'd',
    ];
    assert!(read(&schema, &mask).contains(r#"f:"\"aB,c.d\"""#));
    // What comes round again.
    let inner = [
        &[0x08, 7, 0x1d, 0, 0, 0xc0, 0x7f, 0x22, 1, 0xff][..],
        &[
            0x2a, 4, 0x08, 2, 0x10, 1, 0x2a, 2, 0x08, 1, 0x32, 3, 0x10, 0xe8, 0x07,
        ],
        &[0x3a, 3, 0x10, 0x80, 0x08],
    ]
    .concat();
    let payload = [
        &[0x22, 2 + inner.len() as u8, 0x12, inner.len() as u8][..],
        &inner,
    ]
    .concat();
    let text = read(&schema, &payload);
    let expected = r#"next:"{\"bigNumber\":\"7\",\"f\":\"NaN\",\"b\":\"/w==\",\"m\":{\"1\":\"ZERO\",\"2\":\"ONE\"},\"t\":\"1970-01-01T00:00:00.000001Z\",\"d\":\"0.000001024s\"}""#;
    assert!(text.contains(expected), "{text}\n{expected}");
}

#[test]
fn what_is_malformed_says_where_and_why() {
    let schema = proto3(
        "message M { int32 a = 1; N n = 2; repeated N l = 3; map<string, N> m = 4; fixed32 f = 5; }
         message N { string s = 1; }",
    );
    for (payload, error) in [
        (&[0x08][..], "a, byte 1: the message ends inside a number"),
        (
            &[
                0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,
            ],
            "a, byte 1: a number of more than 64 bits",
        ),
        (
            &[0x0d, 0, 0, 0, 0],
            "a, byte 0: the wire type 5, but the field's is 0",
        ),
        (
            &[0x12, 2, 0x0a, 1],
            "n.s, byte 4: a length of 1 with 0 bytes left",
        ),
        (
            &[0x1a, 0, 0x1a, 3, 0x0a, 1, 0xff],
            "l[1].s, byte 6: text that is not UTF-8",
        ),
        (
            &[0x22, 8, 0x0a, 1, b'k', 0x12, 3, 0x0a, 1, 0xff],
            "m{\"k\"}.s, byte 9: text that is not UTF-8",
        ),
        (
            &[0x2d, 0, 0, 0],
            "f, byte 1: a length of 4 with 3 bytes left",
        ),
        (&[0x00], ", byte 0: 0 is no field's tag"),
        (
            &[0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
            ", byte 0: 34359738368 is no field's tag",
        ),
        (&[0x3e], ", byte 1: field 7 has the wire type 6"),
        (&[0x3a, 1], ", byte 2: a length of 1 with 0 bytes left"),
        (
            &[0x3b, 0x44],
            ", byte 2: an end of group 8, which isn't open",
        ),
    ] {
        assert_eq!(refused(&schema, payload), error, "{payload:?}");
    }
    // Unknown fields of every wire type are skipped.
    let unknown = [
        &[
            0x38, 0x80, 1, 0x39, 0, 0, 0, 0, 0, 0, 0, 0, 0x3a, 1, 0xff, 0x3d, 0, 0, 0, 0,
        ][..],
        &[0x3b, 0x08, 1, 0x43, 0x44, 0x3c, 0x08, 5],
    ]
    .concat();
    assert!(read(&schema, &unknown).starts_with("{a:5,"));
}

#[test]
fn nothing_asks_for_more_than_its_limits() {
    let limits = Limits {
        depth_max: 8,
        row_items_max: 100,
        row_bytes_max: 1_000,
    };
    let refuse = |body: &str, payload: &[u8]| {
        let mut writer = proto3(body).writer(MessagePath::FIRST, limits).unwrap();
        columns(&mut writer, payload).unwrap_err().to_string()
    };
    let list = "message M { repeated int32 a = 1; N n = 2; repeated W w = 3; N3 r = 4; } message N { int32 b = 1; }
                message W { double a = 1; double b = 2; double c = 3; double d = 4; }
                message N3 { N3 n = 1; }";
    assert!(
        refuse(list, &[&[0x0a, 101][..], &[1; 101]].concat()).contains("more than 100 array items")
    );
    assert!(refuse(list, &[0x08, 1].repeat(101)).contains("more than 100 array items"));
    assert!(refuse(list, &[0x1a, 0].repeat(40)).contains("a row of more than 1000 bytes"));
    assert!(refuse(list, &[0; 1001]).contains("a message of 1001 bytes"));
    assert!(refuse(list, &[0x3b; 9]).contains("nested too deep"));
    // In JSON, too.
    let mut nested = vec![];
    for _ in 0..12 {
        nested.splice(0..0, [0x0a, nested.len() as u8]);
    }
    nested.splice(0..0, [0x22, nested.len() as u8]);
    assert!(refuse(list, &nested).contains("nested deeper than 8"));
    let limits_of_items = Limits {
        row_items_max: 0,
        ..Limits::default()
    };
    let mut writer = proto3("message M { int32 a = 1; }")
        .writer(MessagePath::FIRST, limits_of_items)
        .unwrap();
    let often = columns(&mut writer, &[0x08, 1].repeat(10_001)).unwrap_err();
    assert!(
        often.to_string().contains("more than 10000 fields"),
        "{often}"
    );
    // Schemas.
    let deep: String = (1..12)
        .map(|i| format!("message M{i} {{ M{} m = 1; }}", i + 1))
        .collect();
    let error = proto3(&format!("{deep} message M12 {{}}")).writer(MessagePath::FIRST, limits);
    assert!(matches!(error, Err(SchemaError::TooDeep { .. })));
    let wide: String = (1..30)
        .map(|i| format!("message M{i} {{ M{} a = 1; M{0} b = 2; }}", i + 1))
        .collect();
    let error =
        proto3(&format!("{wide} message M30 {{}}")).writer(MessagePath::FIRST, Limits::default());
    assert!(
        matches!(error, Err(SchemaError::TooManyColumns { .. })),
        "{error:?}"
    );
    // Each of 12 messages holds all of them: as trees, more than there is room for.
    let fields: String = (1..13).map(|i| format!("M{i} f{i} = {i};")).collect();
    let all: String = (1..13)
        .map(|i| format!("message M{i} {{ {fields} }}"))
        .collect();
    let error = proto3(&all).writer(MessagePath::FIRST, Limits::default());
    assert!(
        matches!(error, Err(SchemaError::TooManyColumns { .. })),
        "{error:?}"
    );
}

#[test]
fn schemas_are_found_and_import_others() {
    let address = "syntax = \"proto3\"; package shop; message Address { string zip = 1; }";
    let text = "syntax = \"proto3\"; package shop; import \"address.proto\";
                message User { Address a = 1; message Inner { message Deep { int32 x = 1; } } map<string, int32> m = 2; }
                message Other { bool b = 1; }";
    let schema = Schema::parse(text, &[("address.proto", address)]).unwrap();
    assert_eq!(
        schema.messages(),
        [
            "shop.User",
            "shop.User.Inner",
            "shop.User.Inner.Deep",
            "shop.Other"
        ]
    );
    let path = |indexes: &[usize]| MessagePath::new(indexes).unwrap();
    assert_eq!(schema.path("shop.User.Inner.Deep"), Some(path(&[0, 0, 0])));
    assert_eq!(schema.path("shop.Other"), Some(path(&[1])));
    assert_eq!(schema.path("shop.Address"), None);
    let writer = |indexes: &[usize]| schema.writer(path(indexes), Limits::default());
    assert_eq!(
        writer(&[0, 0, 0]).unwrap().schema().name(),
        Some("shop.User.Inner.Deep")
    );
    assert_eq!(writer(&[1]).unwrap().schema().name(), Some("shop.Other"));
    assert!(matches!(writer(&[2]), Err(SchemaError::NoMessage(_))));
    assert_eq!(
        columns(&mut writer(&[0]).unwrap(), &[0x0a, 3, 0x0a, 1, b'z']).unwrap(),
        "{a:{zip:\"z\"},m:<>}"
    );
    // Nobody registers Confluent's own files.
    let schema = proto3(
        "import \"confluent/meta.proto\"; import \"confluent/type/decimal.proto\";
         message M { confluent.type.Decimal d = 1 [(confluent.field_meta).params = { key: \"scale\", value: \"2\" }]; }",
    );
    assert_eq!(
        read(&schema, &[0x0a, 5, 0x0a, 1, 7, 0x18, 2]),
        "{d:{value:07,precision:0,scale:2}}"
    );
    let nested = "{".repeat(5_000);
    for (text, why) in [
        (&*format!("message M {nested}"), "nested deeper than 100"),
        ("message M {", "expected"),
        (
            "syntax = \"proto3\"; import \"nowhere.proto\"; message M {}",
            "nowhere.proto",
        ),
        ("syntax = \"proto3\"; message M { Q q = 1; }", "Q"),
        (
            "syntax = \"proto3\"; message M { int32 a = 1; int32 b = 1; }",
            "1",
        ),
        ("CgR0ZXN0", "no message"),
    ] {
        let error = Schema::parse(text, &[]).map(|schema| writer_error(&schema));
        let error = error.unwrap_or_else(|error| error.to_string());
        assert!(error.contains(why), "{text}: {error}");
    }
}

fn writer_error(schema: &Schema) -> String {
    match schema.writer(MessagePath::FIRST, Limits::default()) {
        Ok(_) => "a writer".into(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_descriptor_in_base64_is_a_schema() {
    // name "t", package "p", message M { optional int32 a = 1; }, syntax "proto3".
    let message = [
        &[0x0a, 1, b'M', 0x12, 9][..],
        &[0x0a, 1, b'a', 0x18, 1, 0x20, 1, 0x28, 5],
    ]
    .concat();
    let mut bytes = vec![0x0a, 1, b't', 0x12, 1, b'p', 0x22, message.len() as u8];
    bytes.extend(message);
    bytes.extend(b"\x62\x06proto3");
    use base64::prelude::{BASE64_STANDARD, Engine};
    let schema = schema(&BASE64_STANDARD.encode(bytes));
    assert_eq!(read(&schema, &[0x08, 5]), "{a:5}");
    assert_eq!(schema.messages(), ["p.M"]);
}

#[test]
fn a_renamed_field_goes_on_in_its_column() {
    let old =
        proto3("message M { int32 a = 1; N n = 2; repeated N l = 3; } message N { int32 x = 1; }");
    let new = proto3(
        "message M { int32 b = 1; N m = 2; repeated N l = 3; string c = 4; } message N { int64 y = 1; }",
    );
    let table = grow(None, writer(&old).schema()).unwrap().schema;
    // The table's schema is stored as text.
    let table = fletch_columnar::avro::Schema::parse(&table.json(), &[]).unwrap();
    let mut aligned = writer(&new).aligned(&table);
    let grown = grow(Some(&table), aligned.schema()).unwrap();
    let payload = [0x08, 5, 0x12, 2, 0x08, 6, 0x1a, 2, 0x08, 7, 0x22, 1, b'c'];
    assert_eq!(
        columns(&mut aligned, &payload).unwrap(),
        "{a:5,n:{x:6},l:[{x:7}],c:\"c\"}"
    );
    let mut decoder = Decoder::new(&grown.schema, Options::default()).unwrap();
    decoder.add_writer(0, aligned.schema()).unwrap();
    decoder.add_writer(1, writer(&old).schema()).unwrap();
    assert!(grown.schema.json().contains("\"fletch.number\":4"));
    assert!(
        !grow(
            Some(&grown.schema),
            writer(&old).aligned(&grown.schema).schema()
        )
        .unwrap()
        .changed
    );
}

#[test]
fn names_and_numbers_that_cross_are_kept_apart() {
    let table = writer(&proto3("message M { int32 a = 1; string b = 2; }"))
        .schema()
        .clone();
    let names = |body: &str| {
        let aligned = writer(&proto3(body)).aligned(&table);
        let text: serde_json::Value = serde_json::from_str(&aligned.schema().json()).unwrap();
        let names = text["fields"].as_array().unwrap().iter();
        names
            .map(|field| field["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    // They change places.
    assert_eq!(
        names("message M { int32 b = 1; string a = 2; }"),
        ["a", "b"]
    );
    // A name comes again with another number; the number that it had is gone.
    assert_eq!(names("message M { int32 a = 3; }"), ["a_3"]);
    // A number comes again with another type and another name.
    assert_eq!(
        names("message M { string c = 1; int32 b = 4; }"),
        ["c", "b_4"]
    );
    // The same name with another type is for the table to refuse.
    assert_eq!(names("message M { string a = 1; }"), ["a"]);
}

#[test]
fn a_writers_order_of_fields_is_learnt_and_forgotten() {
    let schema = proto3("message M { int32 a = 1; string b = 2; }");
    let mut writer = writer(&schema);
    for round in 0..200 {
        let payload: &[u8] = if round % 40 == 39 {
            &[0x08, 5, 0x12, 1, b'x']
        } else {
            &[0x12, 1, b'x', 0x08, 5]
        };
        assert_eq!(columns(&mut writer, payload).unwrap(), "{a:5,b:\"x\"}");
    }
}

/// The compiler that wrote a descriptor has read its options; who reads them here would follow them down.
#[test]
fn a_descriptor_has_no_options_that_are_texts() {
    use base64::prelude::{BASE64_STANDARD, Engine};
    use prost_reflect::prost::Message;
    use prost_reflect::prost_types::{
        DescriptorProto, FileDescriptorProto, MessageOptions, UninterpretedOption,
    };
    let depth = 100_000;
    let option = UninterpretedOption {
        aggregate_value: Some(format!("{}{}", "m {".repeat(depth), "}".repeat(depth))),
        ..Default::default()
    };
    let inner = DescriptorProto {
        name: Some("Inner".to_owned()),
        options: Some(MessageOptions {
            uninterpreted_option: vec![option],
            ..Default::default()
        }),
        ..Default::default()
    };
    let message = DescriptorProto {
        name: Some("M".to_owned()),
        nested_type: vec![inner],
        ..Default::default()
    };
    let file = FileDescriptorProto {
        name: Some("m.proto".to_owned()),
        message_type: vec![message],
        ..Default::default()
    };
    let text = BASE64_STANDARD.encode(file.encode_to_vec());
    let error = Schema::parse(&text, &[]).unwrap_err();
    assert!(error.to_string().contains("option"), "{error}");
}
