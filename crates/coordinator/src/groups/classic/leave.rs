//! LeaveGroup, and members of whom nothing is heard any more.

use fletch_wire::ErrorCode;
use fletch_wire::messages::leave_group::MemberIdentity;

use super::join::answer_waiting;
use super::{ClassicGroup, State};
use crate::groups::Env;
use crate::timers::Timer;

impl ClassicGroup {
    /// Takes a member out that wants to leave, or whom somebody else wants out.
    pub(crate) fn leave(&mut self, env: &mut Env, who: &MemberIdentity) -> ErrorCode {
        let instance_id = who.group_instance_id.as_deref();
        if instance_id.is_none() && self.remove_pending(env, &who.member_id) {
            return ErrorCode::NONE;
        }
        let id = match instance_id.map(|instance_id| self.statics.get(instance_id)) {
            // Its own name is enough.
            Some(Some(id)) if who.member_id.is_empty() => id.clone(),
            _ => match self.check_member(&who.member_id, instance_id) {
                Ok(()) => (*who.member_id).into(),
                Err(error) => return error,
            },
        };
        self.remove(env, &id);
        ErrorCode::NONE
    }

    /// A member's alarm has come up.
    pub(crate) fn member_alarm_came_up(&mut self, env: &mut Env, id: &str, timer: &Timer) {
        if let Some(alarm) = self.pending.get_mut(id) {
            if env.timers.is_due(alarm, env.now_ms, timer) {
                self.remove_pending(env, id);
            }
            return;
        }
        let Some(member) = self.members.get_mut(id) else {
            return;
        };
        let is_due = env.timers.is_due(&mut member.session, env.now_ms, timer);
        // Who waits for us is not silent; its session begins anew with the answer.
        let waits = member.joining.is_some() || member.syncing.is_some();
        if is_due && (member.is_new || !waits) {
            self.remove(env, id);
        }
    }

    fn remove_pending(&mut self, env: &mut Env, id: &str) -> bool {
        let Some((id, mut alarm)) = self.pending.remove_entry(id) else {
            return false;
        };
        let timer = || self.member_timer(&id);
        env.timers.cancel(&mut alarm, timer);
        self.member_gone(env);
        true
    }

    fn remove(&mut self, env: &mut Env, id: &str) {
        let Some(member) = self.take(env, id) else {
            return;
        };
        // Should it still be there, it may join anew.
        answer_waiting(env, member, id, ErrorCode::UNKNOWN_MEMBER_ID);
        match self.state {
            State::Stable | State::Completing => self.prepare(env),
            State::Preparing | State::Empty => self.member_gone(env),
        }
    }

    /// Looks whether the others need wait no longer.
    pub(super) fn member_gone(&mut self, env: &mut Env) {
        self.complete_if_all_joined(env);
    }
}
