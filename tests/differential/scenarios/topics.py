"""CreateTopics, CreatePartitions, DeleteTopics, DeleteRecords, and the APIs that move or elect replicas."""

from normal import UNKNOWN_ID
from scenarios.metadata import topic


def run(both):
    create(both)
    partitions(both)
    delete_records(both)
    replicas(both)
    delete(both)


def create(both):
    def order(*topics, **more):
        return {"topics": list(topics), "timeoutMs": 10000, **more}

    def ask(step, *topics, **more):
        both.each(step, "CreateTopics", order(*topics, **more))

    both.each("new", "CreateTopics", lambda side, v: order(topic(f"t-{v}", 2), topic(f"u-{v}", 1)))
    with_config = {"configs": [{"name": "retention.ms", "value": "1000"}, {"name": "max.message.bytes", "value": "9"}]}
    both.each("configs", "CreateTopics", lambda side, v: order(topic(f"c-{v}", 1, **with_config)))
    both.each("defaults", "CreateTopics", lambda side, v: order(topic(f"d-{v}", -1, replicationFactor=-1)))
    ask("only checked", topic("checked", 3), validateOnly=True)
    ask("exists", topic("t-4", 2))
    ask("twice", topic("twice", 1), topic("twice", 1), topic("once", 1), validateOnly=True)
    for name in ("", ".", "..", "a/b", "ä", "x" * 249, "x" * 250, "with space", "__consumer_offsets"):
        ask(f"name {name[:20]!r}", topic(name, 1), validateOnly=True)
    ask("collides", topic("t_4", 1), validateOnly=True)
    ask("no partitions", topic("zero", 0), validateOnly=True)
    ask("fewer than none", topic("less", -2), validateOnly=True)
    ask("three replicas", topic("wide", 1, replicationFactor=3), validateOnly=True)
    ask("no replicas", topic("narrow", 1, replicationFactor=0), validateOnly=True)
    here = {"replicationFactor": -1}
    ask("assigned", topic("assigned", -1, **here, assignments=assigned([1], [1])), validateOnly=True)
    ask("assigned elsewhere", topic("elsewhere", -1, **here, assignments=assigned([9])), validateOnly=True)
    ask("assigned twice", topic("again", -1, **here, assignments=assigned([1, 1])), validateOnly=True)
    ask("assigned to none", topic("nobody", -1, **here, assignments=assigned([])), validateOnly=True)
    gap = [{"partitionIndex": 1, "brokerIds": [1]}]
    ask("assigned with a gap", topic("gap", -1, **here, assignments=gap), validateOnly=True)
    ask("assigned and counted", topic("both", 2, assignments=assigned([1], [1])), validateOnly=True)
    for name, value in [
        ("no.such.config", "1"),
        ("retention.ms", "soon"),
        ("retention.ms", "-2"),
        ("retention.ms", None),
        ("cleanup.policy", "burn"),
        ("compression.type", "brotli"),
        ("compression.type", "uncompressed"),
        ("message.timestamp.type", "Never"),
        ("min.insync.replicas", "0"),
        ("min.insync.replicas", "2"),
        ("segment.bytes", "13"),
        ("max.message.bytes", "-1"),
        ("preallocate", "maybe"),
        ("min.cleanable.dirty.ratio", "1.5"),
    ]:
        configs = [{"name": name, "value": value}]
        ask(f"config {name}={value}", topic("configured", 1, configs=configs), validateOnly=True)


def assigned(*brokers):
    return [{"partitionIndex": n, "brokerIds": ids} for n, ids in enumerate(brokers)]


def partitions(both):
    both.create(topic("grown", 2))

    def ask(step, *topics, **more):
        both.each(step, "CreatePartitions", {"topics": list(topics), "timeoutMs": 10000, **more})

    both.each("more", "CreatePartitions", lambda side, v: {
        "topics": [{"name": "grown", "count": 3 + v, "assignments": None}], "timeoutMs": 10_000})
    ask("as many", {"name": "grown", "count": 6, "assignments": None})
    ask("fewer", {"name": "grown", "count": 1, "assignments": None})
    ask("none", {"name": "grown", "count": 0, "assignments": None})
    ask("negative", {"name": "grown", "count": -1, "assignments": None})
    ask("unknown", {"name": "nowhere", "count": 3, "assignments": None})
    ask("only checked", {"name": "grown", "count": 9, "assignments": None}, validateOnly=True)
    ask("assigned", {"name": "grown", "count": 7, "assignments": [{"brokerIds": [1]}]}, validateOnly=True)
    ask("assigned elsewhere", {"name": "grown", "count": 7, "assignments": [{"brokerIds": [9]}]}, validateOnly=True)
    ask("too few assigned", {"name": "grown", "count": 9, "assignments": [{"brokerIds": [1]}]}, validateOnly=True)
    one = {"name": "grown", "count": 9, "assignments": None}
    ask("twice", one, one, validateOnly=True)
    both.last("as it is then", "Metadata", {"topics": [{"name": "grown"}]})


def delete_records(both):
    both.create(topic("cut", 1))
    records = {"values": [f"v{n}" for n in range(10)]}
    both.last("fill", "Produce", produced("cut", records))

    def ask(step, name, *offsets):
        parts = [{"partitionIndex": p, "offset": offset} for p, offset in offsets]
        both.each(step, "DeleteRecords", {"topics": [{"name": name, "partitions": parts}], "timeoutMs": 5000})

    ask("below 3", "cut", (0, 3))
    ask("again", "cut", (0, 3))
    ask("below what is gone", "cut", (0, 1))
    ask("behind the end", "cut", (0, 11))
    ask("no such partition", "cut", (5, 1))
    ask("no such topic", "nowhere", (0, 1))
    ask("negative", "cut", (0, -2))
    ask("all", "cut", (0, -1))
    both.last("first left", "ListOffsets", {"replicaId": -1, "topics": [{"name": "cut", "partitions": [
        {"partitionIndex": 0, "timestamp": -2}]}]})


def produced(name, *records, partition=0, **more):
    """A Produce request's body."""
    parts = [{"index": partition, "records": each} for each in records]
    return {"acks": -1, "timeoutMs": 10000, "topicData": [{"name": name, "partitionData": parts}], **more}


def replicas(both):
    part = [{"topic": "grown", "partitions": [0, 1]}]
    both.each("elect", "ElectLeaders", {"topicPartitions": part, "timeoutMs": 5000})
    both.each("elect unclean", "ElectLeaders", {"electionType": 1, "topicPartitions": part, "timeoutMs": 5000})
    nowhere = [{"topic": "nowhere", "partitions": [0]}, {"topic": "grown", "partitions": [99]}]
    both.each("elect unknown", "ElectLeaders", {"topicPartitions": nowhere, "timeoutMs": 5000})
    both.each("elect all", "ElectLeaders", {"topicPartitions": None, "timeoutMs": 5000})

    def move(step, name, partition, to):
        parts = [{"partitionIndex": partition, "replicas": to}]
        both.each(step, "AlterPartitionReassignments", {"topics": [{"name": name, "partitions": parts}]})

    move("stay", "grown", 0, [1])
    move("move", "grown", 0, [9])
    move("cancel", "grown", 0, None)
    move("nobody", "grown", 0, [])
    move("twice there", "grown", 0, [1, 1])
    move("no such partition", "grown", 99, [1])
    move("no such topic", "nowhere", 0, [1])
    both.each("moving", "ListPartitionReassignments", {"topics": None})
    both.each("moving, these", "ListPartitionReassignments", {"topics": [{"name": "grown", "partitionIndexes": [0]}]})
    both.each("log dirs", "DescribeLogDirs", {"topics": [{"topic": "cut", "partitions": [0]}]})
    both.each("log dirs, unknown", "DescribeLogDirs", {"topics": [{"topic": "nowhere", "partitions": [0]}]})


def delete(both):
    def order(v, *names):
        if v >= 6:
            return {"topics": [{"name": name} for name in names], "timeoutMs": 10000}
        return {"topicNames": list(names), "timeoutMs": 10000}

    both.each("delete", "DeleteTopics", lambda side, v: order(v, f"t-{v + 1}", f"u-{v + 1}"))
    both.each("delete unknown", "DeleteTopics", lambda side, v: order(v, "nowhere"))
    both.each("delete twice", "DeleteTopics", lambda side, v: order(v, "nowhere", "nowhere"))
    for topics, step in [
        ([{"name": None, "topicId": UNKNOWN_ID}], "delete by unknown id"),
        ([{"name": None}], "delete neither"),
        ([{"name": "grown", "topicId": UNKNOWN_ID}], "delete by both"),
    ]:
        both.last(step, "DeleteTopics", {"topics": topics, "timeoutMs": 10000})
    both.last("delete the rest", "DeleteTopics", order(6, "grown", "cut"))
