//! Payloads that are JSON and say nothing about it: columns as they need them.

use fletch_columnar::Misfit;
use fletch_wire::records::Headers;

use super::{Payloads, Read, Unfit, Want, WriterKey};
use crate::Format;
use crate::convert::detect::{Role, carried};
use crate::convert::json::{Object, Wrap, inference, looks_like_an_object};
use crate::convert::rows::Body;
use crate::convert::writers::{Form, Writer};
use crate::format::Origin;

impl Payloads {
    /// Reads a payload as JSON whose columns are inferred; says what is wrong if it isn't JSON.
    pub(super) fn json<'a>(
        &mut self,
        payload: &[u8],
        arena: &mut Vec<u8>,
    ) -> Result<Result<Read<'a>, Misfit>, Unfit> {
        let origin = Origin {
            format: Format::Json,
            schema_id: None,
        };
        if self.json.writer.is_none()
            && let Some(table) = &self.table
        {
            let writer = Writer {
                schema: table.clone(),
                form: Form::Json,
                origin,
            };
            let object = Object::new(table, self.member());
            let number = self.admit(WriterKey::Json, writer)?;
            self.json.writer = Some((number, object));
        }
        if let Some((writer, object)) = &mut self.json.writer {
            let start = arena.len();
            let misfit = match object.transcode(payload, arena) {
                Ok(()) => {
                    return Ok(Ok(Read {
                        writer: *writer,
                        body: Body::Arena(start..arena.len()),
                        origin: Some(origin),
                    }));
                }
                Err(misfit) => misfit,
            };
            if !object.needs_growth() {
                return Ok(Err(misfit));
            }
            if let Some(refusal) = &self.json.refused {
                return Err(Unfit::Refused(origin.into(), refusal.clone()));
            }
        }
        let mut inference = inference(self.table.as_ref());
        if let Err(misfit) = Wrap::new(self.member()).around(payload, |text| inference.see(text)) {
            return Ok(Err(misfit));
        }
        self.json.inference = Some(inference);
        Err(Unfit::Wants(Want::Columns))
    }

    /// The member of JSON objects that payloads are put into, where they aren't columns' objects.
    fn member(&self) -> Option<&'static str> {
        match self.role {
            Role::Value => None,
            Role::Key => Some(self.column()),
        }
    }

    /// While columns for JSON are being asked for: looks at a payload that will come next.
    pub(crate) fn look_ahead(&mut self, payload: Option<&[u8]>, headers: Headers<'_>) {
        let member = self.member();
        let (Some(inference), Some(payload)) = (&mut self.json.inference, payload) else {
            return;
        };
        let is_json = self.settings.format == Some(Format::Json)
            || looks_like_an_object(payload) && carried(headers, self.role).is_none();
        if is_json {
            // What isn't JSON changes nothing.
            let _ = Wrap::new(member).around(payload, |text| inference.see(text));
        }
    }
}
