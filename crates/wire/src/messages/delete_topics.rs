//! DeleteTopics (20).

use crate::{ErrorCode, Str, Uuid};

message! {
    /// Asks the controller to delete topics.
    DeleteTopicsRequest, versions "0-6", flexible "4+" {
        /// The topics, by name or id.
        topics: Vec<DeleteTopicState>, "6+";
        /// The topics, by name.
        topic_names: Vec<Str>, "0-5", ignorable;
        /// How long the broker may wait for them to be gone, in milliseconds.
        timeout_ms: i32, "0+";
    }

    /// A topic to delete.
    struct DeleteTopicState {
        /// Its name; null if it is given by id.
        name: Option<Str>, "6+", nullable("6+");
        /// Its id; zero if it is given by name.
        topic_id: Uuid, "6+";
    }
}

message! {
    /// What became of the topics.
    DeleteTopicsResponse, versions "0-6", flexible "4+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "1+", ignorable;
        /// The topics.
        responses: Vec<DeletableTopicResult>, "0+";
    }

    /// What became of one topic.
    struct DeletableTopicResult {
        /// Its name; null if it was given by an id that doesn't exist.
        name: Option<Str>, "0+", nullable("6+");
        /// Its id.
        topic_id: Uuid, "6+", ignorable;
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// What went wrong, in words.
        error_message: Option<Str>, "5+", nullable("5+"), ignorable;
    }
}
