//! Heartbeat (12): a member of a group is there, and hears whether to join again.

use crate::{ErrorCode, Str};

message! {
    /// Says that a member is there.
    HeartbeatRequest, versions "0-4", flexible "4+" {
        /// The group.
        group_id: Str, "0+";
        /// The generation.
        generation_id: i32, "0+";
        /// The member's id.
        member_id: Str, "0+";
        /// The member's own name; null for a dynamic member.
        group_instance_id: Option<Str>, "3+", nullable("3+");
    }
}

message! {
    /// Whether the generation still holds.
    HeartbeatResponse, versions "0-4", flexible "4+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "1+", ignorable;
        /// What went wrong; REBALANCE_IN_PROGRESS asks to join again.
        error_code: ErrorCode, "0+";
    }
}
