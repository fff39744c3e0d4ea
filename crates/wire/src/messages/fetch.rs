//! Fetch (1): batches out.
//!
//! From version 7 on a client may keep a session, and then sends only what changed (KIP-227); from
//! version 13 on topics are named by their ids (KIP-516).

use crate::{ErrorCode, Payload, Str, Uuid};

message! {
    /// Asks the leaders of partitions for batches from an offset on.
    FetchRequest, versions "0-17", flexible "12+" {
        /// The cluster the sender belongs to, if it knows.
        cluster_id: Option<Str>, "12+", nullable("12+"), tag(0), ignorable;
        /// The broker that follows; -1 for a consumer.
        replica_id: i32 = -1, "0-14";
        /// The broker that follows, from version 15 on.
        replica_state: ReplicaState, "15+", tag(1);
        /// How long to wait for `min_bytes`, in milliseconds.
        max_wait_ms: i32, "0+";
        /// The bytes to wait for.
        min_bytes: i32, "0+";
        /// The most bytes to answer with. A first batch that is larger is answered all the same
        /// (KIP-74).
        max_bytes: i32 = i32::MAX, "3+", ignorable;
        /// 0 for every record, 1 for those of transactions that are decided.
        isolation_level: i8, "4+", ignorable;
        /// The fetch session; 0 for none.
        session_id: i32, "7+", ignorable;
        /// The epoch within the session; -1 for a full request without one.
        session_epoch: i32 = -1, "7+", ignorable;
        /// The partitions by topic.
        topics: Vec<FetchTopic>, "0+";
        /// The partitions to take out of the session.
        forgotten_topics_data: Vec<ForgottenTopic>, "7+";
        /// The rack the consumer is in; empty if it doesn't say.
        rack_id: Str, "11+", ignorable;
    }

    /// A follower.
    struct ReplicaState {
        /// Its broker id; -1 for a consumer.
        replica_id: i32 = -1, "15+";
        /// Its epoch; -1 if unknown.
        replica_epoch: i64 = -1, "15+";
    }

    /// The partitions to fetch of one topic.
    struct FetchTopic {
        /// The topic's name.
        topic: Str, "0-12", ignorable;
        /// The topic's id.
        topic_id: Uuid, "13+", ignorable;
        /// The partitions.
        partitions: Vec<FetchPartition>, "0+";
    }

    /// A partition to fetch.
    struct FetchPartition {
        /// The partition.
        partition: i32, "0+";
        /// The leader's epoch as the sender knows it; -1 if it doesn't.
        current_leader_epoch: i32 = -1, "9+", ignorable;
        /// The offset to begin at.
        fetch_offset: i64, "0+";
        /// The epoch of the last record fetched; -1 if unknown.
        last_fetched_epoch: i32 = -1, "12+";
        /// The first offset of a follower's log; -1 for a consumer.
        log_start_offset: i64 = -1, "5+", ignorable;
        /// The most bytes of this partition.
        partition_max_bytes: i32, "0+";
        /// The directory of the follower.
        replica_directory_id: Uuid, "17+", tag(0), ignorable;
    }

    /// The partitions of one topic to take out of the session.
    struct ForgottenTopic {
        /// The topic's name.
        topic: Str, "7-12", ignorable;
        /// The topic's id.
        topic_id: Uuid, "13+", ignorable;
        /// The partitions.
        partitions: Vec<i32>, "7+";
    }
}

message! {
    /// Batches.
    FetchResponse, versions "0-17", flexible "12+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "1+", ignorable;
        /// The error of the request as a whole.
        error_code: ErrorCode, "7+", ignorable;
        /// The fetch session; 0 for none.
        session_id: i32, "7+";
        /// By topic.
        responses: Vec<FetchableTopicResponse>, "0+";
        /// Where the leaders are that the answers name.
        node_endpoints: Vec<NodeEndpoint>, "16+", tag(0);
    }

    /// The batches of one topic.
    struct FetchableTopicResponse {
        /// The topic's name.
        topic: Str, "0-12", ignorable;
        /// The topic's id.
        topic_id: Uuid, "13+", ignorable;
        /// By partition.
        partitions: Vec<PartitionData>, "0+";
    }

    /// The batches of one partition.
    struct PartitionData {
        /// The partition.
        partition_index: i32, "0+";
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// The offset up to which records are acknowledged.
        high_watermark: i64, "0+";
        /// The offset up to which transactions are decided; -1 if unknown.
        last_stable_offset: i64 = -1, "4+", ignorable;
        /// The first offset of the log; -1 if unknown.
        log_start_offset: i64 = -1, "5+", ignorable;
        /// Where the sender's log diverges from the leader's.
        diverging_epoch: EpochEndOffset, "12+", tag(0);
        /// Who leads the partition, if it isn't this broker.
        current_leader: LeaderIdAndEpoch, "12+", tag(1);
        /// The snapshot to fetch instead, if the offset lies before the log.
        snapshot_id: SnapshotId, "12+", tag(2);
        /// The aborted transactions among the records; null unless only decided ones were asked
        /// for.
        aborted_transactions: Option<Vec<AbortedTransaction>>, "4+", nullable("4+"), ignorable;
        /// The replica to fetch from next; -1 for the leader.
        preferred_read_replica: i32 = -1, "11+";
        /// The batches. Brokers send empty rather than null.
        records: Option<Payload>, "0+", nullable("0+");
    }

    /// Where an epoch ends.
    struct EpochEndOffset {
        /// The epoch; -1 if unknown.
        epoch: i32 = -1, "12+";
        /// The offset after its last; -1 if unknown.
        end_offset: i64 = -1, "12+";
    }

    /// A leader.
    struct LeaderIdAndEpoch {
        /// The broker; -1 if unknown.
        leader_id: i32 = -1, "12+";
        /// Its epoch; -1 if unknown.
        leader_epoch: i32 = -1, "12+";
    }

    /// A snapshot.
    struct SnapshotId {
        /// The offset after its last; -1 if there is none.
        end_offset: i64 = -1, "0+";
        /// Its epoch; -1 if there is none.
        epoch: i32 = -1, "0+";
    }

    /// A transaction that was aborted.
    struct AbortedTransaction {
        /// The producer.
        producer_id: i64, "4+";
        /// The first offset of the transaction.
        first_offset: i64, "4+";
    }

    /// Where a broker is.
    struct NodeEndpoint {
        /// Its id.
        node_id: i32, "16+";
        /// The host name to connect to.
        host: Str, "16+";
        /// The port to connect to.
        port: i32, "16+";
        /// The rack it is in, if it says so.
        rack: Option<Str>, "16+", nullable("16+");
    }
}
