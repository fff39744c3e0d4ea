"""What every Python producer shares: its arguments, the workload it sends, the acks it writes.

The workload is JSON lines. A line {"producer": {...}} says with which settings to open a
producer for the records that follow it; any other line is a record:

    {"key": base64 | null, "headers": [[name, base64 | null], ...], "timestamp": ms | null,
     "partition": n | null, "value": plain JSON | null}

For each record, in order, the producer writes one line of what the broker answered:

    {"schema_id": id, "partition": n | null, "offset": n | null, "timestamp": ms | null}
"""

import argparse
import base64
import io
import json
import struct
import urllib.request

import fastavro
from plain import Plain


class Settings:
    """One {"producer": ...} line."""

    def __init__(self, line):
        self.acks = line["acks"]  # "0", "1", "all"
        self.codec = line["codec"]  # "none", "gzip", "snappy", "lz4", "zstd"
        self.idempotent = line["idempotent"]
        self.linger_ms = line["linger_ms"]
        self.in_flight = line["in_flight"]
        self.wait_each = line["wait_each"]  # wait for each answer before the next record
        self.transactional_id = line.get("transactional_id")  # one transaction around all, if any

    def answer(self, partition, offset, timestamp):
        """What is known of a record's place; some clients make up an answer to acks=0."""
        if self.acks == "0":
            partition = offset = timestamp = None
        return {"partition": partition, "offset": offset, "timestamp": timestamp}


class Record:
    """One record line, in Python's own types."""

    def __init__(self, line, plain):
        self.key = unbase64(line["key"])
        self.headers = [(name, unbase64(value)) for name, value in line["headers"]]
        self.timestamp = line["timestamp"]
        self.partition = line["partition"]
        self.value = None if line["value"] is None else plain.to_native(line["value"])


class Run:
    """The producer's command line."""

    def __init__(self, description):
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("--bootstrap", required=True, help="host:port of the broker")
        parser.add_argument("--registry", required=True, help="URL of the schema registry")
        parser.add_argument("--topic", required=True)
        parser.add_argument("--schema", required=True, help="the Avro schema, a file")
        parser.add_argument("--workload", required=True, help="what to send, JSON lines")
        parser.add_argument("--acks", required=True, help="where to write the answers")
        parser.add_argument("--api-version", help="as in kafka-python, for example 0.10.2")
        parser.add_argument("--program", help="the client, where it is a program of its own")
        self.__dict__.update(vars(parser.parse_args()))
        with open(self.schema) as file:
            self.schema_text = file.read()
        self.plain = Plain(json.loads(self.schema_text))

    def batches(self):
        """(Settings, [Record]) for each producer of the workload."""
        settings, records = None, []
        with open(self.workload) as file:
            for line in map(json.loads, file):
                if "producer" in line:
                    if records:
                        yield settings, records
                    settings, records = Settings(line["producer"]), []
                else:
                    records.append(Record(line, self.plain))
        yield settings, records

    def write_acks(self, schema_id, answers):
        """One `Settings.answer` for each record of the workload, in its order."""
        with open(self.acks, "w") as file:
            for answer in answers:
                print(json.dumps({"schema_id": schema_id, **answer}), file=file)


class HandMadeSerializer:
    """Confluent framing without Confluent's library: 0x00, the schema id, the Avro body."""

    def __init__(self, registry_url, subject, schema_text):
        request = urllib.request.Request(
            f"{registry_url}/subjects/{subject}/versions",
            data=json.dumps({"schema": schema_text}).encode(),
            headers={"Content-Type": "application/vnd.schemaregistry.v1+json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            self.schema_id = json.load(response)["id"]
        self.schema = fastavro.parse_schema(json.loads(schema_text))

    def __call__(self, value):
        if value is None:
            return None
        framed = io.BytesIO()
        framed.write(struct.pack(">bI", 0, self.schema_id))
        fastavro.schemaless_writer(framed, self.schema, value)
        return framed.getvalue()


def unbase64(text):
    return None if text is None else base64.b64decode(text)
