//! DescribeCluster (60): the cluster's id, controller and brokers (KIP-700).

use crate::{ErrorCode, Str};

message! {
    /// Asks for the cluster.
    DescribeClusterRequest, versions "0-1", flexible "0+" {
        /// Whether to say what the principal may do with the cluster.
        include_cluster_authorized_operations: bool, "0+";
        /// Which endpoints: 1 the brokers', 2 the controllers'.
        endpoint_type: i8 = 1, "1+";
    }
}

message! {
    /// The cluster.
    DescribeClusterResponse, versions "0-1", flexible "0+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "0+";
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// What went wrong, in words.
        error_message: Option<Str>, "0+", nullable("0+");
        /// Which endpoints: 1 the brokers', 2 the controllers'.
        endpoint_type: i8 = 1, "1+";
        /// The cluster's id.
        cluster_id: Str, "0+";
        /// The controller's id; -1 if there is none.
        controller_id: i32 = -1, "0+";
        /// The brokers.
        brokers: Vec<DescribeClusterBroker>, "0+";
        /// What the principal may do with the cluster, as bits; `i32::MIN` if not asked for.
        cluster_authorized_operations: i32 = i32::MIN, "0+";
    }

    /// A broker.
    struct DescribeClusterBroker {
        /// Its id.
        broker_id: i32, "0+";
        /// The host name to connect to.
        host: Str, "0+";
        /// The port to connect to.
        port: i32, "0+";
        /// The rack it is in, if it says so.
        rack: Option<Str>, "0+", nullable("0+");
    }
}
