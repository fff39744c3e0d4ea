"""confluent-kafka's AdminClient: topics made, described, and deleted."""

import argparse

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

CONFIGS = {"retention.ms": "86400000", "message.timestamp.type": "LogAppendTime"}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    admin = AdminClient({"bootstrap.servers": parser.parse_args().bootstrap})
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
