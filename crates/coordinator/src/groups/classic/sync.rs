//! SyncGroup and Heartbeat.

use fletch_wire::messages::{HeartbeatRequest, SyncGroupRequest, SyncGroupResponse};
use fletch_wire::{ErrorCode, Str};

use super::join::answer_waiting;
use super::{ClassicGroup, State};
use crate::groups::Env;
use crate::output::Call;
use crate::timers::Timer;

/// The answer to a member that gets no assignment.
pub(crate) fn refusal(error_code: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse {
        error_code,
        ..Default::default()
    }
}

impl ClassicGroup {
    /// Takes a request for an assignment. It is answered now or when the leader has assigned.
    pub(crate) fn sync(&mut self, env: &mut Env, call: Call, request: &SyncGroupRequest) {
        if let Err(error) = self.try_sync(env, call, request) {
            env.out.synced(call, refusal(error));
        }
    }

    fn try_sync(
        &mut self,
        env: &mut Env,
        call: Call,
        request: &SyncGroupRequest,
    ) -> Result<(), ErrorCode> {
        let id = &*request.member_id;
        let instance_id = request.group_instance_id.as_deref();
        self.check_generation(id, instance_id, request.generation_id)?;
        let differs = |said: &Option<Str>, is: Option<&str>| {
            said.as_deref().is_some_and(|said| Some(said) != is)
        };
        if differs(&request.protocol_type, self.protocol_type())
            || differs(&request.protocol_name, self.protocol())
        {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        match self.state {
            State::Empty => Err(ErrorCode::UNKNOWN_MEMBER_ID),
            State::Preparing => Err(ErrorCode::REBALANCE_IN_PROGRESS),
            State::Completing => {
                self.check_assignments(env, request)?;
                self.wait_for_assignment(env, id, call);
                if self.leader.as_deref() == Some(id) {
                    self.assign(env, request);
                }
                Ok(())
            }
            State::Stable => {
                self.has_synced(env, id);
                let answer = self.assigned(id);
                env.out.synced(call, answer);
                self.heard_of(env, id);
                Ok(())
            }
        }
    }

    fn check_assignments(&self, env: &Env, request: &SyncGroupRequest) -> Result<(), ErrorCode> {
        let assignments = request.assignments.iter();
        let bytes: usize = assignments.map(|one| one.assignment.len()).sum();
        if self.bytes.saturating_add(bytes) > env.config.group_bytes_max {
            return Err(ErrorCode::GROUP_MAX_SIZE_REACHED);
        }
        Ok(())
    }

    fn wait_for_assignment(&mut self, env: &mut Env, id: &str, call: Call) {
        self.has_synced(env, id);
        if let Some(member) = self.members.get_mut(id)
            && let Some(call) = member.syncing.replace(call)
        {
            // Who asks twice gets two answers: the first may be on a connection that waits for it.
            let error = ErrorCode::REBALANCE_IN_PROGRESS;
            env.out.synced(call, refusal(error));
        }
    }

    fn has_synced(&mut self, env: &mut Env, id: &str) {
        if self.unsynced.remove(id) && self.unsynced.is_empty() {
            let group = &self.id;
            env.timers.cancel(&mut self.sync_alarm, || Timer::Sync {
                group: group.clone(),
            });
        }
    }

    /// Takes the leader's assignments, keeps them, and hands them out.
    fn assign(&mut self, env: &mut Env, request: &SyncGroupRequest) {
        for member in self.members.values_mut() {
            self.bytes -= member.assignment.len();
            member.assignment.clear();
        }
        for one in &request.assignments {
            // An assignment for somebody who isn't a member is nobody's.
            if let Some(member) = self.members.get_mut(&*one.member_id) {
                self.bytes -= member.assignment.len();
                self.bytes += one.assignment.len();
                member.assignment = bytes::Bytes::copy_from_slice(&one.assignment);
            }
        }
        self.enter(State::Stable, env.now_ms);
        self.keep(env);
        let ids: Vec<_> = self.members.keys().cloned().collect();
        for id in ids {
            let member = self.members.get_mut(&id);
            if let Some(call) = member.and_then(|member| member.syncing.take()) {
                let answer = self.assigned(&id);
                env.out.synced(call, answer);
                self.heard_of(env, &id);
            }
        }
    }

    fn assigned(&self, id: &str) -> SyncGroupResponse {
        SyncGroupResponse {
            protocol_type: self.protocol_type().map(Str::from),
            protocol_name: self.protocol().map(Str::from),
            assignment: self.assignment(id),
            ..Default::default()
        }
    }

    /// The time is up that the members have to ask for their assignments: who hasn't is gone.
    pub(crate) fn sync_alarm_came_up(&mut self, env: &mut Env, timer: &Timer) {
        let is_due = env.timers.is_due(&mut self.sync_alarm, env.now_ms, timer);
        let in_generation = matches!(self.state, State::Completing | State::Stable);
        if !is_due || !in_generation || self.unsynced.is_empty() {
            return;
        }
        for id in std::mem::take(&mut self.unsynced) {
            if let Some(member) = self.take(env, &id) {
                answer_waiting(env, member, &id, ErrorCode::UNKNOWN_MEMBER_ID);
            }
        }
        self.prepare(env);
    }

    /// Takes a heartbeat.
    pub(crate) fn heartbeat(&mut self, env: &mut Env, request: &HeartbeatRequest) -> ErrorCode {
        let id = &*request.member_id;
        let instance_id = request.group_instance_id.as_deref();
        if let Err(error) = self.check_generation(id, instance_id, request.generation_id) {
            return error;
        }
        self.heard_of(env, id);
        match self.state {
            State::Empty => ErrorCode::UNKNOWN_MEMBER_ID,
            State::Preparing => ErrorCode::REBALANCE_IN_PROGRESS,
            // A follower's assignment may take longer than its session.
            State::Completing | State::Stable => ErrorCode::NONE,
        }
    }
}
