//! The query of a request.

use super::api_error::ApiError;

/// Pairs of key and value, in order.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(text: Option<&str>) -> Query {
        let pairs = url::form_urlencoded::parse(text.unwrap_or_default().as_bytes());
        Query(pairs.into_owned().collect())
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(found, _)| found == key)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(found, _)| found == key)
            .map(|(_, value)| value.as_str())
    }

    /// Whether a flag is set: `true` in any case, since clients write `True` as well.
    pub(super) fn is_set(&self, key: &str) -> bool {
        self.get(key)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The part of a list that `offset` and `limit` ask for; a negative limit means all.
    pub(super) fn page<T>(&self, items: Vec<T>) -> Result<Vec<T>, ApiError> {
        let number = |key: &str, none: i64| match self.get(key) {
            None | Some("") => Ok(none),
            Some(text) => text.parse().map_err(|_| {
                ApiError::bad_request(format!("{key} is {text:?}, which isn't a number"))
            }),
        };
        let offset = usize::try_from(number("offset", 0)?).unwrap_or(0);
        let limit = usize::try_from(number("limit", -1)?).unwrap_or(usize::MAX);
        Ok(items.into_iter().skip(offset).take(limit).collect())
    }

    /// Which of live and deleted things are wanted. Two spellings are in use for the second flag.
    pub(super) fn wanted(&self) -> Wanted {
        if self.is_set("deletedOnly") || self.is_set("deleted_only") {
            Wanted::Deleted
        } else if self.is_set("deleted") {
            Wanted::All
        } else {
            Wanted::Live
        }
    }
}

/// Whether soft-deleted things are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Live,
    All,
    Deleted,
}

impl Wanted {
    pub(super) fn takes(self, deleted: bool) -> bool {
        match self {
            Wanted::Live => !deleted,
            Wanted::All => true,
            Wanted::Deleted => deleted,
        }
    }
}
