"""What both Connect jobs share: the worker's settings, the two file connectors, the lines through them."""

import json
import urllib.request

from brokers import free_ports
from job import expect

SETTINGS = {
    "key.converter": "org.apache.kafka.connect.storage.StringConverter",
    "value.converter": "org.apache.kafka.connect.storage.StringConverter",
    "offset.flush.interval.ms": 500,
}


class Pipe:
    """A file, a topic, a file: what is appended to the first comes out of the last."""

    def __init__(self, job):
        self.job = job
        self.source, self.sink = job.folder / "in.txt", job.folder / "out.txt"
        self.source.touch()
        self.port = free_ports(1)[0]
        self.written = []

    def connectors(self):
        """Names and settings of the source and of the sink."""
        return {
            "file-source": {
                "connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector",
                "tasks.max": 1,
                "file": str(self.source),
                "topic": "lines",
            },
            "file-sink": {
                "connector.class": "org.apache.kafka.connect.file.FileStreamSinkConnector",
                "tasks.max": 1,
                "file": str(self.sink),
                "topics": "lines",
            },
        }

    def worker(self, settings):
        """The worker's properties file."""
        own = {"bootstrap.servers": self.job.bootstrap, "listeners": f"http://127.0.0.1:{self.port}"}
        return self.job.properties("worker.properties", own | SETTINGS | settings)

    def append(self, count):
        """Lines at the end of the first file."""
        new = [f"line {n}" for n in range(len(self.written), len(self.written) + count)]
        with open(self.source, "a") as file:
            file.write("".join(f"{line}\n" for line in new))
        self.written += new

    def arrived(self, log, seconds=60):
        """Waits for all of them in the last file, in order, each once."""

        def all_there():
            return self.sink.exists() and len(self.sink.read_text().splitlines()) >= len(self.written)

        self.job.until(f"{len(self.written)} lines arrived", all_there, seconds=seconds, log=log)
        got = self.sink.read_text().splitlines()
        expect(got == self.written, "every line once and in order", f"{len(got)} lines")

    def rest(self, method, path, body=None):
        """The worker's REST interface."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def running(self):
        """Whether both connectors and their tasks are."""
        try:
            told = [self.rest("GET", f"/connectors/{name}/status") for name in self.connectors()]
        except OSError:
            return False
        states = [each["connector"]["state"] for each in told]
        states += [task["state"] for each in told for task in each["tasks"]]
        return len(states) == 4 and set(states) == {"RUNNING"}
