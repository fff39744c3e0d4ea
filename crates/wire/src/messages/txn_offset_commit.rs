//! TxnOffsetCommit (28): how far a group has read, if the transaction is committed.

use crate::{ErrorCode, Str};

message! {
    /// Asks the group's coordinator to keep offsets when a transaction is committed.
    TxnOffsetCommitRequest, versions "0-5", flexible "3+" {
        /// The transactional id.
        transactional_id: Str, "0+";
        /// The group.
        group_id: Str, "0+";
        /// The producer's id.
        producer_id: i64, "0+";
        /// The producer's epoch.
        producer_epoch: i16, "0+";
        /// The generation, or the member's epoch; -1 for a consumer that isn't a member.
        generation_id: i32 = -1, "3+";
        /// The member's id; empty for a consumer that isn't a member.
        member_id: Str, "3+";
        /// The member's own name; null for a dynamic member.
        group_instance_id: Option<Str>, "3+", nullable("3+");
        /// By topic.
        topics: Vec<TxnOffsetCommitRequestTopic>, "0+";
    }

    /// The offsets in one topic.
    struct TxnOffsetCommitRequestTopic {
        /// The topic's name.
        name: Str, "0+";
        /// By partition.
        partitions: Vec<TxnOffsetCommitRequestPartition>, "0+";
    }

    /// The offset in one partition.
    struct TxnOffsetCommitRequestPartition {
        /// The partition.
        partition_index: i32, "0+";
        /// The offset to go on at.
        committed_offset: i64, "0+";
        /// The leader's epoch of the last record read; -1 if unknown.
        committed_leader_epoch: i32 = -1, "2+", ignorable;
        /// What the consumer wants to remember with it.
        committed_metadata: Option<Str>, "0+", nullable("0+");
    }
}

message! {
    /// Which offsets are kept until the transaction ends.
    TxnOffsetCommitResponse, versions "0-5", flexible "3+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "0+";
        /// By topic.
        topics: Vec<TxnOffsetCommitResponseTopic>, "0+";
    }

    /// What became of the offsets in one topic.
    struct TxnOffsetCommitResponseTopic {
        /// The topic's name.
        name: Str, "0+";
        /// By partition.
        partitions: Vec<TxnOffsetCommitResponsePartition>, "0+";
    }

    /// What became of the offset in one partition.
    struct TxnOffsetCommitResponsePartition {
        /// The partition.
        partition_index: i32, "0+";
        /// What went wrong.
        error_code: ErrorCode, "0+";
    }
}
