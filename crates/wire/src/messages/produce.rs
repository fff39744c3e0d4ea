//! Produce (0): batches in.
//!
//! Versions 0 to 2 carry legacy message sets, versions from 3 on record batches; answers from
//! version 10 on may say who leads instead (KIP-951).

use crate::{ErrorCode, Payload, Str};

message! {
    /// Asks the leaders of partitions to append batches.
    ProduceRequest, versions "0-12", flexible "9+" {
        /// The transaction the batches belong to, if they do.
        transactional_id: Option<Str>, "3+", nullable("3+");
        /// Who must have the batches before the answer: -1 all replicas in sync, 1 the leader, 0
        /// nobody, and then there is no answer.
        acks: i16, "0+";
        /// How long the broker may wait for the replicas, in milliseconds.
        timeout_ms: i32, "0+";
        /// The batches by topic.
        topic_data: Vec<TopicProduceData>, "0+";
    }

    /// The batches for one topic.
    struct TopicProduceData {
        /// The topic's name.
        name: Str, "0+";
        /// The batches by partition.
        partition_data: Vec<PartitionProduceData>, "0+";
    }

    /// The batches for one partition.
    struct PartitionProduceData {
        /// The partition.
        index: i32, "0+";
        /// The batches.
        records: Option<Payload>, "0+", nullable("0+");
    }
}

message! {
    /// What became of the batches.
    ProduceResponse, versions "0-12", flexible "9+" {
        /// By topic.
        responses: Vec<TopicProduceResponse>, "0+";
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "1+", ignorable;
        /// Where the leaders are that the answers name.
        node_endpoints: Vec<NodeEndpoint>, "10+", tag(0);
    }

    /// What became of the batches for one topic.
    struct TopicProduceResponse {
        /// The topic's name.
        name: Str, "0+";
        /// By partition.
        partition_responses: Vec<PartitionProduceResponse>, "0+";
    }

    /// What became of the batches for one partition.
    struct PartitionProduceResponse {
        /// The partition.
        index: i32, "0+";
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// The offset of the first record; -1 if nothing was appended.
        base_offset: i64, "0+";
        /// When the broker appended it, in milliseconds, if the topic's timestamps are the
        /// broker's; -1 if they are the producer's.
        log_append_time_ms: i64 = -1, "2+", ignorable;
        /// The first offset of the partition's log.
        log_start_offset: i64 = -1, "5+", ignorable;
        /// The records for which the batch was refused.
        record_errors: Vec<BatchIndexAndErrorMessage>, "8+", ignorable;
        /// What went wrong, in words; null if nothing did or the code says it all.
        error_message: Option<Str>, "8+", nullable("8+"), ignorable;
        /// Who leads the partition, if it isn't this broker.
        current_leader: LeaderIdAndEpoch, "10+", tag(0);
    }

    /// A record for which its batch was refused.
    struct BatchIndexAndErrorMessage {
        /// The record's index in its batch.
        batch_index: i32, "8+";
        /// What is wrong with it.
        batch_index_error_message: Option<Str>, "8+", nullable("8+");
    }

    /// A leader.
    struct LeaderIdAndEpoch {
        /// The broker; -1 if unknown.
        leader_id: i32 = -1, "10+";
        /// Its epoch; -1 if unknown.
        leader_epoch: i32 = -1, "10+";
    }

    /// Where a broker is.
    struct NodeEndpoint {
        /// Its id.
        node_id: i32, "10+";
        /// The host name to connect to.
        host: Str, "10+";
        /// The port to connect to.
        port: i32, "10+";
        /// The rack it is in, if it says so.
        rack: Option<Str>, "10+", nullable("10+");
    }
}
