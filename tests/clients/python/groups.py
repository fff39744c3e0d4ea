"""A consumer group's life, told once for every client: each brings its own `Client`.

It runs in two parts with a killed server between them. In the first, members read all, share the
partitions, leave and commit; in the second, a new member goes on where the group had committed.

    class Client:
        def __init__(self, bootstrap): ...
        def produce(self, topic, records): ...  # (partition, text), all acknowledged on return
        def member(self, group, topic): ...     # a Member, subscribed, without automatic commits

    class Member:
        def poll(self): ...        # [(partition, offset, text)], after a fraction of a second at most
        def assigned(self): ...    # {partition}
        def commit(self): ...      # everything polled, on the broker when it returns
        def committed(self): ...   # {partition: offset}
        def close(self): ...       # leaves the group
"""

import argparse
import time

TOPIC, GROUP, PARTITIONS = "shared", "readers", {0, 1, 2}
ROUND = 30  # records, the same number to each partition
LIMIT_S = 25  # well below the time after which a silent member is thought dead


def main(client_class, parts=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--part", required=True, choices=["before", "after"])
    arguments = parser.parse_args()
    client = client_class(arguments.bootstrap)
    (parts or {"before": before, "after": after})[arguments.part](client)


def before(client):
    produce(client, 0)
    first = client.member(GROUP, TOPIC)
    read(0, {first: PARTITIONS})
    assert first.assigned() == PARTITIONS, first.assigned()
    first.commit()

    second = client.member(GROUP, TOPIC)
    share([first, second])
    produce(client, 1)
    read(1, {member: member.assigned() for member in (first, second)})
    first.commit()
    second.commit()
    second.close()
    share([first])

    produce(client, 2)
    read(2, {first: PARTITIONS})
    first.commit()
    # Read by a member that leaves without a commit: the next one has to read it again.
    produce(client, 3)
    read(3, {first: PARTITIONS})
    first.close()

    third = client.member(GROUP, TOPIC)
    read(3, {third: PARTITIONS})
    third.commit()
    third.close()


def after(client):
    member = client.member(GROUP, TOPIC)
    produce(client, 4)
    # Of the rounds before nothing comes again.
    read(4, {member: PARTITIONS})
    each = 4 * ROUND // len(PARTITIONS)
    assert member.committed() == dict.fromkeys(PARTITIONS, each), member.committed()
    member.close()


def produce(client, round):
    numbers = range(round * ROUND, (round + 1) * ROUND)
    client.produce(TOPIC, [(number % len(PARTITIONS), str(number)) for number in numbers])


def read(round, owners):
    """Polls until a whole round is read: each record once, by the owner of its partition."""
    expected = {str(number) for number in range(round * ROUND, (round + 1) * ROUND)}
    seen = {}
    until(lambda: expected <= seen.keys(), lambda: poll(seen, owners), lambda: expected - seen.keys())
    quiet = time.monotonic() + 0.5
    while time.monotonic() < quiet:
        poll(seen, owners)
    assert seen.keys() == expected, f"records of other rounds: {sorted(seen.keys() - expected)}"
    for text, (partition, offset) in seen.items():
        place = divmod(int(text), len(PARTITIONS))
        assert (offset, partition) == place, (text, partition, offset)


def poll(seen, owners):
    for member, partitions in owners.items():
        for partition, offset, text in member.poll():
            assert text not in seen, f"{text} came twice"
            assert partition in partitions, f"{text} came to a member without partition {partition}"
            seen[text] = (partition, offset)


def share(members):
    """Polls until every partition has one owner, and every member some."""
    def shares():
        return [sorted(member.assigned()) for member in members]

    def is_shared():
        return all(shares()) and sorted(sum(shares(), [])) == sorted(PARTITIONS)

    def go_on():
        for member in members:
            assert not member.poll(), "a record that was committed"

    until(is_shared, go_on, shares)


def until(is_done, go_on, shown):
    deadline = time.monotonic() + LIMIT_S
    while not is_done():
        assert time.monotonic() < deadline, f"not in {LIMIT_S} s: {shown()}"
        go_on()
