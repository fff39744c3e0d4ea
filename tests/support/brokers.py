"""The servers that the scripts here run against: Fletch, and Apache Kafka beside it.

Each is a child process on free ports of the loopback interface, with its data in a temporary folder
that goes with it, and its log in a file of that folder.
"""

import base64
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid

from maven import TARGET, Project, run

START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 30

KAFKA = Project("tests/ecosystem/java")


class Broker:
    """A running server; a context manager."""

    name = None
    bootstrap = None
    process = None

    def __init__(self, folder=None):
        self.owned = folder is None
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="broker-"))

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.stop()
        if self.owned and not (kind and os.environ.get("KEEP")):
            shutil.rmtree(self.folder, ignore_errors=True)

    def spawn(self, command, **more):
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **more
            )

    def wait_for(self, ready):
        deadline = time.monotonic() + START_SECONDS_MAX
        while not ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{self.name} did not start:\n{self.log()}")
            time.sleep(0.02)

    def stop(self):
        """Ends it as an operator would."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self):
        """Ends it as a power cut would."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def log(self):
        return (self.folder / "server.log").read_text(errors="replace")[-20_000:]


class Fletch(Broker):
    """The server of this repository: `$FLETCH`, or the debug build."""

    name = "fletch"

    def __init__(self, folder=None, settings=()):
        super().__init__(folder)
        self.settings = [str(each) for each in settings]
        self.start()

    def start(self):
        program = os.environ.get("FLETCH") or TARGET / "debug" / "fletch"
        if not os.access(program, os.X_OK):
            raise RuntimeError(f"no server at {program}: cargo build -p fletch, or set FLETCH")
        data = self.folder / "data"
        addresses = data / "addresses.json"
        addresses.unlink(missing_ok=True)
        ports = [f"--{listener}-port=0" for listener in ("kafka", "registry", "http")]
        self.spawn([program, *ports, "--store-path", data, *self.settings], cwd=self.folder)

        def ready():
            try:
                self.addresses = json.loads(addresses.read_text())
            except (FileNotFoundError, json.JSONDecodeError):
                return False
            return True

        self.wait_for(ready)
        self.bootstrap = self.addresses["kafka"]
        self.registry = self.addresses["registry"]


class ApacheKafka(Broker):
    """One node of Apache Kafka in KRaft mode, controller and broker in one process."""

    name = "kafka"

    def __init__(self, folder=None, settings=None, heap="1g"):
        super().__init__(folder)
        broker, controller = free_ports(2)
        self.bootstrap = f"127.0.0.1:{broker}"
        self.heap = heap
        one_node = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "listeners": f"PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{broker}",
            "log.dirs": self.folder / "data",
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "share.coordinator.state.topic.num.partitions": 1,
            **(settings or {}),
        }
        self.properties = self.folder / "server.properties"
        self.properties.write_text("".join(f"{key}={value}\n" for key, value in one_node.items()))
        run(KAFKA.command("kafka.tools.StorageTool", "format", "-t", random_id(), "-c", self.properties), 120)
        self.start()

    def start(self):
        self.spawn(KAFKA.command("kafka.Kafka", self.properties, heap=self.heap), cwd=self.folder)
        host, port = self.bootstrap.split(":")

        def ready():
            with socket.socket() as probe:
                return probe.connect_ex((host, int(port))) == 0

        self.wait_for(ready)


def random_id():
    """A cluster id as Kafka writes them: 16 bytes in URL-safe base64."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def start(name, **more):
    """A server by its name on a command line."""
    return {"fletch": Fletch, "kafka": ApacheKafka}[name](**more)
