"""Compares tables, as two readers see them, with the rows that another program says it sent: an object of
topics, each with its rows in the order of their offsets.
"""

import argparse
import json

from formats_confluent_kafka import Sender


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("bootstrap", "expected", "catalog", "warehouse"):
        parser.add_argument(f"--{name}", required=True)
    args = parser.parse_args()
    with open(args.expected) as file:
        topics = json.load(file)
    assert topics
    for topic, rows in topics.items():
        sender = Sender(args, topic)
        sender.expected = rows
        sender.check()


main()
