"""Consumer groups: who gets what, and what the admin client sees and changes."""

import pytest
from confluent_kafka import (
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    ConsumerGroupType,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import NewTopic
from conftest import LIMIT_S, numbered, read, refused, the_one, until, values

PROTOCOLS = ["classic", "consumer"]


def partitions(consumer):
    return {each.partition for each in consumer.assignment()}


def settle(members, expected):
    """Polls until the members have all partitions between them, each some, and answers what was read."""
    messages = []

    def shared():
        owned = [partitions(member) for member in members]
        return all(owned) and sorted(sum(map(sorted, owned), [])) == sorted(expected)

    def go_on():
        for member in members:
            message = member.poll(0.1)
            if message is not None:
                assert message.error() is None, message.error()
                messages.append(message)

    until(shared, go_on)
    return messages


def describe(cluster, group):
    return the_one(cluster.admin.describe_consumer_groups([group]))


def offsets(cluster, group, topic_partitions=None):
    asked = ConsumerGroupTopicPartitions(group, topic_partitions)
    told = the_one(cluster.admin.list_consumer_group_offsets([asked]))
    return {(each.topic, each.partition): each.offset for each in told.topic_partitions}


def alter(cluster, group, topic_partitions):
    asked = ConsumerGroupTopicPartitions(group, topic_partitions)
    return the_one(cluster.admin.alter_consumer_group_offsets([asked]))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_members_share_and_take_over(cluster, protocol):
    topic, group = cluster.topic(4), cluster.name("group")
    first = cluster.consumer(group, group_protocol=protocol)
    first.subscribe([topic])
    settle([first], {0, 1, 2, 3})
    second = cluster.consumer(group, group_protocol=protocol)
    second.subscribe([topic])
    settle([first, second], {0, 1, 2, 3})
    assert len(partitions(first)) == len(partitions(second)) == 2
    second.close()
    settle([first], {0, 1, 2, 3})


def test_cooperative_members_keep_what_they_have(cluster):
    topic, group = cluster.topic(4), cluster.name("group")
    taken = []
    first = cluster.consumer(group, partition_assignment_strategy="cooperative-sticky")
    first.subscribe([topic], on_revoke=lambda _, revoked: taken.extend(each.partition for each in revoked))
    settle([first], {0, 1, 2, 3})
    second = cluster.consumer(group, partition_assignment_strategy="cooperative-sticky")
    second.subscribe([topic])
    settle([first, second], {0, 1, 2, 3})
    # Only what the other one has now.
    assert sorted(taken) == sorted(partitions(second))
    described = describe(cluster, group)
    assert described.partition_assignor == "cooperative-sticky"


def test_strategies_that_do_not_mix(cluster):
    topic, group = cluster.topic(2), cluster.name("group")
    first = cluster.consumer(group, partition_assignment_strategy="range")
    first.subscribe([topic])
    settle([first], {0, 1})
    second = cluster.consumer(group, partition_assignment_strategy="cooperative-sticky")
    second.subscribe([topic])

    def told():
        first.poll(0)
        message = second.poll(0.2)
        return message is not None and message.error()

    assert until(told).code() == KafkaError.INCONSISTENT_GROUP_PROTOCOL


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_static_member_comes_back(cluster, protocol):
    topic, group = cluster.topic(2), cluster.name("group")
    revoked = []
    first = cluster.consumer(group, group_instance_id="one", group_protocol=protocol)
    first.subscribe([topic], on_revoke=lambda *_: revoked.append(1))
    second = cluster.consumer(group, group_instance_id="two", group_protocol=protocol)
    second.subscribe([topic])
    settle([first, second], {0, 1})
    had = partitions(second)
    revoked.clear()
    second.close()
    # It is away, and nobody has its partition.
    for _ in range(10):
        first.poll(0.1)
    assert not revoked and partitions(first) | had == {0, 1} and not partitions(first) & had
    again = cluster.consumer(group, group_instance_id="two", group_protocol=protocol)
    again.subscribe([topic])
    settle([first, again], {0, 1})
    assert partitions(again) == had and not revoked


def test_static_member_is_fenced_by_another(cluster):
    topic, group = cluster.topic(1), cluster.name("group")
    first = cluster.consumer(group, group_instance_id="one")
    first.subscribe([topic])
    settle([first], {0})
    second = cluster.consumer(group, group_instance_id="one")
    second.subscribe([topic])

    def told():
        second.poll(0)
        message = first.poll(0.2)
        return message is not None and message.error()

    assert until(told).code() == KafkaError._FATAL


def test_max_poll_interval(cluster):
    topic, group = cluster.topic(1), cluster.name("group")
    settings = {"max_poll_interval_ms": 6000, "session_timeout_ms": 6000}
    slow = cluster.consumer(group, **settings)
    slow.subscribe([topic])
    settle([slow], {0})
    other = cluster.consumer(group, **settings)
    other.subscribe([topic])
    # The one that has it never polls.
    until(lambda: partitions(other) == {0}, lambda: other.poll(0.2))
    # The client itself looks every half a second.
    until(lambda n=iter(range(10)): next(n, None) is None, lambda: other.poll(0.2))
    codes = []

    def told():
        message = slow.poll(0.2)
        if message is not None and message.error():
            codes.append(message.error().code())
        return KafkaError._MAX_POLL_EXCEEDED in codes

    until(told, lambda: other.poll(0))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_subscription_by_a_pattern(cluster, protocol):
    mark = cluster.name("mark")
    topics = [f"{mark}-{n}" for n in range(2)]
    for topic in topics:
        the_one(cluster.admin.create_topics([NewTopic(topic, 1, 1)]))
        until(lambda name=topic: cluster.leads(name, 1))
    consumer = cluster.consumer(group_protocol=protocol, topic_metadata_refresh_interval_ms=500)
    consumer.subscribe([f"^{mark}-.*"])
    until(lambda: {each.topic for each in consumer.assignment()} == set(topics), lambda: consumer.poll(0.1))
    the_one(cluster.admin.create_topics([NewTopic(f"{mark}-2", 1, 1)]))
    until(lambda: len(consumer.assignment()) == 3, lambda: consumer.poll(0.1), limit_s=60)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_member_goes_on_where_the_group_committed(cluster, protocol):
    topic, group = cluster.topic(1), cluster.name("group")
    cluster.fill(topic, numbered(10))
    first = cluster.consumer(group, group_protocol=protocol)
    first.subscribe([topic])
    messages = read(first, 10)
    first.commit(message=messages[3], asynchronous=False)
    first.close()
    second = cluster.consumer(group, group_protocol=protocol)
    second.subscribe([topic])
    assert values(read(second, 6)) == numbered(6, 4)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_group_is_listed_and_described(cluster, protocol):
    topic, group = cluster.topic(2), cluster.name("group")
    consumer = cluster.consumer(group, group_protocol=protocol, client_id="lister")
    consumer.subscribe([topic])
    settle([consumer], {0, 1})
    kind = {"classic": ConsumerGroupType.CLASSIC, "consumer": ConsumerGroupType.CONSUMER}[protocol]

    def listed(**filters):
        told = the_one(cluster.admin.list_consumer_groups(**filters))
        assert not told.errors
        return {each.group_id: each for each in told.valid}.get(group)

    until(lambda: describe(cluster, group).state == ConsumerGroupState.STABLE)
    found = listed()
    assert (found.type, found.state, found.is_simple_consumer_group) == (kind, ConsumerGroupState.STABLE, False)
    assert listed(states={ConsumerGroupState.STABLE}, types={kind})
    assert not listed(states={ConsumerGroupState.EMPTY})
    other = ConsumerGroupType.CLASSIC if kind == ConsumerGroupType.CONSUMER else ConsumerGroupType.CONSUMER
    assert not listed(types={other})

    told = the_one(cluster.admin.describe_consumer_groups([group], include_authorized_operations=True))
    assert (told.group_id, told.type) == (group, kind)
    (member,) = told.members
    assert member.client_id == "lister" and member.host and member.member_id
    assert sorted(each.partition for each in member.assignment.topic_partitions) == [0, 1]
    assert told.authorized_operations and told.coordinator.id == the_one(cluster.admin.describe_cluster()).controller.id

    consumer.close()
    until(lambda: describe(cluster, group).state == ConsumerGroupState.EMPTY)
    assert listed(states={ConsumerGroupState.EMPTY})


def test_group_that_is_not_there(cluster):
    group = cluster.name("group")
    # DescribeGroups version 6 tells it from one that is dead.
    try:
        assert describe(cluster, group).state == ConsumerGroupState.DEAD
    except KafkaException as refusal:
        assert refusal.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND
    assert refused(lambda: the_one(cluster.admin.delete_consumer_groups([group]))) == KafkaError.GROUP_ID_NOT_FOUND
    assert offsets(cluster, group) == {}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_group_is_deleted(cluster, protocol):
    topic, group = cluster.topic(1), cluster.name("group")
    cluster.fill(topic, numbered(3))
    consumer = cluster.consumer(group, group_protocol=protocol)
    consumer.subscribe([topic])
    consumer.commit(message=read(consumer, 3)[-1], asynchronous=False)
    assert refused(lambda: the_one(cluster.admin.delete_consumer_groups([group]))) == KafkaError.NON_EMPTY_GROUP
    consumer.close()
    until(lambda: describe(cluster, group).state == ConsumerGroupState.EMPTY)
    the_one(cluster.admin.delete_consumer_groups([group]))
    assert offsets(cluster, group) == {}
    assert group not in {each.group_id for each in the_one(cluster.admin.list_consumer_groups()).valid}


def test_offsets_are_listed_and_changed(cluster):
    topic, group = cluster.topic(3), cluster.name("group")
    cluster.fill(topic, numbered(10))
    consumer = cluster.consumer(group)
    consumer.subscribe([topic])
    read(consumer, 10)
    consumer.commit(offsets=[TopicPartition(topic, 0, 7, "a note")], asynchronous=False)
    asked = [TopicPartition(topic, n) for n in range(2)]
    assert offsets(cluster, group) == {(topic, 0): 7}
    assert offsets(cluster, group, asked) == {(topic, 0): 7, (topic, 1): -1001}
    # Not while there are members.
    told = None
    try:
        told = alter(cluster, group, [TopicPartition(topic, 0, 2)]).topic_partitions[0].error.code()
    except KafkaException as refusal:
        told = refusal.args[0].code()
    assert told == KafkaError.UNKNOWN_MEMBER_ID
    consumer.close()
    until(lambda: describe(cluster, group).state == ConsumerGroupState.EMPTY)
    alter(cluster, group, [TopicPartition(topic, 0, 2), TopicPartition(topic, 2, 0)])
    assert offsets(cluster, group) == {(topic, 0): 2, (topic, 2): 0}
    again = cluster.consumer(group)
    again.subscribe([topic])
    assert values(read(again, 8)) == numbered(8, 2)


def test_offsets_of_a_group_without_members(cluster):
    topic, group = cluster.topic(1), cluster.name("group")
    cluster.fill(topic, numbered(5))
    alter(cluster, group, [TopicPartition(topic, 0, 3)])
    assert offsets(cluster, group) == {(topic, 0): 3}
    listed = {each.group_id: each for each in the_one(cluster.admin.list_consumer_groups()).valid}[group]
    assert listed.is_simple_consumer_group and listed.state == ConsumerGroupState.EMPTY


def test_old_list_of_groups(cluster):
    topic, group = cluster.topic(1), cluster.name("group")
    consumer = cluster.consumer(group)
    consumer.subscribe([topic])
    settle([consumer], {0})
    found = until(lambda: [each for each in cluster.admin.list_groups(group, LIMIT_S) if each.state == "Stable"])
    assert (found[0].id, found[0].protocol_type, found[0].protocol, len(found[0].members)) == (
        group, "consumer", "range", 1,
    )
