"""Consumer groups of the classic protocol, committed offsets, and what isn't allowed in them."""

from scenarios.metadata import topic

META = "AAA="  # Any bytes: the server doesn't read what members tell each other.


def run(both):
    both.create(topic("g", 2))
    coordinators(both)
    joining(both)
    life(both)
    static(both)
    offsets(both)
    deletion(both)


def coordinators(both):
    for version in both.versions_of("FindCoordinator"):
        for kind, key in [(0, "g-life"), (1, "some-id"), (0, ""), (1, ""), (9, "x")]:
            body = {"key": key, "keyType": kind, "coordinatorKeys": [key]}
            find_until_there(both, body, version)
            both.once(f"find {kind} {key!r}", "FindCoordinator", version, body)
    both.last("find three", "FindCoordinator", {"keyType": 0, "coordinatorKeys": ["a", "b", "a"]})
    both.last("find none", "FindCoordinator", {"keyType": 0, "coordinatorKeys": []})


def find_until_there(both, body, version):
    """Kafka makes its internal topics when first asked, and says so meanwhile."""
    import time

    for _ in range(100):
        answers = [side.ask("FindCoordinator", version, body) for side in both.sides]
        codes = [answer.get("errorCode", 0) for answer in answers]
        codes += [each["errorCode"] for answer in answers for each in answer.get("coordinators", [])]
        if 15 not in codes:
            return
        time.sleep(0.1)


def join_body(group, member="", protocols=("range",), kind="consumer", session=10_000, rebalance=10_000, **more):
    return {
        "groupId": group,
        "sessionTimeoutMs": session,
        "rebalanceTimeoutMs": rebalance,
        "memberId": member,
        "protocolType": kind,
        "protocols": [{"name": name, "metadata": META} for name in protocols],
        **more,
    }


def joining(both):
    def ask(step, body):
        both.each(step, "JoinGroup", body)

    ask("no group", join_body(""))
    ask("unknown member", join_body("g-none", member="nobody"))
    ask("short session", join_body("g-none", session=1))
    ask("long session", join_body("g-none", session=100_000_000))
    ask("no protocols", join_body("g-none", protocols=()))
    ask("no protocol type", join_body("g-none", kind=""))
    for version in both.versions_of("JoinGroup"):
        group = f"g-join-{version}"
        answers = both.once("first", "JoinGroup", version, join_body(group))
        if version >= 4:  # MEMBER_ID_REQUIRED: come again with the id.
            keep(both, answers)
            body = lambda side: join_body(group, member=side.known["member"])  # noqa: E731, B023
            answers = both.once("with the id", "JoinGroup", version, body)
        keep(both, answers)
        both.last("leave", "LeaveGroup", lambda side: leave_body(group, side.known["member"]))  # noqa: B023


def keep(both, answers, name="member"):
    for side, answer in zip(both.sides, answers):
        side.known[name] = answer["memberId"]


def leave_body(group, member, instance=None):
    return {"groupId": group, "memberId": member, "members": [{"memberId": member, "groupInstanceId": instance}]}


def life(both):
    group = "g-life"
    join = lambda side: join_body(group, member=side.known.get("life", ""), protocols=("range", "roundrobin"))  # noqa: E731
    keep(both, both.once("life: first", "JoinGroup", 5, join), "life")
    both.once("life: joined", "JoinGroup", 5, join)

    def ask(step, api, body, **more):
        """With the member's own id where the body says so."""

        def bound(side, version=None):
            made = body(version) if callable(body) else body
            return {k: side.known["life"] if v == "SELF" else v for k, v in made.items()}

        both.each(step, api, bound, **more)

    def sync(generation, member, assignments=()):
        def body(side, version):
            own = side.known["life"]
            given = [{"memberId": own, "assignment": each} for each in assignments]
            return {"groupId": group, "generationId": generation, "memberId": own if member == "SELF" else member,
                    "assignments": given, "protocolType": "consumer", "protocolName": "range"}

        return body

    ask("life: beats before sync", "Heartbeat", {"groupId": group, "generationId": 1, "memberId": "SELF"})
    both.last("life: being synced", "DescribeGroups", {"groups": [group]})
    both.each("life: sync of a stranger", "SyncGroup", sync(1, "nobody"))
    both.each("life: sync of generation 9", "SyncGroup", sync(9, "SELF"))
    both.each("life: sync", "SyncGroup", sync(1, "SELF", ["BBBB"]))
    wrong = {"protocolType": "connect", "protocolName": "range"}
    both.last("life: sync of another type", "SyncGroup", lambda side: sync(1, "SELF")(side, 5) | wrong)
    wrong = {"protocolType": "consumer", "protocolName": "roundrobin"}
    both.last("life: sync of another protocol", "SyncGroup", lambda side: sync(1, "SELF")(side, 5) | wrong)

    ask("life: beat", "Heartbeat", {"groupId": group, "generationId": 1, "memberId": "SELF"})
    ask("life: beat of generation 2", "Heartbeat", {"groupId": group, "generationId": 2, "memberId": "SELF"})
    ask("life: beat of generation 0", "Heartbeat", {"groupId": group, "generationId": 0, "memberId": "SELF"})
    ask("life: beat of a stranger", "Heartbeat", {"groupId": group, "generationId": 1, "memberId": "nobody"})
    ask("life: beat in no group", "Heartbeat", {"groupId": "g-nowhere", "generationId": 1, "memberId": "SELF"})
    ask("life: beat without a group", "Heartbeat", {"groupId": "", "generationId": 1, "memberId": "SELF"})

    both.each("life: other protocols", "JoinGroup", join_body(group, protocols=("cooperative",)))
    both.each("life: other type", "JoinGroup", join_body(group, kind="connect"))
    both.each("life: described", "DescribeGroups", {"groups": [group], "includeAuthorizedOperations": True})
    both.each("life: described with others", "DescribeGroups", {"groups": [group, "g-nowhere", ""]})
    both.each("life: listed", "ListGroups", {"statesFilter": ["Stable"], "typesFilter": ["classic"]})
    both.each("life: listed, no such state", "ListGroups", {"statesFilter": ["Asleep"], "typesFilter": []})
    both.each("life: listed, of no such type", "ListGroups", {"statesFilter": [], "typesFilter": ["modern"]})

    commit = commits(group, [("g", 0, 5)])
    ask("life: commit", "OffsetCommit", commit | {"generationIdOrMemberEpoch": 1, "memberId": "SELF"})
    ask("life: commit of generation 3", "OffsetCommit", commit | {"generationIdOrMemberEpoch": 3, "memberId": "SELF"})
    ask("life: commit of a stranger", "OffsetCommit", commit | {"generationIdOrMemberEpoch": 1, "memberId": "nobody"})
    ask("life: commit from outside", "OffsetCommit", commit | {"generationIdOrMemberEpoch": -1})
    both.each("life: offsets deleted", "OffsetDelete", {"groupId": group, "topics": [
        {"name": "g", "partitions": [{"partitionIndex": 0}]}]})
    both.each("life: deleted", "DeleteGroups", {"groupsNames": [group]})

    both.each("life: a stranger leaves", "LeaveGroup", leave_body(group, "nobody"))
    both.each("life: somebody leaves nowhere", "LeaveGroup", leave_body("g-nowhere", "nobody"))
    both.last("life: it leaves", "LeaveGroup", lambda side: leave_body(group, side.known["life"]))
    both.last("life: empty", "DescribeGroups", {"groups": [group]})
    ask("life: beat when gone", "Heartbeat", {"groupId": group, "generationId": 1, "memberId": "SELF"})


def static(both):
    group = "g-static"
    me = {"groupInstanceId": "box-1"}
    answers = both.once("static: first", "JoinGroup", 5, join_body(group, **me))
    keep(both, answers, "static")
    sync = lambda side: {"groupId": group, "generationId": 1, "memberId": side.known["static"], **me,  # noqa: E731
                         "assignments": [{"memberId": side.known["static"], "assignment": "AAEC"}]}
    both.once("static: sync", "SyncGroup", 3, sync)
    both.last("static: described", "DescribeGroups", {"groups": [group]})
    again = both.once("static: comes back", "JoinGroup", 5, join_body(group, **me))
    for side, answer in zip(both.sides, again):
        side.known["old"], side.known["static"] = side.known["static"], answer["memberId"]
    both.once("static: sync again", "SyncGroup", 3, sync)
    beat = {"groupId": group, "generationId": 1, **me}
    both.once("static: the old one beats", "Heartbeat", 3, lambda side: beat | {"memberId": side.known["old"]})
    both.once("static: it beats", "Heartbeat", 3, lambda side: beat | {"memberId": side.known["static"]})
    both.once("static: unknown instance", "Heartbeat", 3,
              lambda side: beat | {"memberId": side.known["static"], "groupInstanceId": "box-9"})
    both.last("static: unknown instance leaves", "LeaveGroup", leave_body(group, "", "box-9"))
    both.last("static: leaves by instance", "LeaveGroup", leave_body(group, "", "box-1"))


def commits(group, offsets, **more):
    by_topic = {}
    for name, partition, offset in offsets:
        part = {"partitionIndex": partition, "committedOffset": offset, "committedMetadata": "m", **more}
        by_topic.setdefault(name, []).append(part)
    topics = [{"name": name, "partitions": parts} for name, parts in by_topic.items()]
    return {"groupId": group, "topics": topics}


def offsets(both):
    group = "g-offsets"

    def fetch(step, name, topics, stable=False):
        def body(side, version):
            named = None if topics is None else [{"name": t, "partitionIndexes": list(p)} for t, p in topics]
            if version >= 8:
                return {"groups": [{"groupId": name, "topics": named}], "requireStable": stable}
            if named is None and version < 2:
                named = []
            return {"groupId": name, "topics": named, "requireStable": stable}

        both.each(step, "OffsetFetch", body)

    both.each("commit", "OffsetCommit", commits(group, [("g", 0, 7), ("g", 1, 8)]))
    both.each("commit, unknown topic", "OffsetCommit", commits(group, [("nowhere", 0, 7), ("g", 0, 9)]))
    both.each("commit, unknown partition", "OffsetCommit", commits(group, [("g", 9, 7)]))
    both.each("commit, negative", "OffsetCommit", commits(group, [("g", 1, -5)]))
    both.each("commit, long text", "OffsetCommit", commits(group, [("g", 1, 5)], committedMetadata="x" * 5000))
    both.each("commit, epoch", "OffsetCommit", commits(group, [("g", 1, 6)], committedLeaderEpoch=0))
    both.each("commit, no group", "OffsetCommit", commits("", [("g", 1, 6)]))
    both.each("commit, in no group's generation", "OffsetCommit",
              commits("g-nobody", [("g", 1, 6)]) | {"generationIdOrMemberEpoch": 4, "memberId": "x"})
    both.each("commit, nothing", "OffsetCommit", commits(group, []))
    fetch("fetched", group, [("g", (0, 1))])
    fetch("fetched, stable", group, [("g", (0, 1))], stable=True)
    fetch("fetched, all", group, None)
    fetch("fetched, unknown", group, [("nowhere", (0,)), ("g", (0, 9))])
    fetch("fetched, no such group", "g-missing", [("g", (0,))])
    fetch("fetched, all of no such group", "g-missing", None)
    fetch("fetched, no group", "", [("g", (0,))])
    both.last("fetched, several groups", "OffsetFetch", {"groups": [
        {"groupId": group, "topics": None}, {"groupId": "g-missing", "topics": None}]})
    member = {"groupId": group, "memberId": "x", "memberEpoch": 4, "topics": None}
    both.last("fetched, by a stranger", "OffsetFetch", {"groups": [member]})


def deletion(both):
    def delete(step, group, name, *partitions):
        parts = [{"partitionIndex": each} for each in partitions]
        both.each(step, "OffsetDelete", {"groupId": group, "topics": [{"name": name, "partitions": parts}]})

    delete("an offset deleted", "g-offsets", "g", 1)
    delete("an offset deleted twice", "g-offsets", "g", 1)
    delete("an offset of an unknown topic", "g-offsets", "nowhere", 0)
    delete("an offset of no group", "g-missing", "g", 0)
    both.each("groups deleted", "DeleteGroups", lambda side, v: {"groupsNames": [f"g-join-{v + 5}", "g-missing"]})
    both.each("no group deleted", "DeleteGroups", {"groupsNames": [""]})
    both.last("offsets' group deleted", "DeleteGroups", {"groupsNames": ["g-offsets", "g-offsets"]})
