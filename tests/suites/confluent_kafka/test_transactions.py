"""Transactions: all or nothing, offsets with records, who may."""

import time

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from conftest import LIMIT_S, numbered, read, until, values

COMMITTED, ALL = {"isolation_level": "read_committed"}, {"isolation_level": "read_uncommitted"}


def transactional(cluster, transactional_id=None, **more):
    producer = cluster.producer(transactional_id=transactional_id or cluster.name("mover"), **more)
    producer.init_transactions(LIMIT_S)
    return producer


def begun(producer, topic, sent):
    producer.begin_transaction()
    for value in sent:
        producer.produce(topic, value, partition=0)
    assert producer.flush(LIMIT_S) == 0


def test_committed_and_aborted(cluster):
    topic = cluster.topic()
    producer = transactional(cluster)
    begun(producer, topic, ["kept"])
    producer.commit_transaction(LIMIT_S)
    begun(producer, topic, ["never"])
    producer.abort_transaction(LIMIT_S)
    begun(producer, topic, ["kept, too"])
    producer.commit_transaction(LIMIT_S)
    assert values(read(cluster.assigned(topic, 0, **COMMITTED), 2)) == ["kept", "kept, too"]
    assert values(read(cluster.assigned(topic, 0, **ALL), 3)) == ["kept", "never", "kept, too"]


def test_open_transactions_hold_back(cluster):
    topic = cluster.topic()
    producer = transactional(cluster)
    begun(producer, topic, ["open"])
    cluster.fill(topic, ["plain"])
    consumer = cluster.assigned(topic, 0, **COMMITTED)
    assert consumer.poll(2) is None
    assert values(read(cluster.assigned(topic, 0, **ALL), 2)) == ["open", "plain"]
    place = TopicPartition(topic, 0)
    # Of the last stable offset: the watermark that is told to such a consumer.
    assert consumer.get_watermark_offsets(place, LIMIT_S) == (0, 0)
    producer.commit_transaction(LIMIT_S)
    assert values(read(consumer, 2)) == ["open", "plain"]


def test_many_partitions_at_once(cluster):
    topics = [cluster.topic(3) for _ in range(2)]
    producer = transactional(cluster)
    for ending in ("commit", "abort"):
        producer.begin_transaction()
        for topic in topics:
            for n in range(3):
                producer.produce(topic, ending, partition=n)
        getattr(producer, f"{ending}_transaction")(LIMIT_S)
    consumer = cluster.consumer(**COMMITTED)
    consumer.assign([TopicPartition(topic, n, 0) for topic in topics for n in range(3)])
    assert values(read(consumer, 6)) == ["commit"] * 6
    assert consumer.poll(1) is None


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_offsets_with_records(cluster, protocol):
    source, target, group = cluster.topic(), cluster.topic(), cluster.name("group")
    cluster.fill(source, numbered(10))
    producer = transactional(cluster)
    place = [TopicPartition(source, 0)]

    def move(count, ending):
        consumer = cluster.consumer(group, group_protocol=protocol, **COMMITTED)
        consumer.subscribe([source])
        messages = read(consumer, count)
        begun(producer, target, values(messages))
        next_one = TopicPartition(source, 0, messages[-1].offset() + 1)
        producer.send_offsets_to_transaction([next_one], consumer.consumer_group_metadata(), LIMIT_S)
        getattr(producer, f"{ending}_transaction")(LIMIT_S)
        committed = consumer.committed(place, LIMIT_S)[0].offset
        consumer.close()
        return values(messages), committed

    assert move(4, "commit") == (numbered(4), 4)
    assert move(3, "abort") == (numbered(3, 4), 4)
    assert move(6, "commit") == (numbered(6, 4), 10)
    assert values(read(cluster.assigned(target, 0, **COMMITTED), 10)) == numbered(10)


def test_zombie_is_fenced(cluster):
    topic, name = cluster.topic(), cluster.name("mover")
    zombie = transactional(cluster, name)
    begun(zombie, topic, ["of a zombie"])
    successor = transactional(cluster, name)
    begun(successor, topic, ["kept"])
    successor.commit_transaction(LIMIT_S)
    with pytest.raises(KafkaException) as caught:
        zombie.commit_transaction(LIMIT_S)
    assert caught.value.args[0].fatal()
    assert values(read(cluster.assigned(topic, 0, **COMMITTED), 1)) == ["kept"]


def test_a_transaction_that_takes_too_long(cluster):
    topic = cluster.topic()
    producer = transactional(cluster, transaction_timeout_ms=1000, message_timeout_ms=1000)
    begun(producer, topic, ["too late"])
    cluster.fill(topic, ["plain"])
    # Aborted by the coordinator, which looks about every so often.
    consumer = cluster.assigned(topic, 0, **COMMITTED)
    assert values(read(consumer, 1)) == ["plain"]
    with pytest.raises(KafkaException) as caught:
        producer.commit_transaction(LIMIT_S)
    error = caught.value.args[0]
    assert error.fatal() or error.txn_requires_abort(), error


def test_transaction_timeout_beyond_the_limit(cluster):
    producer = cluster.producer(transactional_id=cluster.name("mover"), transaction_timeout_ms=2_000_000_000)
    with pytest.raises(KafkaException) as caught:
        producer.init_transactions(LIMIT_S)
    assert caught.value.args[0].code() == KafkaError.INVALID_TRANSACTION_TIMEOUT


def test_offsets_of_a_member_that_is_gone(cluster):
    topic, group = cluster.topic(), cluster.name("group")
    cluster.fill(topic, numbered(3))
    consumer = cluster.consumer(group)
    consumer.subscribe([topic])
    read(consumer, 3)
    known = consumer.consumer_group_metadata()
    consumer.close()
    other = cluster.consumer(group)
    other.subscribe([topic])
    until(lambda: other.assignment(), lambda: other.poll(0.1))
    producer = transactional(cluster)
    producer.begin_transaction()
    with pytest.raises(KafkaException) as caught:
        producer.send_offsets_to_transaction([TopicPartition(topic, 0, 3)], known, LIMIT_S)
    error = caught.value.args[0]
    assert error.txn_requires_abort(), error
    producer.abort_transaction(LIMIT_S)


def test_aborted_before_anything_was_sent(cluster):
    topic = cluster.topic()
    producer = transactional(cluster)
    producer.begin_transaction()
    producer.abort_transaction(LIMIT_S)
    producer.begin_transaction()
    producer.commit_transaction(LIMIT_S)
    begun(producer, topic, ["kept"])
    producer.commit_transaction(LIMIT_S)
    assert values(read(cluster.assigned(topic, 0, **COMMITTED), 1)) == ["kept"]


def test_many_transactions(cluster):
    topic = cluster.topic()
    producer = transactional(cluster)
    began = time.monotonic()
    for number in range(50):
        begun(producer, topic, [str(number)])
        (producer.abort_transaction if number % 5 == 4 else producer.commit_transaction)(LIMIT_S)
    assert time.monotonic() - began < LIMIT_S
    kept = [str(number) for number in range(50) if number % 5 != 4]
    assert values(read(cluster.assigned(topic, 0, **COMMITTED), 40)) == kept
