"""Values and keys without a schema id, in topics that name a file with the schema: Avro, Protobuf from a
`.proto` file with imports and from a set of descriptors, JSON Schema; and the tables as two readers see them.
Files outside of the broker's folder can't be named.
"""

import argparse
import io
import json
import os

import fastavro
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic
from formats_confluent_kafka import Sender, order_class
from google.protobuf import descriptor_pb2, timestamp_pb2

CLICK = {"type": "record", "name": "Click", "fields": [
    {"name": "n", "type": "long"}, {"name": "page", "type": ["null", "string"]}]}
READING = {"type": "object", "required": ["sensor"], "properties": {
    "sensor": {"type": "string"}, "celsius": {"type": "number"}}}
LINE_PROTO = 'syntax = "proto3"; package shop; message Line { string sku = 1; int32 count = 2; }'
ORDER_PROTO = """syntax = "proto3"; package shop;
import "shop/line.proto";
import "google/protobuf/timestamp.proto";
message Refund { int64 id = 1; }
message Order {
  int64 id = 1; string customer = 2; repeated Line lines = 3; google.protobuf.Timestamp placed_at = 4;
}"""


def create(args, topic, config):
    admin = AdminClient({"bootstrap.servers": args.bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1, config=config)])[topic].result()
    return Sender(args, topic)


def write(args, name, content):
    path = os.path.join(args.schemas, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())


def avro(args):
    write(args, "click.avsc", json.dumps(CLICK))
    sender = create(args, "clicks", {"fletch.format": "avro", "fletch.format.file": "click.avsc"})
    for n in range(8):
        value = {"n": n, "page": f"/{n}" if n % 2 else None}
        plain = io.BytesIO()
        fastavro.schemaless_writer(plain, fastavro.parse_schema(CLICK), value)
        expected = {key: inner for key, inner in value.items() if inner is not None}
        sender.send(None, plain.getvalue(), {"kafka_format": "avro"} | expected)
    sender.check()


def protobuf(args):
    write(args, "shop/line.proto", LINE_PROTO)
    write(args, "shop/order.proto", ORDER_PROTO)
    order = order_class(1)
    descriptors = descriptor_pb2.FileDescriptorSet()
    timestamp_pb2.DESCRIPTOR.CopyToProto(descriptors.file.add())
    order.DESCRIPTOR.file.CopyToProto(descriptors.file.add())
    write(args, "order.binpb", descriptors.SerializeToString())
    for topic, file in (("orders-proto", "shop/order.proto"), ("orders-set", "order.binpb")):
        sender = create(args, topic, {"fletch.format": "protobuf", "fletch.format.file": file,
                                      "fletch.format.message": "shop.Order"})
        for n in range(8):
            value = order(id=n, customer=f"c{n}")
            value.placed_at.FromSeconds(1_700_000_000 + n)
            value.lines.add(sku=f"s{n}", count=n)
            sender.send(None, value.SerializeToString(), {
                "kafka_format": "protobuf", "id": n, "customer": f"c{n}",
                "lines": [{"sku": f"s{n}", "count": n}], "placed_at": float(1_700_000_000 + n)})
        sender.check()


def json_schema(args):
    write(args, "reading.json", json.dumps(READING))
    sender = create(args, "readings", {"fletch.format": "json_schema", "fletch.format.file": "reading.json"})
    for n in range(8):
        value = {"sensor": f"s{n}", "celsius": n / 3}
        sender.send(None, json.dumps(value), {"kafka_format": "json_schema"} | value)
    sender.check()


def outside(args):
    with open(os.path.join(os.path.dirname(args.schemas), "secret.avsc"), "w") as file:
        json.dump(CLICK, file)
    os.symlink("../secret.avsc", os.path.join(args.schemas, "link.avsc"))
    for name in ("../secret.avsc", "link.avsc", "/etc/passwd", "none.avsc", "shop/../click.avsc"):
        try:
            create(args, "outside", {"fletch.format": "avro", "fletch.format.file": name})
        except KafkaException as error:
            assert "schema file" in str(error), error
        else:
            raise AssertionError(f"{name} is taken")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("bootstrap", "schemas", "catalog", "warehouse"):
        parser.add_argument(f"--{name}", required=True)
    args = parser.parse_args()
    avro(args)
    protobuf(args)
    json_schema(args)
    outside(args)


if __name__ == "__main__":
    main()
