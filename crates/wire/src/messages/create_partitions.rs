//! CreatePartitions (37): gives topics more partitions (KIP-195).

use crate::{ErrorCode, Str};

message! {
    /// Asks the controller to give topics more partitions.
    CreatePartitionsRequest, versions "0-3", flexible "2+" {
        /// The topics.
        topics: Vec<CreatePartitionsTopic>, "0+";
        /// How long the broker may wait for them to be there, in milliseconds.
        timeout_ms: i32, "0+";
        /// Whether only to say if they could be created.
        validate_only: bool, "0+";
    }

    /// A topic.
    struct CreatePartitionsTopic {
        /// Its name.
        name: Str, "0+";
        /// How many partitions it is to have.
        count: i32, "0+";
        /// Where the new ones are to be; null for the controller's choice.
        assignments: Option<Vec<CreatePartitionsAssignment>>, "0+", nullable("0+");
    }

    /// Where one new partition is to be.
    struct CreatePartitionsAssignment {
        /// The brokers, the one to lead first.
        broker_ids: Vec<i32>, "0+";
    }
}

message! {
    /// Which topics have more partitions.
    CreatePartitionsResponse, versions "0-3", flexible "2+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "0+";
        /// By topic.
        results: Vec<CreatePartitionsTopicResult>, "0+";
    }

    /// What became of one topic.
    struct CreatePartitionsTopicResult {
        /// Its name.
        name: Str, "0+";
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// What went wrong, in words.
        error_message: Option<Str>, "0+", nullable("0+");
    }
}
