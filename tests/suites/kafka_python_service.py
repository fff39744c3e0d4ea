"""A stand-in for `test/service.py`, which kafka-python's source packages leave out: its tests need it to be
importable, and use one class of it where the broker is run by somebody else."""


class ExternalService:
    """A broker that isn't the suite's to start and stop."""

    def __init__(self, host, port):
        self.host, self.port = host, port

    def open(self):
        pass

    def close(self):
        pass

    def stop(self):
        pass

    def dump_logs(self):
        pass


class SpawnedService:
    """Never made: the broker is external."""

    def __init__(self, *_):
        raise NotImplementedError("the broker is run by tests/suites/run")
