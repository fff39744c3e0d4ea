//! Which dead letters are meant: the query of a request.

use super::{DeadLettersError, Letter};

/// Dead letters on one page, unless fewer are asked for.
const LIMIT_DEFAULT: usize = 100;
/// Dead letters on one page, whatever is asked for.
const LIMIT_MAX: usize = 10_000;

/// Which dead letters are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Only these reasons; all, if none is named.
    pub(crate) reasons: Vec<String>,
    /// From this timestamp on, in milliseconds since the epoch.
    pub(crate) since_ms: Option<i64>,
    /// Before this timestamp.
    pub(crate) until_ms: Option<i64>,
    /// From this offset of the dead-letter topic on.
    pub(crate) from_offset: i64,
    /// Before this offset.
    pub(crate) to_offset: Option<i64>,
    /// At most so many.
    pub(crate) limit: usize,
}

impl Default for Filter {
    fn default() -> Filter {
        Filter {
            reasons: Vec::new(),
            since_ms: None,
            until_ms: None,
            from_offset: 0,
            to_offset: None,
            limit: LIMIT_DEFAULT,
        }
    }
}

impl Filter {
    /// Reads `reason=a&reason=b&since_ms=1&until_ms=2&from_offset=3&to_offset=4&limit=5`.
    pub(crate) fn parse(query: Option<&str>) -> Result<Filter, DeadLettersError> {
        let mut filter = Filter::default();
        let pairs = query
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty());
        for pair in pairs {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let number = || {
                let wrong = || DeadLettersError::Query(format!("{key} = {value:?} is no number"));
                value.parse::<i64>().map_err(|_| wrong())
            };
            match key {
                "reason" => filter.reasons.push(value.to_owned()),
                "since_ms" => filter.since_ms = Some(number()?),
                "until_ms" => filter.until_ms = Some(number()?),
                "from_offset" => filter.from_offset = number()?.max(0),
                "to_offset" => filter.to_offset = Some(number()?),
                "limit" => {
                    let limit = usize::try_from(number()?).ok().filter(|limit| *limit > 0);
                    let wrong = || DeadLettersError::Query("limit is 1 or more".to_owned());
                    filter.limit = limit.ok_or_else(wrong)?.min(LIMIT_MAX);
                }
                _ => {
                    return Err(DeadLettersError::Query(format!(
                        "{key} is unknown: reason, since_ms, until_ms, from_offset, to_offset and \
                         limit are not"
                    )));
                }
            }
        }
        Ok(filter)
    }

    /// Whether the filter is for this one; where it is in the topic aside.
    pub(super) fn takes(&self, letter: &Letter) -> bool {
        let known = self.reasons.is_empty() || self.reasons.contains(&letter.reason);
        known
            && self.since_ms.is_none_or(|since| letter.timestamp >= since)
            && self.until_ms.is_none_or(|until| letter.timestamp < until)
    }

    /// Whether this offset is past the last one meant.
    pub(super) fn ends_before(&self, offset: i64) -> bool {
        self.to_offset.is_some_and(|end| offset >= end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let parsed = Filter::parse(Some(
            "reason=a&reason=b&since_ms=1&to_offset=9&limit=99999999",
        ));
        let expected = Filter {
            reasons: vec!["a".into(), "b".into()],
            since_ms: Some(1),
            to_offset: Some(9),
            limit: LIMIT_MAX,
            ..Filter::default()
        };
        assert_eq!(parsed.unwrap(), expected);
        assert_eq!(Filter::parse(None).unwrap(), Filter::default());
        for wrong in ["limit=0", "limit=x", "since_ms=", "resaon=a", "x"] {
            assert!(Filter::parse(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
