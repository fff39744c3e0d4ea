"""In what two normalised answers differ, and which differences were reviewed and allowed."""

import dataclasses
import fnmatch
import tomllib


@dataclasses.dataclass
class Difference:
    """One field of one step, in all the versions in which it differs in the same way."""

    step: str
    api: str
    path: str
    kafka: object
    fletch: object
    versions: list


ABSENT = "(absent)"


def compare(kafka, fletch, path=""):
    """Every leaf that differs: its path, Kafka's value, Fletch's."""
    if isinstance(kafka, dict) and isinstance(fletch, dict):
        for key in {**kafka, **fletch}:
            inner = f"{path}.{key}" if path else key
            yield from compare(kafka.get(key, ABSENT), fletch.get(key, ABSENT), inner)
    elif isinstance(kafka, list) and isinstance(fletch, list):
        if len(kafka) == len(fletch):
            for left, right in zip(kafka, fletch):
                yield from compare(left, right, f"{path}[]")
        elif name := named_by(kafka + fletch):
            left, right = ({each[name]: each for each in side} for side in (kafka, fletch))
            for key in {**left, **right}:
                if key in left and key in right:
                    yield from compare(left[key], right[key], f"{path}[]")
                else:
                    yield f"{path}[{key}]", there(key in left), there(key in right)
        else:
            yield f"{path}[]", f"{len(kafka)} of them", f"{len(fletch)} of them"
    elif kafka != fletch or type(kafka) is not type(fletch):
        yield path, short(kafka), short(fletch)


def named_by(items):
    """The field by which elements of two lists of different lengths are told apart."""
    for name in ("name", "partitionIndex", "nodeId", "groupId", "topicName"):
        if all(isinstance(each, dict) and isinstance(each.get(name), (str, int)) for each in items):
            return name
    return None


def there(is_there):
    return "there" if is_there else ABSENT


def short(value):
    """A value for a line of output."""
    text = repr(value)
    return value if len(text) <= 200 else text[:200] + "…"


class Allowed:
    """The reviewed list. An entry matches by step, API and path (each a pattern, `*` if left out), and, if
    it has them, by the two values."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.entries = tomllib.load(file).get("allow", [])
        for entry in self.entries:
            unknown = set(entry) - {"step", "api", "path", "kafka", "fletch", "reason"}
            if unknown or not entry.get("reason"):
                raise ValueError(f"{entry}: needs a reason, and knows no {unknown}")
        self.used = set()

    def allows(self, difference):
        for number, entry in enumerate(self.entries):
            patterns = [
                (difference.step, entry.get("step", "*")),
                (difference.api, entry.get("api", "*")),
                # Brackets are literal in a path.
                (difference.path.replace("[", ":"), entry.get("path", "*").replace("[", ":")),
            ]
            if not all(fnmatch.fnmatchcase(text, pattern) for text, pattern in patterns):
                continue
            if any(side in entry and entry[side] != getattr(difference, side) for side in ("kafka", "fletch")):
                continue
            self.used.add(number)
            return True
        return False

    def unused(self):
        return [entry for number, entry in enumerate(self.entries) if number not in self.used]
