"""`kafka-topics`, `kafka-get-offsets`, `kafka-delete-records`, `kafka-log-dirs`, `kafka-leader-election`,
`kafka-reassign-partitions`, `kafka-broker-api-versions`, `kafka-cluster`."""

import json

from job import expect


def run(job):
    server = ["--bootstrap-server", job.bootstrap]

    def topics(*arguments, **more):
        return job.tool("org.apache.kafka.tools.TopicCommand", *server, *arguments, **more)

    topics("--create", "--topic", "plain", "--partitions", 3, "--config", "retention.ms=60000")
    topics("--create", "--topic", "compacted", "--config", "cleanup.policy=compact")
    again = topics("--create", "--topic", "plain", fails=True)
    expect("TopicExistsException" in again, "a second topic of the name to be refused", again)
    topics("--create", "--topic", "plain", "--if-not-exists")
    bad = topics("--create", "--topic", "a/b", fails=True)
    expect("InvalidTopicException" in bad, "a name that isn't one to be refused", bad)
    wide = topics("--create", "--topic", "wide", "--replication-factor", 3, fails=True)
    expect("InvalidReplicationFactorException" in wide, "three replicas to be refused", wide)

    listed = topics("--list").split()
    expect({"plain", "compacted"} <= set(listed), "both topics listed", listed)
    told = topics("--describe", "--topic", "plain")
    expect("PartitionCount: 3" in told and "retention.ms=60000" in told, "three partitions", told)
    expect(told.count("Leader: ") == 3 and "Leader: none" not in told, "a leader for each", told)

    topics("--alter", "--topic", "plain", "--partitions", 5)
    told = topics("--describe", "--topic", "plain")
    expect("PartitionCount: 5" in told, "five partitions", told)
    fewer = topics("--alter", "--topic", "plain", "--partitions", 2, fails=True)
    expect("InvalidPartitionsException" in fewer, "fewer partitions to be refused", fewer)
    for state in ("--under-replicated-partitions", "--unavailable-partitions", "--under-min-isr-partitions"):
        told = topics("--describe", state)
        expect("Topic: plain" not in told, f"no partition with {state}", told)

    records = job.folder / "records.txt"
    records.write_text("".join(f"record {n}\n" for n in range(100)))
    job.tool(
        "org.apache.kafka.tools.ConsoleProducer",
        *server,
        "--topic",
        "compacted",
        "--reader-property",
        "parse.key=true",
        "--reader-property",
        "key.separator= ",
        input=records.read_text(),
    )

    def offsets(*arguments):
        return job.tool("org.apache.kafka.tools.GetOffsetShell", *server, *arguments).split()

    expect(offsets("--topic", "compacted", "--time", -1) == ["compacted:0:100"], "the end at 100")
    expect(offsets("--topic", "compacted", "--time", -2) == ["compacted:0:0"], "the beginning at 0")
    expect(offsets("--topic", "compacted", "--time", "max-timestamp") != [], "an offset by greatest time")
    expect(offsets("--topic", "compacted", "--time", "earliest-local") == ["compacted:0:0"], "all of it local")
    expect(len(offsets("--topic-partitions", "plain:0-4")) == 4, "four partitions of five")

    topics("--create", "--topic", "cut")
    job.tool("org.apache.kafka.tools.ConsoleProducer", *server, "--topic", "cut", input=records.read_text())
    order = job.folder / "delete.json"
    order.write_text(
        json.dumps({"version": 1, "partitions": [{"topic": "cut", "partition": 0, "offset": 40}]})
    )
    told = job.tool("org.apache.kafka.tools.DeleteRecordsCommand", *server, "--offset-json-file", order)
    expect("low_watermark: 40" in told, "records below 40 deleted", told)
    expect(offsets("--topic", "cut", "--time", -2) == ["cut:0:40"], "the beginning at 40")

    told = job.tool("org.apache.kafka.tools.LogDirsCommand", *server, "--describe", "--topic-list", "cut")
    sizes = json.loads(next(line for line in told.splitlines() if line.startswith("{")))
    partition = sizes["brokers"][0]["logDirs"][0]["partitions"][0]
    expect(partition["partition"] == "cut-0" and partition["size"] > 0, "a size of cut-0", told)

    election = ["--election-type", "preferred"]
    told = job.tool(
        "org.apache.kafka.tools.LeaderElectionCommand", *server, *election, "--topic", "plain", "--partition", 0
    )
    expect("Valid replica already elected for partitions plain-0" in told, "no election", told)
    job.tool("org.apache.kafka.tools.LeaderElectionCommand", *server, *election, "--all-topic-partitions")
    move = job.folder / "move.json"
    move.write_text(
        json.dumps({"version": 1, "partitions": [{"topic": "plain", "partition": 0, "replicas": [9]}]})
    )
    refused = job.tool(
        "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
        *server,
        "--reassignment-json-file",
        move,
        "--execute",
        fails=True,
    )
    expect("broker" in refused.lower(), "a move to a broker that isn't there to be refused", refused)
    told = job.tool("org.apache.kafka.tools.reassign.ReassignPartitionsCommand", *server, "--list")
    expect("No partition reassignments found" in told, "nothing on the move", told)

    told = job.tool("org.apache.kafka.tools.BrokerApiVersionsCommand", *server)
    expect("Produce(0)" in told and "UNSUPPORTED" in told, "a list of APIs", told)
    told = job.tool("org.apache.kafka.tools.ClusterTool", "cluster-id", *server)
    expect("Cluster ID: " in told, "an id of the cluster", told)

    topics("--delete", "--topic", "cut")
    listed = topics("--list").split()
    expect("cut" not in listed, "the topic gone", listed)
    gone = topics("--delete", "--topic", "cut", fails=True)
    expect("does not exist" in gone, "a second deletion refused", gone)
