"""kafka-python's transactional KafkaProducer, and its KafkaConsumer by isolation level."""

import time

from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

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
        except KafkaError as error:
            return "Fenced" in type(error).__name__ or "ProducerEpoch" in type(error).__name__
        return False


class Transactional:
    def __init__(self, bootstrap, name):
        self.producer = KafkaProducer(bootstrap_servers=bootstrap, transactional_id=name)
        self.producer.init_transactions()
        self.begin, self.abort = self.producer.begin_transaction, self.producer.abort_transaction
        self.commit, self.flush = self.producer.commit_transaction, self.producer.flush

    def produce(self, topic, text):
        self.producer.send(topic, text.encode(), partition=0)

    def send_offsets(self, reader):
        consumer = reader.consumer
        places = {
            place: OffsetAndMetadata(consumer.position(place), "", -1)
            for place in consumer.assignment()
        }
        self.producer.send_offsets_to_transaction(places, consumer.config["group_id"])


class Reader:
    def __init__(self, bootstrap, group, topic, committed):
        self.values = []
        self.consumer = KafkaConsumer(
            topic,
            bootstrap_servers=bootstrap,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            isolation_level="read_committed" if committed else "read_uncommitted",
        )
        deadline = time.monotonic() + transactions.LIMIT
        while not self.consumer.assignment():
            assert time.monotonic() < deadline
            self.values += self.take(100)

    def take(self, timeout_ms):
        records = self.consumer.poll(timeout_ms=timeout_ms)
        return [record.value.decode() for some in records.values() for record in some]

    def poll(self):
        values, self.values = self.values + self.take(400), []
        return values

    def close(self):
        self.consumer.close()


if __name__ == "__main__":
    transactions.main(Client)
