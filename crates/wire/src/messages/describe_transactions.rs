//! DescribeTransactions (65): transactional ids and what they are doing (KIP-664).

use crate::{ErrorCode, Str};

message! {
    /// Asks the coordinator about transactional ids.
    DescribeTransactionsRequest, versions "0", flexible "0+" {
        /// The transactional ids.
        transactional_ids: Vec<Str>, "0+";
    }
}

message! {
    /// What the transactional ids are doing.
    DescribeTransactionsResponse, versions "0", flexible "0+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "0+";
        /// By transactional id.
        transaction_states: Vec<TransactionState>, "0+";
    }

    /// What one transactional id is doing.
    struct TransactionState {
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// The transactional id.
        transactional_id: Str, "0+";
        /// The state of its transaction.
        transaction_state: Str, "0+";
        /// After how long its transaction is aborted, in milliseconds.
        transaction_timeout_ms: i32, "0+";
        /// When its transaction began, in milliseconds; -1 if it has none.
        transaction_start_time_ms: i64, "0+";
        /// The producer's id.
        producer_id: i64, "0+";
        /// The producer's epoch.
        producer_epoch: i16, "0+";
        /// The partitions in its transaction, by topic.
        topics: Vec<TopicData>, "0+";
    }

    /// The partitions of one topic.
    struct TopicData {
        /// The topic's name.
        topic: Str, "0+";
        /// The partitions.
        partitions: Vec<i32>, "0+";
    }
}
