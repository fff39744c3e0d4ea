//! JSON without a schema: its columns are those that the records turn out to need.

use fletch_columnar::avro::Schema;
use fletch_columnar::json::{Inference, Limits, Unknown, Writer};
use fletch_columnar::{Misfit, Transcoder};

use crate::dead_letter::Refusal;

/// What a topic's JSON is read with.
#[derive(Default)]
pub(super) struct Json {
    /// The writer that makes rows, under its number. It is as old as the table's columns.
    pub(super) writer: Option<(u32, Object)>,
    /// Looks at records that need columns, until the table has them.
    pub(super) inference: Option<Inference>,
    /// Why the table can't have columns that were asked for.
    pub(super) refused: Option<Refusal>,
}

/// Makes rows of JSON.
pub(super) struct Object {
    writer: Writer,
    wrap: Wrap,
}

/// Puts a payload into an object of one member, where it isn't one whose members are columns.
pub(super) struct Wrap {
    member: Option<&'static str>,
    text: Vec<u8>,
}

impl Object {
    pub(super) fn new(table: &Schema, member: Option<&'static str>) -> Self {
        Self {
            writer: Writer::new(table, Unknown::Grow),
            wrap: Wrap::new(member),
        }
    }

    pub(super) fn needs_growth(&self) -> bool {
        self.writer.needs_growth()
    }

    pub(super) fn transcode(&mut self, payload: &[u8], row: &mut Vec<u8>) -> Result<(), Misfit> {
        let Self { writer, wrap } = self;
        wrap.around(payload, |text| writer.transcode(text, row))
    }
}

impl Wrap {
    pub(super) fn new(member: Option<&'static str>) -> Self {
        Self {
            member,
            text: Vec::new(),
        }
    }

    /// Does something with the object. What is wrong with it is told of the payload.
    pub(super) fn around(
        &mut self,
        payload: &[u8],
        work: impl FnOnce(&[u8]) -> Result<(), Misfit>,
    ) -> Result<(), Misfit> {
        let Some(member) = self.member else {
            return work(payload);
        };
        // Else `1,"x":2` would be taken for two members.
        if let Err(error) = serde_json::from_slice::<serde_json::Value>(payload) {
            return Err(Misfit {
                path: String::new(),
                position: 0,
                why: format!("not JSON: {error}"),
            });
        }
        self.text.clear();
        self.text.extend_from_slice(b"{\"");
        self.text.extend_from_slice(member.as_bytes());
        self.text.extend_from_slice(b"\":");
        let before = self.text.len();
        self.text.extend_from_slice(payload);
        self.text.push(b'}');
        work(&self.text).map_err(|misfit| Misfit {
            position: misfit.position.saturating_sub(before),
            ..misfit
        })
    }
}

/// An inference that goes on from a table's columns.
pub(super) fn inference(table: Option<&Schema>) -> Inference {
    Inference::new(table, Limits::default())
}

/// Is this an object, if it is JSON at all?
pub(super) fn looks_like_an_object(payload: &[u8]) -> bool {
    let first = payload.iter().find(|byte| !byte.is_ascii_whitespace());
    first == Some(&b'{')
}
