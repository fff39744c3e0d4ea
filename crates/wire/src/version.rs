use std::fmt;

/// The version a message is decoded or encoded in, and whether that version is flexible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// The API version.
    pub number: i16,
    /// Whether it has compact lengths and tagged fields (KIP-482).
    pub flexible: bool,
}

/// A range of versions, inclusive at both ends, written as Kafka writes it: `3+`, `0-12`, `0`,
/// `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// The first version of the range.
    pub first: i16,
    /// The last version of the range; `i16::MAX` if it is open.
    pub last: i16,
}

impl Versions {
    /// The empty range.
    pub const NONE: Self = Self { first: 0, last: -1 };

    /// Reads Kafka's notation. Made for constants: a wrong text fails the build.
    ///
    /// # Panics
    /// If the text is none of `N`, `N+`, `N-M` and `none`.
    #[expect(
        clippy::indexing_slicing,
        reason = "a constant's evaluation, where `get` isn't const"
    )]
    pub const fn parse(text: &str) -> Self {
        let text = text.as_bytes();
        if matches!(text, b"none") {
            return Self::NONE;
        }
        let (first, at) = number(text, 0);
        if at == text.len() {
            return Self { first, last: first };
        }
        match text[at] {
            b'+' => {
                assert!(
                    at + 1 == text.len(),
                    "nothing may follow the plus of a version range"
                );
                Self {
                    first,
                    last: i16::MAX,
                }
            }
            b'-' => {
                let (last, end) = number(text, at + 1);
                assert!(end == text.len(), "nothing may follow a version range");
                assert!(first <= last, "a version range must ascend");
                Self { first, last }
            }
            _ => panic!("a version range is N, N+, N-M or none"),
        }
    }

    /// Whether the version is in the range.
    #[inline]
    pub const fn contains(&self, version: i16) -> bool {
        self.first <= version && version <= self.last
    }

    /// Whether no version is in the range.
    pub const fn is_empty(&self) -> bool {
        self.first > self.last
    }

    /// The versions that are in both ranges.
    pub const fn and(self, other: Self) -> Self {
        let first = if self.first > other.first {
            self.first
        } else {
            other.first
        };
        let last = if self.last < other.last {
            self.last
        } else {
            other.last
        };
        if first > last {
            Self::NONE
        } else {
            Self { first, last }
        }
    }

    /// Every version of the range, in ascending order.
    pub fn iter(self) -> impl Iterator<Item = i16> {
        self.first..=self.last
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self { first, last } if first > last => f.write_str("none"),
            Self {
                first,
                last: i16::MAX,
            } => write!(f, "{first}+"),
            Self { first, last } if first == last => write!(f, "{first}"),
            Self { first, last } => write!(f, "{first}-{last}"),
        }
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "a constant's evaluation, where `get` isn't const"
)]
const fn number(text: &[u8], mut at: usize) -> (i16, usize) {
    let start = at;
    let mut value = 0i16;
    while at < text.len() && text[at].is_ascii_digit() {
        value = value * 10 + (text[at] - b'0') as i16;
        at += 1;
    }
    assert!(at > start, "a version range starts with a number");
    (value, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_notation_is_read_and_written() {
        for text in ["0", "3+", "0-12", "none"] {
            assert_eq!(Versions::parse(text).to_string(), text);
        }
        assert!(Versions::parse("4-17").contains(4) && Versions::parse("4-17").contains(17));
        assert!(!Versions::parse("4-17").contains(18) && !Versions::NONE.contains(0));
        assert_eq!(
            Versions::parse("3+").and(Versions::parse("0-9")),
            Versions::parse("3-9")
        );
        assert!(Versions::parse("3+").and(Versions::parse("0-2")).is_empty());
    }
}
