# SPDX-License-Identifier: MIT
"""A broker whose policy a test changes and has loaded anew."""
from broker import Broker, Place, ask, tool
from linux import as_user

ME = 5001


class Setting:
    def __init__(self, rules="allow read {d}/*", **options):
        self.place = Place()
        self.d = self.place.directory("d")
        self.place.file("d/x", "x")
        self.place.file("d/y", "y")
        self.broker = Broker(self.place, self.text(rules), **options)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.broker.__exit__()
        self.place.__exit__()

    def text(self, rules, uid=ME):
        return "subject a {\n user %d\n %s\n}\n" % (uid, rules.format(d=self.d))

    def write(self, rules, **named):
        self.place.file("policy", self.text(rules, **named))

    def reload(self):
        return tool("reload", "--socket", self.broker.abstract)

    def ask(self, name):
        return as_user(ME, ask, self.broker.abstract, f"{self.d}/{name}")
