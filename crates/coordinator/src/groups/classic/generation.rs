//! The rebalance: from the first request to join to the next generation.

use std::collections::BTreeMap;
use std::sync::Arc;

use fletch_wire::messages::JoinGroupResponse;
use fletch_wire::messages::join_group::JoinGroupResponseMember;
use fletch_wire::{ErrorCode, Str};

use super::join::answer_waiting;
use super::{ClassicGroup, InitialWait, State, join, sync};
use crate::groups::Env;
use crate::timers::{Alarm, Timer};

impl ClassicGroup {
    /// Begins a rebalance, or looks whether the one that goes on can end.
    pub(super) fn rebalance(&mut self, env: &mut Env) {
        match self.state {
            State::Preparing => self.complete_if_all_joined(env),
            State::Empty | State::Completing | State::Stable => self.prepare(env),
        }
    }

    /// Asks the members to join again, and waits for them.
    pub(super) fn prepare(&mut self, env: &mut Env) {
        let was_empty = self.state == State::Empty;
        if self.state == State::Completing {
            self.forget_assignments(env);
        }
        self.enter(State::Preparing, env.now_ms);
        let rebalance_ms = self.rebalance_timeout_ms();
        let delay_ms = env.config.initial_rebalance_delay_ms;
        if was_empty && delay_ms > 0 {
            self.initial = Some(InitialWait {
                left_ms: (rebalance_ms - delay_ms).max(0),
                member_came: false,
            });
            self.wait_for_joins(env, delay_ms);
        } else {
            self.initial = None;
            self.wait_for_joins(env, rebalance_ms);
            self.complete_if_all_joined(env);
        }
    }

    /// The time is up that the members have to join.
    pub(crate) fn join_alarm_came_up(&mut self, env: &mut Env, timer: &Timer) {
        if !env.timers.is_due(&mut self.join_alarm, env.now_ms, timer)
            || self.state != State::Preparing
        {
            return;
        }
        match self.initial {
            Some(wait) if wait.member_came && wait.left_ms > 0 => {
                let delay_ms = env.config.initial_rebalance_delay_ms.min(wait.left_ms);
                self.initial = Some(InitialWait {
                    left_ms: wait.left_ms - delay_ms,
                    member_came: false,
                });
                self.wait_for_joins(env, delay_ms);
            }
            _ => self.complete(env),
        }
    }

    /// Ends the rebalance if nobody is to be waited for.
    pub(super) fn complete_if_all_joined(&mut self, env: &mut Env) {
        let all = self.joining == self.members.len() && self.pending.is_empty();
        if self.state == State::Preparing && self.initial.is_none() && all {
            self.complete(env);
        }
    }

    fn wait_for_joins(&mut self, env: &mut Env, delay_ms: i64) {
        let due_ms = env.now_ms.saturating_add(delay_ms);
        let group = &self.id;
        env.timers
            .set(&mut self.join_alarm, due_ms, || Timer::Join {
                group: group.clone(),
            });
    }

    fn rebalance_timeout_ms(&self) -> i64 {
        let members = self.members.values();
        let timeouts = members.map(|member| i64::from(member.rebalance_timeout_ms));
        timeouts.max().unwrap_or_default()
    }

    /// Begins the next generation with those who have joined.
    fn complete(&mut self, env: &mut Env) {
        let silent = self.members.values().filter(|member| {
            // A static member keeps its place until its session ends.
            member.joining.is_none() && member.instance_id.is_none()
        });
        let silent: Vec<Arc<str>> = silent.map(|member| member.id.clone()).collect();
        for id in silent {
            if let Some(member) = self.take(env, &id) {
                answer_waiting(env, member, &id, ErrorCode::UNKNOWN_MEMBER_ID);
            }
        }
        if !self.members.is_empty() && !self.elect_leader() {
            // Only static members, and none of them has joined: wait for them again.
            let rebalance_ms = self.rebalance_timeout_ms();
            self.initial = None;
            self.wait_for_joins(env, rebalance_ms);
            return;
        }
        self.initial = None;
        let (alarm, group) = (&mut self.join_alarm, &self.id);
        env.timers.cancel(alarm, || Timer::Join {
            group: group.clone(),
        });
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        if self.members.is_empty() {
            self.protocol = None;
            self.leader = None;
            self.topics = Some(Default::default());
            self.enter(State::Empty, env.now_ms);
            self.keep(env);
            return;
        }
        self.protocol = self.choose_protocol();
        self.topics = self.subscribed_topics();
        self.enter(State::Completing, env.now_ms);
        self.unsynced = self.members.keys().cloned().collect();
        self.keep(env);
        self.tell(env);
        self.wait_for_syncs(env);
    }

    /// Gives the members as long to ask for their assignments as they have to join.
    pub(super) fn wait_for_syncs(&mut self, env: &mut Env) {
        let due_ms = env.now_ms.saturating_add(self.rebalance_timeout_ms());
        let group = &self.id;
        env.timers
            .set(&mut self.sync_alarm, due_ms, || Timer::Sync {
                group: group.clone(),
            });
    }

    /// Answers those who wait for the generation.
    fn tell(&mut self, env: &mut Env) {
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for id in ids {
            let Some(member) = self.members.get_mut(&id) else {
                continue;
            };
            let Some(call) = member.joining.take() else {
                continue;
            };
            member.is_new = false;
            self.joining -= 1;
            let answer = self.generation_for(&id);
            env.out.joined(call, answer);
            self.heard_of(env, &id);
        }
    }

    /// Keeps the leader if it has joined, or takes another that has.
    fn elect_leader(&mut self) -> bool {
        let has_joined = |id: &Arc<str>| {
            let member = self.members.get(id);
            member.is_some_and(|member| member.joining.is_some())
        };
        if !self.leader.as_ref().is_some_and(has_joined) {
            let mut members = self.members.values();
            let joined = members.find(|member| member.joining.is_some());
            match joined {
                Some(member) => self.leader = Some(member.id.clone()),
                None => return false,
            }
        }
        true
    }

    /// The protocol that all can use and most like best; of several, the one the leader likes best.
    pub(super) fn choose_protocol(&self) -> Option<Arc<str>> {
        let mut votes: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        for member in self.members.values() {
            let mut names = member.protocols.iter().map(|(name, _)| name);
            if let Some(name) = names.find(|name| self.supporters.is_common(name)) {
                *votes.entry(name).or_default() += 1;
            }
        }
        let most = votes.values().max()?;
        let leader = self.leader.as_ref().and_then(|id| self.members.get(id));
        let preferred = leader.into_iter().flat_map(|leader| &leader.protocols);
        let mut names = preferred.map(|(name, _)| name).chain(votes.keys().copied());
        names.find(|name| votes.get(name) == Some(most)).cloned()
    }

    /// The generation, as a member is told of it.
    pub(super) fn generation_for(&self, id: &str) -> JoinGroupResponse {
        let leads = self.leader.as_deref() == Some(id);
        let protocol = self.protocol.as_deref();
        let member = |member: &super::Member| JoinGroupResponseMember {
            member_id: Str::from(&*member.id),
            group_instance_id: member.instance_id.as_deref().map(Str::from),
            metadata: member.metadata(protocol),
            ..Default::default()
        };
        JoinGroupResponse {
            generation_id: self.generation,
            protocol_type: self.protocol_type.as_deref().map(Str::from),
            protocol_name: protocol.map(Str::from),
            leader: self.leader.as_deref().map(Str::from).unwrap_or_default(),
            member_id: Str::from(id),
            members: match leads {
                true => self.members.values().map(member).collect(),
                false => Vec::new(),
            },
            ..Default::default()
        }
    }

    /// Gives a generation up before everybody has an assignment.
    fn forget_assignments(&mut self, env: &mut Env) {
        let (alarm, group) = (&mut self.sync_alarm, &self.id);
        env.timers.cancel(alarm, || Timer::Sync {
            group: group.clone(),
        });
        self.unsynced.clear();
        let mut heard_of = Vec::new();
        for member in self.members.values_mut() {
            self.bytes -= member.assignment.len();
            member.assignment.clear();
            if let Some(call) = member.syncing.take() {
                let error = ErrorCode::REBALANCE_IN_PROGRESS;
                env.out.synced(call, sync::refusal(error));
                heard_of.push(member.id.clone());
            }
        }
        heard_of.iter().for_each(|id| self.heard_of(env, id));
    }

    /// Has those who wait join again: the group is no longer one of this kind.
    pub(crate) fn send_back(&mut self, env: &mut Env) {
        let error = ErrorCode::REBALANCE_IN_PROGRESS;
        for member in self.members.values_mut() {
            if let Some(call) = member.joining.take() {
                env.out.joined(call, join::refusal(&member.id, error));
            }
            if let Some(call) = member.syncing.take() {
                env.out.synced(call, sync::refusal(error));
            }
        }
        self.joining = 0;
    }

    /// Takes the alarms back, when the group is no more.
    pub(crate) fn stop(&mut self, env: &mut Env) {
        let group = &self.id;
        let join = || Timer::Join {
            group: group.clone(),
        };
        let sync = || Timer::Sync {
            group: group.clone(),
        };
        env.timers.cancel(&mut self.join_alarm, join);
        env.timers.cancel(&mut self.sync_alarm, sync);
        let sessions = self.members.values_mut();
        let sessions = sessions.map(|member| (member.id.clone(), &mut member.session));
        let pending = self.pending.iter_mut();
        let pending = pending.map(|(id, alarm)| (id.clone(), alarm));
        let alarms: Vec<(Arc<str>, &mut Alarm)> = sessions.chain(pending).collect();
        for (member, alarm) in alarms {
            let group = group.clone();
            env.timers.cancel(alarm, || Timer::Member { group, member });
        }
    }
}
