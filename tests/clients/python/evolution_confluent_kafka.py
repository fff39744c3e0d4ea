"""Schemas as they change: confluent-kafka's serializers, the old and the new schema in turn, in one
batch and across commits, for each kind of change; and the whole table as two readers see it.
"""

import argparse
import json
from decimal import Decimal

from confluent_kafka.admin import AdminClient, NewTopic
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from formats_confluent_kafka import Sender


def record(*fields, name="R"):
    return {"type": "record", "name": name, "fields": list(fields)}


def field(name, kind, **more):
    return {"name": name, "type": kind} | more


def optional(kind):
    return ["null", kind]


N = field("n", "int")
ITEM = record(field("sku", "string"), name="Item")
GROWN_ITEM = record(field("sku", "string"), field("price", optional("double"), default=None), name="Item")

PRICE = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}

# Name, the subject's compatibility level, and for each schema, in order: the schema, what is sent
# with it, and what the row has beside n where that isn't the same.
CASES = [
    ("optional-added", "BACKWARD", [
        (record(N), {}, {}),
        (record(N, field("note", optional("string"), default=None)), {"note": "x"}, None)]),
    ("left-out", "BACKWARD", [
        (record(N, field("gone", "string")), {"gone": "x"}, None),
        (record(N), {}, {})]),
    ("added-without-default", "FORWARD", [
        (record(N), {}, {}),
        (record(N, field("must", "string")), {"must": "x"}, None)]),
    ("added-and-left-out", "FULL", [
        (record(N, field("a", "string", default="")), {"a": "x"}, None),
        # The first schema said what stands for a field that isn't sent.
        (record(N, field("b", "string", default="")), {"b": "y"}, {"b": "y", "a": ""})]),
    ("three-in-a-row", "BACKWARD_TRANSITIVE", [
        (record(N, field("x", "int")), {"x": 1}, None),
        (record(N, field("x", "long")), {"x": 2**40}, None),
        (record(N, field("x", "long"), field("y", "float", default=0.0)), {"x": 2, "y": 0.5}, None)]),
    ("full-transitive", "FULL_TRANSITIVE", [
        (record(N), {}, {}),
        (record(N, field("a", optional("string"), default=None)), {"a": "x"}, None),
        (record(N, field("b", optional("long"), default=None)), {"b": 3}, None)]),
    ("promoted", "BACKWARD", [
        (record(N, field("ratio", "float")), {"ratio": 0.25}, None),
        (record(N, field("ratio", "double")), {"ratio": 0.1}, None)]),
    ("renamed", "BACKWARD", [
        (record(N, field("customer", "string")), {"customer": "a"}, None),
        (record(N, field("buyer", "string", aliases=["customer"])), {"buyer": "b"}, {"customer": "b"})]),
    ("inner", "BACKWARD", [
        (record(N, field("item", ITEM)), {"item": {"sku": "a"}}, None),
        (record(N, field("item", GROWN_ITEM)), {"item": {"sku": "b", "price": 0.5}}, None)]),
    ("items", "BACKWARD", [
        (record(N, field("items", {"type": "array", "items": ITEM})), {"items": [{"sku": "a"}]}, None),
        (record(N, field("items", {"type": "array", "items": GROWN_ITEM})),
         {"items": [{"sku": "b", "price": 0.5}, {"sku": "c"}]}, None)]),
    ("values", "BACKWARD", [
        (record(N, field("by", {"type": "map", "values": ITEM})),
         {"by": {"k": {"sku": "a"}}}, {"by": [("k", {"sku": "a"})]}),
        (record(N, field("by", {"type": "map", "values": GROWN_ITEM})),
         {"by": {"k": {"sku": "b", "price": 0.5}}}, {"by": [("k", {"sku": "b", "price": 0.5})]})]),
    ("symbols", "BACKWARD", [
        (record(N, field("e", {"type": "enum", "name": "E", "symbols": ["A"]})), {"e": "A"}, None),
        (record(N, field("e", {"type": "enum", "name": "E", "symbols": ["A", "B"]})), {"e": "B"}, None)]),
    ("contradicting", "NONE", [
        (record(N, field("price", "int")), {"price": 1}, None),
        (record(N, field("price", PRICE)), {"price": Decimal("12.34")}, {"price_decimal": Decimal("12.34")}),
        (record(N, field("price", "string")), {"price": "dear"}, {"price_string": "dear"}),
        (record(N, field("price", "long")), {"price": 2**40}, None)]),
]

# Topics that aren't made by their first record.
CONFIGS = {"contradicting": {"fletch.evolution": "beside"}}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("bootstrap", "registry", "catalog", "warehouse"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--contradicting", action="store_true")
    args = parser.parse_args()
    registry = SchemaRegistryClient({"url": args.registry})
    for name, level, schemas in CASES:
        if (name in CONFIGS) != args.contradicting:
            continue
        registry.set_compatibility(f"{name}-value", level)
        if name in CONFIGS:
            admin = AdminClient({"bootstrap.servers": args.bootstrap})
            admin.create_topics([NewTopic(name, 1, 1, config=CONFIGS[name])])[name].result()
        sender = Sender(args, name)
        serializers = [AvroSerializer(registry, json.dumps(schema)) for schema, _, _ in schemas]
        # First as producers are upgraded one by one, and then all of them at once.
        order = [0] * 3 + [which for which in range(len(schemas))] + list(range(len(schemas))) * 3
        for n, which in enumerate(order):
            _, value, row = schemas[which]
            row = value if row is None else row
            sender.send(serializers[which], {"n": n} | value, {"kafka_format": "avro", "n": n} | row)
            if n == 2:
                sender.check()
        sender.check()


if __name__ == "__main__":
    main()
