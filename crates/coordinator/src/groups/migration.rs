//! A group is moved from one protocol to the other while it has members (KIP-848, online migration).
//!
//! A member of the new protocol that joins a classic group makes it a consumer group, in which the others
//! go on as members of the classic protocol. When the last member of the new protocol is gone, the group is
//! a classic one again. In both directions it is the members that are moved; the offsets stay where they are.
//!
//! What is moved is kept in several facts. Those of the group it was are taken back first: a crash in
//! between loses members, which hear of it and join again, and has none twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use fletch_wire::{ErrorCode, Uuid};

use super::classic::member::Member;
use super::classic::{self, ClassicGroup};
use super::consumer::ConsumerGroup;
use super::embedded::{self, Assignment, Subscription};
use super::{Env, Kind, protocols};
use crate::fact::{ClassicPart, ConsumerMemberFact, EpochsFact, GroupFact, MemberFact, Partitions};

/// Kafka's own assignors that put something of theirs into assignments: what they remember of those before,
/// which nobody needs any more. What others put there would be lost, and a group of theirs isn't moved.
const STICKY: [&str; 2] = ["sticky", "cooperative-sticky"];

impl Kind {
    /// Makes the group one whose partitions the coordinator assigns, for a member of the new protocol that
    /// joins; one that may have a name of its own.
    ///
    /// # Errors
    /// What to answer if the group stays a classic one.
    pub(super) fn upgrade(
        &mut self,
        env: &mut Env,
        instance_id: Option<&str>,
    ) -> Result<(), ErrorCode> {
        let Self::Classic(classic) = self else {
            return Ok(());
        };
        if classic.members().len() == 0 {
            classic.stop(env);
            *self = Self::consumer(classic.id().clone());
            return Ok(());
        }
        if !env.config.migration_policy.upgrades() {
            return Err(ErrorCode::GROUP_ID_NOT_FOUND);
        }
        let has_place = instance_id.is_some_and(|name| classic.has_static(name));
        if classic.members().len() >= env.config.group_members_max && !has_place {
            return Err(ErrorCode::GROUP_MAX_SIZE_REACHED);
        }
        let mut consumer = upgraded(env, classic).ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?;
        classic.send_back(env);
        classic.stop(env);
        // The epochs first: they take the place of the classic group and its members.
        consumer.facts(&mut env.out.facts);
        consumer.start(env);
        *self = Self::Consumer(Box::new(consumer));
        Ok(())
    }

    /// Makes the group a classic one if none of its members speaks the new protocol any more.
    pub(super) fn downgrade_if_due(&mut self, env: &mut Env) {
        let Self::Consumer(consumer) = self else {
            return;
        };
        if !consumer.is_all_classic() || !env.config.migration_policy.downgrades() {
            return;
        }
        let Some(mut classic) = downgraded(env, consumer) else {
            return;
        };
        consumer.stop(env);
        consumer.forget_members(&mut env.out.facts);
        classic.keep(env);
        classic.start(env);
        *self = Self::Classic(Box::new(classic));
    }
}

/// The consumer group that a classic one becomes: its epoch is the generation, until the new member makes
/// it one more; each member owns what it was last assigned. None if its members aren't consumers, or can't
/// be understood.
fn upgraded(env: &Env, classic: &ClassicGroup) -> Option<ConsumerGroup> {
    if !classic.is_of_consumers() {
        return None;
    }
    let remembers = classic
        .protocol()
        .is_some_and(|name| STICKY.contains(&name));
    let mut owners = BTreeMap::new();
    let mut facts = Vec::with_capacity(classic.members().len());
    let mut claims = Vec::with_capacity(classic.members().len());
    for member in classic.members() {
        let subscription = subscription(env, member)?;
        let Assignment { mut owned, is_more } =
            Assignment::read(&member.assignment, env.directory)?;
        if is_more && !remembers {
            return None;
        }
        // What the leader has assigned twice is the first one's.
        claim(&mut owned, &member.id, &mut owners);
        claims.push(subscription.owned);
        facts.push(ConsumerMemberFact {
            instance_id: member.instance_id.clone(),
            rack_id: subscription.rack_id,
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            topics: subscription.topics,
            epoch: classic.generation(),
            previous_epoch: classic.generation(),
            assigned: owned,
            classic: Some(ClassicPart {
                session_timeout_ms: member.session_timeout_ms,
                protocols: member.protocols.clone(),
            }),
            ..ConsumerMemberFact::new(member.id.clone())
        });
    }
    let epoch = classic.generation();
    let mut consumer = ConsumerGroup::new(classic.id().clone());
    consumer.restore_epochs(EpochsFact {
        epoch,
        target: epoch,
    });
    for (mut fact, mut claimed) in facts.into_iter().zip(claims) {
        // In the middle of a rebalance assignments may be forgotten already, but not yet given up.
        claim(&mut claimed, &fact.id, &mut owners);
        for (topic, partitions) in claimed {
            fact.assigned.entry(topic).or_default().extend(partitions);
        }
        fact.target.clone_from(&fact.assigned);
        consumer.restore_member(fact);
    }
    Some(consumer)
}

/// What a member says of itself, if it can be understood and kept.
fn subscription(env: &Env, member: &Member) -> Option<Subscription> {
    let bytes_max = env.config.consumer_member_bytes_max;
    if protocols::bytes(&member.protocols) + member.assignment.len() > bytes_max {
        return None;
    }
    let (_, metadata) = member.protocols.first()?;
    Subscription::read(metadata, env.directory)
}

/// Leaves what somebody else owns out of what a member says it owns, and makes it the owner of the rest.
fn claim(owned: &mut Partitions, id: &Arc<str>, owners: &mut BTreeMap<(Uuid, i32), Arc<str>>) {
    for (topic, partitions) in owned.iter_mut() {
        partitions.retain(|one| {
            let owner = owners.entry((*topic, *one));
            owner.or_insert_with(|| id.clone()) == id
        });
    }
    owned.retain(|_, partitions| !partitions.is_empty());
}

/// The classic group that a consumer group becomes: its generation is the one that its members are in, and
/// it has no protocol yet, so that they must agree on the next generation. None if it is more than a fact
/// may have.
fn downgraded(env: &Env, consumer: &ConsumerGroup) -> Option<ClassicGroup> {
    let members = consumer.members().filter_map(|fact| {
        let part = fact.classic.as_ref()?;
        let (_, metadata) = part.protocols.first()?;
        Some(MemberFact {
            id: fact.id.clone(),
            instance_id: fact.instance_id.clone(),
            client_id: fact.client_id.clone(),
            client_host: fact.client_host.clone(),
            session_timeout_ms: part.session_timeout_ms,
            rebalance_timeout_ms: fact.rebalance_timeout_ms,
            protocols: part.protocols.clone(),
            assignment: embedded::write_assignment(&fact.assigned, metadata, env.directory),
        })
    });
    let members: Vec<MemberFact> = members.collect();
    let fact = GroupFact {
        protocol_type: Some(classic::CONSUMER.into()),
        generation: consumer.target_epoch(),
        protocol: None,
        leader: members.first().map(|member| member.id.clone()),
        since_ms: env.now_ms,
        is_assigned: true,
        members,
    };
    let group = ClassicGroup::restored(consumer.id().clone(), fact).ok()?;
    (group.bytes() <= env.config.group_bytes_max).then_some(group)
}
