//! A classic group: its members agree on a generation, and one of them assigns.
//!
//! ```text
//!            join, leave, silence           all have joined, or the time is up
//! Empty ────────────────────────▶ Preparing ──────────────────────────▶ Completing
//!   ▲                              │    ▲                                   │
//!   └────────── nobody is left ────┘    │ join, leave, silence              │ the leader
//!                                       └──────────────── Stable ◀──────────┘ has assigned
//! ```
//!
//! A generation is kept before its members are told of it, and once more with its assignments before
//! they leave. So no generation is given twice, and no member's id is forgotten that somebody knows.
//! A rebalance is not kept: a restart goes on with the last generation. But a group that comes from a
//! consumer group ([`super::migration`]) has no protocol yet: it rebalances first, after a restart too.

mod generation;
pub(crate) mod join;
mod leave;
pub(crate) mod member;
pub(crate) mod sync;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use fletch_wire::ErrorCode;

use self::member::Member;
use super::protocols::{self, Supporters};
use super::{Env, embedded};
use crate::error::DecodeError;
use crate::fact::{AnyGroupFact, Fact, GroupFact, Key, Value};
use crate::timers::{Alarm, Timer};

/// What kind of protocol the consumers' groups have.
pub(crate) const CONSUMER: &str = "consumer";

/// Where a group is in its rebalance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It has no members.
    Empty,
    /// Its members are asked to join again.
    Preparing,
    /// Its members have joined; the leader assigns.
    Completing,
    /// Its members have their assignments.
    Stable,
}

impl State {
    /// Kafka's name of it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Preparing => "PreparingRebalance",
            Self::Completing => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// The wait of an empty group for more members than the first.
#[derive(Debug, Clone, Copy)]
struct InitialWait {
    /// How much longer it may be made.
    left_ms: i64,
    /// Whether somebody has come since it was last made longer.
    member_came: bool,
}

/// A group.
#[derive(Debug)]
pub(crate) struct ClassicGroup {
    id: Arc<str>,
    state: State,
    /// Since when.
    since_ms: i64,
    generation: i32,
    protocol_type: Option<Arc<str>>,
    protocol: Option<Arc<str>>,
    leader: Option<Arc<str>>,
    members: BTreeMap<Arc<str>, Member>,
    /// The members that have names of their own, by these.
    statics: BTreeMap<Arc<str>, Arc<str>>,
    /// Those who were given an id to join with, and haven't yet.
    pending: BTreeMap<Arc<str>, Alarm>,
    supporters: Supporters,
    /// The topics its members read, while that is known.
    topics: Option<BTreeSet<String>>,
    /// How many members wait for the generation.
    joining: usize,
    /// The members that haven't asked for their assignments in this generation.
    unsynced: BTreeSet<Arc<str>>,
    join_alarm: Alarm,
    sync_alarm: Alarm,
    initial: Option<InitialWait>,
    /// The bytes that are kept for the members.
    bytes: usize,
    /// Whether there is a fact of it.
    is_kept: bool,
}

impl ClassicGroup {
    pub(crate) fn new(id: Arc<str>, now_ms: i64) -> Self {
        Self {
            id,
            state: State::Empty,
            since_ms: now_ms,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            pending: BTreeMap::new(),
            supporters: Supporters::default(),
            topics: None,
            joining: 0,
            unsynced: BTreeSet::new(),
            join_alarm: Alarm::default(),
            sync_alarm: Alarm::default(),
            initial: None,
            bytes: 0,
            is_kept: false,
        }
    }

    /// The group that a fact tells of.
    ///
    /// # Errors
    /// [`DecodeError::Contradiction`] if no group can be so.
    pub(crate) fn restored(id: Arc<str>, fact: GroupFact) -> Result<Self, DecodeError> {
        let mut group = Self::new(id, fact.since_ms);
        group.is_kept = true;
        group.generation = fact.generation;
        group.protocol_type = fact.protocol_type;
        for member in fact.members {
            if group.members.contains_key(&member.id) {
                let what = "two members have the same id";
                return Err(DecodeError::Contradiction { what });
            }
            if member.session_timeout_ms < 1 || member.rebalance_timeout_ms < 1 {
                let what = "a member's time is up before it begins";
                return Err(DecodeError::Contradiction { what });
            }
            group.insert(Member::restored(member));
        }
        let leads = |leader: &Arc<str>| group.members.contains_key(leader);
        if !group.members.is_empty() {
            if !fact.leader.as_ref().is_some_and(leads) {
                let what = "the leader is no member";
                return Err(DecodeError::Contradiction { what });
            }
            group.state = match fact.is_assigned {
                true => State::Stable,
                false => State::Completing,
            };
            if !fact.is_assigned {
                group.unsynced = group.members.keys().cloned().collect();
            }
        }
        group.leader = fact.leader;
        group.protocol = fact.protocol;
        group.topics = group.subscribed_topics();
        Ok(group)
    }

    /// Begins the sessions of the members that were restored.
    pub(crate) fn start(&mut self, env: &mut Env) {
        let members: Vec<_> = self.members.keys().cloned().collect();
        members.iter().for_each(|id| self.heard_of(env, id));
        if self.state == State::Completing {
            self.wait_for_syncs(env);
        }
        // Its members have come from a consumer group, and haven't agreed on a generation since.
        if self.state == State::Stable && self.protocol.is_none() {
            let since_ms = self.since_ms;
            self.prepare(env);
            self.since_ms = since_ms;
        }
    }

    /// What is kept of it.
    pub(crate) fn fact(&self) -> Fact {
        let fact = GroupFact {
            protocol_type: self.protocol_type.clone(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            since_ms: self.since_ms,
            is_assigned: self.state != State::Completing,
            members: self.members.values().map(Member::fact).collect(),
        };
        Fact {
            key: Key::Group(self.id.clone()).text(),
            value: Some(AnyGroupFact::Classic(fact).encode()),
        }
    }

    pub(super) fn keep(&mut self, env: &mut Env) {
        self.is_kept = true;
        env.out.facts.push(self.fact());
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// The bytes that are kept for its members, and for those to be.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.pending.len() * member::FIXED_BYTES
    }

    /// The bytes that are kept for a member's protocols.
    pub(crate) fn protocols_bytes(&self, member: &str) -> usize {
        let member = self.members.get(member);
        member.map_or(0, |member| protocols::bytes(&member.protocols))
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn id(&self) -> &Arc<str> {
        &self.id
    }

    pub(crate) fn generation(&self) -> i32 {
        self.generation
    }

    /// Whether some member has this name of its own.
    pub(crate) fn has_static(&self, instance_id: &str) -> bool {
        self.statics.contains_key(instance_id)
    }

    pub(crate) fn since_ms(&self) -> i64 {
        self.since_ms
    }

    pub(crate) fn protocol_type(&self) -> Option<&str> {
        self.protocol_type.as_deref()
    }

    pub(crate) fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    pub(crate) fn members(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.members.values()
    }

    /// Whether it has neither members nor any to be.
    pub(crate) fn is_vacant(&self) -> bool {
        self.state == State::Empty && self.members.is_empty() && self.pending.is_empty()
    }

    /// Whether its members are consumers.
    pub(crate) fn is_of_consumers(&self) -> bool {
        self.protocol_type() == Some(CONSUMER)
    }

    /// Whether its members read a topic, as far as the coordinator can know.
    pub(crate) fn reads(&self, topic: &str) -> bool {
        match &self.topics {
            Some(topics) => topics.contains(topic),
            // What their protocol says can't be read here.
            None => !self.members.is_empty(),
        }
    }

    fn subscribed_topics(&self) -> Option<BTreeSet<String>> {
        if !self.is_of_consumers() {
            return None;
        }
        let protocol = self.protocol.as_deref();
        let members = self.members.values();
        let metadata = members.map(|member| member.metadata(protocol));
        embedded::topics(metadata)
    }

    fn enter(&mut self, state: State, now_ms: i64) {
        self.state = state;
        self.since_ms = now_ms;
    }

    fn insert(&mut self, member: Member) {
        self.bytes += member.bytes();
        self.supporters.add(&member.protocols);
        if let Some(instance_id) = &member.instance_id {
            self.statics.insert(instance_id.clone(), member.id.clone());
        }
        self.joining += usize::from(member.joining.is_some());
        self.members.insert(member.id.clone(), member);
    }

    /// Takes a member out; whoever calls answers its requests.
    fn take(&mut self, env: &mut Env, id: &str) -> Option<Member> {
        let mut member = self.members.remove(id)?;
        self.bytes -= member.bytes();
        self.supporters.remove(&member.protocols);
        if let Some(instance_id) = &member.instance_id
            && self.statics.get(instance_id) == Some(&member.id)
        {
            self.statics.remove(instance_id);
        }
        self.joining -= usize::from(member.joining.is_some());
        self.unsynced.remove(id);
        let timer = || self.member_timer(&member.id);
        env.timers.cancel(&mut member.session, timer);
        if self.leader.as_deref() == Some(id) {
            self.leader = self.members.keys().next().cloned();
        }
        Some(member)
    }

    fn member_timer(&self, member: &Arc<str>) -> Timer {
        Timer::Member {
            group: self.id.clone(),
            member: member.clone(),
        }
    }

    /// Begins a member's session anew.
    fn heard_of(&mut self, env: &mut Env, id: &str) {
        if let Some(member) = self.members.get_mut(id) {
            let due_ms = match member.is_new {
                true => env.config.new_member_timeout_ms,
                false => member.session_timeout_ms.into(),
            };
            let (group, member_id) = (&self.id, &member.id);
            let timer = || Timer::Member {
                group: group.clone(),
                member: member_id.clone(),
            };
            let due_ms = env.now_ms.saturating_add(due_ms);
            env.timers.set(&mut member.session, due_ms, timer);
        }
    }

    /// Looks for a member by its id and its own name.
    fn check_member(&self, id: &str, instance_id: Option<&str>) -> Result<(), ErrorCode> {
        match instance_id {
            Some(instance_id) => match self.statics.get(instance_id) {
                None => Err(ErrorCode::UNKNOWN_MEMBER_ID),
                Some(current) if **current != *id => Err(ErrorCode::FENCED_INSTANCE_ID),
                Some(_) => Ok(()),
            },
            None if self.members.contains_key(id) => Ok(()),
            None => Err(ErrorCode::UNKNOWN_MEMBER_ID),
        }
    }

    /// Looks for a member, and compares the generation it believes in with the group's.
    fn check_generation(
        &self,
        id: &str,
        instance_id: Option<&str>,
        generation: i32,
    ) -> Result<(), ErrorCode> {
        self.check_member(id, instance_id)?;
        if generation == self.generation {
            Ok(())
        } else {
            Err(ErrorCode::ILLEGAL_GENERATION)
        }
    }

    /// Whether the sender of an offset may commit it, by what it says of its membership.
    ///
    /// # Errors
    /// What to answer if it may not.
    pub(crate) fn check_commit(
        &mut self,
        env: &mut Env,
        id: &str,
        instance_id: Option<&str>,
        generation: i32,
        in_transaction: bool,
    ) -> Result<(), ErrorCode> {
        if generation < 0 && self.state == State::Empty {
            // An admin client, or a consumer that has chosen its partitions by itself.
            return Ok(());
        }
        if generation >= 0 || !id.is_empty() || instance_id.is_some() {
            self.check_generation(id, instance_id, generation)?;
        } else if !in_transaction && self.state != State::Empty {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        if !in_transaction && self.state == State::Completing {
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        self.heard_of(env, id);
        Ok(())
    }

    /// What a member was assigned.
    fn assignment(&self, id: &str) -> Bytes {
        let member = self.members.get(id);
        member
            .map(|member| member.assignment.clone())
            .unwrap_or_default()
    }
}
