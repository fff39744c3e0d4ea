"""DuckDB's extensions, installed as packages of their own, so that nothing is fetched at run time.

    python duckdb_extensions.py HOME

puts them where DuckDB looks for them when HOME is its home folder.
"""

import importlib.util
import pathlib
import shutil
import sys

import duckdb

NAMES = ("avro", "iceberg")


def file_of(name):
    package = pathlib.Path(importlib.util.find_spec(f"duckdb_extension_{name}").origin).parent
    return str(next(package.glob("extensions/*/*.duckdb_extension")))


def fill(home):
    (version,) = duckdb.sql("SELECT library_version FROM pragma_version()").fetchone()
    (platform,) = duckdb.sql("PRAGMA platform").fetchone()
    folder = pathlib.Path(home, ".duckdb", "extensions", version, platform)
    folder.mkdir(parents=True)
    for name in NAMES:
        shutil.copy(file_of(name), folder)


if __name__ == "__main__":
    fill(sys.argv[1])
