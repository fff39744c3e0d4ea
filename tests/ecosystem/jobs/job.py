"""What a job is given: a server, a folder, and Kafka's programs to start."""

import os
import signal
import subprocess
import time

import maven
from brokers import KAFKA

SECONDS_MAX = 60


class Job:
    """One job and the server it runs against."""

    def __init__(self, broker):
        self.broker = broker
        self.bootstrap = broker.bootstrap
        self.folder = broker.folder

    def tool(self, main_class, *arguments, input=None, seconds=SECONDS_MAX, fails=False, **more):
        """Runs one of Kafka's programs to its end; what it printed. With `fails`, it must fail."""
        command = KAFKA.command(main_class, *arguments, **more)
        try:
            printed = maven.run(command, seconds, input=input, cwd=self.folder)
        except maven.Failed as error:
            if fails:
                return str(error)
            raise
        if fails:
            raise maven.Failed(f"did not fail: {maven.shown(command)}\n{printed}")
        return printed

    def properties(self, name, settings):
        """A properties file in the job's folder."""
        path = self.folder / name
        path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        return path

    def background(self, main_class, *arguments, name, **more):
        """One of Kafka's programs until the `with` block ends; its output is in `<name>.log`."""
        return Background(KAFKA.command(main_class, *arguments, **more), self.folder, name)

    def log(self, name):
        """What a background program printed."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def until(self, what, happened, seconds=SECONDS_MAX, log=None):
        """Waits for it; answers what `happened` did."""
        deadline = time.monotonic() + seconds
        while True:
            found = happened()
            if found:
                return found
            if time.monotonic() > deadline:
                tail = f"\n--- {log}:\n{self.log(log)[-6000:]}" if log else ""
                raise maven.Failed(f"after {seconds} s still not so: {what}{tail}")
            time.sleep(0.2)


class Background:
    """A child process with its output in a file."""

    def __init__(self, command, folder, name):
        self.command, self.folder, self.name = command, folder, name

    def __enter__(self):
        with open(self.folder / f"{self.name}.log", "ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def stop(self, seconds=SECONDS_MAX):
        """Asks it to end, and waits for that."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(seconds)

    def kill(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def __exit__(self, *_):
        self.kill()


def expect(holds, what, printed=""):
    """Fails the job unless it holds."""
    if not holds:
        raise maven.Failed(f"expected {what}\n{printed}")
