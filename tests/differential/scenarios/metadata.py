"""Metadata, DescribeCluster, DescribeTopicPartitions: what there is, what there isn't, what may not be."""

from normal import UNKNOWN_ID


def run(both):
    both.create(topic("m-one", 1), topic("m-three", 3))
    names = [{"name": "m-one"}, {"name": "m-three"}]
    quiet = {"allowAutoTopicCreation": False}
    both.each("two", "Metadata", {"topics": names, **quiet})
    both.each("two, operations", "Metadata", {"topics": names, **quiet, "includeTopicAuthorizedOperations": True,
                                              "includeClusterAuthorizedOperations": True})
    both.each("twice", "Metadata", {"topics": [names[0], names[0]], **quiet})
    both.each("none", "Metadata", {"topics": [], **quiet} )
    both.each("unknown", "Metadata", {"topics": [{"name": "nowhere"}], **quiet})
    both.each("unknown, operations", "Metadata", {
        "topics": [{"name": "nowhere-else"}], **quiet, "includeTopicAuthorizedOperations": True})
    both.each("bad name", "Metadata", {"topics": [{"name": "a/b"}], **quiet})
    both.each("bad name, create", "Metadata", {"topics": [{"name": "a/b"}], "allowAutoTopicCreation": True})
    both.each("empty name", "Metadata", {"topics": [{"name": ""}], **quiet})
    for version in [each for each in both.versions_of("Metadata") if each >= 10]:
        both.once("unknown id", "Metadata", version, {"topics": [{"name": None, "topicId": UNKNOWN_ID}], **quiet})
        both.once("neither", "Metadata", version, {"topics": [{"name": None}], **quiet})
        by_id = lambda side: {"topics": [{"name": None, "topicId": side.known["id"]}], **quiet}  # noqa: E731
        for side in both.sides:
            told = side.ask("Metadata", 12, {"topics": [{"name": "m-one"}], **quiet})
            side.known["id"] = told["topics"][0]["topicId"]
        both.once("by id", "Metadata", version, by_id)
    both.last("create on request", "Metadata", {"topics": [{"name": "m-new"}], "allowAutoTopicCreation": True})
    both.each("cluster", "DescribeCluster", {"includeClusterAuthorizedOperations": True})
    both.last("controllers", "DescribeCluster", {"endpointType": 2})
    both.last("no such endpoint", "DescribeCluster", {"endpointType": 9})

    both.each("two", "DescribeTopicPartitions", {"topics": names, "responsePartitionLimit": 100})
    both.each("limit", "DescribeTopicPartitions", {"topics": names, "responsePartitionLimit": 2})
    cursor = {"topicName": "m-three", "partitionIndex": 1}
    both.each("cursor", "DescribeTopicPartitions", {"topics": names, "responsePartitionLimit": 9, "cursor": cursor})
    both.each("unknown", "DescribeTopicPartitions", {"topics": [{"name": "nowhere"}]})
    both.each("bad name", "DescribeTopicPartitions", {"topics": [{"name": "a/b"}]})
    wild = {"topicName": "m-three", "partitionIndex": -2}
    both.each("bad cursor", "DescribeTopicPartitions", {"topics": names, "cursor": wild}, connection="cursor")


def topic(name, partitions, **more):
    return {"name": name, "numPartitions": partitions, "replicationFactor": 1, **more}
