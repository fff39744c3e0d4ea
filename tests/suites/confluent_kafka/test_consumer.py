"""Reading: where from, how far, and what is told on the way."""

import threading

import pytest
from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    OFFSET_INVALID,
    KafkaError,
    TopicPartition,
)
from confluent_kafka.admin import NewPartitions
from conftest import LIMIT_S, numbered, read, refused, the_one, until, values

PROTOCOLS = ["classic", "consumer"]


def error_of(consumer):
    """The first error that comes."""

    def told():
        message = consumer.poll(0.2)
        return message is not None and message.error()

    return until(told)


@pytest.mark.parametrize("offset, expected", [(0, 0), (7, 7), (OFFSET_BEGINNING, 0)])
def test_read_from_an_offset(cluster, offset, expected):
    topic = cluster.topic()
    cluster.fill(topic, numbered(10))
    messages = read(cluster.assigned(topic, offset), 10 - expected)
    assert [message.offset() for message in messages] == list(range(expected, 10))


def test_read_from_the_end(cluster):
    topic = cluster.topic()
    cluster.fill(topic, numbered(5))
    consumer = cluster.assigned(topic, OFFSET_END)
    assert consumer.poll(2) is None
    cluster.fill(topic, ["new"])
    assert values(read(consumer, 1)) == ["new"]


def test_read_by_whole_batches_of_others(cluster):
    topic = cluster.topic()
    cluster.fill(topic, numbered(1000), linger_ms=100, compression_type="zstd")
    # In the midst of a batch.
    assert values(read(cluster.assigned(topic, 501), 499)) == numbered(499, 501)


@pytest.mark.parametrize("reset, first", [("earliest", 0), ("latest", None)])
def test_offset_out_of_range_is_reset(cluster, reset, first):
    topic = cluster.topic()
    cluster.fill(topic, numbered(5))
    consumer = cluster.assigned(topic, 1000, auto_offset_reset=reset)
    if first is None:
        assert consumer.poll(2) is None
        cluster.fill(topic, ["new"])
        assert values(read(consumer, 1)) == ["new"]
    else:
        assert read(consumer, 1)[0].offset() == first


def test_offset_out_of_range_is_an_error(cluster):
    topic = cluster.topic()
    cluster.fill(topic, numbered(5))
    consumer = cluster.assigned(topic, 1000, auto_offset_reset="error")
    assert error_of(consumer).code() == KafkaError._AUTO_OFFSET_RESET


def test_end_of_partition(cluster):
    topic = cluster.topic()
    cluster.fill(topic, numbered(3))
    consumer = cluster.assigned(topic, 0, enable_partition_eof=True)
    seen = []

    def at_end():
        message = consumer.poll(0.2)
        if message is not None and message.error():
            assert message.error().code() == KafkaError._PARTITION_EOF
            return message.offset()
        seen.extend([message] if message is not None else [])
        return None

    assert until(at_end) == 3
    assert values(seen) == numbered(3)
    cluster.fill(topic, ["more"])
    assert until(at_end) == 4


def test_seek(cluster):
    topic = cluster.topic()
    cluster.fill(topic, numbered(10))
    consumer = cluster.assigned(topic, 0)
    read(consumer, 10)
    consumer.seek(TopicPartition(topic, 0, 4))
    assert values(read(consumer, 6)) == numbered(6, 4)


def test_pause_and_resume(cluster):
    topic = cluster.topic(2)
    consumer = cluster.consumer()
    consumer.assign([TopicPartition(topic, n, 0) for n in range(2)])
    cluster.fill(topic, ["a"], partition=0)
    cluster.fill(topic, ["b"], partition=1)
    read(consumer, 2)
    consumer.pause([TopicPartition(topic, 0)])
    cluster.fill(topic, ["c"], partition=0)
    cluster.fill(topic, ["d"], partition=1)
    assert values(read(consumer, 1)) == ["d"]
    assert consumer.poll(1) is None
    consumer.resume([TopicPartition(topic, 0)])
    assert values(read(consumer, 1)) == ["c"]


def test_incremental_assign(cluster):
    topic = cluster.topic(3)
    for n in range(3):
        cluster.fill(topic, [str(n)], partition=n)
    consumer = cluster.consumer()
    consumer.incremental_assign([TopicPartition(topic, 0, 0)])
    assert values(read(consumer, 1)) == ["0"]
    consumer.incremental_assign([TopicPartition(topic, 1, 0), TopicPartition(topic, 2, 0)])
    assert sorted(values(read(consumer, 2))) == ["1", "2"]
    consumer.incremental_unassign([TopicPartition(topic, 1)])
    assert {each.partition for each in consumer.assignment()} == {0, 2}
    cluster.fill(topic, ["more"], partition=1)
    assert consumer.poll(1) is None


def test_watermarks_and_position(cluster):
    topic = cluster.topic()
    place = TopicPartition(topic, 0)
    consumer = cluster.assigned(topic, 0)
    assert consumer.get_watermark_offsets(place, LIMIT_S) == (0, 0)
    cluster.fill(topic, numbered(6))
    assert consumer.get_watermark_offsets(place, LIMIT_S) == (0, 6)
    read(consumer, 4)
    assert consumer.position([place])[0].offset == 4
    until(lambda: consumer.get_watermark_offsets(place, cached=True)[1] == 6, lambda: consumer.poll(0.1))


def test_offsets_for_times(cluster):
    topic = cluster.topic()
    producer = cluster.producer()
    base = cluster.fill(topic, ["now"])[0].timestamp()[1]
    for ahead in (5_000, 10_000):
        producer.produce(topic, str(ahead), timestamp=base + ahead)
    assert producer.flush(LIMIT_S) == 0
    consumer = cluster.consumer()
    for asked, offset in [(base - 1000, 0), (base + 1, 1), (base + 10_000, 2), (base + 10_001, OFFSET_END)]:
        (found,) = consumer.offsets_for_times([TopicPartition(topic, 0, asked)], LIMIT_S)
        assert (found.offset, found.error) == (offset, None), asked


@pytest.mark.parametrize("asynchronous", [False, True])
def test_commit(cluster, asynchronous):
    topic, group = cluster.topic(2), cluster.name("group")
    done = threading.Event()
    consumer = cluster.consumer(group, on_commit=lambda error, _: error is None and done.set())
    places = [TopicPartition(topic, 0, 5, "noted"), TopicPartition(topic, 1, 7)]
    consumer.assign([TopicPartition(topic, n, 0) for n in range(2)])
    told = consumer.commit(offsets=places, asynchronous=asynchronous)
    if asynchronous:
        until(done.is_set, lambda: consumer.poll(0.1))
    else:
        assert [each.error for each in told] == [None, None]
    found = consumer.committed([TopicPartition(topic, n) for n in range(2)], LIMIT_S)
    assert [each.offset for each in found] == [5, 7]
    assert found[0].metadata == "noted"


def test_nothing_was_committed(cluster):
    topic = cluster.topic()
    (found,) = cluster.consumer().committed([TopicPartition(topic, 0)], LIMIT_S)
    assert (found.offset, found.error) == (OFFSET_INVALID, None)


def test_commit_of_what_is_not_there(cluster):
    consumer = cluster.consumer()
    unknown = TopicPartition(cluster.name(), 0, 1)
    assert refused(lambda: consumer.commit(offsets=[unknown], asynchronous=False)) == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_stored_offsets_are_committed(cluster):
    topic, group = cluster.topic(), cluster.name("group")
    cluster.fill(topic, numbered(10))
    first = cluster.consumer(group, enable_auto_commit=True, enable_auto_offset_store=False)
    first.subscribe([topic])
    messages = read(first, 10)
    first.store_offsets(messages[5])
    first.close()
    second = cluster.consumer(group)
    second.subscribe([topic])
    assert values(read(second, 4)) == numbered(4, 6)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_automatic_commits(cluster, protocol):
    topic, group = cluster.topic(), cluster.name("group")
    cluster.fill(topic, numbered(4))
    first = cluster.consumer(group, enable_auto_commit=True, auto_commit_interval_ms=100, group_protocol=protocol)
    first.subscribe([topic])
    read(first, 4)
    place = [TopicPartition(topic, 0)]
    until(lambda: first.committed(place, LIMIT_S)[0].offset == 4, lambda: first.poll(0.1))


def test_unknown_topic(cluster):
    unknown = cluster.name()
    consumer = cluster.consumer(allow_auto_create_topics=False, topic_metadata_propagation_max_ms=0)
    consumer.subscribe([unknown])
    assert error_of(consumer).code() == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_records_larger_than_a_fetch(cluster):
    topic = cluster.topic(max_message_bytes="2000000")
    large = b"x" * 900_000
    cluster.fill(topic, [large, b"small", large], message_max_bytes=2_000_000)
    consumer = cluster.assigned(topic, 0, fetch_message_max_bytes=1000, fetch_max_bytes=1_000_000)
    assert [len(message.value()) for message in read(consumer, 3)] == [len(large), 5, len(large)]


def test_wait_for_as_many_bytes_as_asked(cluster):
    topic = cluster.topic()
    consumer = cluster.assigned(topic, 0, fetch_min_bytes=100_000, fetch_wait_max_ms=1500)
    cluster.fill(topic, ["little"])
    # There are never so many, and it comes when the wait is over.
    assert values(read(consumer, 1)) == ["little"]


def test_everything_of_a_record(cluster):
    topic = cluster.topic()
    headers = [("a", b"1"), ("b", None), ("a", b"2"), ("empty", b"")]
    producer = cluster.producer()
    producer.produce(topic, b"value", b"key", headers=headers, timestamp=1_700_000_000_123)
    producer.produce(topic, None, b"tombstone")
    producer.produce(topic, b"", b"")
    producer.produce(topic, None, None)
    assert producer.flush(LIMIT_S) == 0
    first, tombstone, empty, nothing = read(cluster.assigned(topic, 0), 4)
    assert (first.key(), first.value(), first.headers()) == (b"key", b"value", headers)
    assert first.timestamp() == (1, 1_700_000_000_123)
    assert first.leader_epoch() is not None
    assert (tombstone.key(), tombstone.value(), tombstone.headers()) == (b"tombstone", None, None)
    assert (empty.key(), empty.value()) == (b"", b"")
    assert (nothing.key(), nothing.value()) == (None, None)


def test_partitions_that_come(cluster):
    topic = cluster.topic(1)
    consumer = cluster.consumer(topic_metadata_refresh_interval_ms=500)
    consumer.subscribe([topic])
    until(lambda: len(consumer.assignment()) == 1, lambda: consumer.poll(0.1))
    the_one(cluster.admin.create_partitions([NewPartitions(topic, 3)]))
    until(lambda: len(consumer.assignment()) == 3, lambda: consumer.poll(0.1))
    cluster.fill(topic, ["there"], partition=2)
    assert values(read(consumer, 1)) == ["there"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_topic_that_goes(cluster, protocol):
    stays, goes = cluster.topic(), cluster.topic()
    consumer = cluster.consumer(
        topic_metadata_refresh_interval_ms=500, allow_auto_create_topics=False, group_protocol=protocol
    )
    consumer.subscribe([stays, goes])
    until(lambda: len(consumer.assignment()) == 2, lambda: consumer.poll(0.1))
    the_one(cluster.admin.delete_topics([goes]))
    until(lambda: [each.topic for each in consumer.assignment()] == [stays], lambda: consumer.poll(0.1), limit_s=60)
    cluster.fill(stays, ["still"])
    seen = []

    def has_read():
        message = consumer.poll(0.2)
        # That the other is unknown now may be told in between.
        if message is not None and not message.error():
            seen.append(message.value())
        return seen

    assert until(has_read) == [b"still"]
