use std::fmt;

/// A Kafka error code. 0 is none. Codes this crate has no name for are kept as they are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(transparent)]
pub struct ErrorCode(pub i16);

macro_rules! error_codes {
    ($($code:literal $name:ident $again:ident $doc:literal),+ $(,)?) => {
        impl ErrorCode {
            $(
                #[doc = $doc]
                #[doc = concat!("(", stringify!($code), ")")]
                pub const $name: Self = Self($code);
            )+

            /// Every code that has a name, ascending.
            pub const ALL: &[Self] = &[$(Self($code)),+];

            /// Kafka's name of the code, if it has one.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some(stringify!($name)),)+
                    _ => None,
                }
            }

            /// What the code says.
            pub const fn message(self) -> &'static str {
                match self.0 {
                    $($code => $doc,)+
                    _ => "An error that has no name here.",
                }
            }

            /// Whether a client may get another answer by asking again.
            pub const fn is_retriable(self) -> bool {
                match self.0 {
                    $($code => error_codes!(@$again),)+
                    _ => false,
                }
            }
        }
    };
    (@retry) => { true };
    (@final) => { false };
}

error_codes! {
    -1 UNKNOWN_SERVER_ERROR final "The broker failed in a way it has no other code for.",
    0 NONE final "No error.",
    1 OFFSET_OUT_OF_RANGE final "The offset is not in the log of the partition.",
    2 CORRUPT_MESSAGE retry "The batch fails its CRC, or has a size that can't be.",
    3 UNKNOWN_TOPIC_OR_PARTITION retry "The broker has no such topic or partition.",
    4 INVALID_FETCH_SIZE final "The fetch size can't be.",
    5 LEADER_NOT_AVAILABLE retry "The partition has no leader at the moment.",
    6 NOT_LEADER_OR_FOLLOWER retry "The broker is not the leader, or a follower, of the partition.",
    7 REQUEST_TIMED_OUT retry "The time given for the request ran out.",
    8 BROKER_NOT_AVAILABLE final "The broker is not there.",
    9 REPLICA_NOT_AVAILABLE retry "The broker has no replica of the partition.",
    10 MESSAGE_TOO_LARGE final "The batch is larger than the topic takes.",
    11 STALE_CONTROLLER_EPOCH final "The controller has moved on.",
    12 OFFSET_METADATA_TOO_LARGE final "The metadata of a committed offset is too large.",
    13 NETWORK_EXCEPTION retry "The connection broke before the answer came.",
    14 COORDINATOR_LOAD_IN_PROGRESS retry "The coordinator is loading its state.",
    15 COORDINATOR_NOT_AVAILABLE retry "There is no coordinator at the moment.",
    16 NOT_COORDINATOR retry "The broker is not the coordinator that was asked for.",
    17 INVALID_TOPIC_EXCEPTION final "The name can't be that of a topic.",
    18 RECORD_LIST_TOO_LARGE final "The batch is larger than a segment.",
    19 NOT_ENOUGH_REPLICAS retry "Fewer replicas are in sync than the topic asks for.",
    20 NOT_ENOUGH_REPLICAS_AFTER_APPEND retry "The batch was written to fewer replicas than the topic asks for.",
    21 INVALID_REQUIRED_ACKS final "The acks are none of -1, 0 and 1.",
    22 ILLEGAL_GENERATION final "The generation is not the group's.",
    23 INCONSISTENT_GROUP_PROTOCOL final "The member shares no protocol with its group.",
    24 INVALID_GROUP_ID final "The name can't be that of a group.",
    25 UNKNOWN_MEMBER_ID final "The group has no such member.",
    26 INVALID_SESSION_TIMEOUT final "The session timeout is out of the allowed range.",
    27 REBALANCE_IN_PROGRESS final "The group is rebalancing.",
    28 INVALID_COMMIT_OFFSET_SIZE final "The commit is too large.",
    29 TOPIC_AUTHORIZATION_FAILED final "The principal may not do this with the topic.",
    30 GROUP_AUTHORIZATION_FAILED final "The principal may not do this with the group.",
    31 CLUSTER_AUTHORIZATION_FAILED final "The principal may not do this with the cluster.",
    32 INVALID_TIMESTAMP final "The timestamp is out of the allowed range.",
    33 UNSUPPORTED_SASL_MECHANISM final "The broker lacks the SASL mechanism.",
    34 ILLEGAL_SASL_STATE final "The request doesn't fit the state of the SASL exchange.",
    35 UNSUPPORTED_VERSION final "The broker doesn't serve this version.",
    36 TOPIC_ALREADY_EXISTS final "The topic is there already.",
    37 INVALID_PARTITIONS final "The count of partitions can't be.",
    38 INVALID_REPLICATION_FACTOR final "The replication factor can't be.",
    39 INVALID_REPLICA_ASSIGNMENT final "The assignment of replicas can't be.",
    40 INVALID_CONFIG final "The configuration can't be.",
    41 NOT_CONTROLLER retry "The broker is not the controller.",
    42 INVALID_REQUEST final "The request contradicts itself.",
    43 UNSUPPORTED_FOR_MESSAGE_FORMAT final "The message format of the topic can't do this.",
    44 POLICY_VIOLATION final "A policy of the broker forbids this.",
    45 OUT_OF_ORDER_SEQUENCE_NUMBER final "The producer's sequence has a gap.",
    46 DUPLICATE_SEQUENCE_NUMBER final "The producer's sequence was seen before, too long ago to say where.",
    47 INVALID_PRODUCER_EPOCH final "The producer's epoch is older than the newest one.",
    48 INVALID_TXN_STATE final "The transaction is not in a state to do this.",
    49 INVALID_PRODUCER_ID_MAPPING final "The producer id is not that of the transactional id.",
    50 INVALID_TRANSACTION_TIMEOUT final "The transaction timeout is longer than allowed.",
    51 CONCURRENT_TRANSACTIONS retry "The transactional id has a transaction that is still ending.",
    52 TRANSACTION_COORDINATOR_FENCED final "The transaction coordinator has been replaced.",
    53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED final "The principal may not use the transactional id.",
    54 SECURITY_DISABLED final "Security is switched off.",
    55 OPERATION_NOT_ATTEMPTED final "The operation was not tried, because another in the request failed.",
    56 KAFKA_STORAGE_ERROR retry "The disk failed.",
    57 LOG_DIR_NOT_FOUND final "The broker has no such log directory.",
    58 SASL_AUTHENTICATION_FAILED final "The SASL authentication failed.",
    59 UNKNOWN_PRODUCER_ID final "The broker knows nothing of the producer id.",
    60 REASSIGNMENT_IN_PROGRESS final "The partition is being reassigned.",
    61 DELEGATION_TOKEN_AUTH_DISABLED final "Delegation tokens are switched off.",
    62 DELEGATION_TOKEN_NOT_FOUND final "There is no such delegation token.",
    63 DELEGATION_TOKEN_OWNER_MISMATCH final "The delegation token is somebody else's.",
    64 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED final "Delegation tokens can't be asked for on this connection.",
    65 DELEGATION_TOKEN_AUTHORIZATION_FAILED final "The principal may not use the delegation token.",
    66 DELEGATION_TOKEN_EXPIRED final "The delegation token has expired.",
    67 INVALID_PRINCIPAL_TYPE final "The type of principal is not one that is supported.",
    68 NON_EMPTY_GROUP final "The group still has members.",
    69 GROUP_ID_NOT_FOUND final "There is no such group.",
    70 FETCH_SESSION_ID_NOT_FOUND retry "There is no such fetch session.",
    71 INVALID_FETCH_SESSION_EPOCH retry "The epoch is not the one expected next in the fetch session.",
    72 LISTENER_NOT_FOUND retry "The leader has no listener of this name.",
    73 TOPIC_DELETION_DISABLED final "Topics can't be deleted.",
    74 FENCED_LEADER_EPOCH retry "The leader epoch is older than the broker's.",
    75 UNKNOWN_LEADER_EPOCH retry "The leader epoch is newer than the broker's.",
    76 UNSUPPORTED_COMPRESSION_TYPE final "The broker, or the version, lacks the compression.",
    77 STALE_BROKER_EPOCH final "The broker's epoch has moved on.",
    78 OFFSET_NOT_AVAILABLE retry "The leader's high watermark has not caught up since it was elected.",
    79 MEMBER_ID_REQUIRED final "The member must join again with the id it was given.",
    80 PREFERRED_LEADER_NOT_AVAILABLE retry "The preferred leader is not there.",
    81 GROUP_MAX_SIZE_REACHED final "The group is full.",
    82 FENCED_INSTANCE_ID final "Another member has the instance id.",
    83 ELIGIBLE_LEADERS_NOT_AVAILABLE retry "No replica that could lead is there.",
    84 ELECTION_NOT_NEEDED retry "The partition has the leader that was asked for.",
    85 NO_REASSIGNMENT_IN_PROGRESS final "The partition is not being reassigned.",
    86 GROUP_SUBSCRIBED_TO_TOPIC final "The group is subscribed to the topic.",
    87 INVALID_RECORD final "A record breaks a rule of its topic or of the format.",
    88 UNSTABLE_OFFSET_COMMIT retry "A transaction has offsets of the group that aren't decided.",
    89 THROTTLING_QUOTA_EXCEEDED retry "A quota is used up.",
    90 PRODUCER_FENCED final "A newer producer has the transactional id.",
    91 RESOURCE_NOT_FOUND final "There is no such resource.",
    92 DUPLICATE_RESOURCE final "The resource is there already.",
    93 UNACCEPTABLE_CREDENTIAL final "The credential doesn't meet the requirements.",
    94 INCONSISTENT_VOTER_SET final "The voters differ from those that the broker knows.",
    95 INVALID_UPDATE_VERSION final "The version of the update can't be.",
    96 FEATURE_UPDATE_FAILED final "The features could not be updated.",
    97 PRINCIPAL_DESERIALIZATION_FAILURE final "A forwarded principal could not be read.",
    98 SNAPSHOT_NOT_FOUND final "There is no such snapshot.",
    99 POSITION_OUT_OF_RANGE final "The position is not in the snapshot.",
    100 UNKNOWN_TOPIC_ID retry "The broker has no topic of this id.",
    101 DUPLICATE_BROKER_REGISTRATION final "The broker id is taken.",
    102 BROKER_ID_NOT_REGISTERED final "The broker id is not registered.",
    103 INCONSISTENT_TOPIC_ID retry "The topic id is not that of the partition in the log.",
    104 INCONSISTENT_CLUSTER_ID final "The cluster id is another one.",
    105 TRANSACTIONAL_ID_NOT_FOUND final "There is no such transactional id.",
    106 FETCH_SESSION_TOPIC_ID_ERROR retry "The fetch session mixes topic ids and names.",
    107 INELIGIBLE_REPLICA final "The replica can't be in sync.",
    108 NEW_LEADER_ELECTED final "The change made another replica the leader.",
    109 OFFSET_MOVED_TO_TIERED_STORAGE final "The offset is in tiered storage.",
    110 FENCED_MEMBER_EPOCH final "The member's epoch is fenced by the coordinator.",
    111 UNRELEASED_INSTANCE_ID final "The instance id is still in use by another member.",
    112 UNSUPPORTED_ASSIGNOR final "The group can't use the assignor.",
    113 STALE_MEMBER_EPOCH final "The member's epoch is older than the coordinator's.",
    114 MISMATCHED_ENDPOINT_TYPE final "The request came to the wrong kind of endpoint.",
    115 UNSUPPORTED_ENDPOINT_TYPE final "The endpoint type is not known.",
    116 UNKNOWN_CONTROLLER_ID final "The controller id is not known.",
    117 UNKNOWN_SUBSCRIPTION_ID final "The telemetry subscription is not the current one.",
    118 TELEMETRY_TOO_LARGE final "The telemetry is larger than the broker takes.",
    119 INVALID_REGISTRATION final "The controller doesn't accept the broker's registration.",
    120 TRANSACTION_ABORTABLE final "The transaction must be aborted; the producer may go on after that.",
    121 INVALID_RECORD_STATE final "The record is not in a state to be acknowledged.",
    122 SHARE_SESSION_NOT_FOUND retry "There is no such share session.",
    123 INVALID_SHARE_SESSION_EPOCH retry "The epoch is not the one expected next in the share session.",
    124 FENCED_STATE_EPOCH final "The state epoch is not the share coordinator's.",
    125 INVALID_VOTER_KEY final "The voter key is not that of the receiver.",
    126 DUPLICATE_VOTER final "The voter is there already.",
    127 VOTER_NOT_FOUND final "There is no such voter.",
    128 INVALID_REGULAR_EXPRESSION final "The regular expression is not valid.",
    129 REBOOTSTRAP_REQUIRED final "The client's metadata is too old: it must begin again from its bootstrap servers.",
    130 STREAMS_INVALID_TOPOLOGY final "The topology is not valid.",
    131 STREAMS_INVALID_TOPOLOGY_EPOCH final "The topology epoch is not valid.",
    132 STREAMS_TOPOLOGY_FENCED final "The topology epoch is older than the group's.",
    133 SHARE_SESSION_LIMIT_REACHED retry "The broker has as many share sessions as it takes.",
}

impl ErrorCode {
    /// Whether there is no error.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "error {}", self.0),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({})", self.0)
    }
}
