//! OffsetDelete (47): forgets offsets that a group has committed (KIP-496).

use crate::{ErrorCode, Str};

message! {
    /// Asks the group's coordinator to forget offsets.
    OffsetDeleteRequest, versions "0", flexible "none" {
        /// The group.
        group_id: Str, "0+";
        /// The partitions by topic.
        topics: Vec<OffsetDeleteRequestTopic>, "0+";
    }

    /// The partitions of one topic.
    struct OffsetDeleteRequestTopic {
        /// The topic's name.
        name: Str, "0+";
        /// The partitions.
        partitions: Vec<OffsetDeleteRequestPartition>, "0+";
    }

    /// A partition.
    struct OffsetDeleteRequestPartition {
        /// The partition.
        partition_index: i32, "0+";
    }
}

message! {
    /// Which offsets are forgotten.
    OffsetDeleteResponse, versions "0", flexible "none" {
        /// What went wrong with the group.
        error_code: ErrorCode, "0+";
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "0+", ignorable;
        /// By topic.
        topics: Vec<OffsetDeleteResponseTopic>, "0+";
    }

    /// What became of the offsets in one topic.
    struct OffsetDeleteResponseTopic {
        /// The topic's name.
        name: Str, "0+";
        /// By partition.
        partitions: Vec<OffsetDeleteResponsePartition>, "0+";
    }

    /// What became of the offset in one partition.
    struct OffsetDeleteResponsePartition {
        /// The partition.
        partition_index: i32, "0+";
        /// What went wrong.
        error_code: ErrorCode, "0+";
    }
}
