//! Places where a test can make the way into the table break, as a crash or a full disk would.

use std::sync::Arc;

use crate::TableError;

/// A step on the way into the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// Before the dead letters of a commit are appended to their topic.
    DeadLetters,
    /// The dead letters are in their topic; the data file isn't closed yet.
    DeadLettersWritten,
    /// The data file is closed and durable; nothing refers to it.
    DataFileWritten,
    /// The manifest is written.
    ManifestWritten,
    /// The manifest list is written.
    ManifestListWritten,
    /// The new metadata file is written; the catalog still names the old one.
    MetadataWritten,
    /// The catalog names the new metadata file, but the writer never learns of it.
    Swapped,
    /// The commit is done and known; the files it made superfluous are still there.
    Committed,
}

/// Called at every [`Step`]; an error ends the work there.
pub type Hook = Arc<dyn Fn(&str, Step) -> bool + Send + Sync>;

/// Shown every value before it is decoded; it may panic, as a faulty decoder would.
pub type Look = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// The hooks of a configuration, or none.
#[derive(Clone, Default)]
pub struct Faults {
    hook: Option<Hook>,
    look: Option<Look>,
}

impl Faults {
    /// Fails each step for which `hook(table, step)` is true.
    pub fn new(hook: Hook) -> Self {
        Self {
            hook: Some(hook),
            look: None,
        }
    }

    /// Shows each value to `look`.
    pub fn looking(look: Look) -> Self {
        Self {
            hook: None,
            look: Some(look),
        }
    }

    #[inline]
    pub(crate) fn look_at(&self, value: &[u8]) {
        if let Some(look) = &self.look {
            look(value);
        }
    }

    pub(crate) fn at(&self, table: &str, step: Step) -> Result<(), TableError> {
        match &self.hook {
            Some(hook) if hook(table, step) => Err(TableError::Injected(step)),
            _ => Ok(()),
        }
    }
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.hook.is_some() || self.look.is_some() {
            "Faults(hooked)"
        } else {
            "Faults(none)"
        })
    }
}
