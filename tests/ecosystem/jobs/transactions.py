"""`kafka-transactions` beside a transaction that hangs: found, described, aborted from outside; and the
transactional message copier of Kafka's system tests."""

import re

from job import expect

TRANSACTIONS = "org.apache.kafka.tools.TransactionsCommand"
LINES = 2000


def run(job):
    server = ["--bootstrap-server", job.bootstrap]

    def transactions(*arguments, **more):
        return job.tool(TRANSACTIONS, *server, *arguments, **more)

    job.tool("org.apache.kafka.tools.TopicCommand", *server, "--create", "--topic", "open")
    with job.background("HangingTransaction", job.bootstrap, "open", "left-open", name="hanging"):
        job.until("a transaction is open", lambda: "open" in job.log("hanging"), log="hanging")
        told = transactions("list")
        expect(re.search(r"left-open\s+\d+\s+\d+\s+Ongoing", told), "it to be listed as ongoing", told)
        told = transactions("describe", "--transactional-id", "left-open")
        expect("Ongoing" in told and "open-0" in told, "its partition", told)
        told = transactions("describe-producers", "--topic", "open", "--partition", 0)
        row = told.splitlines()[-1].split()
        start = row[5]
        expect(start == "0", "its first offset in the partition", told)
        told = transactions("find-hanging", "--broker-id", broker_id(job), "--max-transaction-timeout", 0)
        expect("TransactionalId" in told or "ProducerId" in told, "a table of those that hang", told)
    # Its producer is gone; the coordinator ends it when its timeout is over.
    job.until(
        "the transaction is aborted",
        lambda: re.search(r"left-open.*CompleteAbort", transactions("list")),
        seconds=40,
    )
    told = transactions("describe-producers", "--topic", "open", "--partition", 0)
    expect(told.splitlines()[-1].split()[5] == "None", "nothing open in the partition", told)

    topics = ("source", "copy")
    for topic in topics:
        job.tool("org.apache.kafka.tools.TopicCommand", *server, "--create", "--topic", topic)
    job.tool(
        "org.apache.kafka.tools.ConsoleProducer",
        *server,
        "--topic",
        "source",
        input="".join(f"{n}\n" for n in range(LINES)),
    )
    job.tool(
        "org.apache.kafka.tools.TransactionalMessageCopier",
        *("--broker-list", job.bootstrap),
        *("--transactional-id", "copier"),
        *("--consumer-group", "copiers"),
        *("--input-topic", "source", "--input-partition", 0),
        *("--output-topic", "copy"),
        *("--max-messages", LINES),
        *("--transaction-size", 150),
        "--enable-random-aborts",
        "--group-mode",
        seconds=120,
    )
    printed = job.tool(
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        *server,
        *("--topic", "copy", "--from-beginning", "--max-messages", LINES, "--timeout-ms", 10000),
        *("--isolation-level", "read_committed"),
    )
    got = [line for line in printed.splitlines() if line.isdecimal()]
    expect(got == [str(n) for n in range(LINES)], "each line once, in order", got[:20])


def broker_id(job):
    told = job.tool(
        "org.apache.kafka.tools.BrokerApiVersionsCommand", "--bootstrap-server", job.bootstrap
    )
    return re.search(r"\(id: (\d+)", told).group(1)
