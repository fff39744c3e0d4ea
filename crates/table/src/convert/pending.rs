//! Rows that wait to be decoded together, with all that isn't decoded.

use fletch_wire::records::Record;

use super::Beside;
use super::payloads::Read;
use super::rows::Rows;
use crate::lineage::LineageBuilder;

/// How a record's parts are read.
pub(super) struct Readings<'a> {
    pub(super) value: Read<'a>,
    pub(super) key: Read<'a>,
    /// The value can't be read, and is kept as it is.
    pub(super) refused: bool,
}

/// Rows that wait to be decoded together.
pub(super) struct Pending<'a> {
    pub(super) values: Rows<'a>,
    pub(super) keys: Option<Rows<'a>>,
    /// Where what can't be read is kept: the values, and which of them can't.
    keeps_raw: bool,
    pub(super) payloads: Vec<Option<&'a [u8]>>,
    pub(super) refused: Vec<bool>,
    pub(super) lineage: LineageBuilder,
}

impl<'a> Pending<'a> {
    pub(super) fn new(capacity: usize, keys: bool, beside: Beside) -> Self {
        Self {
            keeps_raw: beside == Beside::Raw,
            payloads: Vec::new(),
            refused: Vec::new(),
            values: Rows::with_capacity(capacity),
            keys: keys.then(|| Rows::with_capacity(capacity)),
            lineage: LineageBuilder::with_capacity(capacity, beside == Beside::Letters),
        }
    }

    #[inline]
    pub(super) fn push(&mut self, partition: i32, record: &Record<'a>, row: Readings<'a>) {
        let Readings {
            value,
            key,
            refused,
        } = row;
        if self.keeps_raw {
            self.payloads.push(record.value);
            self.refused.push(refused);
        }
        self.lineage.push(partition, record, value.origin);
        self.values.push(value.writer, value.body);
        if let Some(keys) = &mut self.keys {
            keys.push(key.writer, key.body);
        }
    }
}
