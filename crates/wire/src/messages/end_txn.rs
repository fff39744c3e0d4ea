//! EndTxn (26): commits or aborts a transaction; from version 5 on each end gives the producer a new
//! epoch (KIP-890).

use crate::{ErrorCode, Str};

message! {
    /// Asks the transaction's coordinator to end it.
    EndTxnRequest, versions "0-5", flexible "3+" {
        /// The transactional id.
        transactional_id: Str, "0+";
        /// The producer's id.
        producer_id: i64, "0+";
        /// The producer's epoch.
        producer_epoch: i16, "0+";
        /// Whether to commit, or else to abort.
        committed: bool, "0+";
    }
}

message! {
    /// Whether it ends so.
    EndTxnResponse, versions "0-5", flexible "3+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "0+";
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// The producer id to go on with; -1 if something went wrong.
        producer_id: i64 = -1, "5+", ignorable;
        /// The epoch to go on with; -1 if something went wrong.
        producer_epoch: i16 = -1, "5+", ignorable;
    }
}
