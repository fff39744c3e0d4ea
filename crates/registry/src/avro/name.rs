//! Names of Avro types: a name within a namespace.

use std::fmt;

/// A full name. The namespace is empty for the null namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FullName {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl FullName {
    /// Reads a name as it stands in a schema: one with a dot is full, any other is of `namespace`.
    pub(crate) fn parse(text: &str, namespace: &str) -> Result<FullName, String> {
        let (namespace, name) = text.rsplit_once('.').unwrap_or((namespace, text));
        check_name(name)?;
        check_namespace(namespace)?;
        Ok(FullName {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    /// The shortest spelling that means this name where `namespace` encloses it.
    ///
    /// A name of the null namespace inside another can't be said without its namespace, and one that
    /// is spelled like a primitive type would mean that type.
    pub(crate) fn within(&self, namespace: &str) -> String {
        let short = self.namespace == namespace && super::Kind::primitive(&self.name).is_none();
        if short || self.namespace.is_empty() {
            self.name.clone()
        } else {
            self.to_string()
        }
    }
}

impl fmt::Display for FullName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}.{}", self.namespace, self.name)
        }
    }
}

/// Checks one part of a name: a letter or underscore, then letters, digits and underscores.
///
/// The specification has ASCII letters; the Java library takes any, and so schemas with others exist.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let mut chars = name.chars();
    let starts_well = chars.next().is_some_and(|c| c.is_alphabetic() || c == '_');
    if starts_well && chars.all(|c| c.is_alphanumeric() || c == '_') {
        Ok(())
    } else {
        Err(format!(
            "{name:?} isn't a name: letters, digits and underscores, no digit first"
        ))
    }
}

/// Checks a namespace: empty, or names joined by dots.
pub(crate) fn check_namespace(namespace: &str) -> Result<(), String> {
    if namespace.is_empty() {
        return Ok(());
    }
    namespace.split('.').try_for_each(check_name)
}
