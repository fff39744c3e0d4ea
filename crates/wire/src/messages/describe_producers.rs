//! DescribeProducers (61): the producers that a partition remembers (KIP-664).

use crate::{ErrorCode, Str};

message! {
    /// Asks the leaders of partitions for their producers.
    DescribeProducersRequest, versions "0", flexible "0+" {
        /// By topic.
        topics: Vec<TopicRequest>, "0+";
    }

    /// The partitions of one topic.
    struct TopicRequest {
        /// The topic's name.
        name: Str, "0+";
        /// The partitions.
        partition_indexes: Vec<i32>, "0+";
    }
}

message! {
    /// Producers.
    DescribeProducersResponse, versions "0", flexible "0+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "0+";
        /// By topic.
        topics: Vec<TopicResponse>, "0+";
    }

    /// The producers of one topic.
    struct TopicResponse {
        /// The topic's name.
        name: Str, "0+";
        /// By partition.
        partitions: Vec<PartitionResponse>, "0+";
    }

    /// The producers of one partition.
    struct PartitionResponse {
        /// The partition.
        partition_index: i32, "0+";
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// What went wrong, in words.
        error_message: Option<Str>, "0+", nullable("0+");
        /// The producers.
        active_producers: Vec<ProducerState>, "0+";
    }

    /// A producer.
    struct ProducerState {
        /// Its id.
        producer_id: i64, "0+";
        /// Its epoch.
        producer_epoch: i32, "0+";
        /// The sequence of its last record; -1 if unknown.
        last_sequence: i32 = -1, "0+";
        /// The timestamp of its last batch, in milliseconds; -1 if unknown.
        last_timestamp: i64 = -1, "0+";
        /// The epoch of the coordinator of its last transaction; -1 if unknown.
        coordinator_epoch: i32, "0+";
        /// Where its open transaction begins; -1 if it has none.
        current_txn_start_offset: i64 = -1, "0+";
    }
}
