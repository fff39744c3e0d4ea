//! CreateTopics (19).

use crate::{ErrorCode, Str, Uuid};

message! {
    /// Asks the controller to create topics.
    CreateTopicsRequest, versions "0-7", flexible "5+" {
        /// The topics.
        topics: Vec<CreatableTopic>, "0+";
        /// How long the broker may wait for them to be there, in milliseconds.
        timeout_ms: i32 = 60_000, "0+";
        /// Whether only to say if they could be created.
        validate_only: bool, "1+";
    }

    /// A topic to create.
    struct CreatableTopic {
        /// Its name.
        name: Str, "0+";
        /// How many partitions; -1 for the broker's default (4+), or if they are assigned below.
        num_partitions: i32, "0+";
        /// How many replicas; -1 for the broker's default (4+), or if they are assigned below.
        replication_factor: i16, "0+";
        /// The replicas of each partition, if the sender assigns them.
        assignments: Vec<CreatableReplicaAssignment>, "0+";
        /// Its configuration.
        configs: Vec<CreatableTopicConfig>, "0+";
    }

    /// The replicas of one partition.
    struct CreatableReplicaAssignment {
        /// The partition.
        partition_index: i32, "0+";
        /// The brokers.
        broker_ids: Vec<i32>, "0+";
    }

    /// One entry of a topic's configuration.
    struct CreatableTopicConfig {
        /// Its name.
        name: Str, "0+";
        /// Its value.
        value: Option<Str>, "0+", nullable("0+");
    }
}

message! {
    /// What became of the topics.
    CreateTopicsResponse, versions "0-7", flexible "5+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "2+", ignorable;
        /// The topics.
        topics: Vec<CreatableTopicResult>, "0+";
    }

    /// What became of one topic.
    struct CreatableTopicResult {
        /// Its name.
        name: Str, "0+";
        /// Its id.
        topic_id: Uuid, "7+", ignorable;
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// What went wrong, in words.
        error_message: Option<Str>, "1+", nullable("0+"), ignorable;
        /// Why the configuration isn't told, if it isn't.
        topic_config_error_code: ErrorCode, "5+", tag(0), ignorable;
        /// How many partitions it has; -1 if that isn't told.
        num_partitions: i32 = -1, "5+", ignorable;
        /// How many replicas it has; -1 if that isn't told.
        replication_factor: i16 = -1, "5+", ignorable;
        /// Its configuration; null if that isn't told.
        configs: Option<Vec<CreatableTopicConfigs>>, "5+", nullable("5+"), ignorable;
    }

    /// One entry of a topic's configuration.
    struct CreatableTopicConfigs {
        /// Its name.
        name: Str, "5+";
        /// Its value.
        value: Option<Str>, "5+", nullable("5+");
        /// Whether it can't be changed.
        read_only: bool, "5+";
        /// Where it comes from: see
        /// [`config_source`](crate::messages::describe_configs::DescribeConfigsResourceResult).
        config_source: i8 = -1, "5+", ignorable;
        /// Whether its value is secret, and null therefore.
        is_sensitive: bool, "5+";
    }
}
