//! Who a client is, as ACLs and quotas name it.

use std::fmt;
use std::sync::Arc;

/// The type of every principal here, and the only one that Kafka's own authorizer knows.
const USER: &str = "User";
/// The name of who didn't say who they are.
const ANONYMOUS: &str = "ANONYMOUS";

/// A user, or nobody in particular: what Kafka writes as `User:name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Principal {
    name: Arc<str>,
}

impl Principal {
    /// A user.
    pub(crate) fn user(name: &str) -> Self {
        Self { name: name.into() }
    }

    /// Whoever connects without authentication: `User:ANONYMOUS`.
    pub(crate) fn anonymous() -> Self {
        Self::user(ANONYMOUS)
    }

    /// A principal as ACLs and `acl.super_users` write it. The type's case doesn't matter, the name's does.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once(':')?;
        (kind.eq_ignore_ascii_case(USER) && !name.is_empty()).then(|| Self::user(name))
    }
}

impl Principal {
    /// The name alone, as quotas have it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{USER}:{}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_are_written_as_kafka_writes_them() {
        let anna = Principal::user("CN=anna,O=x:y");
        assert_eq!(anna.to_string(), "User:CN=anna,O=x:y");
        assert_eq!(Principal::anonymous().to_string(), "User:ANONYMOUS");
        assert_eq!(Principal::parse(&anna.to_string()), Some(anna));
        for text in ["", "anna", "Group:anna", "User:", ":anna"] {
            assert_eq!(Principal::parse(text), None, "{text}");
        }
    }
}
