"""Makes two answers comparable: what must differ (ids, addresses, times, words) becomes what it stands for."""

import base64
import time

NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"
UNKNOWN_ID = "Tm90aGluZ1RvQmVGb3VuZA"  # What scenarios call a topic that isn't there.
NOW_MS = 600_000

# Opaque ids, by the names of the fields that hold them: the n-th one met is `topic#n` on either side.
LABELLED = {
    "topicId": "topic",
    "memberId": "member",
    "leader": "member",
    "producerId": "producer",
    "currentProducerId": "producer",
    "sessionId": "session",
    "clusterId": "cluster",
}
NOT_AN_ID = {"", None, -1, NO_ID}
NOT_AN_ID_OF = {"sessionId": {0}}
PLACES = {"host", "port", "logDir", "clientHost"}
TIMES = {
    "timestamp",
    "maxTimestamp",
    "logAppendTimeMs",
    "transactionStartTimeMs",
    "lastTimestamp",
}
WORDS = {"errorMessage", "batchIndexErrorMessage", "documentation"}
BYTES = {"totalBytes", "usableBytes"}
# An order that neither promises is that of these fields, the first that all elements have.
ORDERED_BY = [
    ("resourceType", "resourceName", "patternType", "principal", "host", "operation", "permissionType"),
    ("resourceType", "resourceName", "patternType"),
    ("principal", "host", "operation", "permissionType"),
    ("name", "topicId"),
    ("name",),
    ("topicName",),
    ("topic",),
    ("topicId",),
    ("partitionIndex",),
    ("index",),
    ("partition",),
    ("groupId",),
    ("transactionalId",),
    ("memberId",),
    ("apiKey",),
    ("nodeId",),
    ("resourceName",),
    ("key",),
    ("producerId",),
    ("user",),
    ("mechanism",),
    ("entity",),
    ("entityType",),
]


def chosen(value):
    """Whether it is an id that the scenarios chose."""
    return isinstance(value, str) and (value.startswith("member-") or value == UNKNOWN_ID)


def by_producer(state):
    return state["producerId"]


def login(message):
    """What a step of a login says: its secrets and nonces aside."""
    text = base64.b64decode(message).decode(errors="replace")
    parts = dict(part.partition("=")[::2] for part in text.split(","))
    if "v" in parts:
        return "a proof"
    if "r" in parts:
        return f"a challenge of {parts.get('i')} rounds"
    return text


class Normaliser:
    """One side's."""

    def __init__(self):
        self.labels = {}

    def begin(self):
        """Forgets all ids but those of topics, which have names."""
        self.labels = {"topic": self.labels.get("topic", {})}

    def label(self, kind, value):
        """The same word for the same value, and for the same n-th value of the other side."""
        known = self.labels.setdefault(kind, {})
        return known.setdefault(value, f"{kind}#{len(known) + 1}")

    def normal(self, value, name=""):
        if isinstance(value, dict):
            # A topic's id that is told with its name has that for a label.
            if value.get("name") and value.get("topicId") not in NOT_AN_ID:
                self.labels.setdefault("topic", {}).setdefault(value["topicId"], f"topic {value['name']}")
            return {key: self.normal(inner, key) for key, inner in value.items()}
        if isinstance(value, list):
            # In order of the ids as they are, so that the n-th one is the same on either side.
            raw = sorted(value, key=by_producer) if name == "activeProducers" else value
            return self.sort([self.normal(inner, name) for inner in raw], name)
        if name in LABELLED and not chosen(value) and value not in NOT_AN_ID | NOT_AN_ID_OF.get(name, set()):
            return self.label(LABELLED[name], value)
        if name in PLACES and value not in NOT_AN_ID:
            return "place"
        if name in TIMES and isinstance(value, int) and abs(value - time.time() * 1000) < NOW_MS:
            return "now"
        if name == "authBytes" and value:
            return login(value)
        if name == "throttleTimeMs" and value:
            return "a while"
        if name in WORDS and value:
            return "words"
        if name in BYTES and value not in NOT_AN_ID:
            return "bytes"
        if name == "bytes":
            return "an answer"
        return value

    @staticmethod
    def sort(items, name):
        if name == "mechanisms":
            return sorted(items, key=str)
        if name in ("records", "batches") or not items or not all(isinstance(each, dict) for each in items):
            return items
        for keys in ORDERED_BY:
            if all(key in each for each in items for key in keys):
                return sorted(items, key=lambda each: tuple(str(each[key]).zfill(12) for key in keys))
        return items

