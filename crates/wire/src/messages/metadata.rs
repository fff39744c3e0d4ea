//! Metadata (3): brokers, topics, partitions and their leaders.

use crate::{ErrorCode, Str, Uuid};

message! {
    /// Asks for the brokers of a cluster and for topics.
    MetadataRequest, versions "0-13", flexible "9+" {
        /// The topics. Null asks for all; so does an empty list in version 0, which knows no null.
        topics: Option<Vec<MetadataRequestTopic>>, "0+", nullable("1+");
        /// Whether topics that don't exist may be created.
        allow_auto_topic_creation: bool = true, "4+";
        /// Whether to say what the principal may do with the cluster.
        include_cluster_authorized_operations: bool, "8-10";
        /// Whether to say what the principal may do with the topics.
        include_topic_authorized_operations: bool, "8+";
    }

    /// A topic that is asked for, by name or by id.
    struct MetadataRequestTopic {
        /// Its id; zero if it is asked for by name. Brokers take ids from version 12 on.
        topic_id: Uuid, "10+", ignorable;
        /// Its name; null if it is asked for by id.
        name: Option<Str>, "0+", nullable("10+");
    }
}

message! {
    /// The brokers of a cluster and the topics asked for.
    MetadataResponse, versions "0-13", flexible "9+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "3+", ignorable;
        /// The brokers.
        brokers: Vec<MetadataResponseBroker>, "0+";
        /// The cluster's id, if it has one.
        cluster_id: Option<Str>, "2+", nullable("2+"), ignorable;
        /// The broker that takes what only the controller can do; -1 if there is none.
        controller_id: i32 = -1, "1+", ignorable;
        /// The topics.
        topics: Vec<MetadataResponseTopic>, "0+";
        /// What the principal may do with the cluster, as bits; `i32::MIN` if not asked for.
        cluster_authorized_operations: i32 = i32::MIN, "8-10";
        /// The error of the request as a whole.
        error_code: ErrorCode, "13+", ignorable;
    }

    /// A broker.
    struct MetadataResponseBroker {
        /// Its id.
        node_id: i32, "0+";
        /// The host name to connect to.
        host: Str, "0+";
        /// The port to connect to.
        port: i32, "0+";
        /// The rack it is in, if it says so.
        rack: Option<Str>, "1+", nullable("1+"), ignorable;
    }

    /// A topic.
    struct MetadataResponseTopic {
        /// What is wrong with it.
        error_code: ErrorCode, "0+";
        /// Its name; null if it was asked for by an id that doesn't exist.
        name: Option<Str>, "0+", nullable("12+");
        /// Its id; zero if it was asked for by a name that doesn't exist.
        topic_id: Uuid, "10+", ignorable;
        /// Whether it is one of the cluster's own.
        is_internal: bool, "1+", ignorable;
        /// Its partitions.
        partitions: Vec<MetadataResponsePartition>, "0+";
        /// What the principal may do with it, as bits; `i32::MIN` if not asked for.
        topic_authorized_operations: i32 = i32::MIN, "8+";
    }

    /// A partition.
    struct MetadataResponsePartition {
        /// What is wrong with it.
        error_code: ErrorCode, "0+";
        /// Its index.
        partition_index: i32, "0+";
        /// The broker that leads it; -1 if none does.
        leader_id: i32, "0+";
        /// The epoch of the leader; -1 if unknown.
        leader_epoch: i32 = -1, "7+", ignorable;
        /// The brokers that have a replica.
        replica_nodes: Vec<i32>, "0+";
        /// The brokers whose replica is in sync.
        isr_nodes: Vec<i32>, "0+";
        /// The brokers whose replica is offline.
        offline_replicas: Vec<i32>, "5+", ignorable;
    }
}
