"""confluent-kafka: AvroSerializer and SchemaRegistryClient, the schema registered by the serializer."""

from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from workload import Run


def main():
    run = Run(__doc__)
    registry = SchemaRegistryClient({"url": run.registry})
    serialize = AvroSerializer(registry, run.schema_text, conf={"auto.register.schemas": True})
    context = SerializationContext(run.topic, MessageField.VALUE)
    acks = []
    for settings, records in run.batches():
        acks += send(run, settings, records, lambda value: serialize(value, context))
    run.write_acks(registry.get_latest_version(f"{run.topic}-value").schema_id, acks)


def send(run, settings, records, serialize):
    transactional = {"transactional.id": settings.transactional_id} if settings.transactional_id else {}
    producer = Producer(transactional | {
        "bootstrap.servers": run.bootstrap,
        "acks": settings.acks,
        "compression.type": settings.codec,
        "enable.idempotence": settings.idempotent,
        "linger.ms": settings.linger_ms,
        "max.in.flight.requests.per.connection": settings.in_flight,
        "delivery.timeout.ms": 30_000,
    })
    if transactional:
        producer.init_transactions(30)
        producer.begin_transaction()
    acks = [None] * len(records)

    def delivered(index):
        def callback(error, message):
            if error is not None:
                raise RuntimeError(f"record {index} was not delivered: {error}")
            _, timestamp = message.timestamp()
            acks[index] = settings.answer(message.partition(), message.offset(), timestamp)
        return callback

    for index, record in enumerate(records):
        optional = {"timestamp": record.timestamp, "partition": record.partition}
        producer.produce(
            run.topic,
            key=record.key,
            value=serialize(record.value),
            headers=record.headers,
            on_delivery=delivered(index),
            **{name: value for name, value in optional.items() if value is not None},
        )
        producer.poll(0)
        if settings.wait_each:
            producer.flush(30)
    left = producer.flush(60)
    if transactional:
        producer.commit_transaction(30)
    assert left == 0 and None not in acks, f"{left} records were never answered"
    return acks


if __name__ == "__main__":
    main()
