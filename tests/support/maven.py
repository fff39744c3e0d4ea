"""Java programs: built once with Maven into the target folder, run with a time limit."""

import fcntl
import os
import pathlib
import signal
import subprocess

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or REPOSITORY / "target")
BUILD_SECONDS_MAX = 600


class Failed(Exception):
    """A program that ended with an error or not in time; carries what it printed."""


class Project:
    """A Maven project of the repository: a folder with a `pom.xml` that copies its libraries."""

    def __init__(self, folder):
        self.folder = REPOSITORY / folder
        self.installed = TARGET / "clients" / ("java-" + folder.replace("/", "-"))

    def class_path(self):
        """Builds where something changed since it was built last."""
        self.installed.parent.mkdir(parents=True, exist_ok=True)
        with open(self.installed.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            sources = [self.folder / "pom.xml", *sorted(self.folder.glob("src/**/*.java"))]
            wanted = "".join(source.read_text() for source in sources)
            done = self.installed / ".installed"
            if not (done.exists() and done.read_text() == wanted):
                command = ["mvn", "--batch-mode", "--quiet", f"-DbuildDirectory={self.installed}", "package"]
                # `--release` is taken from the pom; a proxy or mirror from the user's settings.
                run(command, BUILD_SECONDS_MAX, cwd=self.folder)
                done.write_text(wanted)
        return f"{self.installed}/classes:{self.installed}/libraries/*"

    def command(self, main_class, *arguments, heap="256m", properties=()):
        """The command line of one of its programs."""
        return [
            "java",
            f"-Xmx{heap}",
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            *(f"-D{each}" for each in properties),
            "-cp",
            self.class_path(),
            main_class,
            *map(str, arguments),
        ]


def run(command, seconds_max, input=None, **more):
    """Runs to the end in a process group of its own and returns what was printed to both outputs."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        **more,
    )
    try:
        printed, _ = process.communicate(input, timeout=seconds_max)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        printed, _ = process.communicate()
        raise Failed(f"not done after {seconds_max} s: {shown(command)}\n{printed}") from None
    if process.returncode != 0:
        raise Failed(f"ended with {process.returncode}: {shown(command)}\n{printed}")
    return printed


def shown(command):
    """A command line without its class path."""
    words = list(map(str, command))
    if "-cp" in words:
        words = words[words.index("-cp") + 2 :]
    return " ".join(words)
