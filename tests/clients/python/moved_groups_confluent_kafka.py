"""A group is moved from the classic protocol to the new one (KIP-848) and back while it reads, by one
member after the other; told in the words of `groups.py`. Each record comes once, to the owner of its
partition; the server is killed at the end, and what the group has committed is there."""

import os

from confluent_kafka import ConsumerGroupType
from confluent_kafka.admin import AdminClient

import groups
import groups_confluent_kafka
from groups import GROUP, PARTITIONS, ROUND, TOPIC

ROUNDS = 6


def before(client):
    def member(protocol):
        return groups_confluent_kafka.Member(client.bootstrap, GROUP, TOPIC, settings(protocol))

    rounds = iter(range(1, ROUNDS))

    def read(members):
        round = next(rounds)
        groups.produce(client, round)
        groups.read(round, {member: member.assigned() for member in members})
        for member in members:
            member.commit()

    groups.produce(client, 0)
    first = member("classic")
    groups.read(0, {first: PARTITIONS})
    first.commit()
    second = member("classic")
    groups.share([first, second])
    read([first, second])
    expect_kind(client, ConsumerGroupType.CLASSIC)

    third = member("consumer")
    groups.share([first, second, third])
    expect_kind(client, ConsumerGroupType.CONSUMER)
    read([first, second, third])
    first.close()
    groups.share([second, third])
    fourth = member("consumer")
    groups.share([second, third, fourth])
    second.close()
    groups.share([third, fourth])
    read([third, fourth])

    fifth = member("classic")
    groups.share([third, fourth, fifth])
    read([third, fourth, fifth])
    third.close()
    groups.share([fourth, fifth])
    sixth = member("classic")
    groups.share([fourth, fifth, sixth])
    expect_kind(client, ConsumerGroupType.CONSUMER)
    fourth.close()
    groups.share([fifth, sixth])
    expect_kind(client, ConsumerGroupType.CLASSIC)
    read([fifth, sixth])
    fifth.close()
    sixth.close()


def after(client):
    member = groups_confluent_kafka.Member(client.bootstrap, GROUP, TOPIC, settings("consumer"))
    groups.produce(client, ROUNDS)
    # Of the rounds before nothing comes again.
    groups.read(ROUNDS, {member: PARTITIONS})
    each = ROUNDS * ROUND // len(PARTITIONS)
    assert member.committed() == dict.fromkeys(PARTITIONS, each), member.committed()
    member.close()


def settings(protocol):
    strategy = os.environ.get("STRATEGY")
    if protocol == "classic" and strategy:
        return {"group.protocol": protocol, "partition.assignment.strategy": strategy}
    return {"group.protocol": protocol}


def expect_kind(client, kind):
    admin = AdminClient({"bootstrap.servers": client.bootstrap})
    listed = admin.list_consumer_groups(request_timeout=10).result().valid
    kinds = {group.group_id: group.type for group in listed}
    assert kinds[GROUP] == kind, kinds


if __name__ == "__main__":
    groups.main(groups_confluent_kafka.Client, {"before": before, "after": after})
