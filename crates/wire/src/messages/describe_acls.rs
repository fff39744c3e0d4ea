//! DescribeAcls (29): which access control lists there are (KIP-140, KIP-290).

use crate::{ErrorCode, Str};

message! {
    /// Asks for the entries that a filter fits.
    DescribeAclsRequest, versions "0-3", flexible "2+" {
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
    /// The entries.
    DescribeAclsResponse, versions "0-3", flexible "2+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "0+";
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// What went wrong, in words.
        error_message: Option<Str>, "0+", nullable("0+");
        /// By resource.
        resources: Vec<DescribeAclsResource>, "0+";
    }

    /// The entries of one resource.
    struct DescribeAclsResource {
        /// The type of resource.
        resource_type: i8, "0+";
        /// The resource's name, or a part of it.
        resource_name: Str, "0+";
        /// How the name is to be taken.
        pattern_type: i8 = 3, "1+";
        /// The entries.
        acls: Vec<AclDescription>, "0+";
    }

    /// An entry.
    struct AclDescription {
        /// Who.
        principal: Str, "0+";
        /// From where.
        host: Str, "0+";
        /// Does what.
        operation: i8, "0+";
        /// And whether it is allowed.
        permission_type: i8, "0+";
    }
}
