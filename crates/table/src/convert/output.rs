//! What converting comes to: rows, dead letters, and how far it got.

use std::collections::HashMap;

use arrow_array::RecordBatch;

use super::detect::Role;
use super::payloads::{Want, refusal};
use super::window::Piece;
use crate::dead_letter::{DeadLetter, Reason};

/// What became of the inputs.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// Rows, in order of the inputs.
    pub rows: Vec<RecordBatch>,
    /// Records that are no rows.
    pub dead: Vec<DeadLetter>,
    /// Of records that are rows although they, or their keys, can't be read: how many, by reason.
    pub raw: HashMap<&'static str, u64>,
    /// Next offset of each partition that got further.
    pub next: HashMap<i32, i64>,
    /// Records taken, dead letters included.
    pub records: u64,
    /// A partition whose next record needs something first. Later inputs weren't looked at.
    pub stopped: Option<Stopped>,
}

/// Where something is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stopped {
    pub partition: i32,
    pub need: Need,
}

/// What is missing, and to read what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Need {
    pub role: Role,
    pub want: Want,
}

impl Output {
    /// A batch, or what is left of it from offset `from` on, is lost to the table.
    pub(super) fn unreadable(&mut self, piece: &Piece, from: i64, message: String) {
        let last = piece.until - 1;
        self.dead.push(DeadLetter {
            partition: piece.partition,
            offset: from,
            timestamp: -1,
            key: None,
            value: Some(piece.sent.clone()),
            headers: Vec::new(),
            schema_id: None,
            decoder: None,
            refusal: refusal(
                Reason::UnreadableBatch,
                format!("offsets {from} to {last} can't be read: {message}"),
            ),
        });
        self.records += u64::try_from(piece.until - from).unwrap_or(0);
        self.next.insert(piece.partition, piece.until);
    }

    /// Adds what came of later records.
    pub(super) fn append(&mut self, later: Self) {
        self.rows.extend(later.rows);
        self.dead.extend(later.dead);
        self.next.extend(later.next);
        self.records += later.records;
        for (reason, count) in later.raw {
            *self.raw.entry(reason).or_default() += count;
        }
        self.stopped = later.stopped;
    }
}
