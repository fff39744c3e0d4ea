"""confluent-kafka's serializer, and a schema that grows while old producers still run.

Records of the old schema, then of the new one, then of the old one again; each part is committed
before the next, so that the table's schema changes under committed files. And a schema that can't
follow is refused by the registry.
"""

import argparse
import json

import readers
from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext
from plain import Plain

TOPIC = "growing"
RECORDS = 20
SIZE = {"type": "record", "name": "Size", "fields": [{"name": "width", "type": "double"}]}
OLD = {"type": "record", "name": "Thing", "fields": [
    {"name": "n", "type": "long"},
    {"name": "count", "type": "int"},
    {"name": "ratio", "type": "float"},
    {"name": "name", "type": "string"},
]}
NEW = {"type": "record", "name": "Thing", "fields": [
    {"name": "note", "type": ["null", "string"], "default": None},
    {"name": "n", "type": "long"},
    {"name": "count", "type": "long"},
    {"name": "ratio", "type": "double"},
    {"name": "name", "type": "string"},
    {"name": "size", "type": ["null", SIZE], "default": None},
]}
MISFIT = {"type": "record", "name": "Thing", "fields": [{"name": "n", "type": "boolean"}]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("bootstrap", "registry", "catalog", "warehouse"):
        parser.add_argument(f"--{name}", required=True)
    args = parser.parse_args()
    registry = SchemaRegistryClient({"url": args.registry})
    context = SerializationContext(TOPIC, MessageField.VALUE)
    producer = Producer({"bootstrap.servers": args.bootstrap})

    things, plain = [], Plain(NEW)
    for schema in (OLD, NEW, OLD):
        serialize = AvroSerializer(registry, json.dumps(schema))
        for n in range(len(things), len(things) + RECORDS):
            thing = {"n": n, "count": n, "ratio": n / 8, "name": f"thing {n}", "note": None, "size": None}
            if schema is NEW:
                thing |= {"count": 2**40 + n, "ratio": n / 3, "note": f"note {n}", "size": {"width": n / 7}}
            things.append(plain.to_plain(thing))
            producer.produce(TOPIC, value=serialize(thing, context))
        assert producer.flush(30) == 0
        table = readers.committed_table(args.catalog, args.warehouse, TOPIC, len(things))

    try:
        AvroSerializer(registry, json.dumps(MISFIT))({"n": True}, context)
        raise AssertionError("the registry took a schema that can't read the others' records")
    except SchemaRegistryError as error:
        assert error.http_status_code == 409, error

    for name, read in readers.over_table(table, plain):
        rows = sorted((row["value"] for row in read()), key=lambda thing: int(thing["n"]))
        assert rows == things, f"{name}: {[pair for pair in zip(rows, things) if pair[0] != pair[1]][:3]}"
        print(f"{name}: {len(rows)} rows, no differences")


if __name__ == "__main__":
    main()
