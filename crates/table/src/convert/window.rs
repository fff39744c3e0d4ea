//! Batches of the log, decompressed and taken apart together.

use std::collections::HashMap;

use bytes::Bytes;
use fletch_store::StoredBatch;
use fletch_wire::Limits;
use fletch_wire::records::{Batch, Record, Records};

use super::Input;
use super::detect::Role;
use crate::dead_letter::{DeadLetter, Decoder, Refusal};
use crate::format::Sought;

/// Decompressed batches that are being taken apart together.
#[derive(Default)]
pub(super) struct Window {
    pub(super) pieces: Vec<Piece>,
    pub(super) records: usize,
    pub(super) bytes: usize,
}

/// A batch of the log.
pub(super) struct Piece {
    pub(super) partition: i32,
    /// Records below this offset have been taken before.
    pub(super) from: i64,
    /// Nor are records from this offset on wanted; the offset after the batch at most.
    pub(super) until: i64,
    /// The batch as it was sent.
    pub(super) sent: Bytes,
    /// Nothing for a control batch, which has no records of a producer, and for one of an aborted
    /// transaction; what is wrong if it can't be taken apart.
    pub(super) records: Result<Option<Records>, String>,
}

/// What a decoder has against a row.
pub(super) struct Fault {
    pub(super) role: Role,
    pub(super) sought: Sought,
    pub(super) refusal: Refusal,
    /// Bytes from the one at fault to the end of the payload, if the row is the payload's end.
    pub(super) from_end: Option<usize>,
}

impl Window {
    pub(super) fn add(&mut self, input: &Input, stored: &StoredBatch, limits: &Limits) {
        let read = || -> fletch_wire::Result<Option<Records>> {
            let batch = Batch::try_from(stored.as_sent().clone())?;
            if batch.attributes.is_control() || stored.is_aborted() {
                return Ok(None);
            }
            Ok(Some(batch.records(limits)?.at(stored.base_offset())))
        };
        let records = read().map_err(|error| error.to_string());
        if let Ok(Some(records)) = &records {
            self.records += records.len();
            self.bytes += records.bytes().len();
        }
        self.pieces.push(Piece {
            partition: input.partition,
            from: input.from.max(stored.base_offset()),
            until: input.until.min(stored.last_offset() + 1),
            sent: stored.as_sent().clone(),
            records,
        });
    }

    /// The records of a batch that nobody has stored, from one of them on, numbered from 0.
    pub(super) fn of(records: Records, from: i64) -> Self {
        let (count, bytes) = (records.len(), records.bytes().len());
        let piece = Piece {
            partition: 0,
            from,
            until: i64::try_from(count).unwrap_or(i64::MAX),
            sent: Bytes::new(),
            records: Ok(Some(records.at(0))),
        };
        Self {
            pieces: vec![piece],
            records: count,
            bytes,
        }
    }

    /// Makes dead letters of the records at these places.
    pub(super) fn letters(&self, mut bad: HashMap<(i32, i64), Fault>, dead: &mut Vec<DeadLetter>) {
        for piece in &self.pieces {
            let Ok(Some(records)) = &piece.records else {
                continue;
            };
            for record in records.iter().flatten() {
                if bad.is_empty() {
                    return;
                }
                if let Some(fault) = bad.remove(&(piece.partition, record.offset)) {
                    let by = Some((fault.role, fault.sought));
                    let refusal = fault.about(&record);
                    dead.push(letter(piece.partition, &record, by, refusal));
                }
            }
        }
    }
}

impl Fault {
    /// The refusal, which says where in the record's payload the fault is.
    fn about(self, record: &Record<'_>) -> Refusal {
        let payload = match self.role {
            Role::Value => record.value,
            Role::Key => record.key,
        };
        let mut refusal = self.refusal;
        let length = payload.map_or(0, <[u8]>::len);
        if let Some(position) = self.from_end.and_then(|end| length.checked_sub(end)) {
            refusal.message = format!("{} at byte {position}", refusal.message);
        }
        refusal
    }
}

/// A record that is refused, by the decoder of its value or its key if by one of them. The bytes are copied: a
/// dead letter outlives the batch it was in.
pub(super) fn letter(
    partition: i32,
    record: &Record<'_>,
    by: Option<(Role, Sought)>,
    refusal: Refusal,
) -> DeadLetter {
    DeadLetter {
        partition,
        offset: record.offset,
        timestamp: record.timestamp,
        key: record.key.map(Bytes::copy_from_slice),
        value: record.value.map(Bytes::copy_from_slice),
        headers: record
            .headers
            .map(|header| {
                let value = header.value.map(Bytes::copy_from_slice);
                (Bytes::copy_from_slice(header.key), value)
            })
            .collect(),
        schema_id: by.and_then(|(_, sought)| sought.schema_id),
        decoder: by.map(|(role, Sought { format, .. })| Decoder { role, format }),
        refusal,
    }
}
