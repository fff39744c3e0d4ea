//! An offset, as it is kept.

use std::sync::Arc;

use super::Value;
use crate::codec::{Reader, Writer};
use crate::error::DecodeError;

/// An offset that a group has committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offset {
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: Arc<str>,
    pub(crate) committed_ms: i64,
    /// When to forget it, if its consumer said so.
    pub(crate) expires_ms: Option<i64>,
    /// Its turn among the group's commits: the later one counts, whatever transaction it was in.
    pub(crate) turn: u64,
}

impl Value for Offset {
    fn write(&self, writer: &mut Writer) {
        writer
            .put_i64(self.offset)
            .put_i32(self.leader_epoch)
            .put_text(&self.metadata)
            .put_i64(self.committed_ms)
            .put_optional(self.expires_ms, |writer, ms| _ = writer.put_i64(ms))
            .put_u64(self.turn);
    }

    fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            offset: reader.i64("offset")?,
            leader_epoch: reader.i32("leader epoch")?,
            metadata: reader.text("metadata")?,
            committed_ms: reader.i64("time of the commit")?,
            expires_ms: reader.optional("time to forget", Reader::i64)?,
            turn: reader.u64("turn")?,
        })
    }
}
