//! ListGroups, DescribeGroups, ConsumerGroupDescribe, DeleteGroups.

use fletch_wire::messages::consumer_group_describe::DescribedGroup as DescribedConsumerGroup;
use fletch_wire::messages::delete_groups::DeletableGroupResult;
use fletch_wire::messages::describe_groups::{DescribedGroup, DescribedGroupMember};
use fletch_wire::messages::list_groups::ListedGroup;
use fletch_wire::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DeleteGroupsRequest,
    DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse, ListGroupsRequest,
    ListGroupsResponse,
};
use fletch_wire::{ErrorCode, Str};

use super::classic::{ClassicGroup, State};
use super::{Env, Groups, Kind};
use crate::output::Output;

/// Kafka's name of the state of a group that isn't there.
const DEAD: &str = "Dead";
/// The first version of DescribeGroups that has an error for it (KIP-1043).
const MISSING_IS_AN_ERROR: i16 = 6;

impl Groups {
    /// ListGroups.
    pub fn list_groups(&self, request: &ListGroupsRequest) -> ListGroupsResponse {
        let named = |filter: &[Str], name: &str| {
            filter.is_empty() || filter.iter().any(|one| one.eq_ignore_ascii_case(name))
        };
        let groups = self.groups.iter().filter(|(_, group)| {
            let (state, kind) = (group.kind.state(), group.kind.name());
            named(&request.states_filter, state) && named(&request.types_filter, kind)
        });
        let groups = groups.map(|(id, group)| ListedGroup {
            group_id: Str::from(&**id),
            protocol_type: Str::from(group.kind.protocol_type().unwrap_or_default()),
            group_state: Str::from(group.kind.state()),
            group_type: Str::from(group.kind.name()),
            ..Default::default()
        });
        ListGroupsResponse {
            groups: groups.collect(),
            ..Default::default()
        }
    }

    /// DescribeGroups. What the sender may do with the groups is left out.
    pub fn describe_groups(
        &self,
        version: i16,
        request: &DescribeGroupsRequest,
    ) -> DescribeGroupsResponse {
        let kind = |id: &Str| self.groups.get(&**id).map(|group| &group.kind);
        let groups = request.groups.iter().map(|id| match kind(id) {
            Some(Kind::Classic(group)) => described(id, group),
            // A group of the other kind isn't one that can be told of here.
            Some(Kind::Consumer(_)) | None => DescribedGroup {
                group_id: id.clone(),
                group_state: Str::from(DEAD),
                ..missing(version)
            },
        });
        DescribeGroupsResponse {
            groups: groups.collect(),
            ..Default::default()
        }
    }

    /// ConsumerGroupDescribe. What the sender may do with the groups is left out.
    pub fn consumer_group_describe(
        &self,
        request: &ConsumerGroupDescribeRequest,
    ) -> ConsumerGroupDescribeResponse {
        let kind = |id: &Str| self.groups.get(&**id).map(|group| &group.kind);
        let error_code = ErrorCode::GROUP_ID_NOT_FOUND;
        let groups = request.group_ids.iter().map(|id| match kind(id) {
            Some(Kind::Consumer(group)) => group.described(&self.directory),
            Some(Kind::Classic(_)) | None => DescribedConsumerGroup {
                error_code,
                error_message: Some(error_code.message().into()),
                group_id: id.clone(),
                ..Default::default()
            },
        });
        ConsumerGroupDescribeResponse {
            groups: groups.collect(),
            ..Default::default()
        }
    }

    /// DeleteGroups.
    pub fn delete_groups(
        &mut self,
        now_ms: i64,
        request: &DeleteGroupsRequest,
        out: &mut Output,
    ) -> DeleteGroupsResponse {
        let results = request.groups_names.iter().map(|id| {
            let is_empty = self.groups.get(&**id).map(|group| group.kind.is_empty());
            let error_code = match is_empty {
                None => ErrorCode::GROUP_ID_NOT_FOUND,
                Some(true) => {
                    self.forget_group(now_ms, id, out);
                    ErrorCode::NONE
                }
                Some(false) => ErrorCode::NON_EMPTY_GROUP,
            };
            DeletableGroupResult {
                group_id: id.clone(),
                error_code,
                ..Default::default()
            }
        });
        DeleteGroupsResponse {
            results: results.collect(),
            ..Default::default()
        }
    }

    /// Forgets a group that has no members, and its offsets.
    pub(super) fn forget_group(&mut self, now_ms: i64, id: &str, out: &mut Output) {
        let Some((id, mut group)) = self.groups.remove_entry(id) else {
            return;
        };
        self.bytes -= group.counted_bytes;
        group.offsets.forget_all(&id, &mut out.facts);
        group.kind.forget(&id, &mut out.facts);
        let mut env = Env {
            config: &self.config,
            timers: &mut self.timers,
            directory: &self.directory,
            out,
            now_ms,
        };
        group.kind.stop(&mut env);
    }
}

/// A group that isn't there: an error since KIP-1043, and before only a state.
fn missing(version: i16) -> DescribedGroup {
    if version < MISSING_IS_AN_ERROR {
        return DescribedGroup::default();
    }
    let error_code = ErrorCode::GROUP_ID_NOT_FOUND;
    DescribedGroup {
        error_code,
        error_message: Some(error_code.message().into()),
        ..Default::default()
    }
}

fn described(id: &Str, members: &ClassicGroup) -> DescribedGroup {
    // While the members come and go, it isn't settled what they will use.
    let protocol = match members.state() {
        State::Stable => members.protocol(),
        State::Empty | State::Preparing | State::Completing => None,
    };
    let described = members.members().map(|member| DescribedGroupMember {
        member_id: Str::from(&*member.id),
        group_instance_id: member.instance_id.as_deref().map(Str::from),
        client_id: Str::from(&*member.client_id),
        client_host: Str::from(&*member.client_host),
        member_metadata: member.metadata(protocol),
        member_assignment: match protocol {
            Some(_) => member.assignment.clone(),
            None => Default::default(),
        },
        ..Default::default()
    });
    DescribedGroup {
        group_id: id.clone(),
        group_state: Str::from(members.state().name()),
        protocol_type: Str::from(members.protocol_type().unwrap_or_default()),
        protocol_data: Str::from(protocol.unwrap_or_default()),
        members: described.collect(),
        ..Default::default()
    }
}
