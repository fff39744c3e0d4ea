"""Transactions of the first version of their protocol."""

import time

from scenarios.groups import commits, find_until_there
from scenarios.metadata import topic
from scenarios.topics import produced

ID = "tx"


def run(both):
    both.create(topic("x", 2))
    find_until_there(both, {"keyType": 1, "coordinatorKeys": [ID]}, 4)
    find_until_there(both, {"keyType": 0, "coordinatorKeys": ["x-group"]}, 4)
    wait_for_ids(both)
    initialising(both)
    Life(both).run()


def wait_for_ids(both):
    """Kafka's controller gives out producers' ids by the block, and the first takes a moment."""
    begin = {"transactionalId": "tx-ready", "transactionTimeoutMs": 1000}
    for _ in range(100):
        if all(side.ask("InitProducerId", 4, begin)["errorCode"] == 0 for side in both.sides):
            break
        time.sleep(0.1)


def initialising(both):
    def ask(step, **fields):
        both.each(step, "InitProducerId", {"transactionalId": "tx-init", "transactionTimeoutMs": 60_000} | fields)

    ask("empty id", transactionalId="")
    ask("no timeout", transactionTimeoutMs=0)
    ask("negative timeout", transactionTimeoutMs=-5)
    ask("long timeout", transactionTimeoutMs=100_000_000)
    ask("again and again")
    both.last("unknown producer", "InitProducerId", {"transactionalId": "tx-init", "transactionTimeoutMs": 60_000,
                                                     "producerId": 4_000_000, "producerEpoch": 3})
    both.last("id without epoch", "InitProducerId", {"transactionalId": "tx-init", "transactionTimeoutMs": 60_000,
                                                     "producerId": 4_000_000})


class Life:
    """One producer's transactions, step by step."""

    def __init__(self, both):
        self.both = both
        self.epoch = 0
        self.sequence = {0: 0, 1: 0}

    def ask(self, step, api, fields, version=None):
        """With the producer's id and epoch, unless the fields say otherwise."""
        def body(side):
            own = {"producerId": side.known["producer"], "producerEpoch": self.epoch}
            return {"transactionalId": ID, **own, **fields}

        version = version or min(self.both.versions_of(api)[-1], NEWEST_BEFORE_V2.get(api, 99))
        return self.both.once(step, api, version, body)

    def initialise(self, step):
        body = {"transactionalId": ID, "transactionTimeoutMs": 60_000}
        answers = self.both.once(step, "InitProducerId", 4, body)
        for side, answer in zip(self.both.sides, answers):
            side.known["producer"] = answer["producerId"]
        self.epoch = answers[0]["producerEpoch"]
        self.sequence = {0: 0, 1: 0}

    def add(self, step, *partitions, name="x", id=ID, epoch=None):
        def body(side):
            return {
                "v3AndBelowTransactionalId": id,
                "v3AndBelowProducerId": side.known["producer"],
                "v3AndBelowProducerEpoch": self.epoch if epoch is None else epoch,
                "v3AndBelowTopics": [{"name": name, "partitions": list(partitions)}],
            }

        self.both.once(step, "AddPartitionsToTxn", 3, body)

    def write(self, step, partition, count=2, transactional=True, identified=True, sequence=None, epoch=None):
        first = self.sequence[partition] if sequence is None else sequence

        def body(side):
            records = {"values": [f"{step} {n}" for n in range(count)], "time": int(time.time() * 1000),
                       "producerId": side.known["producer"], "producerEpoch": self.epoch if epoch is None else epoch,
                       "baseSequence": first, "transactional": transactional}
            more = {"transactionalId": ID} if identified else {}
            return produced("x", records, partition=partition, **more)

        answers = self.both.once(step, "Produce", 11, body)
        if sequence is None and answers[0]["responses"][0]["partitionResponses"][0]["errorCode"] == 0:
            self.sequence[partition] += count

    def end(self, step, committed, **fields):
        self.ask(step, "EndTxn", {"committed": committed, **fields})
        time.sleep(0.3)  # Kafka writes the markers later.

    def look(self, step):
        self.both.last(f"{step}: described", "DescribeTransactions", {"transactionalIds": [ID, "tx-nowhere", ""]})
        self.both.last(f"{step}: producers", "DescribeProducers", {"topics": [{"name": "x", "partitionIndexes": [0, 1]}]})
        for isolation in (0, 1):
            for special in (-1, -3):
                self.both.last(f"{step}: offset {special}, isolation {isolation}", "ListOffsets", {
                    "replicaId": -1, "isolationLevel": isolation,
                    "topics": [{"name": "x", "partitions": [{"partitionIndex": 0, "timestamp": special}]}]})
            ids = lambda side: side.known["x"]  # noqa: E731
            self.both.last(f"{step}: fetched, isolation {isolation}", "Fetch", lambda side: {
                "maxWaitMs": 50, "minBytes": 1, "maxBytes": 1 << 20, "isolationLevel": isolation,  # noqa: B023
                "topics": [{"topicId": ids(side), "partitions": [
                    {"partition": 0, "fetchOffset": 0, "partitionMaxBytes": 1 << 20}]}]})

    def run(self):
        both = self.both
        for side in both.sides:
            told = side.ask("Metadata", 12, {"topics": [{"name": "x"}]})
            side.known["x"] = told["topics"][0]["topicId"]
        self.initialise("first")
        self.initialise("first, a later epoch")
        self.end("commit of nothing", True)
        self.end("abort of nothing", False)
        self.add("add", 0)
        self.add("add again", 0)
        self.add("add unknown partition", 0, 9)
        self.add("add unknown topic", 0, name="nowhere")
        self.add("add, other id", 0, id="tx-nowhere")
        self.add("add, older epoch", 0, epoch=self.epoch - 1)
        self.add("add, newer epoch", 0, epoch=self.epoch + 1)
        self.write("write", 0)
        self.write("write what was not added", 1)
        self.write("write without saying the id", 0, identified=False)
        self.write("write outside", 0, transactional=False)
        self.write("gap", 0, sequence=77)
        self.write("write, older epoch", 0, epoch=self.epoch - 1, sequence=2)
        self.look("open")
        both.last("listed", "ListTransactions", {"stateFilters": ["Ongoing"]})
        both.last("listed, no such state", "ListTransactions", {"stateFilters": ["Asleep"]})
        both.last("listed, of producer", "ListTransactions", lambda side: {
            "producerIdFilters": [side.known["producer"]]})
        both.last("listed, long ones", "ListTransactions", {"durationFilter": 3_600_000})

        self.ask("add offsets", "AddOffsetsToTxn", {"groupId": "x-group"})
        self.ask("add offsets, no group", "AddOffsetsToTxn", {"groupId": ""})
        self.ask("add offsets, older epoch", "AddOffsetsToTxn", {"groupId": "x-group", "producerEpoch": self.epoch - 1})
        offsets = commits("x-group", [("x", 1, 4)])
        self.ask("commit offsets", "TxnOffsetCommit", offsets)
        self.ask("commit offsets, unknown topic", "TxnOffsetCommit", commits("x-group", [("nowhere", 0, 4)]))
        self.ask("commit offsets, no such generation", "TxnOffsetCommit", offsets | {"generationId": 4, "memberId": "y"})
        self.ask("commit offsets, other group", "TxnOffsetCommit", offsets | {"groupId": "x-elsewhere"})
        self.ask("commit offsets, older epoch", "TxnOffsetCommit", offsets | {"producerEpoch": self.epoch - 1})
        asked = {"groupId": "x-group", "topics": [{"name": "x", "partitionIndexes": [1]}]}
        both.last("offsets before", "OffsetFetch", {"groups": [asked]})
        both.last("stable offsets before", "OffsetFetch", {"groups": [asked], "requireStable": True})
        both.last("offsets deleted", "OffsetDelete", {"groupId": "x-group", "topics": [
            {"name": "x", "partitions": [{"partitionIndex": 1}]}]})
        self.end("end, older epoch", True, producerEpoch=self.epoch - 1)
        self.end("end, other id", True, transactionalId="tx-nowhere")
        self.end("commit", True)
        self.end("commit again", True)
        self.end("abort what is committed", False)
        both.last("offsets after", "OffsetFetch", {"groups": [asked], "requireStable": True})
        self.look("committed")

        self.add("second: add", 0)
        self.write("second: write", 0)
        self.end("second: abort", False)
        self.end("second: abort again", False)
        self.end("second: commit what is aborted", True)
        self.look("aborted")

        self.add("third: add", 0)
        self.write("third: write", 0)
        old = self.epoch
        body = {"transactionalId": ID, "transactionTimeoutMs": 60_000}
        for _ in range(50):  # Kafka aborts first, and asks to come again.
            if all(side.ask("InitProducerId", 4, body)["errorCode"] == 0 for side in both.sides):
                break
            time.sleep(0.1)
        self.initialise("third: taken over")
        self.write("third: the old one writes", 0, epoch=old, sequence=4)
        self.ask("third: the old one ends", "EndTxn", {"committed": True, "producerEpoch": old})
        self.look("taken over")


# The versions behind these belong to the second version of the protocol (KIP-890).
NEWEST_BEFORE_V2 = {"AddPartitionsToTxn": 3, "AddOffsetsToTxn": 4, "EndTxn": 4, "TxnOffsetCommit": 4}
