//! InitProducerId (22): a producer's id and epoch, for idempotence and transactions.

use crate::{ErrorCode, Str};

message! {
    /// Asks for a producer id, or for a new epoch of one.
    InitProducerIdRequest, versions "0-5", flexible "2+" {
        /// The transactional id; null for a producer that is only idempotent.
        transactional_id: Option<Str>, "0+", nullable("0+");
        /// After how long the coordinator aborts a transaction, in milliseconds.
        transaction_timeout_ms: i32, "0+";
        /// The producer id to go on with; -1 for a new one.
        producer_id: i64 = -1, "3+";
        /// The epoch of that producer id; -1 for a new one.
        producer_epoch: i16 = -1, "3+";
    }
}

message! {
    /// A producer id.
    InitProducerIdResponse, versions "0-5", flexible "2+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "0+", ignorable;
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// The producer id; -1 if something went wrong.
        producer_id: i64 = -1, "0+";
        /// Its epoch.
        producer_epoch: i16, "0+";
    }
}
