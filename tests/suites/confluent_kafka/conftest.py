"""What the cases share: the server (`$BROKERS`), names that nobody else has, clients that are closed at the end."""

import os
import time
import uuid

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

LIMIT_S = 30


def until(condition, go_on=lambda: time.sleep(0.1), limit_s=LIMIT_S):
    """What the condition gave, once that is something."""
    deadline = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not in {limit_s} s"
        go_on()
    return found


def the_one(futures):
    """The result of the only future."""
    (future,) = futures.values() if isinstance(futures, dict) else [futures]
    return future.result(LIMIT_S)


def refused(call):
    """The code of the error with which a call ends."""
    with pytest.raises(KafkaException) as caught:
        call()
    return caught.value.args[0].code()


def dotted(config):
    """Settings by their own names, as keywords can't have them; callbacks are called as they are."""
    return {key if key.startswith("on_") else key.replace("_", "."): value for key, value in config.items()}


class Cluster:
    """The server, and the clients of one case."""

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.admin = AdminClient({"bootstrap.servers": bootstrap})
        self.opened = []

    def name(self, what="topic"):
        return f"{what}-{uuid.uuid4().hex[:12]}"

    def topic(self, partitions=1, **config):
        name = self.name()
        the_one(self.admin.create_topics([NewTopic(name, partitions, 1, config=dotted(config))]))
        until(lambda: self.leads(name, partitions))
        return name

    def leads(self, topic, partitions):
        found = self.admin.list_topics(topic, timeout=LIMIT_S).topics[topic]
        return found.error is None and sum(each.leader >= 0 for each in found.partitions.values()) == partitions

    def producer(self, **config):
        return Producer({"bootstrap.servers": self.bootstrap, **dotted(config)})

    def consumer(self, group=None, **config):
        settings = {
            "bootstrap.servers": self.bootstrap,
            "group.id": group or self.name("group"),
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            **dotted(config),
        }
        consumer = Consumer(settings)
        self.opened.append(consumer)
        return consumer

    def fill(self, topic, values, partition=0, **config):
        """Writes values, and answers the messages as they were delivered."""
        producer, delivered = self.producer(**config), []

        def on_delivery(error, message):
            assert error is None, error
            delivered.append(message)

        for value in values:
            producer.produce(topic, value, partition=partition, on_delivery=on_delivery)
        assert producer.flush(LIMIT_S) == 0
        return delivered

    def assigned(self, topic, offset, partition=0, **config):
        """A consumer that reads one partition from an offset on."""
        consumer = self.consumer(**config)
        consumer.assign([TopicPartition(topic, partition, offset)])
        return consumer

    def close(self):
        for consumer in self.opened:
            try:
                consumer.close()
            except RuntimeError:
                pass  # The case closed it.


@pytest.fixture
def cluster():
    cluster = Cluster(os.environ["BROKERS"])
    yield cluster
    cluster.close()


def read(consumer, count, limit_s=LIMIT_S):
    """So many messages, each without an error."""
    messages, deadline = [], time.monotonic() + limit_s
    while len(messages) < count:
        assert time.monotonic() < deadline, f"{len(messages)} of {count} in {limit_s} s"
        for message in consumer.consume(count - len(messages), 0.2):
            assert message.error() is None, message.error()
            messages.append(message)
    return messages


def values(messages):
    return [message.value().decode() for message in messages]


def numbered(count, start=0):
    return [str(number) for number in range(start, start + count)]
