"""Client quotas: who has which, and what they do to a client's answers."""

import time

from scenarios.metadata import topic
from scenarios.topics import produced

EXACTLY, DEFAULT, ANY = range(3)
USER, CLIENT = "user", "client-id"


def run(both):
    both.create(topic("q", 1))
    altering(both)
    describing(both)
    throttled(both)


def entity(**parts):
    """`user` and `client`; None is the default of all."""
    names = {"user": USER, "client": CLIENT}
    return [{"entityType": names.get(kind, kind), "entityName": name} for kind, name in parts.items()]


def entry(whom, *ops):
    return {"entity": whom, "ops": [{"key": key, "value": value or 0.0, "remove": value is None} for key, value in ops]}


def altering(both):
    def ask(step, *entries, **more):
        both.each(step, "AlterClientQuotas", {"entries": list(entries), **more})

    rate = ("producer_byte_rate", 1e6)
    ask("user", entry(entity(user="ann"), rate, ("request_percentage", 12.5)))
    ask("client", entry(entity(client="app"), ("consumer_byte_rate", 5e5)))
    ask("both", entry(entity(user="ann", client="app"), rate))
    ask("defaults", entry(entity(user=None), rate), entry(entity(client=None), rate))
    ask("default client of a user", entry(entity(user="ann", client=None), rate))
    ask("a client of all users", entry(entity(user=None, client="app"), rate))
    ask("changed", entry(entity(user="ann"), ("producer_byte_rate", 2e6)))
    ask("removed", entry(entity(user="ann"), ("request_percentage", None)))
    ask("removed, not there", entry(entity(user="cid"), ("request_percentage", None)))
    ask("only checked", entry(entity(user="dan"), rate), validateOnly=True)
    ask("of large names", entry(entity(user="é" * 100), rate))
    ask("with odd names", entry(entity(user="a b/c%:=@"), rate))
    ask("nothing", entry(entity(user="ann")))
    ask("of nobody", entry([], rate))
    ask("no entries")
    ask("unknown key", entry(entity(user="ann"), ("bytes_per_fortnight", 1.0)))
    ask("unknown type", entry(entity(planet="mars"), rate))
    ask("zero", entry(entity(user="ann"), ("producer_byte_rate", 0.0)))
    ask("negative", entry(entity(user="ann"), ("producer_byte_rate", -5.0)))
    ask("half a byte", entry(entity(user="ann"), ("producer_byte_rate", 1.5)))
    ask("the same key twice", entry(entity(user="eve"), rate, ("producer_byte_rate", 3e6)))
    ask("the same type twice", entry(entity(user="eve") + entity(user="ann"), rate))
    ask("the same entity twice", entry(entity(user="fay"), rate), entry(entity(user="fay"), ("producer_byte_rate", 3e6)))
    ask("empty name", entry(entity(user=""), rate))
    ask("address", entry(entity(ip="127.0.0.9"), ("connection_creation_rate", 100.0)))
    ask("address with another's key", entry(entity(ip="127.0.0.9"), rate))
    ask("mutations", entry(entity(user="ann"), ("controller_mutation_rate", 10.0)))
    ask("one good, one bad", entry(entity(user="gus"), rate), entry(entity(planet="mars"), rate))


def describing(both):
    def ask(step, *components, strict=False):
        asked = [{"entityType": kind, "matchType": how, "match": name} for kind, how, name in components]
        both.each(step, "DescribeClientQuotas", {"components": asked, "strict": strict})

    ask("all")
    ask("all, strictly", strict=True)
    for strict in (False, True):
        words = ", strictly" if strict else ""
        ask(f"a user{words}", (USER, EXACTLY, "ann"), strict=strict)
        ask(f"any user{words}", (USER, ANY, None), strict=strict)
        ask(f"the default user{words}", (USER, DEFAULT, None), strict=strict)
        ask(f"a client{words}", (CLIENT, EXACTLY, "app"), strict=strict)
        ask(f"the default client{words}", (CLIENT, DEFAULT, None), strict=strict)
        ask(f"a user's client{words}", (USER, EXACTLY, "ann"), (CLIENT, EXACTLY, "app"), strict=strict)
        ask(f"any user's any client{words}", (USER, ANY, None), (CLIENT, ANY, None), strict=strict)
    ask("nobody", (USER, EXACTLY, "nobody"))
    ask("only checked: as it is then", (USER, EXACTLY, "dan"))
    ask("twice a user", (USER, ANY, None), (USER, EXACTLY, "ann"))
    ask("unknown type", ("planet", EXACTLY, "mars"))
    ask("no type", ("", ANY, None))
    ask("address", ("ip", EXACTLY, "127.0.0.9"))
    ask("address and user", ("ip", ANY, None), (USER, ANY, None))
    ask("no such match", (USER, 9, "ann"))
    ask("exactly nothing", (USER, EXACTLY, None))
    ask("any with a name", (USER, ANY, "ann"))


def throttled(both):
    """A client with little of each, on connections of its own, since it is muted."""
    slow = [("producer_byte_rate", 1000.0), ("consumer_byte_rate", 1000.0)]
    both.last("throttled: set", "AlterClientQuotas", {"entries": [entry(entity(client="slow"), *slow)]})
    body = produced("q", {"values": ["x" * 20_000], "time": int(time.time() * 1000)})
    both.once("throttled: produce", "Produce", 11, body, client="slow", connection="slow")
    read = {"maxWaitMs": 50, "minBytes": 1, "maxBytes": 1 << 20, "topics": [{"topic": "q", "partitions": [
        {"partition": 0, "fetchOffset": 0, "partitionMaxBytes": 1 << 20}]}]}
    both.once("not throttled: fetch", "Fetch", 12, read)
    both.once("throttled: next request", "ListOffsets", 7, {"replicaId": -1, "topics": [
        {"name": "q", "partitions": [{"partitionIndex": 0, "timestamp": -1}]}]}, client="slow", connection="slow-other")
    gone = [(key, None) for key, _ in slow]
    both.last("throttled: unset", "AlterClientQuotas", {"entries": [entry(entity(client="slow"), *gone)]})
    everyone = [entity(user=None), entity(client=None), entity(user=None, client="app")]
    rate = ("producer_byte_rate", None)
    both.last("defaults unset", "AlterClientQuotas", {"entries": [entry(each, rate) for each in everyone]})
    both.each("all that is left", "DescribeClientQuotas", {"components": [], "strict": False})
