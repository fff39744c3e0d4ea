"""Flink's Kafka connector, in a cluster of one process: a topic is copied with an exactly-once sink, while
the job fails once and goes on from its last checkpoint."""

import maven
from job import expect

FLINK = maven.Project("tests/ecosystem/flink")
LINES = 6000
OPENED = [
    # Flink 2.2 runs on Java 17 with these of its modules open to it.
    *("--add-opens", "java.base/java.util=ALL-UNNAMED"),
    *("--add-opens", "java.base/java.lang=ALL-UNNAMED"),
    *("--add-opens", "java.base/java.time=ALL-UNNAMED"),
]


def run(job):
    server = ["--bootstrap-server", job.bootstrap]
    for topic in ("input", "output"):
        job.tool(
            "org.apache.kafka.tools.TopicCommand", *server, "--create", "--topic", topic, "--partitions", 3
        )
    sent = [f"line {n}" for n in range(LINES)]
    job.tool(
        "org.apache.kafka.tools.ConsoleProducer",
        *server,
        *("--topic", "input", "--reader-property", "parse.key=true"),
        *("--reader-property", "key.separator=|"),
        input="".join(f"{n}|{line}\n" for n, line in enumerate(sent)),
    )
    command = FLINK.command("Copy", job.bootstrap, "input", "output", 1500, heap="768m")
    command[1:1] = OPENED
    told = maven.run(command, 120, cwd=job.folder)
    expect("copied in" in told, "an end", told)
    printed = job.tool(
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        *server,
        *("--topic", "output", "--from-beginning", "--timeout-ms", 5000),
        *("--isolation-level", "read_committed"),
    )
    got = [line for line in printed.splitlines() if line.startswith("line ")]
    expect(sorted(got) == sorted(sent), "every line once", f"{len(got)} lines, {len(set(got))} of them different")
    told = job.tool(
        "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
        *server,
        *("--describe", "--group", "flink-copy", "--offsets"),
    )
    committed = sum(int(line.split()[3]) for line in told.splitlines() if line.startswith("flink-copy"))
    expect(0 < committed <= LINES, "the offsets of a checkpoint committed", told)
