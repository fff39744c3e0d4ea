"""A standalone Kafka Connect worker: from a file into a topic and from there into a file, across a restart."""

from connect import Pipe
from job import expect


def run(job):
    pipe = Pipe(job)
    worker = pipe.worker({"offset.storage.file.filename": job.folder / "offsets"})
    connectors = [
        job.properties(f"{name}.properties", {"name": name} | settings)
        for name, settings in pipe.connectors().items()
    ]
    for number in range(2):
        name = f"worker-{number}"
        with job.background(
            "org.apache.kafka.connect.cli.ConnectStandalone", worker, *connectors, name=name, heap="512m"
        ) as process:
            job.until("both connectors run", pipe.running, log=name)
            pipe.append(500)
            pipe.arrived(name)
            process.stop()
            expect("ERROR" not in job.log(name), "no error in the worker's log", job.log(name)[-4000:])
