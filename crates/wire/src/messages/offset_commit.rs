//! OffsetCommit (8): how far a group has read.

use crate::{ErrorCode, Str};

message! {
    /// Asks the group's coordinator to keep offsets.
    OffsetCommitRequest, versions "0-9", flexible "8+" {
        /// The group.
        group_id: Str, "0+";
        /// The generation, or the member's epoch in the protocol of KIP-848; -1 for a consumer
        /// that isn't a member.
        generation_id_or_member_epoch: i32 = -1, "1+", ignorable;
        /// The member's id; empty for a consumer that isn't a member.
        member_id: Str, "1+", ignorable;
        /// The member's own name; null for a dynamic member.
        group_instance_id: Option<Str>, "7+", nullable("7+");
        /// How long to keep the offsets, in milliseconds; -1 for the broker's setting.
        retention_time_ms: i64 = -1, "2-4", ignorable;
        /// By topic.
        topics: Vec<OffsetCommitRequestTopic>, "0+";
    }

    /// The offsets in one topic.
    struct OffsetCommitRequestTopic {
        /// The topic's name.
        name: Str, "0+";
        /// By partition.
        partitions: Vec<OffsetCommitRequestPartition>, "0+";
    }

    /// The offset in one partition.
    struct OffsetCommitRequestPartition {
        /// The partition.
        partition_index: i32, "0+";
        /// The offset to go on at.
        committed_offset: i64, "0+";
        /// The leader's epoch of the last record read; -1 if unknown.
        committed_leader_epoch: i32 = -1, "6+", ignorable;
        /// When it was committed, in milliseconds; -1 for now.
        commit_timestamp: i64 = -1, "1";
        /// What the consumer wants to remember with it.
        committed_metadata: Option<Str>, "0+", nullable("0+");
    }
}

message! {
    /// Which offsets are kept.
    OffsetCommitResponse, versions "0-9", flexible "8+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "3+", ignorable;
        /// By topic.
        topics: Vec<OffsetCommitResponseTopic>, "0+";
    }

    /// What became of the offsets in one topic.
    struct OffsetCommitResponseTopic {
        /// The topic's name.
        name: Str, "0+";
        /// By partition.
        partitions: Vec<OffsetCommitResponsePartition>, "0+";
    }

    /// What became of the offset in one partition.
    struct OffsetCommitResponsePartition {
        /// The partition.
        partition_index: i32, "0+";
        /// What went wrong.
        error_code: ErrorCode, "0+";
    }
}
