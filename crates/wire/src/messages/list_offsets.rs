//! ListOffsets (2): the offset of a time.

use crate::{ErrorCode, Str};

message! {
    /// Asks the leaders of partitions for the first offset at or after a time.
    ListOffsetsRequest, versions "0-10", flexible "6+" {
        /// The broker that follows; -1 for a consumer.
        replica_id: i32, "0+";
        /// 0 for every record, 1 for those of transactions that are decided.
        isolation_level: i8, "2+";
        /// The partitions by topic.
        topics: Vec<ListOffsetsTopic>, "0+";
        /// How long the broker may wait for remote storage, in milliseconds.
        timeout_ms: i32, "10+", ignorable;
    }

    /// The partitions of one topic.
    struct ListOffsetsTopic {
        /// The topic's name.
        name: Str, "0+";
        /// The partitions.
        partitions: Vec<ListOffsetsPartition>, "0+";
    }

    /// A partition and a time.
    struct ListOffsetsPartition {
        /// The partition.
        partition_index: i32, "0+";
        /// The leader's epoch as the sender knows it; -1 if it doesn't.
        current_leader_epoch: i32 = -1, "4+", ignorable;
        /// The time in milliseconds, or -1 for the latest offset, -2 for the earliest, -3 for the
        /// offset of the highest timestamp (7+), -4 for the earliest local offset (8+), -5 for the
        /// latest tiered one (9+).
        timestamp: i64, "0+";
        /// The most offsets to answer with.
        max_num_offsets: i32 = 1, "0";
    }
}

message! {
    /// Offsets.
    ListOffsetsResponse, versions "0-10", flexible "6+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "2+", ignorable;
        /// By topic.
        topics: Vec<ListOffsetsTopicResponse>, "0+";
    }

    /// The offsets of one topic.
    struct ListOffsetsTopicResponse {
        /// The topic's name.
        name: Str, "0+";
        /// By partition.
        partitions: Vec<ListOffsetsPartitionResponse>, "0+";
    }

    /// The offset in one partition.
    struct ListOffsetsPartitionResponse {
        /// The partition.
        partition_index: i32, "0+";
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// The offsets, the greatest first.
        old_style_offsets: Vec<i64>, "0";
        /// The timestamp of the record at the offset, in milliseconds; -1 if a special time was
        /// asked for or there is no such record.
        timestamp: i64 = -1, "1+";
        /// The offset; -1 if there is none.
        offset: i64 = -1, "1+";
        /// The epoch of the leader that wrote the record; -1 if unknown.
        leader_epoch: i32 = -1, "4+";
    }
}
