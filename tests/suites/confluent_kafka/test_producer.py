"""Writing: what is taken, where it goes, what is refused."""

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME, KafkaError
from conftest import LIMIT_S, numbered, read, until, values

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def outcome(producer, *args, **kwargs):
    """The error with which a record ended, if it did, and the message."""
    told = []
    producer.produce(*args, on_delivery=lambda error, message: told.append((error, message)), **kwargs)
    until(lambda: told, lambda: producer.poll(0.1), limit_s=60)
    return told[0]


@pytest.mark.parametrize("acks", ["0", "1", "all"])
@pytest.mark.parametrize("codec", CODECS)
def test_acks_and_codecs(cluster, acks, codec):
    topic = cluster.topic()
    delivered = cluster.fill(topic, numbered(100), acks=acks, compression_type=codec, linger_ms=20)
    assert len(delivered) == 100
    if acks != "0":
        assert [message.offset() for message in delivered] == list(range(100))
    assert values(read(cluster.assigned(topic, 0), 100)) == numbered(100)


def test_idempotent_producer(cluster):
    topic = cluster.topic()
    sent = numbered(2000)
    delivered = cluster.fill(topic, sent, enable_idempotence=True, batch_num_messages=10, linger_ms=0)
    assert [message.offset() for message in delivered] == list(range(2000))
    assert values(read(cluster.assigned(topic, 0), 2000)) == sent


def test_partitioners(cluster):
    topic = cluster.topic(4)
    places = {}
    for partitioner in ("murmur2_random", "consistent_random", "fnv1a_random"):
        producer = cluster.producer(partitioner=partitioner)
        for key in ("a", "b", "c", "a"):
            error, message = outcome(producer, topic, b"value", key)
            assert error is None, error
            assert places.setdefault((partitioner, key), message.partition()) == message.partition()


def test_timestamps_of_the_broker(cluster):
    topic = cluster.topic(message_timestamp_type="LogAppendTime")
    error, message = outcome(cluster.producer(), topic, b"value", timestamp=1_600_000_000_000)
    assert error is None, error
    kind, at = message.timestamp()
    assert at > 1_700_000_000_000
    (found,) = read(cluster.assigned(topic, 0), 1)
    assert found.timestamp() == (TIMESTAMP_LOG_APPEND_TIME, at)
    assert kind in (TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME)


def test_timestamps_that_are_too_far_off(cluster):
    topic = cluster.topic(message_timestamp_after_max_ms="1000", message_timestamp_before_max_ms="3600000")
    producer = cluster.producer()
    for at in (4_000_000_000_000, 1_600_000_000_000):
        error, _ = outcome(producer, topic, b"value", timestamp=at)
        assert error.code() == KafkaError.INVALID_TIMESTAMP
    error, _ = outcome(producer, topic, b"value")
    assert error is None


def test_too_large_for_the_client(cluster):
    topic = cluster.topic()
    with pytest.raises(Exception) as caught:
        cluster.producer(message_max_bytes=2000).produce(topic, b"x" * 3000)
    assert caught.value.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE


def test_too_large_for_the_topic(cluster):
    topic = cluster.topic(max_message_bytes="2000")
    producer = cluster.producer()
    error, _ = outcome(producer, topic, b"x" * 3000)
    assert error.code() == KafkaError.MSG_SIZE_TOO_LARGE
    error, message = outcome(producer, topic, b"x" * 1000)
    assert error is None and message.offset() == 0


def test_compacted_topic_wants_keys(cluster):
    topic = cluster.topic(cleanup_policy="compact")
    error, _ = outcome(cluster.producer(), topic, b"value")
    assert error.code() == KafkaError.INVALID_RECORD
    error, _ = outcome(cluster.producer(), topic, b"value", b"key")
    assert error is None


def test_partition_that_is_not_there(cluster):
    topic = cluster.topic(1)
    error, _ = outcome(cluster.producer(), topic, b"value", partition=5)
    assert error.code() == KafkaError._UNKNOWN_PARTITION


def test_topic_that_is_not_there(cluster):
    unknown = cluster.name()
    producer = cluster.producer(allow_auto_create_topics=False, topic_metadata_propagation_max_ms=0)
    error, _ = outcome(producer, unknown, b"value")
    assert error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC)


def test_topic_is_made_by_its_first_record(cluster):
    topic = cluster.name()
    error, message = outcome(cluster.producer(), topic, b"value")
    assert error is None, error
    assert values(read(cluster.assigned(topic, 0, partition=message.partition()), 1)) == ["value"]


def test_bad_topic_name(cluster):
    error, _ = outcome(cluster.producer(topic_metadata_propagation_max_ms=0), "no spaces", b"value")
    assert error.code() == KafkaError.TOPIC_EXCEPTION


def test_purge(cluster):
    topic = cluster.topic()
    producer, told = cluster.producer(linger_ms=60_000), []
    for value in numbered(10):
        producer.produce(topic, value, on_delivery=lambda error, _: told.append(error.code()))
    producer.purge()
    until(lambda: len(told) == 10, lambda: producer.poll(0.1))
    assert set(told) == {KafkaError._PURGE_QUEUE}
    assert cluster.fill(topic, ["after"])[0].offset() == 0


def test_metadata(cluster):
    topic = cluster.topic(3)
    told = cluster.producer().list_topics(topic, LIMIT_S)
    assert told.controller_id in told.brokers and told.cluster_id
    assert sorted(told.topics[topic].partitions) == [0, 1, 2]
    for partition in told.topics[topic].partitions.values():
        assert partition.replicas == partition.isrs == [partition.leader]


def test_order_of_a_key_with_many_in_flight(cluster):
    topic = cluster.topic(4)
    producer = cluster.producer(enable_idempotence=True, linger_ms=0, batch_num_messages=5)
    for number in range(2000):
        producer.produce(topic, str(number), str(number % 20))
        producer.poll(0)
    assert producer.flush(LIMIT_S) == 0
    consumer = cluster.consumer()
    consumer.subscribe([topic])
    last = {}
    for message in read(consumer, 2000):
        number = int(message.value())
        assert last.get(message.key(), -1) < number
        last[message.key()] = number
