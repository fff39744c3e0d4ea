"""The verifiable producer and consumers of Kafka's system tests."""

import json

from job import expect

RECORDS = 4000


def run(job):
    server = ["--bootstrap-server", job.bootstrap]
    job.tool("org.apache.kafka.tools.TopicCommand", *server, "--create", "--topic", "v", "--partitions", 3)
    members = []
    for number, protocol in enumerate(["classic", "consumer"]):
        members.append(
            job.background(
                "org.apache.kafka.tools.VerifiableConsumer",
                *server,
                *("--topic", "v", "--group-id", f"verified-{protocol}", "--group-protocol", protocol),
                *("--reset-policy", "earliest", "--verbose"),
                *(["--session-timeout", 10000] if protocol == "classic" else []),
                name=f"consumer-{number}",
            )
        )
    with members[0], members[1]:
        printed = job.tool(
            "org.apache.kafka.tools.VerifiableProducer",
            *server,
            *("--topic", "v", "--max-messages", RECORDS, "--throughput", 2000, "--acks", -1),
        )
        lines = events(printed)
        acked = [line["value"] for line in lines if line["name"] == "producer_send_success"]
        failed = [line for line in lines if line["name"] == "producer_send_error"]
        expect(len(acked) == RECORDS and not failed, f"{RECORDS} acks", printed[-2000:])
        for number in range(2):
            name = f"consumer-{number}"

            def seen():
                return [e["value"] for e in events(job.log(name)) if e["name"] == "record_data"]  # noqa: B023

            job.until("every record is read", lambda: len(seen()) >= RECORDS, log=name)  # noqa: B023
            expect(sorted(seen(), key=int) == sorted(acked, key=int), "each once", job.log(name)[-2000:])
        for number, member in enumerate(members):
            member.stop()
            names = [each["name"] for each in events(job.log(f"consumer-{number}"))]
            expect("partitions_assigned" in names, "an assignment", names[-5:])
            expect("offsets_committed" in names, "commits", names[-5:])
            expect(names[-1] == "shutdown_complete", "an orderly end", names[-5:])
            bad = [
                each
                for each in events(job.log(f"consumer-{number}"))
                if each["name"] == "offsets_committed" and not each["success"]
            ]
            expect(not bad, "no failed commit", bad[:3])


def events(printed):
    found = []
    for line in printed.splitlines():
        if line.startswith("{"):
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                pass  # The last line, half written.
    return found
