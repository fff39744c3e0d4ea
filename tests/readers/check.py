"""Reads a table with every reader and compares each value with what was produced.

    python check.py CATALOG_DB WAREHOUSE TABLE FOLDER

`FOLDER` is what `make.py` wrote. Prints a line for each reader; exits with 1 if one disagrees.
"""

import importlib.util
import json
import os
import pathlib
import sys

os.environ["POLARS_ICEBERG_PLANNER"] = "pyiceberg"

import duckdb
import everything
import polars
import pyarrow
import pyarrow.parquet
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import StaticTable

SHOWN_MAX = 5


def main():
    database, warehouse, name, folder = sys.argv[1:]
    with open(pathlib.Path(folder, "records.jsonl")) as file:
        truth = {(row["partition"], row["offset"]): row for row in map(json.loads, file)}
    catalog = SqlCatalog("fletch", uri=f"sqlite:///{database}", warehouse=f"file://{warehouse}")
    table = catalog.load_table(("default", name))
    root = table.location().removeprefix("file://")
    files = [task.file.file_path.removeprefix("file://") for task in table.scan().plan_files()]
    print(f"{len(files)} files, {len(truth)} records")
    agreed = True
    for reader, read in {
        "PyIceberg": lambda: table.scan().to_arrow(),
        "PyIceberg by folder": lambda: StaticTable.from_metadata(root).scan().to_arrow(),
        "DuckDB, Iceberg by metadata": lambda: duck(f"iceberg_scan('{table.metadata_location}')"),
        "DuckDB, Iceberg by folder": lambda: duck(f"iceberg_scan('{root}')"),
        "DuckDB, Parquet": lambda: duck(f"read_parquet({files}, union_by_name = true)"),
        "Polars, Iceberg": lambda: polars.scan_iceberg(table).collect().to_arrow(),
        "pyarrow, Parquet": lambda: pyarrow.concat_tables(
            (pyarrow.parquet.ParquetFile(file).read() for file in files), promote_options="permissive"
        ),
    }.items():
        agreed &= compare(reader, truth, read())
    # The order that the files claim to have.
    for task in table.scan().plan_files():
        if task.file.sort_order_id == 1:
            read = pyarrow.parquet.ParquetFile(task.file.file_path.removeprefix("file://")).read()
            places = list(zip(read["kafka_partition"].to_pylist(), read["kafka_offset"].to_pylist()))
            assert places == sorted(places), f"{task.file.file_path} isn't sorted"
    # What a reader skips by the bounds in the manifests, it skips rightly.
    for (partition, offset), row in list(truth.items())[::197]:
        where = f"kafka_partition = {partition} and kafka_offset = {offset}"
        found = table.scan(row_filter=where).to_arrow()
        assert found.num_rows == 1, (where, found.num_rows)
        if row["value"] and "\0" not in row["value"]["string"] and "\n" not in row["value"]["string"]:
            text = row["value"]["string"].replace("'", "''")
            found = table.scan(row_filter=f"string = '{text}' and {where}").to_arrow()
            assert found.num_rows == 1, (text, found.num_rows)
    sys.exit(0 if agreed else 1)


def duck(source):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for extension in ("avro", "iceberg"):
        package = pathlib.Path(importlib.util.find_spec(f"duckdb_extension_{extension}").origin)
        file = next(package.parent.glob("extensions/*/*.duckdb_extension"))
        connection.execute(f"LOAD '{file}'")
    return connection.execute(f"SELECT * FROM {source}").to_arrow_table()


def compare(reader, truth, arrow):
    schema = everything.second()
    columns = [field["name"] for field in schema["fields"]]
    seen, differences = set(), []
    for row in arrow.to_pylist():
        place = row["kafka_partition"], row["kafka_offset"]
        if place in seen or place not in truth:
            differences.append(f"{place}: {'twice' if place in seen else 'never produced'}")
            continue
        seen.add(place)
        want = truth[place]
        stamp = (row["kafka_timestamp"] - everything.EPOCH).total_seconds()
        for what, wanted, got in (
            ("timestamp", want["timestamp"], round(stamp * 1000)),
            ("key", want["key"], None if row["kafka_key"] is None else row["kafka_key"].hex()),
            ("headers", want["headers"], [
                [h["key"], None if h["value"] is None else h["value"].hex()]
                for h in row["kafka_headers"]
            ]),
            ("schema id", want["schema_id"], row["kafka_schema_id"]),
        ):
            if wanted != got:
                differences.append(f"{place} {what}: expected {wanted!r}, read {got!r}")
        value = {name: row.get(name) for name in columns}
        got = everything.plain(schema, value)
        wanted = want["value"] or dict.fromkeys(columns)
        for name in columns:
            if wanted[name] is None and got[name] == [] and reader.startswith("PyIceberg"):
                # PyIceberg 0.12 rebuilds lists of structs without their nulls; the file has them,
                # as the other readers show.
                continue
            if not everything.same(None, wanted[name], got[name]):
                differences.append(f"{place} {name}: expected {wanted[name]!r}, read {got[name]!r}")
    if len(seen) != len(truth):
        differences.insert(0, f"{len(truth)} rows expected, {len(seen)} read")
    print(f"{reader}: {len(seen)} rows, {len(differences) or 'no'} differences", flush=True)
    for difference in differences[:SHOWN_MAX]:
        print(f"  {difference}")
    return not differences


if __name__ == "__main__":
    main()
