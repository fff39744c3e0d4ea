//! The next offset of every partition: what a snapshot of the table says it has taken.

use std::collections::HashMap;
use std::fmt;

use iceberg::spec::{SnapshotRef, TableMetadata};

use crate::TableError;

/// Snapshot summary: next offset of partition 0, 1, 2, ... as a JSON array, `[7,0,12]`.
pub(crate) const OFFSETS: &str = "fletch.next-offsets";
/// Snapshot summary: next offset of the topic's dead-letter topic when the snapshot was made.
pub(crate) const DEAD_LETTERS: &str = "fletch.dead-letters.next-offset";

/// Next offset by partition; partitions it doesn't list are at 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Offsets(Vec<i64>);

impl Offsets {
    pub(crate) fn get(&self, partition: i32) -> i64 {
        usize::try_from(partition)
            .ok()
            .and_then(|at| self.0.get(at))
            .copied()
            .unwrap_or(0)
    }

    pub(crate) fn set(&mut self, partition: i32, next: i64) {
        let Ok(at) = usize::try_from(partition) else {
            return;
        };
        match self.0.get_mut(at) {
            Some(place) => *place = next,
            None if next == 0 => {}
            None => {
                self.0.resize(at, 0);
                self.0.push(next);
            }
        }
    }

    /// The summary value. Compact, because every snapshot carries it and a topic may have
    /// thousands of partitions.
    pub(crate) fn encode(&self) -> String {
        let mut text = String::with_capacity(2 + self.0.len() * 8);
        text.push('[');
        for (at, next) in self.0.iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            text.push_str(&next.to_string());
        }
        text.push(']');
        text
    }

    pub(crate) fn decode(text: &str) -> Option<Self> {
        let mut offsets: Vec<i64> = serde_json::from_str(text).ok()?;
        if offsets.iter().any(|next| *next < 0) {
            return None;
        }
        // Trailing zeros say nothing: without them, equal positions are equal values.
        let len = offsets
            .iter()
            .rposition(|next| *next != 0)
            .map_or(0, |at| at + 1);
        offsets.truncate(len);
        Some(Self(offsets))
    }
}

impl fmt::Display for Offsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.encode())
    }
}

/// What the current snapshot of a table says about the log it was made from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub offsets: Offsets,
    pub dead_letters: i64,
}

impl Position {
    /// Reads the position of the current snapshot.
    ///
    /// Other writers (a compaction by Spark, a delete by PyIceberg) don't carry the properties
    /// on, so the nearest ancestor that has them counts. No snapshot at all is the beginning; a
    /// snapshot without any such ancestor is not: then nothing is known, and that is an error.
    pub(crate) fn of(table: &str, metadata: &TableMetadata) -> Result<Self, TableError> {
        let unreadable = |why: String| TableError::Unreadable {
            table: table.to_owned(),
            why,
        };
        let Some(current) = metadata.current_snapshot() else {
            return Ok(Self::default());
        };
        let mut snapshot: &SnapshotRef = current;
        loop {
            let summary: &HashMap<String, String> = &snapshot.summary().additional_properties;
            if let Some(text) = summary.get(OFFSETS) {
                let offsets = Offsets::decode(text)
                    .ok_or_else(|| unreadable(format!("{OFFSETS} is {text:?}")))?;
                let dead_letters = match summary.get(DEAD_LETTERS) {
                    None => 0,
                    Some(text) => text
                        .parse()
                        .map_err(|_| unreadable(format!("{DEAD_LETTERS} is {text:?}")))?,
                };
                return Ok(Self {
                    offsets,
                    dead_letters,
                });
            }
            let parent = snapshot
                .parent_snapshot_id()
                .and_then(|id| metadata.snapshot_by_id(id));
            snapshot = parent.ok_or_else(|| {
                unreadable(format!(
                    "snapshot {} records no offsets, and neither does any ancestor it keeps",
                    current.snapshot_id()
                ))
            })?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn survives_encoding(sets in prop::collection::vec((0..3000i32, 0..i64::MAX), 0..50)) {
            let mut offsets = Offsets::default();
            for (partition, next) in &sets {
                offsets.set(*partition, *next);
            }
            let back = Offsets::decode(&offsets.encode()).unwrap();
            for partition in 0..3000 {
                prop_assert_eq!(back.get(partition), offsets.get(partition));
            }
        }
    }

    #[test]
    fn trailing_zeros_are_no_difference() {
        assert_eq!(Offsets::decode("[1,0,0]"), Offsets::decode("[1]"));
        assert_eq!(Offsets::decode("[-1]"), None);
        assert_eq!(Offsets::decode("{}"), None);
    }
}
