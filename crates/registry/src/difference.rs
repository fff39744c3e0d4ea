//! What keeps one schema from reading what was written with another, in the words of answers.

use std::fmt;

/// Differences told of one pair of schemas; there may be thousands.
pub(crate) const DIFFERENCES_MAX: usize = 32;

/// Which of two schemas is the newer: messages speak of "new" and "old", not of reader and writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The new schema reads old data (BACKWARD).
    NewReadsOld,
    /// The old schema reads new data (FORWARD).
    OldReadsNew,
}

impl Direction {
    /// What the reader and the writer are called.
    pub(crate) fn words(self) -> (&'static str, &'static str) {
        match self {
            Direction::NewReadsOld => ("new", "old"),
            Direction::OldReadsNew => ("old", "new"),
        }
    }
}

/// One incompatible difference between a reader's schema and a writer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The word that tools know the difference by.
    pub(crate) code: &'static str,
    /// Where: `#/Message/3` or `#/properties/a`.
    pub(crate) at: String,
    /// What is wrong, in terms of READER and WRITER.
    pub(crate) why: &'static str,
}

/// A difference in words, in the form that tools take apart.
pub(crate) struct Told<'a>(pub(crate) &'a Difference, pub(crate) Direction);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Told(Difference { code, at, why }, direction) = self;
        let (reader, writer) = direction.words();
        let why = why.replace("READER", &format!("the {reader} schema"));
        let why = why.replace("WRITER", &format!("the {writer} schema"));
        write!(
            f,
            "{{errorType:\"{code}\", description:\"At '{at}', {why}\"}}"
        )
    }
}
