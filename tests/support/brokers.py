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

# Of a broker with little to look at when it starts, and to write when it stops.
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 30

SUPER_USERS = "User:admin;User:ANONYMOUS"

KAFKA = Project("tests/ecosystem/java")


class Broker:
    """A running server; a context manager."""

    name = None
    bootstrap = None
    # The address of the listener that asks for logins, where there is one.
    logins = None
    process = None
    start_seconds_max = START_SECONDS_MAX
    stop_seconds_max = STOP_SECONDS_MAX

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
        deadline = time.monotonic() + self.start_seconds_max
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
                self.process.wait(self.stop_seconds_max)
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

    def __init__(self, folder=None, settings=(), users=None):
        """With users (passwords by name), there is a second listener, on which they log in; who may what is
        asked then, and `admin` and whoever comes to the first listener may do everything."""
        super().__init__(folder)
        self.settings = [str(each) for each in settings]
        self.listening = ["--kafka-port=0"]
        if users:
            listed = self.folder / "users"
            listed.write_text("".join(f"{name}:{password}\n" for name, password in users.items()))
            self.listening = [
                "--kafka-listeners=PLAINTEXT://127.0.0.1:0,SASL_PLAINTEXT://127.0.0.1:0",
                "--sasl-plain-unencrypted=true",
                f"--sasl-users-path={listed}",
                f"--acl-super-users={SUPER_USERS}",
            ]
        self.start()

    def start(self):
        program = os.environ.get("FLETCH") or TARGET / "debug" / "fletch"
        if not os.access(program, os.X_OK):
            raise RuntimeError(f"no server at {program}: cargo build -p fletch, or set FLETCH")
        data = self.folder / "data"
        addresses = data / "addresses.json"
        addresses.unlink(missing_ok=True)
        listening = [*self.listening, "--registry-port=0", "--http-port=0"]
        self.spawn([program, *listening, "--store-path", data, *self.settings], cwd=self.folder)

        def ready():
            try:
                self.addresses = json.loads(addresses.read_text())
            except (FileNotFoundError, json.JSONDecodeError):
                return False
            return True

        self.wait_for(ready)
        self.bootstrap = self.addresses["kafka"]
        for listener in self.addresses["listeners"]:
            if listener["protocol"] == "SASL_PLAINTEXT":
                self.logins = listener["address"]
        self.registry = self.addresses["registry"]


class ApacheKafka(Broker):
    """One node of Apache Kafka in KRaft mode, controller and broker in one process."""

    name = "kafka"

    def __init__(self, folder=None, settings=None, users=None, heap="1g"):
        """With users, as Fletch with users."""
        super().__init__(folder)
        broker, controller, logins = free_ports(3)
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
        if users:
            self.logins = f"127.0.0.1:{logins}"
            one_node |= with_logins(one_node, self.logins, users)
        self.properties = self.folder / "server.properties"
        self.properties.write_text("".join(f"{key}={value}\n" for key, value in one_node.items()))
        # In one word, since an id may begin with a dash.
        cluster = f"--cluster-id={random_id()}"
        run(KAFKA.command("kafka.tools.StorageTool", "format", cluster, "-c", self.properties), 120)
        self.start()

    def start(self):
        self.spawn(KAFKA.command("kafka.Kafka", self.properties, heap=self.heap), cwd=self.folder)
        host, port = self.bootstrap.split(":")

        def ready():
            with socket.socket() as probe:
                return probe.connect_ex((host, int(port))) == 0

        self.wait_for(ready)


def with_logins(properties, address, users):
    """What of the properties another listener changes, on which users log in."""
    listener = f"LOGINS://{address}"
    plain = " ".join(f'user_{name}="{password}"' for name, password in users.items())
    modules = "org.apache.kafka.common.security"
    protocols = properties["listener.security.protocol.map"]
    return {
        "listener.security.protocol.map": f"{protocols},LOGINS:SASL_PLAINTEXT",
        "listeners": f"{properties['listeners']},{listener}",
        "advertised.listeners": f"{properties['advertised.listeners']},{listener}",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
        "listener.name.logins.plain.sasl.jaas.config": f"{modules}.plain.PlainLoginModule required {plain};",
        "listener.name.logins.scram-sha-256.sasl.jaas.config": f"{modules}.scram.ScramLoginModule required;",
        "listener.name.logins.scram-sha-512.sasl.jaas.config": f"{modules}.scram.ScramLoginModule required;",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": SUPER_USERS,
    }


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
