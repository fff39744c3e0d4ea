//! Rows that wait to be decoded together.

use std::borrow::Cow;
use std::ops::Range;

use fletch_columnar::Row;

/// Rows in their order: slices of the log's batches, and what was transcoded.
#[derive(Default)]
pub(crate) struct Rows<'a> {
    rows: Vec<Row<'a>>,
    /// Which rows are in `arena`, and where.
    transcoded: Vec<(usize, Range<usize>)>,
    /// Bytes of transcoded rows.
    pub arena: Vec<u8>,
}

/// Where the Avro form of a payload is.
#[derive(Debug, Clone)]
pub(crate) enum Body<'a> {
    /// There is none: a row of nulls.
    Null,
    /// It is the payload, or its end.
    Payload(&'a [u8]),
    /// This part of the arena.
    Arena(Range<usize>),
}

impl<'a> Rows<'a> {
    pub(crate) fn with_capacity(rows: usize) -> Self {
        Self {
            rows: Vec::with_capacity(rows),
            ..Self::default()
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    #[inline]
    pub(crate) fn push(&mut self, writer: u32, body: Body<'a>) {
        let body = match body {
            Body::Null => None,
            Body::Payload(bytes) => Some(bytes),
            Body::Arena(range) => {
                self.transcoded.push((self.rows.len(), range));
                Some(&[] as &[u8])
            }
        };
        self.rows.push(Row { writer, body });
    }

    /// The rows as a decoder takes them.
    pub(crate) fn view(&self) -> Cow<'_, [Row<'_>]> {
        if self.transcoded.is_empty() {
            return Cow::Borrowed(&self.rows);
        }
        let mut rows: Vec<Row<'_>> = self.rows.clone();
        for (at, range) in &self.transcoded {
            if let Some(row) = rows.get_mut(*at) {
                row.body = self.arena.get(range.clone());
            }
        }
        Cow::Owned(rows)
    }

    /// Begins anew, with the memory it has.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.transcoded.clear();
        self.arena.clear();
    }
}
