//! The facts: what a restart needs to know, as keys and values of which the last one counts.
//!
//! | key | value |
//! |---|---|
//! | `group/GROUP` | a classic group: its generation and its members; or the epochs of a consumer group |
//! | `member/LENGTH:GROUP/MEMBER` | a member of a consumer group, what it owns and what it is to own |
//! | `offset/LENGTH:GROUP/PARTITION/TOPIC` | an offset that a group has committed |
//! | `pending/PRODUCER/LENGTH:GROUP/PARTITION/TOPIC` | an offset of an open transaction |
//!
//! `LENGTH` is that of the group's name in bytes, because a name may have slashes. A value begins with
//! its format.
mod group;
mod key;
mod member;
mod offset;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;

pub(crate) use self::group::{AnyGroupFact, EpochsFact, GroupFact, MemberFact};
pub(crate) use self::key::{Key, Place};
pub(crate) use self::member::{ClassicPart, ConsumerMemberFact, Partitions};
pub(crate) use self::offset::Offset;
use crate::codec::{Reader, Writer};
use crate::error::{DecodeError, Error};

/// A fact: the value of a key, or that it has none any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// The key.
    pub key: String,
    /// The value; none to forget the key.
    pub value: Option<Bytes>,
}

/// What a key's value is made of.
pub(crate) trait Value: Sized {
    /// The format that this release writes.
    const FORMAT: u8 = 1;

    fn write(&self, writer: &mut Writer);
    fn read(reader: &mut Reader) -> Result<Self, DecodeError>;

    /// Reads what an earlier release has written.
    fn read_earlier(format: u8, _: &mut Reader) -> Result<Self, DecodeError> {
        Err(unknown_format(format))
    }

    fn encode(&self) -> Bytes {
        let mut writer = Writer::default();
        writer.put_u8(Self::FORMAT);
        self.write(&mut writer);
        writer.finish()
    }

    fn decode(key: &str, value: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(value);
        let mut decode = || match reader.u8("format")? {
            format if format == Self::FORMAT => Self::read(&mut reader),
            format => Self::read_earlier(format, &mut reader),
        };
        let value = decode().and_then(|value| reader.finish().map(|()| value));
        value.map_err(|source| Error::Value {
            key: key.to_owned(),
            source,
        })
    }
}

fn unknown_format(format: u8) -> DecodeError {
    DecodeError::Unknown {
        what: "format",
        value: format.into(),
    }
}

fn put_protocols(writer: &mut Writer, protocols: &[(Arc<str>, Bytes)]) {
    writer.put_list(protocols.iter(), |writer, (name, metadata)| {
        writer.put_text(name).put_bytes(metadata);
    });
}

fn read_protocols(reader: &mut Reader) -> Result<Vec<(Arc<str>, Bytes)>, DecodeError> {
    reader.list("protocols", |reader| {
        Ok((reader.text("protocol")?, reader.bytes("metadata")?))
    })
}
