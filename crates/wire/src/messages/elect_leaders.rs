//! ElectLeaders (43): has leaders of partitions elected (KIP-183, KIP-460).

use crate::{ErrorCode, Str};

message! {
    /// Asks the controller to elect leaders.
    ElectLeadersRequest, versions "0-2", flexible "2+" {
        /// 0 for the preferred leader, 1 for any, at the price of records.
        election_type: i8, "1+";
        /// The partitions by topic; null for all.
        topic_partitions: Option<Vec<TopicPartitions>>, "0+", nullable("0+");
        /// How long the broker may wait for the elections, in milliseconds.
        timeout_ms: i32 = 60_000, "0+";
    }

    /// The partitions of one topic.
    struct TopicPartitions {
        /// The topic's name.
        topic: Str, "0+";
        /// The partitions.
        partitions: Vec<i32>, "0+";
    }
}

message! {
    /// What became of the elections.
    ElectLeadersResponse, versions "0-2", flexible "2+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "0+";
        /// What went wrong.
        error_code: ErrorCode, "1+";
        /// By topic.
        replica_election_results: Vec<ReplicaElectionResult>, "0+";
    }

    /// What became of the elections in one topic.
    struct ReplicaElectionResult {
        /// The topic's name.
        topic: Str, "0+";
        /// By partition.
        partition_result: Vec<PartitionResult>, "0+";
    }

    /// What became of one election.
    struct PartitionResult {
        /// The partition.
        partition_id: i32, "0+";
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// What went wrong, in words.
        error_message: Option<Str>, "0+", nullable("0+");
    }
}
