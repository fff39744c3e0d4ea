"""Reads back what a client produced and compares every value with what it was told to produce.

Over Kafka by two independent consumers with assigned partitions, and out of the table by
PyIceberg, DuckDB (over Iceberg, and over the plain Parquet files), Polars and pyarrow.
Prints one line for each reader; exits with 1 and the first differences when one disagrees.
"""

import argparse
import itertools
import json
import sys
import urllib.request

import readers
from plain import Plain

DIFFERENCES_MAX = 5


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("bootstrap", "registry", "topic", "schema", "workload", "acks"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--since", required=True, type=int, help="no record is older, in ms")
    parser.add_argument("--catalog", help="the Iceberg catalog, SQLAlchemy's URL")
    parser.add_argument("--warehouse", help="the Iceberg warehouse, a URL")
    args = parser.parse_args()

    with open(args.schema) as file:
        schema = json.load(file)
    plain = Plain(schema)
    expected = list(expected_rows(args.workload, args.acks))
    check_registered(args.registry, schema, expected)

    truth, agreed = None, True
    for name, read in readers.over_kafka(args.bootstrap, args.topic, plain):
        rows = sorted(read(), key=place)
        if truth is None:
            truth = complete(expected, rows, args.since)
        agreed &= compare(name, truth, rows)
    if args.catalog:
        table = readers.committed_table(args.catalog, args.warehouse, args.topic, len(truth))
        for name, read in readers.over_table(table, plain):
            agreed &= compare(name, truth, sorted(read(), key=place))
    sys.exit(0 if agreed else 1)


def place(row):
    return row["partition"], row["offset"]


def expected_rows(workload, acks):
    """The records of the workload, each with what the broker answered for it."""
    with open(workload) as work, open(acks) as answers:
        records = (line for line in map(json.loads, work) if "producer" not in line)
        for record, ack in itertools.zip_longest(records, map(json.loads, answers)):
            assert record and ack, "not one answer for each record"
            asked = record["partition"]
            assert asked in (None, ack["partition"]) or ack["partition"] is None, (record, ack)
            yield {
                "partition": asked if ack["partition"] is None else ack["partition"],
                "offset": ack["offset"],
                "timestamp": record["timestamp"] or ack["timestamp"],
                "key": record["key"],
                "headers": record["headers"],
                "schema_id": None if record["value"] is None else ack["schema_id"],
                "value": record["value"],
            }


def complete(expected, rows, since):
    """The truth to compare with: what is expected, and, where no answer told it (acks=0),
    the place and time that the first reader saw, matched by the key that is given only once."""
    unplaced = {row["key"]: row for row in expected if row["offset"] is None}
    placed = {place(row): row for row in expected if row["offset"] is not None}
    assert len(unplaced) + len(placed) == len(expected), "two records were given one place or key"
    for row in rows:
        wanted = placed.get(place(row)) or unplaced.get(row["key"])
        if wanted is None:
            continue  # Shows up as a difference.
        assert wanted["partition"] in (None, row["partition"]), f"wrong partition: {row}"
        wanted["partition"], wanted["offset"] = place(row)
        if wanted["timestamp"] is None:
            assert since <= row["timestamp"] <= since + 600_000, f"not of this run: {row}"
            wanted["timestamp"] = row["timestamp"]
    lost = [row for row in expected if row["offset"] is None]
    assert not lost, f"{len(lost)} records sent with acks=0 never arrived, such as {lost[0]}"
    truth = sorted(expected, key=place)
    for _, partition in itertools.groupby(truth, key=lambda row: row["partition"]):
        offsets = [row["offset"] for row in partition]
        assert offsets == list(range(len(offsets))), f"not one offset for each record: {offsets}"
    return truth


def compare(name, truth, rows):
    differences = [
        f"  partition {want['partition']} offset {want['offset']} {path}: "
        f"expected {wanted!r}, read {got!r}"
        for want, row in zip(truth, rows)
        for path, wanted, got in differ("", want, row)
    ]
    if len(truth) != len(rows):
        differences.insert(0, f"  {len(truth)} rows expected, {len(rows)} read")
    print(f"{name}: {len(rows)} rows, {len(differences) or 'no'} differences", flush=True)
    print("".join(f"{line}\n" for line in differences[:DIFFERENCES_MAX]), end="")
    return not differences


def differ(path, want, got):
    """Every leaf in which two plain values differ: (path, expected, read)."""
    if isinstance(want, dict) and isinstance(got, dict):
        for key in {**want, **got}:
            yield from differ(f"{path}.{key}", want.get(key, "nothing"), got.get(key, "nothing"))
    elif isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        for index, pair in enumerate(zip(want, got)):
            yield from differ(f"{path}[{index}]", *pair)
    elif want != got or isinstance(want, bool) != isinstance(got, bool):
        yield path, want, got


def check_registered(registry_url, schema, expected):
    """The registry gives back, by the id that the records carry, the schema they were made with."""
    for schema_id in {row["schema_id"] for row in expected} - {None}:
        with urllib.request.urlopen(f"{registry_url}/schemas/ids/{schema_id}", timeout=30) as answer:
            registered = json.loads(json.load(answer)["schema"])
        assert field_names(registered) == field_names(schema), f"schema {schema_id} is another"


def field_names(schema):
    return [field["name"] for field in schema["fields"]]


if __name__ == "__main__":
    main()
