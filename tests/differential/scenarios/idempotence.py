"""Sequence numbers: duplicates, gaps, epochs, ids that nobody has given."""

import time

from scenarios.metadata import topic
from scenarios.topics import produced


def run(both):
    both.create(topic("i", 1), topic("i-new", 1))
    begin = {"transactionalId": None, "transactionTimeoutMs": 1000}
    for _ in range(100):  # Kafka's controller gives out ids by the block, and the first takes a moment.
        if all(side.ask("InitProducerId", 4, begin)["errorCode"] == 0 for side in both.sides):
            break
        time.sleep(0.1)
    both.each("ids", "InitProducerId", {"transactionalId": None, "transactionTimeoutMs": 1000})
    for kafka_or_fletch in both.sides:
        answer = kafka_or_fletch.ask("InitProducerId", 4, {"transactionalId": None, "transactionTimeoutMs": 1000})
        kafka_or_fletch.known["producer"] = answer["producerId"]
    now = int(time.time() * 1000)

    def ask(step, sequence, count=2, epoch=0, producer=None, topic="i", **more):
        def body(side):
            identity = side.known["producer"] if producer is None else producer
            values = [f"{step} {n}" for n in range(count)]
            records = {"values": values, "time": now, "producerId": identity, "producerEpoch": epoch,
                       "baseSequence": sequence}
            return produced(topic, records | more)

        both.last(step, "Produce", body)

    ask("first", 0)
    ask("second", 2)
    ask("second again", 2)
    ask("first again", 0)
    ask("gap", 10)
    ask("half of one", 2, count=1)
    ask("overlap", 3, count=2)
    for sequence in range(4, 14, 2):
        ask(f"{sequence}", sequence)
    ask("too long ago", 0)
    ask("the oldest of five", 4)
    ask("the sixth", 2)
    ask("newer epoch, not from 0", 14, epoch=1)
    ask("newer epoch", 0, epoch=1)
    ask("older epoch", 2, epoch=0)
    ask("older epoch, duplicate", 12, epoch=0)
    ask("nobody's id, from 0", 0, producer=987_654_321)
    ask("nobody's id, not from 0", 5, producer=987_654_322)
    ask("new partition, not from 0", 5, epoch=1, topic="i-new")
    ask("transactional without an id", 2, epoch=1, transactional=True)
    ask("two batches", 2, epoch=1, twice=True)
    both.last("producers", "DescribeProducers", {"topics": [{"name": "i", "partitionIndexes": [0, 9]},
                                                            {"name": "nowhere", "partitionIndexes": [0]}]})
    for timeout in (0, -1):
        both.each(f"timeout {timeout}", "InitProducerId", {"transactionalId": None, "transactionTimeoutMs": timeout})
    given = {"transactionalId": None, "transactionTimeoutMs": 1000}
    both.last("again", "InitProducerId", lambda side: given | {"producerId": side.known["producer"],
                                                               "producerEpoch": 1})
