"""kcat: all topics, one after the other, committed records only.

Keys and values are printed behind their lengths. Headers are not: in kcat's output they can't be told from
the text around them.
"""

import subprocess

from rows import Run, row

# Lengths are in front of what they measure; -1 is null.
FORMAT = "%t %p %o %T %K %S\n%k%s\n"


def main():
    run = Run(__doc__)
    rows = []
    for topic in run.topics:
        command = [
            "kcat", "-C", "-q", "-e", "-b", run.bootstrap, "-t", topic, "-o", "beginning",
            "-X", "isolation.level=read_committed", "-X", "check.crcs=true", "-f", FORMAT,
        ]
        done = subprocess.run(command, capture_output=True, timeout=60, check=True)
        rows += parse(done.stdout)
    run.write(rows)


def parse(printed):
    at = 0
    while at < len(printed):
        head_end = printed.index(b"\n", at)
        topic, *numbers = printed[at:head_end].split()
        partition, offset, timestamp, key_bytes, value_bytes = map(int, numbers)
        at = head_end + 1
        parts = []
        for length in (key_bytes, value_bytes):
            parts.append(None if length < 0 else printed[at : at + length])
            at += max(length, 0)
        at += 1  # The end of the line.
        yield row(topic.decode(), partition, offset, timestamp, parts[0], None, parts[1])


if __name__ == "__main__":
    main()
