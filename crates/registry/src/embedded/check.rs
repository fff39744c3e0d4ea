//! Whether a text is a schema, its one spelling, and whether it fits those before it.

use super::facts::{Compatibility, StoredSchema};
use uuid::Uuid;

use crate::avro::{self, AvroSchema};
use crate::difference::{Difference, Direction, Told};
use crate::json::{self, JsonSchema};
use crate::protobuf::{self, ProtobufSchema};
use crate::schema::{ReferencedSchema, SchemaKind};

/// A schema's text as it is kept, and what tells it from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Canonical {
    pub(super) text: String,
    /// What equal schemas share where the text isn't it: two of one form are one schema.
    pub(super) form: Option<Uuid>,
}

/// Reads a schema, or says why the text is none.
///
/// An Avro schema is kept in the one spelling that equal schemas share. JSON Schemas and `.proto`
/// files are kept as their authors wrote them, but for white space in JSON; a Protobuf descriptor
/// becomes the text of the file it describes. They are told apart by their form, which leaves out
/// comments, layout and the order of JSON properties.
pub(super) fn canonical(
    kind: SchemaKind,
    text: &str,
    references: &[ReferencedSchema],
    normalize: bool,
) -> Result<Canonical, String> {
    match kind {
        SchemaKind::Avro => {
            let schema = avro::parse(text, references).map_err(|error| error.to_string())?;
            Ok(Canonical {
                text: avro::render(&schema),
                form: None,
            })
        }
        SchemaKind::Json => {
            let schema = json::parse(text, references).map_err(|error| error.to_string())?;
            let sorted = schema.sorted();
            let form = Some(form(&sorted));
            let text = if normalize {
                sorted
            } else {
                without_space(text)
            };
            Ok(Canonical { text, form })
        }
        SchemaKind::Protobuf => {
            let schema = protobuf::parse(text, references).map_err(|error| error.to_string())?;
            let rendered = protobuf::render(&schema);
            let form = Some(form(&rendered));
            let text = if protobuf::is_serialized(text) {
                protobuf::checked(&schema, rendered, references)
                    .map_err(|error| error.to_string())?
            } else if normalize {
                rendered
            } else {
                text.to_owned()
            };
            Ok(Canonical { text, form })
        }
    }
}

fn form(text: &str) -> Uuid {
    /// Namespace of the forms of schemas; made up once, at random.
    const NAMESPACE: Uuid = Uuid::from_u128(0x2d1b_7c6a_40e3_4b5f_9f0d_6a8e_51c2_07b4);
    Uuid::new_v5(&NAMESPACE, text.as_bytes())
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
    let new = Parsed::read(kind, text, references)?;
    for old in earlier {
        let mut messages = Vec::new();
        if old.schema.kind != kind {
            messages.push(format!(
                "{{errorType:'SCHEMA_TYPE_CHANGED', description:'the new schema is {kind}, the old \
                 one {}', additionalInfo:'{kind}'}}",
                old.schema.kind
            ));
        } else {
            let written =
                Parsed::read(kind, &old.schema.text, &old.references).map_err(|error| {
                    format!("version {} can't be read any more: {error}", old.version)
                })?;
            if level.is_backward() {
                messages.extend(new.misfits(&written, Direction::NewReadsOld)?);
            }
            if level.is_forward() {
                messages.extend(written.misfits(&new, Direction::OldReadsNew)?);
            }
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

/// A schema of any kind, ready to be compared.
enum Parsed {
    Avro(AvroSchema),
    Json(JsonSchema),
    Protobuf(ProtobufSchema),
}

impl Parsed {
    fn read(
        kind: SchemaKind,
        text: &str,
        references: &[ReferencedSchema],
    ) -> Result<Parsed, String> {
        match kind {
            SchemaKind::Avro => avro::parse(text, references)
                .map(Parsed::Avro)
                .map_err(|error| error.to_string()),
            SchemaKind::Json => json::parse(text, references)
                .map(Parsed::Json)
                .map_err(|error| error.to_string()),
            SchemaKind::Protobuf => protobuf::parse(text, references)
                .map(Parsed::Protobuf)
                .map_err(|error| error.to_string()),
        }
    }

    /// Why this schema can't read what the other writes, in words.
    fn misfits(&self, writer: &Parsed, direction: Direction) -> Result<Vec<String>, String> {
        let told = |found: Vec<Difference>| {
            let told = found.iter().map(|found| Told(found, direction).to_string());
            told.collect()
        };
        match (self, writer) {
            (Parsed::Avro(reader), Parsed::Avro(writer)) => {
                let found = avro::compatibility::incompatibilities(reader, writer);
                let told = found
                    .iter()
                    .map(|found| avro::compatibility::Told(found, direction).to_string());
                Ok(told.collect())
            }
            (Parsed::Json(reader), Parsed::Json(writer)) => {
                let found = json::compatibility::differences(reader, writer);
                found.map(told).map_err(|error| error.to_string())
            }
            (Parsed::Protobuf(reader), Parsed::Protobuf(writer)) => {
                Ok(told(protobuf::compatibility::differences(reader, writer)))
            }
            // Kinds are compared before.
            _ => Err("schemas of two kinds are not compared".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_goes_and_strings_stay() {
        let text = "{ \"b\" :\t[1 , 2.50],\n \"a\\\" \\\\\" : \" x \\\\\" }";
        assert_eq!(without_space(text), r#"{"b":[1,2.50],"a\" \\":" x \\"}"#);
        let canonical = |text, normalize| {
            canonical(SchemaKind::Json, text, &[], normalize).map(|found| found.text)
        };
        assert_eq!(
            canonical(r#"{"title": "1", "$id": "a"}"#, true).unwrap(),
            r#"{"$id":"a","title":"1"}"#
        );
        assert_eq!(
            canonical(r#"{"title": "1", "$id": "a"}"#, false).unwrap(),
            r#"{"title":"1","$id":"a"}"#
        );
        assert!(canonical("[]", false).is_err() && canonical("{", false).is_err());
    }
}
