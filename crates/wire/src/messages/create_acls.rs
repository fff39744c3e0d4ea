//! CreateAcls (30): adds to the access control lists (KIP-140, KIP-290).

use crate::{ErrorCode, Str};

message! {
    /// Asks for new entries.
    CreateAclsRequest, versions "0-3", flexible "2+" {
        /// The entries.
        creations: Vec<AclCreation>, "0+";
    }

    /// An entry.
    struct AclCreation {
        /// The type of resource.
        resource_type: i8, "0+";
        /// The resource's name, or a part of it.
        resource_name: Str, "0+";
        /// How the name is to be taken.
        resource_pattern_type: i8 = 3, "1+";
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

message! {
    /// What became of them, in their order.
    CreateAclsResponse, versions "0-3", flexible "2+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "0+";
        /// By entry.
        results: Vec<AclCreationResult>, "0+";
    }

    /// What became of an entry.
    struct AclCreationResult {
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// What went wrong, in words.
        error_message: Option<Str>, "0+", nullable("0+");
    }
}
