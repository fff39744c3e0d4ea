"""confluent-kafka's three serializers, raw JSON and text: records of all of them in one topic, old and
new schemas in turn, ids before the value and in headers; and the table as two readers see it.
"""

import argparse
import json

import readers
from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic
from confluent_kafka.schema_registry import SchemaRegistryClient, header_schema_id_serializer
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

READERS = ("PyIceberg", "DuckDB over Iceberg")
LETTERS = descriptor_pb2.FieldDescriptorProto
# 2023-11-14T22:13:20Z
SECONDS = 1_700_000_000


def order_class(version):
    """The message class Order: `note` came with version 2, which also calls `customer` buyer."""
    file = descriptor_pb2.FileDescriptorProto(
        name=f"order_v{version}.proto", package="shop", syntax="proto3",
        dependency=["google/protobuf/timestamp.proto"])
    line = file.message_type.add(name="Line")
    order = file.message_type.add(name="Order")

    def add(message, name, number, kind, label=LETTERS.LABEL_OPTIONAL, type_name=None):
        message.field.add(name=name, number=number, type=kind, label=label, type_name=type_name)

    add(line, "sku", 1, LETTERS.TYPE_STRING)
    add(line, "count", 2, LETTERS.TYPE_INT32)
    add(order, "id", 1, LETTERS.TYPE_INT64)
    add(order, "customer" if version == 1 else "buyer", 2, LETTERS.TYPE_STRING)
    add(order, "lines", 3, LETTERS.TYPE_MESSAGE, LETTERS.LABEL_REPEATED, ".shop.Line")
    add(order, "placed_at", 4, LETTERS.TYPE_MESSAGE, type_name=".google.protobuf.Timestamp")
    if version == 2:
        add(line, "weight", 3, LETTERS.TYPE_DOUBLE)
        add(order, "note", 5, LETTERS.TYPE_STRING)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Order"))


class Sender:
    """Sends to one topic, and remembers what its rows should be."""

    def __init__(self, args, topic):
        self.topic, self.expected = topic, []
        self.producer = Producer({"bootstrap.servers": args.bootstrap})
        self.args = args

    def send(self, serialize, value, expected):
        headers = []
        context = SerializationContext(self.topic, MessageField.VALUE, headers)
        payload = serialize(value, context) if serialize else value
        # One partition, so that the order of the offsets is that of the sending.
        self.producer.produce(self.topic, value=payload, headers=headers, partition=0)
        assert self.producer.flush(30) == 0
        self.expected.append(expected)

    def check(self):
        args = self.args
        table = readers.committed_table(args.catalog, args.warehouse, self.topic, len(self.expected))
        for name, read in readers.over_arrow(table):
            if name not in READERS:
                continue
            rows = sorted(read().to_pylist(), key=lambda row: row["kafka_offset"])
            assert len(rows) == len(self.expected), f"{name}: {len(rows)} rows"
            for row, expected in zip(rows, self.expected):
                # What isn't expected is null; PyIceberg 0.12 gives null lists as empty ones.
                found = {key: value for key, value in row.items()
                         if value not in (None, []) and (key == "kafka_format" or key[:6] != "kafka_")}
                assert plain(found) == plain(expected), f"{name}: {found}, not {expected}"
            print(f"{self.topic}, {name}: {len(rows)} rows, no differences")


def plain(value):
    """Without nulls within, and times as seconds."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, tuple):
        return tuple(plain(item) for item in value)
    return value.timestamp() if hasattr(value, "timestamp") else value


def protobuf(args, registry):
    sender = Sender(args, "orders-protobuf")
    classes = {version: order_class(version) for version in (1, 2)}
    styles = [{}, {"schema.id.serializer": header_schema_id_serializer}]
    serializers = {
        (version, style): ProtobufSerializer(classes[version], registry, {"use.deprecated.format": False} | more)
        for version in classes for style, more in enumerate(styles)
    }
    for n in range(24):
        version, style = 1 + n % 2 if n > 5 else 1, n // 2 % 2
        order = classes[version](id=n)
        setattr(order, "customer" if version == 1 else "buyer", f"customer {n}")
        order.placed_at.FromSeconds(SECONDS + n)
        line = order.lines.add(sku=f"sku {n}", count=n)
        expected = {"kafka_format": "protobuf", "id": n, "customer": f"customer {n}",
                    "lines": [{"sku": f"sku {n}", "count": n}], "placed_at": float(SECONDS + n)}
        if version == 2:
            line.weight, order.note = n / 7, f"note {n}"
            expected["lines"][0]["weight"] = n / 7
            expected["note"] = f"note {n}"
        sender.send(serializers[version, style], order, expected)
    sender.check()


def avro(args, registry):
    sender = Sender(args, "clicks-avro")
    old = {"type": "record", "name": "Click", "fields": [{"name": "n", "type": "int"}]}
    new = {"type": "record", "name": "Click", "fields": [
        {"name": "n", "type": "long"}, {"name": "page", "type": "string", "default": "/"}]}
    by_header = {"schema.id.serializer": header_schema_id_serializer}
    serializers = [AvroSerializer(registry, json.dumps(schema), conf=conf)
                   for schema in (old, new) for conf in ({}, by_header)]
    for n in range(16):
        which = n % 4 if n > 3 else n % 2
        value = {"n": n} if which < 2 else {"n": 2**40 + n, "page": f"/{n}"}
        sender.send(serializers[which], value, {"kafka_format": "avro"} | value)
    sender.check()


def json_schema(args, registry):
    sender = Sender(args, "readings-json")
    old = {"title": "Reading", "type": "object", "additionalProperties": False, "required": ["sensor"], "properties": {
        "sensor": {"type": "string"}, "celsius": {"type": "number"}}}
    new = old | {"properties": old["properties"] | {"tags": {"type": "array", "items": {"type": "string"}}}}
    by_header = {"schema.id.serializer": header_schema_id_serializer}
    serializers = [JSONSerializer(json.dumps(schema), registry, conf=conf)
                   for schema in (old, new) for conf in ({}, by_header)]
    for n in range(16):
        which = n % 4 if n > 3 else n % 2
        value = {"sensor": f"s{n}", "celsius": n / 3} | ({"tags": [f"t{n}", "x"]} if which > 1 else {})
        sender.send(serializers[which], value, {"kafka_format": "json_schema"} | value)
    sender.check()


def mixed(args, registry):
    sender = Sender(args, "mixed")
    avro = AvroSerializer(registry, json.dumps({"type": "record", "name": "Event", "fields": [
        {"name": "id", "type": "long"}, {"name": "from_avro", "type": "string"}]}))
    message = order_class(1)
    proto = ProtobufSerializer(message, registry, {
        "use.deprecated.format": False,
        # The subject of the topic is Avro's.
        "subject.name.strategy": lambda context, name: f"{context.topic}-protobuf"})
    for n in range(0, 20, 5):
        sender.send(avro, {"id": n, "from_avro": "a"}, {"kafka_format": "avro", "id": n, "from_avro": "a"})
        sender.send(proto, message(id=n + 1, customer="c"),
                    {"kafka_format": "protobuf", "id": n + 1, "customer": "c"})
        value = {"id": n + 2, "from_json": {"nested": [n, n + 1]}}
        sender.send(None, json.dumps(value), {"kafka_format": "json"} | value)
        sender.send(None, f"line {n}", {"kafka_format": "text", "value": f"line {n}"})
        sender.send(None, b"\xff\x00", {"kafka_format": "binary", "value_bytes": b"\xff\x00"})
    sender.check()


def refused(args, registry):
    """A topic that refuses what can't be read: the producer is told, and the batch isn't stored."""
    topic = "strict"
    admin = AdminClient({"bootstrap.servers": args.bootstrap})
    config = {"fletch.on_invalid": "reject", "fletch.format": "avro"}
    admin.create_topics([NewTopic(topic, 1, 1, config=config)])[topic].result()
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    described = admin.describe_configs([resource])[resource].result()
    assert {name: described[name].value for name in config} == config
    sender = Sender(args, topic)
    avro = AvroSerializer(registry, json.dumps(
        {"type": "record", "name": "R", "fields": [{"name": "text", "type": "string"}]}))
    sender.send(avro, {"text": "good"}, {"kafka_format": "avro", "text": "good"})
    cut = avro({"text": "cut short"}, SerializationContext(topic, MessageField.VALUE))[:-1]
    for bad in (cut, b"no frame"):
        reports = []
        sender.producer.produce(topic, value=bad, on_delivery=lambda error, _: reports.append(error))
        assert sender.producer.flush(30) == 0
        assert reports[0] is not None and reports[0].code() == KafkaError.INVALID_RECORD, reports
    sender.send(avro, {"text": "again"}, {"kafka_format": "avro", "text": "again"})
    sender.check()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("bootstrap", "registry", "catalog", "warehouse"):
        parser.add_argument(f"--{name}", required=True)
    args = parser.parse_args()
    registry = SchemaRegistryClient({"url": args.registry})
    avro(args, registry)
    protobuf(args, registry)
    json_schema(args, registry)
    mixed(args, registry)
    refused(args, registry)


if __name__ == "__main__":
    main()
