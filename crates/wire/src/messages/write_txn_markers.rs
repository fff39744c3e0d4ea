//! WriteTxnMarkers (27): writes the ends of transactions into partitions.

use crate::{ErrorCode, Str};

message! {
    /// Asks the leaders of partitions to write the ends of transactions.
    WriteTxnMarkersRequest, versions "0-1", flexible "1+" {
        /// By transaction.
        markers: Vec<WritableTxnMarker>, "0+";
    }

    /// The end of one transaction.
    struct WritableTxnMarker {
        /// The producer's id.
        producer_id: i64, "0+";
        /// The producer's epoch.
        producer_epoch: i16, "0+";
        /// Whether it is committed, or else aborted.
        transaction_result: bool, "0+";
        /// The partitions by topic.
        topics: Vec<WritableTxnMarkerTopic>, "0+";
        /// The epoch of the coordinator that decided it.
        coordinator_epoch: i32, "0+";
    }

    /// The partitions of one topic.
    struct WritableTxnMarkerTopic {
        /// The topic's name.
        name: Str, "0+";
        /// The partitions.
        partition_indexes: Vec<i32>, "0+";
    }
}

message! {
    /// Where the ends are written.
    WriteTxnMarkersResponse, versions "0-1", flexible "1+" {
        /// By transaction.
        markers: Vec<WritableTxnMarkerResult>, "0+";
    }

    /// What became of the end of one transaction.
    struct WritableTxnMarkerResult {
        /// The producer's id.
        producer_id: i64, "0+";
        /// By topic.
        topics: Vec<WritableTxnMarkerTopicResult>, "0+";
    }

    /// What became of it in one topic.
    struct WritableTxnMarkerTopicResult {
        /// The topic's name.
        name: Str, "0+";
        /// By partition.
        partitions: Vec<WritableTxnMarkerPartitionResult>, "0+";
    }

    /// What became of it in one partition.
    struct WritableTxnMarkerPartitionResult {
        /// The partition.
        partition_index: i32, "0+";
        /// What went wrong.
        error_code: ErrorCode, "0+";
    }
}
