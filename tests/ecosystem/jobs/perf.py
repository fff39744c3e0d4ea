"""`kafka-producer-perf-test`, `kafka-consumer-perf-test` and `kafka-e2e-latency`: that they run to their
end and count right; figures of a debug build say nothing."""

import re

from job import expect

RECORDS = 50_000


def run(job):
    server = ["--bootstrap-server", job.bootstrap]
    topic = ["--topic", "load"]
    job.tool("org.apache.kafka.tools.TopicCommand", *server, "--create", *topic, "--partitions", 4)
    sizes = ["--num-records", RECORDS, "--record-size", 200, "--throughput", -1]
    for settings in (["acks=all", "compression.type=lz4"], ["acks=1"], ["acks=0", "enable.idempotence=false"]):
        told = job.tool(
            "org.apache.kafka.tools.ProducerPerformance",
            *topic,
            *sizes,
            "--producer-props",
            f"bootstrap.servers={job.bootstrap}",
            *settings,
        )
        expect(f"{RECORDS} records sent" in told, "all records sent", told)
        print("  " + told.strip().splitlines()[-1])
    told = job.tool(
        "org.apache.kafka.tools.ProducerPerformance",
        *topic,
        *sizes,
        *("--transactional-id", "load", "--transaction-duration-ms", 200),
        "--producer-props",
        f"bootstrap.servers={job.bootstrap}",
    )
    expect(f"{RECORDS} records sent" in told, "all records sent in transactions", told)
    told = job.tool(
        "org.apache.kafka.tools.ConsumerPerformance",
        *server,
        *topic,
        *("--num-records", 4 * RECORDS, "--hide-header", "--timeout", 20000),
    )
    counted = int(re.split(r",\s*", told.strip().splitlines()[-1])[4])
    expect(counted >= 4 * RECORDS, "all records read", told)
    print("  " + told.strip().splitlines()[-1])
    told = job.tool(
        "org.apache.kafka.tools.EndToEndLatency",
        *("--bootstrap-server", job.bootstrap, "--topic", "one", "--num-records", 500),
        *("--producer-acks", "all", "--record-size", 100),
    )
    expect("Percentiles" in told, "percentiles", told)
    print("  " + told.strip().splitlines()[-1])
