"""What every consumer of the matrix shares: its arguments, and the rows it writes.

A line of `--out` for each record that was read, of every topic, in any order:

    {"topic", "partition", "offset", "timestamp": ms, "key": base64 | null,
     "headers": [[name, base64 | null], ...], "value": base64 | null}
"""

import argparse
import base64
import json


class Run:
    """The consumer's command line."""

    def __init__(self, description):
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("--bootstrap", required=True, help="host:port of the broker")
        parser.add_argument("--topics", required=True, help="comma-separated")
        parser.add_argument("--records", required=True, type=int, help="how many there are in all")
        parser.add_argument("--out", required=True, help="where the rows are written")
        parser.add_argument("--api-version", help="as an old client speaks")
        args = parser.parse_args()
        self.bootstrap, self.records, self.out = args.bootstrap, args.records, args.out
        self.topics = args.topics.split(",")
        self.api_version = args.api_version

    def write(self, rows):
        with open(self.out, "w") as file:
            for row in rows:
                file.write(json.dumps(row) + "\n")


def row(topic, partition, offset, timestamp, key, headers, value):
    return {
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "timestamp": timestamp,
        "key": text(key),
        "headers": [[name, text(content)] for name, content in headers or ()],
        "value": text(value),
    }


def text(content):
    return None if content is None else base64.b64encode(content).decode()
