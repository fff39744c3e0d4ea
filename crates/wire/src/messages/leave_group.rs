//! LeaveGroup (13): members leave their group; from version 3 on several at once (KIP-345).

use crate::{ErrorCode, Str};

message! {
    /// Takes members out of their group.
    LeaveGroupRequest, versions "0-5", flexible "4+" {
        /// The group.
        group_id: Str, "0+";
        /// The member's id.
        member_id: Str, "0-2";
        /// The members.
        members: Vec<MemberIdentity>, "3+";
    }

    /// A member that leaves.
    struct MemberIdentity {
        /// Its id; empty if its own name is to do.
        member_id: Str, "3+";
        /// Its own name; null for a dynamic member.
        group_instance_id: Option<Str>, "3+", nullable("3+");
        /// Why it leaves, in words.
        reason: Option<Str>, "5+", nullable("5+"), ignorable;
    }
}

message! {
    /// Who left.
    LeaveGroupResponse, versions "0-5", flexible "4+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "1+", ignorable;
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// By member.
        members: Vec<MemberResponse>, "3+";
    }

    /// What became of one member.
    struct MemberResponse {
        /// Its id, as it was asked for.
        member_id: Str, "3+";
        /// Its own name, as it was asked for.
        group_instance_id: Option<Str>, "3+", nullable("3+");
        /// What went wrong.
        error_code: ErrorCode, "3+";
    }
}
