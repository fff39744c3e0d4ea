"""ListOffsets and OffsetForLeaderEpoch."""

from scenarios.metadata import topic
from scenarios.topics import produced

BEGIN_MS = 1_700_000_000_000


def run(both):
    # Its records are of long ago.
    forever = [{"name": "retention.ms", "value": "-1"}]
    both.create(topic("o", 1, configs=forever), topic("o-empty", 1))
    for n in range(3):
        records = {"values": ["a", "b"], "time": BEGIN_MS + 1000 * n}
        both.last("fill", "Produce", produced("o", records))

    def ask(step, name, timestamp, partition=0, epoch=-1, isolation=0):
        part = {"partitionIndex": partition, "timestamp": timestamp, "currentLeaderEpoch": epoch}
        body = {"replicaId": -1, "isolationLevel": isolation, "topics": [{"name": name, "partitions": [part]}]}
        both.each(step, "ListOffsets", body)

    for timestamp in (-1, -2, -3, -4, -5, -6, -99):
        ask(f"special {timestamp}", "o", timestamp)
        ask(f"special {timestamp}, empty", "o-empty", timestamp)
    for offset in (-1, 0, 1, 500, 1000, 2000, 2001):
        ask(f"time +{offset}", "o", BEGIN_MS + offset)
    ask("committed only", "o", -1, isolation=1)
    ask("unknown topic", "nowhere", -1)
    ask("unknown partition", "o", -1, partition=4)
    ask("epoch 0", "o", -1, epoch=0)
    ask("epoch 3", "o", -1, epoch=3)
    part = {"partitionIndex": 0, "timestamp": -1}
    twice = {"replicaId": -1, "topics": [{"name": "o", "partitions": [part, part]}]}
    both.each("twice", "ListOffsets", twice)

    def epoch(step, name, leader, partition=0, current=-1):
        part = {"partition": partition, "currentLeaderEpoch": current, "leaderEpoch": leader}
        body = {"replicaId": -1, "topics": [{"topic": name, "partitions": [part]}]}
        both.each(step, "OffsetForLeaderEpoch", body)

    epoch("end of epoch 0", "o", 0)
    epoch("end of epoch 5", "o", 5)
    epoch("end of no epoch", "o", -1)
    epoch("end in an empty one", "o-empty", 0)
    epoch("current epoch 0", "o", 0, current=0)
    epoch("current epoch 5", "o", 0, current=5)
    epoch("end in an unknown topic", "nowhere", 0)
    epoch("end in an unknown partition", "o", 0, partition=8)
