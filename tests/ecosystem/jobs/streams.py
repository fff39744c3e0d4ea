"""Kafka Streams counts words with `exactly_once_v2`: through a repartition topic and a compacted changelog,
across a kill of the program, whose open transaction must not count; then
`kafka-streams-application-reset` takes back what it left."""

import collections

from job import expect

LINES = 400
WORDS = "log table column batch frame offset group commit fold tail".split()


def lines(seed):
    return [" ".join(WORDS[(seed + n * k) % len(WORDS)] for k in range(1, 6)) for n in range(LINES)]


def run(job):
    server = ["--bootstrap-server", job.bootstrap]
    for topic in ("input", "output"):
        job.tool(
            "org.apache.kafka.tools.TopicCommand", *server, "--create", "--topic", topic, "--partitions", 3
        )

    def send(batch):
        job.tool(
            "org.apache.kafka.tools.ConsoleProducer",
            *server,
            *("--topic", "input", "--reader-property", "parse.key=true"),
            *("--reader-property", "key.separator=|"),
            input="".join(f"{n}|{line}\n" for n, line in enumerate(batch)),
        )

    expected = collections.Counter()

    def counted():
        printed = job.tool(
            "org.apache.kafka.tools.consumer.ConsoleConsumer",
            *server,
            *("--topic", "output", "--from-beginning", "--timeout-ms", 3000),
            *("--isolation-level", "read_committed"),
            *("--formatter-property", "print.key=true"),
            *("--formatter-property", "value.deserializer=org.apache.kafka.common.serialization.LongDeserializer"),
        )
        rows = [line.split("\t") for line in printed.splitlines() if line.count("\t") == 1]
        return {word: int(count) for word, count in rows}  # The last of each word is the one that counts.

    def wait_for_counts(log):
        last = {}

        def reached():
            nonlocal last
            last = counted()
            expect(
                all(last[word] <= expected[word] for word in last),
                f"no word counted more than once: {dict(expected)}",
                last,
            )
            return last == dict(expected)

        try:
            job.until(f"the counts are {dict(expected)}", reached, seconds=60, log=log)
        except Exception as error:
            raise type(error)(f"{error}\nlast seen: {last}") from None

    def program(name, state):
        return job.background(
            "WordCount",
            *(job.bootstrap, "input", "output", job.folder / state, "classic"),
            name=name,
            heap="512m",
        )

    first, second, third = lines(1), lines(2), lines(3)
    send(first)
    expected.update(word for line in first for word in line.split())
    with program("first", "state-1") as running:
        wait_for_counts("first")
        send(second)
        running.kill()  # Wherever it is; what it left open must not count.
    expected.update(word for line in second for word in line.split())
    with program("second", "state-2") as running:  # With no state of its own: from the changelog.
        wait_for_counts("second")
        send(third)
        expected.update(word for line in third for word in line.split())
        wait_for_counts("second")
        running.stop()
        expect("closed" in job.log("second") and "state ERROR" not in job.log("second"), "an orderly end")

    told = job.tool("org.apache.kafka.tools.TopicCommand", *server, "--describe")
    for topic, policy in (("counts-changelog", "compact"), ("repartition", "delete")):
        line = next(line for line in told.splitlines() if topic in line and "PartitionCount" in line)
        expect(f"cleanup.policy={policy}" in line, f"a topic {topic} with cleanup.policy={policy}", told)
    job.tool(
        "org.apache.kafka.tools.StreamsResetter",
        *server,
        *("--application-id", "word-count-classic", "--input-topics", "input", "--force"),
    )
    told = job.tool("org.apache.kafka.tools.TopicCommand", *server, "--list")
    expect("word-count" not in told, "the internal topics gone", told)
