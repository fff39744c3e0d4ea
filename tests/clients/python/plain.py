"""Plain JSON <-> native Python values, walking an Avro schema.

`values.jsonl` holds every value in a plain JSON form that each language can read without
loss; what is read back is brought to the same form, so that comparing is `==`:

| Avro                         | plain JSON                                                   |
|------------------------------|--------------------------------------------------------------|
| null, boolean, int, string, enum | as they are                                              |
| long                         | a string of digits (JavaScript's numbers end at 2^53)         |
| float, double                | a number, or "NaN", "Infinity", "-Infinity", "-0.0"          |
| bytes, fixed                 | base64                                                       |
| decimal                      | a string with as many decimals as the scale says             |
| uuid                         | its usual text                                               |
| date, time-*, timestamp-*    | ISO 8601 text, 3 or 6 decimals, "Z" unless the type is local |
| duration                     | {"months": .., "days": .., "millis": ..}                     |
| array, map, record           | array, object, object                                        |
| union with one other than null | null or the other's form                                   |
| any other union              | null or {"<branch>": ..}, the branch's full name as the key  |
"""

import base64
import datetime as dt
import decimal
import math
import struct
import uuid

EPOCH_DAY = dt.date(1970, 1, 1)
DECIMALS = decimal.Context(prec=100)


def named_types(schema, namespace="", found=None):
    """Every named type of a schema by its full name (references resolve through it)."""
    found = {} if found is None else found
    if isinstance(schema, list):
        for branch in schema:
            named_types(branch, namespace, found)
    elif isinstance(schema, dict):
        kind = schema["type"]
        if kind in ("record", "enum", "fixed"):
            namespace = schema.get("namespace", namespace)
            found[full_name(schema["name"], namespace)] = schema
        for field in schema.get("fields", []):
            named_types(field["type"], namespace, found)
        for inner in ("items", "values"):
            if inner in schema:
                named_types(schema[inner], namespace, found)
        if isinstance(kind, (dict, list)):
            named_types(kind, namespace, found)
    return found


def full_name(name, namespace):
    return name if "." in name or not namespace else f"{namespace}.{name}"


class Plain:
    """The two directions for one schema. All named types live in its top namespace."""

    def __init__(self, schema):
        self.schema = schema
        self.namespace = schema.get("namespace", "")
        self.names = named_types(schema)

    def to_native(self, value, schema=None):
        """What a Python user would hand to a serializer (fastavro's conventions)."""
        schema = self.resolve(schema)
        if isinstance(schema, list):
            return self.union_to_native(value, schema)
        kind, logical = schema["type"], schema.get("logicalType")
        if logical in TO_NATIVE:
            return TO_NATIVE[logical](value)
        if kind == "long":
            return int(value)
        if kind in ("float", "double"):
            return float(value)
        if kind in ("bytes", "fixed"):
            return base64.b64decode(value)
        if kind == "array":
            return [self.to_native(item, schema["items"]) for item in value]
        if kind == "map":
            return {key: self.to_native(item, schema["values"]) for key, item in value.items()}
        if kind == "record":
            return {f["name"]: self.to_native(value[f["name"]], f["type"]) for f in schema["fields"]}
        return value

    def to_plain(self, value, schema=None):
        """The plain form of what a reader gave, whichever native type it chose for it."""
        schema = self.resolve(schema)
        if isinstance(schema, list):
            return self.union_to_plain(value, schema)
        kind, logical = schema["type"], schema.get("logicalType")
        if logical in TO_PLAIN:
            return TO_PLAIN[logical](value, schema)
        if kind == "long":
            return str(value)
        if kind == "float":
            return number(struct.unpack("f", struct.pack("f", value))[0])
        if kind == "double":
            return number(value)
        if kind in ("bytes", "fixed"):
            return base64.b64encode(bytes(value)).decode()
        if kind == "array":
            return [self.to_plain(item, schema["items"]) for item in value]
        if kind == "map":
            return {key: self.to_plain(item, schema["values"]) for key, item in pairs(value)}
        if kind == "record":
            return {f["name"]: self.to_plain(value[f["name"]], f["type"]) for f in schema["fields"]}
        return value

    def resolve(self, schema):
        schema = self.schema if schema is None else schema
        if isinstance(schema, str):
            named = self.names.get(full_name(schema, self.namespace))
            return named or {"type": schema}
        if isinstance(schema, dict) and isinstance(schema["type"], (dict, list)):
            return self.resolve(schema["type"])
        return schema

    def branch_name(self, schema):
        schema = self.resolve(schema)
        name = schema.get("name", schema["type"])
        return full_name(name, self.namespace) if "name" in schema else name

    def union_to_native(self, value, branches):
        if value is None:
            return None
        others = [b for b in branches if b != "null"]
        if len(others) == 1:
            return self.to_native(value, others[0])
        name, inner = the_one(value.items())
        branch = the_one(b for b in others if self.branch_name(b) == name)
        # fastavro picks the branch by this tuple rather than by guessing from the value.
        return (name, self.to_native(inner, branch))

    def union_to_plain(self, value, branches):
        """A general union arrives from fastavro as a bare string or integer or as (name, record),
        and from a table as a struct that has one member for each branch, all but one null."""
        if value is None:
            return None
        others = [b for b in branches if b != "null"]
        if len(others) == 1:
            return self.to_plain(value[1] if isinstance(value, tuple) else value, others[0])
        if isinstance(value, dict):
            by_member = {self.branch_name(b).rsplit(".", 1)[-1].lower(): b for b in others}
            member, value = the_one((k.lower(), v) for k, v in value.items() if v is not None)
            branch = by_member[member]
        elif isinstance(value, tuple):
            name, value = value
            branch = the_one(b for b in others if self.branch_name(b) == name)
        else:
            branch = {str: "string", int: "long"}[type(value)]
        return {self.branch_name(branch): self.to_plain(value, branch)}


def the_one(items):
    only, = items
    return only


def number(value):
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    # -0.0 == 0.0 for Python, but losing the sign is a loss: keep it visible.
    return "-0.0" if value == 0 and math.copysign(1, value) < 0 else value


def pairs(value):
    """A map is a dict, a list of (key, value), or a list of {"key": .., "value": ..}."""
    if isinstance(value, dict):
        return value.items()
    return [(p["key"], p["value"]) if isinstance(p, dict) else p for p in value]


def instant(text):
    return dt.datetime.fromisoformat(text.replace("Z", "+00:00"))


def moment_text(decimals, zoned):
    def text(value, _schema):
        assert isinstance(value, dt.datetime), f"not a timestamp: {value!r}"
        assert (value.tzinfo is not None) == zoned, f"zone of {value!r}: expected {zoned}"
        value = value.astimezone(dt.timezone.utc) if zoned else value
        date = f"{value.year:04}-{value.month:02}-{value.day:02}"
        return f"{date}T{clock_text(decimals)(value, None)}{'Z' if zoned else ''}"
    return text


def clock_text(decimals):
    def text(value, _schema):
        fraction = f"{value.microsecond:06}"
        assert not fraction[decimals:].strip("0"), f"finer than {decimals} decimals: {value!r}"
        return f"{value.hour:02}:{value.minute:02}:{value.second:02}.{fraction[:decimals]}"
    return text


def date_text(value, _schema):
    assert type(value) is dt.date, f"not a date: {value!r}"
    return value.isoformat()


def decimal_text(value, schema):
    assert isinstance(value, decimal.Decimal), f"not a decimal: {value!r}"
    step = decimal.Decimal(1).scaleb(-schema.get("scale", 0))
    return f"{value.quantize(step, context=DECIMALS):f}"


def uuid_text(value, _schema):
    """A table keeps a uuid as 16 bytes; some readers give it back as that, some as text."""
    if isinstance(value, (bytes, bytearray)):
        return str(uuid.UUID(bytes=bytes(value)))
    return str(uuid.UUID(str(value)))


def duration_plain(value, _schema):
    if isinstance(value, dict):
        return {part: value[part] for part in ("months", "days", "millis")}
    return dict(zip(("months", "days", "millis"), struct.unpack("<III", value)))


TO_NATIVE = {
    "decimal": decimal.Decimal,
    "uuid": uuid.UUID,
    "date": dt.date.fromisoformat,
    "time-millis": dt.time.fromisoformat,
    "time-micros": dt.time.fromisoformat,
    "timestamp-millis": instant,
    "timestamp-micros": instant,
    "local-timestamp-millis": dt.datetime.fromisoformat,
    "local-timestamp-micros": dt.datetime.fromisoformat,
    "duration": lambda v: struct.pack("<III", v["months"], v["days"], v["millis"]),
}

TO_PLAIN = {
    "decimal": decimal_text,
    "uuid": uuid_text,
    "date": date_text,
    "time-millis": clock_text(3),
    "time-micros": clock_text(6),
    "timestamp-millis": moment_text(3, True),
    "timestamp-micros": moment_text(6, True),
    "local-timestamp-millis": moment_text(3, False),
    "local-timestamp-micros": moment_text(6, False),
    "duration": duration_plain,
}
