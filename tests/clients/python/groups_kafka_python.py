"""kafka-python's KafkaConsumer in a group."""

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

import groups


class Client:
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")

    def produce(self, topic, records):
        sent = [self.producer.send(topic, text.encode(), partition=partition)
                for partition, text in records]
        self.producer.flush(30)
        for future in sent:
            future.get(30)

    def member(self, group, topic):
        return Member(self.bootstrap, group, topic)


class Member:
    def __init__(self, bootstrap, group, topic):
        self.topic = topic
        self.consumer = KafkaConsumer(
            topic,
            bootstrap_servers=bootstrap,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )

    def poll(self):
        polled = self.consumer.poll(timeout_ms=200)
        return [(r.partition, r.offset, r.value.decode()) for rs in polled.values() for r in rs]

    def assigned(self):
        return {place.partition for place in self.consumer.assignment()}

    def commit(self):
        self.consumer.commit()

    def committed(self):
        return {partition: self.consumer.committed(TopicPartition(self.topic, partition))
                for partition in groups.PARTITIONS}

    def close(self):
        self.consumer.close(autocommit=False)


if __name__ == "__main__":
    groups.main(Client)
