//! Which entries somebody asks for.

use super::entry::{ANY, Entry, Operation, Pattern, Permission, ResourceType};

/// Kafka's numbers that stand for any of a kind, and for every pattern that a name fits.
const ANY_NUMBER: i8 = 1;
const MATCH: i8 = 2;

/// How names are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patterns {
    /// The entry's name is this, however it is taken.
    Any,
    /// A resource of this name is one that the entry is about.
    Match,
    /// The entry's name is this, and is taken so.
    Only(Pattern),
}

/// A filter; what it doesn't say fits everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    resource_type: Option<ResourceType>,
    name: Option<String>,
    patterns: Patterns,
    principal: Option<String>,
    host: Option<String>,
    operation: Option<Operation>,
    permission: Option<Permission>,
}

/// What a filter is made of, as it is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) resource_type: i8,
    pub(crate) name: Option<&'a str>,
    pub(crate) pattern: i8,
    pub(crate) principal: Option<&'a str>,
    pub(crate) host: Option<&'a str>,
    pub(crate) operation: i8,
    pub(crate) permission: i8,
}

impl Filter {
    /// Reads a filter; none if one of its numbers stands for nothing.
    pub(crate) fn read(wanted: Wanted<'_>) -> Option<Self> {
        fn one<T>(number: i8, of: impl Fn(i8) -> Option<T>) -> Option<Option<T>> {
            match number {
                ANY_NUMBER => Some(None),
                number => of(number).map(Some),
            }
        }
        Some(Self {
            resource_type: one(wanted.resource_type, ResourceType::of_number)?,
            name: wanted.name.map(str::to_owned),
            patterns: match wanted.pattern {
                ANY_NUMBER => Patterns::Any,
                MATCH => Patterns::Match,
                number => Patterns::Only(Pattern::of_number(number)?),
            },
            principal: wanted.principal.map(str::to_owned),
            host: wanted.host.map(str::to_owned),
            operation: one(wanted.operation, Operation::of_number)?,
            permission: one(wanted.permission, Permission::of_number)?,
        })
    }

    /// Whether an entry is one of those asked for.
    pub(super) fn fits(&self, entry: &Entry) -> bool {
        fn is<T: PartialEq>(wanted: &Option<T>, has: &T) -> bool {
            wanted.as_ref().is_none_or(|wanted| wanted == has)
        }
        is(&self.resource_type, &entry.resource_type)
            && is(&self.principal, &entry.principal)
            && is(&self.host, &entry.host)
            && is(&self.operation, &entry.operation)
            && is(&self.permission, &entry.permission)
            && self.fits_name(entry)
    }

    fn fits_name(&self, entry: &Entry) -> bool {
        if let Patterns::Only(pattern) = self.patterns
            && pattern != entry.pattern
        {
            return false;
        }
        let Some(name) = &self.name else { return true };
        match (self.patterns, entry.pattern) {
            (Patterns::Match, Pattern::Prefixed) => name.starts_with(&entry.name),
            (Patterns::Match, Pattern::Literal) => *name == entry.name || entry.name == ANY,
            _ => *name == entry.name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(pattern: Pattern, name: &str) -> Entry {
        Entry {
            resource_type: ResourceType::Topic,
            pattern,
            name: name.to_owned(),
            principal: "User:anna".to_owned(),
            host: "*".to_owned(),
            operation: Operation::Read,
            permission: Permission::Allow,
        }
    }

    #[test]
    fn names_are_compared_as_the_filter_says() {
        let entries = [
            entry(Pattern::Literal, "orders"),
            entry(Pattern::Literal, "*"),
            entry(Pattern::Prefixed, "ord"),
            entry(Pattern::Prefixed, "orders"),
            entry(Pattern::Literal, "ord"),
        ];
        for (name, pattern, expected) in [
            (Some("orders"), 1, vec![0, 3]),
            (Some("orders"), 2, vec![0, 1, 2, 3]),
            (Some("orders"), 3, vec![0]),
            (Some("orders"), 4, vec![3]),
            (Some("*"), 3, vec![1]),
            (None, 3, vec![0, 1, 4]),
            (None, 4, vec![2, 3]),
            (None, 1, vec![0, 1, 2, 3, 4]),
        ] {
            let wanted = Wanted {
                resource_type: 1,
                name,
                pattern,
                principal: None,
                host: None,
                operation: 1,
                permission: 1,
            };
            let filter = Filter::read(wanted).unwrap();
            let fits = (0..).zip(&entries).filter(|(_, entry)| filter.fits(entry));
            assert_eq!(
                fits.map(|(at, _)| at).collect::<Vec<_>>(),
                expected,
                "{name:?} {pattern}"
            );
        }
    }

    #[test]
    fn unknown_numbers_are_no_filter() {
        let good = Wanted {
            resource_type: 2,
            name: None,
            pattern: 1,
            principal: Some("User:anna"),
            host: None,
            operation: 3,
            permission: 3,
        };
        assert!(
            Filter::read(good)
                .unwrap()
                .fits(&entry(Pattern::Literal, "x"))
        );
        for number in [0, -1, 99] {
            assert!(
                Filter::read(Wanted {
                    resource_type: number,
                    ..good
                })
                .is_none()
            );
            assert!(
                Filter::read(Wanted {
                    pattern: number,
                    ..good
                })
                .is_none()
            );
            assert!(
                Filter::read(Wanted {
                    operation: number,
                    ..good
                })
                .is_none()
            );
            assert!(
                Filter::read(Wanted {
                    permission: number,
                    ..good
                })
                .is_none()
            );
        }
    }
}
