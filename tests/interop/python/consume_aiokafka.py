"""aiokafka: all topics, without a group, committed records only."""

import asyncio

from aiokafka import AIOKafkaConsumer
from rows import Run, row

SECONDS_MAX = 60


async def main():
    run = Run(__doc__)
    consumer = AIOKafkaConsumer(
        *run.topics,
        bootstrap_servers=run.bootstrap,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        check_crcs=True,
    )
    await consumer.start()
    rows = []
    try:
        while len(rows) < run.records:
            batches = await consumer.getmany(timeout_ms=1000)
            for records in batches.values():
                for record in records:
                    place = record.topic, record.partition, record.offset, record.timestamp
                    rows.append(row(*place, record.key, record.headers, record.value))
    finally:
        await consumer.stop()
    run.write(rows)


if __name__ == "__main__":
    asyncio.run(asyncio.wait_for(main(), SECONDS_MAX))
