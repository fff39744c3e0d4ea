"""Fetch: offsets in and out of range, sizes, waits, epochs, sessions."""

import time

from normal import UNKNOWN_ID
from scenarios.metadata import topic
from scenarios.topics import produced


def run(both):
    both.create(topic("f", 2), topic("f-empty", 1))
    now = int(time.time() * 1000)
    for n, codec in enumerate(["none", "gzip", "lz4"]):
        values = [f"{n}-{k}-" + "x" * 100 for k in range(3)]
        both.last("fill", "Produce", produced("f", {"values": values, "codec": codec, "time": now}))
    for side in both.sides:
        told = side.ask("Metadata", 12, {"topics": [{"name": "f"}, {"name": "f-empty"}]})
        side.known["ids"] = {each["name"]: each["topicId"] for each in told["topics"]}
        side.known["ids"]["nowhere"] = UNKNOWN_ID

    def fetch(*partitions, **more):
        """Partitions: (topic, partition, offset, further fields)."""
        def body(side, version=None):
            topics = []
            for name, partition, offset, fields in partitions:
                part = {"partition": partition, "fetchOffset": offset, "partitionMaxBytes": 1 << 20} | fields
                topics.append({"topic": name, "topicId": side.known["ids"][name], "partitions": [part]})
            wait = {"maxWaitMs": 50, "minBytes": 1, "maxBytes": 1 << 20, "replicaId": -1}
            return wait | {"topics": topics} | {k: v(side) if callable(v) else v for k, v in more.items()}

        return body

    def ask(step, *partitions, **more):
        both.each(step, "Fetch", fetch(*partitions, **more))

    ask("all", ("f", 0, 0, {}))
    ask("within a batch", ("f", 0, 1, {}))
    ask("committed only", ("f", 0, 0, {}), isolationLevel=1)
    ask("second batch", ("f", 0, 3, {}))
    ask("the end", ("f", 0, 9, {}))
    ask("behind the end", ("f", 0, 10, {}))
    ask("negative", ("f", 0, -1, {}))
    ask("empty partition", ("f", 1, 0, {}))
    ask("two topics", ("f", 0, 6, {}), ("f-empty", 0, 0, {}))
    ask("unknown topic", ("nowhere", 0, 0, {}))
    ask("unknown partition", ("f", 9, 0, {}))
    ask("one byte of it", ("f", 0, 0, {"partitionMaxBytes": 1}))
    ask("one byte of all", ("f", 0, 0, {}), maxBytes=1)
    ask("nothing of it", ("f", 0, 0, {"partitionMaxBytes": 0}))
    ask("one batch", ("f", 0, 0, {"partitionMaxBytes": 500}))
    ask("epoch 0", ("f", 0, 0, {"currentLeaderEpoch": 0}))
    ask("epoch 7", ("f", 0, 0, {"currentLeaderEpoch": 7}))
    ask("last epoch 0", ("f", 0, 0, {"currentLeaderEpoch": 0, "lastFetchedEpoch": 0}))
    ask("last epoch 7", ("f", 0, 0, {"currentLeaderEpoch": 0, "lastFetchedEpoch": 7}))
    ask("no wait", ("f-empty", 0, 0, {}), maxWaitMs=0)
    ask("rack", ("f", 0, 8, {}), rackId="here")

    # A session begins with epoch 0.
    begin = fetch(("f", 0, 0, {}), ("f-empty", 0, 0, {}), sessionId=0, sessionEpoch=0)
    for version in [each for each in both.versions_of("Fetch") if each >= 7]:
        def once(step, body):
            answers = both.once(f"session: {step}", "Fetch", version, body, connection="session")  # noqa: B023
            for side, answer in zip(both.sides, answers):
                if answer.get("sessionId"):
                    side.known["session"] = answer["sessionId"]

        def later(epoch, *partitions, **more):
            return fetch(*partitions, sessionId=lambda side: side.known.get("session", 0), sessionEpoch=epoch, **more)

        once("begun", begin)
        once("nothing new", later(1))
        once("moved", later(2, ("f", 0, 6, {})))
        once("moved to the end", later(3, ("f", 0, 9, {})))
        forget = lambda side: [{"topic": "f", "topicId": side.known["ids"]["f"], "partitions": [0]}]  # noqa: E731
        once("forgotten", later(4, forgottenTopicsData=forget))
        once("wrong epoch", later(9))
        once("unknown partition", later(5, ("f", 9, 0, {})))
        once("unknown session", fetch(sessionId=123456, sessionEpoch=1))
        once("ended", later(-1))
        once("after its end", later(6))
        both.once("session: outside one", "Fetch", version, fetch(("f", 0, 8, {}), sessionEpoch=-1))
