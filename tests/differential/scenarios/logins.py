"""Logging in by SASL: who is let in, what is said to who isn't, and what is served before."""

import base64
import hashlib
import hmac
import time

from scenarios.users import SHA_256, SHA_512, credential

HASHES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
ROUNDS, SALT = 4096, b"0123456789abcdef"


def run(both):
    before(both)
    handshakes(both)
    plain(both)
    scram(both)


def packed(message):
    return base64.b64encode(message).decode()


def before(both):
    """What is served to who hasn't logged in."""
    both.once("versions before", "ApiVersions", 3, connection="login-versions")
    both.once("versions before, unknown one", "ApiVersions", 99, connection="login-versions-99")
    both.once("metadata before", "Metadata", 12, connection="login-metadata")
    both.once("step without a handshake", "SaslAuthenticate", 2, {"authBytes": packed(b"\0ann\0ann-secret")},
              connection="login-step")
    both.once("handshake where no login is", "SaslHandshake", 1, {"mechanism": "PLAIN"}, connection="no-login")
    both.once("step where no login is", "SaslAuthenticate", 2, {"authBytes": packed(b"\0ann\0ann-secret")},
              connection="no-login-step")


def handshakes(both):
    for version in both.versions_of("SaslHandshake"):
        for mechanism in ("PLAIN", "SCRAM-SHA-256", "GSSAPI", "", "plain"):
            connection = f"login-{version}-{mechanism}"
            both.once(f"handshake {mechanism!r}", "SaslHandshake", version, {"mechanism": mechanism},
                      connection=connection)
    connection = "login-twice"
    both.once("handshake, first", "SaslHandshake", 1, {"mechanism": "PLAIN"}, connection=connection)
    both.once("handshake, second", "SaslHandshake", 1, {"mechanism": "PLAIN"}, connection=connection)
    connection = "login-asked"
    both.once("versions, then the handshake", "ApiVersions", 3, connection=connection)
    both.once("handshake after versions", "SaslHandshake", 1, {"mechanism": "PLAIN"}, connection=connection)
    both.once("versions after the handshake", "ApiVersions", 3, connection=connection)
    connection = "login-metadata-between"
    both.once("handshake, then another", "SaslHandshake", 1, {"mechanism": "PLAIN"}, connection=connection)
    both.once("metadata after the handshake", "Metadata", 12, connection=connection)


def log_in(both, step, message, connection, version=2):
    both.once(f"{step}: handshake", "SaslHandshake", 1, {"mechanism": "PLAIN"}, connection=connection)
    return both.once(step, "SaslAuthenticate", version, {"authBytes": packed(message)}, connection=connection)


def plain(both):
    for version in both.versions_of("SaslAuthenticate"):
        connection = f"login-plain-{version}"
        log_in(both, "right password", b"\0ann\0ann-secret", connection, version)
        both.once("served then", "ApiVersions", 3, connection=connection)
        both.once("a login again", "SaslHandshake", 1, {"mechanism": "PLAIN"}, connection=connection)
    connection = "login-plain-0-0"
    both.once("raw: handshake", "SaslHandshake", 0, {"mechanism": "PLAIN"}, connection=connection)
    both.raw("raw: right password", b"\0ann\0ann-secret", connection=connection)
    both.once("raw: served then", "ApiVersions", 3, connection=connection)
    wrong = {
        "wrong password": b"\0ann\0guess",
        "unknown user": b"\0nobody\0ann-secret",
        "no user": b"\0\0ann-secret",
        "no password": b"\0ann\0",
        "as another": b"ben\0ann\0ann-secret",
        "as oneself": b"ann\0ann\0ann-secret",
        "two parts": b"ann\0ann-secret",
        "four parts": b"\0ann\0ann-secret\0",
        "no text": b"\xff\xfe\xfd",
        "nothing": b"",
    }
    for number, (step, message) in enumerate(wrong.items()):
        connection = f"login-wrong-{number}"
        log_in(both, step, message, connection)
        both.once(f"{step}: after it", "ApiVersions", 3, connection=connection)


class Exchange:
    """The client's half of a SCRAM login, which differs with the server's nonce."""

    def __init__(self, mechanism, user, password):
        self.hash, self.password = HASHES[mechanism], password
        self.first = f"n={user},r=fyko+d2lbbFgONRv9qkxdawL"

    def begin(self):
        return packed(f"n,,{self.first}".encode())

    def proof(self, answer):
        challenge = base64.b64decode(answer.get("authBytes") or "").decode()
        parts = dict(part.partition("=")[::2] for part in challenge.split(",")) if challenge else {}
        salt, rounds = base64.b64decode(parts.get("s", "")), int(parts.get("i", 4096))
        salted = hashlib.pbkdf2_hmac(self.hash, self.password.encode(), salt, rounds)
        key = hmac.digest(salted, b"Client Key", self.hash)
        final = f"c=biws,r={parts.get('r', '')}"
        signed = f"{self.first},{challenge},{final}".encode()
        signature = hmac.digest(hashlib.new(self.hash, key).digest(), signed, self.hash)
        proof = bytes(left ^ right for left, right in zip(key, signature))
        return packed(f"{final},p={packed(proof)}".encode())


def scram(both):
    for mechanism, number in (("SCRAM-SHA-256", SHA_256), ("SCRAM-SHA-512", SHA_512)):
        salted = hashlib.pbkdf2_hmac(HASHES[mechanism], b"cid-secret", SALT, ROUNDS)
        both.last(f"user of {mechanism} made", "AlterUserScramCredentials", {
            "upsertions": [credential("cid", number, ROUNDS, SALT, salted)], "deletions": []})
    time.sleep(0.5)  # Kafka's broker learns of it a little later.
    for mechanism in HASHES:
        for step, user, password in [("right", "cid", "cid-secret"), ("wrong", "cid", "guess"),
                                     ("stranger", "nobody", "cid-secret"), ("user of PLAIN", "ben", "ben-secret")]:
            exchange = Exchange(mechanism, user, password)
            connection = f"login-{mechanism}-{user}-{step}"
            both.once(f"{mechanism}, {step}: handshake", "SaslHandshake", 1, {"mechanism": mechanism},
                      connection=connection)
            told = both.once(f"{mechanism}, {step}: first", "SaslAuthenticate", 2, {"authBytes": exchange.begin()},
                             connection=connection)
            for side, answer in zip(both.sides, told):
                side.known["challenge"] = answer
            if any("closed" in answer or answer.get("errorCode") for answer in told):
                continue
            both.once(f"{mechanism}, {step}: proof", "SaslAuthenticate", 2,
                      lambda side: {"authBytes": exchange.proof(side.known["challenge"])},  # noqa: B023
                      connection=connection)
            both.once(f"{mechanism}, {step}: after it", "ApiVersions", 3, connection=connection)
    broken = {"nothing": b"", "no header": b"n=cid,r=abc", "channel": b"p=tls-unique,,n=cid,r=abc", "no nonce": b"n,,n=cid",
              "as another": b"n,a=ben,n=cid,r=abc", "bad name": b"n,,n=ci=d,r=abc", "extension": b"n,,n=cid,r=abc,x=y"}
    for number, (step, message) in enumerate(broken.items()):
        connection = f"login-broken-{number}"
        both.once(f"broken, {step}: handshake", "SaslHandshake", 1, {"mechanism": "SCRAM-SHA-256"}, connection=connection)
        both.once(f"broken, {step}", "SaslAuthenticate", 2, {"authBytes": packed(message)}, connection=connection)
