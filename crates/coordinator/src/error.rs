//! What can be wrong with a fact. (What can be wrong with a request is a Kafka error code.)

/// A fact that can't be applied: it was damaged, or written by a later release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The key names no kind of fact.
    #[error("the key {key:?} names no fact of groups or transactions")]
    Key {
        /// The key.
        key: String,
    },
    /// The value isn't one of its kind.
    #[error("the value of {key:?} {source}")]
    Value {
        /// The key.
        key: String,
        /// What is wrong with it.
        source: DecodeError,
    },
}

/// Why bytes are no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They end too early.
    #[error("ends after {have} bytes where {what} needs {need}")]
    Truncated {
        /// The field.
        what: &'static str,
        /// The bytes it needs.
        need: usize,
        /// The bytes there are.
        have: usize,
    },
    /// They go on too long.
    #[error("has {left} bytes after its last field")]
    Trailing {
        /// The bytes left over.
        left: usize,
    },
    /// A text isn't UTF-8.
    #[error("has a {what} that is not UTF-8")]
    Utf8 {
        /// The field.
        what: &'static str,
    },
    /// A number that stands for nothing in this release.
    #[error("has {value} for {what}, which this release does not know")]
    Unknown {
        /// The field.
        what: &'static str,
        /// The number.
        value: u64,
    },
    /// Fields that contradict each other.
    #[error("contradicts itself: {what}")]
    Contradiction {
        /// Which fields, and how.
        what: &'static str,
    },
}
