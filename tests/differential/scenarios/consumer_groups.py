"""Consumer groups whose partitions the server assigns (KIP-848)."""

from scenarios.groups import commits, find_until_there, join_body
from scenarios.metadata import topic

GROUP = "k"


def beat(member="member-a", later=None, epoch=0, group=GROUP, topics=("k",), **more):
    """A heartbeat; with `later`, of the epoch that the group had when the first member joined, plus that."""

    def body(side):
        now = epoch if later is None else side.known["epoch"] + later
        whole = {
            "groupId": group,
            "memberId": member,
            "memberEpoch": now,
            "rebalanceTimeoutMs": 30_000 if now == 0 else -1,
            "subscribedTopicNames": None if topics is None or later is not None else list(topics),
            "topicPartitions": [] if now == 0 else None,
        }
        return whole | {key: value(side) if callable(value) else value for key, value in more.items()}

    return body


def run(both):
    both.create(topic("k", 3), topic("k-other", 2))
    find_until_there(both, {"keyType": 0, "coordinatorKeys": [GROUP]}, 4)

    def ask(step, body, version=1):
        return both.once(step, "ConsumerGroupHeartbeat", version, body)

    ask("no group", beat(group=""))
    ask("no member", beat(member=""))
    ask("no member, old version", beat(member="", group="k-old"), 0)
    ask("no topics", beat(topics=None))
    ask("no timeout", beat(rebalanceTimeoutMs=-1))
    ask("partitions of its own at once", beat(topicPartitions=[{"topicId": "Tm90aGluZ1RvQmVGb3VuZA", "partitions": [0]}]))
    ask("no such assignor", beat(serverAssignor="coin"))
    ask("empty instance", beat(instanceId=""))
    ask("empty rack", beat(rackId=""))
    ask("epoch of nobody", beat(epoch=5, topics=None))
    ask("negative epoch", beat(epoch=-5, topics=None))
    ask("leaves, unknown", beat(epoch=-1, topics=None))
    ask("static leaves, unknown", beat(epoch=-2, topics=None, instanceId="i"))

    first = ask("joins", beat(serverAssignor="uniform"))
    for side, answer in zip(both.sides, first):
        side.known["epoch"] = answer["memberEpoch"]
    both.each("described at once", "ConsumerGroupDescribe", {"groupIds": [GROUP]})
    ask("joins again", beat(serverAssignor="uniform"))
    ask("beats", beat(later=0))
    ask("newer epoch", beat(later=7))
    both.once("beats of the classic protocol", "Heartbeat", 4, lambda side: {
        "groupId": GROUP, "memberId": "member-a", "generationId": side.known["epoch"]})
    both.once("joins by the classic protocol", "JoinGroup", 9, join_body(GROUP))
    for side in both.sides:
        told = side.ask("Metadata", 12, {"topics": [{"name": "k"}]})
        side.known["k"] = told["topics"][0]["topicId"]
    every = lambda side: [{"topicId": side.known["k"], "partitions": [0, 1, 2]}]  # noqa: E731
    ask("has all", beat(later=0, topicPartitions=every))

    ask("second joins", beat(member="member-b"))
    told = ask("first is told", beat(later=0))
    assignments = [answer.get("assignment") for answer in told]
    if all(assignments):
        for side, assignment in zip(both.sides, assignments):
            side.known["kept"] = assignment["topicPartitions"]
        ask("first gave up", beat(later=0, topicPartitions=lambda side: side.known["kept"]))
    ask("second is told", beat(member="member-b", later=1))
    both.each("described", "ConsumerGroupDescribe", {"groupIds": [GROUP, "nowhere", ""],
                                                     "includeAuthorizedOperations": True})
    both.each("described as a classic one", "DescribeGroups", {"groups": [GROUP]})
    both.each("listed", "ListGroups", {"statesFilter": [], "typesFilter": ["consumer"]})

    def commit(step, later, member="member-a"):
        def body(side, version):
            by = {"memberId": member, "generationIdOrMemberEpoch": side.known["epoch"] + later}
            return commits(GROUP, [("k", 0, 3)]) | by

        both.each(step, "OffsetCommit", body)

    commit("commit", 1)
    commit("commit, older epoch", -1)
    commit("commit, newer epoch", 9)
    commit("commit, stranger", 1, "nobody")

    def fetch(step, later, member="member-a"):
        both.last(step, "OffsetFetch", lambda side: {"groups": [{
            "groupId": GROUP, "memberId": member, "memberEpoch": side.known["epoch"] + later,
            "topics": [{"name": "k", "partitionIndexes": [0]}]}]})

    fetch("fetch", 1)
    fetch("fetch, wrong epoch", 9)
    fetch("fetch, stranger", 1, "nobody")
    both.last("delete", "DeleteGroups", {"groupsNames": [GROUP]})

    ask("second leaves", beat(member="member-b", epoch=-1, topics=None))
    ask("first leaves", beat(epoch=-1, topics=None))
    both.each("empty", "ConsumerGroupDescribe", {"groupIds": [GROUP]})
    ask("by a pattern", beat(member="member-r", group="k-regex", topics=None, subscribedTopicRegex="k.*"))
    ask("by a bad pattern", beat(member="member-s", group="k-regex", topics=None, subscribedTopicRegex="(k"))
    both.each("of a classic group", "ConsumerGroupDescribe", {"groupIds": ["g-static"]})
    both.last("of groups that aren't there", "ConsumerGroupDescribe", {"groupIds": ["k-nowhere", GROUP]})
    static(both)
    subscriptions(both)


def static(both):
    """A member with an instance id: it goes and comes back, and another takes its place."""

    def ask(step, member, epoch, **more):
        topics = ("k",) if epoch == 0 else None
        body = beat(member=member, epoch=epoch, group="k-static", topics=topics, instanceId="box", **more)
        return both.once(f"static: {step}", "ConsumerGroupHeartbeat", 1, body)

    ask("joins", "member-s", 0)
    ask("another of the same name", "member-t", 0)
    ask("goes for a while", "member-s", -2)
    both.last("static: described while away", "ConsumerGroupDescribe", {"groupIds": ["k-static"]})
    ask("beats while away", "member-s", 1)
    told = ask("its successor", "member-t", 0)
    for side, answer in zip(both.sides, told):
        side.known["static"] = answer["memberEpoch"]
    ask("the old one beats", "member-s", 1)
    ask("the old one leaves", "member-s", -1)
    now = lambda side: side.known["static"]  # noqa: E731
    ask("the successor beats", "member-t", 1, memberEpoch=now)
    body = beat(member="member-t", group="k-static", topics=None, instanceId="other", memberEpoch=now)
    both.once("static: of another instance", "ConsumerGroupHeartbeat", 1, body)
    body = beat(member="member-t", group="k-static", topics=None, memberEpoch=now)
    both.once("static: of no instance", "ConsumerGroupHeartbeat", 1, body)
    ask("leaves for good", "member-t", -1)
    both.last("static: described when gone", "ConsumerGroupDescribe", {"groupIds": ["k-static"]})


def subscriptions(both):
    """Subscriptions that change, and to what isn't there."""

    def ask(step, epoch=None, topics=None, **more):
        if epoch is None:
            more["memberEpoch"] = lambda side: side.known["subscribed"]
        body = beat(member="member-u", epoch=epoch or 1, group="k-subscribed", topics=topics, **more)
        if epoch == 0:
            body = beat(member="member-u", group="k-subscribed", topics=topics, **more)
        told = both.once(f"subscribed: {step}", "ConsumerGroupHeartbeat", 1, body)
        for side, answer in zip(both.sides, told):
            if answer.get("errorCode") == 0 and answer["memberEpoch"] > 0:
                side.known["subscribed"] = answer["memberEpoch"]

    ask("to nothing that is there", 0, ("nowhere",))
    ask("to something", topics=("k-other",))
    ask("to both", topics=("k-other", "nowhere"))
    ask("to none", topics=())
    ask("another timeout", rebalanceTimeoutMs=5000)
    ask("another assignor", serverAssignor="range")
    ask("no such assignor", serverAssignor="coin")
    ask("has what it hasn't", topicPartitions=[{"topicId": "Tm90aGluZ1RvQmVGb3VuZA", "partitions": [0]}])
    ask("leaves", -1)
