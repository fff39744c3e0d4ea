//! A topic's values, or its keys, on their way into columns.
//!
//! Whatever a payload was written with is a *writer*: an Avro schema, and where the payload is
//! something else, a [`Transcoder`](fletch_columnar::Transcoder) that makes Avro rows of it. All writers meet in one decoder,
//! so rows of several formats stand in one batch in the order of their offsets. A writer that the
//! table's columns can't hold yet is reported as growth; who converts goes on once the table has
//! the columns.

mod by_schema;
mod growth;
mod inferred;
mod messages;
mod single;

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::Fields;
use fletch_columnar::avro::Schema;
use fletch_columnar::protobuf::{self, MessagePath, message_path};
use fletch_columnar::{Decoder, Misfit, Options, Types};
use fletch_wire::records::Headers;

use super::detect::{Role, SchemaRef, carried, framed};
use super::json::{Json, looks_like_an_object};
use super::rows::Body;
use super::writers::{Form, Writer, check_schema};
use crate::dead_letter::{Reason, Refusal};
use crate::format::{Origin, Sought};
use crate::settings::PayloadSettings;
use crate::source::SchemaText;
use crate::{Format, TableError};

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
    Refused(Sought, Refusal),
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
    /// The texts of schemas that were found, to begin anew from.
    texts: HashMap<SchemaRef, Arc<SchemaText>>,
    /// The writers of text and of bytes, once there were such payloads.
    plain: HashMap<Format, Result<u32, Refusal>>,
    writers: HashMap<u32, Writer>,
    json: Json,
    /// Payloads of one schema come in long runs: the last one whose rows are used as they are.
    run: Option<(u32, u32)>,
    /// Likewise of messages.
    messages: Option<(SchemaRef, MessagePath, u32)>,
    /// Which message payloads are that don't say it themselves.
    given: MessagePath,
    growth: Option<Growth>,
}

/// What is known of a schema.
enum Known {
    /// Its text, which nobody has looked at yet.
    Text(Arc<SchemaText>),
    /// Payloads of it are rows of this writer.
    Writer(u32),
    /// Payloads of it are messages, each of one of its types.
    Messages(protobuf::Schema, HashMap<MessagePath, Result<u32, Refusal>>),
    /// Payloads of it can't be read.
    Refused(Refusal),
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
    Message(SchemaRef, MessagePath),
    Plain(Format),
    Json,
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
            texts: HashMap::new(),
            plain: HashMap::new(),
            writers: HashMap::new(),
            json: Json::default(),
            run: None,
            messages: None,
            given: MessagePath::FIRST,
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
        Some((writer.origin, matches!(writer.form, Form::AsSent)))
    }

    /// A schema's text came, or it was found that there is none. One that came before, as that of a
    /// subject does each time it is looked at again, changes nothing.
    pub(crate) fn know(&mut self, reference: SchemaRef, text: Result<Arc<SchemaText>, Refusal>) {
        if let Ok(text) = &text {
            let known = self.schemas.contains_key(&reference);
            if let Some(before) = self.texts.get(&reference).filter(|_| known) {
                if before == text {
                    return;
                }
                // What somebody is still writing is looked at again later.
                if let Err(why) = check_schema(text, &self.settings) {
                    tracing::warn!(
                        ?reference,
                        why,
                        "the schema can't be read: it stays as it was"
                    );
                    return;
                }
            }
            self.texts.insert(reference, text.clone());
        }
        self.messages = None;
        let known = text.map_or_else(Known::Refused, Known::Text);
        self.schemas.insert(reference, known);
    }

    /// Forgets what was said about a schema.
    pub(crate) fn forget(&mut self, reference: SchemaRef) {
        self.schemas.remove(&reference);
        self.texts.remove(&reference);
    }

    /// Makes everything that was compiled anew.
    pub(crate) fn reset(&mut self) -> Result<(), TableError> {
        let table = self.table.take();
        let fresh = Self::new(self.role, self.settings.clone(), table)?;
        let old = std::mem::replace(self, fresh);
        let refused = old.schemas.into_iter();
        self.schemas = refused
            .filter(|(_, known)| matches!(known, Known::Refused(_)))
            .collect();
        for (reference, text) in old.texts {
            self.schemas
                .entry(reference)
                .or_insert_with(|| Known::Text(text.clone()));
            self.texts.insert(reference, text);
        }
        Ok(())
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
            Some(format @ (Format::Text | Format::Binary)) => {
                return self.plain(format, payload, arena);
            }
            Some(Format::Json) => {
                let misfit = match self.json(payload, arena)? {
                    Ok(read) => return Ok(read),
                    Err(misfit) => misfit,
                };
                return Err(Unfit::Refused(Sought::of(Format::Json), invalid(misfit, 0)));
            }
            Some(_) if self.settings.given.is_some() => {
                let body = Framed {
                    payload,
                    body: payload,
                    path: Which::Given,
                };
                return self.by_schema(SchemaRef::Given, body, arena);
            }
            _ => {}
        }
        if let Some((reference, rest)) = carried(headers, self.role) {
            let body = Framed {
                payload,
                body: payload,
                path: match message_path(rest) {
                    Ok((path, _)) => Which::Path(path),
                    Err(_) => Which::Inside,
                },
            };
            return self.by_schema(reference, body, arena);
        }
        if let Some((id, body)) = framed(payload) {
            let body = Framed {
                payload,
                body,
                path: Which::Inside,
            };
            return self.by_schema(SchemaRef::Id(id), body, arena);
        }
        if let Some(format) = self.settings.format {
            let refusal = not_framed(format, payload);
            return Err(Unfit::Refused(Sought::of(format), refusal));
        }
        if looks_like_an_object(payload)
            && let Ok(read) = self.json(payload, arena)?
        {
            return Ok(read);
        }
        match std::str::from_utf8(payload) {
            Ok(_) => self.plain(Format::Text, payload, arena),
            Err(_) => self.plain(Format::Binary, payload, arena),
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
            let refusal = refusal(Reason::Internal, message);
            return Err(Unfit::Refused(Sought::default(), refusal));
        };
        let body = match &mut writer.form {
            Form::AsSent | Form::Json => Body::Payload(body),
            Form::Transcoded(transcoder) => {
                let start = arena.len();
                let skipped = payload.len() - body.len();
                transcoder.transcode(body, arena).map_err(|misfit| {
                    Unfit::Refused(writer.origin.into(), invalid(misfit, skipped))
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
}

/// A payload, its end that a schema reads, and which message that is, if the schema has several.
#[derive(Clone, Copy)]
struct Framed<'a> {
    payload: &'a [u8],
    body: &'a [u8],
    path: Which,
}

/// Where it is said which message a payload is.
#[derive(Clone, Copy)]
enum Which {
    /// The body begins with it.
    Inside,
    /// It is this one.
    Path(MessagePath),
    /// The topic says it.
    Given,
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
