"""Writes records to be produced, encoded by fastavro, with what each must be in the table.

    python make.py FOLDER RECORDS SEED

makes `1.avsc` and `2.avsc` (the schemas with ids 1 and 2) and `records.jsonl`.
"""

import base64
import io
import json
import pathlib
import random
import sys

import everything
import fastavro


def main():
    folder, records, seed = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    rng = random.Random(seed)
    schemas = {1: everything.first(), 2: everything.second()}
    for number, schema in schemas.items():
        folder.joinpath(f"{number}.avsc").write_text(json.dumps(schema))
    encoders = {
        number: fastavro.parse_schema(everything.without_logical_types(schema))
        for number, schema in schemas.items()
    }
    offsets = {}
    with open(folder / "records.jsonl", "w") as file:
        for index in range(records):
            # At first only the old writer, then both.
            schema_id = 1 if index < records // 3 else rng.choice([1, 2])
            partition = rng.randrange(3)
            offset = offsets[partition] = offsets.get(partition, -1) + 1
            tombstone = rng.random() < 0.05
            value = everything.raw(schemas[schema_id], rng)
            body = io.BytesIO()
            fastavro.schemaless_writer(body, encoders[schema_id], value)
            framed = b"\0" + schema_id.to_bytes(4, "big") + body.getvalue()
            key = rng.choice([None, b"", rng.randbytes(5)])
            headers = [
                [rng.choice(["trace", "Ursprung", "ä"]), rng.choice([None, "", rng.randbytes(3).hex()])]
                for _ in range(rng.choice([0, 0, 0, 1, 3]))
            ]
            print(json.dumps({
                "partition": partition,
                "offset": offset,
                "timestamp": rng.randrange(1_500_000_000_000, 1_900_000_000_000),
                "key": None if key is None else key.hex(),
                "headers": headers,
                "schema_id": None if tombstone else schema_id,
                "framed": None if tombstone else base64.b64encode(framed).decode(),
                "value": None if tombstone else everything.expected(schemas[2], widened(schema_id, value)),
            }), file=file)


def widened(schema_id, value):
    """An old writer's value as the grown table has it."""
    if schema_id == 2:
        return value
    return value | {"added": None}


if __name__ == "__main__":
    main()
