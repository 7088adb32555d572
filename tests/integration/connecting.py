# SPDX-License-Identifier: MIT
"""Those who connect too often, and wait: what becomes of them, and of the others."""
import contextlib
import errno
import os
import resource
import select
import signal
import socket
import time

from broker import OPEN, Broker, Client, Place, ask
from linux import as_user
from tap import Skip, check, equal, main

# At one connection a second the first of a uid is served, the second one waits for a second, and the third is refused.
SLOW = ("--connect-rate", "1")
UIDS = range(5101, 5113)


@contextlib.contextmanager
def being(uid):
    """Connects, and asks, as that user."""
    os.setresuid(uid, uid, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@contextlib.contextmanager
def stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def rule(path, right="read"):
    return f"subject a {{\n user *\n limit connections none\n allow {right} {path}\n}}\n"


def within(seconds, condition):
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, "it takes too long")
        time.sleep(0.01)


def silent(clients):
    """Those of them who have been told nothing, not even that it is the end."""
    poll = select.poll()
    for client in clients:
        poll.register(client.socket, select.POLLIN)
    told = {number for number, _ in poll.poll(0)}
    return [client for client in clients if client.socket.fileno() not in told]


class Line:
    """A broker at which somebody of each of some uids waits, since .begun at the earliest, with a request of path .x."""

    def __init__(self, asks=True):
        self.place = Place()
        self.x = self.place.file("d/x", "x")
        self.broker = Broker(self.place, rule(self.x), options=SLOW)
        self.served, self.waiting, refused = [], [], []
        with stopped(self.broker.process.pid):
            for uid in UIDS:
                with being(uid):
                    for clients in (self.served, self.waiting, refused):
                        clients.append(Client(self.broker.abstract))
                        if asks and clients is not refused:
                            clients[-1].send(OPEN, self.x)
            self.begun = time.monotonic()
        # They are accepted in the order in which they came.
        for client in refused:
            equal(client.receive()[:2], (0, errno.EDQUOT))
            equal(client.receive(), None)
            client.socket.close()
        equal(silent(self.waiting), self.waiting, "not all of them wait")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for client in self.served + self.waiting:
            client.socket.close()
        self.broker.__exit__()
        self.place.__exit__()

    def check_answered(self, again):
        """Each who waits, with nothing else said before; and he goes on. Who was served is told, where so `again`."""
        for uid, client in zip(UIDS, self.waiting):
            id, error, _, descriptors = client.receive()
            equal((id, error, len(descriptors)), (1, 0, 1))
            os.close(descriptors[0])
            with being(uid):
                client.send(OPEN, self.x)
            got = client.receive()
            # Only one who was given to a worker knows of another.
            if got[:2] == (0, 0) and (again or time.monotonic() - self.begun > 1):
                got = client.receive()
            equal(got[:2], (2, 0))
            os.close(got[3][0])
        for client in self.served:
            id, error, _, descriptors = client.receive()
            equal((id, error), (1, 0))
            os.close(descriptors[0])
            equal(client.receive()[:2], (0, 0))


def test_who_has_gone_before_he_was_accepted_is_not_served():
    """Others who waited with him are."""
    with Place() as place:
        rule = f"subject a {{\n user *\n allow write,create {place.directory('d')}/*\n}}\n"
        with Broker(place, rule) as broker:
            os.kill(broker.process.pid, signal.SIGSTOP)
            try:
                clients = [Client(broker.abstract) for _ in range(3)]
                for number, client in enumerate(clients):
                    client.send(OPEN, place.name(f"d/{number}"), flags=os.O_CREAT | os.O_WRONLY)
                clients[1].socket.close()
            finally:
                os.kill(broker.process.pid, signal.SIGCONT)
            for client in clients[0], clients[2]:
                equal(client.receive()[1], 0)
                client.socket.close()
            equal(sorted(os.listdir(place.name("d"))), ["0", "2"])


def test_who_connects_too_often_waits_and_nobody_else_does():
    with Place() as place:
        path = place.file("d/x", "x")
        rule = f"subject a {{\n user *\n limit connections none\n allow read {path}\n}}\n"
        with Broker(place, rule, options=("--connect-rate", "100")) as broker:
            def often():
                clients, waits, refused = [], 0, 0
                begin = time.monotonic()
                for _ in range(150):
                    client = Client(broker.abstract)
                    clients.append(client)
                    asked = time.monotonic()
                    equal(client.ask(path=path), "OK")
                    waits += time.monotonic() - asked > 0.005
                # A second's are saved up, the other 50 come in half a second at best.
                check(time.monotonic() - begin > 0.4, time.monotonic() - begin)
                check(waits >= 25, waits)
                # One after the other they wait; at once too many do.
                hasty = [Client(broker.abstract) for _ in range(100)]
                time.sleep(0.2)
                for client in hasty:
                    client.socket.setblocking(False)
                    try:
                        equal(client.receive()[:2], (0, errno.EDQUOT))
                        refused += 1
                    except BlockingIOError:
                        pass
                return refused

            def seldom():
                begin = time.monotonic()
                for _ in range(20):
                    equal(ask(broker.abstract, path), "OK")
                return time.monotonic() - begin
            check(as_user(5001, often) > 0, "nobody was refused")
            check(as_user(5002, seldom) < 0.2, "somebody else waits too")
            limit = broker.wait_event("limit")
            equal((limit["uid"], limit["limit"], limit["most"]), (5001, "connects", 100))


def settled(count):
    """Whether it stays what it is for a moment."""
    first = count()
    time.sleep(0.05)
    return count() == first


def answers(client):
    """Whether it was told OK, and then the end."""
    id, error, _, descriptors = client.receive()
    equal((id, error, len(descriptors)), (1, 0, 1))
    os.close(descriptors[0])
    equal(client.receive(), None)


def test_who_says_no_more_is_answered():
    """Before he is accepted, and while he waits."""
    with Place() as place:
        path = place.file("d/x", "x")
        with Broker(place, rule(path), options=("--connect-rate", "4")) as broker:
            with stopped(broker.process.pid):
                clients = [Client(broker.abstract) for _ in range(6)]
                for client in clients[:4]:
                    client.send(OPEN, path)
                    client.socket.shutdown(socket.SHUT_WR)
            for client in clients[:4]:
                answers(client)
            check(len(silent(clients[4:])) >= 1, "nobody waits")
            for client in clients[4:]:
                client.send(OPEN, path)
                client.socket.shutdown(socket.SHUT_WR)
            for client in clients[4:]:
                answers(client)


def test_who_waits_does_not_notice_that_the_worker_dies():
    with Line() as line:
        within(5, lambda: not silent(line.served))
        os.kill(line.broker.worker, signal.SIGKILL)
        line.check_answered(again=False)


def test_who_waits_does_not_notice_a_reload():
    with Line() as line:
        within(5, lambda: not silent(line.served))
        line.broker.process.send_signal(signal.SIGHUP)
        line.check_answered(again=False)
        line.broker.wait_event("ready", 2)


def test_who_waits_is_answered_while_the_program_is_executed_anew():
    with Line() as line:
        within(5, lambda: not silent(line.served))
        line.broker.process.send_signal(signal.SIGUSR2)
        check("verdict" not in line.broker.wait_event("resume"), line.broker.records)
        # The old worker is given them, until there is the new one.
        line.check_answered(again=True)
        line.broker.wait_event("ready", 2)


def test_who_waits_sees_the_end():
    for asks in (True, False):
        with Line(asks) as line:
            equal(line.broker.stop(), 0)
            for client in line.waiting:
                try:
                    equal(client.receive(), None)
                except ConnectionResetError:
                    # What he asked for was not read.
                    check(asks)


def test_of_who_was_refused_or_has_gone_nothing_is_left():
    with Place() as place:
        path = place.file("d/x", "x")
        with Broker(place, rule(path), options=("--connect-rate", "20")) as broker:
            held = lambda: len(os.listdir(f"/proc/{broker.process.pid}/fd"))
            equal(ask(broker.abstract, path), "OK")
            # That of the one who asked is closed a moment later.
            within(5, lambda: settled(held))
            before = held()
            with stopped(broker.process.pid):
                for _ in range(19):
                    Client(broker.abstract).socket.close()
                clients = [Client(broker.abstract) for _ in range(60)]
            equal(clients[-1].receive()[:2], (0, errno.EDQUOT))
            check(10 <= len(silent(clients)) <= 25, len(silent(clients)))
            check(held() >= before + 10, "nobody waits")
            for client in clients:
                client.socket.close()
            within(5, lambda: held() <= before)


def test_no_more_than_so_many_of_all_uids_wait():
    most, more = 1024, 6
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with open("/proc/sys/net/core/somaxconn") as file:
        if hard < 4096 or int(file.read()) < 2 * (most + more):
            raise Skip("so many connections cannot be made at once")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, hard))
    clients = []
    try:
        with Place() as place:
            path = place.file("d/x", "x")
            with Broker(place, rule(path), options=SLOW) as broker:
                with stopped(broker.process.pid):
                    for uid in range(20000, 20000 + most + more):
                        with being(uid):
                            Client(broker.abstract).socket.close()
                            clients.append(Client(broker.abstract))
                for client in clients[most:]:
                    equal(client.receive()[:2], (0, errno.EDQUOT))
                equal(len(silent(clients[:most])), most)
    finally:
        for client in clients:
            client.socket.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


main(globals())
