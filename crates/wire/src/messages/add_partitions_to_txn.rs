//! AddPartitionsToTxn (24): partitions become part of a transaction.
//!
//! Up to version 3 it is a producer that sends it, from version 4 on another broker, which may only
//! want to know (KIP-890).

use crate::{ErrorCode, Str};

message! {
    /// Asks the transaction's coordinator to add partitions to it.
    AddPartitionsToTxnRequest, versions "0-5", flexible "3+" {
        /// The transactions.
        transactions: Vec<AddPartitionsToTxnTransaction>, "4+";
        /// The transactional id.
        v3_and_below_transactional_id: Str, "0-3";
        /// The producer's id.
        v3_and_below_producer_id: i64, "0-3";
        /// The producer's epoch.
        v3_and_below_producer_epoch: i16, "0-3";
        /// The partitions by topic.
        v3_and_below_topics: Vec<AddPartitionsToTxnTopic>, "0-3";
    }

    /// A transaction.
    struct AddPartitionsToTxnTransaction {
        /// The transactional id.
        transactional_id: Str, "4+";
        /// The producer's id.
        producer_id: i64, "4+";
        /// The producer's epoch.
        producer_epoch: i16, "4+";
        /// Whether only to say if the partitions are part of it.
        verify_only: bool, "4+";
        /// The partitions by topic.
        topics: Vec<AddPartitionsToTxnTopic>, "4+";
    }

    /// The partitions of one topic.
    struct AddPartitionsToTxnTopic {
        /// The topic's name.
        name: Str, "0+";
        /// The partitions.
        partitions: Vec<i32>, "0+";
    }
}

message! {
    /// Which partitions are part of their transactions.
    AddPartitionsToTxnResponse, versions "0-5", flexible "3+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "0+";
        /// What went wrong with the request.
        error_code: ErrorCode, "4+", ignorable;
        /// By transaction.
        results_by_transaction: Vec<AddPartitionsToTxnResult>, "4+";
        /// By topic.
        results_by_topic_v3_and_below: Vec<AddPartitionsToTxnTopicResult>, "0-3";
    }

    /// What became of one transaction's.
    struct AddPartitionsToTxnResult {
        /// The transactional id.
        transactional_id: Str, "4+";
        /// By topic.
        topic_results: Vec<AddPartitionsToTxnTopicResult>, "4+";
    }

    /// What became of one topic's.
    struct AddPartitionsToTxnTopicResult {
        /// The topic's name.
        name: Str, "0+";
        /// By partition.
        results_by_partition: Vec<AddPartitionsToTxnPartitionResult>, "0+";
    }

    /// What became of one partition.
    struct AddPartitionsToTxnPartitionResult {
        /// The partition.
        partition_index: i32, "0+";
        /// What went wrong.
        partition_error_code: ErrorCode, "0+";
    }
}
