//! Whether a text is a schema, its one spelling, and whether it fits those before it.

use serde_json::Value;

use super::facts::{Compatibility, StoredSchema};
use crate::avro::{self, AvroSchema, compatibility::Direction};
use crate::schema::{ReferencedSchema, SchemaKind};

/// The one spelling that equal schemas share, or why the text is no schema.
pub(super) fn canonical(
    kind: SchemaKind,
    text: &str,
    references: &[ReferencedSchema],
    normalize: bool,
) -> Result<String, String> {
    match kind {
        SchemaKind::Avro => {
            let schema = avro::parse(text, references).map_err(|error| error.to_string())?;
            Ok(avro::render(&schema))
        }
        SchemaKind::Json => {
            let json: Value =
                serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
            if !matches!(json, Value::Object(_) | Value::Bool(_)) {
                return Err("a JSON Schema is an object or a boolean".into());
            }
            Ok(if normalize {
                json.to_string()
            } else {
                without_space(text)
            })
        }
        SchemaKind::Protobuf => {
            if text.trim().is_empty() {
                return Err("there is nothing in it".into());
            }
            Ok(text.to_owned())
        }
    }
}

/// A JSON text without the white space between its tokens; everything else, the order of properties
/// too, is left as it was written.
fn without_space(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut quoted, mut escaped) = (false, false);
    for c in json.chars() {
        if quoted {
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if c.is_ascii_whitespace() {
            continue;
        } else {
            quoted = c == '"';
        }
        out.push(c);
    }
    out
}

/// An earlier version, with what it takes to understand it.
pub(super) struct Earlier {
    pub(super) version: u32,
    pub(super) schema: std::sync::Arc<StoredSchema>,
    pub(super) references: Vec<ReferencedSchema>,
}

/// Why a schema doesn't fit, in the form that tools take apart; nothing if it does.
///
/// `earlier` is in the order in which it is compared; the first misfit is told, with the version it
/// was found in.
pub(super) fn misfits(
    level: Compatibility,
    kind: SchemaKind,
    text: &str,
    references: &[ReferencedSchema],
    earlier: &[Earlier],
) -> Result<Vec<String>, String> {
    if level == Compatibility::None || earlier.is_empty() {
        return Ok(Vec::new());
    }
    let mut new: Option<AvroSchema> = None;
    for old in earlier {
        let mut messages = Vec::new();
        if old.schema.kind != kind {
            messages.push(format!(
                "{{errorType:'SCHEMA_TYPE_CHANGED', description:'the new schema is {kind}, the old \
                 one {}', additionalInfo:'{kind}'}}",
                old.schema.kind
            ));
        } else if kind == SchemaKind::Avro {
            if new.is_none() {
                new = Some(avro::parse(text, references).map_err(|error| error.to_string())?);
            }
            let written = avro::parse(&old.schema.text, &old.references).map_err(|error| {
                format!("version {} can't be read any more: {error}", old.version)
            })?;
            if let Some(new) = &new {
                messages = avro_misfits(level, new, &written);
            }
        } else if old.schema.text != text {
            messages.push(format!(
                "{{errorType:'NOT_CHECKED', description:'the compatibility of {kind} schemas can not \
                 be checked by this registry; with the level NONE they are registered unchecked', \
                 additionalInfo:'{kind}'}}"
            ));
        }
        if !messages.is_empty() {
            messages.push(format!("{{oldSchemaVersion: {}}}", old.version));
            messages.push(format!("{{oldSchema: '{}'}}", old.schema.text));
            messages.push(format!("{{compatibility: '{}'}}", level.as_str()));
            return Ok(messages);
        }
    }
    Ok(Vec::new())
}

fn avro_misfits(level: Compatibility, new: &AvroSchema, old: &AvroSchema) -> Vec<String> {
    let mut messages = Vec::new();
    let mut tell = |reader, writer, direction| {
        for found in avro::compatibility::incompatibilities(reader, writer) {
            messages.push(avro::compatibility::Told(&found, direction).to_string());
        }
    };
    if level.is_backward() {
        tell(new, old, Direction::NewReadsOld);
    }
    if level.is_forward() {
        tell(old, new, Direction::OldReadsNew);
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_goes_and_strings_stay() {
        let text = "{ \"b\" :\t[1 , 2.50],\n \"a\\\" \\\\\" : \" x \\\\\" }";
        assert_eq!(without_space(text), r#"{"b":[1,2.50],"a\" \\":" x \\"}"#);
        let canonical = |text, normalize| canonical(SchemaKind::Json, text, &[], normalize);
        assert_eq!(
            canonical(r#"{"b": 1, "a": 2}"#, true).unwrap(),
            r#"{"a":2,"b":1}"#
        );
        assert_eq!(
            canonical(r#"{"b": 1, "a": 2}"#, false).unwrap(),
            r#"{"b":1,"a":2}"#
        );
        assert!(canonical("[]", false).is_err() && canonical("{", false).is_err());
    }
}
