"""`kafka-console-producer` and `kafka-console-consumer`, with keys, headers, transforms and groups."""

from job import expect


def run(job):
    server = ["--bootstrap-server", job.bootstrap]
    lines = [f"a:{n}\tkey-{n}\tvalue {n}" for n in range(500)]
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        job.tool(
            "org.apache.kafka.tools.ConsoleProducer",
            *server,
            "--topic",
            "lines",
            "--compression-codec",
            codec,
            "--reader-property",
            "parse.key=true",
            "--reader-property",
            "parse.headers=true",
            input="".join(f"{line}\n" for line in lines),
        )

    def consumed(*arguments):
        printed = job.tool(
            "org.apache.kafka.tools.consumer.ConsoleConsumer",
            *server,
            "--topic",
            "lines",
            "--timeout-ms",
            10000,
            *arguments,
        )
        return [line for line in printed.splitlines() if line[:2] in ("a:", "va")]

    everything = ["--from-beginning", "--max-messages", 2500]
    shown = ["--formatter-property", "print.key=true", "--formatter-property", "print.headers=true"]
    got = consumed(*everything, *shown)
    expect(sorted(got) == sorted(lines * 5), "five times what was sent", "\n".join(got[:5]))
    got = consumed("--group", "readers", *everything)
    expect(len(got) == 2500, "all of it by a group", len(got))
    got = consumed("--partition", 0, "--offset", 2490)
    expect(got == [f"value {n}" for n in range(490, 500)], "the last ten", got)
