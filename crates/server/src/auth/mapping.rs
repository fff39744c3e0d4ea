//! From a certificate's subject to a principal's name, by Kafka's `ssl.principal.mapping.rules`.
//!
//! Rules are comma-separated, and the first that fits the whole subject counts: `DEFAULT` takes it as it
//! is, `RULE:pattern/replacement/` makes `replacement` of it, with `$1` for what the pattern's first
//! group took, and an `L` or `U` at the end turns the outcome to lower or upper case. A `/` in a pattern
//! is written `\/`.

use std::fmt;
use std::str::FromStr;

use regex::{Captures, Regex, RegexBuilder};

/// Bytes that a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// The rules, in their order.
#[derive(Clone, Debug)]
pub(crate) struct MappingRules(Vec<Rule>);

#[derive(Clone, Debug)]
enum Rule {
    Default,
    Mapped {
        pattern: Regex,
        replacement: Vec<Piece>,
        case: Case,
    },
}

/// A part of a replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Group(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Kept,
    Lower,
    Upper,
}

/// What is wrong with a list of rules.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) struct BadRules(String);

impl fmt::Display for BadRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl MappingRules {
    /// The name for a subject; none where no rule fits, and then nobody is let in.
    pub(crate) fn name(&self, subject: &str) -> Option<String> {
        self.0.iter().find_map(|rule| rule.apply(subject))
    }
}

impl FromStr for MappingRules {
    type Err = BadRules;

    fn from_str(text: &str) -> Result<Self, BadRules> {
        let mut rest = text.trim();
        let mut rules = Vec::new();
        loop {
            let (rule, after) = read_rule(rest)?;
            rules.push(rule);
            let after = after.trim_start();
            match after.strip_prefix(',') {
                Some(more) => rest = more.trim_start(),
                None if after.is_empty() => return Ok(Self(rules)),
                None => {
                    return Err(BadRules(format!(
                        "{after:?} stands where a comma and a rule, or nothing, should"
                    )));
                }
            }
        }
    }
}

impl Rule {
    fn apply(&self, subject: &str) -> Option<String> {
        match self {
            Self::Default => Some(subject.to_owned()),
            Self::Mapped {
                pattern,
                replacement,
                case,
            } => {
                let found = pattern.captures(subject)?;
                let name: String = replacement
                    .iter()
                    .map(|piece| piece.text(&found).to_owned())
                    .collect();
                Some(match case {
                    Case::Kept => name,
                    Case::Lower => name.to_lowercase(),
                    Case::Upper => name.to_uppercase(),
                })
            }
        }
    }
}

impl Piece {
    fn text<'a>(&'a self, found: &'a Captures<'_>) -> &'a str {
        match self {
            Self::Text(text) => text,
            Self::Group(group) => found.get(*group).map_or("", |part| part.as_str()),
        }
    }
}

/// The rule that a text begins with, and what is behind it.
fn read_rule(text: &str) -> Result<(Rule, &str), BadRules> {
    if let Some(rest) = text.strip_prefix("DEFAULT") {
        return Ok((Rule::Default, rest));
    }
    let incomplete = || {
        BadRules(format!(
            "{text:?} is neither DEFAULT nor RULE:pattern/replacement/"
        ))
    };
    let rest = text.strip_prefix("RULE:").ok_or_else(incomplete)?;
    let (pattern, rest) = until_slash(rest).ok_or_else(incomplete)?;
    let (replacement, rest) = until_slash(rest).ok_or_else(incomplete)?;
    let (case, rest) = match (rest.strip_prefix('L'), rest.strip_prefix('U')) {
        (Some(rest), _) => (Case::Lower, rest),
        (_, Some(rest)) => (Case::Upper, rest),
        _ => (Case::Kept, rest),
    };
    // The whole subject has to fit, not a part of it.
    let pattern = RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(PATTERN_BYTES_MAX)
        .build()
        .map_err(|error| BadRules(error.to_string()))?;
    let replacement = read_replacement(&replacement, pattern.captures_len())?;
    let rule = Rule::Mapped {
        pattern,
        replacement,
        case,
    };
    Ok((rule, rest))
}

/// What is before the next `/` that isn't escaped, with `\/` as `/`, and what is behind it.
fn until_slash(text: &str) -> Option<(String, &str)> {
    let mut taken = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '/' => return Some((taken, characters.as_str())),
            '\\' => match characters.next()? {
                '/' => taken.push('/'),
                escaped => taken.extend(['\\', escaped]),
            },
            other => taken.push(other),
        }
    }
    None
}

fn read_replacement(text: &str, groups: usize) -> Result<Vec<Piece>, BadRules> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.extend(characters.next()),
            '$' => {
                let Some(first) = characters.next().and_then(|digit| digit.to_digit(10)) else {
                    return Err(BadRules(format!(
                        "{text:?}: a group's number must follow $"
                    )));
                };
                let mut group = first as usize;
                // As many digits as still name a group, as in Java.
                while let Some(digit) = characters.peek().and_then(|digit| digit.to_digit(10)) {
                    let longer = group * 10 + digit as usize;
                    if longer >= groups {
                        break;
                    }
                    group = longer;
                    characters.next();
                }
                if group >= groups {
                    return Err(BadRules(format!(
                        "{text:?}: the pattern has no group {group}"
                    )));
                }
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                }
                pieces.push(Piece::Group(group));
            }
            other => plain.push(other),
        }
    }
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(rules: &str, subject: &str) -> Option<String> {
        rules.parse::<MappingRules>().unwrap().name(subject)
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        let rules = "RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/, \
                     RULE:^CN=(.*?),OU=(.*?),O=(.*?),L=(.*?),ST=(.*?),C=(.*?)$/$1@$2/L, \
                     RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/U, DEFAULT";
        for (subject, expected) in [
            ("CN=kafka,OU=ServiceUsers,O=Org", "kafka"),
            ("CN=Adm,OU=Admin,O=Org,L=City,ST=State,C=NZ", "adm@admin"),
            ("O=Org,CN=anna.b", "ANNA.B"),
            ("OU=nobody", "OU=nobody"),
        ] {
            assert_eq!(name(rules, subject).as_deref(), Some(expected), "{subject}");
        }
    }

    #[test]
    fn the_whole_subject_has_to_fit() {
        assert_eq!(name("RULE:CN=a/x/", "CN=ab"), None);
        assert_eq!(name("RULE:CN=a|CN=b/x/", "CN=b"), Some("x".to_owned()));
        assert_eq!(name("RULE:CN=a|CN=b/x/", "CN=b,O=c"), None);
        assert_eq!(name("DEFAULT", "CN=a"), Some("CN=a".to_owned()));
    }

    #[test]
    fn slashes_dollars_and_digits() {
        assert_eq!(
            name(r"RULE:CN=a\/(b)/x\/$1/", "CN=a/b"),
            Some("x/b".to_owned())
        );
        assert_eq!(name(r"RULE:CN=(.*)/\$$12/", "CN=a"), Some("$a2".to_owned()));
        assert_eq!(
            name("RULE:CN=(a)?(b)/$1-$2/", "CN=b"),
            Some("-b".to_owned())
        );
        assert_eq!(name(r"RULE:CN=\w+/ok/", "CN=abc"), Some("ok".to_owned()));
    }

    #[test]
    fn bad_rules_are_refused() {
        for text in [
            "",
            "default",
            "RULE:",
            "RULE:a",
            "RULE:a/b",
            "RULE:(/b/",
            "RULE:a/$1/",
            "RULE:a/$x/",
            "RULE:a/b/X",
            "DEFAULT,",
            "DEFAULT DEFAULT",
            r"RULE:a\",
            "RULE:a{1000}{1000}{1000}/b/",
        ] {
            assert!(text.parse::<MappingRules>().is_err(), "{text}");
        }
    }
}
