"""DescribeConfigs, AlterConfigs, IncrementalAlterConfigs."""

from scenarios.metadata import topic

TOPIC, BROKER = 2, 4
SET, DELETE, APPEND, SUBTRACT = range(4)


def run(both):
    own = [{"name": "retention.ms", "value": "5000"}]
    both.create(topic("configured", 1, configs=own), topic("plain", 1))
    describe(both)
    incremental(both)
    whole(both)


def describe(both):
    def ask(step, resource, name, keys=None, **more):
        resources = [{"resourceType": resource, "resourceName": name, "configurationKeys": keys}]
        return both.each(step, "DescribeConfigs", {"resources": resources, **more})

    keys = ["retention.ms", "max.message.bytes", "cleanup.policy", "compression.type", "no.such.config"]
    ask("some", TOPIC, "configured", keys)
    ask("some, synonyms", TOPIC, "configured", keys[:1], includeSynonyms=True)
    ask("some, documentation", TOPIC, "configured", keys[:4], includeDocumentation=True)
    ask("all", TOPIC, "configured")
    ask("no keys", TOPIC, "plain", [])
    ask("unknown", TOPIC, "nowhere", keys)
    ask("bad name", TOPIC, "a/b", keys)
    ask("no name", TOPIC, "", keys)
    ask("broker, one key", BROKER, "1", ["num.partitions"])
    ask("another broker", BROKER, "9", ["num.partitions"])
    ask("no number", BROKER, "one", ["num.partitions"])
    ask("no such type", 99, "x", connection="type")


def incremental(both):
    def ask(step, name, *configs, resource=TOPIC, **more):
        changes = [{"name": key, "configOperation": how, "value": value} for key, how, value in configs]
        resources = [{"resourceType": resource, "resourceName": name, "configs": changes}]
        both.each(step, "IncrementalAlterConfigs", {"resources": resources, **more})
        shown = [{"resourceType": TOPIC, "resourceName": "plain", "configurationKeys": CHANGED}]
        both.last(f"{step}: as it is then", "DescribeConfigs", {"resources": shown})

    ask("set", "plain", ("retention.ms", SET, "7000"), ("segment.ms", SET, "60000"))
    ask("delete", "plain", ("segment.ms", DELETE, None))
    ask("delete what is not set", "plain", ("flush.ms", DELETE, None))
    ask("set to nothing", "plain", ("retention.ms", SET, None))
    ask("append to a number", "plain", ("retention.ms", APPEND, "1"))
    ask("subtract from a number", "plain", ("retention.ms", SUBTRACT, "1"))
    ask("append", "plain", ("cleanup.policy", APPEND, "compact"))
    ask("append again", "plain", ("cleanup.policy", APPEND, "compact"))
    ask("subtract", "plain", ("cleanup.policy", SUBTRACT, "compact"))
    ask("no such operation", "plain", ("retention.ms", 9, "1"))
    ask("bad value", "plain", ("retention.ms", SET, "soon"))
    ask("no such config", "plain", ("no.such.config", SET, "1"))
    ask("the same twice", "plain", ("retention.ms", SET, "1"), ("retention.ms", SET, "2"))
    ask("only checked", "plain", ("retention.ms", SET, "9999"), validateOnly=True)
    ask("unknown", "nowhere", ("retention.ms", SET, "1"))
    ask("no name", "", ("retention.ms", SET, "1"))
    ask("no such type", "x", ("retention.ms", SET, "1"), resource=99)
    ask("nothing to do", "plain")
    change = {"name": "retention.ms", "configOperation": SET, "value": "8000"}
    twice = [{"resourceType": TOPIC, "resourceName": "plain", "configs": [change]}] * 2
    both.each("resource twice", "IncrementalAlterConfigs", {"resources": twice})


CHANGED = ["retention.ms", "segment.ms", "flush.ms", "cleanup.policy"]


def whole(both):
    def ask(step, name, *configs, resource=TOPIC, **more):
        values = [{"name": key, "value": value} for key, value in configs]
        resources = [{"resourceType": resource, "resourceName": name, "configs": values}]
        both.each(step, "AlterConfigs", {"resources": resources, **more})
        shown = [{"resourceType": TOPIC, "resourceName": "plain", "configurationKeys": CHANGED}]
        both.last(f"{step}: as it is then", "DescribeConfigs", {"resources": shown})

    ask("all set", "plain", ("retention.ms", "1234"))
    ask("another set", "plain", ("segment.ms", "4321"))
    ask("bad value set", "plain", ("segment.ms", "soon"))
    ask("nothing set", "plain", ("segment.ms", None))
    ask("unknown config set", "plain", ("no.such.config", "1"))
    ask("unknown topic set", "nowhere", ("segment.ms", "1"))
    ask("set, only checked", "plain", ("segment.ms", "9"), validateOnly=True)
    ask("all deleted", "plain")
