//! OffsetFetch (9): where groups go on reading; from version 8 on of several groups (KIP-709).

use crate::{ErrorCode, Str};

message! {
    /// Asks the coordinator for the offsets that groups have committed.
    OffsetFetchRequest, versions "0-9", flexible "6+" {
        /// The group.
        group_id: Str, "0-7";
        /// The partitions by topic; null for all that have an offset.
        topics: Option<Vec<OffsetFetchRequestTopic>>, "0-7", nullable("2-7");
        /// The groups.
        groups: Vec<OffsetFetchRequestGroup>, "8+";
        /// Whether to refuse offsets that a transaction is about to change.
        require_stable: bool, "7+";
    }

    /// The partitions of one topic.
    struct OffsetFetchRequestTopic {
        /// The topic's name.
        name: Str, "0-7";
        /// The partitions.
        partition_indexes: Vec<i32>, "0-7";
    }

    /// A group.
    struct OffsetFetchRequestGroup {
        /// Its id.
        group_id: Str, "8+";
        /// The member's id; null for a consumer that isn't a member.
        member_id: Option<Str>, "9+", nullable("9+"), ignorable;
        /// The member's epoch; -1 for a consumer that isn't a member.
        member_epoch: i32 = -1, "9+", ignorable;
        /// The partitions by topic; null for all that have an offset.
        topics: Option<Vec<OffsetFetchRequestTopics>>, "8+", nullable("8+");
    }

    /// The partitions of one topic.
    struct OffsetFetchRequestTopics {
        /// The topic's name.
        name: Str, "8+";
        /// The partitions.
        partition_indexes: Vec<i32>, "8+";
    }
}

message! {
    /// Offsets.
    OffsetFetchResponse, versions "0-9", flexible "6+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "3+", ignorable;
        /// By topic.
        topics: Vec<OffsetFetchResponseTopic>, "0-7";
        /// What went wrong with the group.
        error_code: ErrorCode, "2-7", ignorable;
        /// By group.
        groups: Vec<OffsetFetchResponseGroup>, "8+";
    }

    /// The offsets in one topic.
    struct OffsetFetchResponseTopic {
        /// The topic's name.
        name: Str, "0-7";
        /// By partition.
        partitions: Vec<OffsetFetchResponsePartition>, "0-7";
    }

    /// The offset in one partition.
    struct OffsetFetchResponsePartition {
        /// The partition.
        partition_index: i32, "0-7";
        /// The offset; -1 if there is none.
        committed_offset: i64, "0-7";
        /// The leader's epoch of the last record read; -1 if unknown.
        committed_leader_epoch: i32 = -1, "5-7", ignorable;
        /// What was remembered with it.
        metadata: Option<Str>, "0-7", nullable("0-7");
        /// What went wrong.
        error_code: ErrorCode, "0-7";
    }

    /// The offsets of one group.
    struct OffsetFetchResponseGroup {
        /// The group.
        group_id: Str, "8+";
        /// By topic.
        topics: Vec<OffsetFetchResponseTopics>, "8+";
        /// What went wrong with the group.
        error_code: ErrorCode, "8+";
    }

    /// The offsets in one topic.
    struct OffsetFetchResponseTopics {
        /// The topic's name.
        name: Str, "8+";
        /// By partition.
        partitions: Vec<OffsetFetchResponsePartitions>, "8+";
    }

    /// The offset in one partition.
    struct OffsetFetchResponsePartitions {
        /// The partition.
        partition_index: i32, "8+";
        /// The offset; -1 if there is none.
        committed_offset: i64, "8+";
        /// The leader's epoch of the last record read; -1 if unknown.
        committed_leader_epoch: i32 = -1, "8+", ignorable;
        /// What was remembered with it.
        metadata: Option<Str>, "8+", nullable("8+");
        /// What went wrong.
        error_code: ErrorCode, "8+";
    }
}
