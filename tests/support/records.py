# SPDX-License-Identifier: MIT
"""A broker whose record a test reads from a file."""
import json
import os
import time

from broker import Broker, Client
from linux import as_user
from schema import check_record
from tap import check

ME = 5001


def policy(place, more=""):
    return (f"subject mine {{\n user {ME}\n{more} allow read,list,stat {place.name('d')}/**\n"
            f" deny write {place.name('d')}/**\n}}\n")


def within(seconds, function, *arguments):
    """What `function` returns as soon as that is true."""
    end = time.monotonic() + seconds
    while True:
        value = function(*arguments)
        if value:
            return value
        check(time.monotonic() < end, "nothing came in time:", function, arguments)
        time.sleep(0.02)


def records(path, event=None):
    if not os.path.exists(path):
        return []
    with open(path) as file:
        found = [json.loads(line) for line in file]
    for record in found:
        check_record(record)
    return [r for r in found if event in (None, r["event"])]


class Logging:
    """A broker whose record goes elsewhere than to standard error."""

    def __init__(self, place, *options, more=""):
        self.place = place
        self.file = place.file("d/x", "x")
        self.log = place.name("log")
        self.broker = Broker(place, policy(place, more), options=options, wait=False)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.broker.__exit__(*exception)

    def ready(self):
        """Of a broker that logs to `log`."""
        within(10, records, self.log, "ready")
        return self

    def deny(self, path="/etc/shadow", times=1):
        def client():
            with Client(self.broker.abstract) as c:
                return {c.ask(path=path) for _ in range(times)}
        return as_user(ME, client)
