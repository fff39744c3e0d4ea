//! Compiling, writing and comparing, beside `prost-reflect` as the one who reads.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use prost::Message;
use prost_reflect::{DynamicMessage, Kind, MapKey, Value};

use super::compatibility::differences;
use super::{ProtobufError, ProtobufSchema, checked, is_serialized, parse, render};
use crate::schema::ReferencedSchema;

fn schema(text: &str) -> ProtobufSchema {
    parse(text, &[]).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn proto3(body: &str) -> ProtobufSchema {
    schema(&format!("syntax = \"proto3\"; package p; {body}"))
}

/// Codes and places of what keeps the first from reading what the second wrote.
fn told(reader: &ProtobufSchema, writer: &ProtobufSchema) -> Vec<String> {
    let found = differences(reader, writer);
    found
        .iter()
        .map(|found| format!("{} {}", found.code, found.at))
        .collect()
}

const EVERYTHING: &str = r#"
// A comment that goes.
syntax = "proto2";
package a.b;
import "google/protobuf/timestamp.proto";
import public "google/protobuf/any.proto";
import "confluent/meta.proto";
option java_package = "x.y";
option (confluent.file_meta).doc = "the \"file\"";
message Outer {
  option deprecated = true;
  reserved 40 to 42, 50, 1000 to max;
  reserved "gone", "lost";
  extensions 100 to 199;
  message First { optional int32 x = 1; }
  map<string, First> firsts = 1;
  message Second { required string y = 1 [json_name = "why", default = "a\"b"]; }
  repeated Second seconds = 2 [(confluent.field_meta) = { doc: "d", tags: ["p", "q"] }];
  oneof choice {
    int64 number = 3;
    .google.protobuf.Timestamp at = 4;
  }
  optional group Grp = 5 { optional bytes z = 1 [default = "\001\"q"]; }
  repeated int32 packed = 6 [packed = true];
  enum Inner { option allow_alias = true; A = 0; B = 1; C = 1 [deprecated = true]; reserved 5 to 7; }
  optional Inner inner = 7 [default = B];
  extend Outer { optional double inside = 100; }
}
enum Top { ZERO = 0; MINUS = -1; }
extend Outer { repeated Top tops = 101; }
service Service {
  rpc Call (Outer) returns (stream Outer.First) { option deprecated = true; }
  rpc Plain (stream Outer) returns (Outer);
}
"#;

#[test]
fn written_text_means_the_same() {
    let three = r#"syntax = "proto3"; message M { optional string a = 1; string b_c = 2; message N {}
        map<int32, N> c = 3; repeated sfixed64 d = 4 [packed = false]; }"#;
    for text in [EVERYTHING, three, "message Old { optional int32 a = 1; }"] {
        let compiled = schema(text);
        let written = render(&compiled);
        let again = schema(&written);
        assert_eq!(render(&again), written);
        let (was, mut is) = (
            compiled.file.file_descriptor_proto().clone(),
            again.file.file_descriptor_proto().clone(),
        );
        // Everything but where things are in the text, and the order of imports.
        is.source_code_info.clone_from(&was.source_code_info);
        is.dependency.clone_from(&was.dependency);
        is.public_dependency.clone_from(&was.public_dependency);
        is.message_type
            .iter_mut()
            .zip(&was.message_type)
            .for_each(|(is, was)| {
                // Ranges are written before what stands between them.
                assert_eq!(is.reserved_range, was.reserved_range);
            });
        assert_eq!(is, was, "{written}");
        assert_eq!(checked(&compiled, written.clone(), &[]).unwrap(), written);
    }
}

#[test]
fn a_descriptor_is_the_schema_it_describes() {
    let compiled = schema(EVERYTHING);
    let base64 = compiled.serialized();
    assert!(is_serialized(&base64) && !is_serialized(EVERYTHING) && !is_serialized(""));
    let read = parse(&base64, &[]).unwrap();
    assert_eq!(render(&read), render(&compiled));
    assert_eq!(read.serialized(), base64);
    // Its bytes were never touched, and custom options are among them.
    let bytes = STANDARD.decode(&base64).unwrap();
    let doc = b"the \"file\"";
    assert!(bytes.windows(doc.len()).any(|window| window == doc));
}

#[test]
fn comments_and_layout_make_no_other_schema() {
    let a = "syntax=\"proto3\";import \"google/protobuf/any.proto\";import \"google/protobuf/empty.proto\";
        message M{google.protobuf.Any a=1;google.protobuf.Empty e=2;}";
    let b = "syntax = \"proto3\";\n/* x */ import \"google/protobuf/empty.proto\";
        import \"google/protobuf/any.proto\"; message M { // y\n .google.protobuf.Any a = 0x1;
        google.protobuf.Empty e = 2; }";
    assert_eq!(render(&schema(a)), render(&schema(b)));
}

#[test]
fn imports_are_references() {
    let reference = |name: &str, text: &str| ReferencedSchema {
        name: name.to_owned(),
        text: text.to_owned(),
    };
    let leaf = "syntax = \"proto3\"; package l; message Leaf { int32 a = 1; }";
    let middle =
        "syntax = \"proto3\"; import public \"leaf.proto\"; message Middle { l.Leaf leaf = 1; }";
    let top = "syntax = \"proto3\"; import \"dir/middle.proto\"; message Top { Middle m = 1; l.Leaf l = 2; }";
    let known = [
        reference("leaf.proto", leaf),
        reference("dir/middle.proto", middle),
    ];
    assert!(parse(top, &known).is_ok());
    // One that came as a descriptor, and one that isn't needed and wouldn't compile beside the others.
    let leaf = schema(leaf).serialized();
    let known = [
        reference("leaf.proto", &leaf),
        reference(
            "other.proto",
            "syntax = \"proto3\"; package l; message Leaf {}",
        ),
        reference("dir/middle.proto", middle),
    ];
    let compiled = parse(top, &known).unwrap();
    assert!(render(&compiled).contains(".l.Leaf l = 2;"));
    let missing = parse(top, &known[2..]).unwrap_err();
    assert!(
        matches!(&missing, ProtobufError::Missing { name, .. } if name == "leaf.proto"),
        "{missing}"
    );
    let circle = [reference(
        "dir/middle.proto",
        "syntax = \"proto3\"; import \"dir/middle.proto\";",
    )];
    assert!(parse(top, &circle).is_err());
}

#[test]
fn what_is_no_schema_is_refused() {
    for text in [
        "{}",
        "message M { string a = 1 }",
        "syntax = \"proto3\"; message M { Missing a = 1; }",
        "syntax = \"proto3\"; message M { string a = 1; string b = 1; }",
        "syntax = \"proto3\"; message M { string a = 1; } message M {}",
        "syntax = \"proto3\"; message M { string a = 0; }",
        "syntax = \"proto4\";",
        "Zm9v",
    ] {
        assert!(parse(text, &[]).is_err(), "{text}");
    }
    let deep = format!("{}{}", "message M {".repeat(10_000), "}".repeat(10_000));
    assert!(parse(&deep, &[]).is_err());
    let deep = format!(
        "message M {{ optional int32 a = 1 [x = {}{}]; }}",
        "{a:".repeat(10_000),
        "}".repeat(10_000)
    );
    assert!(parse(&deep, &[]).is_err());
    // Nested types in an order that their fields don't give them.
    let mut proto = schema(
        "syntax = \"proto3\"; message M { map<string, string> a = 1; map<string, string> b = 2; }",
    )
    .file
    .file_descriptor_proto()
    .clone();
    proto.message_type[0].nested_type.swap(0, 1);
    let swapped = parse(&STANDARD.encode(proto.encode_to_vec()), &[]).unwrap();
    assert_eq!(
        checked(&swapped, render(&swapped), &[]),
        Err(ProtobufError::Order)
    );
}

#[test]
fn rules() {
    // What the writer wrote, what the reader has, and why that doesn't do.
    let cases: &[(&str, &str, &[&str])] = &[
        ("message A {}", "message A {} message B {}", &[]),
        (
            "message A {} message B {}",
            "message A {}",
            &["MESSAGE_REMOVED #/B"],
        ),
        (
            "message A { message C {} }",
            "message A {}",
            &["MESSAGE_REMOVED #/A/C"],
        ),
        (
            "message A {} message B {}",
            "message B {} message A {}",
            &[],
        ),
        ("enum E { X = 0; Y = 1; }", "enum E { X = 0; }", &[]),
        ("enum E { X = 0; }", "", &[]),
        (
            "message A { int32 a = 1; }",
            "message A { int32 b = 1; }",
            &[],
        ),
        ("message A { int32 a = 1; }", "message A {}", &[]),
        ("message A {}", "message A { int32 a = 1; }", &[]),
        (
            "message A { int32 a = 1; }",
            "message A { bool a = 1; }",
            &[],
        ),
        (
            "message A { uint64 a = 1; }",
            "enum E { X = 0; } message A { E a = 1; }",
            &[],
        ),
        (
            "message A { int32 a = 1; }",
            "message A { sint32 a = 1; }",
            &["FIELD_SCALAR_KIND_CHANGED #/A/1"],
        ),
        (
            "message A { string a = 1; }",
            "message A { bytes a = 1; }",
            &[],
        ),
        (
            "message A { fixed32 a = 1; }",
            "message A { sfixed32 a = 1; }",
            &[],
        ),
        (
            "message A { fixed32 a = 1; }",
            "message A { float a = 1; }",
            &["FIELD_SCALAR_KIND_CHANGED #/A/1"],
        ),
        (
            "message A { string a = 1; }",
            "message A { repeated string a = 1; }",
            &[],
        ),
        (
            "message A { int32 a = 1; }",
            "message A { repeated int32 a = 1; }",
            &["FIELD_NUMERIC_LABEL_CHANGED #/A/1"],
        ),
        (
            "message A { A a = 1; }",
            "message A { string a = 1; }",
            &["FIELD_KIND_CHANGED #/A/1"],
        ),
        (
            "message A { A a = 1; } message B {}",
            "message A { B a = 1; } message B {}",
            &["FIELD_NAMED_TYPE_CHANGED #/A/1"],
        ),
        (
            "message A { map<string, int32> a = 1; }",
            "message A { map<string, int64> a = 1; }",
            &[],
        ),
        (
            "message A { map<string, int32> a = 1; }",
            "message A { map<string, string> a = 1; }",
            &["FIELD_SCALAR_KIND_CHANGED #/A/1"],
        ),
        (
            "message A { map<string, int32> a = 1; }",
            "message A { repeated A a = 1; }",
            &["FIELD_KIND_CHANGED #/A/1"],
        ),
        // Into a oneof.
        (
            "message A { int32 a = 1; }",
            "message A { oneof o { int32 a = 1; } }",
            &[],
        ),
        (
            "message A { int32 a = 1; }",
            "message A { oneof o { string a = 1; } }",
            &["FIELD_SCALAR_KIND_CHANGED #/A/1"],
        ),
        (
            "message A { int32 a = 1; int32 b = 2; }",
            "message A { oneof o { int32 a = 1; int32 b = 2; } }",
            &["MULTIPLE_FIELDS_MOVED_TO_ONEOF #/A/o"],
        ),
        (
            "message A { int32 a = 1; oneof o { int32 b = 2; } }",
            "message A { oneof o { int32 a = 1; int32 b = 2; } }",
            &["FIELD_MOVED_TO_EXISTING_ONEOF #/A/o"],
        ),
        (
            "message A { oneof o { int32 a = 1; int32 b = 2; } }",
            "message A { oneof o { int32 a = 1; } }",
            &["ONEOF_FIELD_REMOVED #/A/o/2"],
        ),
        (
            "message A { oneof o { int32 a = 1; int32 b = 2; } }",
            "message A { oneof o { int32 a = 1; } int32 b = 2; }",
            &["ONEOF_FIELD_REMOVED #/A/o/2"],
        ),
        (
            "message A { oneof o { int32 a = 1; } oneof p { int32 b = 2; } }",
            "message A { oneof o { int32 a = 1; int32 b = 2; } }",
            &["MULTIPLE_FIELDS_MOVED_TO_ONEOF #/A/o"],
        ),
        (
            "message A { oneof o { int32 a = 1; } }",
            "message A { int32 a = 1; }",
            &[],
        ),
        (
            "message A { optional int32 a = 1; optional int32 b = 2; }",
            "message A { int32 a = 1; int32 b = 2; }",
            &[],
        ),
    ];
    for (writer, reader, why) in cases {
        assert_eq!(
            told(&proto3(reader), &proto3(writer)),
            *why,
            "{writer} -> {reader}"
        );
    }
    let two = |body: &str| schema(&format!("syntax = \"proto2\"; message A {{ {body} }}"));
    let (none, required, optional) = (
        two(""),
        two("required int32 a = 1;"),
        two("optional int32 a = 1;"),
    );
    assert_eq!(told(&required, &none), ["REQUIRED_FIELD_ADDED #/A/1"]);
    assert_eq!(told(&required, &optional), ["REQUIRED_FIELD_ADDED #/A/1"]);
    assert_eq!(told(&none, &required), ["REQUIRED_FIELD_REMOVED #/A/1"]);
    assert!(told(&optional, &required).is_empty());
    let other = schema("syntax = \"proto3\"; package q; message A {}");
    assert_eq!(
        told(&other, &proto3("message A {}")),
        ["PACKAGE_CHANGED #/"]
    );
}

#[test]
fn messages_of_other_files_are_compared_where_they_are_used() {
    let using = |field: &str| {
        let leaf =
            format!("syntax = \"proto3\"; package l; message Leaf {{ {field} Leaf l = 9; }}");
        let known = [ReferencedSchema {
            name: "leaf.proto".into(),
            text: leaf,
        }];
        let text = "syntax = \"proto3\"; import \"leaf.proto\"; message Top { l.Leaf a = 1; }";
        parse(text, &known).unwrap()
    };
    assert!(told(&using("int32 a = 1;"), &using("int64 a = 1;")).is_empty());
    assert_eq!(
        told(&using("int32 a = 1;"), &using("string a = 1;")),
        [
            "FIELD_SCALAR_KIND_CHANGED #/Top/1/1",
            "FIELD_NAMED_TYPE_CHANGED #/Top/1"
        ]
    );
}

/// A field by its number, type and oneof.
#[derive(Debug, Clone)]
struct Made {
    number: u32,
    kind: &'static str,
    shape: Shape,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    Single,
    Repeated,
    Map,
    Oneof(usize),
}

const KINDS: [&str; 17] = [
    "int32", "int64", "uint32", "uint64", "bool", "sint32", "sint64", "string", "bytes", "fixed32",
    "sfixed32", "fixed64", "sfixed64", "float", "double", "E", "N",
];

fn made() -> impl Strategy<Value = Vec<Made>> {
    let shape = prop_oneof![
        4 => Just(Shape::Single),
        2 => Just(Shape::Repeated),
        1 => Just(Shape::Map),
        3 => (0usize..2).prop_map(Shape::Oneof),
    ];
    let one = (1u32..6, proptest::sample::select(&KINDS[..]), shape);
    proptest::collection::vec(one, 0..5).prop_map(|fields| {
        let mut known = std::collections::BTreeMap::new();
        for (number, kind, shape) in fields {
            known.insert(
                number,
                Made {
                    number,
                    kind,
                    shape,
                },
            );
        }
        known.into_values().collect()
    })
}

/// The same fields with some changed: pairs that have nothing in common rarely fit.
fn pair() -> impl Strategy<Value = (Vec<Made>, Vec<Made>)> {
    let near = |kind: &'static str| -> Vec<&'static str> {
        let groups: [&[&str]; 5] = [
            &["int32", "int64", "uint32", "uint64", "bool", "E"],
            &["sint32", "sint64"],
            &["string", "bytes"],
            &["fixed32", "sfixed32"],
            &["fixed64", "sfixed64"],
        ];
        groups
            .iter()
            .find(|group| group.contains(&kind))
            .map_or(vec![kind], |group| group.to_vec())
    };
    (
        made(),
        made(),
        proptest::collection::vec((0u8..8, any::<prop::sample::Index>()), 6),
    )
        .prop_map(move |(writer, other, rolls)| {
            let mut reader = writer.clone();
            for (field, (roll, index)) in reader.iter_mut().zip(&rolls) {
                match roll {
                    0 => field.kind = *index.get(&near(field.kind)),
                    1 => field.kind = *index.get(&KINDS),
                    2 => field.shape = Shape::Single,
                    3 => field.shape = Shape::Oneof(index.index(2)),
                    _ => {}
                }
            }
            if rolls.last().is_some_and(|(roll, _)| *roll < 3) {
                reader.pop();
            }
            let new = other
                .into_iter()
                .filter(|new| reader.iter().all(|known| known.number != new.number));
            let new: Vec<_> = new.take(1).collect();
            reader.extend(new);
            (writer, reader)
        })
}

fn text_of(fields: &[Made]) -> String {
    let mut text =
        "syntax = \"proto3\"; enum E { Z = 0; ONE = 1; } message N { int32 n = 1; } message M {"
            .to_owned();
    for Made {
        number,
        kind,
        shape,
    } in fields
    {
        match shape {
            Shape::Single => text += &format!("{kind} f{number} = {number};"),
            Shape::Repeated => text += &format!("repeated {kind} f{number} = {number};"),
            Shape::Map => text += &format!("map<int32, {kind}> f{number} = {number};"),
            Shape::Oneof(_) => {}
        }
    }
    for oneof in 0..2 {
        let members: Vec<_> = fields
            .iter()
            .filter(|field| field.shape == Shape::Oneof(oneof))
            .collect();
        if !members.is_empty() {
            text += &format!("oneof o{oneof} {{");
            for Made { number, kind, .. } in members {
                text += &format!("{kind} f{number} = {number};");
            }
            text += "}";
        }
    }
    text + "}"
}

/// A value that isn't the default, so that it is written.
fn value(kind: &Kind) -> Value {
    match kind {
        Kind::Double => Value::F64(1.5),
        Kind::Float => Value::F32(1.5),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(-3),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(-3),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(3),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(3),
        Kind::Bool => Value::Bool(true),
        Kind::String => Value::String("text".into()),
        Kind::Bytes => Value::Bytes("text".into()),
        Kind::Enum(_) => Value::EnumNumber(1),
        Kind::Message(message) => {
            let mut value = DynamicMessage::new(message.clone());
            for field in message.fields() {
                value.set_field(&field, self::value(&field.kind()));
            }
            Value::Message(value)
        }
    }
}

fn message(schema: &ProtobufSchema, name: &str) -> prost_reflect::MessageDescriptor {
    schema
        .file
        .messages()
        .find(|message| message.name() == name)
        .unwrap()
}

#[test]
fn what_fits_is_read() {
    let fits = std::cell::Cell::new(0);
    let cases = 1_000;
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(cases));
    let run = runner.run(&pair(), |(writer, reader)| {
        let (writer, reader) = (schema(&text_of(&writer)), schema(&text_of(&reader)));
        if !told(&reader, &writer).is_empty() {
            return Ok(());
        }
        fits.set(fits.get() + 1);
        let (write, read) = (message(&writer, "M"), message(&reader, "M"));
        let mut sent = DynamicMessage::new(write.clone());
        for field in write.fields() {
            let one = value(&match field.kind() {
                Kind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind(),
                kind => kind,
            });
            sent.set_field(
                &field,
                if field.is_map() {
                    Value::Map([(MapKey::I32(7), one)].into())
                } else if field.is_list() {
                    Value::List(vec![one.clone(), one])
                } else {
                    one
                },
            );
        }
        let got = DynamicMessage::decode(read.clone(), sent.encode_to_vec().as_slice());
        let got = got.map_err(|error| TestCaseError::fail(error.to_string()))?;
        for (field, _) in sent.fields() {
            match read.get_field(field.number()) {
                // Nothing of it was lost or left unread.
                Some(known) => prop_assert!(got.has_field(&known), "{} of {got:?}", field.name()),
                None => prop_assert!(
                    got.unknown_fields()
                        .any(|left| left.number() == field.number())
                ),
            }
        }
        Ok(())
    });
    run.unwrap();
    let fits = fits.get();
    assert!(
        fits > cases / 10 && fits < cases * 9 / 10,
        "{fits} of {cases} fit"
    );
}

#[test]
fn every_schema_fits_itself_and_its_text() {
    proptest!(ProptestConfig::with_cases(200), |(fields in made())| {
        let compiled = schema(&text_of(&fields));
        let written = render(&compiled);
        prop_assert_eq!(checked(&compiled, written.clone(), &[]).unwrap(), written);
        prop_assert!(told(&compiled, &compiled).is_empty());
    });
}
