"""confluent-kafka's transactional Producer, and its Consumer by isolation level."""

import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

import transactions


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
        except KafkaException as error:
            return error.args[0].fatal()
        return False


class Transactional:
    def __init__(self, bootstrap, name):
        self.producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": name})
        self.producer.init_transactions(30)
        self.begin, self.abort = self.producer.begin_transaction, self.producer.abort_transaction

    def produce(self, topic, text):
        self.producer.produce(topic, text, partition=0)

    def flush(self):
        assert self.producer.flush(30) == 0

    def commit(self):
        self.producer.commit_transaction(30)

    def send_offsets(self, reader):
        consumer = reader.consumer
        places = consumer.position(consumer.assignment())
        places = [place for place in places if place.offset >= 0]
        self.producer.send_offsets_to_transaction(places, consumer.consumer_group_metadata())


class Reader:
    def __init__(self, bootstrap, group, topic, committed):
        self.consumer = Consumer({
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed" if committed else "read_uncommitted",
        })
        self.consumer.subscribe([topic])
        deadline = time.monotonic() + transactions.LIMIT
        while not self.consumer.assignment():
            assert time.monotonic() < deadline
            message = self.consumer.poll(0.1)
            if message is not None:
                # It comes again.
                assert message.error() is None, message.error()
                self.consumer.seek(TopicPartition(topic, message.partition(), message.offset()))

    def poll(self):
        messages = self.consumer.consume(100, timeout=0.4)
        assert not any(message.error() for message in messages), [m.error() for m in messages]
        return [m.value().decode() for m in messages if m.partition() == 0]

    def close(self):
        self.consumer.close()


if __name__ == "__main__":
    transactions.main(Client)
