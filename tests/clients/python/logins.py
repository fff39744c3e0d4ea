"""Logging in: a client with each of the logins in a file, good and bad, by the settings that its own
documentation shows.

A login is an object: `name`, `protocol` (SSL or SASL_SSL), `address`, `ca`, and what the mechanism needs
(`mechanism`, `user`, `password`, `token`, `claims` of an unsigned one, `certificate`, `key`); `good` says
whether it is to be let in.
Each one that is let in produces a record to the topic `logins` and reads it back.
"""

import argparse
import json


def logins():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap")
    parser.add_argument("--logins", required=True)
    with open(parser.parse_args().logins, encoding="utf-8") as file:
        return json.load(file)


def check(attempt):
    """Runs `attempt(login)` for each login; it returns the value it read back, or raises."""
    for login in logins():
        try:
            read = attempt(login)
        except Exception as refused:  # Each client has errors of its own.
            assert not login["good"], f"{login['name']}: {refused!r}"
            print(f"{login['name']}: refused, {type(refused).__name__}")
            continue
        assert login["good"], f"{login['name']} is let in"
        assert read == login["name"].encode(), f"{login['name']}: {read!r}"
        print(f"{login['name']}: let in")
