"""aiokafka: hand-made framing."""

import asyncio

from aiokafka import AIOKafkaProducer
from workload import HandMadeSerializer, Run


async def main():
    run = Run(__doc__)
    serialize = HandMadeSerializer(run.registry, f"{run.topic}-value", run.schema_text)
    acks = []
    for settings, records in run.batches():
        acks += await send(run, settings, records, serialize)
    run.write_acks(serialize.schema_id, acks)


async def send(run, settings, records, serialize):
    producer = AIOKafkaProducer(
        bootstrap_servers=run.bootstrap,
        acks="all" if settings.acks == "all" else int(settings.acks),
        compression_type=None if settings.codec == "none" else settings.codec,
        enable_idempotence=settings.idempotent,
        linger_ms=settings.linger_ms,
        request_timeout_ms=30_000,
        transactional_id=settings.transactional_id,
    )
    await producer.start()
    try:
        if settings.transactional_id:
            await producer.begin_transaction()
        futures = []
        for record in records:
            future = await producer.send(
                run.topic,
                key=record.key,
                value=serialize(record.value),
                headers=record.headers,
                timestamp_ms=record.timestamp,
                partition=record.partition,
            )
            if settings.wait_each:
                await future
            futures.append(future)
        answers = await asyncio.wait_for(asyncio.gather(*futures), 60)
        if settings.transactional_id:
            await producer.commit_transaction()
    finally:
        await producer.stop()
    # With acks=0 the futures resolve to None; and the timestamp is the batch's, not the record's.
    if settings.acks == "0":
        return [settings.answer(None, None, None) for _ in answers]
    return [settings.answer(a.partition, a.offset, None) for a in answers]


if __name__ == "__main__":
    asyncio.run(main())
