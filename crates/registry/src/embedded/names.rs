//! Names of subjects: a name within a context, spelled `:.context:name`, or just the name in the
//! default context.

use super::api_error::ApiError;

/// The default context.
pub(super) const DEFAULT_CONTEXT: &str = ".";
const SUBJECT_BYTES_MAX: usize = 1024;

/// A subject as the state knows it: always spelled the same way.
///
/// An empty name means its whole context: settings may be put there, schemas not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SubjectName(String);

impl SubjectName {
    /// Reads a subject or a context as it stands in a path; `context` is that of the path, if any.
    pub(super) fn parse(text: &str, context: Option<&str>) -> Result<SubjectName, ApiError> {
        let refuse = |why: &str| Err(ApiError::invalid_subject(&shortened(text), why));
        if text.len() > SUBJECT_BYTES_MAX {
            return refuse("it is too long");
        }
        if text.is_empty() || text.chars().any(char::is_control) {
            return refuse("it is empty, or has control characters");
        }
        let (context, name) = match text.strip_prefix(':').filter(|rest| rest.starts_with('.')) {
            Some(rest) => rest.split_once(':').unwrap_or((rest, "")),
            None => (context.unwrap_or(DEFAULT_CONTEXT), text),
        };
        if matches!(name, "__GLOBAL" | "__EMPTY") {
            return refuse("that name is reserved");
        }
        Ok(SubjectName::new(context, name))
    }

    fn new(context: &str, name: &str) -> SubjectName {
        if context == DEFAULT_CONTEXT && !name.is_empty() {
            SubjectName(name.to_owned())
        } else {
            SubjectName(format!(":{context}:{name}"))
        }
    }

    /// The name of what a schema of this subject refers to.
    pub(super) fn referred(&self, text: &str) -> Result<SubjectName, ApiError> {
        SubjectName::parse(text, Some(self.context()))
    }

    /// A name that was once written by [`as_str`](SubjectName::as_str).
    pub(super) fn stored(text: &str) -> SubjectName {
        SubjectName(text.to_owned())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    fn split(&self) -> (&str, &str) {
        let inner = self
            .0
            .strip_prefix(':')
            .and_then(|rest| rest.split_once(':'));
        inner
            .filter(|(context, _)| context.starts_with('.'))
            .unwrap_or((DEFAULT_CONTEXT, &self.0))
    }

    pub(super) fn context(&self) -> &str {
        self.split().0
    }

    /// The name within the context.
    pub(super) fn name(&self) -> &str {
        self.split().1
    }

    /// The context as a name of its own.
    pub(super) fn whole_context(&self) -> SubjectName {
        SubjectName::new(self.context(), "")
    }
}

/// A context as it stands in a path: `.name`, `name` or `:.name:`.
pub(super) fn context(text: &str) -> String {
    let name = text.strip_prefix(':').unwrap_or(text);
    let name = name.strip_suffix(':').unwrap_or(name);
    if name.starts_with('.') {
        name.to_owned()
    } else {
        format!(".{name}")
    }
}

/// A beginning that subjects are filtered by.
pub(super) enum Prefix {
    /// In any context.
    Anywhere(String),
    Within {
        context: String,
        name: String,
    },
}

impl Prefix {
    pub(super) fn parse(text: Option<&str>, path_context: Option<&str>) -> Prefix {
        let text = text.unwrap_or(if path_context.is_some() { "" } else { ":*:" });
        if let Some(name) = text.strip_prefix(":*:") {
            return Prefix::Anywhere(name.to_owned());
        }
        let (context, name) = match text.strip_prefix(':').filter(|rest| rest.starts_with('.')) {
            Some(rest) => rest.split_once(':').unwrap_or((rest, "")),
            None => (path_context.unwrap_or(DEFAULT_CONTEXT), text),
        };
        Prefix::Within {
            context: context.to_owned(),
            name: name.to_owned(),
        }
    }

    pub(super) fn matches(&self, subject: &SubjectName) -> bool {
        match self {
            Prefix::Anywhere(name) => subject.name().starts_with(name),
            Prefix::Within { context, name } => {
                subject.context() == context && subject.name().starts_with(name)
            }
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_spelled_one_way() {
        let name = |text: &str, context| SubjectName::parse(text, context).map(|name| name.0);
        assert_eq!(name("orders-value", None).unwrap(), "orders-value");
        assert_eq!(name(":.:orders-value", None).unwrap(), "orders-value");
        assert_eq!(
            name("orders-value", Some(".eu")).unwrap(),
            ":.eu:orders-value"
        );
        assert_eq!(
            name(":.eu:orders-value", Some(".us")).unwrap(),
            ":.eu:orders-value"
        );
        assert_eq!(name(":.eu:", None).unwrap(), ":.eu:");
        assert_eq!(name(":.eu", None).unwrap(), ":.eu:");
        assert_eq!(name(":.:", None).unwrap(), ":.:");
        assert_eq!(name(":plain", None).unwrap(), ":plain");
        assert_eq!(name("", None).unwrap_err().code, 42208);
        assert_eq!(name("a\nb", None).unwrap_err().code, 42208);
        assert_eq!(name("__GLOBAL", None).unwrap_err().code, 42208);
        assert_eq!(name(&"x".repeat(2000), None).unwrap_err().code, 42208);

        let subject = SubjectName::parse(":.eu:a:b", None).unwrap();
        assert_eq!((subject.context(), subject.name()), (".eu", "a:b"));
        assert_eq!(subject.whole_context().as_str(), ":.eu:");
        assert_eq!(subject.referred("c").unwrap().as_str(), ":.eu:c");
        assert_eq!(SubjectName::stored("plain").whole_context().as_str(), ":.:");
    }

    #[test]
    fn prefixes_keep_to_their_context() {
        let subject = |text| SubjectName::parse(text, None).unwrap();
        let all = Prefix::parse(None, None);
        assert!(all.matches(&subject("a")) && all.matches(&subject(":.eu:a")));
        let default = Prefix::parse(Some("a"), None);
        assert!(default.matches(&subject("ab")) && !default.matches(&subject(":.eu:ab")));
        let eu = Prefix::parse(Some(":.eu:a"), None);
        assert!(eu.matches(&subject(":.eu:ab")) && !eu.matches(&subject("ab")));
        assert!(Prefix::parse(None, Some(".eu")).matches(&subject(":.eu:x")));
        assert!(Prefix::parse(Some(":*:a"), None).matches(&subject(":.eu:ab")));
    }
}
