//! JoinGroup.

use std::sync::Arc;

use fletch_wire::messages::{JoinGroupRequest, JoinGroupResponse};
use fletch_wire::{ErrorCode, Str};

use super::member::{Joining, Member};
use super::{ClassicGroup, State};
use crate::groups::{Env, protocols};
use crate::output::{Call, Caller};
use crate::timers::Alarm;

/// The answer to a member that doesn't join.
pub(crate) fn refusal(member_id: &str, error_code: ErrorCode) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code,
        member_id: Str::from(member_id),
        ..Default::default()
    }
}

/// The bytes that a request wants to be kept.
pub(crate) fn bytes(request: &JoinGroupRequest) -> usize {
    let protocols = request.protocols.iter();
    protocols
        .map(|protocol| protocol.name.len() + protocol.metadata.len())
        .sum()
}

impl ClassicGroup {
    /// Takes a request to join. It is answered now or when the generation begins.
    pub(crate) fn join(&mut self, env: &mut Env, caller: &Caller, request: &JoinGroupRequest) {
        let member_id = &*request.member_id;
        if let Err(error) = self.try_join(env, caller, request) {
            env.out.joined(caller.call(), refusal(member_id, error));
        }
    }

    fn try_join(
        &mut self,
        env: &mut Env,
        caller: &Caller,
        request: &JoinGroupRequest,
    ) -> Result<(), ErrorCode> {
        let id = &*request.member_id;
        if !self.has_room_for(env, id) {
            self.take(env, id).into_iter().for_each(|member| {
                let id = member.id.clone();
                answer_waiting(env, member, &id, ErrorCode::GROUP_MAX_SIZE_REACHED);
            });
            return Err(ErrorCode::GROUP_MAX_SIZE_REACHED);
        }
        let joining = Joining::new(caller, request);
        if !self.supports(&request.protocol_type, &joining) {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        self.check_bytes(env, id, &joining)?;
        if id.is_empty() {
            self.join_unknown(env, caller, request, joining)
        } else {
            self.join_known(env, id, &request.protocol_type, joining)
        }
    }

    /// Whether the group takes the member: one it has, or one more.
    fn has_room_for(&self, env: &Env, id: &str) -> bool {
        let members_max = env.config.group_members_max;
        if id.is_empty() && self.pending.len() >= members_max {
            return false;
        }
        let known = self.members.get(id);
        match self.state {
            State::Empty => true,
            State::Preparing => {
                // Members of the last generation that don't come back leave room for others.
                known.is_some_and(|member| member.joining.is_some()) || self.joining < members_max
            }
            State::Completing | State::Stable => {
                known.is_some() || self.members.len() < members_max
            }
        }
    }

    /// Whether the member shares the group's purpose and a protocol with all its members.
    fn supports(&self, protocol_type: &str, joining: &Joining) -> bool {
        if protocol_type.is_empty() || joining.protocols.is_empty() {
            return false;
        }
        self.members.is_empty()
            || (self.protocol_type() == Some(protocol_type)
                && self.supporters.share_one(&joining.protocols))
    }

    fn check_bytes(&self, env: &Env, id: &str, joining: &Joining) -> Result<(), ErrorCode> {
        let before = self.members.get(id).map_or(0, Member::bytes);
        let bytes = self.bytes - before + protocols::bytes(&joining.protocols);
        if bytes > env.config.group_bytes_max {
            return Err(ErrorCode::GROUP_MAX_SIZE_REACHED);
        }
        Ok(())
    }

    /// A request without a member's id.
    fn join_unknown(
        &mut self,
        env: &mut Env,
        caller: &Caller,
        request: &JoinGroupRequest,
        joining: Joining,
    ) -> Result<(), ErrorCode> {
        let random = caller.random;
        if let Some(instance_id) = joining.instance_id.clone() {
            let id: Arc<str> = format!("{instance_id}-{random}").into();
            match self.statics.get(&instance_id).cloned() {
                Some(old) => self.replace_static(env, &old, id, joining),
                None => self.add(env, id, &request.protocol_type, joining),
            }
            return Ok(());
        }
        let id: Arc<str> = format!("{}-{random}", caller.client_id).into();
        // Older clients don't know the error, and join a second time only if the first is lost.
        if caller.version < 4 {
            self.add(env, id, &request.protocol_type, joining);
            return Ok(());
        }
        let mut alarm = Alarm::default();
        let due_ms = env.now_ms.saturating_add(request.session_timeout_ms.into());
        env.timers
            .set(&mut alarm, due_ms, || self.member_timer(&id));
        let answer = refusal(&id, ErrorCode::MEMBER_ID_REQUIRED);
        self.pending.insert(id, alarm);
        env.out.joined(caller.call(), answer);
        Ok(())
    }

    /// A request with a member's id.
    fn join_known(
        &mut self,
        env: &mut Env,
        id: &str,
        protocol_type: &str,
        joining: Joining,
    ) -> Result<(), ErrorCode> {
        if let Some((id, mut alarm)) = self.pending.remove_entry(id) {
            let timer = || self.member_timer(&id);
            env.timers.cancel(&mut alarm, timer);
            if joining.instance_id.is_some() {
                // Only dynamic members are given ids to join with.
                self.member_gone(env);
                return Err(ErrorCode::UNKNOWN_MEMBER_ID);
            }
            self.add(env, id, protocol_type, joining);
            return Ok(());
        }
        self.check_member(id, joining.instance_id.as_deref())?;
        let same = (self.members.get(id)).is_some_and(|known| known.protocols == joining.protocols);
        let leads = self.leader.as_deref() == Some(id);
        match self.state {
            State::Empty => Err(ErrorCode::UNKNOWN_MEMBER_ID),
            // The answer may have been lost; or the member can't have heard of the generation.
            State::Completing if same => {
                self.answer_again(env, id, joining.call);
                Ok(())
            }
            State::Stable if same && !leads => {
                self.answer_again(env, id, joining.call);
                Ok(())
            }
            // A leader that joins wants to assign anew.
            State::Preparing | State::Completing | State::Stable => {
                self.update(env, id, joining);
                self.rebalance(env);
                Ok(())
            }
        }
    }

    fn answer_again(&mut self, env: &mut Env, id: &str, call: Call) {
        let answer = self.generation_for(id);
        env.out.joined(call, answer);
        self.heard_of(env, id);
    }

    fn add(&mut self, env: &mut Env, id: Arc<str>, protocol_type: &str, joining: Joining) {
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type.into());
        }
        if self.state == State::Preparing
            && self.generation == 0
            && let Some(initial) = &mut self.initial
        {
            initial.member_came = true;
        }
        self.leader.get_or_insert_with(|| id.clone());
        self.insert(Member::new(id.clone(), joining));
        self.heard_of(env, &id);
        self.rebalance(env);
    }

    /// Takes what a member says of itself now, and has it wait for the generation.
    fn update(&mut self, env: &mut Env, id: &str, joining: Joining) {
        let Some((id, mut member)) = self.members.remove_entry(id) else {
            return;
        };
        self.bytes -= member.bytes();
        self.supporters.remove(&member.protocols);
        self.joining -= usize::from(member.joining.is_some());
        if let Some(call) = member.joining.replace(joining.call) {
            // Who asks twice gets two answers: the first may be on a connection that waits for it.
            let answer = refusal(&id, ErrorCode::REBALANCE_IN_PROGRESS);
            env.out.joined(call, answer);
        }
        member.client_id = joining.client_id;
        member.client_host = joining.client_host;
        member.session_timeout_ms = joining.session_timeout_ms;
        member.rebalance_timeout_ms = joining.rebalance_timeout_ms;
        member.protocols = joining.protocols;
        self.insert(member);
    }

    /// A static member comes back without its id: it is given a new one and keeps its place.
    fn replace_static(&mut self, env: &mut Env, old: &str, id: Arc<str>, joining: Joining) {
        let leader_before = self.leader.clone();
        let was_unsynced = self.unsynced.contains(old);
        let Some(mut member) = self.take(env, old) else {
            return;
        };
        self.leader = leader_before.clone();
        let leads = self.leader.as_deref() == Some(old);
        if leads {
            self.leader = Some(id.clone());
        }
        // Whoever had the name before must not go on.
        let waiting = [member.joining.take(), member.syncing.take()];
        fence(env, old, waiting);
        member.id = id.clone();
        let call = joining.call;
        if was_unsynced {
            self.unsynced.insert(id.clone());
        }
        self.insert(member);
        self.update(env, &id, joining);
        self.heard_of(env, &id);
        match self.state {
            State::Stable if self.choose_protocol() == self.protocol => {
                self.no_longer_joins(&id);
                self.keep(env);
                let mut answer = self.generation_for(&id);
                if leads && call.version < 9 {
                    // It must not think that it leads: it would assign, and nobody listens.
                    answer.members.clear();
                    answer.leader = Str::from(old);
                }
                answer.skip_assignment = leads;
                env.out.joined(call, answer);
            }
            // The leader may have been told of the old id already.
            State::Stable | State::Completing => self.prepare(env),
            State::Preparing => self.complete_if_all_joined(env),
            // It has no members, and so none to replace.
            State::Empty => {}
        }
    }

    fn no_longer_joins(&mut self, id: &str) {
        if let Some(member) = self.members.get_mut(id) {
            self.joining -= usize::from(member.joining.take().is_some());
        }
    }
}

/// Tells those who wait under an id that somebody else has their place.
fn fence(env: &mut Env, id: &str, [joining, syncing]: [Option<Call>; 2]) {
    let error = ErrorCode::FENCED_INSTANCE_ID;
    if let Some(call) = joining {
        env.out.joined(call, refusal(id, error));
    }
    if let Some(call) = syncing {
        env.out.synced(call, super::sync::refusal(error));
    }
}

/// Answers what a member that is gone still waits for.
pub(super) fn answer_waiting(env: &mut Env, member: Member, id: &str, error: ErrorCode) {
    if let Some(call) = member.joining {
        env.out.joined(call, refusal(id, error));
    }
    if let Some(call) = member.syncing {
        env.out.synced(call, super::sync::refusal(error));
    }
}
