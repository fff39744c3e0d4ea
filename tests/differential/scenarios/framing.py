"""Frames that no client sends."""

import struct


def header(key, version, correlation=1):
    return struct.pack(">hhih", key, version, correlation, -1)


def run(both):
    def ask(step, frame):
        both.raw(step, frame, connection=step, silence_ms=3000)

    ask("no such API", header(999, 0))
    ask("negative API", header(-1, 0))
    ask("no such version of Metadata", header(3, 99))
    ask("negative version", header(3, -1))
    ask("an API between brokers", header(4, 7))
    ask("one byte", b"\0")
    ask("half a header", header(3, 1)[:5])
    ask("Metadata without its body", header(3, 1))
    ask("Metadata with more than its body", header(3, 1) + struct.pack(">i", -1) + b"more")
    ask("Metadata with a count too high", header(3, 1) + struct.pack(">i", 1 << 30))
    ask("Metadata with a negative count", header(3, 1) + struct.pack(">i", -7))
    ask("Metadata with a name cut", header(3, 1) + struct.pack(">ih", 1, 50) + b"abc")
    ask("ApiVersions of the future", header(18, 99) + b"\0")
