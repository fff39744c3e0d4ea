//! What can be wrong with a text, kept small until somebody asks for the words.

/// Why reading stopped, and where.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) at: usize,
    pub(crate) fault: Fault,
    /// Whether it has been tried to put the value elsewhere.
    pub(crate) settled: bool,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// No JSON: nothing can be done about it.
    #[error("not JSON: {0}")]
    Syntax(&'static str),
    /// A value that its column can't hold. The words say what the column holds.
    #[error("the column holds {0}")]
    Unfit(&'static str),
    /// A value that can't be null is null, or isn't there.
    #[error("a required member is missing")]
    Missing,
    /// A member without a column.
    #[error("there is no column for this")]
    Unknown,
}

impl Stop {
    #[cold]
    pub(crate) fn new(at: usize, fault: Fault) -> Self {
        Self {
            at,
            fault,
            settled: false,
        }
    }

    /// Whether the text isn't JSON at all.
    pub(crate) fn is_syntax(&self) -> bool {
        matches!(self.fault, Fault::Syntax(_))
    }
}
