//! DeleteAcls (31): takes from the access control lists (KIP-140, KIP-290).

use crate::{ErrorCode, Str};

message! {
    /// Asks for entries to be taken.
    DeleteAclsRequest, versions "0-3", flexible "2+" {
        /// Which: those that fit any of these.
        filters: Vec<DeleteAclsFilter>, "0+";
    }

    /// A filter.
    struct DeleteAclsFilter {
        /// The type of resource.
        resource_type_filter: i8, "0+";
        /// The resource's name; null for any.
        resource_name_filter: Option<Str>, "0+", nullable("0+");
        /// The type of pattern.
        pattern_type_filter: i8 = 3, "1+";
        /// The principal; null for any.
        principal_filter: Option<Str>, "0+", nullable("0+");
        /// The host; null for any.
        host_filter: Option<Str>, "0+", nullable("0+");
        /// The operation.
        operation: i8, "0+";
        /// The type of permission.
        permission_type: i8, "0+";
    }
}

message! {
    /// What was taken, by the filters in their order.
    DeleteAclsResponse, versions "0-3", flexible "2+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "0+";
        /// By filter.
        filter_results: Vec<DeleteAclsFilterResult>, "0+";
    }

    /// What a filter took.
    struct DeleteAclsFilterResult {
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// What went wrong, in words.
        error_message: Option<Str>, "0+", nullable("0+");
        /// The entries.
        matching_acls: Vec<DeleteAclsMatchingAcl>, "0+";
    }

    /// An entry that was taken.
    struct DeleteAclsMatchingAcl {
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// What went wrong, in words.
        error_message: Option<Str>, "0+", nullable("0+");
        /// The type of resource.
        resource_type: i8, "0+";
        /// The resource's name, or a part of it.
        resource_name: Str, "0+";
        /// How the name was to be taken.
        pattern_type: i8 = 3, "1+";
        /// Who.
        principal: Str, "0+";
        /// From where.
        host: Str, "0+";
        /// Did what.
        operation: i8, "0+";
        /// And whether it was allowed.
        permission_type: i8, "0+";
    }
}
