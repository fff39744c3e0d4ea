"""aiokafka's AIOKafkaConsumer in a group."""

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

import groups

LOOP = asyncio.new_event_loop()


def wait(coroutine):
    return LOOP.run_until_complete(asyncio.wait_for(coroutine, 30))


class Client:
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap

    def produce(self, topic, records):
        async def send():
            producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, acks="all")
            await producer.start()
            for partition, text in records:
                await producer.send_and_wait(topic, text.encode(), partition=partition)
            await producer.stop()

        wait(send())

    def member(self, group, topic):
        return Member(self.bootstrap, group, topic)


class Member:
    def __init__(self, bootstrap, group, topic):
        async def start():
            consumer = AIOKafkaConsumer(
                topic,
                bootstrap_servers=bootstrap,
                group_id=group,
                auto_offset_reset="earliest",
                enable_auto_commit=False,
            )
            await consumer.start()
            return consumer

        self.topic = topic
        self.consumer = wait(start())

    def poll(self):
        polled = wait(self.consumer.getmany(timeout_ms=200))
        return [(r.partition, r.offset, r.value.decode()) for rs in polled.values() for r in rs]

    def assigned(self):
        return {place.partition for place in self.consumer.assignment()}

    def commit(self):
        wait(self.consumer.commit())

    def committed(self):
        return {partition: wait(self.consumer.committed(TopicPartition(self.topic, partition)))
                for partition in groups.PARTITIONS}

    def close(self):
        wait(self.consumer.stop())


if __name__ == "__main__":
    groups.main(Client)
