"""kcat: PLAIN, SCRAM, tokens that nobody has signed, and certificates of clients."""

import subprocess

from logins import check


def arguments(login):
    given = {
        "security.protocol": login["protocol"],
        "ssl.ca.location": login["ca"],
    }
    if "certificate" in login:
        given["ssl.certificate.location"] = login["certificate"]
        given["ssl.key.location"] = login["key"]
    if "mechanism" in login:
        given["sasl.mechanisms"] = login["mechanism"]
    if "user" in login:
        given["sasl.username"] = login["user"]
        given["sasl.password"] = login["password"]
    if "claims" in login:
        given["enable.sasl.oauthbearer.unsecure.jwt"] = "true"
        given["sasl.oauthbearer.config"] = login["claims"]
    line = ["kcat", "-b", login["address"], "-t", "logins", "-p", "0"]
    for name, value in given.items():
        line += ["-X", f"{name}={value}"]
    return line


def attempt(login):
    name = login["name"].encode()
    line = arguments(login)
    send = [*line, "-P", "-X", "message.timeout.ms=6000"]
    subprocess.run(send, input=name, check=True, capture_output=True, timeout=20)
    read = [*line, "-C", "-o", "-1", "-c", "1", "-e"]
    done = subprocess.run(read, check=True, capture_output=True, timeout=20)
    return done.stdout.strip()


check(attempt)
