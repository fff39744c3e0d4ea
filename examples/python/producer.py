# Produce Avro with confluent-kafka; the schema is registered on the way. Run with:
#   pip install "confluent-kafka[avro,schemaregistry]" && python producer.py
from datetime import datetime, timezone
from decimal import Decimal

from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

SCHEMA = """{"type": "record", "name": "Order", "fields": [
    {"name": "id", "type": "long"},
    {"name": "customer", "type": "string"},
    {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
    {"name": "placed_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "note", "type": ["null", "string"], "default": null}
]}"""

serialize = AvroSerializer(SchemaRegistryClient({"url": "http://localhost:8081"}), SCHEMA)
context = SerializationContext("orders", MessageField.VALUE)
producer = Producer({"bootstrap.servers": "localhost:9092"})

for id, customer in enumerate(["Ada", "Grace", "Edsger"]):
    order = {"id": id, "customer": customer, "amount": Decimal("19.99") * (id + 1),
             "placed_at": datetime.now(timezone.utc), "note": None if id else "first order"}
    producer.produce("orders", key=customer, value=serialize(order, context))
producer.flush()
