"""kafka-python, of any version: hand-made framing; --api-version 0.10.2 sends legacy message sets."""

import time

from kafka import KafkaProducer
from workload import HandMadeSerializer, Run


def main():
    run = Run(__doc__)
    serialize = HandMadeSerializer(run.registry, f"{run.topic}-value", run.schema_text)
    acks = []
    for settings, records in run.batches():
        acks += send(run, settings, records, serialize)
    run.write_acks(serialize.schema_id, acks)


def send(run, settings, records, serialize):
    options = {}
    if run.api_version:
        options["api_version"] = tuple(map(int, run.api_version.split(".")))
    else:
        options["enable_idempotence"] = settings.idempotent
    if settings.transactional_id:
        options["transactional_id"] = settings.transactional_id
    if settings.acks == "0":
        # kafka-python 2 leaves requests that get no answer in its buffer until another request
        # goes the same way (its poll only looks after those it waits for): refreshing metadata does.
        options["metadata_max_age_ms"] = 200
    producer = KafkaProducer(
        bootstrap_servers=run.bootstrap,
        acks="all" if settings.acks == "all" else int(settings.acks),
        compression_type=None if settings.codec == "none" else settings.codec,
        linger_ms=settings.linger_ms,
        max_in_flight_requests_per_connection=settings.in_flight,
        retries=3,
        **options,
    )
    if settings.transactional_id:
        producer.init_transactions()
        producer.begin_transaction()
    futures = []
    for record in records:
        future = producer.send(
            run.topic,
            key=record.key,
            value=serialize(record.value),
            headers=record.headers,
            timestamp_ms=record.timestamp,
            partition=record.partition,
        )
        if settings.wait_each:
            future.get(timeout=30)
        futures.append(future)
    producer.flush(timeout=60)
    if settings.transactional_id:
        producer.commit_transaction()
    metadata = [future.get(timeout=30) for future in futures]
    if settings.acks == "0":
        time.sleep(1)
    producer.close()
    return [settings.answer(m.partition, m.offset, m.timestamp) for m in metadata]


if __name__ == "__main__":
    main()
