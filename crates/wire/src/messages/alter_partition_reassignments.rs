//! AlterPartitionReassignments (45): moves partitions to other brokers (KIP-455).

use crate::{ErrorCode, Str};

message! {
    /// Asks the controller to move partitions.
    AlterPartitionReassignmentsRequest, versions "0", flexible "0+" {
        /// How long the broker may wait, in milliseconds.
        timeout_ms: i32 = 60_000, "0+";
        /// By topic.
        topics: Vec<ReassignableTopic>, "0+";
    }

    /// The partitions of one topic.
    struct ReassignableTopic {
        /// The topic's name.
        name: Str, "0+";
        /// By partition.
        partitions: Vec<ReassignablePartition>, "0+";
    }

    /// A partition.
    struct ReassignablePartition {
        /// The partition.
        partition_index: i32, "0+";
        /// The brokers that are to have it; null to give a move up.
        replicas: Option<Vec<i32>>, "0+", nullable("0+");
    }
}

message! {
    /// Which moves have begun.
    AlterPartitionReassignmentsResponse, versions "0", flexible "0+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "0+";
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// What went wrong, in words.
        error_message: Option<Str>, "0+", nullable("0+");
        /// By topic.
        responses: Vec<ReassignableTopicResponse>, "0+";
    }

    /// What became of the moves of one topic.
    struct ReassignableTopicResponse {
        /// The topic's name.
        name: Str, "0+";
        /// By partition.
        partitions: Vec<ReassignablePartitionResponse>, "0+";
    }

    /// What became of one move.
    struct ReassignablePartitionResponse {
        /// The partition.
        partition_index: i32, "0+";
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// What went wrong, in words.
        error_message: Option<Str>, "0+", nullable("0+");
    }
}
