//! One file per API: a request in, an answer out. No handler knows of sockets or of other handlers.

use std::net::SocketAddr;

use fletch_wire::{ErrorCode, RequestHeader};
use tokio_util::sync::CancellationToken;

use crate::auth::Principal;
use crate::broker::{Broker, CreateError, Endpoint, LEADER_EPOCH};
use crate::kafka::ListenerInfo;

pub(crate) mod add_offsets_to_txn;
pub(crate) mod add_partitions_to_txn;
pub(crate) mod alter_client_quotas;
pub(crate) mod alter_configs;
pub(crate) mod alter_partition_reassignments;
pub(crate) mod alter_user_scram_credentials;
pub(crate) mod api_versions;
pub(crate) mod consumer_group_describe;
pub(crate) mod consumer_group_heartbeat;
pub(crate) mod create_acls;
pub(crate) mod create_partitions;
pub(crate) mod create_topics;
pub(crate) mod delete_acls;
pub(crate) mod delete_groups;
pub(crate) mod delete_records;
pub(crate) mod delete_topics;
pub(crate) mod describe_acls;
pub(crate) mod describe_client_quotas;
pub(crate) mod describe_cluster;
pub(crate) mod describe_configs;
pub(crate) mod describe_groups;
pub(crate) mod describe_log_dirs;
pub(crate) mod describe_producers;
pub(crate) mod describe_topic_partitions;
pub(crate) mod describe_transactions;
pub(crate) mod describe_user_scram_credentials;
pub(crate) mod elect_leaders;
pub(crate) mod end_txn;
pub(crate) mod fetch;
pub(crate) mod find_coordinator;
pub(crate) mod heartbeat;
pub(crate) mod incremental_alter_configs;
pub(crate) mod init_producer_id;
pub(crate) mod join_group;
pub(crate) mod leave_group;
pub(crate) mod list_groups;
pub(crate) mod list_offsets;
pub(crate) mod list_partition_reassignments;
pub(crate) mod list_transactions;
pub(crate) mod metadata;
pub(crate) mod offset_commit;
pub(crate) mod offset_delete;
pub(crate) mod offset_fetch;
pub(crate) mod offset_for_leader_epoch;
pub(crate) mod produce;
pub(crate) mod sync_group;
pub(crate) mod txn_offset_commit;
pub(crate) mod write_txn_markers;

/// The isolation level of consumers that want committed records only.
pub(crate) const READ_COMMITTED: i8 = 1;

/// Who asks, and how.
pub(crate) struct Context<'a> {
    pub(crate) broker: &'a Broker,
    /// The listener that the client came by.
    pub(crate) listener: &'a ListenerInfo,
    /// The address at which the client reached us.
    pub(crate) local: SocketAddr,
    /// The client's own address.
    pub(crate) peer: SocketAddr,
    /// Who the client is.
    pub(crate) principal: &'a Principal,
    /// The request's header.
    pub(crate) header: &'a RequestHeader,
    /// The size of the request's frame, which everything decoded from it keeps in memory.
    pub(crate) frame_bytes: usize,
    /// Cancelled when waiting for the client's sake makes no sense any more.
    pub(crate) closing: &'a CancellationToken,
}

impl Context<'_> {
    /// The version of the request.
    pub(crate) fn version(&self) -> i16 {
        self.header.api_version
    }

    /// Where this client should find this broker.
    pub(crate) fn endpoint(&self) -> Endpoint {
        self.listener.endpoint(self.local)
    }

    /// Counts an error, and gives it back.
    pub(crate) fn count(&self, error: ErrorCode) -> ErrorCode {
        if !error.is_none() {
            self.broker.metrics.error(self.header.api_key, error);
        }
        error
    }
}

/// Kafka's code for a topic that wasn't created.
pub(crate) fn create_error_code(error: &CreateError) -> ErrorCode {
    use fletch_store::StoreError;
    match error {
        CreateError::TooManyTopics { .. } | CreateError::TooManyPartitions { .. } => {
            ErrorCode::POLICY_VIOLATION
        }
        CreateError::Store(error) => match error {
            StoreError::InvalidTopicName { .. } | StoreError::TopicNameCollides { .. } => {
                ErrorCode::INVALID_TOPIC_EXCEPTION
            }
            StoreError::TopicExists { .. } => ErrorCode::TOPIC_ALREADY_EXISTS,
            StoreError::UnknownTopic { .. } => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            StoreError::InvalidPartitions { .. } => ErrorCode::INVALID_PARTITIONS,
            StoreError::InvalidSetting { .. } => ErrorCode::INVALID_CONFIG,
            _ => ErrorCode::KAFKA_STORAGE_ERROR,
        },
    }
}

/// Compares the epoch that a client believes in with the only one there is.
pub(crate) fn check_leader_epoch(believed: i32) -> Result<(), ErrorCode> {
    match believed {
        // Unknown to the client.
        -1 | LEADER_EPOCH => Ok(()),
        ..LEADER_EPOCH => Err(ErrorCode::FENCED_LEADER_EPOCH),
        _ => Err(ErrorCode::UNKNOWN_LEADER_EPOCH),
    }
}
