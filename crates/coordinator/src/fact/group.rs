//! A group, as it is kept: a classic one with its members, or the epochs of a consumer group.

use std::sync::Arc;

use bytes::Bytes;

use super::{Value, put_protocols, read_protocols};
use crate::codec::{Reader, Writer};
use crate::error::DecodeError;

/// A group, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupFact {
    pub(crate) protocol_type: Option<Arc<str>>,
    pub(crate) generation: i32,
    pub(crate) protocol: Option<Arc<str>>,
    pub(crate) leader: Option<Arc<str>>,
    /// Since when it is in its state.
    pub(crate) since_ms: i64,
    /// Whether the members have their assignments in this generation.
    pub(crate) is_assigned: bool,
    pub(crate) members: Vec<MemberFact>,
}

/// A member, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemberFact {
    pub(crate) id: Arc<str>,
    pub(crate) instance_id: Option<Arc<str>>,
    pub(crate) client_id: Arc<str>,
    pub(crate) client_host: Arc<str>,
    pub(crate) session_timeout_ms: i32,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) protocols: Vec<(Arc<str>, Bytes)>,
    pub(crate) assignment: Bytes,
}

/// The kinds of groups there are.
pub(super) const CLASSIC: u8 = 0;
const CONSUMER: u8 = 1;

/// A group of either kind, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AnyGroupFact {
    Classic(GroupFact),
    Consumer(EpochsFact),
}

impl Value for AnyGroupFact {
    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Classic(group) => group.write(writer),
            Self::Consumer(epochs) => epochs.write(writer),
        }
    }

    fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        let what = "kind of group";
        match reader.u8(what)? {
            CLASSIC => GroupFact::read_rest(reader).map(Self::Classic),
            CONSUMER => EpochsFact::read_rest(reader).map(Self::Consumer),
            value => {
                let value = value.into();
                Err(DecodeError::Unknown { what, value })
            }
        }
    }
}

impl GroupFact {
    fn write(&self, writer: &mut Writer) {
        let text = |writer: &mut Writer, text: &Arc<str>| _ = writer.put_text(text);
        writer
            .put_u8(CLASSIC)
            .put_optional(self.protocol_type.as_ref(), text)
            .put_i32(self.generation)
            .put_optional(self.protocol.as_ref(), text)
            .put_optional(self.leader.as_ref(), text)
            .put_i64(self.since_ms)
            .put_bool(self.is_assigned)
            .put_list(self.members.iter(), |writer, member| member.write(writer));
    }

    fn read_rest(reader: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            protocol_type: reader.optional("protocol type", Reader::text)?,
            generation: reader.i32("generation")?,
            protocol: reader.optional("protocol", Reader::text)?,
            leader: reader.optional("leader", Reader::text)?,
            since_ms: reader.i64("time of its state")?,
            is_assigned: reader.bool("whether it is assigned")?,
            members: reader.list("members", MemberFact::read)?,
        })
    }
}

impl MemberFact {
    fn write(&self, writer: &mut Writer) {
        writer
            .put_text(&self.id)
            .put_optional(self.instance_id.as_ref(), |writer, id| {
                _ = writer.put_text(id);
            })
            .put_text(&self.client_id)
            .put_text(&self.client_host)
            .put_i32(self.session_timeout_ms)
            .put_i32(self.rebalance_timeout_ms);
        put_protocols(writer, &self.protocols);
        writer.put_bytes(&self.assignment);
    }

    fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            id: reader.text("member id")?,
            instance_id: reader.optional("instance id", Reader::text)?,
            client_id: reader.text("client id")?,
            client_host: reader.text("client host")?,
            session_timeout_ms: reader.i32("session timeout")?,
            rebalance_timeout_ms: reader.i32("rebalance timeout")?,
            protocols: read_protocols(reader)?,
            assignment: reader.bytes("assignment")?,
        })
    }
}

/// The epochs of a consumer group, as they are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EpochsFact {
    /// Of its members and what they read.
    pub(crate) epoch: i32,
    /// For which it was last computed who is to own what.
    pub(crate) target: i32,
}

impl EpochsFact {
    fn write(&self, writer: &mut Writer) {
        writer
            .put_u8(CONSUMER)
            .put_i32(self.epoch)
            .put_i32(self.target);
    }

    fn read_rest(reader: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            epoch: reader.i32("group epoch")?,
            target: reader.i32("target epoch")?,
        })
    }
}
