//! Which API asks for which permission. This is the one place that says so: what is served and isn't here
//! is refused, and a test walks the list.

use fletch_wire::ApiKey;

use crate::auth::acl::Operation::{
    Alter, AlterConfigs, ClusterAction, Create, Delete, Describe, DescribeConfigs, IdempotentWrite,
    Read, Write,
};
use crate::auth::acl::ResourceType::{Cluster, Group, Topic, TransactionalId};
use crate::auth::acl::{Operation, ResourceType};

/// What an API asks for, of each kind of resource that a request names. An API that asks for nothing is
/// open to everybody, and its answers tell nothing that isn't theirs.
pub(crate) type Rule = &'static [(ResourceType, Operation)];

/// By API, in the order of the keys.
pub(crate) const RULES: &[(ApiKey, Rule)] = &[
    // A transactional producer's id, too, where it has one.
    (ApiKey::PRODUCE, &[(Topic, Write), (TransactionalId, Write)]),
    (ApiKey::FETCH, &[(Topic, Read)]),
    (ApiKey::LIST_OFFSETS, &[(Topic, Describe)]),
    // A topic that is missing is created for who may create it.
    (
        ApiKey::METADATA,
        &[(Topic, Describe), (Topic, Create), (Cluster, Create)],
    ),
    (ApiKey::OFFSET_COMMIT, &[(Group, Read), (Topic, Read)]),
    (
        ApiKey::OFFSET_FETCH,
        &[(Group, Describe), (Topic, Describe)],
    ),
    (
        ApiKey::FIND_COORDINATOR,
        &[(Group, Describe), (TransactionalId, Describe)],
    ),
    (ApiKey::JOIN_GROUP, &[(Group, Read)]),
    (ApiKey::HEARTBEAT, &[(Group, Read)]),
    (ApiKey::LEAVE_GROUP, &[(Group, Read)]),
    (ApiKey::SYNC_GROUP, &[(Group, Read)]),
    (ApiKey::DESCRIBE_GROUPS, &[(Group, Describe)]),
    // All of them for who may describe the cluster.
    (
        ApiKey::LIST_GROUPS,
        &[(Group, Describe), (Cluster, Describe)],
    ),
    (ApiKey::SASL_HANDSHAKE, &[]),
    (ApiKey::API_VERSIONS, &[]),
    // The topic or, for all topics, the cluster.
    (ApiKey::CREATE_TOPICS, &[(Topic, Create), (Cluster, Create)]),
    (ApiKey::DELETE_TOPICS, &[(Topic, Delete)]),
    (ApiKey::DELETE_RECORDS, &[(Topic, Delete)]),
    // With an id, its own permission; without, that of writing to the cluster or to any topic.
    (
        ApiKey::INIT_PRODUCER_ID,
        &[
            (TransactionalId, Write),
            (Cluster, IdempotentWrite),
            (Topic, Write),
        ],
    ),
    (ApiKey::OFFSET_FOR_LEADER_EPOCH, &[(Topic, Describe)]),
    // The first two of a producer, the last of a broker.
    (
        ApiKey::ADD_PARTITIONS_TO_TXN,
        &[
            (TransactionalId, Write),
            (Topic, Write),
            (Cluster, ClusterAction),
        ],
    ),
    (
        ApiKey::ADD_OFFSETS_TO_TXN,
        &[(TransactionalId, Write), (Group, Read)],
    ),
    (ApiKey::END_TXN, &[(TransactionalId, Write)]),
    (ApiKey::WRITE_TXN_MARKERS, &[(Cluster, ClusterAction)]),
    (
        ApiKey::TXN_OFFSET_COMMIT,
        &[(TransactionalId, Write), (Group, Read), (Topic, Read)],
    ),
    (ApiKey::DESCRIBE_ACLS, &[(Cluster, Describe)]),
    (ApiKey::CREATE_ACLS, &[(Cluster, Alter)]),
    (ApiKey::DELETE_ACLS, &[(Cluster, Alter)]),
    (
        ApiKey::DESCRIBE_CONFIGS,
        &[(Topic, DescribeConfigs), (Cluster, DescribeConfigs)],
    ),
    (
        ApiKey::ALTER_CONFIGS,
        &[(Topic, AlterConfigs), (Cluster, AlterConfigs)],
    ),
    (ApiKey::DESCRIBE_LOG_DIRS, &[(Cluster, Describe)]),
    (ApiKey::SASL_AUTHENTICATE, &[]),
    (ApiKey::CREATE_PARTITIONS, &[(Topic, Alter)]),
    (ApiKey::DELETE_GROUPS, &[(Group, Delete)]),
    (ApiKey::ELECT_LEADERS, &[(Cluster, Alter)]),
    (
        ApiKey::INCREMENTAL_ALTER_CONFIGS,
        &[(Topic, AlterConfigs), (Cluster, AlterConfigs)],
    ),
    (ApiKey::ALTER_PARTITION_REASSIGNMENTS, &[(Cluster, Alter)]),
    (ApiKey::LIST_PARTITION_REASSIGNMENTS, &[(Cluster, Describe)]),
    (ApiKey::OFFSET_DELETE, &[(Group, Delete), (Topic, Read)]),
    (
        ApiKey::DESCRIBE_CLIENT_QUOTAS,
        &[(Cluster, DescribeConfigs)],
    ),
    (ApiKey::ALTER_CLIENT_QUOTAS, &[(Cluster, AlterConfigs)]),
    (
        ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS,
        &[(Cluster, Describe)],
    ),
    (ApiKey::ALTER_USER_SCRAM_CREDENTIALS, &[(Cluster, Alter)]),
    // Where the cluster is may be known to all who are let in.
    (ApiKey::DESCRIBE_CLUSTER, &[]),
    (ApiKey::DESCRIBE_PRODUCERS, &[(Topic, Read)]),
    // Of a transaction, the topics that may be described.
    (
        ApiKey::DESCRIBE_TRANSACTIONS,
        &[(TransactionalId, Describe), (Topic, Describe)],
    ),
    (ApiKey::LIST_TRANSACTIONS, &[(TransactionalId, Describe)]),
    (
        ApiKey::CONSUMER_GROUP_HEARTBEAT,
        &[(Group, Read), (Topic, Describe)],
    ),
    (ApiKey::CONSUMER_GROUP_DESCRIBE, &[(Group, Describe)]),
    (ApiKey::DESCRIBE_TOPIC_PARTITIONS, &[(Topic, Describe)]),
];

/// What an API asks for; none if nobody has said.
pub(crate) fn rule(key: ApiKey) -> Option<Rule> {
    RULES
        .iter()
        .find(|(known, _)| *known == key)
        .map(|(_, rule)| *rule)
}

/// The operation that an API asks for on a kind of resource, the first if there are several.
pub(crate) fn operation(key: ApiKey, resource_type: ResourceType) -> Option<Operation> {
    let mut asked = rule(key)?.iter();
    let found = asked.find(|(of, _)| *of == resource_type)?;
    Some(found.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::SERVED;

    #[test]
    fn every_api_that_is_served_has_a_rule() {
        for (key, _) in SERVED {
            assert!(
                rule(*key).is_some(),
                "{key} is served and has no rule: add it to RULES"
            );
        }
        assert!(
            RULES.is_sorted_by_key(|(key, _)| key.0),
            "the rules are in the order of the keys"
        );
    }

    #[test]
    fn rules_ask_for_what_makes_sense() {
        for (key, rule) in RULES {
            for (resource_type, operation) in *rule {
                assert!(
                    Operation::of(*resource_type).contains(operation),
                    "{key}: {operation:?}"
                );
            }
        }
    }
}
