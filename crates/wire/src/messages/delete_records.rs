//! DeleteRecords (21): deletes records up to an offset (KIP-107).

use crate::{ErrorCode, Str};

message! {
    /// Asks the leaders of partitions to delete records.
    DeleteRecordsRequest, versions "0-2", flexible "2+" {
        /// By topic.
        topics: Vec<DeleteRecordsTopic>, "0+";
        /// How long the broker may wait for the replicas, in milliseconds.
        timeout_ms: i32, "0+";
    }

    /// The partitions of one topic.
    struct DeleteRecordsTopic {
        /// The topic's name.
        name: Str, "0+";
        /// By partition.
        partitions: Vec<DeleteRecordsPartition>, "0+";
    }

    /// A partition and an offset.
    struct DeleteRecordsPartition {
        /// The partition.
        partition_index: i32, "0+";
        /// The first offset to keep; -1 for the high watermark.
        offset: i64, "0+";
    }
}

message! {
    /// What is left.
    DeleteRecordsResponse, versions "0-2", flexible "2+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "0+";
        /// By topic.
        topics: Vec<DeleteRecordsTopicResult>, "0+";
    }

    /// What is left of one topic.
    struct DeleteRecordsTopicResult {
        /// The topic's name.
        name: Str, "0+";
        /// By partition.
        partitions: Vec<DeleteRecordsPartitionResult>, "0+";
    }

    /// What is left of one partition.
    struct DeleteRecordsPartitionResult {
        /// The partition.
        partition_index: i32, "0+";
        /// Its first offset; -1 if something went wrong.
        low_watermark: i64, "0+";
        /// What went wrong.
        error_code: ErrorCode, "0+";
    }
}
