//! One transactional id: its producer, and the transaction it is in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::codec::{Reader, Writer};
use crate::error::DecodeError;
use crate::fact::Value;
use crate::timers::Alarm;

/// Where a transactional id is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It has a producer, and no transaction yet.
    Empty,
    /// Its transaction is open.
    Ongoing,
    /// It is decided, and being told to the partitions.
    Preparing { committed: bool },
    /// It has ended.
    Complete { committed: bool },
}

impl State {
    pub(crate) const ALL: [Self; 6] = [
        Self::Empty,
        Self::Ongoing,
        Self::Preparing { committed: true },
        Self::Preparing { committed: false },
        Self::Complete { committed: true },
        Self::Complete { committed: false },
    ];

    /// Kafka's name of it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::Preparing { committed: true } => "PrepareCommit",
            Self::Preparing { committed: false } => "PrepareAbort",
            Self::Complete { committed: true } => "CompleteCommit",
            Self::Complete { committed: false } => "CompleteAbort",
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::Empty => 0,
            Self::Ongoing => 1,
            Self::Preparing { committed: true } => 2,
            Self::Preparing { committed: false } => 3,
            Self::Complete { committed: true } => 4,
            Self::Complete { committed: false } => 5,
        }
    }

    fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        let what = "state of a transaction";
        let number = reader.u8(what)?;
        let state = Self::ALL.into_iter().find(|state| state.number() == number);
        let value = number.into();
        state.ok_or(DecodeError::Unknown { what, value })
    }
}

/// A transactional id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transaction {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    /// The producer id and epoch before the last change that a producer asked for by them: it asks
    /// again if it doesn't hear the answer.
    pub(crate) before: Option<(i64, i16)>,
    /// The producer id to go on with, from epoch 0, once the transaction that is decided is over: its
    /// own has no epoch left.
    pub(crate) next_producer_id: Option<i64>,
    pub(crate) timeout_ms: i32,
    pub(crate) state: State,
    /// When the transaction began.
    pub(crate) began_ms: i64,
    /// When anything last changed.
    pub(crate) changed_ms: i64,
    pub(crate) partitions: BTreeMap<Arc<str>, BTreeSet<i32>>,
    /// The groups whose offsets are in the transaction.
    pub(crate) groups: BTreeSet<Arc<str>>,
    /// When the transaction is aborted, or the id forgotten. It isn't kept.
    pub(crate) alarm: Alarm,
}

impl Transaction {
    pub(crate) fn new(producer_id: i64, timeout_ms: i32, now_ms: i64) -> Self {
        Self {
            producer_id,
            epoch: 0,
            before: None,
            next_producer_id: None,
            timeout_ms,
            state: State::Empty,
            began_ms: -1,
            changed_ms: now_ms,
            partitions: BTreeMap::new(),
            groups: BTreeSet::new(),
            alarm: Alarm::default(),
        }
    }

    /// How many partitions and groups it has.
    pub(crate) fn len(&self) -> usize {
        let partitions = self.partitions.values().map(BTreeSet::len);
        partitions.sum::<usize>() + self.groups.len()
    }

    /// The bytes that are kept of what is in it, about.
    pub(crate) fn bytes(&self) -> usize {
        let topics = self.partitions.iter();
        let topics = topics.map(|(topic, partitions)| named_bytes(topic) + 4 * partitions.len());
        let groups = self.groups.iter().map(|group| named_bytes(group));
        topics.chain(groups).sum()
    }

    pub(crate) fn has_partition(&self, topic: &str, partition: i32) -> bool {
        let partitions = self.partitions.get(topic);
        partitions.is_some_and(|partitions| partitions.contains(&partition))
    }

    /// Whether the producer is the one that has the id.
    pub(crate) fn is_of(&self, producer: (i64, i16)) -> bool {
        (self.producer_id, self.epoch) == producer
    }

    /// Begins a transaction, unless there is one.
    pub(crate) fn begin(&mut self, now_ms: i64) {
        if self.state != State::Ongoing {
            self.state = State::Ongoing;
            self.began_ms = now_ms;
            self.partitions.clear();
            self.groups.clear();
        }
        self.changed_ms = now_ms;
    }

    /// Whether no epoch is left but the one for fencing.
    pub(crate) fn epoch_is_exhausted(&self) -> bool {
        self.epoch >= i16::MAX - 1
    }
}

/// The bytes that something with this name takes in a transaction, about.
pub(crate) fn named_bytes(name: &str) -> usize {
    name.len() + 16
}

/// The format before [`Transaction::next_producer_id`].
const WITHOUT_NEXT: u8 = 1;

impl Value for Transaction {
    const FORMAT: u8 = 2;

    fn write(&self, writer: &mut Writer) {
        writer
            .put_i64(self.producer_id)
            .put_i16(self.epoch)
            .put_optional(self.before, |writer, (id, epoch)| {
                writer.put_i64(id).put_i16(epoch);
            })
            .put_i32(self.timeout_ms)
            .put_u8(self.state.number())
            .put_i64(self.began_ms)
            .put_i64(self.changed_ms)
            .put_list(self.partitions.iter(), |writer, (topic, partitions)| {
                writer.put_text(topic);
                writer.put_list(partitions.iter(), |writer, partition| {
                    writer.put_i32(*partition);
                });
            })
            .put_list(self.groups.iter(), |writer, group| {
                writer.put_text(group);
            })
            .put_optional(self.next_producer_id, |writer, id| _ = writer.put_i64(id));
    }

    fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        let transaction = Self::read_without_next(reader)?;
        Ok(Self {
            next_producer_id: reader.optional("next producer id", Reader::i64)?,
            ..transaction
        })
    }

    fn read_earlier(format: u8, reader: &mut Reader) -> Result<Self, DecodeError> {
        match format {
            WITHOUT_NEXT => Self::read_without_next(reader),
            format => Err(DecodeError::Unknown {
                what: "format",
                value: format.into(),
            }),
        }
    }
}

impl Transaction {
    /// What both formats begin with.
    fn read_without_next(reader: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            producer_id: reader.i64("producer id")?,
            epoch: reader.i16("epoch")?,
            before: reader.optional("producer before", |reader, what| {
                Ok((reader.i64(what)?, reader.i16(what)?))
            })?,
            timeout_ms: reader.i32("timeout")?,
            state: State::read(reader)?,
            next_producer_id: None,
            began_ms: reader.i64("time of the beginning")?,
            changed_ms: reader.i64("time of the change")?,
            partitions: reader
                .list("topics", |reader| {
                    let topic = reader.text("topic")?;
                    let partitions = reader.list("partitions", |reader| reader.i32("partition"))?;
                    Ok((topic, partitions.into_iter().collect()))
                })?
                .into_iter()
                .collect(),
            groups: reader
                .list("groups", |reader| reader.text("group"))?
                .into_iter()
                .collect(),
            alarm: Alarm::default(),
        })
    }
}
