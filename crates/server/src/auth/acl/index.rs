//! Entries by what they are about, so that deciding looks at few of them.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use super::Ask;
use super::entry::{ANY, Entry, Operation, Pattern, Permission, ResourceType};
use crate::auth::Principal;

/// Whom an entry stands for, when it stands for everybody.
const EVERYBODY: &str = "User:*";

type Named = HashMap<(ResourceType, String), Vec<Entry>>;

/// All entries, found by their names.
#[derive(Debug, Default)]
pub(super) struct Index {
    entries: BTreeSet<Entry>,
    literal: Named,
    prefixed: Named,
    /// How long the prefixes are that there are.
    prefix_bytes: BTreeSet<usize>,
}

impl Index {
    pub(super) fn new(entries: BTreeSet<Entry>) -> Self {
        let mut index = Self::default();
        for entry in &entries {
            let key = (entry.resource_type, entry.name.clone());
            let named = match entry.pattern {
                Pattern::Literal => &mut index.literal,
                Pattern::Prefixed => {
                    index.prefix_bytes.insert(entry.name.len());
                    &mut index.prefixed
                }
            };
            named.entry(key).or_default().push(entry.clone());
        }
        index.entries = entries;
        index
    }

    pub(super) fn entries(&self) -> &BTreeSet<Entry> {
        &self.entries
    }

    /// The entries about a resource.
    fn about<'a>(&'a self, ask: Ask<'a>) -> impl Iterator<Item = &'a Entry> {
        let find = move |named: &'a Named, name: &str| {
            let found = named.get(&(ask.resource_type, name.to_owned()));
            found.into_iter().flatten()
        };
        let prefixes = self.prefix_bytes.range(..=ask.name.len());
        let prefixes = prefixes.filter_map(move |bytes| ask.name.get(..*bytes));
        find(&self.literal, ask.name)
            // The name may be that of the wildcard itself.
            .chain(
                (ask.name != ANY)
                    .then(|| find(&self.literal, ANY))
                    .into_iter()
                    .flatten(),
            )
            .chain(prefixes.flat_map(move |prefix| find(&self.prefixed, prefix)))
    }

    /// Whether something is allowed; none if no entry is about the resource.
    pub(super) fn decide(&self, principal: &Principal, host: IpAddr, ask: Ask<'_>) -> Option<bool> {
        let who = Who::new(principal, host);
        let (mut any, mut allowed) = (false, false);
        for entry in self.about(ask) {
            any = true;
            if !who.is_meant_by(entry) {
                continue;
            }
            match entry.permission {
                Permission::Deny if is_denied(entry, ask.operation) => return Some(false),
                Permission::Allow => allowed |= entry.operation.implies(ask.operation),
                Permission::Deny => {}
            }
        }
        any.then_some(allowed)
    }

    /// Whether something is allowed to some resource of a type: an entry allows it, and none forbids all
    /// that this one is about.
    pub(super) fn decide_any(
        &self,
        principal: &Principal,
        host: IpAddr,
        operation: Operation,
        resource_type: ResourceType,
    ) -> bool {
        let who = Who::new(principal, host);
        let meant = || {
            let of_type = self.entries.iter();
            of_type.filter(|entry| entry.resource_type == resource_type && who.is_meant_by(entry))
        };
        let denials: Vec<_> = meant()
            .filter(|entry| entry.permission == Permission::Deny && is_denied(entry, operation))
            .collect();
        let is_covered = |allowed: &Entry| denials.iter().any(|denied| covers(denied, allowed));
        meant().any(|entry| {
            entry.permission == Permission::Allow
                && entry.operation.implies(operation)
                && !is_covered(entry)
        })
    }

    /// Whether something is allowed to every resource of a type, those included that aren't there yet: an
    /// entry about all of them allows it, and none forbids it to any. None if there are no entries of the type.
    pub(super) fn decide_every(
        &self,
        principal: &Principal,
        host: IpAddr,
        operation: Operation,
        resource_type: ResourceType,
    ) -> Option<bool> {
        let who = Who::new(principal, host);
        let (mut any, mut allowed) = (false, false);
        for entry in &self.entries {
            if entry.resource_type != resource_type {
                continue;
            }
            any = true;
            if !who.is_meant_by(entry) {
                continue;
            }
            let is_about_all = entry.pattern == Pattern::Literal && entry.name == ANY;
            match entry.permission {
                Permission::Deny if is_denied(entry, operation) => return Some(false),
                Permission::Allow => allowed |= is_about_all && entry.operation.implies(operation),
                Permission::Deny => {}
            }
        }
        any.then_some(allowed)
    }
}

/// Denying doesn't imply: who may not write may still look.
fn is_denied(entry: &Entry, operation: Operation) -> bool {
    entry.operation == operation || entry.operation == Operation::All
}

/// Whether every resource that `other` is about is one that `entry` is about.
fn covers(entry: &Entry, other: &Entry) -> bool {
    match (entry.pattern, other.pattern) {
        (Pattern::Literal, _) if entry.name == ANY => true,
        (Pattern::Literal, Pattern::Literal) => entry.name == other.name,
        (Pattern::Literal, Pattern::Prefixed) => false,
        (Pattern::Prefixed, Pattern::Literal) if other.name == ANY => false,
        (Pattern::Prefixed, _) => other.name.starts_with(&entry.name),
    }
}

/// Who asks, as entries write it.
struct Who {
    principal: String,
    host: String,
}

impl Who {
    fn new(principal: &Principal, host: IpAddr) -> Self {
        Self {
            principal: principal.to_string(),
            host: host.to_string(),
        }
    }

    fn is_meant_by(&self, entry: &Entry) -> bool {
        (entry.principal == EVERYBODY || entry.principal == self.principal)
            && (entry.host == ANY || entry.host == self.host)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(
        name: &str,
        pattern: Pattern,
        who: &str,
        host: &str,
        what: Operation,
        permission: Permission,
    ) -> Entry {
        Entry {
            resource_type: ResourceType::Topic,
            pattern,
            name: name.to_owned(),
            principal: format!("User:{who}"),
            host: host.to_owned(),
            operation: what,
            permission,
        }
    }

    fn topic(name: &str, operation: Operation) -> Ask<'_> {
        Ask {
            operation,
            resource_type: ResourceType::Topic,
            name,
        }
    }

    #[test]
    fn denials_win_and_hosts_count() {
        use Operation::{All, Describe, Read, Write};
        use Pattern::{Literal, Prefixed};
        use Permission::{Allow, Deny};
        let index = Index::new(BTreeSet::from([
            entry("orders", Literal, "anna", "*", Write, Allow),
            entry("ord", Prefixed, "anna", "10.0.0.1", Read, Allow),
            entry("orders-secret", Literal, "*", "*", All, Deny),
            entry("*", Literal, "root", "*", All, Allow),
        ]));
        let (anna, root) = (Principal::user("anna"), Principal::user("root"));
        let near: IpAddr = "10.0.0.1".parse().unwrap();
        let far: IpAddr = "10.0.0.2".parse().unwrap();
        let decide = |who: &Principal, host, ask| index.decide(who, host, ask);
        assert_eq!(decide(&anna, far, topic("orders", Write)), Some(true));
        assert_eq!(decide(&anna, far, topic("orders", Describe)), Some(true));
        assert_eq!(decide(&anna, far, topic("orders", Read)), Some(false));
        assert_eq!(decide(&anna, near, topic("orders", Read)), Some(true));
        assert_eq!(decide(&anna, near, topic("ordinary", Read)), Some(true));
        assert_eq!(decide(&anna, near, topic("other", Read)), Some(false));
        assert_eq!(
            decide(&anna, near, topic("orders-secret", Read)),
            Some(false)
        );
        assert_eq!(decide(&root, far, topic("other", Write)), Some(true));
        assert_eq!(
            decide(&root, far, topic("orders-secret", Write)),
            Some(false)
        );
        let group = Ask {
            resource_type: ResourceType::Group,
            ..topic("orders", Read)
        };
        assert_eq!(decide(&root, far, group), None);
        assert!(index.decide_any(&anna, far, Write, ResourceType::Topic));
        assert!(!index.decide_any(&anna, far, Read, ResourceType::Topic));
        assert!(!index.decide_any(&anna, far, Write, ResourceType::Group));
    }

    fn entries() -> impl Strategy<Value = BTreeSet<Entry>> {
        let name = prop::sample::select(vec!["*", "a", "ab", "abc", "b"]);
        let what = prop::sample::select(Operation::ALL.to_vec());
        let one = (
            name,
            any::<bool>(),
            prop::sample::select(vec!["*", "x", "y"]),
            prop::sample::select(vec!["*", "10.0.0.1", "10.0.0.2"]),
            what,
            any::<bool>(),
        )
            .prop_map(|(name, literal, who, host, what, allow)| {
                let pattern = if literal {
                    Pattern::Literal
                } else {
                    Pattern::Prefixed
                };
                let permission = if allow {
                    Permission::Allow
                } else {
                    Permission::Deny
                };
                entry(name, pattern, who, host, what, permission)
            });
        prop::collection::btree_set(one, 0..12)
    }

    /// The rules as Kafka's documentation says them, over all entries.
    fn naive(entries: &BTreeSet<Entry>, who: &str, host: &str, ask: Ask<'_>) -> Option<bool> {
        let about: Vec<_> = entries
            .iter()
            .filter(|entry| match entry.pattern {
                Pattern::Literal => entry.name == ask.name || entry.name == "*",
                Pattern::Prefixed => ask.name.starts_with(&entry.name),
            })
            .collect();
        let meant = || {
            about.iter().filter(|entry| {
                ["User:*".to_owned(), format!("User:{who}")].contains(&entry.principal)
                    && ["*", host].contains(&&*entry.host)
            })
        };
        let denied = meant().any(|entry| {
            entry.permission == Permission::Deny
                && [Operation::All, ask.operation].contains(&entry.operation)
        });
        let allowed = meant().any(|entry| {
            entry.permission == Permission::Allow && entry.operation.implies(ask.operation)
        });
        (!about.is_empty()).then_some(!denied && allowed)
    }

    proptest! {
        #[test]
        fn the_index_decides_as_looking_at_every_entry_does(
            entries in entries(),
            name in prop::sample::select(vec!["a", "ab", "abc", "abcd", "b", "c"]),
            who in prop::sample::select(vec!["x", "y", "z"]),
            host in prop::sample::select(vec!["10.0.0.1", "10.0.0.3"]),
            what in prop::sample::select(Operation::ALL.to_vec()),
        ) {
            let index = Index::new(entries.clone());
            let ask = topic(name, what);
            let decided = index.decide(&Principal::user(who), host.parse().unwrap(), ask);
            prop_assert_eq!(decided, naive(&entries, who, host, ask));
        }

        #[test]
        fn every_resource_is_each_of_them_and_those_to_come(
            entries in entries(),
            who in prop::sample::select(vec!["x", "y", "z"]),
            host in prop::sample::select(vec!["10.0.0.1", "10.0.0.3"]),
            what in prop::sample::select(Operation::ALL.to_vec()),
        ) {
            let index = Index::new(entries.clone());
            let address = host.parse().unwrap();
            let every = index.decide_every(&Principal::user(who), address, what, ResourceType::Topic);
            // Where entries change their minds, and one that none is about.
            let names = entries.iter().map(|entry| &*entry.name).chain(["to come"]);
            let mut each = names.map(|name| naive(&entries, who, host, topic(name, what)));
            let expected = (!entries.is_empty()).then(|| each.all(|allowed| allowed == Some(true)));
            prop_assert_eq!(every, expected);
        }
    }
}
