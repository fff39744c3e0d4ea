//! One entry: who, from where, does what, to what, and whether it is allowed.

use serde::{Deserialize, Serialize};

/// The name of the one cluster, as entries name it.
pub(crate) const CLUSTER: &str = "kafka-cluster";
/// What stands for every name, every user, every host.
pub(super) const ANY: &str = "*";
/// Longer names aren't any resource's.
const NAME_BYTES_MAX: usize = 1024;

macro_rules! numbered {
    ($(#[doc = $doc:literal])+ $Type:ident { $($name:ident = $number:literal),+ $(,)? }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "i8", into = "i8")]
        pub(crate) enum $Type { $($name),+ }

        impl $Type {
            /// All there are.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Kafka's number of it.
            pub(crate) fn number(self) -> i8 {
                match self { $(Self::$name => $number),+ }
            }

            /// What one of Kafka's numbers stands for.
            pub(crate) fn of_number(number: i8) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.number() == number)
            }
        }

        impl TryFrom<i8> for $Type {
            type Error = String;

            fn try_from(number: i8) -> Result<Self, String> {
                Self::of_number(number).ok_or_else(|| format!("{number} is unknown"))
            }
        }

        impl From<$Type> for i8 {
            fn from(value: $Type) -> i8 {
                value.number()
            }
        }
    };
}

numbered! {
    /// What can be done. `All` stands for everything.
    Operation {
        All = 2, Read = 3, Write = 4, Create = 5, Delete = 6, Alter = 7, Describe = 8,
        ClusterAction = 9, DescribeConfigs = 10, AlterConfigs = 11, IdempotentWrite = 12,
        CreateTokens = 13, DescribeTokens = 14,
    }
}

numbered! {
    /// To what it can be done.
    ResourceType {
        Topic = 2, Group = 3, Cluster = 4, TransactionalId = 5, DelegationToken = 6, User = 7,
    }
}

numbered! {
    /// How an entry's name is to be taken.
    Pattern { Literal = 3, Prefixed = 4 }
}

numbered! {
    /// Whether an entry allows or forbids.
    Permission { Deny = 2, Allow = 3 }
}

impl Operation {
    /// Whether an entry that allows this allows something else with it: who may read may look.
    pub(super) fn implies(self, asked: Self) -> bool {
        self == asked
            || self == Self::All
            || match asked {
                Self::Describe => {
                    matches!(self, Self::Read | Self::Write | Self::Delete | Self::Alter)
                }
                Self::DescribeConfigs => self == Self::AlterConfigs,
                _ => false,
            }
    }

    /// The operations that make sense for a type of resource.
    pub(crate) fn of(resource_type: ResourceType) -> &'static [Self] {
        match resource_type {
            ResourceType::Topic => &[
                Self::Read,
                Self::Write,
                Self::Create,
                Self::Delete,
                Self::Alter,
                Self::Describe,
                Self::DescribeConfigs,
                Self::AlterConfigs,
            ],
            ResourceType::Group => &[Self::Read, Self::Delete, Self::Describe],
            ResourceType::Cluster => &[
                Self::Create,
                Self::Alter,
                Self::Describe,
                Self::ClusterAction,
                Self::DescribeConfigs,
                Self::AlterConfigs,
                Self::IdempotentWrite,
            ],
            ResourceType::TransactionalId => &[Self::Write, Self::Describe],
            ResourceType::DelegationToken => &[Self::Describe],
            ResourceType::User => &[Self::CreateTokens, Self::DescribeTokens],
        }
    }
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) resource_type: ResourceType,
    pub(crate) pattern: Pattern,
    /// A name, the beginning of names, or `*`.
    pub(crate) name: String,
    /// `User:name`, or `User:*` for everybody.
    pub(crate) principal: String,
    /// An IP address, or `*`.
    pub(crate) host: String,
    pub(crate) operation: Operation,
    pub(crate) permission: Permission,
}

/// What is wrong with an entry that somebody wants.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EntryError {
    /// A number stands for nothing, or for several things.
    #[error("the {0} is not one that an entry can have")]
    Number(&'static str),
    /// The principal isn't one.
    #[error("the principal is not User:name")]
    Principal,
    /// A name is missing, or too long.
    #[error("the resource's name must have 1 to {NAME_BYTES_MAX} bytes")]
    Name,
    /// There is one cluster.
    #[error("the only cluster is {CLUSTER}, and it is named literally")]
    Cluster,
    /// The host isn't one.
    #[error("the host must be an IP address or *")]
    Host,
}

impl Entry {
    /// Whether it can be.
    pub(crate) fn check(&self) -> Result<(), EntryError> {
        let is_user = self
            .principal
            .strip_prefix("User:")
            .is_some_and(|name| !name.is_empty());
        if !is_user || self.principal.len() > NAME_BYTES_MAX {
            return Err(EntryError::Principal);
        }
        if !(1..=NAME_BYTES_MAX).contains(&self.name.len()) {
            return Err(EntryError::Name);
        }
        let is_literal = self.pattern == Pattern::Literal;
        let is_cluster = self.resource_type == ResourceType::Cluster;
        if is_cluster && !(is_literal && self.name == CLUSTER) {
            return Err(EntryError::Cluster);
        }
        if self.host != ANY && self.host.parse::<std::net::IpAddr>().is_err() {
            return Err(EntryError::Host);
        }
        Ok(())
    }

    /// Its key in the log.
    pub(super) fn write(&self) -> String {
        // Writing to memory what has only texts and numbers doesn't fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The entry of a key in the log.
    pub(super) fn read(key: &str) -> Option<Self> {
        serde_json::from_str(key).ok()
    }
}
