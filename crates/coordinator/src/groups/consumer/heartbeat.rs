//! ConsumerGroupHeartbeat: a member says what has changed, and hears what it is to own.

use std::collections::BTreeSet;
use std::sync::Arc;

use fletch_wire::messages::consumer_group_heartbeat::{Assignment, TopicPartitions};
use fletch_wire::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use fletch_wire::{ErrorCode, Str};

use super::assign::Assignor;
use super::member::{Member, compile, contains, filter, overlap, pairs};
use super::{ConsumerGroup, LEFT_FOR_A_WHILE};
use crate::fact::{ConsumerMemberFact, Partitions};
use crate::groups::Env;
use crate::output::Caller;

/// The epoch with which a member joins.
pub(crate) const JOIN: i32 = 0;

/// The epoch with which a member leaves.
const LEAVE: i32 = -1;

/// Whether a request is one, whatever its group.
///
/// # Errors
/// What to answer if it isn't.
pub(crate) fn check(
    version: i16,
    request: &ConsumerGroupHeartbeatRequest,
    bytes_max: usize,
) -> Result<(), ErrorCode> {
    let is_empty = |text: &Option<Str>| text.as_deref() == Some("");
    let joins = request.member_epoch == JOIN;
    let owns = request.topic_partitions.as_ref();
    let reads =
        request.subscribed_topic_names.is_some() || request.subscribed_topic_regex.is_some();
    let wrong = request.group_id.is_empty()
        || is_empty(&request.instance_id)
        || is_empty(&request.rack_id)
        || request.member_epoch < LEFT_FOR_A_WHILE
        // A member of version 0 is given its id.
        || (request.member_id.is_empty() && (version > 0 || !joins))
        || (request.member_epoch == LEFT_FOR_A_WHILE && request.instance_id.is_none())
        || (joins && (request.rebalance_timeout_ms < 1 || !reads))
        || (joins && owns.is_none_or(|owns| !owns.is_empty()));
    if wrong {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    let names = request.subscribed_topic_names.iter().flatten();
    let texts = [
        &request.subscribed_topic_regex,
        &request.instance_id,
        &request.rack_id,
    ];
    let texts = texts
        .into_iter()
        .flatten()
        .chain(names)
        .chain([&request.member_id]);
    if texts.map(|text| text.len()).sum::<usize>() > bytes_max {
        return Err(ErrorCode::GROUP_MAX_SIZE_REACHED);
    }
    let assignor = request.server_assignor.as_deref();
    if assignor.is_some_and(|name| Assignor::parse(name).is_none()) {
        return Err(ErrorCode::UNSUPPORTED_ASSIGNOR);
    }
    let regex = request.subscribed_topic_regex.as_deref();
    if regex.is_some_and(|text| !text.is_empty() && compile(text).is_none()) {
        return Err(ErrorCode::INVALID_REGULAR_EXPRESSION);
    }
    Ok(())
}

/// The bytes that a request wants to be kept.
pub(crate) fn bytes(request: &ConsumerGroupHeartbeatRequest) -> usize {
    let names = request.subscribed_topic_names.iter().flatten();
    let texts = names.chain(&request.subscribed_topic_regex);
    texts.map(|text| text.len()).sum()
}

impl ConsumerGroup {
    /// Takes a heartbeat that [`check`] has let through.
    pub(crate) fn heartbeat(
        &mut self,
        env: &mut Env,
        caller: &Caller,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<ConsumerGroupHeartbeatResponse, ErrorCode> {
        let owned = request.topic_partitions.as_deref().map(partitions);
        let instance_id = request.instance_id.as_deref();
        let id: Arc<str> = match request.member_id.is_empty() {
            true => caller.random.to_string().into(),
            false => (*request.member_id).into(),
        };
        let joins = match request.member_epoch {
            LEAVE | LEFT_FOR_A_WHILE => return self.leave(env, request),
            JOIN => true,
            _ => false,
        };
        if joins {
            self.enter(env, &id, instance_id)?;
        } else {
            self.check_member(&id, instance_id)?;
            self.check_claim(&id, request.member_epoch, owned.as_ref())?;
        }
        let before = self.members.get(&id).map(|member| member.fact.clone());
        self.update(env, &id, caller, request);
        self.refresh(env);
        self.reconcile(&id, owned.as_ref());
        self.heard_of(env, &id);
        let Some(fact) = self.members.get(&id).map(|member| member.fact.clone()) else {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        };
        let (assigned, revoking) = match &before {
            Some(before) => (&before.assigned, &before.revoking),
            None => (&Partitions::new(), &Partitions::new()),
        };
        if *revoking != fact.revoking {
            self.watch_revocation(env, &id);
        }
        if before.as_ref() != Some(&fact) {
            env.out.facts.push(self.member_fact(&fact));
        }
        let is_full = joins
            || (request.rebalance_timeout_ms >= 0
                && owned.is_some()
                && request.subscribed_topic_names.is_some());
        let is_told = is_full || *assigned != fact.assigned;
        Ok(ConsumerGroupHeartbeatResponse {
            member_id: Some(Str::from(&*id)),
            member_epoch: fact.epoch,
            heartbeat_interval_ms: env.config.consumer_heartbeat_interval_ms,
            assignment: is_told.then(|| assignment(&fact.assigned)),
            ..Default::default()
        })
    }

    /// Makes room for a member that joins, or finds the place it had.
    fn enter(
        &mut self,
        env: &mut Env,
        id: &Arc<str>,
        instance_id: Option<&str>,
    ) -> Result<(), ErrorCode> {
        if let Some(old) = instance_id.and_then(|name| self.statics.get(name)).cloned()
            && old != *id
        {
            // A name passes from one protocol to the other without its bearer's leave.
            let is_free = |member: &Member| {
                member.fact.epoch == LEFT_FOR_A_WHILE || member.fact.classic.is_some()
            };
            if !self.members.get(&old).is_some_and(is_free) {
                return Err(ErrorCode::UNRELEASED_INSTANCE_ID);
            }
            self.replace(env, &old, id);
            return Ok(());
        }
        self.check_room(env, id)
    }

    /// Whether the group takes the member: one it has, or one more.
    pub(super) fn check_room(&self, env: &Env, id: &str) -> Result<(), ErrorCode> {
        match self.members.contains_key(id) || self.members.len() < env.config.group_members_max {
            true => Ok(()),
            false => Err(ErrorCode::GROUP_MAX_SIZE_REACHED),
        }
    }

    /// A static member is back under a new id: it has the place of the old one, and nobody else's
    /// target changes.
    pub(super) fn replace(&mut self, env: &mut Env, old: &Arc<str>, id: &Arc<str>) {
        self.cancel_alarms(env, old);
        let Some(fact) = self.members.get(old).map(|member| member.fact.clone()) else {
            return;
        };
        self.forget_member(old);
        let gone = self.member_key(old).text();
        let fact = ConsumerMemberFact {
            id: id.clone(),
            epoch: JOIN,
            previous_epoch: JOIN,
            ..fact
        };
        // Both hold the partitions for a moment, if only the first is kept: the old one is no owner
        // that comes back.
        env.out.facts.push(self.member_fact(&fact));
        env.out.facts.push(crate::Fact {
            key: gone,
            value: None,
        });
        self.restore_member(fact);
        // What it reads is looked up anew.
        self.seen = None;
    }

    fn check_member(&self, id: &str, instance_id: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance_id) = instance_id {
            match self.statics.get(instance_id) {
                None => return Err(ErrorCode::UNKNOWN_MEMBER_ID),
                Some(current) if **current != *id => return Err(ErrorCode::FENCED_INSTANCE_ID),
                Some(_) => {}
            }
        }
        match self.members.get(id) {
            Some(member) if member.fact.classic.is_none() => Ok(()),
            // One of the classic protocol sends Heartbeat.
            Some(_) | None => Err(ErrorCode::UNKNOWN_MEMBER_ID),
        }
    }

    /// Compares the epoch that a member believes in with its own. One behind is fine for a member that
    /// hasn't heard the last answer, and owns nothing it shouldn't.
    fn check_claim(
        &self,
        id: &str,
        epoch: i32,
        owned: Option<&Partitions>,
    ) -> Result<(), ErrorCode> {
        let Some(member) = self.members.get(id) else {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        };
        let fact = &member.fact;
        let owns_its_own = |owned: &Partitions| {
            pairs(owned).all(|(topic, partition)| contains(&fact.assigned, &topic, partition))
        };
        let missed_one = epoch == fact.previous_epoch && owned.is_some_and(owns_its_own);
        match epoch == fact.epoch || (epoch < fact.epoch && missed_one) {
            true => Ok(()),
            false => Err(ErrorCode::FENCED_MEMBER_EPOCH),
        }
    }

    /// Takes what a member says of itself.
    fn update(
        &mut self,
        env: &mut Env,
        id: &Arc<str>,
        caller: &Caller,
        request: &ConsumerGroupHeartbeatRequest,
    ) {
        let was_classic = |member: &Member| member.fact.classic.is_some();
        if self.members.get(id).is_some_and(was_classic) {
            // It need not join again any more.
            self.end_step(env, id);
        }
        let text = |text: &Option<Str>| text.as_deref().map(Arc::from);
        self.change(env, id, request.instance_id.as_deref(), |fact| {
            fact.classic = None;
            fact.client_id = caller.client_id.into();
            fact.client_host = caller.client_host.into();
            if request.rack_id.is_some() {
                fact.rack_id = text(&request.rack_id);
            }
            if request.rebalance_timeout_ms > 0 {
                fact.rebalance_timeout_ms = request.rebalance_timeout_ms;
            }
            if let Some(names) = &request.subscribed_topic_names {
                fact.topics = names.iter().map(|name| Arc::from(&**name)).collect();
            }
            if let Some(regex) = request.subscribed_topic_regex.as_deref() {
                fact.regex = (!regex.is_empty()).then(|| regex.into());
            }
            if request.server_assignor.is_some() {
                fact.assignor = text(&request.server_assignor);
            }
        });
    }

    /// Brings a member nearer to its target, by what it says that it owns.
    pub(super) fn reconcile(&mut self, id: &str, owned: Option<&Partitions>) {
        let target_epoch = self.epochs.target;
        let Some(member) = self.members.get_mut(id) else {
            return;
        };
        let fact = &mut member.fact;
        // Whoever doesn't say what it owns hasn't given anything up.
        let has_given_up = |partitions: &Partitions| {
            partitions.is_empty() || owned.is_some_and(|owned| !overlap(owned, partitions))
        };
        if !has_given_up(&fact.revoking) {
            return;
        }
        for pair in pairs(&std::mem::take(&mut fact.revoking)) {
            self.owners.remove(&pair);
        }
        let kept = filter(&fact.assigned, |topic, one| {
            contains(&fact.target, topic, one)
        });
        let lost = filter(&fact.assigned, |topic, one| {
            !contains(&fact.target, topic, one)
        });
        fact.assigned = kept;
        if !has_given_up(&lost) {
            fact.revoking = lost;
            return;
        }
        for pair in pairs(&lost) {
            self.owners.remove(&pair);
        }
        for (topic, partition) in pairs(&fact.target) {
            let owner = self.owners.entry((topic, partition));
            if **owner.or_insert_with(|| fact.id.clone()) == *id {
                fact.assigned.entry(topic).or_default().insert(partition);
            }
        }
        if fact.epoch != target_epoch {
            fact.previous_epoch = fact.epoch;
            fact.epoch = target_epoch;
        }
    }

    /// A member leaves, for good or for a while.
    fn leave(
        &mut self,
        env: &mut Env,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<ConsumerGroupHeartbeatResponse, ErrorCode> {
        let id = &*request.member_id;
        self.check_member(id, request.instance_id.as_deref())?;
        if request.member_epoch == LEAVE {
            self.remove(env, id);
        } else if let Some(member) = self.members.get_mut(id) {
            member.fact.epoch = LEFT_FOR_A_WHILE;
            let fact = member.fact.clone();
            env.out.facts.push(self.member_fact(&fact));
        }
        Ok(ConsumerGroupHeartbeatResponse {
            member_id: Some(request.member_id.clone()),
            member_epoch: request.member_epoch,
            ..Default::default()
        })
    }
}

fn partitions(topics: &[TopicPartitions]) -> Partitions {
    let mut partitions = Partitions::new();
    for topic in topics {
        let of: &mut BTreeSet<i32> = partitions.entry(topic.topic_id).or_default();
        of.extend(&topic.partitions);
    }
    partitions
}

fn assignment(partitions: &Partitions) -> Assignment {
    let topics = partitions
        .iter()
        .filter(|(_, partitions)| !partitions.is_empty());
    let topics = topics.map(|(topic_id, partitions)| TopicPartitions {
        topic_id: *topic_id,
        partitions: partitions.iter().copied().collect(),
        ..Default::default()
    });
    Assignment {
        topic_partitions: topics.collect(),
        ..Default::default()
    }
}
