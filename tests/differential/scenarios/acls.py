"""Access control lists: entries made, found and deleted, and what each API says to who may not."""

import time

from scenarios.groups import find_until_there
from scenarios.logins import log_in
from scenarios.metadata import topic
from scenarios.topics import produced
from scenarios.transactions import wait_for_ids

ANY, TOPIC, GROUP, CLUSTER, TRANSACTION = 1, 2, 3, 4, 5
MATCH, LITERAL, PREFIXED = 2, 3, 4
ALL, READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, CLUSTER_ACTION, DESCRIBE_CONFIGS, ALTER_CONFIGS, IDEMPOTENT = range(2, 13)
DENY, ALLOW = 2, 3


def run(both):
    both.create(topic("a", 2), topic("a-more", 1), topic("b", 1))
    for kind in (0, 1):
        find_until_there(both, {"keyType": kind, "coordinatorKeys": ["a"]}, 4)
    wait_for_ids(both)
    making(both)
    tidying(both)
    finding(both)
    deleting(both)
    asking(both, "denied")
    allow(both, TOPIC, "a", DESCRIBE)
    allow(both, GROUP, "a", DESCRIBE)
    allow(both, TRANSACTION, "a", DESCRIBE)
    asking(both, "described")
    allow(both, TOPIC, "a", READ, WRITE, DESCRIBE_CONFIGS)
    allow(both, GROUP, "a", READ)
    allow(both, TRANSACTION, "a", WRITE)
    asking(both, "used")
    allow(both, TOPIC, "a", ALL)
    allow(both, CLUSTER, "kafka-cluster", DESCRIBE)
    allow(both, TOPIC, "a-", READ, pattern=PREFIXED)
    allow(both, TOPIC, "a", WRITE, permission=DENY)
    asking(both, "denied to write")


def made(kind=TOPIC, name="a", pattern=LITERAL, principal="User:ann", host="*", operation=READ, permission=ALLOW):
    return {"resourceType": kind, "resourceName": name, "resourcePatternType": pattern, "principal": principal,
            "host": host, "operation": operation, "permissionType": permission}


def asked(kind=ANY, name=None, pattern=ANY, principal=None, host=None, operation=1, permission=1):
    return {"resourceTypeFilter": kind, "resourceNameFilter": name, "patternTypeFilter": pattern,
            "principalFilter": principal, "hostFilter": host, "operation": operation, "permissionType": permission}


def allow(both, kind, name, *operations, pattern=LITERAL, permission=ALLOW):
    entries = [made(kind, name, pattern, operation=each, permission=permission) for each in operations]
    both.last(f"{kind} {name} {operations} {permission}", "CreateAcls", {"creations": entries})
    time.sleep(0.3)  # Kafka's broker learns of it a little later.


def making(both):
    def ask(step, *entries):
        both.each(f"make {step}", "CreateAcls", {"creations": list(entries)})

    ask("one", made(principal="User:dan"))
    ask("the same again", made(principal="User:dan"))
    ask("several", *(made(kind, name, principal="User:dan", operation=DESCRIBE)
                     for kind, name in ((GROUP, "g"), (CLUSTER, "kafka-cluster"), (TRANSACTION, "x"), (TOPIC, "*"))))
    ask("a prefix", made(name="a-", pattern=PREFIXED, principal="User:dan"))
    ask("a host", made(principal="User:dan", host="10.0.0.1"))
    ask("a denial", made(principal="User:dan", operation=WRITE, permission=DENY))
    ask("all users", made(name="b", principal="User:*"))
    ask("nothing")
    ask("any kind", made(ANY))
    ask("no such kind", made(99))
    ask("unknown kind", made(0))
    ask("any pattern", made(pattern=ANY))
    ask("matching pattern", made(pattern=MATCH))
    ask("no such pattern", made(pattern=99))
    ask("no name", made(name=""))
    ask("another cluster", made(CLUSTER, "elsewhere"))
    ask("any operation", made(operation=1))
    ask("no such operation", made(operation=99))
    ask("what topics can't", made(operation=CLUSTER_ACTION))
    ask("what groups can't", made(GROUP, "g", operation=WRITE))
    ask("any permission", made(permission=1))
    ask("no such permission", made(permission=99))
    ask("no principal", made(principal=""))
    ask("no type of principal", made(principal="dan"))
    ask("a group of users", made(principal="Group:staff"))
    ask("no host", made(host=""))
    ask("host that is none", made(principal="User:dan", host="no host"))
    ask("one good, one bad", made(principal="User:eve"), made(ANY))


def tidying(both):
    """What only one of the two has taken."""
    both.last("tidied", "DeleteAcls", {"filters": [
        asked(principal="Group:staff"), asked(principal="User:eve"), asked(host="no host"), asked(host="")]})


def finding(both):
    def ask(step, **filters):
        both.each(f"find {step}", "DescribeAcls", asked(**filters))

    ask("all")
    ask("topics", kind=TOPIC)
    ask("a topic", kind=TOPIC, name="a")
    ask("a topic, literally", kind=TOPIC, name="a", pattern=LITERAL)
    ask("a prefix", kind=TOPIC, name="a-", pattern=PREFIXED)
    ask("what matches", kind=TOPIC, name="a-more", pattern=MATCH)
    ask("a user", principal="User:dan")
    ask("all users", principal="User:*")
    ask("a host", host="10.0.0.1")
    ask("reads", operation=READ)
    ask("denials", permission=DENY)
    ask("nothing", kind=TOPIC, name="nowhere")
    ask("of no such kind", kind=99)
    ask("of an unknown kind", kind=0)
    ask("of no such pattern", pattern=99)
    ask("no such operation", operation=99)
    ask("an unknown operation", operation=0)
    ask("no such permission", permission=99)
    ask("no name", name="")
    ask("no type of principal", principal="dan")
    ask("no host", host="")


def deleting(both):
    def ask(step, *filters):
        both.last(f"delete {step}", "DeleteAcls", {"filters": list(filters)})

    ask("denials", asked(permission=DENY))
    ask("denials again", asked(permission=DENY))
    ask("what matches", asked(TOPIC, "a-more", MATCH, principal="User:dan"))
    ask("several", asked(GROUP), asked(principal="User:nobody"))
    ask("no such kind", asked(99))
    ask("unknown kind", asked(0))
    ask("unknown pattern", asked(pattern=0))
    ask("nothing")
    ask("everything", asked())
    both.each("nothing left", "DescribeAcls", asked())


def asking(both, state):
    """Every API, by somebody who may do some of it."""
    both.close("login-ann")
    log_in(both, "ann logs in", b"\0ann\0ann-secret", "login-ann")

    def ask(step, api, body, version=None, **more):
        newest = version or both.versions_of(api)[-1]
        both.once(f"{state}: {step}", api, newest, body, connection="login-ann", **more)

    names = ("a", "b", "nowhere")
    ask("metadata", "Metadata", {"topics": [{"name": name} for name in names], "allowAutoTopicCreation": False,
                                 "includeTopicAuthorizedOperations": True}, 12)
    ask("metadata of all", "Metadata", {"topics": None}, 12)
    ask("metadata, made", "Metadata", {"topics": [{"name": "c-new"}], "allowAutoTopicCreation": True}, 12)
    ask("topic partitions", "DescribeTopicPartitions", {"topics": [{"name": name} for name in names]})
    now = int(time.time() * 1000)
    for name in names:
        ask(f"produce to {name}", "Produce", produced(name, {"values": ["v"], "time": now}), 11)
        ask(f"fetch {name}", "Fetch", {"maxWaitMs": 10, "minBytes": 1, "maxBytes": 1 << 20, "topics": [
            {"topic": name, "partitions": [{"partition": 0, "fetchOffset": 0, "partitionMaxBytes": 1 << 20}]}]}, 12)
        ask(f"offsets of {name}", "ListOffsets", {"replicaId": -1, "topics": [
            {"name": name, "partitions": [{"partitionIndex": 0, "timestamp": -1}]}]})
        ask(f"epoch of {name}", "OffsetForLeaderEpoch", {"replicaId": -1, "topics": [
            {"topic": name, "partitions": [{"partition": 0, "leaderEpoch": 0, "currentLeaderEpoch": -1}]}]})
        ask(f"delete records of {name}", "DeleteRecords", {"timeoutMs": 5000, "topics": [
            {"name": name, "partitions": [{"partitionIndex": 0, "offset": 0}]}]})
        ask(f"configs of {name}", "DescribeConfigs", {"resources": [
            {"resourceType": 2, "resourceName": name, "configurationKeys": ["retention.ms"]}]})
        ask(f"alter configs of {name}", "IncrementalAlterConfigs", {"validateOnly": True, "resources": [
            {"resourceType": 2, "resourceName": name, "configs": [
                {"name": "retention.ms", "configOperation": 0, "value": "100000000"}]}]})
        ask(f"more partitions of {name}", "CreatePartitions", {"timeoutMs": 5000, "validateOnly": True, "topics": [
            {"name": name, "count": 5, "assignments": None}]})
        ask(f"create {name}", "CreateTopics", {"timeoutMs": 5000, "validateOnly": True, "topics": [
            {"name": name, "numPartitions": 1, "replicationFactor": 1}]})
        ask(f"producers of {name}", "DescribeProducers", {"topics": [{"name": name, "partitionIndexes": [0]}]})
        ask(f"elect leaders of {name}", "ElectLeaders", {"electionType": 0, "timeoutMs": 5000, "topicPartitions": [
            {"topic": name, "partitions": [0]}]})
        ask(f"reassign {name}", "AlterPartitionReassignments", {"timeoutMs": 5000, "topics": [
            {"name": name, "partitions": [{"partitionIndex": 0, "replicas": [1]}]}]})
        ask(f"log dirs of {name}", "DescribeLogDirs", {"topics": [{"topic": name, "partitions": [0]}]})
        ask(f"commit of {name}", "OffsetCommit", {"groupId": "a", "topics": [{"name": name, "partitions": [
            {"partitionIndex": 0, "committedOffset": 1, "committedMetadata": ""}]}]}, 8)
        ask(f"offset deleted of {name}", "OffsetDelete", {"groupId": "a", "topics": [
            {"name": name, "partitions": [{"partitionIndex": 0}]}]})
    ask("delete b and nowhere", "DeleteTopics", {"timeoutMs": 5000, "topics": [{"name": n} for n in names[1:]]})
    ask("reassignments", "ListPartitionReassignments", {"timeoutMs": 5000, "topics": None})
    for group in ("a", "z"):
        ask(f"coordinator of {group}", "FindCoordinator", {"keyType": 0, "coordinatorKeys": [group]})
        ask(f"coordinator of transaction {group}", "FindCoordinator", {"keyType": 1, "coordinatorKeys": [group]})
        ask(f"join {group}", "JoinGroup", {"groupId": group, "sessionTimeoutMs": 10_000, "rebalanceTimeoutMs": 10_000,
                                           "memberId": "nobody", "protocolType": "consumer",
                                           "protocols": [{"name": "range", "metadata": "AAA="}]})
        known = {"groupId": group, "generationId": 1, "memberId": "nobody"}
        ask(f"sync {group}", "SyncGroup", known | {"protocolType": "consumer", "protocolName": "range"})
        ask(f"beat {group}", "Heartbeat", known)
        ask(f"leave {group}", "LeaveGroup", {"groupId": group, "members": [{"memberId": "nobody"}]})
        ask(f"describe {group}", "DescribeGroups", {"groups": [group], "includeAuthorizedOperations": True})
        ask(f"describe new {group}", "ConsumerGroupDescribe", {"groupIds": [group]})
        ask(f"beat anew {group}", "ConsumerGroupHeartbeat", {
            "groupId": group, "memberId": "member-x", "memberEpoch": 5, "subscribedTopicNames": ["a", "b"]})
        ask(f"fetch offsets {group}", "OffsetFetch", {"groups": [
            {"groupId": group, "topics": [{"name": name, "partitionIndexes": [0]} for name in names]}]}, 9)
        ask(f"delete {group}", "DeleteGroups", {"groupsNames": [f"{group}{group}"]})
        ask(f"begin {group}", "InitProducerId", {"transactionalId": f"{group}", "transactionTimeoutMs": 60_000}, 4)
        transaction = {"transactionalId": group, "producerId": 987_654_321, "producerEpoch": 0}
        ask(f"add to {group}", "AddPartitionsToTxn", {
            "v3AndBelowTransactionalId": group, "v3AndBelowProducerId": 987_654_321, "v3AndBelowProducerEpoch": 0,
            "v3AndBelowTopics": [{"name": name, "partitions": [0]} for name in names]}, 3)
        ask(f"add offsets to {group}", "AddOffsetsToTxn", transaction | {"groupId": "z"}, 3)
        ask(f"commit offsets in {group}", "TxnOffsetCommit", transaction | {"groupId": "z", "topics": [
            {"name": "a", "partitions": [{"partitionIndex": 0, "committedOffset": 1, "committedMetadata": ""}]}]}, 3)
        ask(f"end {group}", "EndTxn", transaction | {"committed": True}, 3)
        ask(f"transaction {group}", "DescribeTransactions", {"transactionalIds": [group]})
    ask("groups", "ListGroups", {"statesFilter": [], "typesFilter": []})
    ask("transactions", "ListTransactions", {"stateFilters": [], "producerIdFilters": []})
    ask("a producer id", "InitProducerId", {"transactionalId": None, "transactionTimeoutMs": 60_000}, 4)
    ask("cluster", "DescribeCluster", {"includeClusterAuthorizedOperations": True})
    ask("broker configs", "DescribeConfigs", {"resources": [
        {"resourceType": 4, "resourceName": "1", "configurationKeys": ["num.partitions"]}]})
    ask("quotas", "DescribeClientQuotas", {"components": [], "strict": False})
    ask("alter quotas", "AlterClientQuotas", {"entries": []})
    ask("alter users", "AlterUserScramCredentials", {"upsertions": [], "deletions": [{"name": "x", "mechanism": 1}]})
    ask("lists", "DescribeAcls", asked())
    ask("make lists", "CreateAcls", {"creations": [made()]})
    ask("delete lists", "DeleteAcls", {"filters": [asked(GROUP)]})
    # Last, since Kafka never answers it, and so ends the connection.
    ask("users", "DescribeUserScramCredentials", {"users": None}, silence_ms=1000)
