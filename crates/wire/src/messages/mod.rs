//! The messages, one file per API, and the one list of them all.
//!
//! To add an API, declare its messages in a file of its own and add a line to the list at the end
//! of this one.

use bytes::Bytes;

use crate::{
    ApiKey, Error, Field, Frame, Limits, Reader, RequestHeader, ResponseHeader, Result, Version,
    Versions, Writer, shape::MessageShape,
};

pub mod add_offsets_to_txn;
pub mod add_partitions_to_txn;
pub mod alter_client_quotas;
pub mod alter_configs;
pub mod alter_partition_reassignments;
pub mod alter_user_scram_credentials;
pub mod api_versions;
pub mod consumer_group_describe;
pub mod consumer_group_heartbeat;
pub mod create_acls;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_acls;
pub mod delete_groups;
pub mod delete_records;
pub mod delete_topics;
pub mod describe_acls;
pub mod describe_client_quotas;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_groups;
pub mod describe_log_dirs;
pub mod describe_producers;
pub mod describe_topic_partitions;
pub mod describe_transactions;
pub mod describe_user_scram_credentials;
pub mod elect_leaders;
pub mod end_txn;
pub mod fetch;
pub mod find_coordinator;
pub mod heartbeat;
pub mod incremental_alter_configs;
pub mod init_producer_id;
pub mod join_group;
pub mod leave_group;
pub mod list_groups;
pub mod list_offsets;
pub mod list_partition_reassignments;
pub mod list_transactions;
pub mod metadata;
pub mod offset_commit;
pub mod offset_delete;
pub mod offset_fetch;
pub mod offset_for_leader_epoch;
pub mod produce;
pub mod sasl_authenticate;
pub mod sasl_handshake;
pub mod sync_group;
pub mod txn_offset_commit;
pub mod write_txn_markers;

/// A message of the protocol: a structure that is sent by itself.
pub trait Message: Field + Default + Clone + PartialEq + std::fmt::Debug {
    /// What its declaration says.
    const SHAPE: MessageShape;
    /// The versions it is declared in.
    const VERSIONS: Versions = Self::SHAPE.versions;

    /// A declared version, with what follows from it.
    ///
    /// # Errors
    /// [`Error::UnknownVersion`] if it isn't declared.
    fn version(number: i16) -> Result<Version> {
        if Self::VERSIONS.contains(number) {
            Ok(Version {
                number,
                flexible: Self::SHAPE.flexible.contains(number),
            })
        } else {
            let (message, known) = (Self::SHAPE.name, Self::VERSIONS);
            Err(Error::UnknownVersion {
                message,
                version: number,
                known,
            })
        }
    }

    /// Reads the message, without a header, from bytes that are nothing else.
    ///
    /// # Errors
    /// [`Error::UnknownVersion`], or [`Error::Malformed`].
    fn from_bytes(bytes: Bytes, version: i16, limits: &Limits) -> Result<Self> {
        let version = Self::version(version)?;
        read(&mut Reader::new(bytes, limits), version)
    }

    /// Writes the message, without a header.
    ///
    /// # Errors
    /// Those of the caller's group in [`Error`].
    fn to_bytes(&self, version: i16) -> Result<Bytes> {
        let mut writer = Writer::default();
        self.encode(&mut writer, Self::version(version)?)?;
        Ok(writer.finish().into_bytes())
    }
}

/// A message that a client sends.
pub trait Request: Message {
    /// The API it belongs to.
    const KEY: ApiKey;
    /// What it is answered with.
    type Response: Message;
}

/// An API: what the list of them says of it.
#[derive(Debug, Clone, Copy)]
pub struct Api {
    /// Its number.
    pub key: ApiKey,
    /// The versions it is declared in.
    pub versions: Versions,
    /// Its request.
    pub request: MessageShape,
    /// Its answer.
    pub response: MessageShape,
}

impl Api {
    /// The declared API with this key, if there is one.
    pub fn find(key: ApiKey) -> Option<&'static Self> {
        APIS.iter().find(|api| api.key == key)
    }

    fn version(&self, number: i16) -> Option<Version> {
        let flexible = self.request.flexible.contains(number);
        self.versions
            .contains(number)
            .then_some(Version { number, flexible })
    }
}

/// Writes a request as a frame: length, header, body.
///
/// The API key of the header is that of the request, whatever the caller's header says.
///
/// # Errors
/// Those of the caller's group in [`Error`].
pub fn encode_request<R: Request>(header: &RequestHeader, request: &R) -> Result<Frame> {
    let version = R::version(header.api_version)?;
    let mut writer = Writer::with_capacity(128);
    writer.put(&[0; 4]);
    RequestHeader {
        api_key: R::KEY,
        ..header.clone()
    }
    .encode(&mut writer, version.flexible)?;
    request.encode(&mut writer, version)?;
    writer.finish_frame()
}

/// Writes the answer to a request of a version as a frame: length, header, body.
///
/// # Errors
/// Those of the caller's group in [`Error`].
pub fn encode_response<R: Request>(
    header: &ResponseHeader,
    version: i16,
    response: &R::Response,
) -> Result<Frame> {
    let version = R::Response::version(version)?;
    let mut writer = Writer::with_capacity(128);
    writer.put(&[0; 4]);
    header.encode(
        &mut writer,
        ResponseHeader::is_flexible(R::KEY, version.flexible),
    )?;
    response.encode(&mut writer, version)?;
    writer.finish_frame()
}

/// Reads a request from a frame (without its length).
///
/// # Errors
/// [`Error::UnknownRequest`] for an API or a version that isn't declared, [`Error::Malformed`] for
/// bytes that are no such request, or that go on for long after it.
pub fn decode_request(frame: Bytes, limits: &Limits) -> Result<(RequestHeader, RequestBody)> {
    let mut reader = Reader::new(frame, limits);
    let mut header = RequestHeader::decode_fixed(&mut reader)?;
    let api = Api::find(header.api_key);
    let Some(version) = api.and_then(|api| api.version(header.api_version)) else {
        return Err(Error::UnknownRequest {
            key: header.api_key,
            version: header.api_version,
            correlation_id: header.correlation_id,
            known: api.map_or(Versions::NONE, |api| api.versions),
        });
    };
    header.decode_rest(&mut reader, version.flexible)?;
    let body = RequestBody::read(header.api_key, &mut reader, version)?;
    Ok((header, body))
}

/// Reads, from a frame (without its length), the answer to a request of an API and a version.
///
/// # Errors
/// [`Error::UnknownRequest`] for an API or a version that isn't declared, [`Error::Malformed`] for
/// bytes that are no such answer, or that go on for long after it.
pub fn decode_response(
    frame: Bytes,
    key: ApiKey,
    version: i16,
    limits: &Limits,
) -> Result<(ResponseHeader, ResponseBody)> {
    let mut reader = Reader::new(frame, limits);
    let api = Api::find(key);
    let Some(known) = api.and_then(|api| api.version(version)) else {
        let known = api.map_or(Versions::NONE, |api| api.versions);
        return Err(Error::UnknownRequest {
            key,
            version,
            correlation_id: -1,
            known,
        });
    };
    let flexible = ResponseHeader::is_flexible(key, known.flexible);
    let header = ResponseHeader::decode(&mut reader, flexible)?;
    Ok((header, ResponseBody::read(key, &mut reader, known)?))
}

/// Reads a message that is all there is.
fn read<M: Message>(reader: &mut Reader, version: Version) -> Result<M> {
    let message = M::decode(reader, version)?;
    reader
        .finish()
        .map_err(|error| error.named(M::SHAPE.name))?;
    Ok(message)
}

/// The list of the APIs: a module, its constant in [`ApiKey`], and the names of its messages.
macro_rules! apis {
    ($($module:ident: $key:ident $name:ident $request:ident $response:ident;)+) => {
        $(
            pub use $module::{$request, $response};

            impl Request for $request {
                const KEY: ApiKey = ApiKey::$key;
                type Response = $response;
            }
        )+

        /// Every API that is declared, by ascending key.
        pub const APIS: &[Api] = &[$(Api {
            key: ApiKey::$key,
            versions: $request::VERSIONS.and($response::VERSIONS),
            request: $request::SHAPE,
            response: $response::SHAPE,
        }),+];

        /// The body of a request of any API.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs)] // One variant for each API, named as it is.
        pub enum RequestBody {
            $( $name($request), )+
        }

        impl RequestBody {
            fn read(key: ApiKey, reader: &mut Reader, version: Version) -> Result<Self> {
                match key {
                    $( ApiKey::$key => read(reader, version).map(Self::$name), )+
                    key => Err(Error::UnknownRequest {
                        key,
                        version: version.number,
                        correlation_id: -1,
                        known: Versions::NONE,
                    }),
                }
            }

            /// The API it belongs to.
            pub fn key(&self) -> ApiKey {
                match self {
                    $( Self::$name(_) => ApiKey::$key, )+
                }
            }

            /// Writes it as a frame; see [`encode_request`].
            ///
            /// # Errors
            /// Those of the caller's group in [`Error`].
            pub fn encode(&self, header: &RequestHeader) -> Result<Frame> {
                match self {
                    $( Self::$name(request) => encode_request(header, request), )+
                }
            }
        }

        /// The body of an answer of any API.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs)] // One variant for each API, named as it is.
        pub enum ResponseBody {
            $( $name($response), )+
        }

        impl ResponseBody {
            fn read(key: ApiKey, reader: &mut Reader, version: Version) -> Result<Self> {
                match key {
                    $( ApiKey::$key => read(reader, version).map(Self::$name), )+
                    key => Err(Error::UnknownRequest {
                        key,
                        version: version.number,
                        correlation_id: -1,
                        known: Versions::NONE,
                    }),
                }
            }

            /// The API it belongs to.
            pub fn key(&self) -> ApiKey {
                match self {
                    $( Self::$name(_) => ApiKey::$key, )+
                }
            }

            /// Writes it as a frame; see [`encode_response`].
            ///
            /// # Errors
            /// Those of the caller's group in [`Error`].
            pub fn encode(&self, header: &ResponseHeader, version: i16) -> Result<Frame> {
                match self {
                    $( Self::$name(response) => {
                        encode_response::<$request>(header, version, response)
                    } )+
                }
            }
        }

        $(
            impl From<$request> for RequestBody {
                fn from(request: $request) -> Self {
                    Self::$name(request)
                }
            }

            impl From<$response> for ResponseBody {
                fn from(response: $response) -> Self {
                    Self::$name(response)
                }
            }
        )+
    };
}

apis! {
    produce: PRODUCE Produce ProduceRequest ProduceResponse;
    fetch: FETCH Fetch FetchRequest FetchResponse;
    list_offsets: LIST_OFFSETS ListOffsets ListOffsetsRequest ListOffsetsResponse;
    metadata: METADATA Metadata MetadataRequest MetadataResponse;
    offset_commit: OFFSET_COMMIT OffsetCommit OffsetCommitRequest OffsetCommitResponse;
    offset_fetch: OFFSET_FETCH OffsetFetch OffsetFetchRequest OffsetFetchResponse;
    find_coordinator: FIND_COORDINATOR FindCoordinator FindCoordinatorRequest FindCoordinatorResponse;
    join_group: JOIN_GROUP JoinGroup JoinGroupRequest JoinGroupResponse;
    heartbeat: HEARTBEAT Heartbeat HeartbeatRequest HeartbeatResponse;
    leave_group: LEAVE_GROUP LeaveGroup LeaveGroupRequest LeaveGroupResponse;
    sync_group: SYNC_GROUP SyncGroup SyncGroupRequest SyncGroupResponse;
    describe_groups: DESCRIBE_GROUPS DescribeGroups DescribeGroupsRequest DescribeGroupsResponse;
    list_groups: LIST_GROUPS ListGroups ListGroupsRequest ListGroupsResponse;
    sasl_handshake: SASL_HANDSHAKE SaslHandshake SaslHandshakeRequest SaslHandshakeResponse;
    api_versions: API_VERSIONS ApiVersions ApiVersionsRequest ApiVersionsResponse;
    create_topics: CREATE_TOPICS CreateTopics CreateTopicsRequest CreateTopicsResponse;
    delete_topics: DELETE_TOPICS DeleteTopics DeleteTopicsRequest DeleteTopicsResponse;
    delete_records: DELETE_RECORDS DeleteRecords DeleteRecordsRequest DeleteRecordsResponse;
    init_producer_id: INIT_PRODUCER_ID InitProducerId InitProducerIdRequest InitProducerIdResponse;
    offset_for_leader_epoch: OFFSET_FOR_LEADER_EPOCH OffsetForLeaderEpoch OffsetForLeaderEpochRequest OffsetForLeaderEpochResponse;
    add_partitions_to_txn: ADD_PARTITIONS_TO_TXN AddPartitionsToTxn AddPartitionsToTxnRequest AddPartitionsToTxnResponse;
    add_offsets_to_txn: ADD_OFFSETS_TO_TXN AddOffsetsToTxn AddOffsetsToTxnRequest AddOffsetsToTxnResponse;
    end_txn: END_TXN EndTxn EndTxnRequest EndTxnResponse;
    write_txn_markers: WRITE_TXN_MARKERS WriteTxnMarkers WriteTxnMarkersRequest WriteTxnMarkersResponse;
    txn_offset_commit: TXN_OFFSET_COMMIT TxnOffsetCommit TxnOffsetCommitRequest TxnOffsetCommitResponse;
    describe_acls: DESCRIBE_ACLS DescribeAcls DescribeAclsRequest DescribeAclsResponse;
    create_acls: CREATE_ACLS CreateAcls CreateAclsRequest CreateAclsResponse;
    delete_acls: DELETE_ACLS DeleteAcls DeleteAclsRequest DeleteAclsResponse;
    describe_configs: DESCRIBE_CONFIGS DescribeConfigs DescribeConfigsRequest DescribeConfigsResponse;
    alter_configs: ALTER_CONFIGS AlterConfigs AlterConfigsRequest AlterConfigsResponse;
    describe_log_dirs: DESCRIBE_LOG_DIRS DescribeLogDirs DescribeLogDirsRequest DescribeLogDirsResponse;
    sasl_authenticate: SASL_AUTHENTICATE SaslAuthenticate SaslAuthenticateRequest SaslAuthenticateResponse;
    create_partitions: CREATE_PARTITIONS CreatePartitions CreatePartitionsRequest CreatePartitionsResponse;
    delete_groups: DELETE_GROUPS DeleteGroups DeleteGroupsRequest DeleteGroupsResponse;
    elect_leaders: ELECT_LEADERS ElectLeaders ElectLeadersRequest ElectLeadersResponse;
    incremental_alter_configs: INCREMENTAL_ALTER_CONFIGS IncrementalAlterConfigs IncrementalAlterConfigsRequest IncrementalAlterConfigsResponse;
    alter_partition_reassignments: ALTER_PARTITION_REASSIGNMENTS AlterPartitionReassignments AlterPartitionReassignmentsRequest AlterPartitionReassignmentsResponse;
    list_partition_reassignments: LIST_PARTITION_REASSIGNMENTS ListPartitionReassignments ListPartitionReassignmentsRequest ListPartitionReassignmentsResponse;
    offset_delete: OFFSET_DELETE OffsetDelete OffsetDeleteRequest OffsetDeleteResponse;
    describe_client_quotas: DESCRIBE_CLIENT_QUOTAS DescribeClientQuotas DescribeClientQuotasRequest DescribeClientQuotasResponse;
    alter_client_quotas: ALTER_CLIENT_QUOTAS AlterClientQuotas AlterClientQuotasRequest AlterClientQuotasResponse;
    describe_user_scram_credentials: DESCRIBE_USER_SCRAM_CREDENTIALS DescribeUserScramCredentials DescribeUserScramCredentialsRequest DescribeUserScramCredentialsResponse;
    alter_user_scram_credentials: ALTER_USER_SCRAM_CREDENTIALS AlterUserScramCredentials AlterUserScramCredentialsRequest AlterUserScramCredentialsResponse;
    describe_cluster: DESCRIBE_CLUSTER DescribeCluster DescribeClusterRequest DescribeClusterResponse;
    describe_producers: DESCRIBE_PRODUCERS DescribeProducers DescribeProducersRequest DescribeProducersResponse;
    describe_transactions: DESCRIBE_TRANSACTIONS DescribeTransactions DescribeTransactionsRequest DescribeTransactionsResponse;
    list_transactions: LIST_TRANSACTIONS ListTransactions ListTransactionsRequest ListTransactionsResponse;
    consumer_group_heartbeat: CONSUMER_GROUP_HEARTBEAT ConsumerGroupHeartbeat ConsumerGroupHeartbeatRequest ConsumerGroupHeartbeatResponse;
    consumer_group_describe: CONSUMER_GROUP_DESCRIBE ConsumerGroupDescribe ConsumerGroupDescribeRequest ConsumerGroupDescribeResponse;
    describe_topic_partitions: DESCRIBE_TOPIC_PARTITIONS DescribeTopicPartitions DescribeTopicPartitionsRequest DescribeTopicPartitionsResponse;
}
