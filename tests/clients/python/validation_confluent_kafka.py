"""Schema validation on the broker's side: what confluent-kafka's serializers send with each subject name
strategy is taken by a topic of that strategy, and what wasn't written with a schema of its subjects is
refused; and the table as two readers see it.
"""

import argparse
import json

from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource,
                                   NewTopic)
from confluent_kafka.schema_registry import SchemaRegistryClient, header_schema_id_serializer
from confluent_kafka.schema_registry import record_subject_name_strategy
from confluent_kafka.schema_registry import topic_record_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from formats_confluent_kafka import Sender, order_class

STRATEGIES = {
    "TopicNameStrategy": None,
    "RecordNameStrategy": record_subject_name_strategy,
    "TopicRecordNameStrategy": topic_record_subject_name_strategy,
}
CLASSES = "io.confluent.kafka.serializers.subject."


def schema(name):
    return json.dumps({"type": "record", "name": name, "namespace": "shop",
                       "fields": [{"name": "n", "type": "int"}]})


def refused(sender, value, key=None):
    """Nothing is stored: what was refused is no row in the end."""
    reports = []
    sender.producer.produce(sender.topic, key=key, value=value, partition=0,
                            on_delivery=lambda error, _: reports.append(error))
    assert sender.producer.flush(30) == 0
    assert reports[0] is not None and reports[0].code() == KafkaError.INVALID_RECORD, reports


def values(args, registry, name, strategy):
    topic = f"validated-{name}"
    config = {"confluent.value.schema.validation": "true",
              "confluent.value.subject.name.strategy": CLASSES + name}
    admin = AdminClient({"bootstrap.servers": args.bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1, config=config)])[topic].result()
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    described = admin.describe_configs([resource])[resource].result()
    assert {name: described[name].value for name in config} == config
    settings = {} if strategy is None else {"subject.name.strategy": strategy}
    sender = Sender(args, topic)
    for style, more in enumerate(({}, {"schema.id.serializer": header_schema_id_serializer})):
        avro = AvroSerializer(registry, schema(name), conf=settings | more)
        for n in range(style, 6, 2):
            sender.send(avro, {"n": n}, {"kafka_format": "avro", "n": n})
    if strategy is not None:
        # The second subject of the topic, of another language.
        order = order_class(1)
        proto = ProtobufSerializer(order, registry, {"use.deprecated.format": False} | settings)
        sender.send(proto, order(id=7, customer="c"),
                    {"kafka_format": "protobuf", "id": 7, "customer": "c"})
    # Written with the strategy of others, so registered under a subject that isn't the topic's.
    stranger = AvroSerializer(registry, schema(f"StrangerTo{name}"), conf={
        "subject.name.strategy": lambda context, record: f"stranger-{name}"})
    context = SerializationContext(topic, MessageField.VALUE)
    refused(sender, stranger({"n": 1}, context))
    refused(sender, b"plain")
    refused(sender, b"\x00\x00\x0f\x42\x40\x02")
    sender.send(None, None, {})

    change = ConfigEntry("confluent.value.schema.validation", "false",
                         incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[change])
    admin.incremental_alter_configs([resource])[resource].result()
    sender.send(None, b"plain", {"kafka_format": "text", "value": "plain"})
    sender.check()


def keys(args, registry):
    topic = "validated-keys"
    config = {"confluent.key.schema.validation": "true"}
    admin = AdminClient({"bootstrap.servers": args.bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1, config=config)])[topic].result()
    key = AvroSerializer(registry, schema("Key"))({"n": 1}, SerializationContext(topic, MessageField.KEY))
    producer = Producer({"bootstrap.servers": args.bootstrap})
    reports = []
    for key in (key, None, b"plain"):
        producer.produce(topic, key=key, value=b"any", on_delivery=lambda error, _: reports.append(error))
        assert producer.flush(30) == 0
    assert reports[:2] == [None, None] and reports[2].code() == KafkaError.INVALID_RECORD, reports


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("bootstrap", "registry", "catalog", "warehouse"):
        parser.add_argument(f"--{name}", required=True)
    args = parser.parse_args()
    registry = SchemaRegistryClient({"url": args.registry})
    for name, strategy in STRATEGIES.items():
        values(args, registry, name, strategy)
    keys(args, registry)
    print("taken and refused by schema, with each subject name strategy, values and keys")


if __name__ == "__main__":
    main()
