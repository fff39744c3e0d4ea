//! Payloads that are messages: one schema has several types of them.

use fletch_columnar::protobuf::{MessagePath, may_lack_path, message_path};

use super::{Framed, Known, Payloads, Read, Unfit, Want, Which, WriterKey, invalid, refusal};
use crate::Format;
use crate::convert::detect::SchemaRef;
use crate::convert::writers::Writer;
use crate::dead_letter::{Reason, Refusal};
use crate::format::Origin;

impl Payloads {
    /// Reads a payload that is a message of a schema of several.
    pub(super) fn message<'a>(
        &mut self,
        reference: SchemaRef,
        framed: Framed<'a>,
        arena: &mut Vec<u8>,
    ) -> Result<Read<'a>, Unfit> {
        let Framed { payload, body, .. } = framed;
        let (path, body) = match framed.path {
            Which::Path(path) => (path, body),
            Which::Given => (self.given, body),
            Which::Inside => match message_path(body) {
                Ok((path, length)) if !may_lack_path(body) || self.has_message(reference, path) => {
                    (path, body.get(length..).unwrap_or_default())
                }
                Err(misfit) if !may_lack_path(body) => {
                    let skipped = payload.len() - body.len();
                    return Err(Unfit::Refused(
                        self.sought(reference),
                        invalid(misfit, skipped),
                    ));
                }
                // As kafkajs's registry client writes messages.
                Ok(_) | Err(_) => (MessagePath::FIRST, body),
            },
        };
        if let Some((last, last_path, writer)) = self.messages
            && (last, last_path) == (reference, path)
        {
            return self.row(writer, payload, body, arena);
        }
        let Some(Known::Messages(schema, writers)) = self.schemas.get(&reference) else {
            return Err(Unfit::Wants(Want::Schema(reference)));
        };
        let known = match writers.get(&path) {
            Some(known) => known.clone(),
            // Not remembered: there are more such paths than there is memory.
            None if !schema.has(path) => {
                let message = format!("the schema has no message {path:?}");
                let refusal = refusal(Reason::InvalidSchema, message);
                return Err(Unfit::Refused(self.sought(reference), refusal));
            }
            None => {
                let origin = Origin {
                    format: Format::Protobuf,
                    schema_id: reference.id().or_else(|| self.texts.get(&reference)?.id),
                };
                let made = Writer::message(schema, path, self.role, self.table.as_ref(), origin);
                let admitted =
                    made.and_then(|writer| self.admit(WriterKey::Message(reference, path), writer));
                match admitted {
                    Ok(writer) => self.know_message(reference, path, Ok(writer)),
                    Err(wants @ Unfit::Wants(_)) => return Err(wants),
                    Err(Unfit::Refused(_, refusal)) => {
                        self.know_message(reference, path, Err(refusal))
                    }
                }
            }
        };
        let writer = known.map_err(|refusal| Unfit::Refused(self.sought(reference), refusal))?;
        self.messages = Some((reference, path, writer));
        self.row(writer, payload, body, arena)
    }

    fn has_message(&self, reference: SchemaRef, path: MessagePath) -> bool {
        match self.schemas.get(&reference) {
            Some(Known::Messages(schema, _)) => schema.has(path),
            _ => false,
        }
    }

    pub(super) fn know_message(
        &mut self,
        reference: SchemaRef,
        path: MessagePath,
        known: Result<u32, Refusal>,
    ) -> Result<u32, Refusal> {
        if let Some(Known::Messages(_, writers)) = self.schemas.get_mut(&reference) {
            writers.insert(path, known.clone());
        }
        known
    }
}
