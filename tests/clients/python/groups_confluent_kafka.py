"""confluent-kafka's Consumer in a group."""

import os

from confluent_kafka import Consumer, Producer, TopicPartition

import groups


class Client:
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.producer = Producer({"bootstrap.servers": bootstrap})

    def produce(self, topic, records):
        for partition, text in records:
            self.producer.produce(topic, text, partition=partition)
        assert self.producer.flush(30) == 0

    def member(self, group, topic):
        return Member(self.bootstrap, group, topic)


class Member:
    def __init__(self, bootstrap, group, topic, settings=None):
        self.topic = topic
        self.consumer = Consumer({
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "group.protocol": os.environ.get("GROUP_PROTOCOL", "classic"),
        } | (settings or {}))
        self.consumer.subscribe([topic])

    def poll(self):
        messages = self.consumer.consume(100, timeout=0.2)
        assert not any(message.error() for message in messages), [m.error() for m in messages]
        return [(m.partition(), m.offset(), m.value().decode()) for m in messages]

    def assigned(self):
        return {place.partition for place in self.consumer.assignment()}

    def commit(self):
        for place in self.consumer.commit(asynchronous=False):
            assert place.error is None, place

    def committed(self):
        places = [TopicPartition(self.topic, partition) for partition in groups.PARTITIONS]
        return {place.partition: place.offset for place in self.consumer.committed(places, 30)}

    def close(self):
        self.consumer.close()


if __name__ == "__main__":
    groups.main(Client)
