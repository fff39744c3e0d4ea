//! DescribeLogDirs (35): what lies in a broker's directories (KIP-113).

use crate::{ErrorCode, Str};

message! {
    /// Asks a broker for the sizes of its partitions.
    DescribeLogDirsRequest, versions "0-4", flexible "2+" {
        /// The partitions by topic; null for all.
        topics: Option<Vec<DescribableLogDirTopic>>, "0+", nullable("0+");
    }

    /// The partitions of one topic.
    struct DescribableLogDirTopic {
        /// The topic's name.
        topic: Str, "0+";
        /// The partitions.
        partitions: Vec<i32>, "0+";
    }
}

message! {
    /// What lies in the directories.
    DescribeLogDirsResponse, versions "0-4", flexible "2+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "0+";
        /// What went wrong.
        error_code: ErrorCode, "3+", ignorable;
        /// By directory.
        results: Vec<DescribeLogDirsResult>, "0+";
    }

    /// A directory.
    struct DescribeLogDirsResult {
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// Its path.
        log_dir: Str, "0+";
        /// By topic.
        topics: Vec<DescribeLogDirsTopic>, "0+";
        /// The size of its volume, in bytes; -1 if unknown.
        total_bytes: i64 = -1, "4+", ignorable;
        /// What is free on its volume, in bytes; -1 if unknown.
        usable_bytes: i64 = -1, "4+", ignorable;
    }

    /// The partitions of one topic.
    struct DescribeLogDirsTopic {
        /// The topic's name.
        name: Str, "0+";
        /// By partition.
        partitions: Vec<DescribeLogDirsPartition>, "0+";
    }

    /// A partition.
    struct DescribeLogDirsPartition {
        /// The partition.
        partition_index: i32, "0+";
        /// The size of its segments, in bytes.
        partition_size: i64, "0+";
        /// How many records it lacks that are acknowledged, or that the replica it will replace
        /// has.
        offset_lag: i64, "0+";
        /// Whether it will replace the replica in another directory.
        is_future_key: bool, "0+";
    }
}
