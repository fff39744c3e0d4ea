//! The protocols that members of the classic protocol can use, and which of them all can.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

/// A protocol that a member can use, with what others should know of the member.
pub(crate) type Protocol = (Arc<str>, Bytes);

/// The bytes that are kept for protocols, about.
pub(crate) fn bytes(protocols: &[Protocol]) -> usize {
    let protocols = protocols.iter();
    protocols
        .map(|(name, metadata)| 8 + name.len() + metadata.len())
        .sum()
}

/// How many members can use which protocol.
#[derive(Debug, Default)]
pub(crate) struct Supporters {
    members: usize,
    of: BTreeMap<Arc<str>, usize>,
}

impl Supporters {
    /// Takes in a member.
    pub(crate) fn add(&mut self, protocols: &[Protocol]) {
        self.members += 1;
        for (name, _) in protocols {
            *self.of.entry(name.clone()).or_default() += 1;
        }
    }

    /// Takes out a member that was taken in with these.
    pub(crate) fn remove(&mut self, protocols: &[Protocol]) {
        self.members = self.members.saturating_sub(1);
        for (name, _) in protocols {
            if let Some(count) = self.of.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    self.of.remove(name);
                }
            }
        }
    }

    pub(crate) fn members(&self) -> usize {
        self.members
    }

    /// Whether all members can use a protocol.
    pub(crate) fn is_common(&self, name: &str) -> bool {
        self.of.get(name) == Some(&self.members)
    }

    /// Whether a member with these shares a protocol with all others.
    pub(crate) fn share_one(&self, protocols: &[Protocol]) -> bool {
        match self.members {
            0 => !protocols.is_empty(),
            _ => protocols.iter().any(|(name, _)| self.is_common(name)),
        }
    }
}
