//! Payloads that were written with a schema.

use std::collections::HashMap;

use super::{Framed, Known, Payloads, Read, Unfit, Want, WriterKey, refusal};
use crate::Format;
use crate::convert::detect::SchemaRef;
use crate::convert::writers::{self, Writer, format_of};
use crate::dead_letter::Reason;
use crate::format::{Origin, Sought};
use crate::source::{SchemaKind, SchemaText};

impl Payloads {
    /// Reads a payload by a schema.
    pub(super) fn by_schema<'a>(
        &mut self,
        reference: SchemaRef,
        framed: Framed<'a>,
        arena: &mut Vec<u8>,
    ) -> Result<Read<'a>, Unfit> {
        let writer = match self.schemas.get(&reference) {
            None => return Err(Unfit::Wants(Want::Schema(reference))),
            Some(Known::Writer(writer)) => *writer,
            Some(Known::Refused(refusal)) => {
                return Err(Unfit::Refused(self.sought(reference), refusal.clone()));
            }
            Some(Known::Messages(..)) => return self.message(reference, framed, arena),
            Some(Known::Text(text)) => {
                let text = text.clone();
                match self.compile(&text, reference) {
                    Ok(known) => {
                        self.schemas.insert(reference, known);
                        return self.by_schema(reference, framed, arena);
                    }
                    Err(wants @ Unfit::Wants(_)) => return Err(wants),
                    Err(Unfit::Refused(sought, refusal)) => {
                        self.refuse(WriterKey::Schema(reference), refusal.clone());
                        return Err(Unfit::Refused(sought, refusal));
                    }
                }
            }
        };
        if let (SchemaRef::Id(id), Some((origin, true))) = (reference, self.origin(writer))
            && origin.format == Format::Avro
        {
            self.run = Some((id, writer));
        }
        self.row(writer, framed.payload, framed.body, arena)
    }

    /// What is known of a payload that names this schema: its format, if the schema was found or the
    /// topic's format is pinned.
    pub(super) fn sought(&self, reference: SchemaRef) -> Sought {
        let text = self.texts.get(&reference);
        let found = text.map(|text| format_of(text.kind));
        Sought {
            format: found.or(self.settings.format),
            schema_id: reference.id().or_else(|| text?.id),
        }
    }

    /// Finds out what a schema's text says.
    fn compile(&mut self, text: &SchemaText, reference: SchemaRef) -> Result<Known, Unfit> {
        let origin = Origin {
            format: format_of(text.kind),
            schema_id: reference.id().or(text.id),
        };
        if let Some(pinned) = self
            .settings
            .format
            .filter(|pinned| *pinned != origin.format)
        {
            let message = format!(
                "the schema is {}, the topic's format is {}",
                origin.format.as_str(),
                pinned.as_str()
            );
            let refusal = refusal(Reason::UnsupportedSchema, message);
            return Err(Unfit::Refused(origin.into(), refusal));
        }
        if text.kind == SchemaKind::Protobuf {
            let schema = writers::parse_protobuf(text, origin)?;
            if reference == SchemaRef::Given {
                self.given = writers::given_message(&schema, &self.settings, origin)?;
            }
            return Ok(Known::Messages(schema, HashMap::new()));
        }
        let writer = Writer::compile(text, self.role, self.table.as_ref(), origin)?;
        let writer = self.admit(WriterKey::Schema(reference), writer)?;
        Ok(Known::Writer(writer))
    }
}
