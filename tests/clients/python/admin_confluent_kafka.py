"""confluent-kafka's AdminClient: topics made, described, changed, and deleted; records deleted."""

import argparse

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
)

CONFIGS = {"retention.ms": "86400000", "message.timestamp.type": "LogAppendTime"}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    servers = {"bootstrap.servers": parser.parse_args().bootstrap}
    admin = AdminClient(servers)
    topic = NewTopic("made", num_partitions=4, replication_factor=1, config=CONFIGS)

    checked = NewTopic("checked", num_partitions=1, replication_factor=1)
    admin.create_topics([checked], validate_only=True)["checked"].result(30)
    admin.create_topics([topic])["made"].result(30)
    assert code(admin.create_topics([topic])["made"]) == KafkaError.TOPIC_ALREADY_EXISTS
    bad = NewTopic("no/slashes", num_partitions=1, replication_factor=1)
    assert code(admin.create_topics([bad])["no/slashes"]) == KafkaError.TOPIC_EXCEPTION

    topics = admin.list_topics(timeout=30).topics
    assert len(topics["made"].partitions) == 4 and "checked" not in topics, topics
    resource = ConfigResource(ConfigResource.Type.TOPIC, "made")
    described = admin.describe_configs([resource])[resource].result(30)
    assert {name: described[name].value for name in CONFIGS} == CONFIGS, described
    cluster = admin.describe_cluster().result(30)
    assert cluster.cluster_id and len(cluster.nodes) == 1, cluster

    admin.create_partitions([NewPartitions("made", 6)])["made"].result(30)
    assert len(admin.list_topics(timeout=30).topics["made"].partitions) == 6
    refused = admin.create_partitions([NewPartitions("made", 6)])["made"]
    assert code(refused) == KafkaError.INVALID_PARTITIONS

    changed = ConfigResource(
        ConfigResource.Type.TOPIC,
        "made",
        incremental_configs=[
            ConfigEntry("retention.ms", "1000", incremental_operation=AlterConfigOpType.SET),
            ConfigEntry(
                "message.timestamp.type", None, incremental_operation=AlterConfigOpType.DELETE
            ),
        ],
    )
    admin.incremental_alter_configs([changed])[changed].result(30)
    described = admin.describe_configs([resource])[resource].result(30)
    assert described["retention.ms"].value == "1000", described
    assert described["message.timestamp.type"].value == "CreateTime", described
    replaced = ConfigResource(
        ConfigResource.Type.TOPIC, "made", set_config={"max.message.bytes": "5000"}
    )
    admin.alter_configs([replaced])[replaced].result(30)
    described = admin.describe_configs([resource])[resource].result(30)
    assert described["retention.ms"].value == "604800000", described
    assert described["max.message.bytes"].value == "5000", described
    unknown = ConfigResource(ConfigResource.Type.TOPIC, "made", set_config={"no.such": "1"})
    assert code(admin.alter_configs([unknown])[unknown]) == KafkaError.INVALID_CONFIG

    # In a partition that the topic didn't have at first.
    producer = Producer(servers)
    for number in range(10):
        producer.produce("made", partition=5, value=str(number))
    assert producer.flush(30) == 0
    where = TopicPartition("made", 5, 4)
    assert admin.delete_records([where])[where].result(30).low_watermark == 4
    far = TopicPartition("made", 5, 11)
    assert code(admin.delete_records([far])[far]) == KafkaError.OFFSET_OUT_OF_RANGE
    place = TopicPartition("made", 5)
    earliest = admin.list_offsets({place: OffsetSpec.earliest()})[place].result(30)
    latest = admin.list_offsets({place: OffsetSpec.latest()})[place].result(30)
    assert (earliest.offset, latest.offset) == (4, 10), (earliest, latest)

    admin.delete_topics(["made"])["made"].result(30)
    assert "made" not in admin.list_topics(timeout=30).topics
    assert code(admin.delete_topics(["made"])["made"]) == KafkaError.UNKNOWN_TOPIC_OR_PART


def code(future):
    try:
        future.result(30)
    except KafkaException as error:
        return error.args[0].code()
    raise AssertionError("it should have been refused")


if __name__ == "__main__":
    main()
