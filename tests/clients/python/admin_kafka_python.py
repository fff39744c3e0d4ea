"""kafka-python's KafkaAdminClient: topics made, described, and deleted."""

import argparse

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic
from kafka.errors import TopicAlreadyExistsError

CONFIGS = {"retention.ms": "86400000", "message.timestamp.type": "LogAppendTime"}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    admin = KafkaAdminClient(bootstrap_servers=parser.parse_args().bootstrap)
    topic = NewTopic("made", num_partitions=4, replication_factor=1, topic_configs=CONFIGS)
    admin.create_topics([topic])
    try:
        admin.create_topics([topic])
        raise AssertionError("it should have been refused")
    except TopicAlreadyExistsError:
        pass
    (described,) = admin.describe_topics(["made"])
    assert len(described["partitions"]) == 4, described
    resource = ConfigResource(ConfigResourceType.TOPIC, "made")
    described = str(admin.describe_configs([resource]))  # Of another type in each version.
    assert all(name in described and value in described for name, value in CONFIGS.items()), described
    assert len(admin.describe_cluster()["brokers"]) == 1
    admin.delete_topics(["made"])
    assert "made" not in admin.list_topics()


if __name__ == "__main__":
    main()
