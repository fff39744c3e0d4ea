//! A member of a consumer group, as it is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use fletch_wire::Uuid;

use super::{Value, put_protocols, read_protocols, unknown_format};
use crate::codec::{Reader, Writer};
use crate::error::DecodeError;

/// Partitions, by the topic's id.
pub(crate) type Partitions = BTreeMap<Uuid, BTreeSet<i32>>;

/// What is kept besides of a member of a consumer group that speaks the classic protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClassicPart {
    pub(crate) session_timeout_ms: i32,
    /// What it can use, the protocol it likes best first: never none.
    pub(crate) protocols: Vec<(Arc<str>, Bytes)>,
}

/// A member of a consumer group, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConsumerMemberFact {
    pub(crate) id: Arc<str>,
    pub(crate) instance_id: Option<Arc<str>>,
    pub(crate) rack_id: Option<Arc<str>>,
    pub(crate) client_id: Arc<str>,
    pub(crate) client_host: Arc<str>,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) topics: BTreeSet<Arc<str>>,
    pub(crate) regex: Option<Arc<str>>,
    /// The assignor it asks for.
    pub(crate) assignor: Option<Arc<str>>,
    pub(crate) epoch: i32,
    pub(crate) previous_epoch: i32,
    /// What it owns.
    pub(crate) assigned: Partitions,
    /// What it has been told to give up, and hasn't said that it has.
    pub(crate) revoking: Partitions,
    /// What it is to own.
    pub(crate) target: Partitions,
    /// There if it speaks the classic protocol.
    pub(crate) classic: Option<ClassicPart>,
}

impl ConsumerMemberFact {
    /// A member that has said nothing of itself.
    pub(crate) fn new(id: Arc<str>) -> Self {
        Self {
            id,
            instance_id: None,
            rack_id: None,
            client_id: Arc::from(""),
            client_host: Arc::from(""),
            rebalance_timeout_ms: 1,
            topics: BTreeSet::new(),
            regex: None,
            assignor: None,
            epoch: 0,
            previous_epoch: 0,
            assigned: Partitions::new(),
            revoking: Partitions::new(),
            target: Partitions::new(),
            classic: None,
        }
    }

    /// What format 1 has, and all others begin with.
    fn read_first(reader: &mut Reader) -> Result<Self, DecodeError> {
        let fact = Self {
            id: reader.text("member id")?,
            instance_id: reader.optional("instance id", Reader::text)?,
            rack_id: reader.optional("rack", Reader::text)?,
            client_id: reader.text("client id")?,
            client_host: reader.text("client host")?,
            rebalance_timeout_ms: reader.i32("rebalance timeout")?,
            topics: reader
                .list("topics", |reader| reader.text("topic"))?
                .into_iter()
                .collect(),
            regex: reader.optional("regular expression", Reader::text)?,
            assignor: reader.optional("assignor", Reader::text)?,
            epoch: reader.i32("epoch")?,
            previous_epoch: reader.i32("previous epoch")?,
            assigned: read_partitions(reader, "partitions it owns")?,
            revoking: read_partitions(reader, "partitions it gives up")?,
            target: read_partitions(reader, "partitions it is to own")?,
            classic: None,
        };
        match fact.rebalance_timeout_ms {
            1.. => Ok(fact),
            _ => Err(DecodeError::Contradiction {
                what: "a member's time is up before it begins",
            }),
        }
    }
}

impl ClassicPart {
    fn write(&self, writer: &mut Writer) {
        writer.put_i32(self.session_timeout_ms);
        put_protocols(writer, &self.protocols);
    }

    fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        let part = Self {
            session_timeout_ms: reader.i32("session timeout")?,
            protocols: read_protocols(reader)?,
        };
        if part.session_timeout_ms < 1 {
            let what = "a member's time is up before it begins";
            return Err(DecodeError::Contradiction { what });
        }
        if part.protocols.is_empty() {
            let what = "a member of the classic protocol can use none";
            return Err(DecodeError::Contradiction { what });
        }
        Ok(part)
    }
}

fn put_partitions(writer: &mut Writer, partitions: &Partitions) {
    writer.put_list(partitions.iter(), |writer, (topic, partitions)| {
        writer.put_uuid(*topic);
        writer.put_list(partitions.iter(), |writer, partition| {
            writer.put_i32(*partition);
        });
    });
}

fn read_partitions(reader: &mut Reader, what: &'static str) -> Result<Partitions, DecodeError> {
    let topics = reader.list(what, |reader| {
        let topic = reader.uuid("topic id")?;
        let partitions = reader.list("partitions", |reader| reader.i32("partition"))?;
        Ok((topic, partitions.into_iter().collect()))
    })?;
    Ok(topics.into_iter().collect())
}

impl Value for ConsumerMemberFact {
    const FORMAT: u8 = 2;

    fn write(&self, writer: &mut Writer) {
        let text = |writer: &mut Writer, text: &Arc<str>| _ = writer.put_text(text);
        writer
            .put_text(&self.id)
            .put_optional(self.instance_id.as_ref(), text)
            .put_optional(self.rack_id.as_ref(), text)
            .put_text(&self.client_id)
            .put_text(&self.client_host)
            .put_i32(self.rebalance_timeout_ms)
            .put_list(self.topics.iter(), text)
            .put_optional(self.regex.as_ref(), text)
            .put_optional(self.assignor.as_ref(), text)
            .put_i32(self.epoch)
            .put_i32(self.previous_epoch);
        put_partitions(writer, &self.assigned);
        put_partitions(writer, &self.revoking);
        put_partitions(writer, &self.target);
        writer.put_optional(self.classic.as_ref(), |writer, part| part.write(writer));
    }

    fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        let fact = Self::read_first(reader)?;
        let classic = reader.optional("classic protocol", |reader, _| ClassicPart::read(reader))?;
        Ok(Self { classic, ..fact })
    }

    fn read_earlier(format: u8, reader: &mut Reader) -> Result<Self, DecodeError> {
        match format {
            1 => Self::read_first(reader),
            _ => Err(unknown_format(format)),
        }
    }
}
