"""kafka-python as a consumer of the brokers of long ago: it asks in versions of Fetch, ListOffsets and the
group APIs that Kafka 4 doesn't serve any more, and reads message sets of formats 1 and 0."""

import argparse
import time

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import UnsupportedCompressionTypeError
from kafka.structs import OffsetAndMetadata

CODECS = [None, "gzip", "snappy", "lz4"]
VERSIONS = [(0, 10, 2), (0, 9), (0, 8, 2)]
START_MS = 1_700_000_000_000


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    bootstrap = parser.parse_args().bootstrap
    sent = send(bootstrap, "old", CODECS)
    send(bootstrap, "young", ["zstd"])
    for version in VERSIONS:
        read(bootstrap, version, sent)
        read_as_a_group(bootstrap, version, sent)
        refuse(bootstrap, version)
        print(f"api_version {version}: {len(sent)} records read")


def send(bootstrap, topic, codecs):
    """Batches of each codec, of which the middle one is large; what is read must be what is given back."""
    sent = []
    for codec in codecs:
        producer = KafkaProducer(bootstrap_servers=bootstrap, compression_type=codec, linger_ms=200)
        futures = []
        for i in range(60):
            key = None if i % 3 == 0 else f"{codec}-{i}".encode()
            value = None if i % 21 == 5 else f"value {i} ".encode() * (1 + i * i)
            timestamp = START_MS + len(sent)
            future = producer.send(
                topic, key=key, value=value, headers=[("h", b"1")], partition=0, timestamp_ms=timestamp
            )
            futures.append(future)
            sent.append((key, value, timestamp))
        producer.flush(timeout=30)
        offsets = [future.get(timeout=10).offset for future in futures]
        assert offsets == list(range(len(sent) - 60, len(sent))), offsets
        producer.close()
    return sent


def consumer(bootstrap, version, **options):
    return KafkaConsumer(
        bootstrap_servers=bootstrap,
        api_version=version,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        **options,
    )


def take(reader, count):
    """So many records, or what came of them in half a minute."""
    found, deadline = [], time.monotonic() + 30
    while len(found) < count and time.monotonic() < deadline:
        for records in reader.poll(timeout_ms=500).values():
            found += records
    assert len(found) >= count, f"{len(found)} of {count} records came"
    return found


def compare(found, sent, first, version):
    assert [record.offset for record in found] == list(range(first, len(sent)))
    for record, (key, value, timestamp) in zip(found, sent[first:]):
        assert (record.key, record.value) == (key, value), record.offset
        # Format 0 has no timestamps.
        expected = timestamp if version >= (0, 10) else None
        assert record.timestamp in (expected, -1 if expected is None else expected), record
        assert not record.headers


def read(bootstrap, version, sent):
    partition = TopicPartition("old", 0)
    reader = consumer(bootstrap, version)
    reader.assign([partition])
    compare(take(reader, len(sent)), sent, 0, version)
    assert reader.beginning_offsets([partition]) == {partition: 0}
    assert reader.end_offsets([partition]) == {partition: len(sent)}
    # In the midst of each batch: what comes before it in a compressed one isn't handed out.
    for first in (1, 30, 61, 119, 150, 200, len(sent) - 1):
        reader.seek(partition, first)
        compare(take(reader, len(sent) - first), sent, first, version)
    if version >= (0, 10, 1):
        found = reader.offsets_for_times({partition: START_MS + 77})[partition]
        assert (found.offset, found.timestamp) == (77, START_MS + 77), found
    # At the end nothing comes, and no error.
    assert reader.poll(timeout_ms=300) == {}
    reader.close()
    # Answers smaller than a batch.
    reader = consumer(bootstrap, version, max_partition_fetch_bytes=2000, fetch_max_bytes=2000)
    reader.assign([partition])
    compare(take(reader, len(sent)), sent, 0, version)
    reader.close()


def read_as_a_group(bootstrap, version, sent):
    """Brokers of 0.8 kept offsets, and gave out no partitions."""
    partition, group = TopicPartition("old", 0), f"old-{version}"
    for committed, expected in ((None, len(sent)), (100, len(sent) - 100)):
        reader = consumer(bootstrap, version, group_id=group)
        if version >= (0, 9):
            reader.subscribe(["old"])
        else:
            reader.assign([partition])
        compare(take(reader, expected), sent, len(sent) - expected, version)
        assert reader.committed(partition) == committed
        reader.commit({partition: OffsetAndMetadata(100, "", -1)})
        reader.close()


def refuse(bootstrap, version):
    """Whoever can't read zstd is told so, rather than sent it."""
    reader = consumer(bootstrap, version)
    reader.assign([TopicPartition("young", 0)])
    try:
        for _ in range(20):
            found = reader.poll(timeout_ms=500)
            assert not found, found
    except UnsupportedCompressionTypeError:
        pass
    else:
        raise AssertionError("zstd was neither read nor refused")
    finally:
        reader.close()


if __name__ == "__main__":
    main()
