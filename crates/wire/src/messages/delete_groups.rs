//! DeleteGroups (42): forgets groups that have no members, and their offsets (KIP-229).

use crate::{ErrorCode, Str};

message! {
    /// Asks the coordinator to forget groups.
    DeleteGroupsRequest, versions "0-2", flexible "2+" {
        /// The groups.
        groups_names: Vec<Str>, "0+";
    }
}

message! {
    /// Which groups are forgotten.
    DeleteGroupsResponse, versions "0-2", flexible "2+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "0+";
        /// By group.
        results: Vec<DeletableGroupResult>, "0+";
    }

    /// What became of one group.
    struct DeletableGroupResult {
        /// The group.
        group_id: Str, "0+";
        /// What went wrong.
        error_code: ErrorCode, "0+";
    }
}
