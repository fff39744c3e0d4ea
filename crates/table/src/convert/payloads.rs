//! A topic's values, or its keys, on their way into columns.
//!
//! Whatever a payload was written with is a *writer*: an Avro schema, and where the payload is
//! something else, a [`Transcoder`] that makes Avro rows of it. All writers meet in one decoder,
//! so rows of several formats stand in one batch in the order of their offsets. A writer that the
//! table's columns can't hold yet is reported as growth; who converts goes on once the table has
//! the columns.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Fields};
use fletch_columnar::avro::{self, Schema, SchemaKind as AvroKind};
use fletch_columnar::{Decoder, Misfit, Options, Transcoder, Types};
use fletch_wire::records::Headers;

use super::detect::{Role, SchemaRef, carried, framed};
use super::plain::{Plain, as_field};
use super::rows::Body;
use crate::dead_letter::{Reason, Refusal};
use crate::format::Origin;
use crate::settings::PayloadSettings;
use crate::source::{SchemaKind, SchemaText};
use crate::{Format, TableError, lineage};

/// The column of values that aren't records.
const VALUE: &str = "value";

/// A payload that was read.
#[derive(Debug)]
pub(crate) struct Read<'a> {
    pub writer: u32,
    pub body: Body<'a>,
    /// None for a payload that is null.
    pub origin: Option<Origin>,
}

impl Read<'_> {
    /// What a null payload is, and one that isn't to be looked at.
    pub(crate) const NULL: Self = Self {
        writer: 0,
        body: Body::Null,
        origin: None,
    };
}

/// Why a payload can't be read.
#[derive(Debug)]
pub(crate) enum Unfit {
    /// It can once this is there.
    Wants(Want),
    /// It never can.
    Refused(Option<u32>, Refusal),
}

/// What has to be there before a payload can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Want {
    /// A schema.
    Schema(SchemaRef),
    /// Columns, those of [`Payloads::growth`].
    Columns,
}

/// How the payloads of one role are read.
pub(crate) struct Payloads {
    role: Role,
    settings: PayloadSettings,
    /// The schema of the columns, always a record. None until the first writer.
    table: Option<Schema>,
    decoder: Option<Decoder>,
    schemas: HashMap<SchemaRef, Known>,
    /// The writers of text and of bytes, once there were such payloads.
    plain: HashMap<Format, Result<u32, Refusal>>,
    writers: HashMap<u32, Writer>,
    /// Payloads of one schema come in long runs: the last one whose rows are used as they are.
    run: Option<(u32, u32)>,
    growth: Option<Growth>,
}

/// What is known of a schema.
enum Known {
    /// Its text, which nobody has looked at yet.
    Text(Arc<SchemaText>),
    /// Payloads of it are rows of this writer.
    Writer(u32),
    /// Payloads of it can't be read.
    Refused(Refusal),
}

struct Writer {
    schema: Schema,
    transcoder: Option<Box<dyn Transcoder>>,
    origin: Origin,
}

/// Columns that a writer asks for.
struct Growth {
    table: Schema,
    decoder: Option<Decoder>,
    key: WriterKey,
}

/// Who a writer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum WriterKey {
    Schema(SchemaRef),
    Plain(Format),
}

impl Payloads {
    /// Payloads into the columns of `table`, as far as it has some.
    pub(crate) fn new(
        role: Role,
        settings: PayloadSettings,
        table: Option<Schema>,
    ) -> Result<Self, TableError> {
        let decoder = table.as_ref().map(decoder).transpose()?;
        Ok(Self {
            role,
            settings,
            table,
            decoder,
            schemas: HashMap::new(),
            plain: HashMap::new(),
            writers: HashMap::new(),
            run: None,
            growth: None,
        })
    }

    /// The schema of the columns.
    pub(crate) fn table(&self) -> Option<&Schema> {
        self.table.as_ref()
    }

    /// The columns, under the names that the schema has for them.
    pub(crate) fn fields(&self) -> Fields {
        let schema = self.decoder.as_ref().map(Decoder::schema);
        schema
            .map(|schema| schema.fields().clone())
            .unwrap_or_default()
    }

    /// The decoder of the columns, if there are any.
    pub(crate) fn decoder(&mut self) -> Option<&mut Decoder> {
        self.decoder.as_mut()
    }

    /// Where the rows of a writer come from, and whether they are what was sent.
    pub(crate) fn origin(&self, writer: u32) -> Option<(Origin, bool)> {
        let writer = self.writers.get(&writer)?;
        Some((writer.origin, writer.transcoder.is_none()))
    }

    /// A schema's text came, or it was found that there is none.
    pub(crate) fn know(&mut self, reference: SchemaRef, text: Result<Arc<SchemaText>, Refusal>) {
        let known = text.map_or_else(Known::Refused, Known::Text);
        self.schemas.insert(reference, known);
    }

    /// Forgets what was said about a schema.
    pub(crate) fn forget(&mut self, reference: SchemaRef) {
        self.schemas.remove(&reference);
    }

    /// Finds out how a payload is read; what has to be transcoded goes to the end of `arena`.
    #[inline]
    pub(crate) fn read<'a>(
        &mut self,
        payload: Option<&'a [u8]>,
        headers: Headers<'_>,
        arena: &mut Vec<u8>,
    ) -> Result<Read<'a>, Unfit> {
        let Some(payload) = payload else {
            return Ok(Read::NULL);
        };
        if let (Some((id, writer)), Some((found, body))) = (self.run, framed(payload))
            && id == found
            && (headers.is_empty() || carried(headers, self.role).is_none())
        {
            let format = Format::Avro;
            return Ok(Read {
                writer,
                body: Body::Payload(body),
                origin: Some(Origin {
                    format,
                    schema_id: Some(id),
                }),
            });
        }
        self.find_out(payload, headers, arena)
    }

    fn find_out<'a>(
        &mut self,
        payload: &'a [u8],
        headers: Headers<'_>,
        arena: &mut Vec<u8>,
    ) -> Result<Read<'a>, Unfit> {
        match self.settings.format {
            Some(format @ (Format::Text | Format::Binary)) => self.plain(format, payload, arena),
            Some(_) if self.settings.subject.is_some() => {
                self.by_schema(SchemaRef::Subject, payload, payload, arena)
            }
            pinned => {
                if let Some((reference, _path)) = carried(headers, self.role) {
                    return self.by_schema(reference, payload, payload, arena);
                }
                if let Some((id, body)) = framed(payload) {
                    return self.by_schema(SchemaRef::Id(id), payload, body, arena);
                }
                match pinned {
                    Some(format) => Err(Unfit::Refused(None, not_framed(format, payload))),
                    None if std::str::from_utf8(payload).is_ok() => {
                        self.plain(Format::Text, payload, arena)
                    }
                    None => self.plain(Format::Binary, payload, arena),
                }
            }
        }
    }

    /// Reads the body of a payload, which is its end, by a schema.
    fn by_schema<'a>(
        &mut self,
        reference: SchemaRef,
        payload: &'a [u8],
        body: &'a [u8],
        arena: &mut Vec<u8>,
    ) -> Result<Read<'a>, Unfit> {
        let writer = match self.schemas.get(&reference) {
            None => return Err(Unfit::Wants(Want::Schema(reference))),
            Some(Known::Writer(writer)) => *writer,
            Some(Known::Refused(refusal)) => {
                return Err(Unfit::Refused(reference.id(), refusal.clone()));
            }
            Some(Known::Text(text)) => {
                let text = text.clone();
                let admitted = self
                    .compile(&text, reference)
                    .and_then(|writer| self.admit(WriterKey::Schema(reference), writer));
                let known = match admitted {
                    Ok(writer) => Ok(writer),
                    Err(wants @ Unfit::Wants(_)) => return Err(wants),
                    Err(Unfit::Refused(id, refusal)) => Err((id, refusal)),
                };
                match known {
                    Ok(writer) => {
                        self.schemas.insert(reference, Known::Writer(writer));
                        writer
                    }
                    Err((id, refusal)) => {
                        self.refuse(WriterKey::Schema(reference), refusal.clone());
                        return Err(Unfit::Refused(id, refusal));
                    }
                }
            }
        };
        if let (SchemaRef::Id(id), Some((origin, true))) = (reference, self.origin(writer))
            && origin.format == Format::Avro
        {
            self.run = Some((id, writer));
        }
        self.row(writer, payload, body, arena)
    }

    /// Makes a writer of a schema's text.
    fn compile(&self, text: &SchemaText, reference: SchemaRef) -> Result<Writer, Unfit> {
        let id = reference.id().or(text.id);
        let refused = |reason, message| Unfit::Refused(id, refusal(reason, message));
        let format = match text.kind {
            SchemaKind::Avro => Format::Avro,
            SchemaKind::Json => Format::JsonSchema,
            SchemaKind::Protobuf => Format::Protobuf,
        };
        if let Some(pinned) = self.settings.format.filter(|pinned| *pinned != format) {
            let message = format!(
                "the schema is {}, the topic's format is {}",
                format.as_str(),
                pinned.as_str()
            );
            return Err(refused(Reason::UnsupportedSchema, message));
        }
        if format != Format::Avro {
            let message = format!("the schema is {}, which isn't decoded", format.as_str());
            return Err(refused(Reason::UnsupportedSchema, message));
        }
        let references: Vec<&str> = text
            .references
            .iter()
            .map(|(_, text)| text.as_str())
            .collect();
        let schema = Schema::parse(&text.text, &references)
            .map_err(|error| refused(Reason::InvalidSchema, error.to_string()))?;
        self.writer(
            schema,
            None,
            Origin {
                format,
                schema_id: id,
            },
        )
    }

    /// A writer of this schema, whose fields are columns. What isn't a record, and every key, is
    /// in a column of its own.
    fn writer(
        &self,
        schema: Schema,
        transcoder: Option<Box<dyn Transcoder>>,
        origin: Origin,
    ) -> Result<Writer, Unfit> {
        let schema = match (self.role, schema.kind()) {
            (Role::Value, AvroKind::Record) => schema,
            _ => as_field(self.column(), &schema).map_err(|error| {
                let refusal = refusal(Reason::InvalidSchema, error.to_string());
                Unfit::Refused(origin.schema_id, refusal)
            })?,
        };
        Ok(Writer {
            schema,
            transcoder,
            origin,
        })
    }

    /// Text, or bytes, as one value.
    fn plain<'a>(
        &mut self,
        format: Format,
        payload: &'a [u8],
        arena: &mut Vec<u8>,
    ) -> Result<Read<'a>, Unfit> {
        let writer = match self.plain.get(&format) {
            Some(Ok(writer)) => *writer,
            Some(Err(refusal)) => return Err(Unfit::Refused(None, refusal.clone())),
            None => {
                let column = self.plain_column(format);
                let plain = match format {
                    Format::Text => Plain::text(&column),
                    _ => Plain::binary(&column),
                };
                let invalid = |error: avro::SchemaError| {
                    Unfit::Refused(None, refusal(Reason::InvalidSchema, error.to_string()))
                };
                let plain = plain.map_err(invalid)?;
                let writer = Writer {
                    schema: plain.schema().clone(),
                    transcoder: Some(Box::new(plain)),
                    origin: Origin {
                        format,
                        schema_id: None,
                    },
                };
                let writer = self.admit(WriterKey::Plain(format), writer)?;
                self.plain.insert(format, Ok(writer));
                writer
            }
        };
        self.row(writer, payload, payload, arena)
    }

    /// The column for text or bytes: where the first choice holds something else, a sibling.
    fn plain_column(&self, format: Format) -> String {
        let (data_type, ending) = match format {
            Format::Text => (DataType::Utf8, "text"),
            _ => (DataType::Binary, "bytes"),
        };
        let fields = self.fields();
        let fits = |name: &str| {
            fields
                .find(name)
                .is_none_or(|(_, field)| *field.data_type() == data_type)
        };
        let mut name = self.column().to_owned();
        if !fits(&name) {
            name = format!("{name}_{ending}");
        }
        while !fits(&name) {
            name.push('_');
        }
        name
    }

    fn column(&self) -> &'static str {
        match self.role {
            Role::Value => VALUE,
            Role::Key => lineage::KEY_VALUE,
        }
    }

    fn row<'a>(
        &mut self,
        number: u32,
        payload: &[u8],
        body: &'a [u8],
        arena: &mut Vec<u8>,
    ) -> Result<Read<'a>, Unfit> {
        let Some(writer) = self.writers.get_mut(&number) else {
            let message = format!("writer {number} is gone");
            return Err(Unfit::Refused(None, refusal(Reason::Internal, message)));
        };
        let body = match &mut writer.transcoder {
            None => Body::Payload(body),
            Some(transcoder) => {
                let start = arena.len();
                let skipped = payload.len() - body.len();
                transcoder.transcode(body, arena).map_err(|misfit| {
                    Unfit::Refused(writer.origin.schema_id, invalid(misfit, skipped))
                })?;
                Body::Arena(start..arena.len())
            }
        };
        Ok(Read {
            writer: number,
            body,
            origin: Some(writer.origin),
        })
    }

    /// Takes a writer in, if the columns hold what it sends.
    fn admit(&mut self, key: WriterKey, writer: Writer) -> Result<u32, Unfit> {
        let id = writer.origin.schema_id;
        let refused = |path: &str, message: String| {
            let reason = Reason::IncompatibleSchema;
            let path = path.to_owned();
            Unfit::Refused(
                id,
                Refusal {
                    reason,
                    message,
                    path,
                },
            )
        };
        let grown = avro::grow(self.table.as_ref(), &writer.schema)
            .map_err(|error| refused(&error.path, error.to_string()))?;
        let decoder = match &mut self.decoder {
            Some(decoder) if !grown.changed => decoder,
            _ => {
                self.growth = Some(Growth {
                    table: grown.schema,
                    decoder: None,
                    key,
                });
                return Err(Unfit::Wants(Want::Columns));
            }
        };
        let number = (0..).find(|number| !self.writers.contains_key(number));
        let number = number.unwrap_or(u32::MAX);
        decoder
            .add_writer(number, &writer.schema)
            .map_err(|error| refused(&error.path, error.to_string()))?;
        self.writers.insert(number, writer);
        Ok(number)
    }

    /// The columns as they would be if they grew as asked for.
    pub(crate) fn growth(&mut self) -> Result<(&Schema, Fields), TableError> {
        let growth = self.growth.as_mut().ok_or(TableError::Closed)?;
        let decoder = match &growth.decoder {
            Some(decoder) => decoder,
            None => growth.decoder.insert(decoder(&growth.table)?),
        };
        Ok((&growth.table, decoder.schema().fields().clone()))
    }

    /// The columns are there: payloads that need them can be read.
    pub(crate) fn grow(&mut self) -> Result<(), TableError> {
        let Some(growth) = self.growth.take() else {
            return Ok(());
        };
        let mut grown = match growth.decoder {
            Some(decoder) => decoder,
            None => decoder(&growth.table)?,
        };
        for (number, writer) in &self.writers {
            grown
                .add_writer(*number, &writer.schema)
                .map_err(|error| TableError::Column {
                    path: error.path.clone(),
                    why: format!(
                        "writer {number} doesn't fit the table's columns any more: {}",
                        error.why
                    ),
                })?;
        }
        self.decoder = Some(grown);
        self.table = Some(growth.table);
        Ok(())
    }

    /// The columns can't be had: payloads that need them can't be read.
    pub(crate) fn refuse_growth(&mut self, refusal: Refusal) {
        if let Some(growth) = self.growth.take() {
            self.refuse(growth.key, refusal);
        }
    }

    fn refuse(&mut self, key: WriterKey, refusal: Refusal) {
        tracing::warn!(
            writer = ?key,
            reason = refusal.reason.as_str(),
            message = refusal.message,
            "payloads of this writer can't be read"
        );
        match key {
            WriterKey::Schema(reference) => {
                self.schemas.insert(reference, Known::Refused(refusal));
            }
            WriterKey::Plain(format) => {
                self.plain.insert(format, Err(refusal));
            }
        }
    }
}

/// A decoder into the columns of a table's schema.
fn decoder(table: &Schema) -> Result<Decoder, TableError> {
    let options = Options {
        profile: Types::Iceberg,
        all_nullable: true,
        ..Options::default()
    };
    Decoder::new(table, options).map_err(|error| TableError::Column {
        path: String::new(),
        why: error.to_string(),
    })
}

fn not_framed(format: Format, payload: &[u8]) -> Refusal {
    let message = format!(
        "the topic's format is {}: a zero byte and a four-byte schema id are expected; the {} bytes begin with {:02x?}",
        format.as_str(),
        payload.len(),
        payload.get(..5).unwrap_or(payload)
    );
    refusal(Reason::NotFramed, message)
}

fn invalid(misfit: Misfit, skipped: usize) -> Refusal {
    Refusal {
        reason: Reason::InvalidValue,
        message: format!("{} at byte {}", misfit.why, misfit.position + skipped),
        path: misfit.path,
    }
}

/// A refusal of a whole payload.
pub(crate) fn refusal(reason: Reason, message: String) -> Refusal {
    Refusal {
        reason,
        message,
        path: String::new(),
    }
}
