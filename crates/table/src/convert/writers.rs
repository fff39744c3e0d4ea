//! Writers: what payloads were written with, as something that makes rows.

use fletch_columnar::avro::{Schema, SchemaKind as AvroKind};
use fletch_columnar::json::JsonSchema;
use fletch_columnar::protobuf::{self, MessagePath};
use fletch_columnar::{Limits, Transcoder};

use super::aliases::aligned;
use super::detect::Role;
use super::payloads::{Unfit, refusal};
use super::plain::as_field;
use crate::dead_letter::Reason;
use crate::format::Origin;
use crate::settings::PayloadSettings;
use crate::source::{SchemaKind, SchemaText};
use crate::{Format, lineage};

/// The column of values that aren't records.
const VALUE: &str = "value";

/// What payloads were written with.
pub(super) struct Writer {
    /// The Avro schema of its rows, always a record.
    pub(super) schema: Schema,
    pub(super) form: Form,
    pub(super) origin: Origin,
}

/// How payloads become rows.
pub(super) enum Form {
    /// They are rows.
    AsSent,
    /// This makes rows of them.
    Transcoded(Box<dyn Transcoder>),
    /// The columns' own writer of JSON makes rows of them.
    Json,
}

impl Writer {
    /// The writer of a schema of one type. Fields that `table` has under a former name have that.
    pub(super) fn compile(
        text: &SchemaText,
        role: Role,
        table: Option<&Schema>,
        origin: Origin,
    ) -> Result<Self, Unfit> {
        let invalid = |why: String| {
            let refusal = refusal(Reason::InvalidSchema, why);
            Unfit::Refused(origin.into(), refusal)
        };
        let references = text.references.iter();
        let references: Vec<(&str, &str)> = references
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        let schema = match text.kind {
            SchemaKind::Avro => {
                let texts: Vec<&str> = references.iter().map(|(_, text)| *text).collect();
                Schema::parse(&text.text, &texts).map_err(|error| invalid(error.to_string()))?
            }
            SchemaKind::Json => {
                let schema = JsonSchema::parse(&text.text, &references)
                    .map_err(|error| invalid(error.to_string()))?;
                let form = Form::Transcoded(Box::new(schema.writer()));
                return Self::new(schema.schema().clone(), form, role, origin);
            }
            SchemaKind::Protobuf => {
                let schema = parse_protobuf(text, origin)?;
                return Self::message(&schema, MessagePath::FIRST, role, table, origin);
            }
        };
        let mut writer = Self::new(schema, Form::AsSent, role, origin)?;
        if let Some(schema) = table.and_then(|table| aligned(&writer.schema, table)) {
            writer.schema = schema;
        }
        Ok(writer)
    }

    /// The writer of one of a schema's message types. If `table` began with that type, fields that it
    /// knows by their numbers have the names it has for them.
    pub(super) fn message(
        schema: &protobuf::Schema,
        path: MessagePath,
        role: Role,
        table: Option<&Schema>,
        origin: Origin,
    ) -> Result<Self, Unfit> {
        let writer = schema.writer(path, Limits::default()).map_err(|error| {
            let refusal = refusal(Reason::InvalidSchema, error.to_string());
            Unfit::Refused(origin.into(), refusal)
        })?;
        let writer = match (role, table) {
            // Another type's numbers say nothing about these columns.
            (Role::Value, Some(table)) if table.name() == writer.schema().name() => {
                writer.aligned(table)
            }
            _ => writer,
        };
        let rows = writer.schema().clone();
        Self::new(rows, Form::Transcoded(Box::new(writer)), role, origin)
    }

    /// A writer whose fields are columns. What isn't a record, and every key, is in a column of its
    /// own.
    fn new(schema: Schema, form: Form, role: Role, origin: Origin) -> Result<Self, Unfit> {
        let schema = match (role, schema.kind()) {
            (Role::Value, AvroKind::Record) => schema,
            _ => as_field(column(role), &schema).map_err(|error| {
                let refusal = refusal(Reason::InvalidSchema, error.to_string());
                Unfit::Refused(origin.into(), refusal)
            })?,
        };
        Ok(Self {
            schema,
            form,
            origin,
        })
    }
}

/// The column of payloads that aren't records, or have no columns of their own.
pub(super) fn column(role: Role) -> &'static str {
    match role {
        Role::Value => VALUE,
        Role::Key => lineage::KEY_VALUE,
    }
}

pub(super) fn format_of(kind: SchemaKind) -> Format {
    match kind {
        SchemaKind::Avro => Format::Avro,
        SchemaKind::Json => Format::JsonSchema,
        SchemaKind::Protobuf => Format::Protobuf,
    }
}

/// Which message the payloads are of a schema that the topic names.
pub(super) fn given_message(
    schema: &protobuf::Schema,
    settings: &PayloadSettings,
    origin: Origin,
) -> Result<MessagePath, Unfit> {
    let Some(name) = &settings.message else {
        return Ok(MessagePath::FIRST);
    };
    schema.path(name).ok_or_else(|| {
        let message = format!("the schema has no message {name}");
        Unfit::Refused(origin.into(), refusal(Reason::InvalidSchema, message))
    })
}

/// Whether a schema that a topic names can be read, and payloads of it; if not, why.
pub(crate) fn check_schema(text: &SchemaText, settings: &PayloadSettings) -> Result<(), String> {
    let origin = Origin {
        format: format_of(text.kind),
        schema_id: None,
    };
    let writer = match text.kind {
        SchemaKind::Protobuf => parse_protobuf(text, origin).and_then(|schema| {
            let path = given_message(&schema, settings, origin)?;
            Writer::message(&schema, path, Role::Value, None, origin)
        }),
        _ => Writer::compile(text, Role::Value, None, origin),
    };
    match writer {
        Ok(_) => Ok(()),
        Err(Unfit::Refused(_, refusal)) => Err(refusal.message),
        Err(Unfit::Wants(_)) => Ok(()),
    }
}

/// Reads the text of a schema of messages.
pub(super) fn parse_protobuf(text: &SchemaText, origin: Origin) -> Result<protobuf::Schema, Unfit> {
    let references = text.references.iter();
    let references: Vec<(&str, &str)> = references
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    protobuf::Schema::parse(&text.text, &references).map_err(|error| {
        let refusal = refusal(Reason::InvalidSchema, error.to_string());
        Unfit::Refused(origin.into(), refusal)
    })
}
