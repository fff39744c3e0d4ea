"""aiokafka's transactional AIOKafkaProducer, and its AIOKafkaConsumer by isolation level."""

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

import transactions

LOOP = asyncio.new_event_loop()


def wait(coroutine):
    return LOOP.run_until_complete(asyncio.wait_for(coroutine, 30))


class Client:
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap

    def producer(self, name):
        return Transactional(self.bootstrap, name)

    def consumer(self, group, topic, committed):
        return Reader(self.bootstrap, group, topic, committed)

    def is_fenced(self, act):
        try:
            act()
        except KafkaError as error:
            return "Fenced" in type(error).__name__ or "ProducerEpoch" in type(error).__name__
        return False


class Transactional:
    def __init__(self, bootstrap, name):
        async def start():
            producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=name)
            await producer.start()
            return producer

        self.producer = wait(start())

    def begin(self):
        wait(self.producer.begin_transaction())

    def produce(self, topic, text):
        wait(self.producer.send(topic, text.encode(), partition=0))

    def flush(self):
        wait(self.producer.flush())

    def commit(self):
        wait(self.producer.commit_transaction())

    def abort(self):
        wait(self.producer.abort_transaction())

    def send_offsets(self, reader):
        async def send():
            consumer = reader.consumer
            places = {place: await consumer.position(place) for place in consumer.assignment()}
            await self.producer.send_offsets_to_transaction(places, reader.group)

        wait(send())


class Reader:
    def __init__(self, bootstrap, group, topic, committed):
        async def start():
            consumer = AIOKafkaConsumer(
                topic,
                bootstrap_servers=bootstrap,
                group_id=group,
                auto_offset_reset="earliest",
                enable_auto_commit=False,
                isolation_level="read_committed" if committed else "read_uncommitted",
            )
            await consumer.start()
            return consumer

        self.group = group
        self.consumer = wait(start())

    def poll(self):
        polled = wait(self.consumer.getmany(timeout_ms=400))
        return [record.value.decode() for some in polled.values() for record in some]

    def close(self):
        wait(self.consumer.stop())


if __name__ == "__main__":
    transactions.main(Client)
