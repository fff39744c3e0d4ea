"""Every Avro type: the writers' schemas, random values, and what each value is in a table.

A value is *raw* as Avro encodes it (a timestamp is a number, a decimal is bytes) and *plain* as this
test compares it: JSON, with bytes as hexadecimal digits, times as microseconds, decimals as text.
"""

import copy
import datetime
import decimal
import json
import math
import random
import struct

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def logical(base, name, **more):
    return {"type": base, "logicalType": name, **more}


def fixed(name, size, **more):
    return {"type": "fixed", "name": name, "size": size, **more}


POINT = {
    "type": "record",
    "name": "Point",
    "fields": [
        {"name": "x", "type": "int"},
        {"name": "label", "type": ["null", "string"]},
    ],
}

FIELDS = [
    ("boolean", "boolean"),
    ("int", "int"),
    ("long", "long"),
    ("float", "float"),
    ("double", "double"),
    ("string", "string"),
    ("bytes", "bytes"),
    ("enum", {"type": "enum", "name": "Suit", "symbols": ["SPADES", "HEARTS", "CLUBS"]}),
    ("fixed", fixed("Five", 5)),
    ("uuid", logical("string", "uuid")),
    ("decimal_bytes", logical("bytes", "decimal", precision=30, scale=4)),
    ("decimal_small", logical("bytes", "decimal", precision=9, scale=2)),
    ("decimal_fixed", fixed("Money", 8, logicalType="decimal", precision=18, scale=2)),
    ("date", logical("int", "date")),
    ("time_millis", logical("int", "time-millis")),
    ("time_micros", logical("long", "time-micros")),
    ("timestamp_millis", logical("long", "timestamp-millis")),
    ("timestamp_micros", logical("long", "timestamp-micros")),
    ("timestamp_nanos", logical("long", "timestamp-nanos")),
    ("local_timestamp_millis", logical("long", "local-timestamp-millis")),
    ("local_timestamp_micros", logical("long", "local-timestamp-micros")),
    ("duration", fixed("Span", 12, logicalType="duration")),
    ("optional", ["null", "string"]),
    ("union", ["null", "int", "string", fixed("Two", 2)]),
    ("ints", {"type": "array", "items": "int"}),
    ("points", {"type": "array", "items": POINT}),
    ("longs", {"type": "map", "values": "long"}),
    ("lists", {"type": "map", "values": {"type": "array", "items": "string"}}),
    ("nested", {
        "type": "record",
        "name": "Outer",
        "fields": [
            {"name": "at", "type": logical("long", "timestamp-millis")},
            {"name": "inner", "type": ["null", {
                "type": "record", "name": "Inner", "fields": [{"name": "deep", "type": "double"}],
            }]},
        ],
    }),
]


def record(fields):
    fields = [{"name": name, "type": copy.deepcopy(kind)} for name, kind in fields]
    return {"type": "record", "name": "Everything", "fields": fields}


def first():
    return record(FIELDS)


def second():
    """The same with promotions, a new column, and new fields within a record and a list."""
    schema = record(FIELDS + [("added", ["null", "long"])])
    kinds = {field["name"]: field for field in schema["fields"]}
    kinds["int"]["type"] = "long"
    kinds["float"]["type"] = "double"
    kinds["decimal_small"]["type"]["precision"] = 15
    kinds["points"]["type"]["items"]["fields"].append({"name": "y", "type": ["null", "double"]})
    kinds["nested"]["type"]["fields"].append({"name": "note", "type": "string"})
    return schema


def without_logical_types(kind):
    """The schema as its values are encoded, for an encoder that is to take raw values."""
    if isinstance(kind, list):
        return [without_logical_types(member) for member in kind]
    if isinstance(kind, dict):
        return {k: without_logical_types(v) for k, v in kind.items() if k != "logicalType"}
    return kind


def base(kind):
    return kind["type"] if isinstance(kind, dict) else kind


def raw(kind, rng):
    """A random value."""
    name, logic = base(kind), kind.get("logicalType") if isinstance(kind, dict) else None
    if isinstance(kind, list):
        return raw(rng.choice(kind), rng)
    if logic in ("timestamp-nanos",):
        return rng.randrange(-2**62, 2**62)
    if logic and "timestamp" in logic:
        unit = 1_000 if "millis" in logic else 1_000_000
        return rng.randrange(-2_000_000_000, 6_000_000_000) * unit + rng.randrange(unit)
    if logic == "time-millis":
        return rng.randrange(86_400_000)
    if logic == "time-micros":
        return rng.randrange(86_400_000_000)
    if logic == "date":
        return rng.randrange(-25_000, 80_000)
    if logic == "uuid":
        digits = f"{rng.getrandbits(128):032x}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
    if logic == "decimal":
        limit = 10 ** rng.randrange(1, kind["precision"] + 1)
        unscaled = rng.randrange(-limit + 1, limit)
        size = kind.get("size") or (unscaled + (unscaled < 0)).bit_length() // 8 + 1
        return unscaled.to_bytes(size, "big", signed=True)
    if name == "null":
        return None
    if name == "boolean":
        return rng.random() < 0.5
    if name == "int":
        return rng.choice([0, 1, -1, 2**31 - 1, -2**31, rng.randrange(-1000, 1000)])
    if name == "long":
        return rng.choice([0, 1, -1, 2**63 - 1, -2**63, rng.randrange(-10**12, 10**12)])
    if name == "float":
        number = rng.choice([0.0, -0.0, math.inf, -math.inf, math.nan, rng.uniform(-1e6, 1e6)])
        return struct.unpack("<f", struct.pack("<f", number))[0]
    if name == "double":
        return rng.choice([0.0, -0.0, math.inf, -math.inf, math.nan, rng.uniform(-1e300, 1e300)])
    if name == "string":
        return "".join(rng.choice("aZ0 Äß日本🏹\u0000\n") for _ in range(rng.randrange(12)))
    if name == "bytes":
        return rng.randbytes(rng.randrange(20))
    if name == "fixed":
        return rng.randbytes(kind["size"])
    if name == "enum":
        return rng.choice(kind["symbols"])
    if name == "array":
        return [raw(kind["items"], rng) for _ in range(rng.choice([0, 1, 2, 7]))]
    if name == "map":
        return {f"k{n}": raw(kind["values"], rng) for n in range(rng.choice([0, 1, 3]))}
    if name == "record":
        return {field["name"]: raw(field["type"], rng) for field in kind["fields"]}
    raise ValueError(f"no such type: {kind}")


def member(kind, value):
    """The member of a union that a raw value belongs to."""
    def fits(kind):
        name = base(kind)
        return (
            (value is None and name == "null")
            or (isinstance(value, bool) and name == "boolean")
            or (isinstance(value, int) and not isinstance(value, bool) and name in ("int", "long"))
            or (isinstance(value, float) and name in ("float", "double"))
            or (isinstance(value, str) and name in ("string", "enum"))
            or (isinstance(value, bytes) and name in ("bytes", "fixed"))
            or (isinstance(value, list) and name == "array")
            or (isinstance(value, dict) and name in ("record", "map"))
        )
    return next(kind for kind in kind if fits(kind))


def expected(kind, value):
    """What a raw value is in a table, plain. A field that isn't there is null."""
    if isinstance(kind, list):
        others = [kind for kind in kind if kind != "null"]
        if value is None:
            return None
        chosen = member(kind, value)
        if len(others) == 1:
            return expected(chosen, value)
        return {
            other["name"] if isinstance(other, dict) else other:
                expected(other, value) if other == chosen else None
            for other in others
        }
    if value is None:
        return None
    name, logic = base(kind), kind.get("logicalType") if isinstance(kind, dict) else None
    if logic and logic.endswith("-millis"):
        return value * 1000
    if logic == "uuid":
        return value.replace("-", "")
    if logic == "decimal":
        unscaled = int.from_bytes(value, "big", signed=True)
        return str(decimal.Decimal(unscaled).scaleb(-kind["scale"], decimal.Context(prec=60)))
    if logic == "duration":
        return dict(zip(("months", "days", "millis"), struct.unpack("<III", value)))
    if name in ("bytes", "fixed"):
        return value.hex()
    if name in ("float", "double"):
        return number(value)
    if name == "array":
        return [expected(kind["items"], item) for item in value]
    if name == "map":
        return {key: expected(kind["values"], item) for key, item in value.items()}
    if name == "record":
        return {f["name"]: expected(f["type"], value.get(f["name"])) for f in kind["fields"]}
    return value


def number(value):
    """JSON has no infinities; -0.0 is another number than 0.0."""
    return repr(float(value))


def plain(kind, value):
    """What a reader of tables gave, plain. `kind` is the type in the table's schema."""
    if isinstance(kind, list):
        others = [kind for kind in kind if kind != "null"]
        if value is None or len(others) == 1:
            return plain(others[0], value)
        names = [other["name"] if isinstance(other, dict) else other for other in others]
        members = {name: plain(other, value[name]) for name, other in zip(names, others)}
        # A reader may give a null struct as a struct of nulls.
        return members if any(v is not None for v in members.values()) else None
    if value is None:
        return None
    name, logic = base(kind), kind.get("logicalType") if isinstance(kind, dict) else None
    if logic == "timestamp-nanos":
        return value
    if logic and "timestamp" in logic:
        if value.tzinfo is None:
            value = value.replace(tzinfo=datetime.timezone.utc)
        return (value - EPOCH) // datetime.timedelta(microseconds=1)
    if logic and logic.startswith("time-"):
        seconds = (value.hour * 60 + value.minute) * 60 + value.second
        return seconds * 1_000_000 + value.microsecond
    if logic == "date":
        return (value - EPOCH.date()).days
    if logic == "decimal":
        return str(value.quantize(decimal.Decimal(1).scaleb(-kind["scale"]), context=decimal.Context(prec=60)))
    if logic == "uuid":
        # Bytes, a UUID of Python's, or (DuckDB, within a struct) the usual text.
        return value.hex() if isinstance(value, bytes) else str(value).replace("-", "")
    if logic == "duration":
        return dict(value)
    if name in ("bytes", "fixed"):
        return bytes(value).hex()
    if name in ("float", "double"):
        return number(value)
    if name == "array":
        return [plain(kind["items"], item) for item in value]
    if name == "map":
        if isinstance(value, list):
            pairs = [(e["key"], e["value"]) if isinstance(e, dict) else e for e in value]
        else:
            pairs = value.items()
        return {key: plain(kind["values"], item) for key, item in pairs}
    if name == "record":
        members = {f["name"]: plain(f["type"], value.get(f["name"])) for f in kind["fields"]}
        return members
    return value


def same(kind, want, got):
    """Are two plain values the same? A null record and a record of nulls are, to some readers."""
    if isinstance(want, dict) and isinstance(got, dict):
        return want.keys() == got.keys() and all(same(None, want[k], got[k]) for k in want)
    if isinstance(want, list) and isinstance(got, list):
        return len(want) == len(got) and all(same(None, w, g) for w, g in zip(want, got))
    if want is None and isinstance(got, dict):
        return all(same(None, None, value) for value in got.values())
    return want == got and type(want) is type(got)


if __name__ == "__main__":
    print(json.dumps(first()))
    rng = random.Random(1)
    print(expected(first(), raw(first(), rng)))
