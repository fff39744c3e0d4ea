"""Makes the files beside it, with independent writers of Kafka's formats.

    pip install "kafka-python==2.3.*" lz4 xxhash python-snappy zstandard
    python make.py

v{0,1}-*.set are message sets and v2-*.batch record batches by kafka-python, of the five records that
`tests/records_of_others.rs` expects. linked.lz4 is a frame by the reference implementation whose
blocks refer to one another, with every optional checksum.
"""

import pathlib

import lz4.frame
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.legacy_records import LegacyRecordBatchBuilder

HERE = pathlib.Path(__file__).parent
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def records():
    for i in range(5):
        key = None if i == 0 else f"key-{i}".encode()
        value = None if i == 4 else (f"value {i} " * 20).encode()
        headers = [("h", b"1"), ("h", None)] if i == 2 else []
        yield i, 1_600_000_000_000 + 10 * i, key, value, headers


for magic in (0, 1):
    for number, codec in enumerate(CODECS[:4]):
        builder = LegacyRecordBatchBuilder(magic, number, 1 << 20)
        for offset, timestamp, key, value, _ in records():
            builder.append(offset, timestamp if magic else None, key, value)
        (HERE / f"v{magic}-{codec}.set").write_bytes(bytes(builder.build()))

for number, codec in enumerate(CODECS):
    builder = DefaultRecordBatchBuilder(2, number, False, 4000, 3, 17, 1 << 20)
    for offset, timestamp, key, value, headers in records():
        builder.append(offset, timestamp, key, value, headers)
    (HERE / f"v2-{codec}.batch").write_bytes(bytes(builder.build()))

lines = "".join(f"line {i * i % 977}\n" for i in range(40_000)).encode()
(HERE / "linked.lz4").write_bytes(
    lz4.frame.compress(
        lines,
        block_size=lz4.frame.BLOCKSIZE_MAX64KB,
        block_linked=True,
        content_checksum=True,
        block_checksum=True,
        store_size=True,
    )
)
