//! SyncGroup (14): the leader hands out the assignments, the others wait for theirs.

use bytes::Bytes;

use crate::{ErrorCode, Str};

message! {
    /// Asks for the sender's assignment; that of the leader brings everybody's.
    SyncGroupRequest, versions "0-5", flexible "4+" {
        /// The group.
        group_id: Str, "0+";
        /// The generation.
        generation_id: i32, "0+";
        /// The member's id.
        member_id: Str, "0+";
        /// The member's own name; null for a dynamic member.
        group_instance_id: Option<Str>, "3+", nullable("3+");
        /// What the group is for, as the member believes; null if it doesn't say.
        protocol_type: Option<Str>, "5+", nullable("5+"), ignorable;
        /// The protocol that was chosen, as the member believes; null if it doesn't say.
        protocol_name: Option<Str>, "5+", nullable("5+"), ignorable;
        /// The assignments, from the leader.
        assignments: Vec<SyncGroupRequestAssignment>, "0+";
    }

    /// The assignment of one member.
    struct SyncGroupRequestAssignment {
        /// The member's id.
        member_id: Str, "0+";
        /// The assignment.
        assignment: Bytes, "0+";
    }
}

message! {
    /// The sender's assignment.
    SyncGroupResponse, versions "0-5", flexible "4+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "1+", ignorable;
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// What the group is for.
        protocol_type: Option<Str>, "5+", nullable("5+"), ignorable;
        /// The protocol that was chosen.
        protocol_name: Option<Str>, "5+", nullable("5+"), ignorable;
        /// The assignment.
        assignment: Bytes, "0+";
    }
}
