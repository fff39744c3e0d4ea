"""confluent-kafka (librdkafka): all topics, partitions assigned, committed records only."""

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from rows import Run, row

SILENCE_S = 30


def main():
    run = Run(__doc__)
    consumer = Consumer({
        "bootstrap.servers": run.bootstrap,
        "group.id": "unused",  # Demanded; nothing is subscribed or committed.
        "enable.auto.commit": False,
        "check.crcs": True,
        "isolation.level": "read_committed",
    })
    found = consumer.list_topics(timeout=30).topics
    consumer.assign([
        TopicPartition(topic, number, OFFSET_BEGINNING)
        for topic in run.topics
        for number in found[topic].partitions
    ])
    rows = []
    while len(rows) < run.records:
        messages = consumer.consume(min(1000, run.records - len(rows)), timeout=SILENCE_S)
        assert messages, f"nothing came for {SILENCE_S} s after {len(rows)} of {run.records}"
        for message in messages:
            assert message.error() is None, message.error()
            place = message.topic(), message.partition(), message.offset(), message.timestamp()[1]
            rows.append(row(*place, message.key(), message.headers(), message.value()))
    consumer.close()
    run.write(rows)


if __name__ == "__main__":
    main()
