"""Random pairs of Avro schemas, a reader's and a writer's, one JSON object a line.

A writer's schema is made at random; the reader's is it with some changes, so that pairs that fit and
pairs that don't are both frequent.
"""

import copy
import json
import random
import sys

PRIMITIVES = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"]
NAMES = ["A", "B", "C", "D"]
FIELDS = ["a", "b", "c", "d", "e"]
SYMBOLS = ["X", "Y", "Z", "W"]


class Maker:
    def __init__(self, rng):
        self.rng = rng
        self.defined = []

    def name(self):
        free = [n for n in NAMES if n not in self.defined]
        if not free:
            return None
        name = self.rng.choice(free)
        self.defined.append(name)
        return name

    def schema(self, depth, in_union=False):
        rng = self.rng
        roll = rng.random()
        if depth <= 0 or roll < 0.3:
            return rng.choice(PRIMITIVES)
        if roll < 0.4 and self.defined:
            return rng.choice(self.defined)
        if roll < 0.5:
            return {"type": "array", "items": self.schema(depth - 1)}
        if roll < 0.57:
            return {"type": "map", "values": self.schema(depth - 1)}
        if roll < 0.72 and not in_union:
            return self.union(depth)
        name = self.name()
        if name is None:
            return rng.choice(PRIMITIVES)
        out = {"type": "record", "name": name}
        if rng.random() < 0.3:
            out["namespace"] = rng.choice(["n.s", "m"])
            self.defined[self.defined.index(name)] = out["namespace"] + "." + name
        if roll < 0.8:
            out["type"] = "fixed"
            out["size"] = rng.choice([4, 8])
        elif roll < 0.88:
            out["type"] = "enum"
            out["symbols"] = rng.sample(SYMBOLS, rng.randint(1, 4))
            if rng.random() < 0.4:
                out["default"] = rng.choice(out["symbols"])
        else:
            out["fields"] = [
                {"name": f, "type": self.schema(depth - 1)}
                for f in rng.sample(FIELDS, rng.randint(0, 4))
            ]
        return out

    def union(self, depth):
        branches, seen = [], set()
        for _ in range(self.rng.randint(1, 4)):
            branch = self.schema(depth - 1, in_union=True)
            kind = branch if isinstance(branch, str) else branch["type"]
            if not isinstance(branch, str) and "name" in branch:
                kind = (branch.get("namespace", ""), branch["name"])
            if kind not in seen:
                seen.add(kind)
                branches.append(branch)
        return branches


def record(rng):
    maker = Maker(rng)
    maker.defined.append("Top")
    fields = [{"name": f, "type": maker.schema(3)} for f in rng.sample(FIELDS, rng.randint(1, 5))]
    return {"type": "record", "name": "Top", "fields": fields}


def change(rng, node, rate):
    """A copy with changes of the kinds that people make."""
    if isinstance(node, str):
        if node in PRIMITIVES and rng.random() < rate:
            near = {"int": ["long", "float", "double"], "long": ["float", "double", "int"],
                    "float": ["double", "int"], "bytes": ["string"], "string": ["bytes"]}
            roll = rng.random()
            if roll < 0.6:
                return rng.choice(near.get(node, PRIMITIVES))
            if roll < 0.8 and node != "null":
                return ["null", node] if rng.random() < 0.5 else [node, "null"]
            return rng.choice(PRIMITIVES)
        return node
    if isinstance(node, list):
        out = [b if isinstance(b, str) else change(rng, b, rate) for b in node]
        out = [b for b in out if not isinstance(b, list)]
        if rng.random() < rate and len(out) > 1:
            out.pop(rng.randrange(len(out)))
        if rng.random() < rate:
            extra = rng.choice(PRIMITIVES)
            if extra not in out:
                out.append(extra)
        rng.shuffle(out)
        return out
    out = copy.copy(node)
    kind = out["type"]
    if kind == "array":
        out["items"] = change(rng, out["items"], rate)
    elif kind == "map":
        out["values"] = change(rng, out["values"], rate)
    elif kind == "fixed":
        if rng.random() < rate:
            out["size"] = 12 - out["size"]
    elif kind == "enum":
        symbols = list(out["symbols"])
        if rng.random() < rate and len(symbols) > 1:
            gone = symbols.pop(rng.randrange(len(symbols)))
            if out.get("default") == gone:
                del out["default"]
        if rng.random() < rate:
            symbols = symbols + [s for s in SYMBOLS if s not in symbols][:1]
        if rng.random() < rate / 2:
            out["default"] = symbols[0]
        out["symbols"] = symbols
    elif kind == "record":
        fields = []
        for field in out["fields"]:
            roll = rng.random()
            field = dict(field, type=change(rng, field["type"], rate))
            defines = isinstance(field["type"], (dict, list))
            if roll < rate / 3 and not defines:
                continue
            if roll < rate / 2:
                field["aliases"] = [field["name"]]
                field["name"] = field["name"] + "_new"
            fields.append(field)
        if rng.random() < rate:
            added = {"name": "added", "type": rng.choice(["int", ["null", "string"]])}
            if rng.random() < 0.6:
                added["default"] = 0 if added["type"] == "int" else None
            fields.append(added)
        rng.shuffle(fields) if not any(isinstance(f["type"], (dict, list)) for f in fields) else None
        out["fields"] = fields
    return out


def main():
    rng = random.Random(int(sys.argv[1]))
    for _ in range(int(sys.argv[2])):
        writer = record(rng)
        reader = change(rng, writer, rng.choice([0.1, 0.2, 0.3, 0.5]))
        if rng.random() < 0.5:
            reader, writer = writer, reader
        print(json.dumps({"reader": json.dumps(reader), "writer": json.dumps(writer)}))


main()
