"""kcat: Avro-framed payloads on its standard input, one run for all that go the same way.

kcat gives every record of a run the same headers and partition, so a burst becomes one run for
each combination of those; and it says where records went in the order in which they were
answered, so a record's own place is only known where it was alone or the partition was given.
"""

import re
import subprocess

from workload import HandMadeSerializer, Run

# In no key and no value of the workload.
KEY_END = b"\x01\x1e~key~\x1e\x01"
RECORD_END = b"\x02\x1e~record~\x1e\x02"
DELIVERED = re.compile(r"Message delivered to partition (\d+) \(offset (\d+)\)")


def main():
    run = Run(__doc__)
    serialize = HandMadeSerializer(run.registry, f"{run.topic}-value", run.schema_text)
    answers = []
    for settings, records in run.batches():
        messages = [(record, serialize(record.value)) for record in records]
        answers += send(run, settings, messages)
    run.write_acks(serialize.schema_id, answers)


def send(run, settings, messages):
    answers = [settings.answer(None, None, None)] * len(messages)
    for indices in runs(settings, messages):
        delivered = kcat(run, settings, [messages[index] for index in indices])
        first, _ = messages[indices[0]]
        if settings.acks != "0" and (len(indices) == 1 or first.partition is not None):
            assert len(delivered) == len(indices), f"{len(delivered)} of {len(indices)} answered"
            for index, (partition, offset) in zip(indices, delivered):
                answers[index] = settings.answer(partition, offset, None)
    return answers


def runs(settings, messages):
    """The indices of the records that one run of kcat sends."""
    if settings.wait_each:
        return [[index] for index in range(len(messages))]
    together = {}
    for index, (record, _) in enumerate(messages):
        alike = record.partition, tuple(record.headers), record.key is None
        together.setdefault(alike, []).append(index)
    return together.values()


def kcat(run, settings, messages):
    """Sends and returns what kcat reports: (partition, offset) for each answer."""
    first, _ = messages[0]
    command = [
        "kcat", "-P", "-vvv", "-b", run.bootstrap, "-t", run.topic,
        "-D", escaped(RECORD_END),
        "-z", settings.codec,
        "-X", f"acks={settings.acks}",
        "-X", f"enable.idempotence={str(settings.idempotent).lower()}",
        "-X", f"linger.ms={settings.linger_ms}",
        "-X", f"max.in.flight.requests.per.connection={settings.in_flight}",
    ]
    if first.partition is not None:
        command += ["-p", str(first.partition)]
    for name, value in first.headers:
        command += ["-H", name.encode() + b"=" + value]
    if first.key is not None:
        command += ["-K", escaped(KEY_END), "-Z"]  # -Z: what is empty is null, a tombstone.
    payloads = [
        (b"" if record.key is None else record.key + KEY_END) + (value or b"")
        for record, value in messages
    ]
    done = subprocess.run(
        command, input=RECORD_END.join(payloads), capture_output=True, timeout=60, check=False
    )
    report = done.stderr.decode()
    assert done.returncode == 0, report
    return [tuple(map(int, place)) for place in DELIVERED.findall(report)]


def escaped(delimiter):
    return "".join(f"\\x{byte:02x}" for byte in delimiter)


if __name__ == "__main__":
    main()
