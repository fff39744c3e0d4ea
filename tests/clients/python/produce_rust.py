"""Clients in Rust (`../rust`): a program that is given payloads, and prints what was answered.

The values are made here, so that those programs have the client in them and nothing else.
"""

import base64
import json
import subprocess

from workload import HandMadeSerializer, Run

PATIENCE_S = 240


def main():
    run = Run(__doc__)
    serialize = HandMadeSerializer(run.registry, f"{run.topic}-value", run.schema_text)
    with open(run.workload) as file:
        lines = [payload(run, serialize, json.loads(line)) for line in file]
    done = subprocess.run(
        [run.program, "produce", "--bootstrap", run.bootstrap, "--topic", run.topic],
        input="\n".join(lines),
        stdout=subprocess.PIPE,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    run.write_acks(serialize.schema_id, map(json.loads, done.stdout.splitlines()))


def payload(run, serialize, line):
    """A line of the workload, its value (if it has one) as it goes to the broker."""
    if line.get("value") is not None:
        framed = serialize(run.plain.to_native(line["value"]))
        line["value"] = base64.b64encode(framed).decode()
    return json.dumps(line)


if __name__ == "__main__":
    main()
