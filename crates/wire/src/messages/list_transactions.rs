//! ListTransactions (66): the transactional ids that a broker coordinates (KIP-664).

use crate::{ErrorCode, Str};

message! {
    /// Asks for transactional ids.
    ListTransactionsRequest, versions "0-1", flexible "0+" {
        /// Their states; none for all.
        state_filters: Vec<Str>, "0+";
        /// Their producer ids; none for all.
        producer_id_filters: Vec<i64>, "0+";
        /// For how long their transactions must have been going on, in milliseconds; -1 for any
        /// (KIP-994).
        duration_filter: i64 = -1, "1+";
    }
}

message! {
    /// Transactional ids.
    ListTransactionsResponse, versions "0-1", flexible "0+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "0+";
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// The states asked for that there are not.
        unknown_state_filters: Vec<Str>, "0+";
        /// The transactional ids.
        transaction_states: Vec<TransactionState>, "0+";
    }

    /// A transactional id.
    struct TransactionState {
        /// Its name.
        transactional_id: Str, "0+";
        /// Its producer's id.
        producer_id: i64, "0+";
        /// The state of its transaction.
        transaction_state: Str, "0+";
    }
}
