//! What can go wrong between a caller and a registry.

use std::fmt;

/// Why a registry could not give what was asked of it.
///
/// `url` is what was called, without user information; nothing here ever holds a credential.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RegistryError {
    /// The registry answered, and has no such schema, subject or version.
    #[error("{what} isn't in the registry ({url} answered {answer})")]
    NotFound {
        /// What was asked for, as "schema 7".
        what: String,
        /// The URL called.
        url: String,
        /// Status, error code and message.
        answer: Answer,
    },

    /// No registry could be reached, or none was in a state to answer. Worth asking again later.
    #[error("no registry answered in {attempts} attempts; the last was {url}: {reason}")]
    Unavailable {
        /// Requests sent.
        attempts: u32,
        /// The URL called last.
        url: String,
        /// What came of that call.
        reason: String,
    },

    /// The registry wants other credentials (401), or these may not do this (403).
    #[error("the registry refused the credentials ({url} answered {answer})")]
    Unauthorized {
        /// The URL called.
        url: String,
        /// Status, error code and message.
        answer: Answer,
    },

    /// The registry understood, and refuses: an incompatible or an invalid schema, a mode or a
    /// setting that forbids it.
    #[error("the registry refused the request ({url} answered {answer})")]
    Refused {
        /// The URL called.
        url: String,
        /// Status, error code and message.
        answer: Answer,
    },

    /// What answered doesn't speak the registry's API, or breaks its own promises: a body of another
    /// form, one over the size limit, references in a circle or without end, too many redirects.
    #[error("the registry's answer can't be used ({url}): {reason}")]
    Invalid {
        /// The URL called.
        url: String,
        /// What is wrong with the answer.
        reason: String,
    },

    /// The client's own configuration is at fault.
    #[error("the registry client is misconfigured: {0}")]
    Configuration(String),
}

/// How a registry answered: HTTP status, and its error code and message where the body had them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The registry's own code, such as 40403.
    pub code: Option<i32>,
    /// The registry's message, cut to a kilobyte.
    pub message: String,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}", self.status)?;
        if let Some(code) = self.code {
            write!(f, ", code {code}")?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}
