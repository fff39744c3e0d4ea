"""A distributed Kafka Connect worker with exactly-once source support: its settings, offsets and status are
in compacted topics; across a kill of the worker."""

from connect import Pipe
from job import expect


def run(job):
    pipe = Pipe(job)
    worker = pipe.worker(
        {
            "group.id": "connect",
            "exactly.once.source.support": "enabled",
            "config.storage.topic": "connect-configs",
            "offset.storage.topic": "connect-offsets",
            "status.storage.topic": "connect-status",
            "config.storage.replication.factor": 1,
            "offset.storage.replication.factor": 1,
            "status.storage.replication.factor": 1,
            "offset.storage.partitions": 5,
            "session.timeout.ms": 10000,
        }
    )

    def start(name):
        return job.background(
            "org.apache.kafka.connect.cli.ConnectDistributed", worker, name=name, heap="512m"
        )

    with start("worker-0") as process:
        job.until("the worker serves", lambda: reached(pipe), log="worker-0")
        for name, settings in pipe.connectors().items():
            pipe.rest("PUT", f"/connectors/{name}/config", settings)
        job.until("both connectors run", pipe.running, log="worker-0")
        pipe.append(500)
        pipe.arrived("worker-0")
        # What the sink has committed is what the next worker's begins behind.
        job.until("the sink's offsets are committed", lambda: committed(pipe) == 500, log="worker-0")
        process.kill()
    with start("worker-1") as process:
        job.until("both connectors run again", pipe.running, seconds=90, log="worker-1")
        pipe.append(500)
        pipe.arrived("worker-1")
        offsets = pipe.rest("GET", "/connectors/file-source/offsets")
        position = offsets["offsets"][0]["offset"]["position"]
        expect(position == pipe.source.stat().st_size, "the source's position at the end", offsets)
        for name in pipe.connectors():
            pipe.rest("DELETE", f"/connectors/{name}")
        expect(pipe.rest("GET", "/connectors") == [], "no connectors")
        process.stop()

    told = job.tool(
        "org.apache.kafka.tools.TopicCommand", "--bootstrap-server", job.bootstrap, "--describe"
    )
    for topic in ("connect-configs", "connect-offsets", "connect-status"):
        line = next(line for line in told.splitlines() if f"Topic: {topic}\t" in line)
        expect("cleanup.policy=compact" in line, f"{topic} compacted", told)


def reached(pipe):
    try:
        return pipe.rest("GET", "/connectors") == []
    except OSError:
        return False


def committed(pipe):
    offsets = pipe.rest("GET", "/connectors/file-sink/offsets")["offsets"]
    return sum(each["offset"]["kafka_offset"] for each in offsets)
