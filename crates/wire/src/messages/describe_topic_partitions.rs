//! DescribeTopicPartitions (75): topics and their partitions, page by page (KIP-966).

use crate::{ErrorCode, Str, Uuid};

message! {
    /// Asks for the partitions of topics.
    DescribeTopicPartitionsRequest, versions "0", flexible "0+" {
        /// The topics.
        topics: Vec<TopicRequest>, "0+";
        /// The most partitions to answer with.
        response_partition_limit: i32 = 2000, "0+";
        /// Where to go on; null for the beginning.
        cursor: Option<Cursor>, "0+", nullable("0+");
    }

    /// A topic.
    struct TopicRequest {
        /// Its name.
        name: Str, "0+";
    }

    /// Where to go on.
    struct Cursor {
        /// The topic's name.
        topic_name: Str, "0+";
        /// The partition.
        partition_index: i32, "0+";
    }
}

message! {
    /// A page of partitions.
    DescribeTopicPartitionsResponse, versions "0", flexible "0+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "0+", ignorable;
        /// By topic.
        topics: Vec<DescribeTopicPartitionsResponseTopic>, "0+";
        /// Where the next page begins; null if this is the last.
        next_cursor: Option<Cursor>, "0+", nullable("0+");
    }

    /// The partitions of one topic.
    struct DescribeTopicPartitionsResponseTopic {
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// The topic's name; null if it is unknown.
        name: Option<Str>, "0+", nullable("0+");
        /// The topic's id.
        topic_id: Uuid, "0+", ignorable;
        /// Whether it is the brokers' own.
        is_internal: bool, "0+", ignorable;
        /// By partition.
        partitions: Vec<DescribeTopicPartitionsResponsePartition>, "0+";
        /// What the sender may do with it, a bit for each; the least number if it isn't said.
        topic_authorized_operations: i32 = i32::MIN, "0+";
    }

    /// A partition.
    struct DescribeTopicPartitionsResponsePartition {
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// The partition.
        partition_index: i32, "0+";
        /// The broker that leads; -1 if there is none.
        leader_id: i32, "0+";
        /// The leader's epoch; -1 if unknown.
        leader_epoch: i32 = -1, "0+", ignorable;
        /// The brokers that have it.
        replica_nodes: Vec<i32>, "0+";
        /// Those of them that have all of it.
        isr_nodes: Vec<i32>, "0+";
        /// Others that could lead without a loss; null if unknown.
        eligible_leader_replicas: Option<Vec<i32>>, "0+", nullable("0+");
        /// Those that could, when it was last known; null if unknown.
        last_known_elr: Option<Vec<i32>>, "0+", nullable("0+");
        /// The brokers that have it but aren't there.
        offline_replicas: Vec<i32>, "0+", ignorable;
    }
}
