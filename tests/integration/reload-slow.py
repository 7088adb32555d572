# SPDX-License-Identifier: MIT
"""A policy that takes a while to load: who asks meanwhile, who goes, and who dies."""
import os
import signal
import time

from broker import NAMES, Client
from reloads import Setting
from tap import check, equal, main

RELOAD = 19


class Slow(Setting):
    """A broker of which a test can hold the worker that loads, because that takes a while."""

    def __init__(self):
        super().__init__("allow read {d}/x")
        for i in range(4):
            self.place.file(f"more.d/{i}", ("#" * 1023 + "\n") * (14 << 10))
        self.pid = self.broker.process.pid
        self.write("allow read {d}/x")

    def text(self, rules, **named):
        return "include more.d/*\n" + super().text(rules, **named) if hasattr(self, "pid") else super().text(
            rules, **named)

    def children(self):
        with open(f"/proc/{self.pid}/task/{self.pid}/children") as file:
            return {int(pid) for pid in file.read().split()}

    @staticmethod
    def has_read(pid):
        """Whether that is a worker that has read the policy and the first of what it includes."""
        try:
            files = [f"/proc/{pid}/fd/{n}" for n in os.listdir(f"/proc/{pid}/fd")]
            return any("memfd" in os.readlink(file) and os.stat(file).st_size > 1 << 20 for file in files)
        except OSError:
            return False

    def hold(self, begin):
        """
        Calls begin(), which asks for a reload, and stops those that load when they have begun to. Returns how to let
        them go on.
        """
        before = self.children()
        begin()
        end = time.monotonic() + 5
        while not any(self.has_read(pid) for pid in self.children() - before):
            check(time.monotonic() < end, "nobody loads")
        loading = self.children() - before
        for pid in loading:
            os.kill(pid, signal.SIGSTOP)
        equal(len(self.broker.events("ready")), 1)

        def go_on():
            for pid in loading:
                os.kill(pid, signal.SIGCONT)
        return go_on


def told(client, id):
    """What the client is told of that request: the errno's name and the text, after RESTARTED, once or not."""
    got = client.receive()
    while got[0] == 0:
        equal(got[1], 0)
        got = client.receive()
    equal(got[0], id)
    return NAMES[got[1]] if got[1] else "OK", got[2].decode()


def test_whoever_asks_while_one_is_under_way_gets_the_next():
    with Slow() as s, Client(s.broker.abstract) as one, Client(s.broker.abstract) as two, \
            Client(s.broker.abstract) as three:
        s.write("allow read {d}/*")
        ids = []
        go_on = s.hold(lambda: ids.append(one.send(RELOAD)))
        ids += [two.send(RELOAD), three.send(RELOAD)]
        time.sleep(0.1)
        # What loads has the first one; the policy is another by now, with a mistake.
        s.place.file("more.d/0", "mistake\n")
        go_on()
        equal(told(one, ids[0]), ("OK", ""))
        for client, id in ((two, ids[1]), (three, ids[2])):
            error, text = told(client, id)
            equal(error, "EINVAL")
            check("more.d/0:1:1" in text, text)
        equal((s.ask("x"), s.ask("y")), ("OK", "OK"))


def test_an_asker_that_has_gone_is_not_mistaken_for_the_next_client():
    """Which has the number that he had, and has asked too."""
    with Slow() as s:
        one = Client(s.broker.abstract)
        equal(one.ask(2), "OK")
        go_on = s.hold(lambda: one.send(RELOAD))
        one.socket.close()
        time.sleep(0.1)
        with Client(s.broker.abstract) as two:
            s.write("allow read {d}/y")
            id = two.send(RELOAD)
            time.sleep(0.1)
            go_on()
            equal(told(two, id), ("OK", ""))
            equal((s.ask("x"), s.ask("y")), ("EACCES", "OK"))


def test_what_an_asker_wanted_who_has_gone_is_done():
    with Slow() as s:
        one = Client(s.broker.abstract)
        two = Client(s.broker.abstract)
        go_on = s.hold(lambda: one.send(RELOAD))
        two.send(RELOAD)
        time.sleep(0.1)
        one.socket.close()
        two.socket.close()
        s.write("allow read {d}/y")
        time.sleep(0.1)
        go_on()
        s.broker.wait_event("ready", 3)
        equal((s.ask("x"), s.ask("y")), ("EACCES", "OK"))


def test_the_askers_worker_dies_before_the_reload_ends():
    with Slow() as s, Client(s.broker.abstract) as one:
        s.write("allow read {d}/y")
        ids = []
        go_on = s.hold(lambda: ids.append(one.send(RELOAD)))
        os.kill(s.broker.worker, signal.SIGKILL)
        s.broker.wait_event("worker")
        go_on()
        equal(told(one, ids[0]), ("OK", ""))
        equal((s.ask("x"), s.ask("y")), ("EACCES", "OK"))


def test_a_worker_dies_while_the_next_one_hangs():
    """The policy that served is to hand, and does not wait for what hangs."""
    with Slow() as s, Client(s.broker.abstract) as one:
        s.write("allow read {d}/y")
        ids = []
        s.hold(lambda: ids.append(one.send(RELOAD)))
        os.kill(s.broker.worker, signal.SIGKILL)
        s.broker.wait_event("ready", 2)
        equal(told(one, ids[0])[0], "ECONNRESET")
        equal((s.ask("x"), s.ask("y")), ("OK", "EACCES"))


def test_who_waits_for_one_is_not_idle():
    """The policy does not name root, who is here; such a one is ended after two seconds in which he asks nothing."""
    with Slow() as s, Client(s.broker.abstract) as one:
        ids = []
        go_on = s.hold(lambda: ids.append(one.send(RELOAD)))
        time.sleep(2.5)
        go_on()
        equal(told(one, ids[0])[0], "OK")


def test_the_one_that_loads_dies():
    with Slow() as s, Client(s.broker.abstract) as one, Client(s.broker.abstract) as two:
        s.write("allow read {d}/y")
        before, ids = s.children(), []
        s.hold(lambda: ids.append(one.send(RELOAD)))
        ids.append(two.send(RELOAD))
        time.sleep(0.1)
        for pid in s.children() - before:
            os.kill(pid, signal.SIGKILL)
        equal(told(one, ids[0])[0], "ECONNRESET")
        equal(told(two, ids[1]), ("OK", ""))
        equal((s.ask("x"), s.ask("y")), ("EACCES", "OK"))


def test_too_many_who_ask_at_once():
    with Slow() as s:
        clients = [Client(s.broker.abstract) for _ in range(20)]
        ids = []
        go_on = s.hold(lambda: ids.append(clients[0].send(RELOAD)))
        for client in clients[1:]:
            ids.append(client.send(RELOAD))
            time.sleep(0.01)
        for client, id in list(zip(clients, ids))[16:]:
            equal(told(client, id), ("EBUSY", ""))
        # Nor twice on one connection.
        equal(told(clients[0], clients[0].send(RELOAD)), ("EBUSY", ""))
        go_on()
        for client, id in list(zip(clients, ids))[:16]:
            equal(told(client, id), ("OK", ""))
        equal(told(clients[19], clients[19].send(RELOAD)), ("OK", ""))
        for client in clients:
            client.socket.close()


main(globals())
