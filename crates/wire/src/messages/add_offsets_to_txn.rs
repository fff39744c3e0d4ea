//! AddOffsetsToTxn (25): a group's offsets become part of a transaction.

use crate::{ErrorCode, Str};

message! {
    /// Asks the transaction's coordinator to add a group's offsets to it.
    AddOffsetsToTxnRequest, versions "0-4", flexible "3+" {
        /// The transactional id.
        transactional_id: Str, "0+";
        /// The producer's id.
        producer_id: i64, "0+";
        /// The producer's epoch.
        producer_epoch: i16, "0+";
        /// The group.
        group_id: Str, "0+";
    }
}

message! {
    /// Whether they are part of it.
    AddOffsetsToTxnResponse, versions "0-4", flexible "3+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "0+";
        /// What went wrong.
        error_code: ErrorCode, "0+";
    }
}
