//! Consumer groups: who is in them, and how far they have read.

mod admin;
mod classic;
mod commits;
mod consumer;
mod directory;
mod embedded;
mod kind;
mod migration;
mod offsets;
mod protocols;

use std::collections::BTreeMap;
use std::sync::Arc;

use fletch_wire::messages::leave_group::{MemberIdentity, MemberResponse};
use fletch_wire::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, HeartbeatRequest,
    HeartbeatResponse, JoinGroupRequest, LeaveGroupRequest, LeaveGroupResponse, SyncGroupRequest,
};
use fletch_wire::{ErrorCode, Uuid};

use self::classic::{ClassicGroup, join, sync};
pub use self::commits::Known;
use self::consumer::{ConsumerGroup, heartbeat};
use self::directory::{Directory, Topic};
use self::kind::Kind;
use self::offsets::Offsets;
use crate::config::GroupConfig;
use crate::error::{DecodeError, Error};
use crate::fact::{AnyGroupFact, ConsumerMemberFact, Fact, Key, Offset, Value};
use crate::output::{Caller, Output};
use crate::timers::{Timer, Timers};

/// What a group needs of its surroundings while something happens to it.
#[derive(Debug)]
pub(crate) struct Env<'a> {
    pub(crate) config: &'a GroupConfig,
    pub(crate) timers: &'a mut Timers,
    pub(crate) directory: &'a Directory,
    pub(crate) out: &'a mut Output,
    pub(crate) now_ms: i64,
}

/// What a group takes besides its members and offsets, about.
const FIXED_BYTES: usize = 512;

/// A group and its offsets.
#[derive(Debug)]
struct Group {
    kind: Kind,
    offsets: Offsets,
    /// What of it is counted among the bytes of all groups.
    counted_bytes: usize,
}

/// All groups.
///
/// Time is a number of milliseconds that every call brings along: that of the wall clock, because
/// offsets are kept for so long.
#[derive(Debug)]
pub struct Groups {
    config: GroupConfig,
    groups: BTreeMap<Arc<str>, Group>,
    /// The bytes that are kept of all groups, about.
    bytes: usize,
    timers: Timers,
    directory: Directory,
    /// When to look for offsets to forget.
    expiry_ms: Option<i64>,
}

impl Group {
    fn new(id: Arc<str>, now_ms: i64) -> Self {
        Self {
            kind: Kind::classic(id, now_ms),
            offsets: Offsets::default(),
            counted_bytes: 0,
        }
    }

    /// The bytes that are kept of it, about. Its name is in the key of each offset, too.
    fn bytes(&mut self, id: &str) -> usize {
        let names = self.offsets.count().saturating_add(1);
        FIXED_BYTES + id.len() * names + self.kind.bytes() + self.offsets.bytes()
    }
}

impl Groups {
    /// No groups yet.
    pub fn new(config: GroupConfig) -> Self {
        Self {
            config,
            groups: BTreeMap::new(),
            bytes: 0,
            timers: Timers::default(),
            directory: Directory::default(),
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
            Key::Member { group, member } => {
                let fact = value
                    .map(|value| ConsumerMemberFact::decode(key, value))
                    .transpose()?;
                self.apply_member(key, &group, &member, fact)?;
            }
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
        let value_error = |source| Error::Value {
            key: key.to_owned(),
            source,
        };
        let fact = value
            .map(|value| AnyGroupFact::decode(key, value))
            .transpose()?;
        let classic = match fact {
            None => ClassicGroup::new(id.clone(), 0),
            Some(AnyGroupFact::Classic(fact)) => {
                ClassicGroup::restored(id.clone(), fact).map_err(value_error)?
            }
            Some(AnyGroupFact::Consumer(epochs)) => {
                let group = self.consumer_group(id);
                group
                    .into_iter()
                    .for_each(|group| group.restore_epochs(epochs));
                self.settle(id);
                return Ok(());
            }
        };
        let new = || Group::new(id.clone(), 0);
        self.groups.entry(id.clone()).or_insert_with(new).kind = Kind::Classic(Box::new(classic));
        self.settle(id);
        Ok(())
    }

    fn apply_member(
        &mut self,
        key: &str,
        group: &Arc<str>,
        member: &Arc<str>,
        fact: Option<ConsumerMemberFact>,
    ) -> Result<(), Error> {
        match fact {
            Some(fact) if fact.id != *member => Err(Error::Value {
                key: key.to_owned(),
                source: DecodeError::Contradiction {
                    what: "the member has another id",
                },
            }),
            Some(fact) => {
                if let Some(group) = self.consumer_group(group) {
                    group.restore_member(fact);
                }
                self.settle(group);
                Ok(())
            }
            None => {
                let found = self.groups.get_mut(group);
                if let Some(found) = found.and_then(|group| group.kind.as_consumer()) {
                    found.forget_member(member);
                }
                self.settle(group);
                Ok(())
            }
        }
    }

    /// The group, made one whose partitions the coordinator assigns.
    fn consumer_group(&mut self, id: &Arc<str>) -> Option<&mut ConsumerGroup> {
        let new = || Group::new(id.clone(), 0);
        let kind = &mut self.groups.entry(id.clone()).or_insert_with(new).kind;
        if let Kind::Classic(_) = kind {
            *kind = Kind::consumer(id.clone());
        }
        kind.as_consumer()
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
        self.settle(&place.group);
    }

    /// After something has happened to a group: counts its bytes anew, and forgets it if nothing is left.
    fn settle(&mut self, id: &str) {
        let Some(group) = self.groups.get_mut(id) else {
            return;
        };
        let kind = &group.kind;
        self.bytes -= std::mem::take(&mut group.counted_bytes);
        if kind.is_vacant() && !kind.is_kept() && group.offsets.is_empty() {
            self.groups.remove(id);
        } else {
            group.counted_bytes = group.bytes(id);
            self.bytes += group.counted_bytes;
        }
    }

    /// The bytes that are kept of all groups, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether so many bytes more of groups may be kept.
    fn has_room_for(&self, bytes: usize) -> bool {
        bytes == 0 || self.bytes.saturating_add(bytes) <= self.config.groups_bytes_max
    }

    /// The bytes of a group's name, if there is no such group yet.
    fn bytes_of_name(&self, id: &str) -> usize {
        match self.groups.contains_key(id) {
            true => 0,
            false => id.len(),
        }
    }

    /// Begins, after all facts are applied and all topics put: the members have a session from now on
    /// to be heard of.
    pub fn start(&mut self, now_ms: i64) {
        let mut out = Output::default();
        let mut env = Env {
            config: &self.config,
            timers: &mut self.timers,
            directory: &self.directory,
            out: &mut out,
            now_ms,
        };
        for group in self.groups.values_mut() {
            group.kind.start(&mut env);
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
            | Timer::Step { group: id, .. }
            | Timer::Join { group: id }
            | Timer::Sync { group: id }) = &timer;
            self.with(now_ms, out, id, |group, env| {
                match (&mut group.kind, &timer) {
                    (Kind::Classic(group), Timer::Member { member, .. }) => {
                        group.member_alarm_came_up(env, member, &timer);
                    }
                    (Kind::Classic(group), Timer::Join { .. }) => {
                        group.join_alarm_came_up(env, &timer)
                    }
                    (Kind::Classic(group), Timer::Sync { .. }) => {
                        group.sync_alarm_came_up(env, &timer)
                    }
                    (
                        Kind::Consumer(group),
                        Timer::Member { member, .. } | Timer::Step { member, .. },
                    ) => group.member_alarm_came_up(env, member, &timer),
                    // Alarms are taken back when a group changes its kind.
                    (Kind::Classic(_), Timer::Step { .. })
                    | (Kind::Consumer(_), Timer::Join { .. } | Timer::Sync { .. }) => {}
                }
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
        let has = self.groups.get(id);
        let has = has.map_or(0, |group| group.kind.bytes_of_classic(&request.member_id));
        let more = join::bytes(request).saturating_sub(has) + self.bytes_of_name(id);
        if !self.has_room_for(more) {
            return Err(ErrorCode::GROUP_MAX_SIZE_REACHED);
        }
        if !self.groups.contains_key(id) {
            if !request.member_id.is_empty() {
                return Err(ErrorCode::UNKNOWN_MEMBER_ID);
            }
            self.create(now_ms, id)?;
        }
        let joined = self.with(now_ms, out, id, |group, env| {
            if let Kind::Consumer(consumer) = &group.kind
                && consumer.is_vacant()
            {
                consumer.forget(&mut env.out.facts);
                group.kind = Kind::classic(id.into(), now_ms);
            }
            match &mut group.kind {
                Kind::Classic(group) => group.join(env, caller, request),
                Kind::Consumer(group) => group.join_classic(env, caller, request),
            }
        });
        joined.ok_or(ErrorCode::UNKNOWN_MEMBER_ID)
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
        let assignments = request.assignments.iter();
        if !self.has_room_for(assignments.map(|one| one.assignment.len()).sum()) {
            return out.synced(call, sync::refusal(ErrorCode::GROUP_MAX_SIZE_REACHED));
        }
        let synced = self.with(now_ms, out, id, |group, env| match &mut group.kind {
            Kind::Classic(group) => group.sync(env, call, request),
            Kind::Consumer(group) => group.sync_classic(env, call, request),
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
            false => self.with(now_ms, out, id, |group, env| match &mut group.kind {
                Kind::Classic(group) => group.heartbeat(env, request),
                Kind::Consumer(group) => group.heartbeat_classic(env, request),
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
            let left = self.with(now_ms, out, id, |group, env| match &mut group.kind {
                Kind::Classic(group) => group.leave(env, who),
                Kind::Consumer(group) => group.leave_classic(env, who),
            });
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

    /// ConsumerGroupHeartbeat. The topics that there are must have been put
    /// ([`Groups::put_topic`]).
    pub fn consumer_group_heartbeat(
        &mut self,
        now_ms: i64,
        caller: &Caller,
        request: &ConsumerGroupHeartbeatRequest,
        out: &mut Output,
    ) -> ConsumerGroupHeartbeatResponse {
        let answer = self.try_consumer_heartbeat(now_ms, caller, request, out);
        self.settle(&request.group_id);
        answer.unwrap_or_else(|error_code| ConsumerGroupHeartbeatResponse {
            error_code,
            error_message: Some(error_code.message().into()),
            ..Default::default()
        })
    }

    fn try_consumer_heartbeat(
        &mut self,
        now_ms: i64,
        caller: &Caller,
        request: &ConsumerGroupHeartbeatRequest,
        out: &mut Output,
    ) -> Result<ConsumerGroupHeartbeatResponse, ErrorCode> {
        heartbeat::check(
            caller.version,
            request,
            self.config.consumer_member_bytes_max,
        )?;
        // Members tell of themselves when they join, and seldom after that.
        let more = heartbeat::bytes(request) + self.bytes_of_name(&request.group_id);
        if !self.has_room_for(more) {
            return Err(ErrorCode::GROUP_MAX_SIZE_REACHED);
        }
        let id: Arc<str> = Arc::from(&*request.group_id);
        let not_found = ErrorCode::GROUP_ID_NOT_FOUND;
        if !self.groups.contains_key(&id) {
            if request.member_epoch != heartbeat::JOIN {
                return Err(not_found);
            }
            self.create(now_ms, &id)?;
        }
        let group = self.groups.get_mut(&id).ok_or(not_found)?;
        let mut env = Env {
            config: &self.config,
            timers: &mut self.timers,
            directory: &self.directory,
            out,
            now_ms,
        };
        if request.member_epoch == heartbeat::JOIN {
            let instance_id = request.instance_id.as_deref();
            group.kind.upgrade(&mut env, instance_id)?;
        }
        let consumer = group.kind.as_consumer().ok_or(not_found)?;
        let answer = consumer.heartbeat(&mut env, caller, request);
        group.kind.downgrade_if_due(&mut env);
        answer
    }

    /// Says that there is a topic, or that it has another number of partitions. Groups whose
    /// partitions the coordinator assigns look at it with the next heartbeat. All topics are to be
    /// put after a restart.
    pub fn put_topic(&mut self, name: &str, id: Uuid, partitions: i32) {
        self.directory.put(name, Topic { id, partitions });
    }

    /// Says which of the topics that were put are still there. The offsets in the others are kept: see
    /// [`Groups::forget_topic`].
    pub fn retain_topics(&mut self, is_there: impl Fn(&str) -> bool) {
        self.directory.retain(is_there);
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
            directory: &self.directory,
            out,
            now_ms,
        };
        let result = happen(group, &mut env);
        group.kind.downgrade_if_due(&mut env);
        self.settle(id);
        Some(result)
    }

    /// The facts that say all there is: what a fold over every fact so far comes to.
    pub fn facts(&self) -> Vec<Fact> {
        let mut facts = Vec::new();
        for (id, group) in &self.groups {
            group.kind.facts(&mut facts);
            group.offsets.facts(id, &mut facts);
        }
        facts
    }
}
