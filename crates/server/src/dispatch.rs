//! Which APIs are served, and by which handler. To add one: a line in each of the two lists.

use fletch_wire::messages::ApiVersionsResponse;
use fletch_wire::messages::api_versions::ApiVersion;
use fletch_wire::{ApiKey, Error as WireError, ErrorCode, RequestBody, ResponseBody, Versions};

use crate::connection::memory::Reserved;
use crate::handlers::{
    Context, add_offsets_to_txn, add_partitions_to_txn, alter_client_quotas, alter_configs,
    alter_partition_reassignments, alter_user_scram_credentials, api_versions,
    consumer_group_describe, consumer_group_heartbeat, create_acls, create_partitions,
    create_topics, delete_acls, delete_groups, delete_records, delete_topics, describe_acls,
    describe_client_quotas, describe_cluster, describe_configs, describe_groups, describe_log_dirs,
    describe_producers, describe_topic_partitions, describe_transactions,
    describe_user_scram_credentials, elect_leaders, end_txn, fetch, find_coordinator, heartbeat,
    incremental_alter_configs, init_producer_id, join_group, leave_group, list_groups,
    list_offsets, list_partition_reassignments, list_transactions, metadata, offset_commit,
    offset_delete, offset_fetch, offset_for_leader_epoch, produce, sync_group, txn_offset_commit,
    write_txn_markers,
};

/// What is served, in the order of the keys.
pub(crate) const SERVED: &[(ApiKey, Versions)] = &[
    (ApiKey::PRODUCE, Versions::parse("0-12")),
    (ApiKey::FETCH, Versions::parse("0-17")),
    (ApiKey::LIST_OFFSETS, Versions::parse("0-10")),
    (ApiKey::METADATA, Versions::parse("0-13")),
    (ApiKey::OFFSET_COMMIT, Versions::parse("0-9")),
    (ApiKey::OFFSET_FETCH, Versions::parse("0-9")),
    (ApiKey::FIND_COORDINATOR, Versions::parse("0-6")),
    (ApiKey::JOIN_GROUP, Versions::parse("0-9")),
    (ApiKey::HEARTBEAT, Versions::parse("0-4")),
    (ApiKey::LEAVE_GROUP, Versions::parse("0-5")),
    (ApiKey::SYNC_GROUP, Versions::parse("0-5")),
    (ApiKey::DESCRIBE_GROUPS, Versions::parse("0-6")),
    (ApiKey::LIST_GROUPS, Versions::parse("0-5")),
    (ApiKey::SASL_HANDSHAKE, Versions::parse("0-1")),
    (ApiKey::API_VERSIONS, Versions::parse("0-4")),
    (ApiKey::CREATE_TOPICS, Versions::parse("0-7")),
    (ApiKey::DELETE_TOPICS, Versions::parse("0-6")),
    (ApiKey::DELETE_RECORDS, Versions::parse("0-2")),
    (ApiKey::INIT_PRODUCER_ID, Versions::parse("0-5")),
    (ApiKey::OFFSET_FOR_LEADER_EPOCH, Versions::parse("0-4")),
    (ApiKey::ADD_PARTITIONS_TO_TXN, Versions::parse("0-5")),
    (ApiKey::ADD_OFFSETS_TO_TXN, Versions::parse("0-4")),
    (ApiKey::END_TXN, Versions::parse("0-5")),
    (ApiKey::WRITE_TXN_MARKERS, Versions::parse("0-1")),
    (ApiKey::TXN_OFFSET_COMMIT, Versions::parse("0-5")),
    (ApiKey::DESCRIBE_ACLS, Versions::parse("1-3")),
    (ApiKey::CREATE_ACLS, Versions::parse("1-3")),
    (ApiKey::DELETE_ACLS, Versions::parse("1-3")),
    (ApiKey::DESCRIBE_CONFIGS, Versions::parse("0-4")),
    (ApiKey::ALTER_CONFIGS, Versions::parse("0-2")),
    (ApiKey::DESCRIBE_LOG_DIRS, Versions::parse("0-4")),
    (ApiKey::SASL_AUTHENTICATE, Versions::parse("0-2")),
    (ApiKey::CREATE_PARTITIONS, Versions::parse("0-3")),
    (ApiKey::DELETE_GROUPS, Versions::parse("0-2")),
    (ApiKey::ELECT_LEADERS, Versions::parse("0-2")),
    (ApiKey::INCREMENTAL_ALTER_CONFIGS, Versions::parse("0-1")),
    (ApiKey::ALTER_PARTITION_REASSIGNMENTS, Versions::parse("0")),
    (ApiKey::LIST_PARTITION_REASSIGNMENTS, Versions::parse("0")),
    (ApiKey::OFFSET_DELETE, Versions::parse("0")),
    (ApiKey::DESCRIBE_CLIENT_QUOTAS, Versions::parse("0-1")),
    (ApiKey::ALTER_CLIENT_QUOTAS, Versions::parse("0-1")),
    (
        ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS,
        Versions::parse("0"),
    ),
    (ApiKey::ALTER_USER_SCRAM_CREDENTIALS, Versions::parse("0")),
    (ApiKey::DESCRIBE_CLUSTER, Versions::parse("0-1")),
    (ApiKey::DESCRIBE_PRODUCERS, Versions::parse("0")),
    (ApiKey::DESCRIBE_TRANSACTIONS, Versions::parse("0")),
    (ApiKey::LIST_TRANSACTIONS, Versions::parse("0-1")),
    (ApiKey::CONSUMER_GROUP_HEARTBEAT, Versions::parse("0-1")),
    (ApiKey::CONSUMER_GROUP_DESCRIBE, Versions::parse("0-1")),
    (ApiKey::DESCRIBE_TOPIC_PARTITIONS, Versions::parse("0")),
];

/// An answer, and the memory reserved for it until it is sent.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) body: ResponseBody,
    pub(crate) reserved: Reserved,
}

impl<R: Into<ResponseBody>> From<R> for Answer {
    fn from(body: R) -> Self {
        Self {
            body: body.into(),
            reserved: Reserved::default(),
        }
    }
}

/// Answers a request, whoever asks: see [`crate::authorize`]. (Produce is usually submitted by the reading
/// half before its turn comes.)
pub(crate) async fn serve(context: &Context<'_>, request: RequestBody) -> Answer {
    match request {
        RequestBody::AddOffsetsToTxn(request) => {
            add_offsets_to_txn::handle(context, request).await.into()
        }
        RequestBody::AddPartitionsToTxn(request) => {
            add_partitions_to_txn::handle(context, request).await.into()
        }
        RequestBody::AlterClientQuotas(request) => {
            alter_client_quotas::handle(context, request).await.into()
        }
        RequestBody::AlterConfigs(request) => alter_configs::handle(context, request).await.into(),
        RequestBody::AlterPartitionReassignments(request) => {
            alter_partition_reassignments::handle(context, request).into()
        }
        RequestBody::AlterUserScramCredentials(request) => {
            alter_user_scram_credentials::handle(context, request)
                .await
                .into()
        }
        RequestBody::ApiVersions(request) => api_versions::handle(context, &request).into(),
        RequestBody::ConsumerGroupDescribe(request) => {
            consumer_group_describe::handle(context, request)
                .await
                .into()
        }
        RequestBody::ConsumerGroupHeartbeat(request) => {
            consumer_group_heartbeat::handle(context, request)
                .await
                .into()
        }
        RequestBody::CreateAcls(request) => create_acls::handle(context, request).await.into(),
        RequestBody::CreatePartitions(request) => {
            create_partitions::handle(context, request).await.into()
        }
        RequestBody::CreateTopics(request) => create_topics::handle(context, request).await.into(),
        RequestBody::DeleteAcls(request) => delete_acls::handle(context, request).await.into(),
        RequestBody::DeleteGroups(request) => delete_groups::handle(context, request).await.into(),
        RequestBody::DeleteRecords(request) => {
            delete_records::handle(context, request).await.into()
        }
        RequestBody::DeleteTopics(request) => delete_topics::handle(context, request).await.into(),
        RequestBody::DescribeAcls(request) => describe_acls::handle(context, &request).into(),
        RequestBody::DescribeClientQuotas(request) => {
            describe_client_quotas::handle(context, &request).into()
        }
        RequestBody::DescribeCluster(request) => describe_cluster::handle(context, &request).into(),
        RequestBody::DescribeConfigs(request) => describe_configs::handle(context, request).into(),
        RequestBody::DescribeGroups(request) => {
            describe_groups::handle(context, request).await.into()
        }
        RequestBody::DescribeLogDirs(request) => {
            describe_log_dirs::handle(context, request).await.into()
        }
        RequestBody::DescribeTopicPartitions(request) => {
            describe_topic_partitions::handle(context, request).into()
        }
        RequestBody::ElectLeaders(request) => elect_leaders::handle(context, request).into(),
        RequestBody::DescribeProducers(request) => {
            describe_producers::handle(context, &request).into()
        }
        RequestBody::DescribeTransactions(request) => {
            describe_transactions::handle(context, request).await.into()
        }
        RequestBody::DescribeUserScramCredentials(request) => {
            describe_user_scram_credentials::handle(context, request).into()
        }
        RequestBody::EndTxn(request) => end_txn::handle(context, request).await.into(),
        RequestBody::Fetch(request) => fetch::handle(context, request).await,
        RequestBody::FindCoordinator(request) => find_coordinator::handle(context, request).into(),
        RequestBody::Heartbeat(request) => heartbeat::handle(context, request).await.into(),
        RequestBody::IncrementalAlterConfigs(request) => {
            incremental_alter_configs::handle(context, request)
                .await
                .into()
        }
        RequestBody::InitProducerId(request) => {
            init_producer_id::handle(context, request).await.into()
        }
        RequestBody::JoinGroup(request) => join_group::handle(context, request).await.into(),
        RequestBody::LeaveGroup(request) => leave_group::handle(context, request).await.into(),
        RequestBody::ListGroups(request) => list_groups::handle(context, request).await.into(),
        RequestBody::ListOffsets(request) => list_offsets::handle(context, request).await.into(),
        RequestBody::ListPartitionReassignments(_) => list_partition_reassignments::handle().into(),
        RequestBody::ListTransactions(request) => {
            list_transactions::handle(context, request).await.into()
        }
        RequestBody::Metadata(request) => metadata::handle(context, request).await.into(),
        RequestBody::OffsetCommit(request) => offset_commit::handle(context, request).await.into(),
        RequestBody::OffsetDelete(request) => offset_delete::handle(context, request).await.into(),
        RequestBody::OffsetFetch(request) => offset_fetch::handle(context, request).await.into(),
        RequestBody::OffsetForLeaderEpoch(request) => {
            offset_for_leader_epoch::handle(context, request).into()
        }
        RequestBody::Produce(request) => produce::submit(context, request)
            .await
            .finish(context)
            .await
            .response
            .into(),
        RequestBody::SyncGroup(request) => sync_group::handle(context, request).await.into(),
        RequestBody::TxnOffsetCommit(request) => {
            txn_offset_commit::handle(context, request).await.into()
        }
        RequestBody::WriteTxnMarkers(request) => {
            write_txn_markers::handle(context, request).await.into()
        }
        // The codec knows more than is served; whoever reads requests has them looked at by `refuse`.
        request => unreachable!("{} is served by no handler", request.key()),
    }
}

/// Whether a version of an API is served.
fn serves(key: ApiKey, version: i16) -> bool {
    SERVED
        .iter()
        .any(|(served, versions)| *served == key && versions.contains(version))
}

/// Why a request closes its connection before anything else of it is read: nothing serves it. The
/// frame is without its length. ApiVersions is answered in any version.
pub(crate) fn refuse(frame: &[u8]) -> Option<WireError> {
    let (key, rest) = frame.split_first_chunk()?;
    let (version, rest) = rest.split_first_chunk()?;
    let (key, version) = (
        ApiKey(i16::from_be_bytes(*key)),
        i16::from_be_bytes(*version),
    );
    if key == ApiKey::API_VERSIONS || serves(key, version) {
        return None;
    }
    let known = SERVED
        .iter()
        .find(|(served, _)| *served == key)
        .map_or(Versions::NONE, |(_, versions)| *versions);
    Some(WireError::UnknownRequest {
        key,
        version,
        correlation_id: i32::from_be_bytes(*rest.first_chunk()?),
        known,
    })
}

/// The answer to ApiVersions in a version from the future: which it should have been (KIP-511).
pub(crate) fn unknown_api_versions() -> ApiVersionsResponse {
    ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        api_keys: served(),
        ..Default::default()
    }
}

/// What is served, as ApiVersions says it.
pub(crate) fn served() -> Vec<ApiVersion> {
    let api = |(key, versions): &(ApiKey, Versions)| ApiVersion {
        api_key: key.0,
        min_version: versions.first,
        max_version: versions.last,
        ..Default::default()
    };
    SERVED.iter().map(api).collect()
}

#[cfg(test)]
#[path = "../../wire/examples/protocol_table.rs"]
mod protocol_table;

#[cfg(test)]
mod tests {
    use fletch_wire::messages::APIS;

    use super::*;

    /// `FLETCH_WRITE_TABLE=1 cargo test -p fletch-server the_page` puts the table into the page.
    #[test]
    fn the_page_says_what_is_served() {
        const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/compatibility.md");
        let page = std::fs::read_to_string(PAGE).unwrap();
        let expected = protocol_table::insert(&page, &protocol_table::table(SERVED)).unwrap();
        if std::env::var_os("FLETCH_WRITE_TABLE").is_some() {
            std::fs::write(PAGE, expected).unwrap();
        } else {
            assert!(
                page == expected,
                "out of date: see the comment of this test"
            );
        }
    }

    #[test]
    fn what_is_served_can_be_decoded() {
        for (key, versions) in SERVED {
            let api = APIS.iter().find(|api| api.key == *key).unwrap();
            assert_eq!(versions.and(api.versions), *versions, "{key}");
        }
        assert!(
            serves(ApiKey::FETCH, 17) && !serves(ApiKey::FETCH, 18) && !serves(ApiKey(9999), 0)
        );
    }
}
