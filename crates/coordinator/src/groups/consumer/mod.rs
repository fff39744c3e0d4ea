//! A consumer group (KIP-848): the coordinator assigns, and each member comes to its assignment at its
//! own pace.
//!
//! The group has an epoch, of its members and what they read; the target has the epoch that it was
//! computed for; and each member has the epoch of the target that it has come to. A partition changes
//! hands in two steps: whoever has it gives it up and says so, then it is handed on. Nobody else waits.
//!
//! A member speaks the new protocol (`heartbeat`), or still or again the classic one (`classic_member`):
//! the same member but for how it says what it owns, and how it is told what it is to own.

mod assign;
mod classic_member;
pub(crate) mod heartbeat;
mod member;

use std::collections::BTreeMap;
use std::sync::Arc;

use fletch_wire::messages::consumer_group_describe::{
    Assignment, DescribedGroup, Member as DescribedMember, TopicPartitions,
};
use fletch_wire::{ErrorCode, Str, Uuid};

use self::assign::{Assignor, Reader};
use self::member::{LEFT_FOR_A_WHILE, Member, compile, pairs};
use super::Env;
use super::directory::Directory;
use super::protocols::{self, Supporters};
use crate::fact::{
    AnyGroupFact, ClassicPart, ConsumerMemberFact, EpochsFact, Fact, Key, Partitions, Value,
};
use crate::timers::Timer;

/// A group.
#[derive(Debug)]
pub(crate) struct ConsumerGroup {
    id: Arc<str>,
    epochs: EpochsFact,
    members: BTreeMap<Arc<str>, Member>,
    /// The members that have names of their own, by these.
    statics: BTreeMap<Arc<str>, Arc<str>>,
    /// Who has a partition, or hasn't given it up yet.
    owners: BTreeMap<(Uuid, i32), Arc<str>>,
    /// The directory's version that it has looked at.
    seen: Option<u64>,
    /// The partitions of the topics it reads, as last looked at.
    partitions: BTreeMap<Uuid, i32>,
    /// Of the members that speak the classic protocol: how many there are, and what they can use.
    supporters: Supporters,
    /// The bytes of their protocols.
    protocols_bytes: usize,
    /// The bytes of its members, and at which epoch and for how many members they were counted.
    counted: (i32, usize, usize),
}

impl ConsumerGroup {
    pub(crate) fn new(id: Arc<str>) -> Self {
        Self {
            id,
            epochs: EpochsFact {
                epoch: 0,
                target: 0,
            },
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            owners: BTreeMap::new(),
            seen: None,
            partitions: BTreeMap::new(),
            supporters: Supporters::default(),
            protocols_bytes: 0,
            counted: (0, 0, 0),
        }
    }

    /// The bytes that are kept for its members, about. Counted anew when its members change, or what
    /// they read: not at each heartbeat. (The protocols of classic members are counted at once.)
    pub(crate) fn bytes(&mut self) -> usize {
        let (epoch, members) = (self.epochs.epoch, self.members.len());
        if (self.counted.0, self.counted.1) != (epoch, members) {
            let bytes = self.members.values().map(Member::bytes).sum();
            self.counted = (epoch, members, bytes);
        }
        // The group's name is in the key of each member.
        self.counted.2 + self.protocols_bytes + members * self.id.len()
    }

    /// The bytes that are kept for a member's protocols, if it speaks the classic one.
    pub(crate) fn protocols_bytes_of(&self, member: &str) -> usize {
        let member = self.members.get(member);
        let classic = member.and_then(|member| member.fact.classic.as_ref());
        classic.map_or(0, |classic| protocols::bytes(&classic.protocols))
    }

    pub(crate) fn restore_epochs(&mut self, epochs: EpochsFact) {
        self.epochs = epochs;
    }

    pub(crate) fn restore_member(&mut self, fact: ConsumerMemberFact) {
        self.forget_member(&fact.id);
        if let Some(instance_id) = &fact.instance_id {
            self.statics.insert(instance_id.clone(), fact.id.clone());
        }
        for pair in pairs(&fact.assigned).chain(pairs(&fact.revoking)) {
            self.owners.insert(pair, fact.id.clone());
        }
        self.count_classic(fact.classic.as_ref());
        self.members.insert(fact.id.clone(), Member::new(fact));
    }

    pub(crate) fn forget_member(&mut self, id: &str) {
        self.forget_owned(id);
        if let Some(member) = self.members.remove(id) {
            self.uncount_classic(member.fact.classic.as_ref());
        }
        self.statics.retain(|_, member| **member != *id);
    }

    fn count_classic(&mut self, part: Option<&ClassicPart>) {
        if let Some(part) = part {
            self.supporters.add(&part.protocols);
            self.protocols_bytes += protocols::bytes(&part.protocols);
        }
    }

    fn uncount_classic(&mut self, part: Option<&ClassicPart>) {
        if let Some(part) = part {
            self.supporters.remove(&part.protocols);
            self.protocols_bytes -= protocols::bytes(&part.protocols);
        }
    }

    /// Whether it has members, and all of them speak the classic protocol.
    pub(crate) fn is_all_classic(&self) -> bool {
        !self.members.is_empty() && self.supporters.members() == self.members.len()
    }

    fn forget_owned(&mut self, id: &str) {
        if let Some(member) = self.members.get(id) {
            for pair in pairs(&member.fact.assigned).chain(pairs(&member.fact.revoking)) {
                if self.owners.get(&pair).is_some_and(|owner| **owner == *id) {
                    self.owners.remove(&pair);
                }
            }
        }
    }

    /// Begins the sessions of the members that were restored.
    pub(crate) fn start(&mut self, env: &mut Env) {
        self.members
            .values_mut()
            .for_each(|member| member.resolve(env.directory));
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for id in ids {
            self.heard_of(env, &id);
            self.watch_revocation(env, &id);
        }
    }

    pub(crate) fn stop(&mut self, env: &mut Env) {
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        ids.iter().for_each(|id| self.cancel_alarms(env, id));
    }

    pub(crate) fn is_vacant(&self) -> bool {
        self.members.is_empty()
    }

    pub(crate) fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// The epoch of the target: that of the members that have come to it, and of nobody a later one.
    pub(crate) fn target_epoch(&self) -> i32 {
        self.epochs.target
    }

    pub(crate) fn members(&self) -> impl ExactSizeIterator<Item = &ConsumerMemberFact> {
        self.members.values().map(|member| &member.fact)
    }

    /// Whether its members read a topic.
    pub(crate) fn reads(&self, directory: &Directory, topic: &str) -> bool {
        let id = directory.get(topic).map(|topic| topic.id);
        self.members.values().any(|member| {
            member.fact.topics.contains(topic) || id.is_some_and(|id| member.topics.contains(&id))
        })
    }

    /// Kafka's name of its state.
    pub(crate) fn state(&self) -> &'static str {
        let settled = |member: &Member| {
            let fact = &member.fact;
            fact.epoch == self.epochs.target
                && fact.revoking.is_empty()
                && fact.assigned == fact.target
        };
        if self.members.is_empty() {
            "Empty"
        } else if self.epochs.epoch > self.epochs.target {
            "Assigning"
        } else if self.members.values().all(settled) {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    /// Everything, as facts.
    pub(crate) fn facts(&self, facts: &mut Vec<Fact>) {
        facts.push(self.epochs_fact());
        facts.extend(
            self.members
                .values()
                .map(|member| self.member_fact(&member.fact)),
        );
    }

    /// That nothing is left of it.
    pub(crate) fn forget(&self, facts: &mut Vec<Fact>) {
        self.forget_members(facts);
        let key = Key::Group(self.id.clone()).text();
        facts.push(Fact { key, value: None });
    }

    /// That nothing is left of its members.
    pub(crate) fn forget_members(&self, facts: &mut Vec<Fact>) {
        for id in self.members.keys() {
            let key = self.member_key(id).text();
            facts.push(Fact { key, value: None });
        }
    }

    pub(crate) fn member_key(&self, id: &Arc<str>) -> Key {
        Key::Member {
            group: self.id.clone(),
            member: id.clone(),
        }
    }

    fn epochs_fact(&self) -> Fact {
        Fact {
            key: Key::Group(self.id.clone()).text(),
            value: Some(AnyGroupFact::Consumer(self.epochs).encode()),
        }
    }

    fn member_fact(&self, fact: &ConsumerMemberFact) -> Fact {
        Fact {
            key: self.member_key(&fact.id).text(),
            value: Some(fact.encode()),
        }
    }

    /// Whether the sender of an offset is a member in its epoch, or nobody's member.
    ///
    /// # Errors
    /// What to answer if it isn't.
    pub(crate) fn check_epoch(&self, id: &str, epoch: i32) -> Result<(), ErrorCode> {
        if epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        let member = self.members.get(id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        match member.fact.epoch == epoch {
            true => Ok(()),
            // Each in the words of its protocol.
            false if member.fact.classic.is_some() => Err(ErrorCode::ILLEGAL_GENERATION),
            false => Err(ErrorCode::STALE_MEMBER_EPOCH),
        }
    }

    /// Begins a member's session anew.
    fn heard_of(&mut self, env: &mut Env, id: &str) {
        if let Some(member) = self.members.get_mut(id) {
            let session_ms = match &member.fact.classic {
                Some(classic) => classic.session_timeout_ms.into(),
                None => env.config.consumer_session_timeout_ms,
            };
            let due_ms = env.now_ms.saturating_add(session_ms);
            let (group, member_id) = (&self.id, &member.fact.id);
            let timer = || Timer::Member {
                group: group.clone(),
                member: member_id.clone(),
            };
            env.timers.set(&mut member.session, due_ms, timer);
        }
    }

    /// Gives a member that is to give something up its time for it. (One of the classic protocol says so
    /// when it joins again, and is given time for that.)
    fn watch_revocation(&mut self, env: &mut Env, id: &str) {
        let Some(member) = self.members.get(id) else {
            return;
        };
        if member.fact.classic.is_some() {
            return;
        }
        match member.fact.revoking.is_empty() {
            true => self.end_step(env, id),
            false => self.begin_step(env, id),
        }
    }

    /// Gives a member its time for its next step, from now on.
    fn begin_step(&mut self, env: &mut Env, id: &str) {
        if let Some(member) = self.members.get_mut(id) {
            let timeout_ms = member.fact.rebalance_timeout_ms.into();
            let due_ms = env.now_ms.saturating_add(timeout_ms);
            let (group, member_id) = (&self.id, &member.fact.id);
            env.timers.set(&mut member.step, due_ms, || Timer::Step {
                group: group.clone(),
                member: member_id.clone(),
            });
        }
    }

    /// A member has made its step.
    fn end_step(&mut self, env: &mut Env, id: &str) {
        if let Some(member) = self.members.get_mut(id) {
            let (group, member_id) = (&self.id, &member.fact.id);
            env.timers.cancel(&mut member.step, || Timer::Step {
                group: group.clone(),
                member: member_id.clone(),
            });
        }
    }

    fn cancel_alarms(&mut self, env: &mut Env, id: &str) {
        self.end_step(env, id);
        if let Some(member) = self.members.get_mut(id) {
            let (group, member_id) = (&self.id, &member.fact.id);
            env.timers.cancel(&mut member.session, || Timer::Member {
                group: group.clone(),
                member: member_id.clone(),
            });
        }
    }

    pub(crate) fn member_alarm_came_up(&mut self, env: &mut Env, id: &str, timer: &Timer) {
        let Some(member) = self.members.get_mut(id) else {
            return;
        };
        let alarm = match timer {
            Timer::Step { .. } => &mut member.step,
            _ => &mut member.session,
        };
        if env.timers.is_due(alarm, env.now_ms, timer) {
            self.remove(env, id);
        }
    }

    /// Takes a member out: its partitions are free, and the others' target is to be computed anew.
    fn remove(&mut self, env: &mut Env, id: &str) {
        self.cancel_alarms(env, id);
        if let Some((id, _)) = self.members.get_key_value(id) {
            let key = self.member_key(id).text();
            env.out.facts.push(Fact { key, value: None });
        }
        self.forget_member(id);
        self.bump(env);
    }

    fn bump(&mut self, env: &mut Env) {
        self.epochs.epoch = self.epochs.epoch.saturating_add(1);
        env.out.facts.push(self.epochs_fact());
    }

    /// Lets a member say something of itself, which begins its membership if it has none. If that changes
    /// what it reads or who is to assign, the target is to be computed anew.
    fn change(
        &mut self,
        env: &mut Env,
        id: &Arc<str>,
        instance_id: Option<&str>,
        change: impl FnOnce(&mut ConsumerMemberFact),
    ) {
        let is_new = !self.members.contains_key(id);
        let instance_id: Option<Arc<str>> = instance_id.map(Arc::from);
        if let (true, Some(instance_id)) = (is_new, &instance_id) {
            self.statics.insert(instance_id.clone(), id.clone());
        }
        let new = || {
            Member::new(ConsumerMemberFact {
                instance_id,
                ..ConsumerMemberFact::new(id.clone())
            })
        };
        let member = self.members.entry(id.clone()).or_insert_with(new);
        let fact = &mut member.fact;
        let reads = |fact: &ConsumerMemberFact| {
            let texts = (fact.regex.clone(), fact.assignor.clone());
            (fact.topics.clone(), texts)
        };
        let (before, classic) = (reads(fact), fact.classic.clone());
        change(fact);
        let after = reads(fact);
        if before.1.0 != after.1.0 {
            member.regex = after.1.0.as_deref().and_then(compile);
        }
        let classic_now = fact.classic.clone();
        let is_changed = is_new || before != after;
        if is_changed {
            member.resolve(env.directory);
            self.bump(env);
        }
        self.uncount_classic(classic.as_ref());
        self.count_classic(classic_now.as_ref());
    }

    /// Looks at the topics again if they have changed, and then computes the target if something has.
    fn refresh(&mut self, env: &mut Env) {
        let directory = env.directory;
        if self.seen != Some(directory.version()) {
            self.seen = Some(directory.version());
            self.members
                .values_mut()
                .for_each(|member| member.resolve(directory));
            let partitions = self.read_partitions(directory);
            if partitions != self.partitions {
                self.partitions = partitions;
                // Unless the target is to be computed anyhow.
                if self.epochs.epoch == self.epochs.target {
                    self.bump(env);
                }
            }
        }
        if self.epochs.epoch > self.epochs.target {
            self.partitions = self.read_partitions(directory);
            self.compute_target(env);
        }
    }

    fn read_partitions(&self, directory: &Directory) -> BTreeMap<Uuid, i32> {
        let topics = self.members.values().flat_map(|member| &member.topics);
        let count = |id: &Uuid| Some((*id, directory.get(directory.name(id)?)?.partitions));
        topics.filter_map(count).collect()
    }

    fn compute_target(&mut self, env: &mut Env) {
        let readers: Vec<Reader> = self
            .members
            .values()
            .map(|member| Reader {
                name: member
                    .fact
                    .instance_id
                    .as_ref()
                    .unwrap_or(member.id())
                    .clone(),
                topics: member.topics.clone(),
                before: member.fact.target.clone(),
            })
            .collect();
        let targets = self.assignor().assign(&readers, &self.partitions);
        let mut changed = Vec::new();
        for (member, target) in self.members.values_mut().zip(targets) {
            if member.fact.target != target {
                member.fact.target = target;
                changed.push(member.fact.clone());
            }
        }
        env.out
            .facts
            .extend(changed.iter().map(|fact| self.member_fact(fact)));
        // Last: if this isn't kept, the target is computed once more.
        self.epochs.target = self.epochs.epoch;
        env.out.facts.push(self.epochs_fact());
    }

    /// The assignor that most members ask for.
    fn assignor(&self) -> Assignor {
        let mut votes: BTreeMap<Assignor, usize> = BTreeMap::new();
        let members = self.members.values();
        let asked = members.filter_map(|member| member.fact.assignor.as_deref());
        for assignor in asked.filter_map(Assignor::parse) {
            *votes.entry(assignor).or_default() += 1;
        }
        let most = votes
            .into_iter()
            .max_by_key(|(assignor, votes)| (*votes, std::cmp::Reverse(*assignor)));
        most.map_or(Assignor::Uniform, |(assignor, _)| assignor)
    }

    /// The group, as ConsumerGroupDescribe tells of it.
    pub(crate) fn described(&self, directory: &Directory) -> DescribedGroup {
        let members = self.members.values().map(|member| {
            let fact = &member.fact;
            DescribedMember {
                member_id: Str::from(&*fact.id),
                instance_id: fact.instance_id.as_deref().map(Str::from),
                rack_id: fact.rack_id.as_deref().map(Str::from),
                member_epoch: fact.epoch,
                client_id: Str::from(&*fact.client_id),
                client_host: Str::from(&*fact.client_host),
                subscribed_topic_names: fact.topics.iter().map(|name| Str::from(&**name)).collect(),
                subscribed_topic_regex: fact.regex.as_deref().map(Str::from),
                assignment: described(&fact.assigned, directory),
                target_assignment: described(&fact.target, directory),
                member_type: i8::from(fact.classic.is_none()),
                ..Default::default()
            }
        });
        DescribedGroup {
            group_id: Str::from(&*self.id),
            group_state: Str::from(self.state()),
            group_epoch: self.epochs.epoch,
            assignment_epoch: self.epochs.target,
            assignor_name: Str::from(self.assignor().name()),
            members: members.collect(),
            ..Default::default()
        }
    }
}

fn described(partitions: &Partitions, directory: &Directory) -> Assignment {
    let topics = partitions.iter().map(|(id, partitions)| TopicPartitions {
        topic_id: *id,
        topic_name: directory
            .name(id)
            .map(|name| Str::from(&**name))
            .unwrap_or_default(),
        partitions: partitions.iter().copied().collect(),
        ..Default::default()
    });
    Assignment {
        topic_partitions: topics.collect(),
        ..Default::default()
    }
}
