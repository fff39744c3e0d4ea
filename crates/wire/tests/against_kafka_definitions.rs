//! Every declaration against Apache Kafka's own definitions of the messages, where they are present:
//! names, types, order, versions, nullability, tags, defaults, what may be ignored.
//!
//! They are looked for in `../shared/kafka-messages`, seen from the root of the repository, or in the
//! folder that `KAFKA_MESSAGES` names.

use std::path::PathBuf;

use fletch_wire::{
    ApiKey, Versions,
    messages::APIS,
    shape::{FieldShape, Kind, MessageShape, StructShape},
};
use serde_json::Value;

fn definitions() -> Option<PathBuf> {
    let folder = std::env::var_os("KAFKA_MESSAGES").map_or_else(
        || {
            PathBuf::from(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../../shared/kafka-messages"
            ))
        },
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder);
    }
    println!(
        "skipped: Kafka's message definitions are not in {}",
        folder.display()
    );
    None
}

fn definition(folder: &std::path::Path, name: &str) -> Value {
    let path = folder.join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let is_comment = |line: &&str| line.trim_start().starts_with("//");
    let json: Vec<&str> = text.lines().filter(|line| !is_comment(line)).collect();
    serde_json::from_str(&json.join("\n")).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn versions(value: &Value, key: &str) -> Versions {
    value[key].as_str().map_or(Versions::NONE, Versions::parse)
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for character in name.chars() {
        if character.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(character.to_lowercase());
    }
    snake
}

/// A definition's type as it is written there.
fn type_name(kind: Kind) -> String {
    match kind {
        Kind::Bool => "bool".into(),
        Kind::Int8 => "int8".into(),
        Kind::Int16 => "int16".into(),
        Kind::Uint16 => "uint16".into(),
        Kind::Int32 => "int32".into(),
        Kind::Uint32 => "uint32".into(),
        Kind::Int64 => "int64".into(),
        Kind::Float64 => "float64".into(),
        Kind::Uuid => "uuid".into(),
        Kind::String => "string".into(),
        Kind::Bytes => "bytes".into(),
        Kind::Records => "records".into(),
        Kind::Array(element) => format!("[]{}", type_name(*element)),
        Kind::Struct(shape) => shape.name.into(),
        other => panic!("no name for {other:?}"),
    }
}

fn structure(kind: Kind) -> Option<&'static StructShape> {
    match kind {
        Kind::Array(element) => structure(*element),
        Kind::Struct(shape) => Some(shape),
        _ => None,
    }
}

/// Both ways of writing a default, as one: a number, or the text.
fn default_value(text: &str) -> String {
    let text = text.replace('_', "");
    let number = match text.as_str() {
        "i32::MAX" => Some(i64::from(i32::MAX)),
        "i32::MIN" => Some(i64::from(i32::MIN)),
        "" | "0" | "false" | "False" | "null" => Some(0),
        text => match text.strip_prefix("0x") {
            Some(hex) => i64::from_str_radix(hex, 16).ok(),
            None => text.parse().ok(),
        },
    };
    number.map_or(text, |number| number.to_string())
}

fn compare_message(own: &MessageShape, key: ApiKey, definition: &Value) -> usize {
    assert_eq!(definition["name"], own.name);
    assert_eq!(definition["apiKey"], key.0, "{}", own.name);
    let known = versions(definition, "validVersions").and(own.versions);
    assert!(!known.is_empty(), "{}: no version in common", own.name);
    assert_eq!(
        versions(definition, "flexibleVersions").and(known),
        own.flexible.and(known),
        "{}",
        own.name
    );
    let common = &definition["commonStructs"];
    compare_fields(own.root, &definition["fields"], common, known)
}

/// The fields of a structure: they are where it is used, or among those that are used twice.
fn fields_of<'a>(definition: &'a Value, name: &str, common: &'a Value) -> &'a Value {
    let common = common.as_array().into_iter().flatten();
    let shared = common.filter(|shared| shared["name"] == name);
    let mut places = std::iter::once(definition).chain(shared);
    let place = places.find(|place| place["fields"].is_array());
    &place.expect("a structure with fields")["fields"]
}

/// Compares the fields that exist in some of the versions; answers how many there were.
fn compare_fields(
    own: &StructShape,
    definitions: &Value,
    common: &Value,
    known: Versions,
) -> usize {
    let definitions: Vec<&Value> = definitions
        .as_array()
        .expect("fields")
        .iter()
        .filter(|definition| !versions(definition, "versions").and(known).is_empty())
        .collect();
    let fields: Vec<&FieldShape> = own
        .fields
        .iter()
        .filter(|field| !field.versions.and(known).is_empty())
        .collect();
    let names = |fields: &[&FieldShape]| -> Vec<String> {
        // A name that is a keyword of Rust is escaped.
        let name = |field: &&FieldShape| field.name.trim_start_matches("r#").to_owned();
        fields.iter().map(name).collect()
    };
    let definition_names: Vec<String> = definitions
        .iter()
        .map(|d| snake_case(d["name"].as_str().expect("name")))
        .collect();
    assert_eq!(names(&fields), definition_names, "{}", own.name);
    let mut count = 0;
    for (field, definition) in fields.into_iter().zip(definitions) {
        let place = format!("{}.{}", own.name, field.name);
        let existing = field.versions.and(known);
        assert_eq!(definition["type"], type_name(field.kind), "{place}");
        assert_eq!(
            versions(definition, "versions").and(known),
            existing,
            "{place}"
        );
        assert_eq!(
            versions(definition, "nullableVersions").and(existing),
            field.nullable.and(existing),
            "{place} nullable"
        );
        assert_eq!(
            definition["tag"].as_u64(),
            field.tag.map(u64::from),
            "{place} tag"
        );
        if field.tag.is_some() {
            let tagged = versions(definition, "taggedVersions").and(known);
            assert_eq!(tagged, existing, "{place}: tagged in all its versions");
        }
        assert_eq!(
            definition["ignorable"].as_bool().unwrap_or_default(),
            field.ignorable,
            "{place} ignorable"
        );
        // A definition's default is a text, a number or a boolean.
        let expected = match &definition["default"] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        assert_eq!(
            default_value(&expected),
            default_value(field.default.unwrap_or_default()),
            "{place} default"
        );
        count += 1;
        if let Some(shape) = structure(field.kind) {
            let fields = fields_of(definition, shape.name, common);
            count += compare_fields(shape, fields, common, existing);
        }
    }
    count
}

#[test]
fn declarations_agree_with_kafkas_definitions() {
    let Some(folder) = definitions() else { return };
    let mut count = 0;
    for api in APIS {
        for shape in [&api.request, &api.response] {
            count += compare_message(shape, api.key, &definition(&folder, shape.name));
        }
    }
    assert!(count > 200, "only {count} fields were compared");
    println!("{count} fields of {} messages agree", 2 * APIS.len());
}

#[test]
fn keys_have_kafkas_names() {
    let Some(folder) = definitions() else { return };
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let Some(name) = file.strip_suffix("Request.json") else {
            continue;
        };
        let folder = definitions().expect("it was there");
        let definition = definition(&folder, &format!("{name}Request"));
        let key = ApiKey(definition["apiKey"].as_i64().unwrap() as i16);
        assert_eq!(key.name(), Some(name));
        count += 1;
    }
    assert!(count > 70, "only {count} keys were compared");
}
