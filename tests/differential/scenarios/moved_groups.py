"""A group that is moved from the classic protocol to the new one and back while it has members (KIP-848)."""

import base64
import struct

from scenarios.consumer_groups import beat
from scenarios.groups import commits, find_until_there, join_body, keep, leave_body
from scenarios.metadata import topic

GROUP, TOPIC = "moved", "moved-t"


def encoded(*parts):
    """What members tell each other: the version and a list of topics, then what else there is."""
    return base64.b64encode(b"".join(parts)).decode()


def text(words):
    return struct.pack(">h", len(words)) + words.encode()


NONE = struct.pack(">i", -1)
SUBSCRIBED = encoded(struct.pack(">hi", 1, 1), text(TOPIC), NONE, struct.pack(">i", 0))
ALL = encoded(struct.pack(">hi", 1, 1), text(TOPIC), struct.pack(">i4i", 4, 0, 1, 2, 3), NONE)


def run(both):
    both.create(topic(TOPIC, 4))
    find_until_there(both, {"keyType": 0, "coordinatorKeys": [GROUP]}, 4)
    classic(both)
    moved(both)
    moved_back(both)
    unreadable(both)


def join(side, name="first", group=GROUP, protocols=("range",), metadata=SUBSCRIBED):
    body = join_body(group, member=side.known.get(name, ""), protocols=protocols)
    return body | {"protocols": [{"name": each, "metadata": metadata} for each in protocols]}


def joins(both, step, name="first", version=9, **more):
    answers = both.once(step, "JoinGroup", version, lambda side: join(side, name, **more))
    for side, answer in zip(both.sides, answers):
        if answer.get("errorCode") == 0:
            side.known[f"{name} generation"] = answer["generationId"]
    return answers


def syncs(both, step, name="first", group=GROUP, assignment=None):
    def body(side):
        own = side.known[name]
        given = [{"memberId": own, "assignment": assignment}] if assignment else []
        return {"groupId": group, "generationId": side.known[f"{name} generation"], "memberId": own,
                "assignments": given, "protocolType": "consumer", "protocolName": "range"}

    both.last(step, "SyncGroup", body)


def beats(both, step, name="first", later=0):
    both.last(step, "Heartbeat", lambda side: {
        "groupId": GROUP, "generationId": side.known[f"{name} generation"] + later, "memberId": side.known[name]})


def classic(both):
    keep(both, joins(both, "its id"), "first")
    joins(both, "joins")
    syncs(both, "has all", assignment=ALL)
    beats(both, "beats")


def new(both, step, member="member-n", version=1, **more):
    def body(side):
        whole = beat(member=member, group=GROUP, topics=None)(side)
        return whole | {key: value(side) if callable(value) else value for key, value in more.items()}

    answers = both.once(step, "ConsumerGroupHeartbeat", version, body)
    for side, answer in zip(both.sides, answers):
        if answer.get("errorCode") == 0 and answer["memberEpoch"] > 0:
            side.known["new epoch"] = answer["memberEpoch"]
    return answers


def described(both, step):
    both.last(f"{step}: described", "ConsumerGroupDescribe", {"groupIds": [GROUP]})
    both.last(f"{step}: described as a classic one", "DescribeGroups", {"groups": [GROUP]})


def moved(both):
    new(both, "a new one joins", subscribedTopicNames=[TOPIC])
    described(both, "moved")
    beats(both, "the classic one hears of it")
    joins(both, "the classic one joins again")
    syncs(both, "the classic one has its part")
    beats(both, "the classic one is at rest")
    beats(both, "of another generation", later=1)
    now = lambda side: side.known["new epoch"]  # noqa: E731
    new(both, "the new one has its part", memberEpoch=now, topicPartitions=None, rebalanceTimeoutMs=-1)
    described(both, "at rest")

    def commit(step, later, member):
        both.last(step, "OffsetCommit", lambda side: commits(GROUP, [(TOPIC, 0, 3)]) | {
            "memberId": side.known["first"] if member == "first" else member,
            "generationIdOrMemberEpoch": later + side.known["new epoch" if member == "member-n" else "first generation"]})

    commit("the classic one commits", 0, "first")
    commit("the classic one commits, another generation", 1, "first")
    commit("the new one commits", 0, "member-n")
    keep(both, joins(both, "its id, another classic one", "second"), "second")
    joins(both, "no protocol in common", "second", protocols=("of-mine",))
    joins(both, "bytes that say nothing", "second", metadata="AAA=")
    both.last("the second never came", "LeaveGroup", lambda side: leave_body(GROUP, side.known["second"]))


def moved_back(both):
    new(both, "the new one leaves", memberEpoch=-1, rebalanceTimeoutMs=-1, topicPartitions=None)
    both.last("moved back: described", "DescribeGroups", {"groups": [GROUP]})
    both.last("moved back: as one of the new", "ConsumerGroupDescribe", {"groupIds": [GROUP]})
    beats(both, "moved back: the classic one hears of it")
    joins(both, "moved back: joins")
    syncs(both, "moved back: has all", assignment=ALL)
    beats(both, "moved back: beats")
    both.last("moved back: leaves", "LeaveGroup", lambda side: leave_body(GROUP, side.known["first"]))
    both.last("moved back: empty", "DescribeGroups", {"groups": [GROUP]})


def unreadable(both):
    """A group whose members aren't consumers, as far as can be read, stays what it is."""
    group = "moved-not"
    keep(both, joins(both, "unreadable: its id", "odd", group=group, metadata="AAA="), "odd")
    joins(both, "unreadable: joins", "odd", group=group, metadata="AAA=")
    syncs(both, "unreadable: synced", "odd", group=group, assignment="BBBB")
    body = lambda side: beat(member="member-n", group=group, topics=(TOPIC,))(side)  # noqa: E731
    both.once("unreadable: a new one joins", "ConsumerGroupHeartbeat", 1, body)
    both.last("unreadable: described", "DescribeGroups", {"groups": [group]})
