//! Transactions as one partition sees them: which are open, and which were aborted.
//!
//! A transaction is open in a partition from its first batch there to its marker. Below the first
//! batch of the oldest open one everything is decided: that offset is the *last stable offset*. Of
//! what is decided only the aborted transactions are remembered, until retention has gone past them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::codec::{DecodeError, Reader, Write};

/// A transaction that has no marker yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Open {
    /// The epoch of its producer's newest batch.
    pub(super) epoch: i16,
    /// The offset of its first record.
    pub(super) first_offset: i64,
}

/// A transaction whose marker says that it is aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Aborted {
    pub(crate) producer_id: i64,
    /// The offset of its first record.
    pub(crate) first_offset: i64,
    /// The offset of its marker.
    pub(crate) last_offset: i64,
    /// The last stable offset after the marker: whatever was aborted later began there or beyond.
    stable_after: i64,
}

/// The transactions of a partition that has had some.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Transactions {
    /// By producer.
    open: BTreeMap<i64, Open>,
    /// Where the open ones begin.
    firsts: BTreeSet<i64>,
    /// In the order of their markers.
    aborted: VecDeque<Aborted>,
}

impl Transactions {
    /// Whether there is nothing to remember.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.aborted.is_empty()
    }

    pub(super) fn open_of(&self, producer_id: i64) -> Option<Open> {
        self.open.get(&producer_id).copied()
    }

    /// Every open transaction, by producer.
    pub(super) fn open(&self) -> impl Iterator<Item = (i64, Open)> {
        self.open
            .iter()
            .map(|(producer_id, open)| (*producer_id, *open))
    }

    /// Where the oldest open transaction begins.
    pub(super) fn first_open(&self) -> Option<i64> {
        self.firsts.first().copied()
    }

    /// A batch of a transaction was appended.
    pub(super) fn appended(&mut self, producer_id: i64, epoch: i16, base_offset: i64) {
        let open = self.open.entry(producer_id).or_insert(Open {
            epoch,
            first_offset: base_offset,
        });
        open.epoch = open.epoch.max(epoch);
        self.firsts.insert(open.first_offset);
    }

    /// A producer's transaction has its marker, at this offset.
    pub(super) fn ended(&mut self, producer_id: i64, committed: bool, marker_offset: i64) {
        let Some(open) = self.open.remove(&producer_id) else {
            return;
        };
        self.firsts.remove(&open.first_offset);
        if !committed {
            let stable_after = self.first_open().unwrap_or(marker_offset.saturating_add(1));
            self.aborted.push_back(Aborted {
                producer_id,
                first_offset: open.first_offset,
                last_offset: marker_offset,
                stable_after,
            });
        }
    }

    /// Nothing below this offset is read any more.
    pub(super) fn trimmed(&mut self, log_start: i64) {
        let is_gone = |aborted: &Aborted| aborted.last_offset < log_start;
        while self.aborted.front().is_some_and(is_gone) {
            self.aborted.pop_front();
        }
    }

    /// The aborted transactions with a record, or the marker, from `from` on and below `until`.
    pub(super) fn aborted(&self, from: i64, until: i64) -> Vec<Aborted> {
        let first = self
            .aborted
            .partition_point(|aborted| aborted.last_offset < from);
        // Behind one after which all was stable up to `until`, none began below it.
        let last = self
            .aborted
            .partition_point(|aborted| aborted.stable_after < until);
        let last = last.saturating_add(1).min(self.aborted.len());
        let range = self.aborted.range(first.min(last)..last);
        range
            .filter(|aborted| aborted.first_offset < until)
            .copied()
            .collect()
    }

    pub(super) fn write(&self, out: &mut impl Write) {
        out.put_len(self.open.len());
        for (producer_id, open) in &self.open {
            out.put_i64(*producer_id);
            out.put_i16(open.epoch);
            out.put_i64(open.first_offset);
        }
        out.put_len(self.aborted.len());
        for aborted in &self.aborted {
            out.put_i64(aborted.producer_id);
            out.put_i64(aborted.first_offset);
            out.put_i64(aborted.last_offset);
            out.put_i64(aborted.stable_after);
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut transactions = Self::default();
        for _ in 0..reader.count("open transaction count", 18)? {
            let producer_id = reader.i64("producer id")?;
            let epoch = reader.i16("producer epoch")?;
            let first_offset = reader.i64("first offset")?;
            transactions.appended(producer_id, epoch, first_offset);
        }
        for _ in 0..reader.count("aborted transaction count", 32)? {
            transactions.aborted.push_back(Aborted {
                producer_id: reader.i64("producer id")?,
                first_offset: reader.i64("first offset")?,
                last_offset: reader.i64("marker offset")?,
                stable_after: reader.i64("stable offset")?,
            });
        }
        Ok(transactions)
    }
}
