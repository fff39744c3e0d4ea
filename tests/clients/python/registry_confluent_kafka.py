"""confluent-kafka's serializers and the embedded registry: Avro, Protobuf and JSON Schema.

Each serializer registers what it writes, or looks it up, and a deserializer with a client of its own
reads it back by the id in the payload. Schemas that refer to others; schemas registered twice; schemas
that don't fit, refused with words that say why; lookups by subject, version, id and content.
"""

import argparse
import json

from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry import record_subject_name_strategy
from confluent_kafka.schema_registry import topic_record_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

STRATEGIES = (None, record_subject_name_strategy, topic_record_subject_name_strategy)


def context(topic):
    return SerializationContext(topic, MessageField.VALUE)


def refused(code, call):
    try:
        call()
    except SchemaRegistryError as error:
        assert error.error_code == code, error
        return str(error)
    raise AssertionError(f"it isn't refused with {code}")


def messages():
    """A message type of each kind of file: one that is imported, and one that imports."""
    field = descriptor_pb2.FieldDescriptorProto
    inner = descriptor_pb2.FileDescriptorProto(name="shop/money.proto", package="shop", syntax="proto3")
    money = inner.message_type.add(name="Money")
    money.field.add(name="units", number=1, type=field.TYPE_INT64, label=field.LABEL_OPTIONAL)
    outer = descriptor_pb2.FileDescriptorProto(
        name="shop/order.proto", package="shop", syntax="proto3",
        dependency=["shop/money.proto", "google/protobuf/timestamp.proto"])
    outer.message_type.add(name="Unused")
    order = outer.message_type.add(name="Order")
    order.field.add(name="id", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    order.field.add(name="price", number=2, type=field.TYPE_MESSAGE, type_name=".shop.Money",
                    label=field.LABEL_OPTIONAL)
    order.field.add(name="at", number=3, type=field.TYPE_MESSAGE,
                    type_name=".google.protobuf.Timestamp", label=field.LABEL_OPTIONAL)
    order.field.add(name="lines", number=4, type=field.TYPE_MESSAGE, type_name=".shop.Order.Line",
                    label=field.LABEL_REPEATED)
    line = order.nested_type.add(name="Line")
    line.field.add(name="counts", number=1, type=field.TYPE_MESSAGE, label=field.LABEL_REPEATED,
                   type_name=".shop.Order.Line.CountsEntry")
    entry = line.nested_type.add(name="CountsEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    entry.field.add(name="value", number=2, type=field.TYPE_SINT32, label=field.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    for file in (inner, outer):
        pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Order"))


def check_protobuf(url):
    order = messages()
    for position, strategy in enumerate(STRATEGIES):
        topic = f"proto-{position}"
        settings = {} if strategy is None else {"subject.name.strategy": strategy}
        writer, reader = (SchemaRegistryClient({"url": url}) for _ in range(2))
        serialize = ProtobufSerializer(order, writer, settings)
        sent = order(id="a")
        sent.price.units = 5
        sent.at.seconds = 7
        sent.lines.add().counts["x"] = -3
        payload = serialize(sent, context(topic))
        got = ProtobufDeserializer(order, dict(settings), reader)(payload, context(topic))
        assert got == sent, got

    registry = SchemaRegistryClient({"url": url})
    latest = registry.get_latest_version("proto-0-value")
    # It came as a descriptor, and is a .proto file.
    assert latest.schema.schema_type == "PROTOBUF" and "message Order {" in latest.schema.schema_str
    assert [reference.name for reference in latest.schema.references] == ["shop/money.proto"]
    found = registry.lookup_schema("proto-0-value", latest.schema)
    assert (found.schema_id, found.version) == (latest.schema_id, 1)
    # A serializer that registers nothing finds it by its descriptor.
    settings = {"auto.register.schemas": False}
    serialize = ProtobufSerializer(order, SchemaRegistryClient({"url": url}), settings)
    assert serialize(order(id="b"), context("proto-0"))
    settings = {"auto.register.schemas": False, "use.latest.version": True}
    serialize = ProtobufSerializer(order, SchemaRegistryClient({"url": url}), settings)
    assert serialize(order(id="b"), context("proto-0"))

    misfit = Schema("syntax = \"proto3\"; package shop; message Unused {} message Order { int32 id = 1; }",
                    "PROTOBUF")
    why = refused(409, lambda: registry.register_schema("proto-0-value", misfit))
    assert "FIELD_SCALAR_KIND_CHANGED" in why, why
    assert not registry.test_compatibility("proto-0-value", misfit)
    growth = Schema(latest.schema.schema_str.replace("string id = 1;", "string id = 1; bool paid = 9;"),
                    "PROTOBUF", latest.schema.references)
    assert registry.test_compatibility("proto-0-value", growth)
    refused(42201, lambda: registry.register_schema("x-value", Schema("message {", "PROTOBUF")))


def check_json(url):
    leaf = {"$id": "http://shop/money.json", "type": "object", "properties": {"units": {"type": "integer"}}}
    shape = {
        "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Order", "type": "object",
        "properties": {"id": {"type": "string"}, "price": {"$ref": "http://shop/money.json"}},
        "required": ["id"], "additionalProperties": False,
    }
    registry = SchemaRegistryClient({"url": url})
    registry.register_schema("money", Schema(json.dumps(leaf), "JSON"))
    schema = Schema(json.dumps(shape), "JSON", [SchemaReference("http://shop/money.json", "money", 1)])
    order = {"id": "a", "price": {"units": 5}}
    for position, strategy in enumerate(STRATEGIES):
        topic = f"json-{position}"
        settings = {} if strategy is None else {"subject.name.strategy": strategy}
        writer, reader = (SchemaRegistryClient({"url": url}) for _ in range(2))
        serialize = JSONSerializer(schema, writer, conf=settings)
        payload = serialize(order, context(topic))
        deserialize = JSONDeserializer(schema, schema_registry_client=reader, conf=dict(settings))
        assert deserialize(payload, context(topic)) == order
    # The order of properties and the spaces between them make no other schema.
    twin = Schema(json.dumps(dict(reversed(shape.items())), indent=3), "JSON", schema.references)
    assert registry.lookup_schema("json-0-value", twin).version == 1
    closed = json.loads(json.dumps(shape))
    del closed["properties"]["price"]
    why = refused(409, lambda: registry.register_schema("json-0-value", Schema(json.dumps(closed), "JSON")))
    assert "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL" in why, why
    shape["properties"]["note"] = {"type": "string"}
    grown = Schema(json.dumps(shape), "JSON", schema.references)
    assert registry.test_compatibility("json-0-value", grown)
    assert registry.register_schema("json-0-value", grown) > 1
    refused(42201, lambda: registry.register_schema("x-value", Schema('{"type": "strin"}', "JSON")))


def check_avro(url):
    leaf = {"type": "record", "name": "Money", "namespace": "books", "fields": [{"name": "units", "type": "long"}]}
    shape = {"type": "record", "name": "Order", "namespace": "books", "fields": [
        {"name": "id", "type": "string"}, {"name": "price", "type": "books.Money"}]}
    registry = SchemaRegistryClient({"url": url})
    registry.register_schema("avro-money", Schema(json.dumps(leaf), "AVRO"))
    schema = Schema(json.dumps(shape), "AVRO", [SchemaReference("books.Money", "avro-money", 1)])
    order = {"id": "a", "price": {"units": 5}}
    for position, strategy in enumerate(STRATEGIES):
        topic = f"avro-{position}"
        settings = {} if strategy is None else {"subject.name.strategy": strategy}
        writer, reader = (SchemaRegistryClient({"url": url}) for _ in range(2))
        payload = AvroSerializer(writer, schema, conf=settings)(order, context(topic))
        assert AvroDeserializer(reader, conf=dict(settings))(payload, context(topic)) == order
    shape["fields"].append({"name": "note", "type": "string"})
    misfit = Schema(json.dumps(shape), "AVRO", schema.references)
    why = refused(409, lambda: registry.register_schema("avro-0-value", misfit))
    assert "READER_FIELD_MISSING_DEFAULT_VALUE" in why, why


def check_registry(url):
    registry = SchemaRegistryClient({"url": url})
    subjects = registry.get_subjects()
    # Each strategy's names.
    for subject in ("proto-0-value", "shop.Order", "proto-2-shop.Order", "books.Order", "json-0-value", "Order", "avro-0-value"):
        assert subject in subjects, (subject, subjects)
    assert registry.get_versions("json-0-value") == [1, 2]
    registry.set_compatibility(subject_name="json-0-value", level="NONE")
    assert registry.get_compatibility("json-0-value") == "NONE"
    latest = registry.get_latest_version("json-0-value")
    assert registry.get_schema(latest.schema_id).schema_type == "JSON"
    assert registry.delete_subject("json-0-value") == [1, 2]
    assert "json-0-value" not in registry.get_subjects()
    assert registry.delete_subject("json-0-value", permanent=True) == [1, 2]
    refused(40401, lambda: registry.get_versions("json-0-value"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap")
    parser.add_argument("--registry", required=True)
    url = parser.parse_args().registry
    check_avro(url)
    check_protobuf(url)
    check_json(url)
    check_registry(url)
    print("registered, looked up, read back and refused: Avro, Protobuf, JSON Schema")


main()
