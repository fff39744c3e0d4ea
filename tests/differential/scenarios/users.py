"""Users with SCRAM credentials, and access control lists where nobody asks for them."""

import base64

SHA_256, SHA_512 = 1, 2


def credential(name, mechanism=SHA_256, rounds=4096, salt=b"0123456789abcdef", password=b"\x01" * 32):
    return {
        "name": name,
        "mechanism": mechanism,
        "iterations": rounds,
        "salt": base64.b64encode(salt).decode(),
        "saltedPassword": base64.b64encode(password).decode(),
    }


def run(both):
    def alter(step, *upsertions, deletions=()):
        gone = [{"name": name, "mechanism": mechanism} for name, mechanism in deletions]
        both.each(step, "AlterUserScramCredentials", {"upsertions": list(upsertions), "deletions": gone})

    def describe(step, *names):
        users = [{"name": name} for name in names] or None
        both.each(step, "DescribeUserScramCredentials", {"users": users})

    describe("none yet")
    describe("one who is not there", "ann")
    alter("made", credential("ann"), credential("ben"))
    alter("another mechanism", credential("ann", SHA_512, 8192, password=b"\x02" * 64))
    alter("two mechanisms at once", credential("jan"), credential("jan", SHA_512, password=b"\x02" * 64))
    alter("two mechanisms deleted at once", deletions=[("jan", SHA_256), ("jan", SHA_512)])
    alter("changed", credential("ben", rounds=5000))
    alter("few rounds", credential("cid", rounds=4095))
    alter("many rounds", credential("cid", rounds=16385))
    alter("no such mechanism", credential("cid", 9))
    alter("unknown mechanism", credential("cid", 0))
    alter("no name", credential(""))
    alter("no salt", credential("dan", salt=b""))
    alter("short password", credential("eve", password=b"\x01"))
    alter("twice at once", credential("fay"), credential("fay", rounds=6000))
    alter("made and deleted at once", credential("gus"), deletions=[("gus", SHA_256)])
    alter("other user beside a wrong one", credential("hal"), credential("ivy", rounds=1))
    alter("deleted, not there", deletions=[("nobody", SHA_256)])
    alter("deleted, other mechanism", deletions=[("ben", SHA_512)])
    # What only one of the two has taken.
    alter("tidied", deletions=[("dan", SHA_256)])
    alter("tidied, another", deletions=[("eve", SHA_256)])
    alter("nothing")
    alter("odd name", credential("a,b=c é"))
    describe("all")
    describe("some", "ann", "ben", "nobody")
    describe("twice", "ann", "ann")
    describe("no name", "")
    both.each("an empty list", "DescribeUserScramCredentials", {"users": []})
    alter("deleted", deletions=[("ann", SHA_256)])
    describe("one mechanism left", "ann")
    alter("both deleted", deletions=[("ann", SHA_512), ("ben", SHA_256)])
    describe("gone", "ann", "ben")

    anything = {"resourceTypeFilter": 1, "resourceNameFilter": None, "patternTypeFilter": 1, "principalFilter": None,
                "hostFilter": None, "operation": 1, "permissionType": 1}
    both.each("lists that nobody asks for", "DescribeAcls", anything)
    both.each("an entry that nobody asks for", "CreateAcls", {"creations": [{
        "resourceType": 2, "resourceName": "t", "resourcePatternType": 3, "principal": "User:ann", "host": "*",
        "operation": 3, "permissionType": 3}]})
    both.each("an entry deleted, that nobody asks for", "DeleteAcls", {"filters": [anything]})
