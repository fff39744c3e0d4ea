//! JoinGroup, SyncGroup, Heartbeat and LeaveGroup of a member that speaks the classic protocol in a group
//! whose partitions the coordinator assigns (KIP-848, online migration).
//!
//! Nobody waits for others, and nobody leads. A member is told to join again by its heartbeats, says what
//! it owns when it does, has its own epoch for a generation, and is given what it owns from now on when it
//! asks for its assignment.

use std::sync::Arc;

use fletch_wire::messages::leave_group::MemberIdentity;
use fletch_wire::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use fletch_wire::{ErrorCode, Str};

use super::ConsumerGroup;
use super::member::{contains, pairs};
use crate::fact::{ClassicPart, ConsumerMemberFact};
use crate::groups::classic::member::Joining;
use crate::groups::classic::{CONSUMER, join, sync};
use crate::groups::embedded::{self, Subscription};
use crate::groups::{Env, protocols};
use crate::output::{Call, Caller};

/// The first version of JoinGroup whose senders join a second time, with the id they were given.
const ID_IS_GIVEN_FIRST: i16 = 4;

impl ConsumerGroup {
    /// JoinGroup.
    pub(crate) fn join_classic(
        &mut self,
        env: &mut Env,
        caller: &Caller,
        request: &JoinGroupRequest,
    ) {
        let answer = self
            .try_join_classic(env, caller, request)
            .unwrap_or_else(|error| join::refusal(&request.member_id, error));
        env.out.joined(caller.call(), answer);
    }

    fn try_join_classic(
        &mut self,
        env: &mut Env,
        caller: &Caller,
        request: &JoinGroupRequest,
    ) -> Result<JoinGroupResponse, ErrorCode> {
        let joining = Joining::new(caller, request);
        self.check_protocols(env, request, &joining)?;
        let inconsistent = ErrorCode::INCONSISTENT_GROUP_PROTOCOL;
        let (protocol, metadata) = joining.protocols.first().ok_or(inconsistent)?.clone();
        let instance_id = joining.instance_id.as_deref();
        if request.member_id.is_empty()
            && instance_id.is_none()
            && caller.version >= ID_IS_GIVEN_FIRST
        {
            self.check_room(env, "")?;
            let id = format!("{}-{}", caller.client_id, caller.random);
            return Ok(join::refusal(&id, ErrorCode::MEMBER_ID_REQUIRED));
        }
        // As Apache Kafka does: what it says for the protocol that it likes best.
        let subscription = Subscription::read(&metadata, env.directory).ok_or(inconsistent)?;
        let is_member = self.members.contains_key(&*request.member_id);
        if !is_member && !subscription.owned.is_empty() {
            // It is out, and what it goes on reading is somebody else's by now.
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        let id = self.enter_classic(env, caller, &request.member_id, instance_id)?;
        let before = self.members.get(&id).map(|member| member.fact.clone());
        self.change(env, &id, instance_id, |fact| {
            fact.client_id = joining.client_id.clone();
            fact.client_host = joining.client_host.clone();
            fact.rack_id = subscription.rack_id;
            fact.rebalance_timeout_ms = joining.rebalance_timeout_ms;
            fact.topics = subscription.topics;
            fact.regex = None;
            fact.assignor = None;
            fact.classic = Some(ClassicPart {
                session_timeout_ms: joining.session_timeout_ms,
                protocols: joining.protocols,
            });
        });
        self.refresh(env);
        self.reconcile(&id, Some(&subscription.owned));
        self.heard_of(env, &id);
        // The time it has to ask for its assignment.
        self.begin_step(env, &id);
        let member = self.members.get(&id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if before.as_ref() != Some(&member.fact) {
            env.out.facts.push(self.member_fact(&member.fact));
        }
        Ok(JoinGroupResponse {
            generation_id: member.fact.epoch,
            protocol_type: Some(CONSUMER.into()),
            protocol_name: Some(Str::from(&*protocol)),
            member_id: Str::from(&*id),
            ..Default::default()
        })
    }

    /// Whether the protocols of a member fit in with those of the others, and into memory.
    fn check_protocols(
        &self,
        env: &Env,
        request: &JoinGroupRequest,
        joining: &Joining,
    ) -> Result<(), ErrorCode> {
        let shares = self.supporters.share_one(&joining.protocols);
        if &*request.protocol_type != CONSUMER || !shares {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        let bytes = protocols::bytes(&joining.protocols);
        // All of them are one fact once the group is a classic one again.
        let others = self.protocols_bytes - self.protocols_bytes_of(&request.member_id);
        if bytes > env.config.consumer_member_bytes_max
            || others.saturating_add(bytes) > env.config.group_bytes_max
        {
            return Err(ErrorCode::GROUP_MAX_SIZE_REACHED);
        }
        Ok(())
    }

    /// Makes room for a member that joins, or finds the place it had; under which id.
    fn enter_classic(
        &mut self,
        env: &mut Env,
        caller: &Caller,
        id: &str,
        instance_id: Option<&str>,
    ) -> Result<Arc<str>, ErrorCode> {
        let named = |name: &str| -> Arc<str> { format!("{name}-{}", caller.random).into() };
        let Some(instance_id) = instance_id else {
            self.check_room(env, id)?;
            return Ok(match id.is_empty() {
                true => named(caller.client_id),
                false => id.into(),
            });
        };
        match self.statics.get(instance_id).cloned() {
            Some(current) if *current == *id => Ok(current),
            Some(old) if id.is_empty() => {
                let id = named(instance_id);
                self.replace(env, &old, &id);
                Ok(id)
            }
            Some(_) => Err(ErrorCode::FENCED_INSTANCE_ID),
            None if id.is_empty() => {
                self.check_room(env, id)?;
                Ok(named(instance_id))
            }
            None => Err(ErrorCode::UNKNOWN_MEMBER_ID),
        }
    }

    /// SyncGroup.
    pub(crate) fn sync_classic(&mut self, env: &mut Env, call: Call, request: &SyncGroupRequest) {
        let answer = self.try_sync_classic(env, request);
        env.out.synced(call, answer.unwrap_or_else(sync::refusal));
    }

    fn try_sync_classic(
        &mut self,
        env: &mut Env,
        request: &SyncGroupRequest,
    ) -> Result<SyncGroupResponse, ErrorCode> {
        let id = &*request.member_id;
        let instance_id = request.group_instance_id.as_deref();
        let (fact, part) = self.classic_in(id, instance_id, request.generation_id)?;
        let (protocol, metadata) = part.protocols.first().ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        let differs = |said: &Option<Str>, is: &str| said.as_deref().is_some_and(|said| said != is);
        if differs(&request.protocol_type, CONSUMER) || differs(&request.protocol_name, protocol) {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        // Whoever gives something up has joined for that, and is to hear what it keeps.
        let must_rejoin = fact.epoch < self.epochs.epoch && fact.revoking.is_empty();
        let answer = SyncGroupResponse {
            protocol_type: Some(CONSUMER.into()),
            protocol_name: Some(Str::from(&**protocol)),
            assignment: embedded::write_assignment(&fact.assigned, metadata, env.directory),
            ..Default::default()
        };
        self.heard_of(env, id);
        if must_rejoin {
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        self.end_step(env, id);
        Ok(answer)
    }

    /// Heartbeat.
    pub(crate) fn heartbeat_classic(
        &mut self,
        env: &mut Env,
        request: &HeartbeatRequest,
    ) -> ErrorCode {
        let id = &*request.member_id;
        let instance_id = request.group_instance_id.as_deref();
        if let Err(error) = self.classic_in(id, instance_id, request.generation_id) {
            return error;
        }
        self.heard_of(env, id);
        self.refresh(env);
        if !self.must_rejoin(id) {
            return ErrorCode::NONE;
        }
        // Its time runs from the first time that it is told.
        let runs = |member: &super::Member| member.step.is_set();
        if !self.members.get(id).is_some_and(runs) {
            self.begin_step(env, id);
        }
        ErrorCode::REBALANCE_IN_PROGRESS
    }

    /// Whether a member of the classic protocol has something to do that it does by joining again: come to
    /// a new target, say that it has given something up, or take what it waits for and is free now.
    fn must_rejoin(&self, id: &str) -> bool {
        let Some(member) = self.members.get(id) else {
            return false;
        };
        let fact = &member.fact;
        let missing = |(topic, partition): &(_, i32)| !contains(&fact.assigned, topic, *partition);
        let mut waits_for = pairs(&fact.target).filter(missing).peekable();
        let is_free = |pair| !self.owners.contains_key(&pair);
        fact.epoch < self.epochs.epoch
            || !fact.revoking.is_empty()
            || (waits_for.peek().is_some() && waits_for.all(is_free))
    }

    /// Takes a member of the classic protocol out that wants to leave, or whom somebody else wants out.
    pub(crate) fn leave_classic(&mut self, env: &mut Env, who: &MemberIdentity) -> ErrorCode {
        let instance_id = who.group_instance_id.as_deref();
        let id = match instance_id.map(|name| self.statics.get(name)) {
            // Its own name is enough.
            Some(Some(id)) if who.member_id.is_empty() => id.clone(),
            _ => Arc::from(&*who.member_id),
        };
        match self.classic(&id, instance_id) {
            Ok(_) => {
                self.remove(env, &id);
                ErrorCode::NONE
            }
            Err(error) => error,
        }
    }

    /// Looks for a member of the classic protocol by its id and its own name.
    fn classic(
        &self,
        id: &str,
        instance_id: Option<&str>,
    ) -> Result<(&ConsumerMemberFact, &ClassicPart), ErrorCode> {
        let unknown = ErrorCode::UNKNOWN_MEMBER_ID;
        if let Some(instance_id) = instance_id {
            let current = self.statics.get(instance_id).ok_or(unknown)?;
            if **current != *id {
                return Err(ErrorCode::FENCED_INSTANCE_ID);
            }
        }
        let fact = &self.members.get(id).ok_or(unknown)?.fact;
        // One of the new protocol sends ConsumerGroupHeartbeat.
        let part = fact.classic.as_ref().ok_or(unknown)?;
        Ok((fact, part))
    }

    /// Looks for a member of the classic protocol, and compares the generation it believes in with its
    /// epoch.
    fn classic_in(
        &self,
        id: &str,
        instance_id: Option<&str>,
        generation: i32,
    ) -> Result<(&ConsumerMemberFact, &ClassicPart), ErrorCode> {
        let (fact, part) = self.classic(id, instance_id)?;
        match fact.epoch == generation {
            true => Ok((fact, part)),
            false => Err(ErrorCode::ILLEGAL_GENERATION),
        }
    }
}
