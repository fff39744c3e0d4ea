"""Produce without idempotence: what is taken, and what is wrong with the rest."""

import time

from scenarios.metadata import topic
from scenarios.topics import produced

HOUR_MS = 3_600_000


def run(both):
    small = [{"name": "max.message.bytes", "value": "400"}]
    stamped = [{"name": "message.timestamp.type", "value": "LogAppendTime"}]
    both.create(topic("p", 2), topic("p-small", 1, configs=small), topic("p-stamped", 1, configs=stamped))
    now = int(time.time() * 1000)
    good = {"values": ["a", "b"], "time": now}

    def ask(step, body):
        both.each(step, "Produce", body)

    ask("one batch", produced("p", good))
    for codec in ("gzip", "snappy", "lz4", "zstd"):
        ask(codec, produced("p", good | {"codec": codec}))
    ask("acks 1", produced("p", good, acks=1))
    ask("acks 2", produced("p", good, acks=2))
    ask("acks -2", produced("p", good, acks=-2))
    ask("stamped by the broker", produced("p-stamped", good))
    ask("unknown topic", produced("nowhere", good))
    ask("unknown partition", produced("p", good, partition=7))
    ask("bad name", produced("a/b", good))
    two = produced("p", good)
    two["topicData"][0]["partitionData"].append({"index": 1, "records": good})
    two["topicData"].append({"name": "nowhere", "partitionData": [{"index": 0, "records": good}]})
    ask("some good, some not", two)
    both.last("null records", "Produce", produced("p", None), connection="null")
    ask("no values", produced("p", good | {"values": []}))
    ask("two batches", produced("p", good | {"twice": True}))
    ask("magic 1", produced("p", good | {"magic": 1}))
    ask("magic 0", produced("p", good | {"magic": 0}))
    ask("base offset", produced("p", good | {"baseOffset": 1000}, partition=1))
    ask("bad checksum", produced("p", good | {"spoil": 17}))
    ask("bad record", produced("p", good | {"spoil": -1}))
    ask("bad magic", produced("p", good | {"spoil": 16}))
    ask("bad length", produced("p", good | {"spoil": 11}))
    ask("cut", produced("p", good | {"cut": 3}))
    ask("control batch", produced("p", good | {"control": True, "producerId": 1, "producerEpoch": 0, "baseSequence": 0}))
    ask("large", produced("p-small", good | {"values": ["x" * 1000]}))
    ask("large and compressed", produced("p-small", good | {"values": ["x" * 1000], "codec": "gzip"}))
    ask("from the future", produced("p", good | {"time": now + 2 * HOUR_MS}))
    ask("from 1970", produced("p", good | {"time": 0}))
    ask("no timestamp", produced("p", good | {"time": -1}))
    ask("no timestamp, compressed", produced("p", good | {"time": -1, "codec": "lz4"}))
    both.send("Produce", 9, produced("p", good, acks=0))
    both.last("after acks 0", "Produce", produced("p", good))
    both.last("the end", "ListOffsets", {"replicaId": -1, "topics": [{"name": "p", "partitions": [
        {"partitionIndex": 0, "timestamp": -1}]}]})
