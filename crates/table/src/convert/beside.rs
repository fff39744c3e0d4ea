//! Fields whose type contradicts their column's, in columns beside those.
//!
//! Iceberg lets no column change from a number to text or to a decimal, and what is stored isn't
//! rewritten. Where a topic allows it, such a field is called otherwise from then on: `price`, once a
//! string, is `price_string`. Rows don't carry names, so nothing changes in them.

use fletch_columnar::avro::{self, Incompatible, Schema};
use serde_json::Value;

/// Fields of one schema that may be renamed: each takes growing the table's schema once more.
const RENAMED_MAX: usize = 256;

/// The writer's schema with other names for the fields that the table can't hold under theirs, so that it
/// can take in all of it.
///
/// # Errors
///
/// As [`avro::grow`], if no name helps.
pub(super) fn beside(writer: &Schema, table: &Schema) -> Result<Schema, Incompatible> {
    let mut schema = writer.clone();
    let mut renamed = 0;
    loop {
        let refused = match avro::grow(Some(table), &schema) {
            Ok(_) => return Ok(schema),
            Err(refused) => refused,
        };
        renamed += 1;
        match rename(&schema, &refused.path) {
            Some(other) if renamed <= RENAMED_MAX => schema = other,
            _ => return Err(refused),
        }
    }
}

/// The schema with another name for the innermost field on a path.
fn rename(schema: &Schema, path: &str) -> Option<Schema> {
    let mut json: Value = serde_json::from_str(&schema.json()).ok()?;
    let pointer = field_at(&json, path)?;
    let (fields, _) = pointer.rsplit_once('/')?;
    let field = json.pointer(&pointer)?;
    let mut name = named_by_type(field["name"].as_str()?, word(&field["type"]));
    let fields = json.pointer(fields)?.as_array()?;
    while fields.iter().any(|field| field["name"] == name) {
        name.push('_');
    }
    json.pointer_mut(&pointer)?["name"] = Value::from(name);
    Schema::parse(&json.to_string(), &[]).ok()
}

/// `price` and `string`: `price_string`. A name that has the word already gets an underscore.
fn named_by_type(name: &str, word: &str) -> String {
    match name.trim_end_matches('_').ends_with(&format!("_{word}")) {
        true => format!("{name}_"),
        false => format!("{name}_{word}"),
    }
}

/// What a type is called in a column's name.
fn word(kind: &Value) -> &str {
    match kind {
        Value::Array(members) => {
            let other = members.iter().find(|member| **member != "null");
            other.map_or("null", word)
        }
        Value::Object(_) => match (kind["logicalType"].as_str(), &kind["type"]) {
            (Some("decimal"), _) => "decimal",
            (Some("date"), _) => "date",
            (Some("uuid"), _) => "uuid",
            (Some(logical), _) if logical.contains("timestamp") => "timestamp",
            (Some(logical), _) if logical.starts_with("time-") => "time",
            (_, inner) => word(inner),
        },
        Value::String(name) => match name.as_str() {
            "array" => "list",
            "enum" => "string",
            "fixed" => "bytes",
            "null" | "boolean" | "int" | "long" | "float" | "double" | "bytes" | "string"
            | "map" => name,
            // A record, or the name of a type that is defined elsewhere in the schema.
            _ => "record",
        },
        _ => "value",
    }
}

/// Where in a schema's JSON the innermost field of a path is: field names, `[]` and `{}`, joined by `.`.
fn field_at(schema: &Value, path: &str) -> Option<String> {
    let mut at = String::new();
    let mut field = None;
    for step in path.split('.') {
        at = type_at(schema, at)?;
        match step {
            "[]" => at.push_str("/items"),
            "{}" => at.push_str("/values"),
            name => {
                let fields = schema.pointer(&at)?["fields"].as_array()?;
                let index = fields.iter().position(|field| field["name"] == name)?;
                let here = format!("{at}/fields/{index}");
                at = format!("{here}/type");
                field = Some(here);
            }
        }
    }
    field
}

/// Follows a place to the type that has parts: through what can be null, and to where a name is defined.
fn type_at(schema: &Value, mut at: String) -> Option<String> {
    loop {
        match schema.pointer(&at)? {
            Value::Array(members) => {
                let index = members.iter().position(|member| *member != "null")?;
                at.push_str(&format!("/{index}"));
            }
            Value::String(name) => return definition(schema, name, ""),
            Value::Object(object) => match object.get("type")? {
                Value::Object(_) | Value::Array(_) => at.push_str("/type"),
                _ => return Some(at),
            },
            _ => return None,
        }
    }
}

/// Where the type of a full name is defined, at this place or within.
fn definition(schema: &Value, name: &str, at: &str) -> Option<String> {
    match schema.pointer(at)? {
        Value::Object(object) => {
            let full_name = match (object.get("namespace"), object.get("name")) {
                (Some(Value::String(space)), Some(Value::String(own))) if !space.is_empty() => {
                    format!("{space}.{own}")
                }
                (_, Some(Value::String(own))) => own.clone(),
                _ => String::new(),
            };
            if full_name == name && object.contains_key("fields") {
                return Some(at.to_owned());
            }
            let keys = ["fields", "type", "items", "values"].into_iter();
            let mut within = keys.filter(|key| object.contains_key(*key));
            within.find_map(|key| definition(schema, name, &format!("{at}/{key}")))
        }
        Value::Array(members) => {
            let mut within = 0..members.len();
            within.find_map(|index| definition(schema, name, &format!("{at}/{index}")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(fields: &str) -> Schema {
        let record = format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#);
        Schema::parse(&record, &[]).unwrap()
    }

    fn names(schema: &Schema) -> Vec<String> {
        let json: Value = serde_json::from_str(&schema.json()).unwrap();
        let fields = json["fields"].as_array().unwrap().iter();
        fields
            .map(|field| field["name"].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn what_contradicts_its_column_gets_one_of_its_own() {
        let table = schema(r#"{"name":"id","type":"int"},{"name":"price","type":["null","long"]}"#);
        for (kind, name) in [
            (r#""string""#, "price_string"),
            (r#"["null","string"]"#, "price_string"),
            (
                r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#,
                "price_decimal",
            ),
            (r#"{"type":"array","items":"long"}"#, "price_list"),
            (
                r#"{"type":"enum","name":"E","symbols":["A"]}"#,
                "price_string",
            ),
            (
                r#"{"type":"record","name":"P","fields":[]}"#,
                "price_record",
            ),
            // These go where they belong.
            (
                r#"{"type":"long","logicalType":"timestamp-micros"}"#,
                "price",
            ),
            (r#""int""#, "price"),
            (r#""long""#, "price"),
        ] {
            let writer = schema(&format!(
                r#"{{"name":"price","type":{kind}}},{{"name":"id","type":"long"}}"#
            ));
            let taken = beside(&writer, &table).unwrap();
            assert_eq!(names(&taken), [name, "id"], "{kind}");
            // The same again in the table that has it.
            let grown = avro::grow(Some(&table), &taken).unwrap().schema;
            let again = beside(&writer, &grown).unwrap();
            assert_eq!(again.json(), taken.json());
            assert!(!avro::grow(Some(&grown), &again).unwrap().changed);
        }
    }

    #[test]
    fn a_name_in_use_is_not_taken_and_a_column_of_another_type_isnt_either() {
        let table = schema(
            r#"{"name":"a","type":"int"},{"name":"b","type":"int"},{"name":"b_string","type":"int"}"#,
        );
        let writer = schema(
            r#"{"name":"a","type":"string"},{"name":"a_string","type":"string"},{"name":"b","type":"string"}"#,
        );
        let taken = beside(&writer, &table).unwrap();
        assert_eq!(names(&taken), ["a_string_", "a_string", "b_string_"]);
    }

    #[test]
    fn fields_within_are_found() {
        let item = |kind: &str| {
            format!(
                r#"{{"type":"record","name":"I","namespace":"n","fields":[{{"name":"x","type":{kind}}}]}}"#
            )
        };
        let both = |kind: &str| {
            schema(&format!(
                r#"{{"name":"list","type":["null",{{"type":"array","items":{}}}]}},
                   {{"name":"map","type":{{"type":"map","values":"n.I"}}}}"#,
                item(kind)
            ))
        };
        let taken = beside(&both(r#""string""#), &both(r#""int""#)).unwrap();
        assert!(taken.json().contains("x_string"), "{taken}");
        avro::grow(Some(&both(r#""int""#)), &taken).unwrap();
        // The items themselves have no name: the list has.
        let list = |kind: &str| {
            schema(&format!(
                r#"{{"name":"l","type":{{"type":"array","items":"{kind}"}}}}"#
            ))
        };
        let taken = beside(&list("string"), &list("int")).unwrap();
        assert_eq!(names(&taken), ["l_list"]);
    }
}
