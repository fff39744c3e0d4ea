//! Consumer groups: who is in them, and how far they have read.

mod admin;
mod classic;
mod commits;
mod offsets;
mod subscription;

use std::collections::BTreeMap;
use std::sync::Arc;

use fletch_wire::ErrorCode;
use fletch_wire::messages::leave_group::{MemberIdentity, MemberResponse};
use fletch_wire::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, LeaveGroupRequest, LeaveGroupResponse,
    SyncGroupRequest,
};

use self::classic::{ClassicGroup, join, sync};
pub use self::commits::Known;
use self::offsets::Offsets;
use crate::config::GroupConfig;
use crate::error::Error;
use crate::fact::{Fact, GroupFact, Key, Offset, Value};
use crate::output::{Caller, Output};
use crate::timers::{Timer, Timers};

/// What a group needs of its surroundings while something happens to it.
#[derive(Debug)]
pub(crate) struct Env<'a> {
    pub(crate) config: &'a GroupConfig,
    pub(crate) timers: &'a mut Timers,
    pub(crate) out: &'a mut Output,
    pub(crate) now_ms: i64,
}

/// A group and its offsets.
#[derive(Debug)]
struct Group {
    members: ClassicGroup,
    offsets: Offsets,
}

/// All groups.
///
/// Time is a number of milliseconds that every call brings along: that of the wall clock, because
/// offsets are kept for so long.
#[derive(Debug)]
pub struct Groups {
    config: GroupConfig,
    groups: BTreeMap<Arc<str>, Group>,
    timers: Timers,
    /// When to look for offsets to forget.
    expiry_ms: Option<i64>,
}

impl Group {
    fn new(id: Arc<str>, now_ms: i64) -> Self {
        Self {
            members: ClassicGroup::new(id, now_ms),
            offsets: Offsets::default(),
        }
    }
}

impl Groups {
    /// No groups yet.
    pub fn new(config: GroupConfig) -> Self {
        Self {
            config,
            groups: BTreeMap::new(),
            timers: Timers::default(),
            expiry_ms: None,
        }
    }

    /// Takes a fact that was kept: what [`Output::facts`] said before a restart. Of several facts
    /// with the same key the last one counts; the order of the keys doesn't matter.
    ///
    /// # Errors
    /// If the fact is damaged, or of a later release. It is left out then.
    pub fn apply(&mut self, key: &str, value: Option<&[u8]>) -> Result<(), Error> {
        match Key::parse(key)? {
            Key::Group(id) => self.apply_group(key, &id, value)?,
            Key::Offset(place) => {
                let offset = value.map(|value| Offset::decode(key, value)).transpose()?;
                self.apply_offset(None, &place, offset);
            }
            Key::Pending { producer_id, place } => {
                let offset = value.map(|value| Offset::decode(key, value)).transpose()?;
                self.apply_offset(Some(producer_id), &place, offset);
            }
        }
        Ok(())
    }

    fn apply_group(&mut self, key: &str, id: &Arc<str>, value: Option<&[u8]>) -> Result<(), Error> {
        let members = match value {
            None => ClassicGroup::new(id.clone(), 0),
            Some(value) => {
                let fact = GroupFact::decode(key, value)?;
                let restored = ClassicGroup::restored(id.clone(), fact);
                restored.map_err(|source| Error::Value {
                    key: key.to_owned(),
                    source,
                })?
            }
        };
        let new = || Group::new(id.clone(), 0);
        self.groups.entry(id.clone()).or_insert_with(new).members = members;
        self.forget_if_nothing(id);
        Ok(())
    }

    fn apply_offset(
        &mut self,
        producer: Option<i64>,
        place: &crate::fact::Place,
        offset: Option<Offset>,
    ) {
        let new = || Group::new(place.group.clone(), 0);
        let group = self.groups.entry(place.group.clone()).or_insert_with(new);
        match offset {
            Some(offset) => group.offsets.put(producer, place, offset),
            None => {
                _ = group
                    .offsets
                    .remove(producer, &place.topic, place.partition)
            }
        }
        self.forget_if_nothing(&place.group);
    }

    fn forget_if_nothing(&mut self, id: &str) {
        let is_nothing = |group: &Group| {
            let members = &group.members;
            members.is_vacant() && !members.is_kept() && group.offsets.is_empty()
        };
        if self.groups.get(id).is_some_and(is_nothing) {
            self.groups.remove(id);
        }
    }

    /// Begins, after all facts are applied: the members have a session from now on to be heard of.
    pub fn start(&mut self, now_ms: i64) {
        let mut out = Output::default();
        let mut env = Env {
            config: &self.config,
            timers: &mut self.timers,
            out: &mut out,
            now_ms,
        };
        for group in self.groups.values_mut() {
            group.members.start(&mut env);
        }
        self.expiry_ms = Some(now_ms.saturating_add(self.config.offsets_retention_check_ms));
    }

    /// When [`Groups::tick`] is due, if it ever is.
    pub fn next_deadline_ms(&self) -> Option<i64> {
        let times = [self.timers.next_ms(), self.expiry_ms];
        times.into_iter().flatten().min()
    }

    /// Does what is due: ends sessions, rebalances, forgets old offsets.
    pub fn tick(&mut self, now_ms: i64, out: &mut Output) {
        while let Some(timer) = self.timers.pop(now_ms) {
            let (Timer::Member { group: id, .. }
            | Timer::Join { group: id }
            | Timer::Sync { group: id }) = &timer;
            self.with(now_ms, out, id, |group, env| match &timer {
                Timer::Member { member, .. } => {
                    group.members.member_alarm_came_up(env, member, &timer);
                }
                Timer::Join { .. } => group.members.join_alarm_came_up(env, &timer),
                Timer::Sync { .. } => group.members.sync_alarm_came_up(env, &timer),
            });
        }
        let check_ms = self.config.offsets_retention_check_ms.max(1);
        if self.expiry_ms.is_some_and(|expiry_ms| expiry_ms <= now_ms) {
            self.expiry_ms = Some(now_ms.saturating_add(check_ms));
            self.expire(now_ms, out);
        }
    }

    /// JoinGroup. The answer is, or will be, in an output, by the caller's ticket.
    pub fn join_group(
        &mut self,
        now_ms: i64,
        caller: &Caller,
        request: &JoinGroupRequest,
        out: &mut Output,
    ) {
        if let Err(error) = self.try_join(now_ms, caller, request, out) {
            out.joined(caller.call(), join::refusal(&request.member_id, error));
        }
    }

    fn try_join(
        &mut self,
        now_ms: i64,
        caller: &Caller,
        request: &JoinGroupRequest,
        out: &mut Output,
    ) -> Result<(), ErrorCode> {
        let id = &*request.group_id;
        if id.is_empty() {
            return Err(ErrorCode::INVALID_GROUP_ID);
        }
        let (min, max) = (
            self.config.session_timeout_ms_min,
            self.config.session_timeout_ms_max,
        );
        if !(min..=max).contains(&request.session_timeout_ms) {
            return Err(ErrorCode::INVALID_SESSION_TIMEOUT);
        }
        if !self.groups.contains_key(id) {
            if !request.member_id.is_empty() {
                return Err(ErrorCode::UNKNOWN_MEMBER_ID);
            }
            self.create(now_ms, id)?;
        }
        self.with(now_ms, out, id, |group, env| {
            group.members.join(env, caller, request);
        });
        Ok(())
    }

    /// SyncGroup. The answer is, or will be, in an output, by the caller's ticket.
    pub fn sync_group(
        &mut self,
        now_ms: i64,
        caller: &Caller,
        request: &SyncGroupRequest,
        out: &mut Output,
    ) {
        let call = caller.call();
        let id = &*request.group_id;
        let error = match id.is_empty() {
            true => ErrorCode::INVALID_GROUP_ID,
            false => ErrorCode::UNKNOWN_MEMBER_ID,
        };
        let synced = self.with(now_ms, out, id, |group, env| {
            group.members.sync(env, call, request);
        });
        if synced.is_none() {
            out.synced(call, sync::refusal(error));
        }
    }

    /// Heartbeat.
    pub fn heartbeat(
        &mut self,
        now_ms: i64,
        request: &HeartbeatRequest,
        out: &mut Output,
    ) -> HeartbeatResponse {
        let id = &*request.group_id;
        let error_code = match id.is_empty() {
            true => Some(ErrorCode::INVALID_GROUP_ID),
            false => self.with(now_ms, out, id, |group, env| {
                group.members.heartbeat(env, request)
            }),
        };
        HeartbeatResponse {
            error_code: error_code.unwrap_or(ErrorCode::UNKNOWN_MEMBER_ID),
            ..Default::default()
        }
    }

    /// LeaveGroup.
    pub fn leave_group(
        &mut self,
        now_ms: i64,
        version: i16,
        request: &LeaveGroupRequest,
        out: &mut Output,
    ) -> LeaveGroupResponse {
        let id = &*request.group_id;
        if id.is_empty() {
            return LeaveGroupResponse {
                error_code: ErrorCode::INVALID_GROUP_ID,
                ..Default::default()
            };
        }
        let mut leave = |who: &MemberIdentity| {
            let left = self.with(now_ms, out, id, |group, env| group.members.leave(env, who));
            left.unwrap_or(ErrorCode::UNKNOWN_MEMBER_ID)
        };
        if version < 3 {
            let error_code = leave(&MemberIdentity {
                member_id: request.member_id.clone(),
                ..Default::default()
            });
            return LeaveGroupResponse {
                error_code,
                ..Default::default()
            };
        }
        let members = request.members.iter().map(|who| MemberResponse {
            member_id: who.member_id.clone(),
            group_instance_id: who.group_instance_id.clone(),
            error_code: leave(who),
            ..Default::default()
        });
        LeaveGroupResponse {
            members: members.collect(),
            ..Default::default()
        }
    }

    fn create(&mut self, now_ms: i64, id: &str) -> Result<(), ErrorCode> {
        if self.groups.len() >= self.config.groups_max {
            return Err(ErrorCode::POLICY_VIOLATION);
        }
        let id: Arc<str> = id.into();
        self.groups.insert(id.clone(), Group::new(id, now_ms));
        Ok(())
    }

    /// Lets something happen to a group, if there is one, and forgets it if nothing is left of it.
    fn with<R>(
        &mut self,
        now_ms: i64,
        out: &mut Output,
        id: &str,
        happen: impl FnOnce(&mut Group, &mut Env) -> R,
    ) -> Option<R> {
        let group = self.groups.get_mut(id)?;
        let mut env = Env {
            config: &self.config,
            timers: &mut self.timers,
            out,
            now_ms,
        };
        let result = happen(group, &mut env);
        self.forget_if_nothing(id);
        Some(result)
    }

    /// The facts that say all there is: what a fold over every fact so far comes to.
    pub fn facts(&self) -> Vec<Fact> {
        let mut facts = Vec::new();
        for (id, group) in &self.groups {
            if group.members.is_kept() {
                facts.push(group.members.fact());
            }
            group.offsets.facts(id, &mut facts);
        }
        facts
    }
}
