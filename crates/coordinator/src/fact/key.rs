//! The keys of facts, as text.

use std::fmt::Write;
use std::sync::Arc;

use crate::error::Error;

/// What a fact is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    Group(Arc<str>),
    Member { group: Arc<str>, member: Arc<str> },
    Offset(Place),
    Pending { producer_id: i64, place: Place },
}

/// A partition, as a group sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) group: Arc<str>,
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
}

impl Key {
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string can't fail.
        _ = match self {
            Self::Group(group) => write!(text, "group/{group}"),
            Self::Member { group, member } => {
                write!(text, "member/{}:{group}/{member}", group.len())
            }
            Self::Offset(place) => write!(text, "offset/{}", place.text()),
            Self::Pending { producer_id, place } => {
                write!(text, "pending/{producer_id}/{}", place.text())
            }
        };
        text
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let parse = || match text.split_once('/')? {
            ("group", group) => Some(Self::Group(group.into())),
            ("member", rest) => {
                let (group, member) = grouped(rest)?;
                let (group, member) = (group.into(), member.into());
                Some(Self::Member { group, member })
            }
            ("offset", place) => Some(Self::Offset(Place::parse(place)?)),
            ("pending", rest) => {
                let (producer_id, place) = rest.split_once('/')?;
                let producer_id = number(producer_id)?;
                let place = Place::parse(place)?;
                Some(Self::Pending { producer_id, place })
            }
            _ => None,
        };
        parse().ok_or_else(|| Error::Key {
            key: text.to_owned(),
        })
    }
}

impl Place {
    fn text(&self) -> String {
        let Self {
            group,
            topic,
            partition,
        } = self;
        format!("{}:{group}/{partition}/{topic}", group.len())
    }

    fn parse(text: &str) -> Option<Self> {
        let (group, rest) = grouped(text)?;
        let (partition, topic) = rest.split_once('/')?;
        Some(Self {
            group: group.into(),
            topic: topic.into(),
            partition: number(partition)?,
        })
    }
}

/// What begins with a group's name, and what follows it.
fn grouped(text: &str) -> Option<(&str, &str)> {
    let (length, rest) = text.split_once(':')?;
    let (group, rest) = rest.split_at_checked(number::<usize>(length)?)?;
    Some((group, rest.strip_prefix('/')?))
}

/// A number in the one way it is written.
fn number<N: std::str::FromStr + ToString>(text: &str) -> Option<N> {
    let number: N = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}
