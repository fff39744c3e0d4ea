//! FindCoordinator (10): who coordinates a group or a transactional id.

use crate::{ErrorCode, Str};

message! {
    /// Asks which broker coordinates a group, a transactional id or a share partition.
    FindCoordinatorRequest, versions "0-6", flexible "3+" {
        /// The group or transactional id.
        key: Str, "0-3";
        /// 0 for a group, 1 for a transactional id, 2 for a share partition (6+).
        key_type: i8, "1+";
        /// The groups or transactional ids.
        coordinator_keys: Vec<Str>, "4+";
    }
}

message! {
    /// The coordinators.
    FindCoordinatorResponse, versions "0-6", flexible "3+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "1+", ignorable;
        /// What went wrong.
        error_code: ErrorCode, "0-3";
        /// What went wrong, in words.
        error_message: Option<Str>, "1-3", nullable("1-3"), ignorable;
        /// The coordinator's id; -1 if there is none.
        node_id: i32, "0-3";
        /// The host name to connect to.
        host: Str, "0-3";
        /// The port to connect to.
        port: i32, "0-3";
        /// The coordinators, one for each key.
        coordinators: Vec<Coordinator>, "4+";
    }

    /// The coordinator of one key.
    struct Coordinator {
        /// The group or transactional id.
        key: Str, "4+";
        /// The coordinator's id; -1 if there is none.
        node_id: i32, "4+";
        /// The host name to connect to.
        host: Str, "4+";
        /// The port to connect to.
        port: i32, "4+";
        /// What went wrong.
        error_code: ErrorCode, "4+";
        /// What went wrong, in words.
        error_message: Option<Str>, "4+", nullable("4+"), ignorable;
    }
}
