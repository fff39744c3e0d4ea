//! JoinGroup (11): a member joins its group, or joins it again for the next generation.
//!
//! From version 4 on a new member is given its id by an answer with MEMBER_ID_REQUIRED and joins again
//! with it (KIP-394); from version 5 on it may have an instance id of its own (KIP-345).

use bytes::Bytes;

use crate::{ErrorCode, Str};

message! {
    /// Asks the group's coordinator to take the sender into the next generation.
    JoinGroupRequest, versions "0-9", flexible "6+" {
        /// The group.
        group_id: Str, "0+";
        /// How long the member may be silent, in milliseconds.
        session_timeout_ms: i32, "0+";
        /// How long the members have to join again when the group rebalances, in milliseconds; -1
        /// for the session timeout.
        rebalance_timeout_ms: i32 = -1, "1+", ignorable;
        /// The member's id; empty if it has none yet.
        member_id: Str, "0+";
        /// The member's own name, which outlives its restarts; null for a dynamic member.
        group_instance_id: Option<Str>, "5+", nullable("5+");
        /// What the group is for, such as `consumer` or `connect`.
        protocol_type: Str, "0+";
        /// The protocols the member can use, the one it likes best first.
        protocols: Vec<JoinGroupRequestProtocol>, "0+";
        /// Why the member joins, in words.
        reason: Option<Str>, "8+", nullable("8+"), ignorable;
    }

    /// A protocol that a member can use.
    struct JoinGroupRequestProtocol {
        /// Its name, such as that of an assignor.
        name: Str, "0+";
        /// What the leader should know of the member, such as its topics.
        metadata: Bytes, "0+";
    }
}

message! {
    /// The generation.
    JoinGroupResponse, versions "0-9", flexible "6+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "2+", ignorable;
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// The generation; -1 if something went wrong.
        generation_id: i32 = -1, "0+";
        /// What the group is for.
        protocol_type: Option<Str>, "7+", nullable("7+"), ignorable;
        /// The protocol that was chosen.
        protocol_name: Option<Str>, "0+", nullable("7+");
        /// The member that assigns.
        leader: Str, "0+";
        /// Whether the leader needn't assign: what was assigned before still holds.
        skip_assignment: bool, "9+";
        /// The member's id.
        member_id: Str, "0+";
        /// All members, for the leader; nothing for the others.
        members: Vec<JoinGroupResponseMember>, "0+";
    }

    /// A member, as the leader sees it.
    struct JoinGroupResponseMember {
        /// Its id.
        member_id: Str, "0+";
        /// Its own name; null for a dynamic member.
        group_instance_id: Option<Str>, "5+", nullable("5+"), ignorable;
        /// What it said of itself for the protocol that was chosen.
        metadata: Bytes, "0+";
    }
}
