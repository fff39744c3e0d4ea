//! DescribeGroups (15): the members of classic groups.

use bytes::Bytes;

use crate::{ErrorCode, Str};

message! {
    /// Asks for the members of groups.
    DescribeGroupsRequest, versions "0-6", flexible "5+" {
        /// The groups.
        groups: Vec<Str>, "0+";
        /// Whether to say what the sender may do with them.
        include_authorized_operations: bool, "3+";
    }
}

message! {
    /// Groups and their members.
    DescribeGroupsResponse, versions "0-6", flexible "5+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "1+", ignorable;
        /// The groups.
        groups: Vec<DescribedGroup>, "0+";
    }

    /// A group.
    struct DescribedGroup {
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// What went wrong, in words.
        error_message: Option<Str>, "6+", nullable("6+"), ignorable;
        /// Its id.
        group_id: Str, "0+";
        /// Its state.
        group_state: Str, "0+";
        /// What it is for.
        protocol_type: Str, "0+";
        /// The protocol that was chosen, if one is.
        protocol_data: Str, "0+";
        /// Its members.
        members: Vec<DescribedGroupMember>, "0+";
        /// What the sender may do with it, a bit for each; the least number if it isn't said.
        authorized_operations: i32 = i32::MIN, "3+";
    }

    /// A member.
    struct DescribedGroupMember {
        /// Its id.
        member_id: Str, "0+";
        /// Its own name; null for a dynamic member.
        group_instance_id: Option<Str>, "4+", nullable("4+"), ignorable;
        /// The client id of its last request to join.
        client_id: Str, "0+";
        /// Where that came from.
        client_host: Str, "0+";
        /// What it said of itself for the protocol that was chosen.
        member_metadata: Bytes, "0+";
        /// What it was assigned.
        member_assignment: Bytes, "0+";
    }
}
