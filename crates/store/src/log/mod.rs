//! The log: entries in frames, frames in flushes, flushes in segments.

pub(crate) mod aligned;
pub(crate) mod appender;
pub(crate) mod checkpoint;
pub(crate) mod entry;
pub(crate) mod frame;
pub(crate) mod index;
pub(crate) mod keeper;
pub(crate) mod local;
pub(crate) mod queue;
pub(crate) mod recover;
pub(crate) mod segment;
pub(crate) mod segments;
pub(crate) mod storage;
pub(crate) mod tail;
pub(crate) mod writer;
