"""The readers: each gives the rows of a topic in one form, values in plain JSON.

    {"partition", "offset", "timestamp": ms, "key": base64 | None,
     "headers": [[name, base64 | None], ...], "schema_id": id | None, "value": plain | None}
"""

import base64
import io
import itertools
import os
import struct
import time

os.environ["POLARS_ICEBERG_PLANNER"] = "pyiceberg"

import duckdb
import duckdb_extensions
import fastavro
import kafka
import polars
import pyarrow
import pyarrow.parquet
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NoSuchTableError

NAMESPACE = "default"
KAFKA_TIMEOUT_S = 60
COMMIT_TIMEOUT_S = 60


def over_kafka(bootstrap, topic, plain):
    """(name, function that gives the rows) for each consumer."""
    decode = Decoder(plain)
    yield "consumer confluent-kafka", lambda: confluent_rows(bootstrap, topic, decode)
    yield "consumer kafka-python", lambda: kafka_python_rows(bootstrap, topic, decode)


def committed_table(catalog_uri, warehouse, topic, rows):
    """The topic's table, once as many rows are in it as were produced."""
    catalog = SqlCatalog("fletch", uri=catalog_uri, warehouse=warehouse)
    deadline = time.monotonic() + COMMIT_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            table = catalog.load_table((NAMESPACE, topic))
            snapshot = table.current_snapshot()
            committed = int(snapshot.summary["total-records"]) if snapshot else 0
        except NoSuchTableError:
            committed = None
        if committed is not None and committed >= rows:
            return table
        time.sleep(0.1)
    raise TimeoutError(f"{rows} rows produced, {committed} in the table after {COMMIT_TIMEOUT_S} s")


def over_table(table, plain):
    """(name, function that gives the rows) for each reader of tables."""
    for name, read in over_arrow(table):
        yield name, lambda read=read: table_rows(read(), plain)


def over_arrow(table):
    """(name, function that gives all columns as one Arrow table) for each reader of tables."""
    files = [task.file.file_path.removeprefix("file://") for task in table.scan().plan_files()]

    def with_duckdb(query, argument):
        connection = duckdb.connect()
        connection.sql("SET TimeZone = 'UTC'")
        for extension in duckdb_extensions.NAMES:
            connection.load_extension(duckdb_extensions.file_of(extension))
        return connection.execute(query, [argument]).to_arrow_table()

    for name, read in {
        "PyIceberg": lambda: table.scan().to_arrow(),
        "DuckDB over Iceberg": lambda: with_duckdb(
            "SELECT * FROM iceberg_scan(?)", table.metadata_location
        ),
        "DuckDB over Parquet": lambda: with_duckdb(
            "SELECT * FROM read_parquet(?, union_by_name = true)", files
        ),
        "Polars": lambda: polars.scan_iceberg(table).collect().to_arrow(),
        "pyarrow": lambda: pyarrow.concat_tables(
            (pyarrow.parquet.read_table(file) for file in files), promote_options="permissive"
        ),
    }.items():
        yield name, read


def table_rows(arrow, plain):
    columns = [field["name"] for field in plain.schema["fields"]]
    for row in arrow.to_pylist():
        tombstone = row["kafka_schema_id"] is None
        # PyIceberg 0.12 gives null lists of structs as empty ones.
        assert not tombstone or all(row[column] in (None, []) for column in columns), row
        yield {
            "partition": row["kafka_partition"],
            "offset": row["kafka_offset"],
            "timestamp": round(row["kafka_timestamp"].timestamp() * 1000),
            "key": base64_text(row["kafka_key"]),
            "headers": [[h["key"], base64_text(h["value"])] for h in row["kafka_headers"] or ()],
            "schema_id": row["kafka_schema_id"],
            "value": None if tombstone else plain.to_plain(row),
        }


class Decoder:
    """Confluent framing and Avro, undone: (schema id, plain value)."""

    def __init__(self, plain):
        self.plain = plain
        self.schema = fastavro.parse_schema(plain.schema)

    def __call__(self, framed):
        if framed is None:
            return None, None
        magic, schema_id = struct.unpack(">bI", framed[:5])
        assert magic == 0, f"magic byte {magic}"
        body = io.BytesIO(framed[5:])
        value = fastavro.schemaless_reader(body, self.schema, None, return_record_name=True)
        assert not body.read(), "bytes left after the value"
        return schema_id, self.plain.to_plain(value)


def kafka_row(partition, offset, timestamp, key, headers, framed, decode):
    schema_id, value = decode(framed)
    return {
        "partition": partition,
        "offset": offset,
        "timestamp": timestamp,
        "key": base64_text(key),
        "headers": [[name, base64_text(content)] for name, content in headers or ()],
        "schema_id": schema_id,
        "value": value,
    }


def confluent_rows(bootstrap, topic, decode):
    # The group id is only demanded by the constructor: nothing is subscribed or committed.
    consumer = Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": "unused",
        "enable.auto.commit": False,
        "check.crcs": True,
    })
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    ends = {
        number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=30)[1]
        for number in partitions
    }
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
    left = sum(ends.values())
    while left:
        messages = consumer.consume(min(left, 1000), timeout=KAFKA_TIMEOUT_S)
        assert messages, f"nothing came for {KAFKA_TIMEOUT_S} s, {left} records are missing"
        for message in messages:
            assert message.error() is None, message.error()
            left -= 1
            yield kafka_row(
                message.partition(), message.offset(), message.timestamp()[1], message.key(),
                message.headers(), message.value(), decode,
            )
    consumer.close()


def kafka_python_rows(bootstrap, topic, decode):
    consumer = kafka.KafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, group_id=None, check_crcs=True,
    )
    partitions = [
        kafka.TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)
    ]
    left = sum(consumer.end_offsets(partitions).values())
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    while left:
        polled = consumer.poll(timeout_ms=KAFKA_TIMEOUT_S * 1000)
        assert polled, f"nothing came for {KAFKA_TIMEOUT_S} s, {left} records are missing"
        for record in itertools.chain.from_iterable(polled.values()):
            left -= 1
            yield kafka_row(
                record.partition, record.offset, record.timestamp, record.key, record.headers,
                record.value, decode,
            )
    consumer.close()


def base64_text(content):
    return None if content is None else base64.b64encode(bytes(content)).decode()
