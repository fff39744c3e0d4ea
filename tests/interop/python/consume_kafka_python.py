"""kafka-python, of any version: all topics, partitions assigned, committed records only."""

import kafka
from rows import Run, row

SILENCE_MS = 30_000


def main():
    run = Run(__doc__)
    options = {"isolation_level": "read_committed"}
    if run.api_version:
        # Before transactions; and without them there is nothing uncommitted in what it is given to read.
        options = {"api_version": tuple(map(int, run.api_version.split(".")))}
    consumer = kafka.KafkaConsumer(
        bootstrap_servers=run.bootstrap,
        group_id=None,
        auto_offset_reset="earliest",
        check_crcs=True,
        consumer_timeout_ms=SILENCE_MS,
        **options,
    )
    consumer.assign([
        kafka.TopicPartition(topic, number)
        for topic in run.topics
        for number in consumer.partitions_for_topic(topic)
    ])
    consumer.seek_to_beginning()
    rows = []
    for record in consumer:
        place = record.topic, record.partition, record.offset, record.timestamp
        rows.append(row(*place, record.key, record.headers, record.value))
        if len(rows) == run.records:
            break
    assert len(rows) == run.records, f"nothing more after {len(rows)} of {run.records}"
    consumer.close()
    run.write(rows)


if __name__ == "__main__":
    main()
