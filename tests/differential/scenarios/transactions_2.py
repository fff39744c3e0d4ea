"""Transactions of the second version of their protocol (KIP-890): what is written is added by that, each end
gives the producer another epoch; and what brokers ask each other about transactions."""

import time

from scenarios.groups import commits, find_until_there
from scenarios.metadata import topic
from scenarios.topics import produced
from scenarios.transactions import wait_for_ids

ID, GROUP = "tv", "v-group"
WRITE, END, COMMIT_OFFSETS = ("Produce", 12), ("EndTxn", 5), ("TxnOffsetCommit", 5)


def run(both):
    both.create(topic("v", 2))
    find_until_there(both, {"keyType": 1, "coordinatorKeys": [ID]}, 4)
    find_until_there(both, {"keyType": 0, "coordinatorKeys": [GROUP]}, 4)
    wait_for_ids(both)
    life = Life(both)
    life.initialise("first")
    life.initialise("first, a later epoch")
    life.committed()
    life.aborted()
    life.with_offsets()
    life.taken_over()
    life.marked()
    life.asked_by_brokers()


class Life:
    """One producer's transactions."""

    def __init__(self, both):
        self.both, self.sequence = both, 0

    def initialise(self, step):
        answers = self.both.last(step, "InitProducerId", {"transactionalId": ID, "transactionTimeoutMs": 60_000})
        self.keep(answers)

    def keep(self, answers):
        """The producer's id and epoch from now on: they are in the answers."""
        self.sequence = 0
        for side, answer in zip(self.both.sides, answers):
            if answer.get("producerId", -1) >= 0:
                side.known["producer"] = answer["producerId"]
                side.known["epoch"] = answer["producerEpoch"]

    def write(self, step, partition=0, before=0, sequence=None, version=WRITE[1], id=ID):
        """A record; `before` epochs ago."""
        first = self.sequence if sequence is None else sequence

        def body(side):
            records = {"values": [step], "time": int(time.time() * 1000), "producerId": side.known["producer"],
                       "producerEpoch": side.known["epoch"] - before, "baseSequence": first, "transactional": True}
            return produced("v", records, partition=partition, transactionalId=id)

        answers = self.both.once(step, "Produce", version, body)
        if sequence is None and answers[0]["responses"][0]["partitionResponses"][0]["errorCode"] == 0:
            self.sequence += 1
        return answers

    def ask(self, step, api, version, fields, before=0):
        return self.both.once(step, api, version, lambda side: {
            "transactionalId": ID, "producerId": side.known["producer"],
            "producerEpoch": side.known["epoch"] - before, **fields})

    def end(self, step, committed, before=0, keeps=True):
        answers = self.ask(step, *END, {"committed": committed}, before)
        if keeps:
            self.keep(answers)
        time.sleep(0.3)  # Kafka writes the markers later.

    def look(self, step):
        self.both.last(f"{step}: described", "DescribeTransactions", {"transactionalIds": [ID]})
        self.both.last(f"{step}: producers", "DescribeProducers", {"topics": [{"name": "v", "partitionIndexes": [0, 1]}]})
        for isolation in (0, 1):
            self.both.last(f"{step}: ends, isolation {isolation}", "ListOffsets", {
                "replicaId": -1, "isolationLevel": isolation, "topics": [{"name": "v", "partitions": [
                    {"partitionIndex": n, "timestamp": -1} for n in (0, 1)]}]})
            self.both.once(f"{step}: fetched, isolation {isolation}", "Fetch", 12, {
                "maxWaitMs": 50, "minBytes": 1, "maxBytes": 1 << 20, "isolationLevel": isolation,
                "topics": [{"topic": "v", "partitions": [
                    {"partition": 0, "fetchOffset": 0, "partitionMaxBytes": 1 << 20}]}]})

    def committed(self):
        self.write("written, not added")
        self.look("open")
        self.write("a gap", sequence=7)
        self.write("an older epoch", before=1)
        self.end("commit, older epoch", True, before=1, keeps=False)
        self.end("commit", True)
        self.end("commit again, as it was asked", True, before=1, keeps=False)
        self.end("abort of what is committed", False, before=1, keeps=False)
        self.write("of the epoch before", before=1, sequence=1)
        self.look("committed")
        self.end("commit of nothing", True)
        self.end("abort of nothing", False)

    def aborted(self):
        self.write("second: written")
        self.write("second: to the other", partition=1, sequence=0)
        self.end("second: abort", False)
        self.end("second: abort again", False, before=1, keeps=False)
        self.look("aborted")

    def with_offsets(self):
        offsets = commits(GROUP, [("v", 1, 4)])
        fetch = {"groups": [{"groupId": GROUP, "topics": [{"name": "v", "partitionIndexes": [1]}]}]}
        self.ask("offsets, not added", *COMMIT_OFFSETS, offsets)
        self.ask("offsets, older epoch", *COMMIT_OFFSETS, offsets, before=1)
        self.ask("offsets, no such generation", *COMMIT_OFFSETS, offsets | {"generationId": 4, "memberId": "y"})
        self.ask("offsets, unknown topic", *COMMIT_OFFSETS, commits(GROUP, [("nowhere", 0, 4)]))
        self.both.once("stable offsets before", "OffsetFetch", 9, fetch | {"requireStable": True})
        self.end("offsets: commit", True)
        self.both.once("stable offsets after", "OffsetFetch", 9, fetch | {"requireStable": True})
        self.ask("first version's offsets, not added", "TxnOffsetCommit", 4, offsets)
        self.ask("offsets added", "AddOffsetsToTxn", 4, {"groupId": GROUP})
        self.end("offsets: abort", False)

    def taken_over(self):
        self.write("third: written")
        body = {"transactionalId": ID, "transactionTimeoutMs": 60_000}
        told = [None, None]
        for _ in range(50):  # Kafka aborts first, and asks to come again.
            told = [answer if answer and answer["errorCode"] == 0 else side.ask("InitProducerId", 5, body)
                    for side, answer in zip(self.both.sides, told)]
            if all(answer["errorCode"] == 0 for answer in told):
                break
            time.sleep(0.1)
        self.write("third: the old one writes", sequence=1)
        self.end("third: the old one commits", True, keeps=False)
        self.keep(told)
        self.look("taken over")
        self.write("third: the new one writes")
        self.end("third: commit", True)

    def marked(self):
        """As the tool that ends hanging transactions asks for it, and as it shouldn't."""
        self.write("fourth: written")

        def mark(step, name="v", partition=0, commit=False, epoch=0, coordinator=0):
            self.both.last(step, "WriteTxnMarkers", lambda side: {"markers": [{
                "producerId": side.known["producer"], "producerEpoch": side.known["epoch"] + epoch,
                "transactionResult": commit, "coordinatorEpoch": coordinator,
                "topics": [{"name": name, "partitionIndexes": [partition]}]}]})

        mark("marker, unknown topic", name="nowhere")
        mark("marker, unknown partition", partition=9)
        mark("marker, older epoch", epoch=-1)
        mark("marker, older coordinator", coordinator=-1)
        self.look("not marked")
        mark("marker")
        self.look("marked")
        self.both.last("no markers", "WriteTxnMarkers", {"markers": []})
        self.end("fourth: abort", False)

    def asked_by_brokers(self):
        """AddPartitionsToTxn of several transactions at once, and whether there is one."""
        for version in (4, 5):
            for verify in (False, True):
                self.both.once(f"added by a broker, verified {verify}", "AddPartitionsToTxn", version, lambda side: {
                    "transactions": [
                        {"transactionalId": ID, "producerId": side.known["producer"],
                         "producerEpoch": side.known["epoch"], "verifyOnly": verify,  # noqa: B023
                         "topics": [{"name": "v", "partitions": [0]}]},
                        {"transactionalId": "tv-nowhere", "producerId": 77, "producerEpoch": 0, "verifyOnly": verify,  # noqa: B023
                         "topics": [{"name": "v", "partitions": [0, 1]}]}]})
        self.end("fifth: abort", False)
