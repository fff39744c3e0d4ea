"""The two servers, asked the same."""

import json
import os
import subprocess
import time

from differences import Difference, compare
from maven import Project
from normal import Normaliser

WIRE = Project("tests/differential/java")


class Wire:
    """The program that speaks Kafka's protocol with Kafka's own classes (`java/`)."""

    def __enter__(self):
        command = WIRE.command("Wire")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(20)

    def order(self, **order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        outcome = json.loads(self.process.stdout.readline())
        if "failed" in outcome:
            raise RuntimeError(f"{order}: {outcome['failed']}")
        return outcome


class Side:
    """One server, and what this run knows of it: whatever a scenario keeps in `known`."""

    def __init__(self, broker, wire):
        self.name, self.wire = broker.name, wire
        self.address, self.logins = broker.bootstrap, broker.logins
        self.normaliser = Normaliser()
        self.known = {}

    def order(self, what, connection="main", **more):
        """Connections whose name begins with `login` are to the listener that asks for one."""
        address = self.logins if connection.startswith("login") else self.address
        return self.wire.order(do=what, address=address, connection=connection, **more)

    def ask(self, api, version, body=None, **more):
        """The answer, unless the connection was closed or nothing came."""
        body = body(self) if callable(body) else body or {}
        outcome = self.order("ask", api=api, version=version, body=body, **more)
        return outcome.get("answer", outcome)

    def leads(self, topic, partitions):
        """Whether it serves these partitions already."""
        parts = [{"partitionIndex": each["partitionIndex"], "timestamp": -1} for each in partitions]
        asked = {"replicaId": -1, "topics": [{"name": topic, "partitions": parts}]}
        told = self.ask("ListOffsets", 7, asked)["topics"][0]["partitions"]
        return not any(each["errorCode"] for each in told)

    def versions(self):
        answer = self.ask("ApiVersions", 0)
        return {each["apiKey"]: (each["minVersion"], each["maxVersion"]) for each in answer["apiKeys"]}


class Both:
    """Asks both, and keeps in what they differ."""

    def __init__(self, wire, kafka, fletch):
        self.kafka, self.fletch = Side(kafka, wire), Side(fletch, wire)
        self.sides = (self.kafka, self.fletch)
        kafka_has, fletch_has = (side.versions() for side in self.sides)
        self.common = {
            key: range(
                max(kafka_has[key][0], fletch_has[key][0]), min(kafka_has[key][1], fletch_has[key][1]) + 1
            )
            for key in kafka_has.keys() & fletch_has.keys()
        }
        self.scenario = ""
        self.differences, self.asked = [], 0

    def begin(self, scenario):
        self.scenario = scenario
        # The n-th id is that of this scenario: one may take another number of them on either side.
        for side in self.sides:
            side.normaliser.begin()
        self.differences, self.asked = [], 0

    def versions_of(self, api):
        """The versions of an API that both serve."""
        return [each for each in self.common[API_KEYS[api]] if each >= KNOWN_FROM.get(api, 0)]

    def each(self, step, api, body=None, **more):
        """Asks in every version that both serve; a body that depends on it is a function of the side and
        the version. The answers of the last version, Kafka's first."""
        answers = None
        for version in self.versions_of(api):
            bound = (lambda side, v=version: body(side, v)) if callable(body) else body
            answers = self.once(step, api, version, bound, **more)
        return answers

    def last(self, step, api, body=None, **more):
        """Asks in the newest version that both serve; a body that depends on it is a function of the side."""
        return self.once(step, api, self.versions_of(api)[-1], body, **more)

    def create(self, *topics):
        """Makes topics, and waits until both show them."""
        self.last("create", "CreateTopics", {"topics": list(topics), "timeoutMs": 10_000})
        names = {"topics": [{"name": each["name"]} for each in topics], "allowAutoTopicCreation": False}
        for side in self.sides:
            for _ in range(200):
                told = side.ask("Metadata", 12, names)
                ready = not any(each["errorCode"] for each in told["topics"])
                if ready and all(side.leads(each["name"], each["partitions"]) for each in told["topics"]):
                    break
                time.sleep(0.05)

    def once(self, step, api, version, body=None, **more):
        """Asks in one version; the two answers, Kafka's first."""
        return self.judge(step, api, version, [side.ask(api, version, body, **more) for side in self.sides])

    def send(self, api, version, body, **more):
        """Asks without waiting; see `receive`."""
        for side in self.sides:
            made = body(side) if callable(body) else body
            side.order("send", api=api, version=version, body=made, **more)

    def receive(self, step, api, version, **more):
        """The answers to what was sent."""
        outcomes = [side.order("receive", api=api, version=version, **more) for side in self.sides]
        return self.judge(step, api, version, [each.get("answer", each) for each in outcomes])

    def raw(self, step, frame, **more):
        """Sends a frame as it is."""
        outcomes = [side.order("raw", bytes=frame.hex(), **more) for side in self.sides]
        return self.judge(step, "-", 0, outcomes)

    def close(self, connection):
        for side in self.sides:
            side.order("close", connection=connection)

    def judge(self, step, api, version, answers):
        self.asked += 1
        if os.environ.get("TRACE"):
            print(f"{time.strftime('%X')} {self.scenario}/{step} {api} {version}", flush=True)
        normal = [side.normaliser.normal(answer) for side, answer in zip(self.sides, answers)]
        for path, kafka, fletch in compare(*normal):
            self.note(step, api, version, path, kafka, fletch)
        return answers

    def note(self, step, api, version, path, kafka, fletch):
        step = f"{self.scenario}/{step}"
        for each in self.differences:
            if (each.step, each.api, each.path) == (step, api, path) and repr((each.kafka, each.fletch)) == repr(
                (kafka, fletch)
            ):
                if version not in each.versions:
                    each.versions.append(version)
                return
        self.differences.append(Difference(step, api, path, kafka, fletch, [version]))


# Kafka says that it serves Produce 0 to 2, since some clients look for them; it doesn't.
KNOWN_FROM = {"Produce": 3}
API_KEYS = {
    "Produce": 0,
    "Fetch": 1,
    "ListOffsets": 2,
    "Metadata": 3,
    "OffsetCommit": 8,
    "OffsetFetch": 9,
    "FindCoordinator": 10,
    "JoinGroup": 11,
    "Heartbeat": 12,
    "LeaveGroup": 13,
    "SyncGroup": 14,
    "DescribeGroups": 15,
    "ListGroups": 16,
    "SaslHandshake": 17,
    "ApiVersions": 18,
    "CreateTopics": 19,
    "DeleteTopics": 20,
    "DeleteRecords": 21,
    "InitProducerId": 22,
    "OffsetForLeaderEpoch": 23,
    "AddPartitionsToTxn": 24,
    "AddOffsetsToTxn": 25,
    "EndTxn": 26,
    "WriteTxnMarkers": 27,
    "TxnOffsetCommit": 28,
    "DescribeAcls": 29,
    "CreateAcls": 30,
    "DeleteAcls": 31,
    "DescribeConfigs": 32,
    "AlterConfigs": 33,
    "DescribeLogDirs": 35,
    "SaslAuthenticate": 36,
    "CreatePartitions": 37,
    "DeleteGroups": 42,
    "ElectLeaders": 43,
    "IncrementalAlterConfigs": 44,
    "AlterPartitionReassignments": 45,
    "ListPartitionReassignments": 46,
    "OffsetDelete": 47,
    "DescribeClientQuotas": 48,
    "AlterClientQuotas": 49,
    "DescribeUserScramCredentials": 50,
    "AlterUserScramCredentials": 51,
    "DescribeCluster": 60,
    "DescribeProducers": 61,
    "DescribeTransactions": 65,
    "ListTransactions": 66,
    "ConsumerGroupHeartbeat": 68,
    "ConsumerGroupDescribe": 69,
    "DescribeTopicPartitions": 75,
}
