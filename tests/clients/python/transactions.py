"""The life of a transactional producer, told once for every client.

In the first part: what is committed is read by consumers of committed records, what is aborted isn't;
records are moved from one topic to another, with the offsets of the group that read them; a second
producer with the same id fences the first; and a transaction is left open. Then the server is killed.
In the second part the one that was left open is aborted, and everything else is as it was.
"""

import argparse
import time

LIMIT = 25


def read(client, topic, count, committed=True, group=None):
    """The first so many values; and that no more come."""
    consumer = client.consumer(group or f"reader-{time.monotonic_ns()}", topic, committed)
    values, deadline = [], time.monotonic() + LIMIT
    while len(values) < count:
        assert time.monotonic() < deadline, (topic, committed, values)
        values += consumer.poll()
    more = consumer.poll() + consumer.poll()
    assert more == [], more
    return values, consumer


def expect(client, topic, values, committed=True):
    found, consumer = read(client, topic, len(values), committed)
    consumer.close()
    assert found == values, (topic, committed, found)


def before(client):
    producer = client.producer("mover")
    producer.begin()
    for n in range(3):
        producer.produce("source", f"kept {n}")
    producer.commit()
    kept = [f"kept {n}" for n in range(3)]
    expect(client, "source", kept)

    producer.begin()
    producer.produce("source", "never")
    producer.flush()
    producer.abort()
    expect(client, "source", kept)
    expect(client, "source", kept + ["never"], committed=False)

    # Moved once, and then again by nobody: the group goes on behind what was moved.
    values, consumer = read(client, "source", 3, group="movers")
    producer.begin()
    for value in values:
        producer.produce("target", value.upper())
    producer.send_offsets(consumer)
    producer.commit()
    consumer.close()
    expect(client, "target", [value.upper() for value in kept])

    producer.begin()
    producer.produce("source", "kept 3")
    producer.commit()
    values, consumer = read(client, "source", 1, group="movers")
    assert values == ["kept 3"], values
    # Moved, and given up: the group goes back with it.
    producer.begin()
    producer.produce("target", "not yet")
    producer.send_offsets(consumer)
    producer.flush()
    producer.abort()
    consumer.close()
    values, consumer = read(client, "source", 1, group="movers")
    assert values == ["kept 3"], values
    consumer.close()

    producer.begin()
    producer.produce("source", "of a zombie")
    producer.flush()
    second = client.producer("mover")
    second.begin()
    second.produce("source", "kept 4")
    second.commit()
    assert client.is_fenced(producer.commit), "a zombie commits"
    expect(client, "source", kept + ["kept 3", "kept 4"])

    second.begin()
    second.produce("target", "left open")
    second.flush()
    # What comes after it is not seen before it is decided.
    other = client.producer("other")
    other.begin()
    other.produce("target", "kept")
    other.commit()
    expect(client, "target", [value.upper() for value in kept])


def after(client):
    expect(client, "source", [f"kept {n}" for n in range(5)])
    producer = client.producer("mover")
    producer.begin()
    producer.produce("target", "at last")
    producer.commit()
    expect(client, "target", ["KEPT 0", "KEPT 1", "KEPT 2", "kept", "at last"])
    values, consumer = read(client, "source", 2, group="movers")
    assert values == ["kept 3", "kept 4"], values
    consumer.close()


def main(client):
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--bootstrap", required=True)
    arguments.add_argument("--part", choices=["before", "after"], required=True)
    arguments = arguments.parse_args()
    {"before": before, "after": after}[arguments.part](client(arguments.bootstrap))
