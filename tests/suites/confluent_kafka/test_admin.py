"""Topics, partitions, configs, records, offsets, the cluster."""

import pytest
from confluent_kafka import ElectionType, IsolationLevel, KafkaError, TopicCollection, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from conftest import LIMIT_S, numbered, read, refused, the_one, until, values


def create(cluster, topic, **more):
    return the_one(cluster.admin.create_topics([topic], **more))


def config_of(cluster, resource):
    return the_one(cluster.admin.describe_configs([resource]))


def topic_resource(name, entries=None):
    return ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)


def test_create_topic_with_config(cluster):
    topic = cluster.topic(3, retention_ms="3600000", cleanup_policy="compact,delete")
    config = config_of(cluster, topic_resource(topic))
    assert config["retention.ms"].value == "3600000"
    assert config["cleanup.policy"].value == "compact,delete"
    assert config["retention.ms"].source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value
    assert len(cluster.admin.list_topics(topic, timeout=LIMIT_S).topics[topic].partitions) == 3


def test_create_topic_with_defaults(cluster):
    topic = cluster.name()
    create(cluster, NewTopic(topic))
    until(lambda: cluster.leads(topic, 4))  # `num.partitions`, as the suite's servers are started.


def test_create_topic_with_an_assignment(cluster):
    topic, node = cluster.name(), the_one(cluster.admin.describe_cluster()).nodes[0].id
    create(cluster, NewTopic(topic, 2, replica_assignment=[[node], [node]]))
    until(lambda: cluster.leads(topic, 2))


def test_create_topic_only_checked(cluster):
    topic = cluster.name()
    create(cluster, NewTopic(topic, 1, 1), validate_only=True)
    assert topic not in cluster.admin.list_topics(timeout=LIMIT_S).topics


@pytest.mark.parametrize(
    "name, partitions, replicas, config, code",
    [
        ("", 1, 1, {}, KafkaError.TOPIC_EXCEPTION),
        ("no spaces", 1, 1, {}, KafkaError.TOPIC_EXCEPTION),
        ("x" * 250, 1, 1, {}, KafkaError.TOPIC_EXCEPTION),
        (None, 0, 1, {}, KafkaError.INVALID_PARTITIONS),
        (None, 1, 2, {}, KafkaError.INVALID_REPLICATION_FACTOR),
        (None, 1, 1, {"no.such": "config"}, KafkaError.INVALID_CONFIG),
        (None, 1, 1, {"retention.ms": "long"}, KafkaError.INVALID_CONFIG),
        (None, 1, 1, {"cleanup.policy": "burn"}, KafkaError.INVALID_CONFIG),
    ],
)
def test_create_topic_refused(cluster, name, partitions, replicas, config, code):
    topic = NewTopic(cluster.name() if name is None else name, partitions, replicas, config=config)
    assert refused(lambda: create(cluster, topic)) == code


def test_create_topic_twice(cluster):
    topic = cluster.topic()
    assert refused(lambda: create(cluster, NewTopic(topic, 1, 1))) == KafkaError.TOPIC_ALREADY_EXISTS


def test_delete_topic(cluster):
    topic = cluster.topic()
    cluster.fill(topic, numbered(3))
    the_one(cluster.admin.delete_topics([topic]))
    until(lambda: topic not in cluster.admin.list_topics(timeout=LIMIT_S).topics)
    assert refused(lambda: the_one(cluster.admin.delete_topics([topic]))) == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_topic_that_is_made_again_is_empty(cluster):
    topic = cluster.topic()
    before = the_one(cluster.admin.describe_topics(TopicCollection([topic]))).topic_id
    cluster.fill(topic, numbered(3))
    the_one(cluster.admin.delete_topics([topic]))
    until(lambda: topic not in cluster.admin.list_topics(timeout=LIMIT_S).topics)
    create(cluster, NewTopic(topic, 1, 1))
    until(lambda: cluster.leads(topic, 1))
    assert str(the_one(cluster.admin.describe_topics(TopicCollection([topic]))).topic_id) != str(before)
    assert values(read(cluster.assigned(topic, 0), len(cluster.fill(topic, ["anew"])))) == ["anew"]


def test_create_partitions(cluster):
    topic = cluster.topic(1)
    the_one(cluster.admin.create_partitions([NewPartitions(topic, 3)], validate_only=True))
    assert cluster.leads(topic, 1)
    the_one(cluster.admin.create_partitions([NewPartitions(topic, 3)]))
    until(lambda: cluster.leads(topic, 3))
    for count in (2, 3):
        fewer = lambda n=count: the_one(cluster.admin.create_partitions([NewPartitions(topic, n)]))  # noqa: E731
        assert refused(fewer) == KafkaError.INVALID_PARTITIONS
    unknown = NewPartitions(cluster.name(), 3)
    assert refused(lambda: the_one(cluster.admin.create_partitions([unknown]))) == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_describe_topics(cluster):
    topics = [cluster.topic(2), cluster.topic(1)]
    unknown = cluster.name()
    found = cluster.admin.describe_topics(TopicCollection([*topics, unknown]), include_authorized_operations=True)
    first = found[topics[0]].result(LIMIT_S)
    assert (first.name, first.is_internal, len(first.partitions)) == (topics[0], False, 2)
    assert [each.id for each in first.partitions] == [0, 1]
    assert all(each.leader.id == each.replicas[0].id == each.isr[0].id for each in first.partitions)
    assert {AclOperation.READ, AclOperation.WRITE, AclOperation.DESCRIBE} <= set(first.authorized_operations)
    assert len(found[topics[1]].result(LIMIT_S).partitions) == 1
    assert refused(lambda: found[unknown].result(LIMIT_S)) == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_describe_cluster(cluster):
    told = the_one(cluster.admin.describe_cluster(include_authorized_operations=True))
    assert len(told.nodes) == 1 and told.controller.id == told.nodes[0].id
    assert told.cluster_id == cluster.admin.list_topics(timeout=LIMIT_S).cluster_id
    assert AclOperation.CREATE in told.authorized_operations


def test_describe_broker_configs(cluster):
    node = the_one(cluster.admin.describe_cluster()).nodes[0].id
    config = config_of(cluster, ConfigResource(ResourceType.BROKER, str(node)))
    for name in ("num.partitions", "message.max.bytes", "log.retention.ms", "auto.create.topics.enable"):
        assert name in config, name
    assert config["num.partitions"].value == "4"


def test_describe_configs_of_what_is_not_there(cluster):
    unknown = topic_resource(cluster.name())
    assert refused(lambda: config_of(cluster, unknown)) == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_alter_configs(cluster):
    topic = cluster.topic(retention_ms="3600000")
    resource = ConfigResource(ResourceType.TOPIC, topic, set_config={"max.message.bytes": "5000"})
    with pytest.deprecated_call():
        the_one(cluster.admin.alter_configs([resource]))

    def is_so():
        config = config_of(cluster, topic_resource(topic))
        # What isn't named is a default again.
        return config["max.message.bytes"].value == "5000" and config["retention.ms"].is_default

    until(is_so)


def test_incremental_alter_configs(cluster):
    topic = cluster.topic(retention_ms="3600000", cleanup_policy="delete")

    def alter(name, operation, value=None, **more):
        entry = ConfigEntry(name, value, incremental_operation=operation)
        the_one(cluster.admin.incremental_alter_configs([topic_resource(topic, [entry])], **more))

    def has(name, value):
        until(lambda: config_of(cluster, topic_resource(topic))[name].value == value)

    alter("max.message.bytes", AlterConfigOpType.SET, "7000", validate_only=True)
    assert config_of(cluster, topic_resource(topic))["max.message.bytes"].value != "7000"
    alter("max.message.bytes", AlterConfigOpType.SET, "7000")
    has("max.message.bytes", "7000")
    has("retention.ms", "3600000")
    alter("cleanup.policy", AlterConfigOpType.APPEND, "compact")
    has("cleanup.policy", "delete,compact")
    alter("cleanup.policy", AlterConfigOpType.SUBTRACT, "delete")
    has("cleanup.policy", "compact")
    alter("retention.ms", AlterConfigOpType.DELETE)
    until(lambda: config_of(cluster, topic_resource(topic))["retention.ms"].is_default)
    for name, operation, value in [
        ("retention.ms", AlterConfigOpType.SET, "long"),
        ("no.such", AlterConfigOpType.SET, "config"),
        ("retention.ms", AlterConfigOpType.APPEND, "1"),
    ]:
        assert refused(lambda: alter(name, operation, value)) == KafkaError.INVALID_CONFIG


def test_delete_records(cluster):
    topic = cluster.topic(2)
    cluster.fill(topic, numbered(10))
    cluster.fill(topic, numbered(4), partition=1)
    asked = [TopicPartition(topic, 0, 6), TopicPartition(topic, 1, -1)]
    deleted = {each.partition: future.result(LIMIT_S) for each, future in cluster.admin.delete_records(asked).items()}
    assert (deleted[0].low_watermark, deleted[1].low_watermark) == (6, 4)
    assert cluster.consumer().get_watermark_offsets(TopicPartition(topic, 0), LIMIT_S) == (6, 10)
    assert values(read(cluster.assigned(topic, 0), 4)) == numbered(4, 6)
    beyond = TopicPartition(topic, 0, 11)
    assert refused(lambda: the_one(cluster.admin.delete_records([beyond]))) == KafkaError.OFFSET_OUT_OF_RANGE


def test_list_offsets(cluster):
    topic = cluster.topic()
    producer = cluster.producer()
    base = cluster.fill(topic, ["now"])[0].timestamp()[1]
    for n, ahead in enumerate([5_000, 9_000, 7_000]):
        producer.produce(topic, str(n), timestamp=base + ahead)
        assert producer.flush(LIMIT_S) == 0
    place = TopicPartition(topic, 0)

    def at(spec):
        asked = cluster.admin.list_offsets({place: spec}, isolation_level=IsolationLevel.READ_COMMITTED)
        return the_one(asked)

    assert at(OffsetSpec.earliest()).offset == 0
    assert at(OffsetSpec.latest()).offset == 4
    latest = at(OffsetSpec.max_timestamp())
    assert (latest.offset, latest.timestamp) == (2, base + 9_000)
    found = at(OffsetSpec.for_timestamp(base + 6_000))
    assert (found.offset, found.timestamp) == (2, base + 9_000)
    assert at(OffsetSpec.for_timestamp(base + 60_000)).offset == -1
    unknown = {TopicPartition(cluster.name(), 0): OffsetSpec.latest()}
    # The client finds no leader to ask.
    assert refused(lambda: the_one(cluster.admin.list_offsets(unknown))) == KafkaError._NOENT


def test_elect_leaders(cluster):
    topic = cluster.topic()
    unknown = cluster.name()
    asked = [TopicPartition(topic, 0), TopicPartition(unknown, 0)]
    told = the_one(cluster.admin.elect_leaders(ElectionType.PREFERRED, asked))
    codes = {place.topic: error.code() for place, error in told.items()}
    assert codes == {topic: KafkaError.ELECTION_NOT_NEEDED, unknown: KafkaError.UNKNOWN_TOPIC_OR_PART}


def test_acls_without_an_authorizer(cluster):
    named = (ResourceType.TOPIC, cluster.name(), ResourcePatternType.LITERAL, "User:ann", "*", AclOperation.READ)
    binding = AclBinding(*named, AclPermissionType.ALLOW)
    everything = AclBindingFilter(
        ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
    )
    assert refused(lambda: the_one(cluster.admin.create_acls([binding]))) == KafkaError.SECURITY_DISABLED
    assert refused(lambda: the_one(cluster.admin.delete_acls([everything]))) == KafkaError.SECURITY_DISABLED


def test_scram_credentials(cluster):
    user = cluster.name("user")
    upsertion = UserScramCredentialUpsertion(user, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 8192), b"secret")
    the_one(cluster.admin.alter_user_scram_credentials([upsertion]))

    def told():
        return the_one(cluster.admin.describe_user_scram_credentials([user])).scram_credential_infos

    def is_there():
        try:
            return [(each.mechanism, each.iterations) for each in told()]
        except Exception:  # noqa: BLE001  # Not yet.
            return None

    assert until(is_there) == [(ScramMechanism.SCRAM_SHA_256, 8192)]
    assert user in the_one(cluster.admin.describe_user_scram_credentials())
    the_one(cluster.admin.alter_user_scram_credentials([UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_256)]))
    until(lambda: not is_there())
    assert refused(told) == KafkaError.RESOURCE_NOT_FOUND
    gone = UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_256)
    assert refused(lambda: the_one(cluster.admin.alter_user_scram_credentials([gone]))) == KafkaError.RESOURCE_NOT_FOUND
