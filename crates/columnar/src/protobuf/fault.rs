//! Why a message isn't transcoded: it must be read another way, or it isn't what its schema says.

use std::borrow::Cow;
use std::fmt::Write;

use super::entries::key;
use crate::transcode::Misfit;

/// Why the walk over a message ends early.
#[derive(Debug)]
pub(super) enum Stop {
    /// Fields come out of their order or more than once: [`gather`](super::gather) knows how.
    Unordered,
    /// The message isn't what its schema says.
    Fault(Box<Fault>),
}

#[derive(Debug)]
pub(super) struct Fault {
    position: usize,
    why: Cow<'static, str>,
    /// Whether more of the message could mend it: it is well-formed so far.
    partial: bool,
    /// From the inside out.
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Field(String),
    Item(usize),
    Entry(String),
}

#[cold]
pub(super) fn fault(position: usize, why: impl Into<Cow<'static, str>>) -> Stop {
    Stop::Fault(Box::new(Fault {
        position,
        why: why.into(),
        partial: false,
        steps: Vec::new(),
    }))
}

/// Refuses what a part of a message says, or lacks, which another part may mend.
#[cold]
pub(super) fn unfit(position: usize, why: impl Into<Cow<'static, str>>) -> Stop {
    let mut stop = fault(position, why);
    if let Stop::Fault(fault) = &mut stop {
        fault.partial = true;
    }
    stop
}

impl Stop {
    /// Whether only the other walk can tell what is right.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Unordered => true,
            Self::Fault(fault) => fault.partial,
        }
    }

    fn inside(mut self, step: impl FnOnce() -> Step) -> Self {
        if let Self::Fault(fault) = &mut self {
            fault.steps.push(step());
        }
        self
    }

    /// Says that it happened in a field.
    #[cold]
    pub(super) fn in_field(self, name: &str) -> Self {
        // The fields of a map's entry have none: the key says where it is.
        if name.is_empty() {
            return self;
        }
        self.inside(|| Step::Field(name.to_owned()))
    }

    /// Says that it happened in an array's item.
    #[cold]
    pub(super) fn in_item(self, index: usize) -> Self {
        self.inside(|| Step::Item(index))
    }

    /// Says that it happened in a map's entry, of which so much was written: its key, if it came
    /// that far.
    #[cold]
    pub(super) fn in_entry(self, written: &[u8]) -> Self {
        match key(written) {
            Some(key) => {
                let key = String::from_utf8_lossy(&written[key]).into_owned();
                self.inside(|| Step::Entry(key))
            }
            None => self,
        }
    }
}

impl From<Fault> for Misfit {
    fn from(fault: Fault) -> Self {
        let mut path = String::new();
        for step in fault.steps.iter().rev() {
            // Writing to a string never fails.
            let _ = match step {
                Step::Field(name) if path.is_empty() => write!(path, "{name}"),
                Step::Field(name) => write!(path, ".{name}"),
                Step::Item(index) => write!(path, "[{index}]"),
                Step::Entry(key) => write!(path, "{{{key:?}}}"),
            };
        }
        Misfit {
            path,
            position: fault.position,
            why: fault.why.into_owned(),
        }
    }
}
