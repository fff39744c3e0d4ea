//! OffsetForLeaderEpoch (23): where the records of a leader's epoch end (KIP-101, KIP-320).

use crate::{ErrorCode, Str};

message! {
    /// Asks the leaders of partitions where epochs end.
    OffsetForLeaderEpochRequest, versions "0-4", flexible "4+" {
        /// The broker that follows; -1 for a consumer, -2 for somebody to debug.
        replica_id: i32 = -2, "3+", ignorable;
        /// By topic.
        topics: Vec<OffsetForLeaderTopic>, "0+";
    }

    /// The partitions of one topic.
    struct OffsetForLeaderTopic {
        /// The topic's name.
        topic: Str, "0+";
        /// By partition.
        partitions: Vec<OffsetForLeaderPartition>, "0+";
    }

    /// A partition and an epoch.
    struct OffsetForLeaderPartition {
        /// The partition.
        partition: i32, "0+";
        /// The leader's epoch as the sender knows it; -1 if it doesn't.
        current_leader_epoch: i32 = -1, "2+", ignorable;
        /// The epoch to look for.
        leader_epoch: i32, "0+";
    }
}

message! {
    /// Where epochs end.
    OffsetForLeaderEpochResponse, versions "0-4", flexible "4+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "2+", ignorable;
        /// By topic.
        topics: Vec<OffsetForLeaderTopicResult>, "0+";
    }

    /// Where epochs end in one topic.
    struct OffsetForLeaderTopicResult {
        /// The topic's name.
        topic: Str, "0+";
        /// By partition.
        partitions: Vec<EpochEndOffset>, "0+";
    }

    /// Where an epoch ends in one partition.
    struct EpochEndOffset {
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// The partition.
        partition: i32, "0+";
        /// The greatest epoch that isn't greater than the one asked for; -1 if there is none.
        leader_epoch: i32 = -1, "1+", ignorable;
        /// The offset after its last record; -1 if there is none.
        end_offset: i64 = -1, "0+";
    }
}
