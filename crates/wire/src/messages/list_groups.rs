//! ListGroups (16): the groups that a broker coordinates.

use crate::{ErrorCode, Str};

message! {
    /// Asks for groups, from version 4 on only those in some states (KIP-518), from version 5 on
    /// only those of some types (KIP-848).
    ListGroupsRequest, versions "0-5", flexible "3+" {
        /// The states; none for all.
        states_filter: Vec<Str>, "4+";
        /// The types; none for all.
        types_filter: Vec<Str>, "5+";
    }
}

message! {
    /// Groups.
    ListGroupsResponse, versions "0-5", flexible "3+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "1+", ignorable;
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// The groups.
        groups: Vec<ListedGroup>, "0+";
    }

    /// A group.
    struct ListedGroup {
        /// Its id.
        group_id: Str, "0+";
        /// What it is for; empty if nothing was said.
        protocol_type: Str, "0+";
        /// Its state.
        group_state: Str, "4+", ignorable;
        /// Its type: `classic` or `consumer`.
        group_type: Str, "5+", ignorable;
    }
}
