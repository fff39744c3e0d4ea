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

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

use bytes::Bytes;
use fletch_wire::Uuid;

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

/// An offset that a group has committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offset {
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: Arc<str>,
    pub(crate) committed_ms: i64,
    /// When to forget it, if its consumer said so.
    pub(crate) expires_ms: Option<i64>,
    /// Its turn among the group's commits: the later one counts, whatever transaction it was in.
    pub(crate) turn: u64,
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

/// The kinds of groups there are.
const CLASSIC: u8 = 0;
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

impl Value for Offset {
    fn write(&self, writer: &mut Writer) {
        writer
            .put_i64(self.offset)
            .put_i32(self.leader_epoch)
            .put_text(&self.metadata)
            .put_i64(self.committed_ms)
            .put_optional(self.expires_ms, |writer, ms| _ = writer.put_i64(ms))
            .put_u64(self.turn);
    }

    fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            offset: reader.i64("offset")?,
            leader_epoch: reader.i32("leader epoch")?,
            metadata: reader.text("metadata")?,
            committed_ms: reader.i64("time of the commit")?,
            expires_ms: reader.optional("time to forget", Reader::i64)?,
            turn: reader.u64("turn")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = Arc<str>> {
        ".{0,12}".prop_map(Arc::from)
    }

    fn bytes() -> impl Strategy<Value = Bytes> {
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from)
    }

    fn place() -> impl Strategy<Value = Place> {
        (text(), text(), any::<i32>()).prop_map(|(group, topic, partition)| Place {
            group,
            topic,
            partition,
        })
    }

    fn member() -> impl Strategy<Value = MemberFact> {
        let ids = (text(), proptest::option::of(text()), text(), text());
        let protocols = proptest::collection::vec((text(), bytes()), 0..3);
        (ids, any::<(i32, i32)>(), protocols, bytes()).prop_map(
            |((id, instance_id, client_id, client_host), timeouts, protocols, assignment)| {
                MemberFact {
                    id,
                    instance_id,
                    client_id,
                    client_host,
                    session_timeout_ms: timeouts.0,
                    rebalance_timeout_ms: timeouts.1,
                    protocols,
                    assignment,
                }
            },
        )
    }

    fn group() -> impl Strategy<Value = AnyGroupFact> {
        let texts = [(); 3].map(|()| proptest::option::of(text()));
        let members = proptest::collection::vec(member(), 0..4);
        (texts, any::<(i32, i64, bool)>(), members).prop_map(|(texts, numbers, members)| {
            let [protocol_type, protocol, leader] = texts;
            let (generation, since_ms, is_assigned) = numbers;
            AnyGroupFact::Classic(GroupFact {
                protocol_type,
                generation,
                protocol,
                leader,
                since_ms,
                is_assigned,
                members,
            })
        })
    }

    fn partitions() -> impl Strategy<Value = Partitions> {
        let partitions = proptest::collection::btree_set(any::<i32>(), 0..4);
        let id = any::<u128>().prop_map(Uuid::from_u128);
        proptest::collection::btree_map(id, partitions, 0..3)
    }

    fn consumer() -> impl Strategy<Value = ConsumerMemberFact> {
        let texts = [(); 4].map(|()| proptest::option::of(text()));
        let topics = proptest::collection::btree_set(text(), 0..3);
        let owned = [(); 3].map(|()| partitions());
        let protocols = proptest::collection::vec((text(), bytes()), 1..3);
        let classic = (1.., protocols).prop_map(|(session_timeout_ms, protocols)| ClassicPart {
            session_timeout_ms,
            protocols,
        });
        let kept = (owned, proptest::option::of(classic));
        (text(), texts, topics, any::<(i32, i32)>(), 1.., kept).prop_map(
            |(id, [instance_id, rack_id, regex, assignor], topics, epochs, timeout, kept)| {
                let ([assigned, revoking, target], classic) = kept;
                ConsumerMemberFact {
                    instance_id,
                    rack_id,
                    rebalance_timeout_ms: timeout,
                    topics,
                    regex,
                    assignor,
                    epoch: epochs.0,
                    previous_epoch: epochs.1,
                    assigned,
                    revoking,
                    target,
                    classic,
                    ..ConsumerMemberFact::new(id)
                }
            },
        )
    }

    fn offset() -> impl Strategy<Value = Offset> {
        (any::<(i64, i32, i64, Option<i64>, u64)>(), text()).prop_map(
            |((offset, leader_epoch, committed_ms, expires_ms, turn), metadata)| Offset {
                offset,
                leader_epoch,
                metadata,
                committed_ms,
                expires_ms,
                turn,
            },
        )
    }

    proptest! {
        #[test]
        fn keys_are_read_as_they_are_written(
            group in text(), place in place(), producer_id in any::<i64>()
        ) {
            let pending = Key::Pending { producer_id, place: place.clone() };
            let member = Key::Member { group: group.clone(), member: place.topic.clone() };
            for key in [Key::Group(group), member, Key::Offset(place), pending] {
                prop_assert_eq!(Key::parse(&key.text()), Ok(key));
            }
        }

        #[test]
        fn values_are_read_as_they_are_written(
            group in group(), offset in offset(), member in consumer(), epochs in any::<(i32, i32)>()
        ) {
            let epochs = AnyGroupFact::Consumer(EpochsFact { epoch: epochs.0, target: epochs.1 });
            prop_assert_eq!(AnyGroupFact::decode("", &epochs.encode()), Ok(epochs));
            prop_assert_eq!(ConsumerMemberFact::decode("", &member.encode()), Ok(member));
            prop_assert_eq!(AnyGroupFact::decode("", &group.encode()), Ok(group));
            prop_assert_eq!(Offset::decode("", &offset.encode()), Ok(offset));
        }

        #[test]
        fn what_is_cut_off_or_goes_on_is_refused(group in group(), at in any::<usize>()) {
            let bytes = group.encode();
            let cut = &bytes[..at % bytes.len()];
            prop_assert!(AnyGroupFact::decode("", cut).is_err());
            let longer = [&bytes[..], &[0]].concat();
            prop_assert!(AnyGroupFact::decode("", &longer).is_err());
        }

        #[test]
        fn any_bytes_are_read_stably_or_refused(key in ".{0,30}", value in bytes()) {
            if let Ok(parsed) = Key::parse(&key) {
                prop_assert_eq!(parsed.text(), key);
            }
            if let Ok(group) = AnyGroupFact::decode("", &value) {
                prop_assert_eq!(group.encode(), value);
            }
        }
    }

    #[test]
    fn a_member_of_the_first_format_speaks_the_new_protocol() {
        let fact = ConsumerMemberFact::new("a".into());
        let mut bytes = fact.encode().to_vec();
        assert_eq!(bytes.pop(), Some(0), "no classic part");
        bytes[0] = 1;
        assert_eq!(ConsumerMemberFact::decode("", &bytes), Ok(fact));
    }

    #[test]
    fn a_classic_part_that_cannot_be_is_refused() {
        let part = |session_timeout_ms, protocols| {
            let classic = Some(ClassicPart {
                session_timeout_ms,
                protocols,
            });
            let fact = ConsumerMemberFact {
                classic,
                ..ConsumerMemberFact::new("a".into())
            };
            ConsumerMemberFact::decode("", &fact.encode())
        };
        let range = vec![("range".into(), Bytes::new())];
        assert!(part(1, range.clone()).is_ok());
        assert!(part(0, range).is_err());
        assert!(part(1, Vec::new()).is_err());
    }

    #[test]
    fn a_count_larger_than_the_input_is_refused() {
        let mut bytes = Writer::default();
        bytes.put_u8(1).put_u8(CLASSIC).put_u8(0).put_i32(1);
        bytes
            .put_u8(0)
            .put_u8(0)
            .put_i64(0)
            .put_bool(true)
            .put_i32(-1);
        let error = AnyGroupFact::decode("group/g", &bytes.finish()).unwrap_err();
        let source = DecodeError::Truncated {
            what: "members",
            need: u32::MAX as usize,
            have: 0,
        };
        assert_eq!(
            error,
            Error::Value {
                key: "group/g".into(),
                source
            }
        );
    }
}
