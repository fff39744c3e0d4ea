//! The two kinds of groups, as what they have in common.

use std::sync::Arc;

use fletch_wire::ErrorCode;

use super::Env;
use super::classic::{self, ClassicGroup};
use super::consumer::ConsumerGroup;
use super::directory::Directory;
use crate::fact::{Fact, Key};

/// A group of either kind.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Its members assign.
    Classic(Box<ClassicGroup>),
    /// The coordinator assigns.
    Consumer(Box<ConsumerGroup>),
}

impl Kind {
    pub(crate) fn classic(id: Arc<str>, now_ms: i64) -> Self {
        Self::Classic(Box::new(ClassicGroup::new(id, now_ms)))
    }

    pub(crate) fn consumer(id: Arc<str>) -> Self {
        Self::Consumer(Box::new(ConsumerGroup::new(id)))
    }

    /// The bytes that are kept for its members, about.
    pub(crate) fn bytes(&mut self) -> usize {
        match self {
            Self::Classic(group) => group.bytes(),
            Self::Consumer(group) => group.bytes(),
        }
    }

    /// The bytes that are kept for a member's protocols, if it speaks the classic one.
    pub(crate) fn bytes_of_classic(&self, member: &str) -> usize {
        match self {
            Self::Classic(group) => group.protocols_bytes(member),
            Self::Consumer(group) => group.protocols_bytes_of(member),
        }
    }

    /// Kafka's name of it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Classic(_) => "classic",
            Self::Consumer(_) => "consumer",
        }
    }

    /// Kafka's name of its state.
    pub(crate) fn state(&self) -> &'static str {
        match self {
            Self::Classic(group) => group.state().name(),
            Self::Consumer(group) => group.state(),
        }
    }

    pub(crate) fn protocol_type(&self) -> Option<&str> {
        match self {
            Self::Classic(group) => group.protocol_type(),
            Self::Consumer(_) => Some(classic::CONSUMER),
        }
    }

    /// Whether it has no members.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Classic(group) => group.state() == classic::State::Empty,
            Self::Consumer(group) => group.is_vacant(),
        }
    }

    /// Whether it has neither members nor any to be.
    pub(crate) fn is_vacant(&self) -> bool {
        match self {
            Self::Classic(group) => group.is_vacant(),
            Self::Consumer(group) => group.is_vacant(),
        }
    }

    /// Whether there is a fact of it.
    pub(crate) fn is_kept(&self) -> bool {
        match self {
            Self::Classic(group) => group.is_kept(),
            Self::Consumer(_) => true,
        }
    }

    /// Whether its members are consumers.
    pub(crate) fn is_of_consumers(&self) -> bool {
        self.protocol_type() == Some(classic::CONSUMER)
    }

    /// Whether its members read a topic, as far as the coordinator can know.
    pub(crate) fn reads(&self, directory: &Directory, topic: &str) -> bool {
        match self {
            Self::Classic(group) => group.reads(topic),
            Self::Consumer(group) => group.reads(directory, topic),
        }
    }

    /// Since when an offset in a topic isn't in use, if it isn't.
    pub(crate) fn unused_since_ms(
        &self,
        directory: &Directory,
        topic: &str,
        committed_ms: i64,
    ) -> Option<i64> {
        match self {
            Self::Classic(group) => match (group.state(), group.protocol_type()) {
                // Members may have read on without a commit, as long as there were any.
                (classic::State::Empty, Some(_)) => Some(committed_ms.max(group.since_ms())),
                (classic::State::Empty, None) => Some(committed_ms),
                (classic::State::Stable, _) => (!group.reads(topic)).then_some(committed_ms),
                (classic::State::Preparing | classic::State::Completing, _) => None,
            },
            Self::Consumer(group) => (!group.reads(directory, topic)).then_some(committed_ms),
        }
    }

    /// Whether the sender of an offset may commit it, by what it says of its membership.
    pub(crate) fn check_commit(
        &mut self,
        env: &mut Env,
        id: &str,
        instance_id: Option<&str>,
        generation: i32,
        in_transaction: bool,
    ) -> Result<(), ErrorCode> {
        match self {
            Self::Classic(group) => {
                group.check_commit(env, id, instance_id, generation, in_transaction)
            }
            Self::Consumer(_) if in_transaction && generation < 0 && id.is_empty() => Ok(()),
            Self::Consumer(group) => group.check_epoch(id, generation),
        }
    }

    pub(crate) fn start(&mut self, env: &mut Env) {
        match self {
            Self::Classic(group) => group.start(env),
            Self::Consumer(group) => group.start(env),
        }
    }

    /// Takes the alarms back, when the group is no more.
    pub(crate) fn stop(&mut self, env: &mut Env) {
        match self {
            Self::Classic(group) => group.stop(env),
            Self::Consumer(group) => group.stop(env),
        }
    }

    /// Everything, as facts.
    pub(crate) fn facts(&self, facts: &mut Vec<Fact>) {
        match self {
            Self::Classic(group) if group.is_kept() => facts.push(group.fact()),
            Self::Classic(_) => {}
            Self::Consumer(group) => group.facts(facts),
        }
    }

    /// That nothing is left of it.
    pub(crate) fn forget(&self, id: &Arc<str>, facts: &mut Vec<Fact>) {
        match self {
            Self::Classic(group) if group.is_kept() => {
                let key = Key::Group(id.clone()).text();
                facts.push(Fact { key, value: None });
            }
            Self::Classic(_) => {}
            Self::Consumer(group) => group.forget(facts),
        }
    }

    /// The group, if the coordinator assigns.
    pub(crate) fn as_consumer(&mut self) -> Option<&mut ConsumerGroup> {
        match self {
            Self::Classic(_) => None,
            Self::Consumer(group) => Some(group),
        }
    }
}
