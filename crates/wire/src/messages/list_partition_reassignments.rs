//! ListPartitionReassignments (46): the partitions that are being moved (KIP-455).

use crate::{ErrorCode, Str};

message! {
    /// Asks the controller which partitions are being moved.
    ListPartitionReassignmentsRequest, versions "0", flexible "0+" {
        /// How long the broker may wait, in milliseconds.
        timeout_ms: i32 = 60_000, "0+";
        /// The partitions by topic; null for all.
        topics: Option<Vec<ListPartitionReassignmentsTopics>>, "0+", nullable("0+");
    }

    /// The partitions of one topic.
    struct ListPartitionReassignmentsTopics {
        /// The topic's name.
        name: Str, "0+";
        /// The partitions.
        partition_indexes: Vec<i32>, "0+";
    }
}

message! {
    /// The partitions that are being moved.
    ListPartitionReassignmentsResponse, versions "0", flexible "0+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "0+";
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// What went wrong, in words.
        error_message: Option<Str>, "0+", nullable("0+");
        /// By topic.
        topics: Vec<OngoingTopicReassignment>, "0+";
    }

    /// The moves of one topic.
    struct OngoingTopicReassignment {
        /// The topic's name.
        name: Str, "0+";
        /// By partition.
        partitions: Vec<OngoingPartitionReassignment>, "0+";
    }

    /// One move.
    struct OngoingPartitionReassignment {
        /// The partition.
        partition_index: i32, "0+";
        /// The brokers that have it.
        replicas: Vec<i32>, "0+";
        /// Those that are being added.
        adding_replicas: Vec<i32>, "0+";
        /// Those that will be removed.
        removing_replicas: Vec<i32>, "0+";
    }
}
